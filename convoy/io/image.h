// Image files.
#pragma once

#include <cstddef>
#include <string>

#include "convoy/core/tensor.h"

namespace convoy::io {

/// Reads a PNG or JPEG (told by its first bytes, not by its name) as float32 (channels, height, width) in [0, 1].
/// channels: 1 (grey), 3 (RGB), or 0 for what the file has. 8-bit values are v / 255, 16-bit values v / 65535; palettes become RGB,
/// alpha is dropped, grey = (299 R + 587 G + 114 B) / 1000; CMYK becomes RGB. Colour profiles and the orientation tag are not
/// applied. Errors: FileError "PATH: ..." for every other kind of file and for broken ones, also if only the end is missing; files
/// larger than 64 MiB or images of more than 178956970 pixels are refused before they are decoded. OutOfMemory, before it is
/// decoded, for one that takes more than memory_room(). ValueError for other channels.
Tensor read_image(const std::string& path, int channels = 0);
/// The same for bytes in memory; `name` stands for the path in messages.
Tensor decode_image(const void* bytes, size_t size, const std::string& name, int channels = 0);

/// Writes float32 (1 or 3, height, width) values, clamped to [0, 1] and rounded to k / 255 (NaN: 0), as an 8-bit PNG (through a
/// temporary file).
/// Errors: ValueError for other shapes; FileError if the file cannot be written.
void write_png(const std::string& path, const Tensor& image);

}  // namespace convoy::io
