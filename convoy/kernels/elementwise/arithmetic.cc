#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/elementwise/arithmetic.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/elementwise/arithmetic.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/kernels/elementwise/arithmetic_reference.h"
#include "convoy/kernels/elementwise/loops-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class F>
HWY_INLINE void Row(const F& f, const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* output, int64_t n) {
  if (a_stride == 1 && b_stride == 1) {
    Map(f, a, b, output, n);
  } else if (a_stride == 1) {
    const float repeated = *b;
    Map([&](auto d, auto v) HWY_ATTR { return f(d, v, hn::Set(d, repeated)); }, a, output, n);
  } else {
    const float repeated = *a;
    Map([&](auto d, auto v) HWY_ATTR { return f(d, hn::Set(d, repeated), v); }, b, output, n);
  }
}

void ArithmeticRow(Arithmetic kind, const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* output, int64_t n) {
  const auto row = [&](const auto& f) { Row(f, a, a_stride, b, b_stride, output, n); };
  switch (kind) {
    case Arithmetic::kAdd:
      return row([](auto, auto u, auto v) HWY_ATTR { return hn::Add(u, v); });
    case Arithmetic::kSub:
      return row([](auto, auto u, auto v) HWY_ATTR { return hn::Sub(u, v); });
    case Arithmetic::kMul:
      return row([](auto, auto u, auto v) HWY_ATTR { return hn::Mul(u, v); });
    case Arithmetic::kDiv:
      return row([](auto, auto u, auto v) HWY_ATTR { return hn::Div(u, v); });
  }
}

void Affine(const float* x, float scale, float shift, float* y, int64_t count) {
  Map([=](auto d, auto v) HWY_ATTR { return hn::Add(hn::Mul(v, hn::Set(d, scale)), hn::Set(d, shift)); }, x, y, count);
}

void AddScaled(float* target, const float* values, float scale, int64_t count) {
  Map([=](auto d, auto t, auto v) HWY_ATTR { return hn::Add(t, hn::Mul(v, hn::Set(d, scale))); }, target, values, target, count);
}

void Sqrt(const float* x, float* y, int64_t count) {
  Map([](auto, auto v) HWY_ATTR { return hn::Sqrt(v); }, x, y, count);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(ArithmeticRow);
HWY_EXPORT(Affine);
HWY_EXPORT(AddScaled);
HWY_EXPORT(Sqrt);

namespace {

constexpr int64_t kGrain = 32768;

// Calls row(a, a_stride, b, b_stride, output, n) for pieces of rows (the last axis) that together cover the output.
template <class T, class RowFunction>
void for_each_row(const Broadcast& loop, const T* a, const T* b, T* output, const RowFunction& row) {
  const size_t last = loop.sizes.size() - 1;
  const int64_t inner = loop.sizes[last], a_stride = loop.a_strides[last], b_stride = loop.b_strides[last];
  int64_t rows = 1;
  for (size_t axis = 0; axis < last; ++axis) rows *= loop.sizes[axis];
  if (rows == 0 || inner == 0) return;
  const int64_t pieces = (inner + kGrain - 1) / kGrain;  // per row
  const int64_t rows_per_task = std::max<int64_t>(1, kGrain / inner);
  parallel_ranges(rows * pieces, rows_per_task, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t r = piece / pieces, from = piece % pieces * kGrain;
      int64_t a_at = from * a_stride, b_at = from * b_stride, rest = r;
      for (size_t axis = last; axis-- > 0;) {
        const int64_t index = rest % loop.sizes[axis];
        rest /= loop.sizes[axis];
        a_at += index * loop.a_strides[axis];
        b_at += index * loop.b_strides[axis];
      }
      row(a + a_at, a_stride, b + b_at, b_stride, output + r * inner + from, std::min(kGrain, inner - from));
    }
  });
}

template <class T>
void plain_arithmetic(Arithmetic kind, const Broadcast& loop, const T* a, const T* b, T* output) {
  for_each_row(loop, a, b, output, [kind](const T* p, int64_t p_stride, const T* q, int64_t q_stride, T* out, int64_t n) {
    reference::arithmetic_row(kind, p, p_stride, q, q_stride, out, n);
  });
}

}  // namespace

void arithmetic(Arithmetic kind, const Broadcast& loop, const float* a, const float* b, float* output) noexcept {
  const auto f = HWY_DYNAMIC_DISPATCH(ArithmeticRow);
  for_each_row(loop, a, b, output, [&](const float* p, int64_t p_stride, const float* q, int64_t q_stride, float* out, int64_t n) {
    f(kind, p, p_stride, q, q_stride, out, n);
  });
}
void arithmetic(Arithmetic kind, const Broadcast& loop, const double* a, const double* b, double* output) noexcept {
  plain_arithmetic(kind, loop, a, b, output);
}
void arithmetic(Arithmetic kind, const Broadcast& loop, const int64_t* a, const int64_t* b, int64_t* output) noexcept {
  plain_arithmetic(kind, loop, a, b, output);
}

void affine(const float* input, double scale, double shift, float* output, int64_t count) noexcept {
  const auto f = HWY_DYNAMIC_DISPATCH(Affine);
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    f(input + begin, static_cast<float>(scale), static_cast<float>(shift), output + begin, end - begin);
  });
}
void affine(const double* input, double scale, double shift, double* output, int64_t count) noexcept {
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) output[i] = input[i] * scale + shift;
  });
}

void add_scaled(float* target, const float* values, double scale, int64_t count) noexcept {
  const auto f = HWY_DYNAMIC_DISPATCH(AddScaled);
  parallel_ranges(count, kGrain,
                  [&](int64_t begin, int64_t end) { f(target + begin, values + begin, static_cast<float>(scale), end - begin); });
}
void add_scaled(double* target, const double* values, double scale, int64_t count) noexcept {
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) target[i] += scale * values[i];
  });
}

void sqrt(const float* input, float* output, int64_t count) noexcept {
  const auto f = HWY_DYNAMIC_DISPATCH(Sqrt);
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) { f(input + begin, output + begin, end - begin); });
}
void sqrt(const double* input, double* output, int64_t count) noexcept {
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) output[i] = std::sqrt(input[i]);
  });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
