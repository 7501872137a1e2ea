#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/norm/lrn.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/norm/lrn.h"

#include <algorithm>
#include <cmath>

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/loops-inl.h"
#include "convoy/kernels/elementwise/math-inl.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_NORM_LRN_COLUMNS_
#define CONVOY_KERNELS_NORM_LRN_COLUMNS_
namespace convoy::kernels {
namespace {

// In double.
template <class T>
void lrn_columns(const LrnShape& s, const T* input, T* output, int64_t begin, int64_t end) {
  for (int64_t c = 0; c < s.channels; ++c) {
    const int64_t before = (s.size - 1) / 2, first = std::max<int64_t>(0, c - before);
    const int64_t stop = std::min(s.channels, c - before + s.size);
    for (int64_t i = begin; i < end; ++i) {
      const auto at = [&](int64_t k) { return static_cast<double>(input[k * s.length + i]); };
      double sum = 0;
      for (int64_t k = first; k < stop; ++k) sum += at(k) * at(k);
      output[c * s.length + i] = static_cast<T>(at(c) / std::pow(s.bias + s.alpha / static_cast<double>(s.size) * sum, s.beta));
    }
  }
}

}  // namespace
}  // namespace convoy::kernels
#endif  // CONVOY_KERNELS_NORM_LRN_COLUMNS_

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
void LrnColumns(const LrnShape& s, const float* input, float* output, int64_t begin, int64_t end) {
  lrn_columns(s, input, output, begin, end);
}
#else
// v^-beta for v > 0; roots are exact where beta, mostly 0.75, is made of them.
template <class D, class V = hn::Vec<D> >
HWY_INLINE V InversePower(D d, V v, float beta) {
  const V one = hn::Set(d, 1.0f);
  if (beta == 0.75f) {
    const V root = hn::Sqrt(v);
    return hn::Div(one, hn::Mul(root, hn::Sqrt(root)));
  }
  if (beta == 0.5f) return hn::Div(one, hn::Sqrt(v));
  if (beta == 1.0f) return hn::Div(one, v);
  return AnyExp(d, hn::Mul(hn::Set(d, -beta), AnyLog(d, v)));
}

// One vector of one channel: `below` and `above` are how many channels of the window there are on either side.
template <class D, class Load>
HWY_INLINE hn::Vec<D> Normalised(D d, const Load& load, int64_t below, int64_t above, float scale, float beta, float bias) {
  const auto x = load(0);
  auto sum = hn::Mul(x, x);
  for (int64_t k = -below; k <= above; ++k) {
    if (k == 0) continue;
    const auto v = load(k);
    sum = hn::MulAdd(v, v, sum);
  }
  return hn::Mul(x, InversePower(d, hn::MulAdd(sum, hn::Set(d, scale), hn::Set(d, bias)), beta));
}

// The values [begin, end) of every channel of one sample.
void LrnColumns(const LrnShape& s, const float* input, float* output, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto scale = static_cast<float>(s.alpha / static_cast<double>(s.size)), beta = static_cast<float>(s.beta),
             bias = static_cast<float>(s.bias);
  for (int64_t c = 0; c < s.channels; ++c) {
    const int64_t below = std::min(c, (s.size - 1) / 2), above = std::min(s.channels - 1 - c, s.size - 1 - (s.size - 1) / 2);
    const float* x = input + c * s.length;
    float* y = output + c * s.length;
    int64_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      const auto load = [&](int64_t k) HWY_ATTR { return hn::LoadU(d, x + k * s.length + i); };
      hn::StoreU(Normalised(d, load, below, above, scale, beta, bias), d, y + i);
    }
    if (i < end) {
      const auto load = [&](int64_t k) HWY_ATTR { return LoadPart(d, x + k * s.length + i, end - i); };
      StorePart(Normalised(d, load, below, above, scale, beta, bias), d, y + i, end - i);
    }
  }
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(LrnColumns);

template <class T>
void lrn(const LrnShape& s, const T* input, T* output) noexcept {
  if (s.batch * s.channels * s.length == 0) return;
  constexpr int64_t kColumns = 512;  // of a task: `size` channels of them stay in the first-level cache
  const int64_t pieces = (s.length + kColumns - 1) / kColumns;
  parallel_for(s.batch * pieces, [&](int64_t task) {
    const int64_t at = task / pieces * s.channels * s.length, begin = task % pieces * kColumns;
    const int64_t end = std::min(s.length, begin + kColumns);
    if constexpr (std::is_same_v<T, float>) {
      CONVOY_DISPATCH(LrnColumns)(s, input + at, output + at, begin, end);
    } else {
      lrn_columns(s, input + at, output + at, begin, end);
    }
  });
}
template void lrn(const LrnShape&, const float*, float*) noexcept;
template void lrn(const LrnShape&, const double*, double*) noexcept;

}  // namespace convoy::kernels
#endif  // HWY_ONCE
