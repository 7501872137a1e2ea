// float32 max pooling over vectors of neighbouring outputs, in two ways.
//
// Small windows in wide planes: where all taps of a row of windows lie inside the input, a vector keeps its best values and the
// offsets of the taps they came from; the few border columns run the reference.
//
// Large windows, and narrow planes that have more border than interior: separable. The columns under a row of windows are reduced
// down to one row (value and index), which is padded with -inf and then reduced along. kd kh + kw steps instead of kd kh kw, and no
// border. Wide windows are reduced by halves along the row: the best of 1, 2, 4, ... columns. Equal values must yield the smallest
// index and NaNs the largest, which the second reduction compares for. Measured on 512 planes of 19 x 19, stride 1: 5 x 5 3.4 ->
// 0.5 ms, 13 x 13 63 -> 1.1 ms; 2048 planes of 14 x 14, 3 x 3 stride 2: 1.5 -> 0.5 ms. Direct wins 3 x 3 on 112 x 112.
//
// Indices are 32 bits wide here, so planes of 2^31 positions and more run the reference, as do machines without vectors.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/pool/max_pool.cc"
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "convoy/core/parallel.h"
#include "convoy/kernels/pool/pool.h"
#include "convoy/kernels/pool/pool_reference.h"
#include "convoy/kernels/pool/row_cursor.h"
#include "convoy/kernels/pool/small_planes.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/masked-inl.h"  // after foreach_target.h

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
void MaxPoolRows(const PoolShape& shape, const float* input, float* output, int64_t* indices, int64_t begin, int64_t end) {
  max_pool_rows_reference(shape, input, output, indices, begin, end);
}

void AdaptiveMaxPoolRows(const AdaptivePoolShape& shape, const float* input, float* output, int64_t* indices, int64_t begin,
                         int64_t end) {
  max_pool_rows_reference(shape, input, output, indices, begin, end);
}
#else
using DF = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<DF>;
using VF = hn::Vec<DF>;
using VI = hn::Vec<DI>;

// What the rows of all planes have in common.
struct RowWindows {
  WindowAxis d, h;
};

// One row of outputs: its windows along d and h, and the plane they look at.
struct MaxRow {
  const PoolShape& shape;
  WindowAxis d, h;
  const float* plane;
  float* output;
  int64_t* indices;
};

// The best value of each lane so far, and the offset of its tap from the lane's first input of the plane.
struct Best {
  VF value;
  VI offset;

  HWY_INLINE void Update(VF v, int64_t tap) {
    const auto wins = hn::Or(hn::Gt(v, value), hn::IsNaN(v));
    value = hn::IfThenElse(wins, v, value);
    offset = hn::IfThenElse(hn::RebindMask(DI(), wins), hn::Set(DI(), static_cast<int32_t>(tap)), offset);
  }
};

// Each loader feeds the taps of one input row to `best`: `first` is tap 0 of lane 0, `row` its offset.
struct Contiguous {
  HWY_INLINE void operator()(const float* first, int64_t row, const shape::Axis& axis, Best& best) const {
    for (int64_t k = 0; k < axis.kernel_size; ++k) best.Update(hn::LoadU(DF(), first + k * axis.dilation), row + k * axis.dilation);
  }
};

// Stride 2, dilation 1: two taps a load. Reads nothing beyond the last tap of the last lane.
struct Interleaved {
  HWY_INLINE void operator()(const float* first, int64_t row, const shape::Axis& axis, Best& best) const {
    VF even, odd;
    int64_t k = 0;
    for (; k + 1 < axis.kernel_size; k += 2) {
      hn::LoadInterleaved2(DF(), first + k, even, odd);
      best.Update(even, row + k);
      best.Update(odd, row + k + 1);
    }
    if (k < axis.kernel_size) {
      hn::LoadInterleaved2(DF(), first + k - 1, even, odd);
      best.Update(odd, row + k);
    }
  }
};

// Any stride, and fewer outputs than lanes: the lanes too many repeat the last output.
struct Gathered {
  VI lanes;

  HWY_INLINE void operator()(const float* first, int64_t row, const shape::Axis& axis, Best& best) const {
    for (int64_t k = 0; k < axis.kernel_size; ++k) {
      best.Update(hn::GatherIndex(DF(), first + k * axis.dilation, lanes), row + k * axis.dilation);
    }
  }
};

