#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/reduce/softmax.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/reduce/softmax.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "convoy/core/parallel.h"
#include "convoy/kernels/elementwise/loops-inl.h"
#include "convoy/kernels/elementwise/math-inl.h"
#include "convoy/kernels/reduce/softmax_reference.h"
#include "convoy/kernels/reduce/sum-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The larger of both, NaN if one of them is.
template <class V>
HWY_INLINE V MaxOrNaN(V a, V b) {
  return hn::IfThenElse(hn::Or(hn::Gt(b, a), hn::IsNaN(b)), b, a);
}

// One contiguous slice. The sum is taken in double over the stored exponentials.
void SoftmaxRow(bool logarithm, const float* x, float* y, int64_t n) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const float lowest = -std::numeric_limits<float>::infinity();
  auto m = hn::Set(d, lowest);
  bool nan = false;
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) m = MaxOrNaN(m, hn::LoadU(d, x + i));
  if (i < n) m = MaxOrNaN(m, LoadPart(d, x + i, n - i, lowest));
  nan = !hn::AllFalse(d, hn::IsNaN(m));
  const float most = nan ? std::numeric_limits<float>::quiet_NaN() : hn::GetLane(hn::MaxOfLanes(d, m));
  Map([=](auto t, auto v) HWY_ATTR { return AnyExp(t, hn::Sub(v, hn::Set(t, most))); }, x, y, n);
  const double sum = SumToDouble(y, n);
  if (logarithm) {
    // x - max is exact to half a unit, log(sum) is at most log(n): subtracting them in this order keeps small results accurate.
    const float log_sum = static_cast<float>(std::log(sum));
    Map([=](auto t, auto v) HWY_ATTR { return hn::Sub(hn::Sub(v, hn::Set(t, most)), hn::Set(t, log_sum)); }, x, y, n);
  } else {
    const float scale = static_cast<float>(1.0 / sum);
    Map([=](auto t, auto v) HWY_ATTR { return hn::Mul(v, hn::Set(t, scale)); }, y, y, n);
  }
}

void SoftmaxBackwardRow(bool logarithm, const float* g, const float* y, float* grad, int64_t n) {
  if (logarithm) {
    const float sum = static_cast<float>(SumToDouble(g, n));
    Map([=](auto t, auto dy, auto v) HWY_ATTR { return hn::Sub(dy, hn::Mul(AnyExp(t, v), hn::Set(t, sum))); }, g, y, grad, n);
  } else {
    Map([](auto, auto dy, auto v) HWY_ATTR { return hn::Mul(dy, v); }, g, y, grad, n);
    const float sum = static_cast<float>(SumToDouble(grad, n));
    Map([=](auto t, auto dy, auto v) HWY_ATTR { return hn::Mul(v, hn::Sub(dy, hn::Set(t, sum))); }, g, y, grad, n);
  }
}

// A vector of neighbouring slices, n values `stride` apart each. Sums are added up in runs of 32, and the runs among themselves.
template <class D, class Load>
HWY_INLINE hn::Vec<D> SumInRuns(D d, int64_t n, const Load& load) {
  auto sum = hn::Zero(d);
  for (int64_t i = 0; i < n; i += 32) {
    auto run = hn::Zero(d);
    for (int64_t j = i; j < std::min(i + 32, n); ++j) run = hn::Add(run, load(j));
    sum = hn::Add(sum, run);
  }
  return sum;
}

template <class D, class Load, class Store>
HWY_INLINE void SoftmaxVector(D d, bool logarithm, int64_t n, const Load& load, const Store& store) {
  auto most = load(0);
  for (int64_t i = 1; i < n; ++i) most = MaxOrNaN(most, load(i));
  if (logarithm) {
    const auto log_sum = AnyLog(d, SumInRuns(d, n, [&](int64_t i) HWY_ATTR { return AnyExp(d, hn::Sub(load(i), most)); }));
    for (int64_t i = 0; i < n; ++i) store(i, hn::Sub(hn::Sub(load(i), most), log_sum));
  } else {
    const auto sum = SumInRuns(d, n, [&](int64_t i) HWY_ATTR { return AnyExp(d, hn::Sub(load(i), most)); });
    for (int64_t i = 0; i < n; ++i) store(i, hn::Div(AnyExp(d, hn::Sub(load(i), most)), sum));
  }
}

template <class D, class LoadG, class LoadY, class Store>
HWY_INLINE void SoftmaxBackwardVector(D d, bool logarithm, int64_t n, const LoadG& g, const LoadY& y, const Store& store) {
  if (logarithm) {
    const auto sum = SumInRuns(d, n, g);
    for (int64_t i = 0; i < n; ++i) store(i, hn::Sub(g(i), hn::Mul(AnyExp(d, y(i)), sum)));
  } else {
    const auto sum = SumInRuns(d, n, [&](int64_t i) HWY_ATTR { return hn::Mul(g(i), y(i)); });
    for (int64_t i = 0; i < n; ++i) store(i, hn::Mul(y(i), hn::Sub(g(i), sum)));
  }
}

