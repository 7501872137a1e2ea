// Everything is computed in double, so that float32 results are exact to the last bit or two; powers of 1, 2 and 3 are products.
#include "convoy/kernels/pool/lp_pool.h"

#include <cmath>

#include "convoy/core/parallel.h"

namespace convoy::kernels {

namespace {

constexpr int64_t kElementsPerTask = 4096;

double power(double x, double p) {
  if (p == 1) return x;
  if (p == 2) return x * x;
  if (p == 3) return x * x * x;
  return std::pow(x, p);
}

// x^(1/p); the square root of a negative number is NaN with either sign of zero.
double root(double x, double p) {
  if (p == 1) return x;
  if (p == 2) return std::sqrt(x);
  return std::pow(x, 1 / p);
}

template <class Body>
void for_each_element(int64_t count, Body&& body) {
  parallel_ranges(count, kElementsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

}  // namespace

template <class T>
void lp_pool_power(int64_t count, double p, const T* input, T* output) noexcept {
  for_each_element(count, [&](int64_t i) { output[i] = static_cast<T>(power(input[i], p)); });
}

template <class T>
void lp_pool_root(int64_t count, double p, double window_size, const T* average, T* output) noexcept {
  for_each_element(count, [&](int64_t i) { output[i] = static_cast<T>(root(average[i] * window_size, p)); });
}

template <class T>
void lp_pool_root_backward(int64_t count, double p, double window_size, const T* average, const T* grad_output,
                           T* grad_average) noexcept {
  for_each_element(count, [&](int64_t i) {
    const double sum = average[i] * window_size;
    const double slope = p == 1 ? 1 : p == 2 ? 0.5 / std::sqrt(sum) : std::pow(sum, 1 / p - 1) / p;
    grad_average[i] = sum == 0 ? T(0) : static_cast<T>(grad_output[i] * slope * window_size);
  });
}

template <class T>
void lp_pool_power_backward(int64_t count, double p, const T* input, const T* grad_power, T* grad_input) noexcept {
  for_each_element(count, [&](int64_t i) {
    const double slope = p == 1 ? 1 : p == 2 ? 2 * static_cast<double>(input[i]) : p * power(input[i], p - 1);
    grad_input[i] = static_cast<T>(grad_power[i] * slope);
  });
}

#define CONVOY_LP_POOL(T)                                                                           \
  template void lp_pool_power<T>(int64_t, double, const T*, T*) noexcept;                           \
  template void lp_pool_root<T>(int64_t, double, double, const T*, T*) noexcept;                    \
  template void lp_pool_root_backward<T>(int64_t, double, double, const T*, const T*, T*) noexcept; \
  template void lp_pool_power_backward<T>(int64_t, double, const T*, const T*, T*) noexcept;
CONVOY_LP_POOL(float)
CONVOY_LP_POOL(double)
#undef CONVOY_LP_POOL

}  // namespace convoy::kernels