// The first `count` lanes, at most all of them.
HWY_INLINE void StoreOutputs(VF value, VI index, int64_t count, float* output, int64_t* indices) {
  constexpr size_t kLanes = hn::MaxLanes(DF());
  HWY_ALIGN int32_t narrow[kLanes];
  hn::Store(index, DI(), narrow);
  const hn::ScalableTag<int64_t> d64;
  const hn::Rebind<int32_t, decltype(d64)> d32;
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  if (count == n) {
    hn::StoreU(value, DF(), output);
    const auto half = static_cast<int64_t>(hn::Lanes(d64));
    for (int64_t i = 0; i < n; i += half) hn::StoreU(hn::PromoteTo(d64, hn::Load(d32, narrow + i)), d64, indices + i);
  } else {
    HWY_ALIGN float values[kLanes];
    hn::Store(value, DF(), values);
    for (int64_t i = 0; i < count; ++i) {
      output[i] = values[i];
      indices[i] = narrow[i];
    }
  }
}

// Outputs [ow, ow + count) of a row, count at most the number of lanes.
template <class Load>
HWY_INLINE void MaxVector(const MaxRow& row, int64_t ow, int64_t count, const Load& load) {
  const shape::Axis& axis = row.shape.axes[2];
  const int64_t first = shape::input_index(ow, 0, axis);
  Best best{hn::Set(DF(), -std::numeric_limits<float>::infinity()),
            hn::Set(DI(), static_cast<int32_t>((row.d.begin * row.shape.input[1] + row.h.begin) * row.shape.input[2]))};
  for (int64_t z = 0; z < row.d.count; ++z) {
    for (int64_t y = 0; y < row.h.count; ++y) {
      const int64_t at = ((row.d.begin + z * row.d.step) * row.shape.input[1] + row.h.begin + y * row.h.step) * row.shape.input[2];
      load(row.plane + at + first, at, axis, best);
    }
  }
  const VI lane_starts = hn::Mul(hn::Iota(DI(), 0), hn::Set(DI(), static_cast<int32_t>(axis.stride)));
  const VI index = hn::Add(best.offset, hn::Add(lane_starts, hn::Set(DI(), static_cast<int32_t>(first))));
  StoreOutputs(best.value, index, count, row.output + ow, row.indices + ow);
}

HWY_INLINE Gathered GatherLanes(int64_t stride, int64_t count) {
  const VI lane = hn::Min(hn::Iota(DI(), 0), hn::Set(DI(), static_cast<int32_t>(count - 1)));
  return {hn::Mul(lane, hn::Set(DI(), static_cast<int32_t>(stride)))};
}

// Outputs [begin, end), all of whose taps along w are inside.
template <class Load>
HWY_INLINE void MaxInterior(const MaxRow& row, int64_t begin, int64_t end, const Load& load) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  int64_t ow = begin;
  for (; ow + n <= end; ow += n) MaxVector(row, ow, n, load);
  if (ow == end) return;
  if (end - begin >= n) {
    MaxVector(row, end - n, n, load);  // overlaps the vector before it
  } else {
    MaxVector(row, ow, end - ow, GatherLanes(row.shape.axes[2].stride, end - ow));
  }
}

// A block of columns under a row of windows, each reduced to its best value and that value's flat index.
struct Columns {
  static constexpr int64_t kSize = 2048;  // 16 KiB
  static constexpr int64_t kSlack = 64;   // the last vectors of a block read beyond it
  static constexpr int32_t kNowhere = std::numeric_limits<int32_t>::max();

  HWY_ALIGN float values[kSize + kSlack];
  HWY_ALIGN int32_t indices[kSize + kSlack];

  void FillPadding(int64_t begin, int64_t end) {
    std::fill(values + begin, values + end, -std::numeric_limits<float>::infinity());
    std::fill(indices + begin, indices + end, kNowhere);
  }
};