// `columns` neighbouring slices.
void SoftmaxColumns(bool logarithm, const float* x, float* y, int64_t n, int64_t stride, int64_t columns) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + lanes <= columns; c += lanes) {
    SoftmaxVector(
        d, logarithm, n, [&](int64_t i) HWY_ATTR { return hn::LoadU(d, x + i * stride + c); },
        [&](int64_t i, auto v) HWY_ATTR { hn::StoreU(v, d, y + i * stride + c); });
  }
  const int64_t rest = columns - c;
  if (rest == 0) return;
  SoftmaxVector(
      d, logarithm, n, [&](int64_t i) HWY_ATTR { return LoadPart(d, x + i * stride + c, rest); },
      [&](int64_t i, auto v) HWY_ATTR { StorePart(v, d, y + i * stride + c, rest); });
}

void SoftmaxBackwardColumns(bool logarithm, const float* g, const float* y, float* grad, int64_t n, int64_t stride,
                            int64_t columns) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + lanes <= columns; c += lanes) {
    SoftmaxBackwardVector(
        d, logarithm, n, [&](int64_t i) HWY_ATTR { return hn::LoadU(d, g + i * stride + c); },
        [&](int64_t i) HWY_ATTR { return hn::LoadU(d, y + i * stride + c); },
        [&](int64_t i, auto v) HWY_ATTR { hn::StoreU(v, d, grad + i * stride + c); });
  }
  const int64_t rest = columns - c;
  if (rest == 0) return;
  SoftmaxBackwardVector(
      d, logarithm, n, [&](int64_t i) HWY_ATTR { return LoadPart(d, g + i * stride + c, rest); },
      [&](int64_t i) HWY_ATTR { return LoadPart(d, y + i * stride + c, rest); },
      [&](int64_t i, auto v) HWY_ATTR { StorePart(v, d, grad + i * stride + c, rest); });
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(SoftmaxRow);
HWY_EXPORT(SoftmaxBackwardRow);
HWY_EXPORT(SoftmaxColumns);
HWY_EXPORT(SoftmaxBackwardColumns);

namespace {

constexpr int64_t kGrain = 8192;   // values per task
constexpr int64_t kColumns = 128;  // slices per task, a multiple of every vector length

// Calls columns(offset, count) for groups of neighbouring slices.
template <class Columns>
void for_each_column_group(const SoftmaxAxis& axis, const Columns& columns) {
  const int64_t groups = (axis.inner + kColumns - 1) / kColumns;
  const int64_t values = axis.n * std::min(axis.inner, kColumns);
  parallel_ranges(axis.outer * groups, std::max<int64_t>(1, kGrain / std::max<int64_t>(values, 1)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t unit = begin; unit < end; ++unit) {
                      const int64_t column = unit % groups * kColumns;
                      columns(unit / groups * axis.n * axis.inner + column, std::min(kColumns, axis.inner - column));
                    }
                  });
}

int64_t rows_per_task(const SoftmaxAxis& axis) { return std::max<int64_t>(1, kGrain / axis.n); }

}  // namespace

void softmax(const SoftmaxAxis& axis, bool logarithm, const float* input, float* output) noexcept {
  if (axis.n == 0) return;
  if (axis.inner == 1) {
    const auto f = HWY_DYNAMIC_DISPATCH(SoftmaxRow);
    parallel_ranges(axis.outer, rows_per_task(axis), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) f(logarithm, input + r * axis.n, output + r * axis.n, axis.n);
    });
    return;
  }
  const auto f = HWY_DYNAMIC_DISPATCH(SoftmaxColumns);
  for_each_column_group(axis, [&](int64_t at, int64_t count) { f(logarithm, input + at, output + at, axis.n, axis.inner, count); });
}

void softmax(const SoftmaxAxis& axis, bool logarithm, const double* input, double* output) noexcept {
  for_each_column_group(axis, [&](int64_t at, int64_t count) {
    for (int64_t c = at; c < at + count; ++c) reference::softmax(logarithm, input + c, output + c, axis.n, axis.inner);
  });
}

void softmax_backward(const SoftmaxAxis& axis, bool logarithm, const float* grad_output, const float* output,
                      float* grad_input) noexcept {
  if (axis.n == 0) return;
  if (axis.inner == 1) {
    const auto f = HWY_DYNAMIC_DISPATCH(SoftmaxBackwardRow);
    parallel_ranges(axis.outer, rows_per_task(axis), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        f(logarithm, grad_output + r * axis.n, output + r * axis.n, grad_input + r * axis.n, axis.n);
      }
    });
    return;
  }
  const auto f = HWY_DYNAMIC_DISPATCH(SoftmaxBackwardColumns);
  for_each_column_group(axis, [&](int64_t at, int64_t count) {
    f(logarithm, grad_output + at, output + at, grad_input + at, axis.n, axis.inner, count);
  });
}

void softmax_backward(const SoftmaxAxis& axis, bool logarithm, const double* grad_output, const double* output,
                      double* grad_input) noexcept {
  for_each_column_group(axis, [&](int64_t at, int64_t count) {
    for (int64_t c = at; c < at + count; ++c) {
      reference::softmax_backward(logarithm, grad_output + c, output + c, grad_input + c, axis.n, axis.inner);
    }
  });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
