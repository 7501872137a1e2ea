// Arithmetic over broadcast arrays as plain loops.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "convoy/core/elementwise.h"

namespace convoy::kernels::reference {

/// Integers wrap. Their divisors are not 0, and kDiv is not for them.
template <Arithmetic kKind, class T>
T arithmetic(T a, T b) {
  constexpr bool kInteger = std::is_integral_v<T>;
  const auto wrapped = [](uint64_t v) { return static_cast<T>(v); };
  const auto bits = [](T v) { return static_cast<uint64_t>(v); };
  // The one quotient that does not fit, the least number by -1, wraps too.
  [[maybe_unused]] const auto by_minus_one = [&] { return std::is_signed_v<T> && b == static_cast<T>(-1); };
  switch (kKind) {
    case Arithmetic::kAdd:
      if constexpr (kInteger) return wrapped(bits(a) + bits(b));
      return a + b;
    case Arithmetic::kSub:
      if constexpr (kInteger) return wrapped(bits(a) - bits(b));
      return a - b;
    case Arithmetic::kMul:
      if constexpr (kInteger) return wrapped(bits(a) * bits(b));
      return a * b;
    case Arithmetic::kDiv:
      return a / b;
    case Arithmetic::kDivTrunc:
      if constexpr (kInteger) {
        return by_minus_one() ? wrapped(0 - bits(a)) : static_cast<T>(a / b);
      } else {
        return std::trunc(a / b);
      }
    case Arithmetic::kDivFloor:
      if constexpr (kInteger) {
        if (by_minus_one()) return wrapped(0 - bits(a));
        const T rest = static_cast<T>(a % b), quotient = static_cast<T>(a / b);
        return static_cast<T>(rest != 0 && (rest < 0) != (b < 0) ? quotient - 1 : quotient);
      } else {
        return std::floor(a / b);
      }
    case Arithmetic::kRemainder:
    case Arithmetic::kFmod:
      if constexpr (kInteger) {
        if (by_minus_one()) return 0;
        const T rest = static_cast<T>(a % b);
        return static_cast<T>(kKind == Arithmetic::kRemainder && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
      } else {
        const T rest = std::fmod(a, b);
        return kKind == Arithmetic::kRemainder && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
      }
    case Arithmetic::kPow:
      if constexpr (kInteger) {
        if (b < 0) return static_cast<T>(a == 1 ? 1 : a == static_cast<T>(-1) ? (b % 2 == 0 ? 1 : -1) : 0);
        uint64_t power = 1, square = bits(a);
        for (uint64_t n = bits(b); n > 0; n >>= 1, square *= square) power *= n % 2 == 1 ? square : 1;
        return wrapped(power);
      } else {
        return std::pow(a, b);
      }
    case Arithmetic::kMinimum:
      return a < b || a != a ? a : b;
    case Arithmetic::kMaximum:
      return a > b || a != a ? a : b;
    case Arithmetic::kPrelu:
      if constexpr (kInteger) return a < 0 ? wrapped(bits(a) * bits(b)) : a;
      return a < 0 ? a * b : a;
  }
  return a;
}

template <Arithmetic kKind, class T>
void arithmetic_row(const T* a, int64_t a_stride, const T* b, int64_t b_stride, T* output, int64_t n) {
  for (int64_t i = 0; i < n; ++i) output[i] = arithmetic<kKind>(a[i * a_stride], b[i * b_stride]);
}

/// One row: n values with strides of 0 or 1.
template <class T>
void arithmetic_row(Arithmetic kind, const T* a, int64_t a_stride, const T* b, int64_t b_stride, T* output, int64_t n) {
  switch (kind) {
#define CONVOY_ROW(kKind) \
  case Arithmetic::kKind: \
    return arithmetic_row<Arithmetic::kKind>(a, a_stride, b, b_stride, output, n)
    CONVOY_ROW(kAdd);
    CONVOY_ROW(kSub);
    CONVOY_ROW(kMul);
    CONVOY_ROW(kDiv);
    CONVOY_ROW(kDivTrunc);
    CONVOY_ROW(kDivFloor);
    CONVOY_ROW(kRemainder);
    CONVOY_ROW(kFmod);
    CONVOY_ROW(kPow);
    CONVOY_ROW(kMinimum);
    CONVOY_ROW(kMaximum);
    CONVOY_ROW(kPrelu);
#undef CONVOY_ROW
  }
}

}  // namespace convoy::kernels::reference