// columns[0, count) = the best of the row's window in input columns [from, from + count). Returns whether there is a NaN.
HWY_NOINLINE HWY_ATTR bool ReduceColumns(const MaxRow& row, int64_t from, int64_t count, float* values, int32_t* indices) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  const int64_t height = row.shape.input[1], width = row.shape.input[2];
  const int64_t start = (row.d.begin * height + row.h.begin) * width + from;
  const int64_t ahead = Window{row.d, row.h, {}, height, width}.rows_ahead();
  VF nans = hn::Zero(DF());
  const auto reduce = [&](int64_t w, auto load, auto store) HWY_ATTR {
    VF best = load(row.plane + start + w);
    VI at = hn::Set(DI(), static_cast<int32_t>(start));
    for (int64_t z = 0; z < row.d.count; ++z) {
      int64_t position = start + z * row.d.step * height * width;
      for (int64_t y = 0; y < row.h.count; ++y, position += row.h.step * width) {
        const VF v = load(row.plane + position + w);
        __builtin_prefetch(row.plane + position + w + ahead);
        const auto wins = hn::Or(hn::Gt(v, best), hn::IsNaN(v));
        best = hn::IfThenElse(wins, v, best);
        at = hn::IfThenElse(hn::RebindMask(DI(), wins), hn::Set(DI(), static_cast<int32_t>(position)), at);
      }
    }
    nans = hn::IfThenElse(hn::IsNaN(best), best, nans);
    store(w, best, hn::Add(at, hn::Iota(DI(), static_cast<int32_t>(w))));
  };
  int64_t w = 0;
  for (; w + n <= count; w += n) {
    reduce(
        w, [](const float* p) HWY_ATTR { return hn::LoadU(DF(), p); },
        [&](int64_t to, VF value, VI index) HWY_ATTR {
          hn::StoreU(value, DF(), values + to);
          hn::StoreU(index, DI(), indices + to);
        });
  }
  if (w < count) {
    const auto some = hn::FirstN(DF(), static_cast<size_t>(count - w));
    reduce(
        w, [&](const float* p) HWY_ATTR { return LoadMasked(some, DF(), p); },
        [&](int64_t to, VF value, VI index) HWY_ATTR {
          StoreMasked(value, some, DF(), values + to);
          StoreMasked(index, hn::RebindMask(DI(), some), DI(), indices + to);
        });
  }
  return !hn::AllFalse(DF(), hn::IsNaN(nans));
}

// The best of several columns: the larger value, of equal ones the smaller index; a NaN beats all, of NaNs the larger index.
template <bool kNan>
struct BestColumn {
  VF value;
  VI index;

  HWY_INLINE void Update(VF v, VI i) {
    const auto smaller = hn::RebindMask(DF(), hn::Lt(i, index));
    auto wins = hn::Or(hn::Gt(v, value), hn::And(hn::Eq(v, value), smaller));
    if constexpr (kNan) wins = hn::Or(wins, hn::AndNot(hn::And(hn::IsNaN(value), smaller), hn::IsNaN(v)));
    value = hn::IfThenElse(wins, v, value);
    index = hn::IfThenElse(hn::RebindMask(DI(), wins), i, index);
  }
};

// `best` and `count` columns, `step` apart, of which `nan` says whether there are NaNs.
HWY_INLINE void JoinColumns(const float* values, const int32_t* indices, int64_t count, int64_t step, bool nan,
                            Maximum<float>& best) {
  for (int64_t w = 0; w < count * step; w += step) {
    const float v = values[w];
    const int64_t i = indices[w];
    const bool first = i < best.index;  // of equal values; of NaNs the last
    if (v > best.value || (v == best.value && first) || (nan && v != v && (best.value == best.value || !first))) best = {v, i};
  }
}

// So many outputs of a row at most take less time one by one than by gathering their columns.
constexpr int64_t kFewOutputs = 6;

