// The npy format, for single files and the entries of npz archives.
#pragma once

#include <string>

#include "convoy/core/tensor.h"
#include "convoy/io/file.h"
#include "convoy/io/npy.h"

namespace convoy::io {

/// The array of an npy file of `size` bytes; an undefined tensor if `wanted` says no, and then the values are not read. `info`:
/// what is known of it.
Tensor read_npy_bytes(const std::string& path, uint64_t size, const ReadBytes& read, const ArrayFilter& wanted, ArrayInfo info);

/// What stands before the values in an npy file of this tensor.
std::string npy_header(const Tensor& tensor);

}  // namespace convoy::io
