// The npy format, for single files and the entries of npz archives.
#pragma once

#include <string>

#include "convoy/core/tensor.h"
#include "convoy/io/file.h"

namespace convoy::io {

/// The array of an npy file.
Tensor read_npy_source(const ByteSource& source);

/// What stands before the values in an npy file of this tensor.
std::string npy_header(const Tensor& tensor);

}  // namespace convoy::io