// Outputs of a block whose columns are numbers, window by window.
HWY_INLINE void ReduceEach(const MaxRow& row, const Columns& columns, const shape::Axis& axis, int64_t count, int64_t ow) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  const int64_t last = axis.kernel_size - n;
  const auto some = hn::FirstN(DF(), static_cast<size_t>(std::min(n, axis.kernel_size)));
  const auto lowest = hn::Set(DF(), -std::numeric_limits<float>::infinity());
  for (int64_t o = ow; o < ow + count; ++o) {
    const float* const values = columns.values + (o - ow) * axis.stride;
    const int32_t* const indices = columns.indices + (o - ow) * axis.stride;
    auto best = hn::IfThenElse(some, hn::LoadU(DF(), values), lowest);
    const auto first = best;
    for (int64_t k = n; k < axis.kernel_size; k += n) best = hn::Max(best, hn::LoadU(DF(), values + std::min(k, last)));
    best = hn::MaxOfLanes(DF(), best);
    // Of equal values the first: a zero's sign is that of the one it names.
    const auto nowhere = hn::Set(DI(), Columns::kNowhere);
    const auto at = [&](VF v, int64_t k) HWY_ATTR {
      return hn::IfThenElse(hn::RebindMask(DI(), hn::Eq(v, best)), hn::LoadU(DI(), indices + k), nowhere);
    };
    auto index = at(first, 0);
    for (int64_t k = n; k < axis.kernel_size; k += n) {
      const int64_t from = std::min(k, last);
      index = hn::Min(index, at(hn::LoadU(DF(), values + from), from));
    }
    const int32_t place = hn::GetLane(hn::MinOfLanes(DI(), index));
    row.indices[o] = place;
    row.output[o] = place == Columns::kNowhere ? -std::numeric_limits<float>::infinity() : row.plane[place];
  }
}

// Outputs of a block from its columns.
template <bool kNan>
HWY_INLINE void ReduceAlong(const Columns& columns, const shape::Axis& axis, int64_t count, float* output, int64_t* indices) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  if (count <= kFewOutputs && axis.stride > 1) {
    for (int64_t ow = 0; ow < count; ++ow) {
      const int64_t first = ow * axis.stride;
      Maximum<float> best{-std::numeric_limits<float>::infinity(), Columns::kNowhere};
      JoinColumns(columns.values + first, columns.indices + first, axis.kernel_size, axis.dilation, kNan, best);
      output[ow] = best.value;
      indices[ow] = best.index;
    }
    return;
  }
  for (int64_t ow = 0; ow < count; ow += n) {
    const int64_t outputs = std::min(n, count - ow), first = ow * axis.stride;
    BestColumn<kNan> best{hn::Set(DF(), -std::numeric_limits<float>::infinity()), hn::Set(DI(), Columns::kNowhere)};
    if (axis.stride == 1) {
      for (int64_t k = 0; k < axis.kernel_size; ++k) {
        const int64_t at = first + k * axis.dilation;
        best.Update(hn::LoadU(DF(), columns.values + at), hn::LoadU(DI(), columns.indices + at));
      }
    } else if (axis.stride == 2 && axis.dilation == 1) {
      for (int64_t k = 0; k < axis.kernel_size; k += 2) {
        VF even, odd;
        VI even_at, odd_at;
        hn::LoadInterleaved2(DF(), columns.values + first + k, even, odd);
        hn::LoadInterleaved2(DI(), columns.indices + first + k, even_at, odd_at);
        best.Update(even, even_at);
        if (k + 1 < axis.kernel_size) best.Update(odd, odd_at);
      }
    } else {
      const VI lane = hn::Min(hn::Iota(DI(), 0), hn::Set(DI(), static_cast<int32_t>(outputs - 1)));
      const VI lanes = hn::Mul(lane, hn::Set(DI(), static_cast<int32_t>(axis.stride)));
      for (int64_t k = 0; k < axis.kernel_size; ++k) {
        const int64_t at = first + k * axis.dilation;
        best.Update(hn::GatherIndex(DF(), columns.values + at, lanes), hn::GatherIndex(DI(), columns.indices + at, lanes));
      }
    }
    StoreOutputs(best.value, best.index, outputs, output + ow, indices + ow);
  }
}

