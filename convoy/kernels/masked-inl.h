// Loads and stores of some lanes of a vector. Highway leaves memory behind the other lanes alone on x86 only; elsewhere it reads
// all of them, which may lie on no page, and writes back what it read, which another thread may have changed meanwhile.
#if defined(CONVOY_KERNELS_MASKED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_MASKED_INL_H_
#undef CONVOY_KERNELS_MASKED_INL_H_
#else
#define CONVOY_KERNELS_MASKED_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// f(lane) for the lanes of `mask`.
template <class D, class F>
HWY_INLINE void ForLanes(D d, hn::Mask<D> mask, const F& f) {
  uint8_t bits[8] = {};
  hn::StoreMaskBits(d, mask, bits);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    if ((bits[i / 8] >> (i % 8) & 1) != 0) f(i);
  }
}

// The lanes of `mask`, zero elsewhere. `p` need not be aligned.
template <class D>
HWY_INLINE hn::Vec<D> LoadMasked(hn::Mask<D> mask, D d, const hn::TFromD<D>* p) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  return hn::MaskedLoad(mask, d, p);
#else
  if (hn::AllTrue(d, mask)) return hn::LoadU(d, p);
  HWY_ALIGN hn::TFromD<D> values[HWY_MAX_BYTES / sizeof(hn::TFromD<D>)] = {};
  ForLanes(d, mask, [&](size_t i) { values[i] = p[i]; });
  return hn::Load(d, values);
#endif
}

// Stores the lanes of `mask`. `p` need not be aligned.
template <class D>
HWY_INLINE void StoreMasked(hn::Vec<D> v, hn::Mask<D> mask, D d, hn::TFromD<D>* p) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  hn::BlendedStore(v, mask, d, p);
#else
  if (hn::AllTrue(d, mask)) return hn::StoreU(v, d, p);
  HWY_ALIGN hn::TFromD<D> values[HWY_MAX_BYTES / sizeof(hn::TFromD<D>)];
  hn::Store(v, d, values);
  ForLanes(d, mask, [&](size_t i) { p[i] = values[i]; });
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
