// Windows that lie a stride apart along a row of values: their joins (maxima or sums), made in registers. Included once per SIMD
// target.
//
// `Op` says of what kind: its tag D, Load(from), Join(left, right), None(), which Join leaves out, and kOrdered, whether the
// values' order matters.
#if defined(CONVOY_KERNELS_POOL_STRIDED_WINDOWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_POOL_STRIDED_WINDOWS_INL_H_
#undef CONVOY_KERNELS_POOL_STRIDED_WINDOWS_INL_H_
#else
#define CONVOY_KERNELS_POOL_STRIDED_WINDOWS_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Of two vectors that each have kWindows / 2 windows' lanes: the joins of a window's neighbouring lanes, those of `left` first.
template <class Op, int64_t kWindows>
HWY_INLINE hn::Vec<typename Op::D> JoinNeighbours(hn::Vec<typename Op::D> left, hn::Vec<typename Op::D> right) {
  const typename Op::D d;
#if HWY_TARGET == HWY_SCALAR
  return left;
#else
  if constexpr (HWY_ARCH_X86 && hn::MaxLanes(d) * sizeof(hn::TFromD<typename Op::D>) == 32) {
    // Within halves of 128 bits first, which takes half as many shuffles.
    if constexpr (kWindows == static_cast<int64_t>(hn::MaxLanes(d))) {
      return Op::Join(hn::ConcatLowerLower(d, right, left), hn::ConcatUpperUpper(d, right, left));
    } else if constexpr (kWindows * sizeof(hn::TFromD<typename Op::D>) == 16) {
      const hn::Repartition<uint64_t, typename Op::D> pairs;
      const auto a = hn::BitCast(pairs, left), b = hn::BitCast(pairs, right);
      return Op::Join(hn::BitCast(d, hn::InterleaveLower(pairs, a, b)), hn::BitCast(d, hn::InterleaveUpper(pairs, a, b)));
    } else {
      return Op::Join(hn::OddEven(hn::DupEven(right), left), hn::OddEven(right, hn::DupOdd(left)));
    }
  } else {
    return Op::Join(hn::ConcatEven(d, right, left), hn::ConcatOdd(d, right, left));
  }
#endif
}

// Lane by lane the joins of kWindows windows, `stride` apart, those of the first window first: each of the vectors up to `whole`,
// and of the `last` lanes of the one at `at`. A join of pairs of neighbours halves what a window has left, so that the first of
// equal values of one vector stays the first.
template <class Op, int64_t kWindows, class T>
HWY_INLINE hn::Vec<typename Op::D> JoinEach(const T* from, int64_t stride, int64_t whole, int64_t at,
                                            hn::Mask<typename Op::D> last) {
  if constexpr (kWindows > 1) {
    return JoinNeighbours<Op, kWindows>(JoinEach<Op, kWindows / 2>(from, stride, whole, at, last),
                                        JoinEach<Op, kWindows / 2>(from + kWindows / 2 * stride, stride, whole, at, last));
  } else {
    const typename Op::D d;
    auto window = hn::IfThenElse(last, Op::Load(from + at), Op::None());
    for (int64_t k = 0; k < whole; k += static_cast<int64_t>(hn::Lanes(d))) window = Op::Join(window, Op::Load(from + k));
    return window;
  }
}

// The joins of `taps` values from `from` on, a window for every lane, `stride` apart; of one window in all lanes for a stride of 0.
// Reads less than a vector behind the last tap.
template <class Op, class T>
HWY_INLINE hn::Vec<typename Op::D> JoinWindows(const T* from, int64_t stride, int64_t taps) {
  const typename Op::D d;
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(d));
  // Where the order matters, vectors that overlap are tried first: of equal values only zeros differ.
  bool once = !Op::kOrdered || taps > kLanes;
  int64_t at = !once ? 0 : Op::kOrdered ? taps - kLanes : (taps - 1) / kLanes * kLanes;
  auto joined = Op::None();
  for (;; at += kLanes) {
    const auto some = hn::FirstN(d, static_cast<size_t>(std::min(taps - at, kLanes)));
    joined = Op::Join(joined, JoinEach<Op, kLanes>(from, stride, once ? at : 0, at, some));
    if (!Op::kOrdered || (once && hn::AllFalse(d, hn::Eq(joined, hn::Zero(d))))) return joined;
    if (once) {
      once = false;
      at = -kLanes;
      joined = Op::None();
    } else if (at + kLanes >= taps) {
      return joined;
    }
  }
}

// For strides of 2 to 4 and i below `count`: whole(i, v) with the joins v of `taps` values, at most two strides, from i * kStride
// on, lane 0 being those of i, and part(i, v) with those of the first `more`, less than a stride, if there are any. Windows behind
// the last are read to a whole vector of them.
template <class Op, int64_t kStride, class T, class Whole, class Part>
HWY_INLINE void JoinGroups(const T* from, int64_t taps, int64_t more, int64_t count, const Whole& whole, const Part& part) {
  const typename Op::D d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < count; i += n) {
    const auto first = [&](const T* at, int64_t size) HWY_ATTR {
      hn::Vec<typename Op::D> v0, v1, v2 = Op::None(), v3 = v2;
      if constexpr (kStride == 2) hn::LoadInterleaved2(d, at, v0, v1);
      if constexpr (kStride == 3) hn::LoadInterleaved3(d, at, v0, v1, v2);
      if constexpr (kStride == 4) hn::LoadInterleaved4(d, at, v0, v1, v2, v3);
      auto v = v0;
      if (size > 1) v = Op::Join(v, v1);
      if (kStride > 2 && size > 2) v = Op::Join(v, v2);
      if (kStride > 3 && size > 3) v = Op::Join(v, v3);
      return v;
    };
    const T* at = from + kStride * i;
    if (more > 0) part(i, first(at, more));
    auto v = first(at, taps);
    if (taps > kStride) v = Op::Join(v, first(at + kStride, taps - kStride));
    whole(i, v);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
