// The values of a tensor as they lie in files.
#pragma once

#include <cstdint>

#include "convoy/core/tensor.h"
#include "convoy/io/file.h"

namespace convoy::io {

/// Fills `to` from the source's bytes at `offset`; `big_endian` is the file's byte order. Any byte but 0 is true.
void read_elements(const ByteSource& source, uint64_t offset, bool big_endian, Tensor& to);

}  // namespace convoy::io
