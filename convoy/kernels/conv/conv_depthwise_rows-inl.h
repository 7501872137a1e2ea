// How the depthwise kernels read rows: lanes beyond a row's ends are zero and their memory is not touched; strided rows are sorted.
#if defined(CONVOY_KERNELS_CONV_DEPTHWISE_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_CONV_DEPTHWISE_ROWS_INL_H_
#undef CONVOY_KERNELS_CONV_DEPTHWISE_ROWS_INL_H_
#else
#define CONVOY_KERNELS_CONV_DEPTHWISE_ROWS_INL_H_
#endif

#include <algorithm>
#include <limits>
#include <utility>

#include "convoy/kernels/conv/conv_depthwise_geometry.h"
#include "convoy/kernels/masked-inl.h"
#include "convoy/kernels/registers-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
using Mask = hn::Mask<D>;

// f(0), ..., f(kCount - 1) with constants, so that arrays of vectors indexed by them stay in registers: GCC 12 unrolls nested loops
// only after it has decided about that.
template <class F, int... kIndex>
HWY_INLINE void UnrollIndices(F&& f, std::integer_sequence<int, kIndex...>) {
  (f(std::integral_constant<int, kIndex>()), ...);
}
template <int kCount, class F>
HWY_INLINE void Unroll(F&& f) {
  UnrollIndices(f, std::make_integer_sequence<int, kCount>());
}
#define CONVOY_UNROLLED HWY_ATTR __attribute__((always_inline))

// Half a vector, where planes are narrow or rows have a short rest.
constexpr bool kHalves = HWY_TARGET == HWY_AVX3;
using Half = hn::CappedTag<float, kHalves ? HWY_LANES(float) / 2 : HWY_LANES(float)>;

// GCC would fold the load into each of the multiply-adds that use it, and unaligned loads are what limits us.
template <class Vector>
HWY_INLINE void KeepInRegister(Vector& v) {
#if HWY_TARGET == HWY_AVX3
  asm volatile("" : "+v"(v.raw));
#elif HWY_TARGET == HWY_AVX2
  asm volatile("" : "+x"(v.raw));
#else
  (void)v;
#endif
}

// Lanes whose column, `first` for lane 0, is in [0, width).
template <class DV>
HWY_INLINE hn::Mask<DV> InsideLanes(DV d, int64_t first, int64_t width) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto below = hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(-first, 0, lanes)));
  const auto inside = hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(width - first, 0, lanes)));
  return hn::AndNot(below, inside);
}
HWY_INLINE Mask InsideLanes(int64_t first, int64_t width) { return InsideLanes(D(), first, width); }

// The lanes of `mask`, zero elsewhere.
template <class DV>
HWY_INLINE hn::Vec<DV> LoadInside(DV d, hn::Mask<DV> mask, const float* p) {
  return LoadMasked(mask, d, p);
}
HWY_INLINE V LoadInside(Mask mask, const float* p) { return LoadMasked(mask, D(), p); }

#if HWY_TARGET != HWY_SCALAR
constexpr int64_t kMostSortedStep = 8;

// to[phase phase_floats + i] = from[i step + phase] for every lane i: of each vector those lanes are taken that lie there.
HWY_INLINE void SortVector(const float* from, int64_t step, int64_t phases, int64_t phase_floats, float* to) {
  const D d;
  const hn::RebindToSigned<D> di;
  constexpr auto kVector = static_cast<int32_t>(HWY_LANES(float));
  constexpr int kShift = kVector == 16 ? 4 : kVector == 8 ? 3 : 2;
  static_assert(kVector == 1 << kShift);
  auto position = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(step)));
  for (int64_t phase = 0; phase < phases; ++phase, to += phase_floats) {
    const auto indices = hn::IndicesFromVec(d, hn::And(position, hn::Set(di, kVector - 1)));
    const auto vector = hn::ShiftRight<kShift>(position);
    V sorted = hn::TableLookupLanes(hn::LoadU(d, from), indices);
    for (int32_t i = 1; i < step; ++i) {
      const V v = hn::TableLookupLanes(hn::LoadU(d, from + i * kVector), indices);
      sorted = hn::IfThenElse(hn::RebindMask(d, hn::Eq(vector, hn::Set(di, i))), v, sorted);
    }
    hn::Store(sorted, d, to);
    position = hn::Add(position, hn::Set(di, 1));
  }
}
#endif

// to[phase phase_floats + j] = row[first + j step + phase] for columns j in [0, columns), zero where the row of `width` has none.
// phase_floats is a multiple of the lanes and not below columns.
HWY_INLINE void SortRow(const float* row, int64_t width, int64_t first, int64_t step, int64_t phases, int64_t columns,
                        int64_t phase_floats, float* to) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  if (step == 1) {
    for (int64_t j = 0; j < columns; j += lanes) {
      const int64_t at = first + j;
      const bool inside = at >= 0 && at + lanes <= width;
      hn::Store(inside ? hn::LoadU(d, row + at) : LoadInside(InsideLanes(at, width), row + at), d, to + j);
    }
    return;
  }
#if HWY_TARGET != HWY_SCALAR
  if (step == 2) {
    for (int64_t j = 0; j < columns; j += lanes) {
      const int64_t at = first + 2 * j;
      V low, high;
      if (at >= 0 && at + 2 * lanes <= width) {
        low = hn::LoadU(d, row + at);
        high = hn::LoadU(d, row + at + lanes);
      } else {
        low = LoadInside(InsideLanes(at, width), row + at);
        high = LoadInside(InsideLanes(at + lanes, width), row + at + lanes);
      }
      hn::Store(hn::ConcatEven(d, high, low), d, to + j);
      if (phases == 2) hn::Store(hn::ConcatOdd(d, high, low), d, to + phase_floats + j);
    }
    return;
  }
