// A product and a sum per channel, and an activation of the result.
#pragma once

#include <cstdint>

#include "convoy/kernels/conv/epilogue.h"

namespace convoy::kernels {

/// Planes of `positions` values, batch x channels of them.
struct ChannelPlanes {
  int64_t batch = 0, channels = 0, positions = 0;
};

/// output = activation(input * scale[c] + shift[c]), in parallel; output and input may be the same array. The bits of a
/// value depend on that value and its channel alone.
void channel_affine(const ChannelPlanes& planes, const float* input, const float* scale, const float* shift,
                    const Epilogue<float>& epilogue, float* output) noexcept;

}  // namespace convoy::kernels
