// Doubles rounded to floats. Included once per SIMD target.
#if defined(CONVOY_KERNELS_NARROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_NARROW_INL_H_
#undef CONVOY_KERNELS_NARROW_INL_H_
#else
#define CONVOY_KERNELS_NARROW_INL_H_
#endif

#include <cstddef>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// As float32; too large a value is infinite, an infinity stays. (Highway's DemoteTo without vectors keeps to the largest finite
// one: in HWY_SCALAR, and in HWY_EMU128, which takes its place in clang and GCC 12.3.)
template <class D>
HWY_INLINE hn::Vec<D> Narrow(D d, hn::Vec<hn::Rebind<double, D>> v) {
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
  const hn::Rebind<double, D> wide;
  HWY_ALIGN double from[HWY_MAX_BYTES / sizeof(float)];
  HWY_ALIGN float to[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(v, wide, from);
  for (size_t i = 0; i < hn::Lanes(d); ++i) to[i] = static_cast<float>(from[i]);
  return hn::Load(d, to);
#else
  return hn::DemoteTo(d, v);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
