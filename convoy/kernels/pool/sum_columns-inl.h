// The columns under a row of windows, summed in double. Included once per SIMD target.
#if defined(CONVOY_KERNELS_POOL_SUM_COLUMNS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_POOL_SUM_COLUMNS_INL_H_
#undef CONVOY_KERNELS_POOL_SUM_COLUMNS_INL_H_
#else
#define CONVOY_KERNELS_POOL_SUM_COLUMNS_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "convoy/kernels/masked-inl.h"
#include "convoy/kernels/narrow-inl.h"
#include "convoy/kernels/pool/pool_reference.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D64 = hn::ScalableTag<double>;
using D32 = hn::Rebind<float, D64>;

HWY_INLINE int64_t Lanes64() { return static_cast<int64_t>(hn::Lanes(D64())); }

// sums[w] = the sum of column w over the window's rows, for `count` columns from `from`, the plane's first row. Vectors that would
// end behind the last column overlap the one before. Four sums at a time: one alone would wait for itself.
HWY_INLINE void SumColumns(const Window& window, const float* from, int64_t count, double* sums) {
  const int64_t n = Lanes64();
  const auto first = from + (window.d.begin * window.height + window.h.begin) * window.width;
  const int64_t slice = window.height * window.width;
  const auto for_each_row = [&](const auto& add) HWY_ATTR {
    for (int64_t z = 0; z < window.d.count; ++z) {
      const float* row = first + z * slice;
      for (int64_t y = 0; y < window.h.count; ++y, row += window.width) add(row);
    }
  };
  const auto add = [](const float* p, auto& sum) HWY_ATTR { sum = hn::Add(sum, hn::PromoteTo(D64(), hn::LoadU(D32(), p))); };
  const int64_t ahead = window.rows_ahead();
  int64_t w = 0;
  for (; count >= n && w < count; w += 4 * n) {
    const int64_t last = count - n, w0 = std::min(w, last), w1 = std::min(w + n, last);
    auto s0 = hn::Zero(D64()), s1 = s0, s2 = s0, s3 = s0;
    if (w + 2 * n >= count) {
      for_each_row([&](const float* row) HWY_ATTR {
        __builtin_prefetch(row + w0 + ahead);
        add(row + w0, s0);
        add(row + w1, s1);
      });
    } else {
      const int64_t w2 = std::min(w + 2 * n, last), w3 = std::min(w + 3 * n, last);
      for_each_row([&](const float* row) HWY_ATTR {
        __builtin_prefetch(row + w0 + ahead);
        add(row + w0, s0);
        add(row + w1, s1);
        add(row + w2, s2);
        add(row + w3, s3);
      });
      hn::StoreU(s2, D64(), sums + w2);
      hn::StoreU(s3, D64(), sums + w3);
    }
    hn::StoreU(s0, D64(), sums + w0);
    hn::StoreU(s1, D64(), sums + w1);
  }
  if (w >= count) return;
  const auto some = hn::FirstN(D32(), static_cast<size_t>(count));
  auto sum = hn::Zero(D64());
  for_each_row([&](const float* row) HWY_ATTR { sum = hn::Add(sum, hn::PromoteTo(D64(), LoadMasked(some, D32(), row))); });
  StoreMasked(sum, hn::FirstN(D64(), static_cast<size_t>(count)), D64(), sums);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
