// The order in which max pooling and softmax compare. Included once per SIMD target.
#if defined(CONVOY_KERNELS_LARGER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_LARGER_INL_H_
#undef CONVOY_KERNELS_LARGER_INL_H_
#else
#define CONVOY_KERNELS_LARGER_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A NaN wins over everything, the first of equals (a zero's sign) stays.
template <class V>
HWY_INLINE V Larger(V best, V next) {
  return hn::IfThenElse(hn::Or(hn::Gt(next, best), hn::IsNaN(next)), next, best);
}

// As Larger if `next` is no NaN.
template <class V>
HWY_INLINE V LargerNumber(V best, V next) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  return hn::Max(next, best);  // of equals and of what a NaN is among, these machines take the second
#else
  return Larger(best, next);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
