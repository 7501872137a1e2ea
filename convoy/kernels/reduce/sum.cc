#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/reduce/sum.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/reduce/sum.h"

#include <algorithm>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/reduce/sum-inl.h"
#include "convoy/kernels/reduce/sum_reference.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_REDUCE_SUM_CONSTANTS_
#define CONVOY_KERNELS_REDUCE_SUM_CONSTANTS_
namespace convoy::kernels {
namespace {
constexpr int64_t kBlock = 16384;  // values per block of a sum
constexpr int64_t kTile = 1024;    // columns whose sums stay in the first-level cache
}  // namespace
}  // namespace convoy::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// sums[r] = sum of row r.
void SumRows(const float* x, int64_t rows, int64_t n, double* sums) {
  if (n < 8) {
    for (int64_t r = 0; r < rows; ++r, x += n) {
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
      sums[r] = sum;
    }
    return;
  }
  for (int64_t r = 0; r < rows; ++r) sums[r] = SumToDouble(x + r * n, n);
}

HWY_INLINE auto LoadDouble(const float* p) {
  const hn::ScalableTag<double> dd;
  return hn::PromoteTo(dd, hn::LoadU(hn::Rebind<float, decltype(dd)>(), p));
}
HWY_INLINE auto LoadDouble(const double* p) { return hn::LoadU(hn::ScalableTag<double>(), p); }

template <class T>
HWY_INLINE void AddColumns(const T* x, int64_t rows, int64_t step, int64_t columns, double* sums) {
  const hn::ScalableTag<double> dd;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(dd));
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {  // four rows for one load and store of the sums
    const T *a = x + r * step, *b = a + step, *c = b + step, *e = c + step;
    int64_t i = 0;
    for (; i + lanes <= columns; i += lanes) {
      const auto sum = hn::Add(hn::Add(hn::LoadU(dd, sums + i), LoadDouble(a + i)), LoadDouble(b + i));
      hn::StoreU(hn::Add(hn::Add(sum, LoadDouble(c + i)), LoadDouble(e + i)), dd, sums + i);
    }
    for (; i < columns; ++i) {
      sums[i] =
          sums[i] + static_cast<double>(a[i]) + static_cast<double>(b[i]) + static_cast<double>(c[i]) + static_cast<double>(e[i]);
    }
  }
  for (; r < rows; ++r) {
    const T* row = x + r * step;
    int64_t i = 0;
    for (; i + lanes <= columns; i += lanes) hn::StoreU(hn::Add(hn::LoadU(dd, sums + i), LoadDouble(row + i)), dd, sums + i);
    for (; i < columns; ++i) sums[i] += static_cast<double>(row[i]);
  }
}

// sums[i] = sum over `rows` rows of x[i], the rows `step` values apart.
void SumColumns(const float* x, int64_t rows, int64_t step, int64_t columns, double* sums) {
  std::fill(sums, sums + columns, 0.0);
  AddColumns(x, rows, step, columns, sums);
}

