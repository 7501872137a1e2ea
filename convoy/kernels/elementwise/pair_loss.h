// Losses between pairs of values, in parallel. float runs in SIMD, double the reference; the bits of a value depend on its pair
// alone.
#pragma once

#include <cstdint>

#include "convoy/core/elementwise.h"

namespace convoy::kernels {

/// losses[i] = loss(input[i], target[i]); beta > 0 is smooth_l1's.
void pair_loss(PairLoss kind, double beta, const float* input, const float* target, float* losses, int64_t count) noexcept;
void pair_loss(PairLoss kind, double beta, const double* input, const double* target, double* losses, int64_t count) noexcept;

/// grad_input[i] = d loss / d input * scale * weight[i] (per_value) or weight[0].
void pair_loss_backward(PairLoss kind, double beta, const float* input, const float* target, const float* weight, bool per_value,
                        double scale, float* grad_input, int64_t count) noexcept;
void pair_loss_backward(PairLoss kind, double beta, const double* input, const double* target, const double* weight, bool per_value,
                        double scale, double* grad_input, int64_t count) noexcept;

}  // namespace convoy::kernels
