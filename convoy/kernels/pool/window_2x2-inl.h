// Pooling of single vectors: what pool.h's functions give for a window of 2x2, bit for bit. Included once per SIMD target.
#if defined(CONVOY_KERNELS_POOL_WINDOW_2X2_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_POOL_WINDOW_2X2_INL_H_
#undef CONVOY_KERNELS_POOL_WINDOW_2X2_INL_H_
#else
#define CONVOY_KERNELS_POOL_WINDOW_2X2_INL_H_
#endif

#include "convoy/kernels/larger-inl.h"
#include "convoy/kernels/pool/sum_columns-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// max_pool's of (a, b) above (e, f).
template <class V>
HWY_INLINE V Largest2x2(V a, V b, V e, V f) {
  return Larger(Larger(a, e), Larger(b, f));
}

// avg_pool's: columns first, in double. A sum that begins with 0 is never -0.
template <class V>
HWY_INLINE V Average2x2(V a, V b, V e, V f) {
  const auto average = [](auto a2, auto b2, auto e2, auto f2) HWY_ATTR {
    const D64 dd;
    const auto left = hn::Add(hn::PromoteTo(dd, a2), hn::PromoteTo(dd, e2));
    const auto right = hn::Add(hn::PromoteTo(dd, b2), hn::PromoteTo(dd, f2));
    return Narrow(D32(), hn::Mul(hn::Add(hn::Add(left, right), hn::Zero(dd)), hn::Set(dd, 0.25)));
  };
#if HWY_TARGET == HWY_SCALAR
  return average(a, b, e, f);
#else
  const D32 half;
  const auto low = average(hn::LowerHalf(half, a), hn::LowerHalf(half, b), hn::LowerHalf(half, e), hn::LowerHalf(half, f));
  const auto high = average(hn::UpperHalf(half, a), hn::UpperHalf(half, b), hn::UpperHalf(half, e), hn::UpperHalf(half, f));
  return hn::Combine(hn::DFromV<V>(), high, low);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