// Doubles are added up in runs of 64 rows, and the runs among themselves: the error grows with the 64 and the number of runs.
void SumDoubleColumns(const double* x, int64_t rows, int64_t step, int64_t columns, double* sums) {
  double run[kTile];
  std::fill(sums, sums + columns, 0.0);
  for (int64_t r = 0; r < rows; r += 64) {
    std::fill(run, run + columns, 0.0);
    AddColumns(x + r * step, std::min<int64_t>(64, rows - r), step, columns, run);
    for (int64_t i = 0; i < columns; ++i) sums[i] += run[i];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(SumRows);
CONVOY_EXPORT(SumColumns);
CONVOY_EXPORT(SumDoubleColumns);

namespace {

void sum_columns(const float* x, int64_t rows, int64_t step, int64_t columns, double* sums) {
  CONVOY_DISPATCH(SumColumns)(x, rows, step, columns, sums);
}
void sum_columns(const double* x, int64_t rows, int64_t step, int64_t columns, double* sums) {
  CONVOY_DISPATCH(SumDoubleColumns)(x, rows, step, columns, sums);
}
void sum_columns(const int64_t* x, int64_t rows, int64_t step, int64_t columns, int64_t* sums) {
  std::fill(sums, sums + columns, 0);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < columns; ++i) sums[i] += x[r * step + i];
  }
}

void sum_rows(const float* x, int64_t rows, int64_t n, double* sums) { CONVOY_DISPATCH(SumRows)(x, rows, n, sums); }
template <class T>
void sum_rows(const T* x, int64_t rows, int64_t n, T* sums) {
  for (int64_t r = 0; r < rows; ++r) sums[r] = reference::sum_strided<T>(x + r * n, n, 1);
}

// Row 0 becomes the sum of all rows: the second half is added to the first until one row is left.
template <class Sum>
void add_pairwise(Sum* sums, int64_t rows, int64_t step, int64_t columns) {
  while (rows > 1) {
    const int64_t half = (rows + 1) / 2;
    for (int64_t r = half; r < rows; ++r) {
      for (int64_t i = 0; i < columns; ++i) sums[(r - half) * step + i] += sums[r * step + i];
    }
    rows = half;
  }
}

template <class T, class Sum>
void sum_middle(const T* input, int64_t outer, int64_t n, int64_t inner, Sum* output, Sum* partial) {
  if (outer == 0 || inner == 0) return;
  const SumBlocks blocks = sum_blocks(n, inner);
  const int64_t tiles = (inner + kTile - 1) / kTile;
  Sum* first = blocks.count == 1 ? output : partial;
  if (inner == 1 && blocks.count == 1) {
    parallel_ranges(outer, std::max<int64_t>(1, kBlock / std::max<int64_t>(1, n)),
                    [&](int64_t begin, int64_t end) { sum_rows(input + begin * n, end - begin, n, output + begin); });
    return;
  }
  const int64_t units = outer * blocks.count * tiles;
  const int64_t unit_values = std::max<int64_t>(1, blocks.rows * std::min(inner, kTile));
  parallel_ranges(units, std::max<int64_t>(1, kBlock / unit_values), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t column = unit % tiles * kTile, row = unit / tiles;  // row of `first`
      const int64_t from = row % blocks.count * blocks.rows, rows = std::min(blocks.rows, n - from);
      const T* x = input + (row / blocks.count * n + from) * inner + column;
      if (inner == 1) {
        sum_rows(x, 1, rows, first + row);
      } else {
        sum_columns(x, rows, inner, std::min(kTile, inner - column), first + row * inner + column);
      }
    }
  });
  if (blocks.count == 1) return;
  // Pairwise along the blocks, a tile of columns at a time.
  parallel_ranges(outer * tiles, std::max<int64_t>(1, kBlock / (blocks.count * std::min(inner, kTile))),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t unit = begin; unit < end; ++unit) {
                      const int64_t o = unit / tiles, column = unit % tiles * kTile;
                      Sum* sums = partial + o * blocks.count * inner + column;
                      add_pairwise(sums, blocks.count, inner, std::min(kTile, inner - column));
                      std::copy(sums, sums + std::min(kTile, inner - column), output + o * inner + column);
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
  if (inner == 1) {
    parallel_ranges(outer, std::max<int64_t>(1, kBlock / n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) output[r] = reference::argmax_strided(input + r * n, n, 1);
    });
    return;
  }
  // A tile of neighbouring slices at a time, row by row, so that memory is read in order.
  constexpr int64_t kSlices = 256;
  const int64_t tiles = (inner + kSlices - 1) / kSlices;
  parallel_ranges(outer * tiles, std::max<int64_t>(1, kBlock / (n * std::min(inner, kSlices))), [&](int64_t begin, int64_t end) {
    T best[kSlices];
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t o = unit / tiles, column = unit % tiles * kSlices, count = std::min(kSlices, inner - column);
      const T* x = input + o * n * inner + column;
      int64_t* at = output + o * inner + column;
      std::copy(x, x + count, best);
      std::fill(at, at + count, 0);
      for (int64_t row = 1; row < n; ++row) {
        for (int64_t i = 0; i < count; ++i) {
          const T v = x[row * inner + i];
          const bool better = !reference::is_nan(best[i]) && !(v <= best[i]);  // greater, or the first NaN
          best[i] = better ? v : best[i];
          at[i] = better ? row : at[i];
        }
      }
    }
  });
}
template void argmax_axis(const float*, int64_t, int64_t, int64_t, int64_t*) noexcept;
template void argmax_axis(const double*, int64_t, int64_t, int64_t, int64_t*) noexcept;
template void argmax_axis(const int64_t*, int64_t, int64_t, int64_t, int64_t*) noexcept;
template void argmax_axis(const uint64_t*, int64_t, int64_t, int64_t, int64_t*) noexcept;

}  // namespace convoy::kernels
#endif  // HWY_ONCE
