// Checked 64-bit arithmetic: sizes come from users and files, so every sum and product can be asked to overflow.
#pragma once

#include <cstdint>

#include "convoy/shape/result.h"

namespace convoy::shape {

/// Accumulates sums and products of int64_t and remembers whether any of them left the range.
///
///   Checked bytes = Checked(n) * c * h * w * 4;
///   if (!bytes.ok()) return ShapeError{ShapeErrorCode::kOverflow};
class Checked {
 public:
  constexpr Checked(int64_t value) : value_(value) {}  // NOLINT(google-explicit-constructor)

  constexpr bool ok() const { return ok_; }
  constexpr int64_t value() const { return value_; }

  friend constexpr Checked operator+(Checked a, Checked b) {
    Checked r(0);
    r.ok_ = !__builtin_add_overflow(a.value_, b.value_, &r.value_) && a.ok_ && b.ok_;
    return r;
  }
  friend constexpr Checked operator-(Checked a, Checked b) {
    Checked r(0);
    r.ok_ = !__builtin_sub_overflow(a.value_, b.value_, &r.value_) && a.ok_ && b.ok_;
    return r;
  }
  friend constexpr Checked operator*(Checked a, Checked b) {
    Checked r(0);
    r.ok_ = !__builtin_mul_overflow(a.value_, b.value_, &r.value_) && a.ok_ && b.ok_;
    return r;
  }

 private:
  int64_t value_;
  bool ok_ = true;
};

/// a / b rounded toward minus infinity, b > 0.
constexpr int64_t floor_div(int64_t a, int64_t b) { return a / b - ((a % b != 0) && (a < 0)); }

/// a / b rounded toward plus infinity, b > 0.
constexpr int64_t ceil_div(int64_t a, int64_t b) { return a / b + ((a % b != 0) && (a > 0)); }

}  // namespace convoy::shape
