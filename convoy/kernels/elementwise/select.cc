#include "convoy/kernels/elementwise/select.h"

namespace convoy::kernels {

namespace {

// One row with strides of 0 or 1. A repeated operand becomes a constant, so that the loop is one the compiler turns into vectors.
template <class A, class B, class Out, class F>
void row(const A* a, int64_t a_stride, const B* b, int64_t b_stride, Out* output, int64_t n, const F& f) {
  if (a_stride == 1 && b_stride == 1) {
    for (int64_t i = 0; i < n; ++i) output[i] = f(a[i], b[i]);
  } else if (a_stride == 1) {
    const B v = *b;
    for (int64_t i = 0; i < n; ++i) output[i] = f(a[i], v);
  } else {
    const A u = *a;
    for (int64_t i = 0; i < n; ++i) output[i] = f(u, b[i]);
  }
}

template <class T, class F>
void rows(const Broadcast<2>& loop, const T* a, const T* b, bool* output, const F& f) {
  const int64_t a_stride = loop.strides[0].back(), b_stride = loop.strides[1].back();
  for_each_row(loop,
               [&](const auto& at, int64_t to, int64_t n) { row(a + at[0], a_stride, b + at[1], b_stride, output + to, n, f); });
}

template <class T>
void select_typed(const Broadcast<3>& loop, const bool* condition, const T* a, const T* b, T* output) {
  const int64_t c_stride = loop.strides[0].back(), a_stride = loop.strides[1].back(), b_stride = loop.strides[2].back();
  for_each_row(loop, [&](const auto& at, int64_t to, int64_t n) {
    const bool* c = condition + at[0];
    const T *u = a + at[1], *v = b + at[2];
    T* out = output + to;
    if (c_stride == 1 && a_stride == 1 && b_stride == 1) {
      for (int64_t i = 0; i < n; ++i) {  // by masks: branches would guess
        const T mask = static_cast<T>(0 - static_cast<T>(c[i]));
        out[i] = static_cast<T>((u[i] & mask) | (v[i] & ~mask));
      }
    } else {
      for (int64_t i = 0; i < n; ++i) {
        const T mask = static_cast<T>(0 - static_cast<T>(c[i * c_stride]));
        out[i] = static_cast<T>((u[i * a_stride] & mask) | (v[i * b_stride] & ~mask));
      }
    }
  });
}

}  // namespace

template <class T>
void compare(Comparison kind, const Broadcast<2>& loop, const T* a, const T* b, bool* output) noexcept {
  switch (kind) {
    case Comparison::kEqual:
      return rows(loop, a, b, output, [](T u, T v) { return u == v; });
    case Comparison::kNotEqual:
      return rows(loop, a, b, output, [](T u, T v) { return u != v; });
    case Comparison::kLess:
      return rows(loop, a, b, output, [](T u, T v) { return u < v; });
    case Comparison::kLessEqual:
      return rows(loop, a, b, output, [](T u, T v) { return u <= v; });
    case Comparison::kGreater:
      return rows(loop, a, b, output, [](T u, T v) { return u > v; });
    case Comparison::kGreaterEqual:
      return rows(loop, a, b, output, [](T u, T v) { return u >= v; });
  }
}
#define CONVOY_COMPARE(T) template void compare(Comparison, const Broadcast<2>&, const T*, const T*, bool*) noexcept
CONVOY_COMPARE(float);
CONVOY_COMPARE(double);
CONVOY_COMPARE(int64_t);
CONVOY_COMPARE(int32_t);
CONVOY_COMPARE(int16_t);
CONVOY_COMPARE(int8_t);
CONVOY_COMPARE(uint8_t);
CONVOY_COMPARE(uint16_t);
CONVOY_COMPARE(uint32_t);
CONVOY_COMPARE(uint64_t);
CONVOY_COMPARE(bool);
#undef CONVOY_COMPARE

void logical(Logical kind, const Broadcast<2>& loop, const bool* a, const bool* b, bool* output) noexcept {
  switch (kind) {
    case Logical::kAnd:
      return rows(loop, a, b, output, [](bool u, bool v) { return u && v; });
    case Logical::kOr:
      return rows(loop, a, b, output, [](bool u, bool v) { return u || v; });
    case Logical::kXor:
      return rows(loop, a, b, output, [](bool u, bool v) { return u != v; });
  }
}

void select(const Broadcast<3>& loop, const bool* condition, size_t element_size, const void* a, const void* b,
            void* output) noexcept {
  const auto run = [&](auto bits) {
    using T = decltype(bits);
    select_typed(loop, condition, static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(output));
  };
  switch (element_size) {
    case 1:
      return run(uint8_t{});
    case 2:
      return run(uint16_t{});
    case 4:
      return run(uint32_t{});
    default:
      return run(uint64_t{});
  }
}

}  // namespace convoy::kernels
