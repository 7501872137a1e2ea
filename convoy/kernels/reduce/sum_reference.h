// Sums and argmax as plain loops.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

namespace convoy::kernels::reference {

/// Pairwise: halves down to 32 values, those one after another. The error grows with log2(n). Not inlined into itself, which took
/// 20 KB.
template <class Sum, class T>
[[gnu::noinline]] Sum sum_strided(const T* input, int64_t n, int64_t stride) {
  if (n > 32) return sum_strided<Sum>(input, n / 2, stride) + sum_strided<Sum>(input + n / 2 * stride, n - n / 2, stride);
  Sum sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<Sum>(input[i * stride]);
  return sum;
}

template <class T>
bool is_nan(T x) {
  if constexpr (std::is_floating_point_v<T>) return std::isnan(x);
  return false;
}

template <class T>
int64_t argmax_strided(const T* input, int64_t n, int64_t stride) {
  int64_t best = 0;
  for (int64_t i = 1; i < n && !is_nan(input[best * stride]); ++i) {
    if (input[i * stride] > input[best * stride] || is_nan(input[i * stride])) best = i;
  }
  return best;
}

}  // namespace convoy::kernels::reference
