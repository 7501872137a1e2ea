// Arithmetic over broadcast arrays as plain loops.
#pragma once

#include <cstdint>

#include "convoy/core/elementwise.h"
#include "convoy/kernels/elementwise/broadcast.h"

namespace convoy::kernels::reference {

template <class T>
T arithmetic(Arithmetic kind, T a, T b) {
  switch (kind) {
    case Arithmetic::kAdd:
      return a + b;
    case Arithmetic::kSub:
      return a - b;
    case Arithmetic::kMul:
      return a * b;
    case Arithmetic::kDiv:
      return a / b;
  }
  return a;
}

/// One row: n values with strides of 0 or 1.
template <class T>
void arithmetic_row(Arithmetic kind, const T* a, int64_t a_stride, const T* b, int64_t b_stride, T* output, int64_t n) {
  for (int64_t i = 0; i < n; ++i) output[i] = arithmetic(kind, a[i * a_stride], b[i * b_stride]);
}

}  // namespace convoy::kernels::reference
