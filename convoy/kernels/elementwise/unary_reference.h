// Functions of one number as the C library has them.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "convoy/core/elementwise.h"

namespace convoy::kernels::reference {

/// Of the integers kAbs, kNeg and kSign only.
template <Unary kKind, class T>
T unary(T x) {
  if constexpr (std::is_integral_v<T>) {
    const T negated = static_cast<T>(0 - static_cast<uint64_t>(x));
    if constexpr (kKind == Unary::kAbs) return x < 0 ? negated : x;
    if constexpr (kKind == Unary::kNeg) return negated;
    if constexpr (kKind == Unary::kSign) return static_cast<T>((x > 0) - (x < 0));
    return x;
  } else {
    switch (kKind) {
      case Unary::kAbs:
        return std::abs(x);
      case Unary::kNeg:
        return -x;
      case Unary::kSign:
        return x != x ? x : static_cast<T>((x > 0) - (x < 0));
      case Unary::kFloor:
        return std::floor(x);
      case Unary::kCeil:
        return std::ceil(x);
      case Unary::kRound:
        return std::nearbyint(x);
      case Unary::kReciprocal:
        return T(1) / x;
      case Unary::kSqrt:
        return std::sqrt(x);
      case Unary::kRsqrt:
        return T(1) / std::sqrt(x);
      case Unary::kExp:
        return std::exp(x);
      case Unary::kLog:
        return std::log(x);
      case Unary::kErf:
        return std::erf(x);
      case Unary::kSin:
        return std::sin(x);
      case Unary::kCos:
        return std::cos(x);
      case Unary::kTan:
        return std::tan(x);
      case Unary::kAsin:
        return std::asin(x);
      case Unary::kAcos:
        return std::acos(x);
      case Unary::kAtan:
        return std::atan(x);
      case Unary::kSinh:
        return std::sinh(x);
      case Unary::kCosh:
        return std::cosh(x);
      case Unary::kAsinh:
        return std::asinh(x);
      case Unary::kAcosh:
        return std::acosh(x);
      case Unary::kAtanh:
        return std::atanh(x);
    }
    return x;
  }
}

template <class T>
void unary(Unary kind, const T* input, T* output, int64_t count) {
  switch (kind) {
#define CONVOY_UNARY(kKind)                                                        \
  case Unary::kKind:                                                               \
    for (int64_t i = 0; i < count; ++i) output[i] = unary<Unary::kKind>(input[i]); \
    return
    CONVOY_UNARY(kAbs);
    CONVOY_UNARY(kNeg);
    CONVOY_UNARY(kSign);
    CONVOY_UNARY(kFloor);
    CONVOY_UNARY(kCeil);
    CONVOY_UNARY(kRound);
    CONVOY_UNARY(kReciprocal);
    CONVOY_UNARY(kSqrt);
    CONVOY_UNARY(kRsqrt);
    CONVOY_UNARY(kExp);
    CONVOY_UNARY(kLog);
    CONVOY_UNARY(kErf);
    CONVOY_UNARY(kSin);
    CONVOY_UNARY(kCos);
    CONVOY_UNARY(kTan);
    CONVOY_UNARY(kAsin);
    CONVOY_UNARY(kAcos);
    CONVOY_UNARY(kAtan);
    CONVOY_UNARY(kSinh);
    CONVOY_UNARY(kCosh);
    CONVOY_UNARY(kAsinh);
    CONVOY_UNARY(kAcosh);
    CONVOY_UNARY(kAtanh);
#undef CONVOY_UNARY
  }
}

}  // namespace convoy::kernels::reference
