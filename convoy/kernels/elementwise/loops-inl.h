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

// output[i] = f(d, input[i]). What is left over from whole vectors is a vector that overlaps the one before it, put aside first,
// since output may be input. One loop computes both: with a copy of f for each, activations took nearly twice the code. Rows of 49
// values take up to a tenth longer so, of 196 two hundredths.
template <class F>
HWY_INLINE void Map(const F& f, const float* input, float* output, int64_t count) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), last = count - lanes;
  HWY_ALIGN float rest[HWY_MAX_BYTES / sizeof(float)];
  int64_t whole = count / lanes * lanes;
  const bool rests = whole < count;
  if (rests) hn::Store(last < 0 ? LoadPart(d, input, count) : hn::LoadU(d, input + last), d, rest);
  const float* from = input;
  float* to = output;
  for (;;) {
    for (int64_t i = 0; i < whole; i += lanes) hn::StoreU(f(d, hn::LoadU(d, from + i)), d, to + i);
    if (!rests || to == rest) break;
    from = to = rest;
    whole = lanes;
  }
  if (!rests) return;
  if (last < 0) return StorePart(hn::Load(d, rest), d, output, count);
  hn::StoreU(hn::Load(d, rest), d, output + last);
}

// output[i] = f(d, a[i], b[i]).
template <class F>
HWY_INLINE void Map(const F& f, const float* a, const float* b, float* output, int64_t count) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), last = count - lanes;
  HWY_ALIGN float rest[HWY_MAX_BYTES / sizeof(float)], other[HWY_MAX_BYTES / sizeof(float)];
  int64_t whole = count / lanes * lanes;
  const bool rests = whole < count;
  if (rests) {
    hn::Store(last < 0 ? LoadPart(d, a, count) : hn::LoadU(d, a + last), d, rest);
    hn::Store(last < 0 ? LoadPart(d, b, count) : hn::LoadU(d, b + last), d, other);
  }
  float* to = output;
  for (;;) {
    for (int64_t i = 0; i < whole; i += lanes) hn::StoreU(f(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, to + i);
    if (!rests || to == rest) break;
    a = to = rest;
    b = other;
    whole = lanes;
  }
  if (!rests) return;
  if (last < 0) return StorePart(hn::Load(d, rest), d, output, count);
  hn::StoreU(hn::Load(d, rest), d, output + last);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
