// What image.cc needs from the image libraries. Both report errors by longjmp, which must not pass a C++ object that has a
// destructor: everything that owns memory lives outside of the guarded calls.
#pragma once

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy::io {

struct ImageBytes {
  const uint8_t* data;
  size_t size;
  const std::string& name;  // for messages
  int channels = 0;         // what the image becomes; 0: what the file has
};

/// (1 or 3, height, width) as in the file.
Tensor decode_png(const ImageBytes& file);
Tensor decode_jpeg(const ImageBytes& file);
std::vector<uint8_t> encode_png(const Tensor& image, const std::string& name);

/// Throws FileError if the size is outside of what read_image decodes.
void check_image_size(const ImageBytes& file, uint64_t width, uint64_t height);
/// Throws OutOfMemory if there is no room for the image: `channels` it has, `beside` bytes the library takes while it decodes.
void need_image_room(const ImageBytes& file, int64_t width, int64_t height, int channels, uint64_t beside);

/// Runs `body`, which calls a library; false if that jumped to `jump`. `body` and what it calls must hold no C++ object with a
/// destructor.
template <class Body>
bool guarded(std::jmp_buf& jump, Body body) {
  if (setjmp(jump) != 0) return false;
  body();
  return true;
}

/// Interleaved 8-bit or 16-bit values of a row to planes of floats.
template <class T>
void spread_row(const T* from, int64_t width, int channels, float scale, float* to, int64_t plane) {
  for (int c = 0; c < channels; ++c) {
    for (int64_t x = 0; x < width; ++x) to[c * plane + x] = static_cast<float>(from[x * channels + c]) / scale;
  }
}

}  // namespace convoy::io