// ReduceAlong for wide windows, from the best of 1, 2, 4, ... columns: two overlapping runs of the largest power of two make a
// window. The columns are used up.
template <bool kNan>
HWY_INLINE void ReduceByHalves(Columns& columns, const shape::Axis& axis, int64_t count, float* output, int64_t* indices) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  int64_t length = (count - 1) * axis.stride + (axis.kernel_size - 1) * axis.dilation + 1, taps = 1;
  const auto join = [&](int64_t i, int64_t step) HWY_ATTR {
    BestColumn<kNan> best{hn::LoadU(DF(), columns.values + i), hn::LoadU(DI(), columns.indices + i)};
    best.Update(hn::LoadU(DF(), columns.values + i + step), hn::LoadU(DI(), columns.indices + i + step));
    return best;
  };
  for (; 2 * taps <= axis.kernel_size; taps *= 2) {
    length -= taps * axis.dilation;
    for (int64_t i = 0; i < length; i += n) {
      const BestColumn<kNan> best = join(i, taps * axis.dilation);
      hn::StoreU(best.value, DF(), columns.values + i);
      hn::StoreU(best.index, DI(), columns.indices + i);
    }
  }
  const int64_t step = (axis.kernel_size - taps) * axis.dilation;
  if (axis.stride == 1) {
    for (int64_t ow = 0; ow < count; ow += n) {
      const BestColumn<kNan> best = join(ow, step);
      StoreOutputs(best.value, best.index, std::min(n, count - ow), output + ow, indices + ow);
    }
    return;
  }
  for (int64_t ow = 0; ow < count; ow += n) {
    const int64_t outputs = std::min(n, count - ow), first = ow * axis.stride;
    const VI lane = hn::Min(hn::Iota(DI(), 0), hn::Set(DI(), static_cast<int32_t>(outputs - 1)));
    const VI lanes = hn::Mul(lane, hn::Set(DI(), static_cast<int32_t>(axis.stride)));
    BestColumn<kNan> best{hn::GatherIndex(DF(), columns.values + first, lanes),
                          hn::GatherIndex(DI(), columns.indices + first, lanes)};
    best.Update(hn::GatherIndex(DF(), columns.values + first + step, lanes),
                hn::GatherIndex(DI(), columns.indices + first + step, lanes));
    StoreOutputs(best.value, best.index, outputs, output + ow, indices + ow);
  }
}

// How a shape is run; the same for all of its rows.
struct MaxPlan {
  shape::Range interior;  // outputs of a row whose taps along w are all inside
  bool narrow = false;    // indices fit 32 bits
  bool separable = false;
  bool halved = false;  // separable: ReduceByHalves along the row
  bool each = false;    // separable: ReduceEach along the row, of numbers
  int64_t block = 0;    // separable: outputs whose windows fit the columns
};

MaxPlan PlanMaxPool(const PoolShape& shape) {
  MaxPlan plan;
  const shape::Axis& axis = shape.axes[2];
  plan.interior.begin = shape::valid_outputs(0, shape.input[2], shape.output[2], axis).begin;
  plan.interior.end =
      std::max(plan.interior.begin, shape::valid_outputs(axis.kernel_size - 1, shape.input[2], shape.output[2], axis).end);
  plan.narrow = shape.input_positions() < std::numeric_limits<int32_t>::max();
  // A dilation above the width lets windows see nothing, which only the reference words as PyTorch does.
  if (!plan.narrow || axis.dilation > shape.input[2] || axis.kernel_size > Columns::kSize || axis.dilation > Columns::kSize)
    return plan;
  const int64_t span = (axis.kernel_size - 1) * axis.dilation + 1;
  if (span > Columns::kSize / 2) return plan;
  const auto taps = [&](size_t a) { return static_cast<double>(std::min(shape.axes[a].kernel_size, shape.input[a])); };
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  plan.separable = taps(0) * taps(1) * taps(2) >= 16 || plan.interior.size() < 16;
  // Steps of a vector of columns against taps of a vector of outputs; beyond stride 2 a tap is a pair of gathers.
  const auto steps = static_cast<int64_t>(std::bit_width(static_cast<uint64_t>(axis.kernel_size)));
  plan.halved = !(shape.output[2] <= kFewOutputs && axis.stride > 1 && axis.kernel_size < 16) &&
                2 * steps * axis.stride < axis.kernel_size * (axis.stride == 1   ? 2
                                                              : axis.stride == 2 ? 1
                                                                                 : 8);
  // A step takes 10 cycles a vector, a window on its own 12 and 3 for each of its vectors.
  plan.each = axis.dilation == 1 && axis.kernel_size >= 8 && axis.stride > 2 &&
              (!plan.halved || 10 * steps * axis.stride > 12 * n + 3 * axis.kernel_size);
  plan.block = std::min((Columns::kSize - span) / std::min(axis.stride, Columns::kSize) + 1, shape.output[2]);
  return plan;
}

