// Functions of single values for machines without vectors: blocks of float32 go through the loops that serve float64, so that there
// is no code for them alone. A result is the double's, rounded once.
#pragma once

#include <algorithm>
#include <cstdint>

namespace convoy::kernels {

/// f(const double* x, double* y, count) over blocks of `count` values.
template <class F>
void in_double(const F& f, const float* x, float* y, int64_t count) {
  constexpr int64_t kBlock = 256;
  double wide[kBlock];
  for (int64_t i = 0; i < count; i += kBlock) {
    const int64_t n = std::min(kBlock, count - i);
    std::copy_n(x + i, n, wide);
    f(wide, wide, n);
    for (int64_t k = 0; k < n; ++k) y[i + k] = static_cast<float>(wide[k]);
  }
}

/// f(const double* a, const double* b, double* y, count).
template <class F>
void in_double(const F& f, const float* a, const float* b, float* y, int64_t count) {
  constexpr int64_t kBlock = 256;
  double wide[kBlock], second[kBlock];
  for (int64_t i = 0; i < count; i += kBlock) {
    const int64_t n = std::min(kBlock, count - i);
    std::copy_n(a + i, n, wide);
    std::copy_n(b + i, n, second);
    f(wide, second, wide, n);
    for (int64_t k = 0; k < n; ++k) y[i + k] = static_cast<float>(wide[k]);
  }
}

}  // namespace convoy::kernels
