#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/elementwise/arithmetic.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/elementwise/arithmetic.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/arithmetic_reference.h"
#include "convoy/kernels/elementwise/loops-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
void ArithmeticRow(Arithmetic kind, const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* output, int64_t n) {
  reference::arithmetic_row(kind, a, a_stride, b, b_stride, output, n);
}
#else
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
    case Arithmetic::kMinimum:
      return row([](auto, auto u, auto v) HWY_ATTR { return hn::IfThenElse(hn::Or(hn::Lt(u, v), hn::IsNaN(u)), u, v); });
    case Arithmetic::kMaximum:
      return row([](auto, auto u, auto v) HWY_ATTR { return hn::IfThenElse(hn::Or(hn::Gt(u, v), hn::IsNaN(u)), u, v); });
    case Arithmetic::kPrelu:
      return row([](auto d, auto u, auto v) HWY_ATTR { return hn::IfThenElse(hn::Lt(u, hn::Zero(d)), hn::Mul(u, v), u); });
    default:  // calls of the C library
      return reference::arithmetic_row(kind, a, a_stride, b, b_stride, output, n);
  }
}
#endif

void Affine(const float* x, float scale, float shift, float* y, int64_t count) {
  Map([=](auto d, auto v) HWY_ATTR { return hn::Add(hn::Mul(v, hn::Set(d, scale)), hn::Set(d, shift)); }, x, y, count);
}

void AddScaled(float* target, const float* values, float scale, int64_t count) {
  Map([=](auto d, auto t, auto v) HWY_ATTR { return hn::Add(t, hn::Mul(v, hn::Set(d, scale))); }, target, values, target, count);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(ArithmeticRow);
CONVOY_EXPORT(Affine);
CONVOY_EXPORT(AddScaled);

namespace {

constexpr int64_t kGrain = 32768;

}  // namespace

template <class T>
void arithmetic(Arithmetic kind, const Broadcast<2>& loop, const T* a, const T* b, T* output) noexcept {
  const int64_t a_stride = loop.strides[0].back(), b_stride = loop.strides[1].back();
  auto row = reference::arithmetic_row<T>;
  if constexpr (std::is_same_v<T, float>) row = CONVOY_DISPATCH(ArithmeticRow);
  for_each_row(loop,
               [&](const auto& at, int64_t to, int64_t n) { row(kind, a + at[0], a_stride, b + at[1], b_stride, output + to, n); });
}
#define CONVOY_ARITHMETIC(T) template void arithmetic(Arithmetic, const Broadcast<2>&, const T*, const T*, T*) noexcept
CONVOY_ARITHMETIC(float);
CONVOY_ARITHMETIC(double);
CONVOY_ARITHMETIC(int64_t);
CONVOY_ARITHMETIC(uint64_t);
#undef CONVOY_ARITHMETIC

void affine(const float* input, double scale, double shift, float* output, int64_t count) noexcept {
  const auto f = CONVOY_DISPATCH(Affine);
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
  const auto f = CONVOY_DISPATCH(AddScaled);
  parallel_ranges(count, kGrain,
                  [&](int64_t begin, int64_t end) { f(target + begin, values + begin, static_cast<float>(scale), end - begin); });
}
void add_scaled(double* target, const double* values, double scale, int64_t count) noexcept {
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) target[i] += scale * values[i];
  });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