HWY_INLINE void MaxRowDirect(const MaxRow& row, const MaxPlan& plan) {
  const shape::Axis& axis = row.shape.axes[2];
  if (axis.stride == 1) {
    MaxInterior(row, plan.interior.begin, plan.interior.end, Contiguous{});
  } else if (axis.stride == 2 && axis.dilation == 1 && axis.kernel_size > 1) {
    MaxInterior(row, plan.interior.begin, plan.interior.end, Interleaved{});
  } else {
    const auto n = static_cast<int64_t>(hn::Lanes(DF()));
    for (int64_t ow = plan.interior.begin; ow < plan.interior.end; ow += n) {
      const int64_t count = std::min(n, plan.interior.end - ow);
      MaxVector(row, ow, count, GatherLanes(axis.stride, count));
    }
  }
}

// Outputs [begin, end) of a row, one by one.
void MaxCells(const MaxRow& row, int64_t begin, int64_t end) {
  for (int64_t ow = begin; ow < end; ++ow) {
    const Window window{row.d, row.h, window_axis(ow, row.shape.input[2], row.shape.axes[2]), row.shape.input[1],
                        row.shape.input[2]};
    const Maximum<float> best = window_maximum(window, row.plane);
    row.output[ow] = best.value;
    row.indices[ow] = best.index;
  }
}

HWY_ATTR void MaxPoolRows(const PoolShape& shape, const float* input, float* output, int64_t* indices, int64_t begin, int64_t end) {
  const int64_t width = shape.input[2];
  const shape::Axis& axis = shape.axes[2];
  const MaxPlan plan = PlanMaxPool(shape);
  const auto axes_of = [&](int64_t d, int64_t h) {
    return RowWindows{window_axis(d, shape.input[0], shape.axes[0]), window_axis(h, shape.input[1], shape.axes[1])};
  };
  const RowsOfPlane known(shape.output, end - begin, axes_of);
  const auto row_at = [&](int64_t r, const RowCursor& at) {
    const RowWindows axes = known(at);
    return MaxRow{shape,
                  axes.d,
                  axes.h,
                  input + at.plane * shape.input_positions(),
                  output + r * shape.output[2],
                  indices + r * shape.output[2]};
  };
  const auto sees_nothing = [](const MaxRow& row) { return row.d.count == 0 || row.h.count == 0; };
  if (!plan.separable) {
    RowCursor at(begin, shape.output);
    for (int64_t r = begin; r < end; ++r, at.next()) {
      const MaxRow row = row_at(r, at);
      if (!plan.narrow || sees_nothing(row)) {
        MaxCells(row, 0, shape.output[2]);
      } else {
        MaxCells(row, 0, plan.interior.begin);
        MaxRowDirect(row, plan);
        MaxCells(row, plan.interior.end, shape.output[2]);
      }
    }
    return;
  }
  Columns columns;
  for (int64_t ow = 0; ow < shape.output[2]; ow += plan.block) {
    const int64_t count = std::min(plan.block, shape.output[2] - ow);
    const int64_t first = shape::input_index(ow, 0, axis),
                  last = shape::input_index(ow + count - 1, axis.kernel_size - 1, axis) + 1;
    const int64_t from = std::clamp<int64_t>(first, 0, width), to = std::clamp<int64_t>(last, from, width);
    columns.FillPadding(0, from - first);
    columns.FillPadding(to - first, last - first + Columns::kSlack);
    RowCursor at(begin, shape.output);
    for (int64_t r = begin; r < end; ++r, at.next()) {
      const MaxRow row = row_at(r, at);
      if (sees_nothing(row)) {
        MaxCells(row, ow, ow + count);
        continue;
      }
      if (plan.halved) {
        columns.FillPadding(0, from - first);
        columns.FillPadding(to - first, last - first + Columns::kSlack);
      }
      const bool nan = ReduceColumns(row, from, to - from, columns.values + (from - first), columns.indices + (from - first));
      if (plan.each && !nan) {
        ReduceEach(row, columns, axis, count, ow);
      } else if (plan.halved) {
        nan ? ReduceByHalves<true>(columns, axis, count, row.output + ow, row.indices + ow)
            : ReduceByHalves<false>(columns, axis, count, row.output + ow, row.indices + ow);
      } else {
        nan ? ReduceAlong<true>(columns, axis, count, row.output + ow, row.indices + ow)
            : ReduceAlong<false>(columns, axis, count, row.output + ow, row.indices + ow);
      }
    }
  }
}

