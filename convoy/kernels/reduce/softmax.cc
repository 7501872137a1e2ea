#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/reduce/softmax.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/reduce/softmax.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/loops-inl.h"
#include "convoy/kernels/elementwise/math-inl.h"
#include "convoy/kernels/larger-inl.h"
#include "convoy/kernels/reduce/softmax_reference.h"
#include "convoy/kernels/reduce/sum-inl.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_REDUCE_SOFTMAX_CONSTANTS_
#define CONVOY_KERNELS_REDUCE_SOFTMAX_CONSTANTS_
namespace convoy::kernels {
namespace {
constexpr int64_t kGrain = 8192;   // values per task
constexpr int64_t kColumns = 256;  // slices per tile, a multiple of every vector length
}  // namespace
}  // namespace convoy::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
void SoftmaxColumns(bool logarithm, const float* x, float* y, int64_t n, int64_t stride, int64_t columns) {
  for (int64_t c = 0; c < columns; ++c) reference::softmax<float, double>(logarithm, x + c, y + c, n, stride);
}

void SoftmaxRow(bool logarithm, const float* x, float* y, int64_t n) { SoftmaxColumns(logarithm, x, y, n, 1, 1); }

void SoftmaxBackwardColumns(bool logarithm, const float* g, const float* y, float* grad, int64_t n, int64_t stride,
                            int64_t columns) {
  for (int64_t c = 0; c < columns; ++c) reference::softmax_backward<float, double>(logarithm, g + c, y + c, grad + c, n, stride);
}

void SoftmaxBackwardRow(bool logarithm, const float* g, const float* y, float* grad, int64_t n) {
  SoftmaxBackwardColumns(logarithm, g, y, grad, n, 1, 1);
}
#else
// One contiguous slice. A NaN, which the maximum may pass over, is in the sum and so in every result.
void SoftmaxRow(bool logarithm, const float* x, float* y, int64_t n) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const float lowest = -std::numeric_limits<float>::infinity();
  auto m0 = hn::Set(d, lowest), m1 = m0;
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    m0 = hn::Max(m0, hn::LoadU(d, x + i));
    m1 = hn::Max(m1, hn::LoadU(d, x + i + lanes));
  }
  for (; i < n; i += lanes) m0 = hn::Max(m0, LoadPart(d, x + i, std::min(lanes, n - i), lowest));
  const float most = hn::GetLane(hn::MaxOfLanes(d, hn::Max(m0, m1)));
  Map([=](auto t, auto v) HWY_ATTR { return ExpBelow(t, hn::Sub(v, hn::Set(t, most))); }, x, y, n);
  const double sum = SumByFours(y, n);
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

// A tile of up to kColumns neighbouring slices, `stride` values from row to row, is worked through row by row, so that memory is
// read in order. In the tile's arrays the lanes behind the last slice hold something, and nothing is read from them.
struct Tile {
  int64_t n, stride, columns;

  // In whole vectors: few slices would wait for all of a tile's arrays.
  HWY_INLINE int64_t padded() const {
    const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>()));
    return (columns + lanes - 1) / lanes * lanes;
  }
};

// Calls f(offset into a tile array, load, store) for the vectors of a row; the last goes through a padded copy.
template <class F>
HWY_INLINE void ForRow(const Tile& tile, const F& f) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + lanes <= tile.columns; c += lanes) {
    f(
        c, [&](const float* p) HWY_ATTR { return hn::LoadU(d, p + c); },
        [&](auto v, float* p) HWY_ATTR { hn::StoreU(v, d, p + c); });
  }
  const int64_t rest = tile.columns - c;
  if (rest == 0) return;
  f(
      c, [&](const float* p) HWY_ATTR { return LoadPart(d, p + c, rest); },
      [&](auto v, float* p) HWY_ATTR { StorePart(v, d, p + c, rest); });
}

