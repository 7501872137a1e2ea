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

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
