// Activations over arrays of `count` values, in parallel. float runs in SIMD, double the reference. The bits of a value depend on
// that value alone: not on its position, the count or the threads. Output and input may be the same array. NaN stays NaN.
#pragma once

#include <cstdint>

#include "convoy/core/elementwise.h"

namespace convoy::kernels {

/// output[i] = f(input[i]).
void activation(Activation kind, const ActivationOptions& options, const float* input, float* output, int64_t count) noexcept;
void activation(Activation kind, const ActivationOptions& options, const double* input, double* output, int64_t count) noexcept;

/// The same over rows of `count` values that lie `stride` apart, on the calling thread: for kernels that finish what they just
/// stored. a and b are the options.
using ActivationOnRows = void (*)(Activation kind, float a, float b, const float* input, float* output, int64_t stride,
                                  int64_t rows, int64_t count);
ActivationOnRows activation_on_rows() noexcept;

/// grad_input[i] = grad_output[i] * f'(input[i]), with PyTorch's choice of f' at the kinks.
void activation_backward(Activation kind, const ActivationOptions& options, const float* grad_output, const float* input,
                         float* grad_input, int64_t count) noexcept;
void activation_backward(Activation kind, const ActivationOptions& options, const double* grad_output, const double* input,
                         double* grad_input, int64_t count) noexcept;

/// The same of kSigmoid and kTanh from output[i] = f(input[i]), which costs no exponential.
void activation_backward_from_output(Activation kind, const float* grad_output, const float* output, float* grad_input,
                                     int64_t count) noexcept;
void activation_backward_from_output(Activation kind, const double* grad_output, const double* output, double* grad_input,
                                     int64_t count) noexcept;

}  // namespace convoy::kernels