// The windows of a row of outputs: where they begin and how many columns further they end. A lane for each, the last repeated.
struct AdaptiveLanes {
  static constexpr int64_t kMost = 256;

  HWY_ALIGN int32_t begin[kMost];
  HWY_ALIGN int32_t more[kMost];
  int64_t most = 0;

  AdaptiveLanes(int64_t width, int64_t outputs) {
    const int64_t lanes = std::min(kMost, (outputs + 15) / 16 * 16);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const shape::Range window = shape::adaptive_window(std::min(lane, outputs - 1), width, outputs);
      begin[lane] = static_cast<int32_t>(window.begin);
      more[lane] = static_cast<int32_t>(window.size() - 1);
      most = std::max(most, window.size() - 1);
    }
  }
};

// A row of outputs, each from its columns; a window that ends before others repeats its last.
template <bool kNan>
HWY_INLINE void GatherAlong(const Columns& columns, const AdaptiveLanes& windows, int64_t count, float* output, int64_t* indices) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  for (int64_t ow = 0; ow < count; ow += n) {
    const VI begin = hn::Load(DI(), windows.begin + ow), more = hn::Load(DI(), windows.more + ow);
    BestColumn<kNan> best{hn::GatherIndex(DF(), columns.values, begin), hn::GatherIndex(DI(), columns.indices, begin)};
    for (int64_t k = 1; k <= windows.most; ++k) {
      const VI at = hn::Add(begin, hn::Min(more, hn::Set(DI(), static_cast<int32_t>(k))));
      best.Update(hn::GatherIndex(DF(), columns.values, at), hn::GatherIndex(DI(), columns.indices, at));
    }
    StoreOutputs(best.value, best.index, std::min(n, count - ow), output + ow, indices + ow);
  }
}

// Windows of adaptive_window: the columns under a row of them are reduced down to one row, of which each takes its part; in rows of
// more than Columns::kSize columns those of one window after the other, as many at a time. For planes of less than 2^31 positions.
HWY_ATTR void AdaptiveMaxPoolRows(const AdaptivePoolShape& shape, const float* input, float* output, int64_t* indices,
                                  int64_t begin, int64_t end) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  PoolShape plain;
  plain.input = shape.input;
  const int64_t width = shape.input[2], outputs = shape.output[2];
  Columns columns;
  HWY_ALIGN float values[hn::MaxLanes(DF())];
  HWY_ALIGN int32_t places[hn::MaxLanes(DF())];
  const bool whole = width <= Columns::kSize;
  const bool known = outputs <= AdaptiveLanes::kMost, gathers = known && whole && outputs >= kFewOutputs && width / outputs < 4 * n;
  const AdaptiveLanes windows(width, known ? outputs : 1);
  const auto axes_of = [&](int64_t d, int64_t h) {
    return RowWindows{adaptive_window_axis(d, shape.input[0], shape.output[0]),
                      adaptive_window_axis(h, shape.input[1], shape.output[1])};
  };
  const RowsOfPlane axes_at(shape.output, end - begin, axes_of);
  RowCursor at(begin, shape.output);
  WindowAxis above;
  for (int64_t r = begin; r < end; ++r, at.next()) {
    const RowWindows axes = axes_at(at);
    const MaxRow row{
        plain, axes.d, axes.h, input + at.plane * shape.input_positions(), output + r * outputs, indices + r * outputs};
    const bool as_above = r > begin && at.h > 0 && row.h.begin == above.begin && row.h.count == above.count;
    above = row.h;
    if (as_above) {
      std::copy_n(row.output - outputs, outputs, row.output);
      std::copy_n(row.indices - outputs, outputs, row.indices);
      continue;
    }
    bool nan = whole && ReduceColumns(row, 0, width, columns.values, columns.indices);
    if (gathers) {
      nan ? GatherAlong<true>(columns, windows, outputs, row.output, row.indices)
          : GatherAlong<false>(columns, windows, outputs, row.output, row.indices);
      continue;
    }
    for (int64_t ow = 0; ow < outputs; ++ow) {
      const shape::Range window = known ? shape::Range{windows.begin[ow], windows.begin[ow] + windows.more[ow] + 1}
                                        : shape::adaptive_window(ow, width, outputs);
      Maximum<float> best{-std::numeric_limits<float>::infinity(), Columns::kNowhere};
      for (int64_t from = window.begin, count; from < window.end; from += count) {
        count = std::min(window.end - from, Columns::kSize);
        const int64_t first = whole ? from : 0;
        if (!whole) nan = ReduceColumns(row, from, count, columns.values, columns.indices);
        const float* few = columns.values + first;
        const int32_t* few_at = columns.indices + first;
        if (count >= 4 * n) {
          BestColumn<true> lanes{hn::LoadU(DF(), few), hn::LoadU(DI(), few_at)};
          for (int64_t w = n; w < count; w += n) {  // the last vector may begin in the one before it
            const int64_t next = std::min(w, count - n);
            lanes.Update(hn::LoadU(DF(), few + next), hn::LoadU(DI(), few_at + next));
          }
          hn::Store(lanes.value, DF(), values);
          hn::Store(lanes.index, DI(), places);
          few = values;
          few_at = places;
        }
        JoinColumns(few, few_at, count >= 4 * n ? n : count, 1, nan, best);
      }
      row.output[ow] = best.value;
      row.indices[ow] = best.index;
    }
  }
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(MaxPoolRows);
CONVOY_EXPORT(AdaptiveMaxPoolRows);

