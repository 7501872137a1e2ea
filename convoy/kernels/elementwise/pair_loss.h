// Losses between pairs of values, in parallel.
#pragma once

#include <cstdint>

#include "convoy/core/elementwise.h"

namespace convoy::kernels {

/// losses[i] = loss(input[i], target[i]); beta > 0 is smooth_l1's.
template <class T>
void pair_loss(PairLoss kind, double beta, const T* input, const T* target, T* losses, int64_t count) noexcept;

/// grad_input[i] = d loss / d input * weight[i] (per_value) or weight[0], times scale.
template <class T>
void pair_loss_backward(PairLoss kind, double beta, const T* input, const T* target, const T* weight, bool per_value, double scale,
                        T* grad_input, int64_t count) noexcept;

}  // namespace convoy::kernels
