#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/reduce/sum.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/reduce/sum.h"

#include <algorithm>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/kernels/reduce/sum-inl.h"
#include "convoy/kernels/reduce/sum_reference.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

double SumRow(const float* x, int64_t n) { return SumToDouble(x, n); }

// sums[i] = sum over `rows` rows of x[i], the rows `inner` values apart.
void SumColumns(const float* x, int64_t rows, int64_t inner, int64_t columns, double* sums) {
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> df;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(dd));
  std::fill(sums, sums + columns, 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * inner;
    int64_t i = 0;
    for (; i + lanes <= columns; i += lanes) {
      hn::StoreU(hn::Add(hn::LoadU(dd, sums + i), hn::PromoteTo(dd, hn::LoadU(df, row + i))), dd, sums + i);
    }
    for (; i < columns; ++i) sums[i] += static_cast<double>(row[i]);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(SumRow);
HWY_EXPORT(SumColumns);

namespace {

constexpr int64_t kBlock = 16384;  // values per block of a sum
constexpr int64_t kTile = 512;     // columns whose sums stay in the first-level cache

void sum_columns(const float* x, int64_t rows, int64_t inner, int64_t columns, double* sums) {
  if (inner == 1) {
    *sums = HWY_DYNAMIC_DISPATCH(SumRow)(x, rows);
  } else {
    HWY_DYNAMIC_DISPATCH(SumColumns)(x, rows, inner, columns, sums);
  }
}
template <class T>
void sum_columns(const T* x, int64_t rows, int64_t inner, int64_t columns, T* sums) {
  for (int64_t i = 0; i < columns; ++i) sums[i] = reference::sum_strided<T>(x + i, rows, inner);
}

template <class T, class Sum>
void sum_middle(const T* input, int64_t outer, int64_t n, int64_t inner, Sum* output, Sum* partial) {
  if (outer == 0 || inner == 0) return;
  const SumBlocks blocks = sum_blocks(n, inner);
  const int64_t tiles = (inner + kTile - 1) / kTile;
  Sum* first = blocks.count == 1 ? output : partial;
  const int64_t units = outer * blocks.count * tiles;
  const int64_t unit_values = std::max<int64_t>(1, blocks.rows * std::min(inner, kTile));
  parallel_ranges(units, std::max<int64_t>(1, kBlock / unit_values), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t column = unit % tiles * kTile, row = unit / tiles;  // row of `first`
      const int64_t from = row % blocks.count * blocks.rows, rows = std::min(blocks.rows, n - from);
      sum_columns(input + (row / blocks.count * n + from) * inner + column, rows, inner, std::min(kTile, inner - column),
                  first + row * inner + column);
    }
  });
  if (blocks.count == 1) return;
  parallel_ranges(outer * inner, std::max<int64_t>(1, kBlock / blocks.count), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = i / inner * blocks.count * inner + i % inner;
      output[i] = reference::sum_strided<Sum>(partial + at, blocks.count, inner);
    }
  });
}

}  // namespace

SumBlocks sum_blocks(int64_t n, int64_t inner) noexcept {
  const int64_t rows = std::clamp<int64_t>(kBlock / std::max<int64_t>(1, std::min(inner, kTile)), 32, kBlock);
  if (n <= rows) return {n, 1};
  return {rows, (n + rows - 1) / rows};
}

void sum_axis(const float* input, int64_t outer, int64_t n, int64_t inner, double* output, double* partial) noexcept {
  sum_middle(input, outer, n, inner, output, partial);
}
void sum_axis(const double* input, int64_t outer, int64_t n, int64_t inner, double* output, double* partial) noexcept {
  sum_middle(input, outer, n, inner, output, partial);
}
void sum_axis(const int64_t* input, int64_t outer, int64_t n, int64_t inner, int64_t* output, int64_t* partial) noexcept {
  sum_middle(input, outer, n, inner, output, partial);
}

template <class T>
void argmax_axis(const T* input, int64_t outer, int64_t n, int64_t inner, int64_t* output) noexcept {
  parallel_ranges(outer * inner, std::max<int64_t>(1, kBlock / n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      output[i] = reference::argmax_strided(input + i / inner * n * inner + i % inner, n, inner);
  });
}
template void argmax_axis(const float*, int64_t, int64_t, int64_t, int64_t*) noexcept;
template void argmax_axis(const double*, int64_t, int64_t, int64_t, int64_t*) noexcept;
template void argmax_axis(const int64_t*, int64_t, int64_t, int64_t, int64_t*) noexcept;

}  // namespace convoy::kernels
#endif  // HWY_ONCE
