// Softmax of one slice (n values, `stride` apart) as plain loops, for float, double and std::complex<double>.
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>

namespace convoy::kernels::reference {

/// Computed in Sum.
template <class T, class Sum = T>
void softmax(bool logarithm, const T* x, T* y, int64_t n, int64_t stride) {
  if (n == 0) return;
  T most = x[0];
  for (int64_t i = 1; i < n; ++i) {
    const T v = x[i * stride];
    if (std::real(v) > std::real(most) || std::isnan(std::real(v))) most = v;
  }
  const auto below = [&](int64_t i) { return static_cast<Sum>(x[i * stride]) - static_cast<Sum>(most); };
  Sum sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(below(i));
  const Sum log_sum = std::log(sum);
  for (int64_t i = 0; i < n; ++i) {
    const Sum v = below(i);
    y[i * stride] = static_cast<T>(logarithm ? v - log_sum : std::exp(v) / sum);
  }
}

template <class T, class Sum = T>
void softmax_backward(bool logarithm, const T* g, const T* y, T* grad, int64_t n, int64_t stride) {
  const auto wide = [](T v) { return static_cast<Sum>(v); };
  Sum sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += logarithm ? wide(g[i * stride]) : wide(g[i * stride]) * wide(y[i * stride]);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = i * stride;
    grad[at] = static_cast<T>(logarithm ? wide(g[at]) - std::exp(wide(y[at])) * sum : wide(y[at]) * (wide(g[at]) - sum));
  }
}

}  // namespace convoy::kernels::reference
