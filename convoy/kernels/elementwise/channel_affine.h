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

/// The same of `count` values of each of some channels, input_stride apart, on the calling thread.
void channel_affine_rows(const float* input, int64_t input_stride, int64_t channels, int64_t count, const float* scale,
                         const float* shift, const SplitEpilogue& epilogue, float* output, int64_t output_stride) noexcept;

}  // namespace convoy::kernels
