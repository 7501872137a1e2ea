// NumPy's npy and npz files.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy::io {

/// What an array's header says, before its values are read.
struct ArrayInfo {
  std::string name;   // in an npz archive
  size_t arrays = 1;  // in the file
  Shape shape;
  DType dtype = DType::kFloat32;
};
/// Asked for each array before memory for its values: false passes it over. It may throw.
using ArrayFilter = std::function<bool(const ArrayInfo&)>;

/// Reads float16, float32, float64, bool, int8 to int64 and uint8 to uint64 as they are. C or Fortran order, either byte order,
/// format versions 1 to 3. Errors: FileError "PATH: ..." naming what does not fit: magic, version, header, type, shape, length.
/// Source: numpy.lib.format, NumPy 1.24.
/// OutOfMemory for more than memory_room(), before it is read. An undefined tensor if `wanted` says no.
Tensor read_npy(const std::string& path, const ArrayFilter& wanted = {});
Tensor parse_npy(const void* bytes, size_t size, const std::string& name);
/// Writes any type; bfloat16, which NumPy lacks, as float32.
/// Errors: ValueError for an undefined tensor; FileError if the file cannot be written.
void write_npy(const std::string& path, const Tensor& tensor);

/// The arrays of an npz archive (a zip of npy files, stored or deflated), in the order of its directory; names are without ".npy".
/// Those that `wanted` passes over are neither unpacked nor checked. Errors: FileError naming path and entry: also for wrong
/// checksums, repeated names, entries that overlap, encryption.
std::vector<std::pair<std::string, Tensor>> read_npz(const std::string& path, const ArrayFilter& wanted = {});
std::vector<std::pair<std::string, Tensor>> parse_npz(const void* bytes, size_t size, const std::string& name);
/// Writes an npz archive as numpy.savez does: stored, not deflated. The same tensors give the same bytes.
/// Errors: ValueError for names that repeat and for 4 GiB or more, which the plain zip format cannot hold; FileError if the file
/// cannot be written.
void write_npz(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& tensors);

}  // namespace convoy::io
