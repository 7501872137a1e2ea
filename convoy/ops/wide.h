// The types that loops over elements are compiled for, where a value does not change in a wider one.
#pragma once

#include "convoy/core/dtype.h"

namespace convoy::ops {

/// float32 for the floats of 16 bits, int64 for bool and the integers that it holds; the type itself else. Cut to a type's bits
/// again, sums, products and quotients in int64 are those of the type.
constexpr DType wide_type(DType dtype) {
  if (is_16_bit_float(dtype)) return DType::kFloat32;
  return is_floating(dtype) || dtype == DType::kUInt64 ? dtype : DType::kInt64;
}

/// The same with float64 for float32, too: for loops that only compare values or compute in float64 anyway.
constexpr DType widest_type(DType dtype) {
  const DType wide = wide_type(dtype);
  return wide == DType::kFloat32 ? DType::kFloat64 : wide;
}

/// Calls f with a value of a type that widest_type names.
template <class F>
void with_widest(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat64:
      return f(double{});
    case DType::kUInt64:
      return f(uint64_t{});
    default:
      return f(int64_t{});
  }
}

/// Calls f with a value of a type that wide_type names.
template <class F>
void with_wide(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat32:
      return f(float{});
    default:
      return with_widest(dtype, f);
  }
}

}  // namespace convoy::ops
