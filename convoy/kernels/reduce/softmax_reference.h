// Softmax of one slice (n values, `stride` apart) as plain loops, for float, double and std::complex<double>.
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>

namespace convoy::kernels::reference {

template <class T>
void softmax(bool logarithm, const T* x, T* y, int64_t n, int64_t stride) {
  if (n == 0) return;
  T most = x[0];
  for (int64_t i = 1; i < n; ++i) {
    const T v = x[i * stride];
    if (std::real(v) > std::real(most) || std::isnan(std::real(v))) most = v;
  }
  T sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(x[i * stride] - most);
  const T log_sum = std::log(sum);
  for (int64_t i = 0; i < n; ++i) {
    const T v = x[i * stride] - most;
    y[i * stride] = logarithm ? v - log_sum : std::exp(v) / sum;
  }
}

template <class T>
void softmax_backward(bool logarithm, const T* g, const T* y, T* grad, int64_t n, int64_t stride) {
  T sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += logarithm ? g[i * stride] : g[i * stride] * y[i * stride];
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = i * stride;
    grad[at] = logarithm ? g[at] - std::exp(y[at]) * sum : y[at] * (g[at] - sum);
  }
}

}  // namespace convoy::kernels::reference
