// The IDX format of MNIST's files.
#pragma once

#include <cstdint>
#include <vector>

#include "convoy/core/tensor.h"
#include "convoy/io/file.h"

namespace convoy::data {

/// The unsigned bytes of an IDX file, row-major.
struct IdxArray {
  Shape shape;
  std::vector<uint8_t> values;
};

/// Reads an IDX file of unsigned bytes with `axes` dimensions, packed by gzip or not (told by its first bytes).
/// Errors: FileError "PATH: ..." for a wrong magic number, type or number of dimensions, and for more or fewer values than the
/// dimensions say; sizes that the file cannot hold are refused before memory is asked for.
/// Source: http://yann.lecun.com/exdb/mnist, "the IDX file format".
IdxArray read_idx(const io::ByteSource& source, int axes);

}  // namespace convoy::data
