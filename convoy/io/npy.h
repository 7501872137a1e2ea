// NumPy's npy and npz files.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy::io {

/// Reads float32, float64, int64 (also int32, uint8, bool and float16, converted), C or Fortran order, either byte order.
/// Errors: FileError naming path and field.
Tensor read_npy(const std::string& path);
void write_npy(const std::string& path, const Tensor& tensor);

/// An npz archive (zip, stored or deflated). Names are without ".npy".
std::vector<std::pair<std::string, Tensor>> read_npz(const std::string& path);
void write_npz(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& tensors);

}  // namespace convoy::io