#endif
#if HWY_TARGET != HWY_SCALAR
  if (step <= kMostSortedStep) {
    HWY_ALIGN float copy[kMostSortedStep * HWY_LANES(float)];
    for (int64_t j = 0; j < columns; j += lanes) {
      const int64_t at = first + j * step;
      const float* from = row + at;
      if (at < 0 || at + lanes * step > width) {
        for (int64_t i = 0; i < lanes * step; i += lanes)
          hn::Store(LoadInside(InsideLanes(at + i, width), row + at + i), d, copy + i);
        from = copy;
      }
      SortVector(from, step, phases, phase_floats, to + j);
    }
    return;
  }
#endif
  for (int64_t phase = 0; phase < phases; ++phase) {
    float* const out = to + phase * phase_floats;
    for (int64_t j = 0; j < columns; ++j) {
      const int64_t column = first + j * step + phase;
      out[j] = column >= 0 && column < width ? row[column] : 0.0f;
    }
  }
}

// SortRow for many rows of the same width: the lanes that are inside are worked out once.
class RowSorter {
 public:
  RowSorter() {}  // the implicit one is made outside of the target's namespace, where NEON masks have no constructor

  void Make(int64_t first, int64_t step, int64_t width, int64_t columns) {
    first_ = first;
    step_ = step;
    width_ = width;
    columns_ = columns;
    count_ = (columns + kVector - 1) / kVector * step;
    for (int64_t i = 0; i < count_ && count_ <= kMost; ++i) masks_[i] = InsideLanes(first + i * kVector, width);
  }
  HWY_INLINE void Sort(const float* row, int64_t phases, int64_t phase_floats, float* to) const {
#if HWY_TARGET != HWY_SCALAR
    if (count_ <= kMost && step_ > 1 && step_ <= kMostSortedStep) {
      const D d;
      const float* from = row + first_;
      const Mask* mask = masks_;
      if (step_ == 2 && phases == 2) {
        for (float* const end = to + columns_; to < end; to += kVector, from += 2 * kVector, mask += 2) {
          const V low = LoadInside(mask[0], from), high = LoadInside(mask[1], from + kVector);
          hn::Store(hn::ConcatEven(d, high, low), d, to);
          hn::Store(hn::ConcatOdd(d, high, low), d, to + phase_floats);
        }
        return;
      }
      HWY_ALIGN float inside[kMostSortedStep * kVector];
      for (float* const end = to + columns_; to < end; to += kVector) {
        for (int64_t i = 0; i < step_; ++i, from += kVector) hn::Store(LoadInside(*mask++, from), d, inside + i * kVector);
        SortVector(inside, step_, phases, phase_floats, to);
      }
      return;
    }
#endif
    SortRow(row, width_, first_, step_, phases, columns_, phase_floats, to);
  }

 private:
  static constexpr int64_t kVector = HWY_LANES(float), kMost = 128;
  int64_t first_, step_, width_, columns_, count_;
  Mask masks_[kMost];
};

// The first lanes of a vector, or all.
template <class DV>
struct FirstLanes {
  bool all;
  hn::Mask<DV> mask;

  FirstLanes(DV d, int64_t count)
      : all(count >= static_cast<int64_t>(hn::Lanes(d))), mask(hn::FirstN(d, static_cast<size_t>(count))) {}
};

// v between low and high; a NaN stays.
template <class V>
HWY_INLINE V Limited(V v, V low, V high) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_WASM
  return hn::Min(high, hn::Max(low, v));  // they return the second operand where one is NaN
#else
  const V y = hn::IfThenElse(hn::Lt(v, low), low, v);
  return hn::IfThenElse(hn::Gt(y, high), high, y);
#endif
}

// A finished vector: the residual, the clamp, and away.
struct Finish {
  bool clamp;
  float low, high;

  explicit Finish(const SplitEpilogue& epilogue)
      : clamp(epilogue.low > -std::numeric_limits<float>::infinity() || epilogue.high < std::numeric_limits<float>::infinity()),
        low(epilogue.low),
        high(epilogue.high) {}
  template <class DV>
  HWY_INLINE void Store(DV d, hn::Vec<DV> v, const FirstLanes<DV>& lanes, float* out, const float* residual) const {
    if (residual != nullptr) v = hn::Add(v, LoadInside(d, lanes.mask, residual));
    if (clamp) v = Limited(v, hn::Set(d, low), hn::Set(d, high));
    if (HWY_TARGET != HWY_AVX3 && lanes.all) {  // AVX2 stores some lanes slowly
      hn::StoreU(v, d, out);
    } else {
      StoreMasked(v, lanes.mask, d, out);
    }
  }
};

// Interleaves rows of one vector per phase: to[i phases + phase] = from[phase lanes + i].
HWY_INLINE void Interleave(const float* from, int64_t phases, float* to) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto row = [&](int64_t phase) HWY_ATTR { return hn::Load(d, from + phase * lanes); };
  if (phases == 2) {
    hn::StoreInterleaved2(row(0), row(1), d, to);
  } else if (phases == 3) {
    hn::StoreInterleaved3(row(0), row(1), row(2), d, to);
  } else if (phases == 4) {
    hn::StoreInterleaved4(row(0), row(1), row(2), row(3), d, to);
  } else {
    for (int64_t phase = 0; phase < phases; ++phase) {
      for (int64_t i = 0; i < lanes; ++i) to[i * phases + phase] = from[phase * lanes + i];
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
