// A rectangle of 32-bit values, rows becoming columns. Included once per SIMD target.
#if defined(CONVOY_KERNELS_ELEMENTWISE_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_ELEMENTWISE_TRANSPOSE_INL_H_
#undef CONVOY_KERNELS_ELEMENTWISE_TRANSPOSE_INL_H_
#else
#define CONVOY_KERNELS_ELEMENTWISE_TRANSPOSE_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR
// kHeight rows, 8 or 4, by four columns at a time: a half of a vector holds a row, so that two rounds of interleaving within the
// halves give four whole columns.
template <int64_t kHeight, class T>
HWY_INLINE void TransposeRows(const T* in, int64_t in_step, T* out, int64_t out_step, int64_t columns) {
  const hn::CappedTag<T, kHeight> d;
  const hn::CappedTag<T, 4> dh;
  const hn::RepartitionToWide<decltype(d)> dw;
  const auto load = [&](const T* from) HWY_ATTR {
    if constexpr (kHeight == 8) {
      return hn::Combine(d, hn::LoadU(dh, from + 4 * in_step), hn::LoadU(dh, from));
    } else {
      return hn::LoadU(d, from);
    }
  };
  int64_t c = 0;
  for (; c + 4 <= columns; c += 4) {
    const T* from = in + c;
    const auto a = load(from), b = load(from + in_step), e = load(from + 2 * in_step), f = load(from + 3 * in_step);
    const auto ab = hn::BitCast(dw, hn::InterleaveLower(d, a, b)), ef = hn::BitCast(dw, hn::InterleaveLower(d, e, f));
    const auto ab2 = hn::BitCast(dw, hn::InterleaveUpper(d, a, b)), ef2 = hn::BitCast(dw, hn::InterleaveUpper(d, e, f));
    T* to = out + c * out_step;
    hn::StoreU(hn::BitCast(d, hn::InterleaveLower(dw, ab, ef)), d, to);
    hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(dw, ab, ef)), d, to + out_step);
    hn::StoreU(hn::BitCast(d, hn::InterleaveLower(dw, ab2, ef2)), d, to + 2 * out_step);
    hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(dw, ab2, ef2)), d, to + 3 * out_step);
  }
  for (; c < columns; ++c) {
    for (int64_t i = 0; i < kHeight; ++i) out[c * out_step + i] = in[i * in_step + c];
  }
}
#endif

// out[c * out_step + r] = in[r * in_step + c] for r < rows, c < columns; steps in values. T is float or uint32_t.
template <class T>
HWY_NOINLINE void Transpose(const T* in, int64_t in_step, T* out, int64_t out_step, int64_t rows, int64_t columns) {
  int64_t r = 0;
#if HWY_TARGET != HWY_SCALAR
  constexpr auto kHeight = static_cast<int64_t>(hn::MaxLanes(hn::CappedTag<T, 8>()));  // 8, or 4 where vectors are that short
  for (; r + kHeight <= rows; r += kHeight) TransposeRows<kHeight>(in + r * in_step, in_step, out + r, out_step, columns);
  if (r + 4 <= rows) {
    TransposeRows<4>(in + r * in_step, in_step, out + r, out_step, columns);
    r += 4;
  }
#endif
  for (int64_t c = 0; r < rows && c < columns; ++c) {
    for (int64_t i = r; i < rows; ++i) out[c * out_step + i] = in[i * in_step + c];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
