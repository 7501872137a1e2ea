// Image files.
#pragma once

#include <string>

#include "convoy/core/tensor.h"

namespace convoy::io {

/// Reads a PNG or JPEG (told by its first bytes, not by its name) as float32 (channels, height, width) in [0, 1].
/// channels: 1 (grey), 3 (RGB), or 0 for what the file has; alpha is dropped, 16 bits are kept in the value.
/// Errors: FileError naming path and reason; files larger than 64 MiB or 2^28 pixels are refused before they are decoded.
Tensor read_image(const std::string& path, int channels = 0);

/// Writes float32 (1 or 3, height, width) values, clamped to [0, 1], as an 8-bit PNG (through a temporary file).
void write_png(const std::string& path, const Tensor& image);

}  // namespace convoy::io
