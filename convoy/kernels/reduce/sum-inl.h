// Sums of an array of floats in double. Included once per SIMD target.
#if defined(CONVOY_KERNELS_REDUCE_SUM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_REDUCE_SUM_INL_H_
#undef CONVOY_KERNELS_REDUCE_SUM_INL_H_
#else
#define CONVOY_KERNELS_REDUCE_SUM_INL_H_
#endif

#include <cstdint>

#include "convoy/kernels/masked-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Four chains of additions, enough to keep up with the loads; a double holds the sum of 2^29 floats of like size without loss.
HWY_INLINE double SumToDouble(const float* x, int64_t n) {
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> df;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(dd));
  const auto load = [&](const float* p) HWY_ATTR { return hn::PromoteTo(dd, hn::LoadU(df, p)); };
  auto s0 = hn::Zero(dd), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    s0 = hn::Add(s0, load(x + i));
    s1 = hn::Add(s1, load(x + i + lanes));
    s2 = hn::Add(s2, load(x + i + 2 * lanes));
    s3 = hn::Add(s3, load(x + i + 3 * lanes));
  }
  for (; i + lanes <= n; i += lanes) s0 = hn::Add(s0, load(x + i));
  double sum = hn::GetLane(hn::SumOfLanes(dd, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  for (; i < n; ++i) sum += static_cast<double>(x[i]);
  return sum;
}

// A sum in double of vectors of floats.
struct DoubleSum {
  using D = hn::ScalableTag<float>;
  using DD = hn::ScalableTag<double>;
  hn::Vec<DD> low, high;

  static HWY_INLINE DoubleSum Empty() { return {hn::Zero(DD()), hn::Zero(DD())}; }
  HWY_INLINE void Add(hn::Vec<D> v) {
#if HWY_TARGET == HWY_SCALAR
    low = hn::Add(low, hn::PromoteTo(DD(), v));
#else
    low = hn::Add(low, hn::PromoteTo(DD(), hn::LowerHalf(hn::Half<D>(), v)));
    high = hn::Add(high, hn::PromoteTo(DD(), hn::UpperHalf(hn::Half<D>(), v)));
#endif
  }
  HWY_INLINE double Total() const { return hn::GetLane(hn::SumOfLanes(DD(), hn::Add(low, high))); }
};

// The sum in double of sums in float of up to four vectors, where every value turned to double takes too long: half as long out of
// the cache. Off by half a unit of such a sum for each of them, where a float's own sum of n values is by up to n.
HWY_INLINE double SumByFours(const float* x, int64_t n) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  DoubleSum sum = DoubleSum::Empty();
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    sum.Add(hn::Add(hn::Add(hn::LoadU(d, x + i), hn::LoadU(d, x + i + lanes)),
                    hn::Add(hn::LoadU(d, x + i + 2 * lanes), hn::LoadU(d, x + i + 3 * lanes))));
  }
  auto rest = hn::Zero(d);
  for (; i + lanes <= n; i += lanes) rest = hn::Add(rest, hn::LoadU(d, x + i));
  if (i < n) rest = hn::Add(rest, LoadMasked(hn::FirstN(d, static_cast<size_t>(n - i)), d, x + i));
  sum.Add(rest);
  return sum.Total();
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
