// Normalisation of one run of values as plain loops.
#pragma once

#include <cmath>
#include <cstdint>

namespace convoy::kernels::reference {

/// Sum of n values and of their squared deviations from their mean, in two passes.
template <class T, class Sum>
void moments(const T* x, int64_t n, Sum& sum, Sum& squares) {
  sum = squares = Sum(0);
  for (int64_t i = 0; i < n; ++i) sum += static_cast<Sum>(x[i]);
  const Sum mean = sum / static_cast<Sum>(static_cast<double>(n));
  for (int64_t i = 0; i < n; ++i) {
    const Sum deviation = static_cast<Sum>(x[i]) - mean;
    squares += deviation * deviation;
  }
}

template <class T>
void normalize(const T* x, int64_t n, T center, T scale, T shift, T* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - center) * scale + shift;
}

template <class T>
void sums(const T* grad, const T* x, int64_t n, double mean, double& grad_sum, double& product_sum) {
  grad_sum = product_sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    grad_sum += static_cast<double>(grad[i]);
    product_sum += static_cast<double>(grad[i]) * (static_cast<double>(x[i]) - mean);
  }
}

template <class T>
void grad_plane(const T* grad, const T* x, int64_t n, double center, double a, double b, double c, T* grad_input) {
  for (int64_t i = 0; i < n; ++i) {
    grad_input[i] = static_cast<T>(static_cast<double>(grad[i]) * a + (static_cast<double>(x[i]) - center) * b + c);
  }
}

template <class T>
void normalize_row(const T* x, int64_t n, T center, T scale, T shift, const T* weight, const T* bias, T* y) {
  for (int64_t i = 0; i < n; ++i) {
    const T normal = (x[i] - center) * scale + shift;
    y[i] = (weight ? normal * weight[i] : normal) + (bias ? bias[i] : T(0));
  }
}

/// With v = grad * weight and u = (x - mean) inv_std: inv_std (v - mean(v) - u mean(u v)).
template <class T>
void grad_row(const T* grad, const T* x, int64_t n, double mean, double inv_std, const T* weight, T* grad_input) {
  double v_sum = 0, product_sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double v = static_cast<double>(grad[i]) * (weight ? static_cast<double>(weight[i]) : 1.0);
    v_sum += v;
    product_sum += v * (static_cast<double>(x[i]) - mean);
  }
  const double count = static_cast<double>(n), slope = product_sum * inv_std * inv_std / count;
  for (int64_t i = 0; i < n; ++i) {
    const double v = static_cast<double>(grad[i]) * (weight ? static_cast<double>(weight[i]) : 1.0);
    grad_input[i] = static_cast<T>(inv_std * (v - v_sum / count - (static_cast<double>(x[i]) - mean) * slope));
  }
}

/// Adds a row to the column sums.
template <class T>
void add_row(const T* grad, const T* x, int64_t n, double mean, double inv_std, double* grad_sum, double* product_sum) {
  for (int64_t i = 0; i < n; ++i) {
    grad_sum[i] += static_cast<double>(grad[i]);
    product_sum[i] += static_cast<double>(grad[i]) * ((static_cast<double>(x[i]) - mean) * inv_std);
  }
}

}  // namespace convoy::kernels::reference
