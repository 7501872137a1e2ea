// The columns under a row of windows, summed in double. Included once per SIMD target.
#if defined(CONVOY_KERNELS_POOL_SUM_COLUMNS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_POOL_SUM_COLUMNS_INL_H_
#undef CONVOY_KERNELS_POOL_SUM_COLUMNS_INL_H_
#else
#define CONVOY_KERNELS_POOL_SUM_COLUMNS_INL_H_
#endif

#include <cstdint>

#include "convoy/kernels/pool/pool_reference.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D64 = hn::ScalableTag<double>;
using D32 = hn::Rebind<float, D64>;

HWY_INLINE int64_t Lanes64() { return static_cast<int64_t>(hn::Lanes(D64())); }

// As float32; too large a value is infinite. (Highway's DemoteTo for plain C++ keeps to the largest finite one.)
HWY_INLINE hn::Vec<D32> Narrow(hn::Vec<D64> v) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(D32(), static_cast<float>(hn::GetLane(v)));
#else
  return hn::DemoteTo(D32(), v);
#endif
}

// sums[w] = the sum of column w over the window's rows, for `count` columns from `from`, the plane's first row.
HWY_INLINE void SumColumns(const Window& window, const float* from, int64_t count, double* sums) {
  const int64_t n = Lanes64();
  const auto first = from + (window.d.begin * window.height + window.h.begin) * window.width;
  const int64_t slice = window.height * window.width;
  int64_t w = 0;
  for (; w + 2 * n <= count; w += 2 * n) {
    auto s0 = hn::Zero(D64()), s1 = s0;
    for (int64_t z = 0; z < window.d.count; ++z) {
      const float* row = first + z * slice + w;
      for (int64_t y = 0; y < window.h.count; ++y, row += window.width) {
        s0 = hn::Add(s0, hn::PromoteTo(D64(), hn::LoadU(D32(), row)));
        s1 = hn::Add(s1, hn::PromoteTo(D64(), hn::LoadU(D32(), row + n)));
      }
    }
    hn::StoreU(s0, D64(), sums + w);
    hn::StoreU(s1, D64(), sums + w + n);
  }
  for (; w + n <= count; w += n) {
    auto s = hn::Zero(D64());
    for (int64_t z = 0; z < window.d.count; ++z) {
      const float* row = first + z * slice + w;
      for (int64_t y = 0; y < window.h.count; ++y, row += window.width) s = hn::Add(s, hn::PromoteTo(D64(), hn::LoadU(D32(), row)));
    }
    hn::StoreU(s, D64(), sums + w);
  }
  for (; w < count; ++w) {
    double sum = 0;
    for (int64_t z = 0; z < window.d.count; ++z) {
      const float* row = first + z * slice + w;
      for (int64_t y = 0; y < window.h.count; ++y, row += window.width) sum += static_cast<double>(*row);
    }
    sums[w] = sum;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
