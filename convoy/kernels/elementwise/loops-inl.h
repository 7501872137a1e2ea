// Loops that apply a vector function to arrays. The rest of an array runs through the same instructions on masked
// vectors, so that a value's bits do not depend on its place. Included once per SIMD target.
#if defined(CONVOY_KERNELS_ELEMENTWISE_LOOPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_ELEMENTWISE_LOOPS_INL_H_
#undef CONVOY_KERNELS_ELEMENTWISE_LOOPS_INL_H_
#else
#define CONVOY_KERNELS_ELEMENTWISE_LOOPS_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "convoy/kernels/masked-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Loads and stores of the last n < Lanes(d) values; the other lanes are `fill`. Masked: rows of a convolution's result are short,
// and a copy through memory took longer than the function itself.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V LoadPart(D d, const float* from, int64_t n, float fill = 0.0f) {
  const auto mask = hn::FirstN(d, static_cast<size_t>(n));
  return hn::IfThenElse(mask, LoadMasked(mask, d, from), hn::Set(d, fill));
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE void StorePart(V v, D d, float* to, int64_t n) {
  StoreMasked(v, hn::FirstN(d, static_cast<size_t>(n)), d, to);
}

// output[i] = f(d, input[i]). What is left over from whole vectors is a vector that overlaps the one before it and is computed
// first, since output may be input.
template <class F>
HWY_INLINE void Map(const F& f, const float* input, float* output, int64_t count) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), whole = count / lanes * lanes;
  const auto map = [&]() HWY_ATTR {
    for (int64_t i = 0; i < whole; i += lanes) hn::StoreU(f(d, hn::LoadU(d, input + i)), d, output + i);
  };
  if (whole == count) return map();
  if (whole == 0) return StorePart(f(d, LoadPart(d, input, count)), d, output, count);
  const auto last = f(d, hn::LoadU(d, input + count - lanes));
  map();
  hn::StoreU(last, d, output + count - lanes);
}

// output[i] = f(d, a[i], b[i]).
template <class F>
HWY_INLINE void Map(const F& f, const float* a, const float* b, float* output, int64_t count) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), whole = count / lanes * lanes;
  const auto map = [&]() HWY_ATTR {
    for (int64_t i = 0; i < whole; i += lanes) hn::StoreU(f(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, output + i);
  };
  if (whole == count) return map();
  if (whole == 0) return StorePart(f(d, LoadPart(d, a, count), LoadPart(d, b, count)), d, output, count);
  const auto last = f(d, hn::LoadU(d, a + count - lanes), hn::LoadU(d, b + count - lanes));
  map();
  hn::StoreU(last, d, output + count - lanes);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