namespace {

// Rows of outputs per task, so that a task looks at about this many inputs.
constexpr int64_t kInputsPerTask = 65536;

template <class Shape>
int64_t rows_per_task(const Shape& s, double window_size) {
  constexpr double kRowItself = 128;  // what a row takes without any input, in inputs
  const double inputs_per_row = kRowItself + window_size * static_cast<double>(s.output[2]);
  return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(kInputsPerTask) / inputs_per_row));
}

double window_size(const PoolShape& s) {
  double size = 1;
  for (size_t a = 0; a < 3; ++a) size *= static_cast<double>(std::min(s.axes[a].kernel_size, s.input[a]));
  return size;
}

double window_size(const AdaptivePoolShape& s) {
  double size = 1;
  for (size_t a = 0; a < 3; ++a) size *= static_cast<double>(s.input[a] / std::max<int64_t>(s.output[a], 1) + 1);
  return size;
}

// The reference, in parallel over rows.
template <class Shape, class T>
void reference_rows(const Shape& s, const T* input, T* output, int64_t* indices) {
  parallel_ranges(s.planes() * rows_per_plane(s), rows_per_task(s, window_size(s)),
                  [&](int64_t begin, int64_t end) { max_pool_rows_reference(s, input, output, indices, begin, end); });
}

}  // namespace

template <>
void max_pool<float>(const PoolShape& s, const float* input, float* output, int64_t* indices) noexcept {
  if (max_pool_small_planes(s, input, output, indices)) return;
  parallel_ranges(s.planes() * rows_per_plane(s), rows_per_task(s, window_size(s)), [&](int64_t begin, int64_t end) {
    CONVOY_DISPATCH(MaxPoolRows)(s, input, output, indices, begin, end);
  });
}

template <>
void max_pool<double>(const PoolShape& s, const double* input, double* output, int64_t* indices) noexcept {
  reference_rows(s, input, output, indices);
}

template <>
void adaptive_max_pool<float>(const AdaptivePoolShape& s, const float* input, float* output, int64_t* indices) noexcept {
  if (s.input_positions() >= std::numeric_limits<int32_t>::max()) return reference_rows(s, input, output, indices);
  if (max_pool_small_planes(s, input, output, indices)) return;
  parallel_ranges(s.planes() * rows_per_plane(s), rows_per_task(s, window_size(s)), [&](int64_t begin, int64_t end) {
    CONVOY_DISPATCH(AdaptiveMaxPoolRows)(s, input, output, indices, begin, end);
  });
}

template <>
void adaptive_max_pool<double>(const AdaptivePoolShape& s, const double* input, double* output, int64_t* indices) noexcept {
  reference_rows(s, input, output, indices);
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