// sums[c] over the rows of value(row, c, load), added up in runs of 32 rows and the runs among themselves.
template <class Value>
HWY_INLINE void SumTile(const Tile& tile, float* sums, const Value& value) {
  const hn::ScalableTag<float> d;
  HWY_ALIGN float run[kColumns];
  const int64_t padded = tile.padded();
  std::fill(sums, sums + padded, 0.0f);
  for (int64_t begin = 0; begin < tile.n; begin += 32) {
    std::fill(run, run + padded, 0.0f);
    for (int64_t row = begin; row < std::min(begin + 32, tile.n); ++row) {
      ForRow(tile, [&](int64_t c, const auto& load, const auto& store)
                       HWY_ATTR { hn::Store(hn::Add(hn::Load(d, run + c), value(row, c, load, store)), d, run + c); });
    }
    for (int64_t c = 0; c < padded; c += static_cast<int64_t>(hn::Lanes(d))) {
      hn::Store(hn::Add(hn::Load(d, sums + c), hn::Load(d, run + c)), d, sums + c);
    }
  }
}

void SoftmaxColumns(bool logarithm, const float* x, float* y, int64_t n, int64_t stride, int64_t columns) {
  const hn::ScalableTag<float> d;
  const Tile tile{n, stride, columns};
  HWY_ALIGN float most[kColumns], sums[kColumns];
  std::fill(most, most + tile.padded(), -std::numeric_limits<float>::infinity());
  for (int64_t row = 0; row < n; ++row) {
    ForRow(tile, [&](int64_t c, const auto& load, const auto&)
                     HWY_ATTR { hn::Store(Larger(hn::Load(d, most + c), load(x + row * stride)), d, most + c); });
  }
  SumTile(tile, sums, [&](int64_t row, int64_t c, const auto& load, const auto& store) HWY_ATTR {
    const auto e = AnyExp(d, hn::Sub(load(x + row * stride), hn::Load(d, most + c)));
    if (!logarithm) store(e, y + row * stride);
    return e;
  });
  for (int64_t c = 0; c < tile.padded(); c += static_cast<int64_t>(hn::Lanes(d))) {
    const auto sum = hn::Load(d, sums + c);
    hn::Store(logarithm ? AnyLog(d, sum) : hn::Div(hn::Set(d, 1.0f), sum), d, sums + c);
  }
  for (int64_t row = 0; row < n; ++row) {
    ForRow(tile, [&](int64_t c, const auto& load, const auto& store) HWY_ATTR {
      const auto s = hn::Load(d, sums + c);
      if (logarithm) {
        store(hn::Sub(hn::Sub(load(x + row * stride), hn::Load(d, most + c)), s), y + row * stride);
      } else {
        store(hn::Mul(load(y + row * stride), s), y + row * stride);
      }
    });
  }
}

void SoftmaxBackwardColumns(bool logarithm, const float* g, const float* y, float* grad, int64_t n, int64_t stride,
                            int64_t columns) {
  const hn::ScalableTag<float> d;
  const Tile tile{n, stride, columns};
  HWY_ALIGN float sums[kColumns];
  SumTile(tile, sums, [&](int64_t row, int64_t, const auto& load, const auto&) HWY_ATTR {
    const auto v = load(g + row * stride);
    return logarithm ? v : hn::Mul(v, load(y + row * stride));
  });
  for (int64_t row = 0; row < n; ++row) {
    ForRow(tile, [&](int64_t c, const auto& load, const auto& store) HWY_ATTR {
      const auto s = hn::Load(d, sums + c), dy = load(g + row * stride), v = load(y + row * stride);
      store(logarithm ? hn::Sub(dy, hn::Mul(AnyExp(d, v), s)) : hn::Mul(v, hn::Sub(dy, s)), grad + row * stride);
    });
  }
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(SoftmaxRow);
CONVOY_EXPORT(SoftmaxBackwardRow);
CONVOY_EXPORT(SoftmaxColumns);
CONVOY_EXPORT(SoftmaxBackwardColumns);

namespace {

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
    const auto f = CONVOY_DISPATCH(SoftmaxRow);
    parallel_ranges(axis.outer, rows_per_task(axis), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) f(logarithm, input + r * axis.n, output + r * axis.n, axis.n);
    });
    return;
  }
  const auto f = CONVOY_DISPATCH(SoftmaxColumns);
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
    const auto f = CONVOY_DISPATCH(SoftmaxBackwardRow);
    parallel_ranges(axis.outer, rows_per_task(axis), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        f(logarithm, grad_output + r * axis.n, output + r * axis.n, grad_input + r * axis.n, axis.n);
      }
    });
    return;
  }
  const auto f = CONVOY_DISPATCH(SoftmaxBackwardColumns);
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
