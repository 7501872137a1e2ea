// The columns under a row of windows, summed in double. Included once per SIMD target.
#if defined(CONVOY_KERNELS_POOL_SUM_COLUMNS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_POOL_SUM_COLUMNS_INL_H_
#undef CONVOY_KERNELS_POOL_SUM_COLUMNS_INL_H_
#else
#define CONVOY_KERNELS_POOL_SUM_COLUMNS_INL_H_
#endif

#include <cstdint>

#include "convoy/kernels/masked-inl.h"
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
  const auto sum = [&](int64_t w, const auto& load) HWY_ATTR {
    auto s = hn::Zero(D64());
    for (int64_t z = 0; z < window.d.count; ++z) {
      const float* row = first + z * slice + w;
      for (int64_t y = 0; y < window.h.count; ++y, row += window.width) s = hn::Add(s, hn::PromoteTo(D64(), load(row)));
    }
    return s;
  };
  const auto whole = [](const float* row) HWY_ATTR { return hn::LoadU(D32(), row); };
  int64_t w = 0;
  for (; w + 2 * n <= count; w += 2 * n) {
    auto s0 = hn::Zero(D64()), s1 = s0;
    for (int64_t z = 0; z < window.d.count; ++z) {
      const float* row = first + z * slice + w;
      for (int64_t y = 0; y < window.h.count; ++y, row += window.width) {
        s0 = hn::Add(s0, hn::PromoteTo(D64(), whole(row)));
        s1 = hn::Add(s1, hn::PromoteTo(D64(), whole(row + n)));
      }
    }
    hn::StoreU(s0, D64(), sums + w);
    hn::StoreU(s1, D64(), sums + w + n);
  }
  for (; w + n <= count; w += n) hn::StoreU(sum(w, whole), D64(), sums + w);
  if (w == count) return;
  const auto rest = static_cast<size_t>(count - w);
  const auto some = hn::FirstN(D32(), rest);
  StoreMasked(sum(w, [some](const float* row) HWY_ATTR { return LoadMasked(some, D32(), row); }), hn::FirstN(D64(), rest), D64(),
              sums + w);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
