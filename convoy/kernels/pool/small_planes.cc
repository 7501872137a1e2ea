#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/pool/small_planes.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/pool/small_planes.h"

#include <algorithm>
#include <limits>

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"
#include "convoy/kernels/larger-inl.h"
#include "convoy/kernels/pool/pool_reference.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_POOL_SMALL_PLANES_TAPS_
#define CONVOY_KERNELS_POOL_SMALL_PLANES_TAPS_
namespace convoy::kernels {
namespace {

constexpr int64_t kMostPositions = 256;
constexpr int64_t kMostTaps = 1024;

// The positions that each output of a plane sees, in the order in which they are compared.
struct PlaneTaps {
  int64_t inputs = 0, outputs = 0, count = 0;
  int16_t end[kMostPositions];  // of each output's taps
  int16_t at[kMostTaps];
};

}  // namespace
}  // namespace convoy::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<DF>;

int64_t PlaneLanes() { return static_cast<int64_t>(hn::Lanes(DF())); }

HWY_NOINLINE HWY_ATTR void Transposed(const uint32_t* in, int64_t in_step, uint32_t* out, int64_t out_step, int64_t rows,
                                      int64_t columns) {
  Transpose(in, in_step, out, out_step, rows, columns);
}

void MaxPoolPlanes(const PlaneTaps& taps, const float* input, int64_t planes, float* output, int64_t* indices) {
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(DF()));
  HWY_ALIGN uint32_t values[kMostPositions * kLanes] = {};
  HWY_ALIGN uint32_t largest[kMostPositions * kLanes];
  HWY_ALIGN uint32_t places[kMostPositions * kLanes];
  uint32_t in_order[kMostPositions * kLanes];
  const DF d;
  const DI di;
  for (int64_t p = 0; p < planes; p += kLanes) {
    const int64_t some = std::min(kLanes, planes - p);
    const auto from = reinterpret_cast<const uint32_t*>(input) + p * taps.inputs;
    Transposed(from, taps.inputs, values, kLanes, some, taps.inputs);
    for (int64_t o = 0, t = 0; o < taps.outputs; ++o) {
      auto best = hn::Set(d, -std::numeric_limits<float>::infinity());
      auto place = hn::Set(di, int32_t{taps.at[t]});
      const auto load = [&](int64_t at)
                            HWY_ATTR { return hn::BitCast(d, hn::Load(hn::RebindToUnsigned<DF>(), values + at * kLanes)); };
      if (indices == nullptr) {
        for (; t < taps.end[o]; ++t) best = Larger(best, load(taps.at[t]));
      } else {
        for (; t < taps.end[o]; ++t) {
          const auto v = load(taps.at[t]);
          const auto wins = hn::Or(hn::Gt(v, best), hn::IsNaN(v));
          best = hn::IfThenElse(wins, v, best);
          place = hn::IfThenElse(hn::RebindMask(di, wins), hn::Set(di, int32_t{taps.at[t]}), place);
        }
        hn::Store(hn::BitCast(hn::RebindToUnsigned<DF>(), place), hn::RebindToUnsigned<DF>(), places + o * kLanes);
      }
      hn::Store(hn::BitCast(hn::RebindToUnsigned<DF>(), best), hn::RebindToUnsigned<DF>(), largest + o * kLanes);
    }
    Transposed(largest, kLanes, reinterpret_cast<uint32_t*>(output) + p * taps.outputs, taps.outputs, taps.outputs, some);
    if (indices == nullptr) continue;
    Transposed(places, kLanes, in_order, taps.outputs, taps.outputs, some);
    for (int64_t i = 0; i < some * taps.outputs; ++i) indices[p * taps.outputs + i] = static_cast<int64_t>(in_order[i]);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(PlaneLanes);
CONVOY_EXPORT(MaxPoolPlanes);

namespace {

constexpr int64_t kTapsPerTask = 65536;

// False if there are too many taps, or a window without any. Row by row as indices ask for, or column by column as max_pool_values
// does, whose zeros keep their sign so.
template <class Shape>
bool list_taps(const Shape& s, bool by_columns, PlaneTaps& taps) {
  taps.inputs = s.input_positions();
  taps.outputs = s.output_positions();
  bool fits = true;
  for_each_window(s, 0, rows_per_plane(s), [&](int64_t o, const Window& window) {
    const int64_t size = window.d.count * window.h.count * window.w.count;
    fits = fits && size > 0 && taps.count + size <= kMostTaps;
    if (!fits) return;
    const auto add = [&](int64_t i) { taps.at[taps.count++] = static_cast<int16_t>(i); };
    for (int64_t x = 0; x < (by_columns ? window.w.count : 1); ++x) {
      Window part = window;
      if (by_columns) part.w = {window.w.begin + x * window.w.step, 1, 1};
      part.for_each(add);
    }
    taps.end[o] = static_cast<int16_t>(taps.count);
  });
  return fits;
}

template <class Shape>
bool max_of_small_planes(const Shape& s, const float* input, float* output, int64_t* indices) {
  const int64_t lanes = CONVOY_DISPATCH(PlaneLanes)(), outputs = s.output_positions();
  if (lanes < 4 || s.planes() < 2 * lanes || s.input_positions() > kMostPositions || outputs > kMostPositions || outputs == 0)
    return false;
  PlaneTaps taps;
  if (!list_taps(s, indices == nullptr, taps)) return false;
  const int64_t grain = std::max<int64_t>(64, kTapsPerTask / (taps.count + taps.inputs + outputs) / 64 * 64);
  parallel_ranges(s.planes(), grain, [&](int64_t begin, int64_t end) {
    CONVOY_DISPATCH(MaxPoolPlanes)
    (taps, input + begin * taps.inputs, end - begin, output + begin * outputs,
     indices == nullptr ? nullptr : indices + begin * outputs);
  });
  return true;
}

}  // namespace

bool max_pool_small_planes(const PoolShape& s, const float* input, float* output, int64_t* indices) noexcept {
  // Rows of neighbouring windows are vectors already.
  if (s.axes[2].stride == 1 && s.output[2] > 2 * CONVOY_DISPATCH(PlaneLanes)()) return false;
  return max_of_small_planes(s, input, output, indices);
}
bool max_pool_small_planes(const AdaptivePoolShape& s, const float* input, float* output, int64_t* indices) noexcept {
  return max_of_small_planes(s, input, output, indices);
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
