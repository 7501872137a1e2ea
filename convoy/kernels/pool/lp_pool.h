// The element-wise halves of Lp pooling; the sum in between is average pooling.
#pragma once

#include <cstdint>

namespace convoy::kernels {

/// output = input^p.
template <class T>
void lp_pool_power(int64_t count, double p, const T* input, T* output) noexcept;

/// output = (average * window_size)^(1/p), in place allowed. A negative average has no real root of most orders: NaN.
template <class T>
void lp_pool_root(int64_t count, double p, double window_size, const T* average, T* output) noexcept;

/// The gradient with respect to the average: grad_output * window_size / p * (average * window_size)^(1/p - 1), and 0 where the
/// average is 0, as PyTorch has it. In place allowed.
template <class T>
void lp_pool_root_backward(int64_t count, double p, double window_size, const T* average, const T* grad_output,
                           T* grad_average) noexcept;

/// grad_input = grad_power * p * input^(p - 1), in place allowed.
template <class T>
void lp_pool_power_backward(int64_t count, double p, const T* input, const T* grad_power, T* grad_input) noexcept;

}  // namespace convoy::kernels
