// Softmax along the middle axis of a dense (outer, n, inner) array, in parallel. The bits of a slice depend on that slice and on
// n and inner alone. A slice of only -inf, or with +inf or NaN, gives NaN, as in PyTorch.
#pragma once

#include <cstdint>

namespace convoy::kernels {

struct SoftmaxAxis {
  int64_t outer, n, inner;
};

/// output = exp(input - max) / sum exp(input - max), or its logarithm if `logarithm`.
void softmax(const SoftmaxAxis& axis, bool logarithm, const float* input, float* output) noexcept;
void softmax(const SoftmaxAxis& axis, bool logarithm, const double* input, double* output) noexcept;

/// grad_input = output * (grad_output - sum grad_output * output), or, for the logarithm, grad_output - exp(output) * sum
/// grad_output.
void softmax_backward(const SoftmaxAxis& axis, bool logarithm, const float* grad_output, const float* output,
                      float* grad_input) noexcept;
void softmax_backward(const SoftmaxAxis& axis, bool logarithm, const double* grad_output, const double* output,
                      double* grad_input) noexcept;

}  // namespace convoy::kernels
