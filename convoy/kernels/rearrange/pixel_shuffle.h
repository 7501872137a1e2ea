// Channels to space and back.
#pragma once

#include <cstdint>

namespace convoy::kernels {

/// What is shuffled: `planes` output channels in all, each made of factor^2 input channels of height x width.
struct PixelShuffleShape {
  int64_t planes = 1;
  int64_t factor = 1;
  int64_t height = 1;
  int64_t width = 1;
};

/// output[p, h r + i, w r + j] = input[p r^2 + i r + j, h, w]. The values are moved, whatever they are: Size bytes each, 1, 2, 4 or 8.
template <int Size>
void pixel_shuffle(const PixelShuffleShape& shape, const void* input, void* output) noexcept;
/// The inverse.
template <int Size>
void pixel_unshuffle(const PixelShuffleShape& shape, const void* input, void* output) noexcept;

}  // namespace convoy::kernels
