#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/reduce/extremes.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/reduce/extremes.h"

#include <algorithm>
#include <limits>

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/larger-inl.h"
#include "convoy/kernels/masked-inl.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_REDUCE_EXTREMES_CONSTANTS_
#define CONVOY_KERNELS_REDUCE_EXTREMES_CONSTANTS_
namespace convoy::kernels {
namespace {
constexpr int64_t kShort = 16;     // rows of fewer values are gathered
constexpr int64_t kGrain = 16384;  // values per task
constexpr int64_t kTile = 512;     // neighbouring results at a time
}  // namespace
}  // namespace convoy::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

HWY_INLINE hn::Vec<D> Lowest() { return hn::Set(D(), -std::numeric_limits<float>::infinity()); }

// One chain of comparisons waits for itself.
HWY_INLINE float LargestOfRow(const float* x, int64_t n) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto v0 = Lowest(), v1 = v0, v2 = v0, v3 = v0;
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    v0 = Larger(v0, hn::LoadU(d, x + i));
    v1 = Larger(v1, hn::LoadU(d, x + i + lanes));
    v2 = Larger(v2, hn::LoadU(d, x + i + 2 * lanes));
    v3 = Larger(v3, hn::LoadU(d, x + i + 3 * lanes));
  }
  for (; i + lanes <= n; i += lanes) v0 = Larger(v0, hn::LoadU(d, x + i));
  if (i < n) {
    const auto rest = hn::FirstN(d, static_cast<size_t>(n - i));
    v1 = Larger(v1, hn::IfThenElse(rest, LoadMasked(rest, d, x + i), Lowest()));
  }
  v0 = Larger(Larger(v0, v1), Larger(v2, v3));
  if (!hn::AllFalse(d, hn::IsNaN(v0))) return std::numeric_limits<float>::quiet_NaN();
  return hn::GetLane(hn::MaxOfLanes(d, v0));
}

void LargestOfRows(const float* x, int64_t rows, int64_t n, float* output) {
  const D d;
  const hn::RebindToSigned<D> di;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t r = 0;
  // Short rows as many at a time as a vector has lanes.
  if (n < kShort) {
    const auto starts = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(n)));
    for (; r + lanes <= rows; r += lanes) {
      auto best = Lowest();
      for (int64_t i = 0; i < n; ++i) best = Larger(best, hn::GatherIndex(d, x + r * n + i, starts));
      hn::StoreU(best, d, output + r);
    }
  }
  for (; r < rows; ++r) output[r] = LargestOfRow(x + r * n, n);
}

// Of `count` neighbouring columns of n rows, `step` apart: whole vectors by four rows at a time, in the order they lie in.
void LargestOfColumns(const float* x, int64_t n, int64_t step, int64_t count, float* output) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t whole = count < 4 * lanes ? 0 : count / lanes * lanes;
  std::fill(output, output + whole, -std::numeric_limits<float>::infinity());
  for (int64_t r = 0; r < n; r += 4) {
    // Behind the last row it is taken again.
    const float *r0 = x + r * step, *r1 = x + std::min(r + 1, n - 1) * step, *r2 = x + std::min(r + 2, n - 1) * step,
                *r3 = x + std::min(r + 3, n - 1) * step;
    for (int64_t i = 0; i < whole; i += lanes) {
      const auto first = Larger(Larger(hn::LoadU(d, output + i), hn::LoadU(d, r0 + i)), hn::LoadU(d, r1 + i));
      hn::StoreU(Larger(Larger(first, hn::LoadU(d, r2 + i)), hn::LoadU(d, r3 + i)), d, output + i);
    }
  }
  for (int64_t i = whole; i < count; i += lanes) {
    const auto some = hn::FirstN(d, static_cast<size_t>(count - i));
    auto even = Lowest(), odd = even;
    for (int64_t r = 0; r < n; ++r) {
      odd = Larger(odd, LoadMasked(some, d, x + r * step + i));
      std::swap(even, odd);
    }
    StoreMasked(Larger(even, odd), some, d, output + i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(LargestOfRows);
CONVOY_EXPORT(LargestOfColumns);

void largest_axis(const float* input, int64_t outer, int64_t n, int64_t inner, float* output) noexcept {
  if (inner == 1) {
    return parallel_ranges(outer, kGrain / std::max<int64_t>(1, n), [&](int64_t begin, int64_t end) {
      CONVOY_DISPATCH(LargestOfRows)(input + begin * n, end - begin, n, output + begin);
    });
  }
  const int64_t tiles = (inner + kTile - 1) / kTile;
  parallel_ranges(outer * tiles, kGrain / std::max<int64_t>(1, n * std::min(inner, kTile)), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t o = unit / tiles, column = unit % tiles * kTile;
      CONVOY_DISPATCH(LargestOfColumns)
      (input + o * n * inner + column, n, inner, std::min(kTile, inner - column), output + o * inner + column);
    }
  });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
