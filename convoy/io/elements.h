// The values of a tensor as they lie in files.
#pragma once

#include "convoy/core/tensor.h"
#include "convoy/io/file.h"

namespace convoy::io {

/// Fills `to` from the next bytes; `big_endian` is the file's byte order. Any byte but 0 is true.
void read_elements(const ReadBytes& read, bool big_endian, Tensor& to);

}  // namespace convoy::io
