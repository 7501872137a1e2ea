// Layer normalisation over the channels of images whose channels lie apart.
#pragma once

#include <cstdint>

namespace convoy::kernels {

/// Per sample and position: output[c] = (input[c] - mean) / sqrt(var + eps) * weight[c] + bias[c], mean and biased variance over
/// the channels, which are `positions` values apart; bias may be null. In parallel. Statistics are added in double from float sums
/// of 16 channels. The bits of a position depend on its channels alone.
///
/// Shapes: input and output (batch, channels, positions), not the same array; weight and bias (channels).
void channel_layer_norm(int64_t batch, int64_t channels, int64_t positions, double eps, const float* input, const float* weight,
                        const float* bias, float* output) noexcept;

}  // namespace convoy::kernels
