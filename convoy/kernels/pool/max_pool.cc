// float32 max pooling: vectors of neighbouring outputs. Where all taps of a row of windows lie inside the input (nearly everywhere)
// a vector keeps its best values and the offsets of the taps they came from; the few border columns run the reference.
// Offsets are 32 bits wide, so planes of 2^31 positions and more run the reference too.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/pool/max_pool.cc"
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "convoy/core/parallel.h"
#include "convoy/kernels/pool/pool.h"
#include "convoy/kernels/pool/pool_reference.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<DF>;
using VF = hn::Vec<DF>;
using VI = hn::Vec<DI>;

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

// Outputs [ow, ow + count) of a row, count at most the number of lanes.
template <class Load>
HWY_INLINE void MaxVector(const MaxRow& row, int64_t ow, int64_t count, const Load& load) {
  const shape::Axis& axis = row.shape.axes[2];
  const int64_t first = shape::input_index(ow, 0, axis);
  Best best;
  best.value = hn::Set(DF(), -std::numeric_limits<float>::infinity());
  best.offset = hn::Set(DI(), static_cast<int32_t>((row.d.begin * row.shape.input[1] + row.h.begin) * row.shape.input[2]));
  for (int64_t z = 0; z < row.d.count; ++z) {
    for (int64_t y = 0; y < row.h.count; ++y) {
      const int64_t at = ((row.d.begin + z * row.d.step) * row.shape.input[1] + row.h.begin + y * row.h.step) * row.shape.input[2];
      load(row.plane + at + first, at, axis, best);
    }
  }
  constexpr size_t kLanes = hn::MaxLanes(DF());
  HWY_ALIGN int32_t offsets[kLanes];
  const VI lane_starts = hn::Mul(hn::Iota(DI(), 0), hn::Set(DI(), static_cast<int32_t>(axis.stride)));
  hn::Store(hn::Add(best.offset, hn::Add(lane_starts, hn::Set(DI(), static_cast<int32_t>(first)))), DI(), offsets);
  const hn::ScalableTag<int64_t> d64;
  const hn::Rebind<int32_t, decltype(d64)> d32;
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  if (count == n) {
    hn::StoreU(best.value, DF(), row.output + ow);
    const auto half = static_cast<int64_t>(hn::Lanes(d64));
    for (int64_t i = 0; i < n; i += half) hn::StoreU(hn::PromoteTo(d64, hn::Load(d32, offsets + i)), d64, row.indices + ow + i);
  } else {
    HWY_ALIGN float values[kLanes];
    hn::Store(best.value, DF(), values);
    for (int64_t i = 0; i < count; ++i) {
      row.output[ow + i] = values[i];
      row.indices[ow + i] = offsets[i];
    }
  }
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

HWY_ATTR void MaxPoolRows(const PoolShape& shape, const float* input, float* output, int64_t* indices, int64_t begin, int64_t end) {
  const int64_t rows = rows_per_plane(shape);
  const shape::Axis& axis = shape.axes[2];
  const bool narrow = shape.input_positions() <= std::numeric_limits<int32_t>::max();
  const int64_t interior_begin = shape::valid_outputs(0, shape.input[2], shape.output[2], axis).begin;
  const int64_t interior_end =
      std::max(interior_begin, shape::valid_outputs(axis.kernel_size - 1, shape.input[2], shape.output[2], axis).end);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t od = r % rows / shape.output[1], oh = r % rows % shape.output[1];
    const MaxRow row{shape,
                     window_axis(od, shape.input[0], shape.axes[0]),
                     window_axis(oh, shape.input[1], shape.axes[1]),
                     input + r / rows * shape.input_positions(),
                     output + r * shape.output[2],
                     indices + r * shape.output[2]};
    const auto border = [&](int64_t from, int64_t to) {
      for (int64_t ow = from; ow < to; ++ow) {
        const Window window{row.d, row.h, window_axis(ow, shape.input[2], axis), shape.input[1], shape.input[2]};
        const Maximum<float> best = window_maximum(window, row.plane);
        row.output[ow] = best.value;
        row.indices[ow] = best.index;
      }
    };
    if (!narrow || row.d.count == 0 || row.h.count == 0) {
      border(0, shape.output[2]);
      continue;
    }
    border(0, interior_begin);
    if (axis.stride == 1) {
      MaxInterior(row, interior_begin, interior_end, Contiguous{});
    } else if (axis.stride == 2 && axis.dilation == 1 && axis.kernel_size > 1) {
      MaxInterior(row, interior_begin, interior_end, Interleaved{});
    } else {
      const auto n = static_cast<int64_t>(hn::Lanes(DF()));
      for (int64_t ow = interior_begin; ow < interior_end; ow += n) {
        const int64_t count = std::min(n, interior_end - ow);
        MaxVector(row, ow, count, GatherLanes(axis.stride, count));
      }
    }
    border(interior_end, shape.output[2]);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(MaxPoolRows);

namespace {

// Rows of outputs per task, so that a task looks at about this many inputs.
constexpr int64_t kInputsPerTask = 65536;

template <class Shape>
int64_t rows_per_task(const Shape& s, double window_size) {
  const double inputs_per_row = std::max(1.0, window_size * static_cast<double>(s.output[2]));
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
  const int64_t rows = rows_per_plane(s);
  parallel_ranges(s.planes() * rows, rows_per_task(s, window_size(s)), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t plane = r / rows;
      for_each_window(s, r % rows, r % rows + 1, [&](int64_t o, const Window& window) {
        const Maximum<T> best = window_maximum(window, input + plane * s.input_positions());
        output[plane * s.output_positions() + o] = best.value;
        indices[plane * s.output_positions() + o] = best.index;
      });
    }
  });
}

constexpr int64_t kValuesPerTask = 16384;

template <class Body>
void for_each_plane(const IndexedPlanes& s, Body&& body) {
  const int64_t grain = std::max<int64_t>(1, kValuesPerTask / std::max<int64_t>(1, s.values + s.positions));
  parallel_ranges(s.planes, grain, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) body(plane);
  });
}

}  // namespace

template <>
void max_pool<float>(const PoolShape& s, const float* input, float* output, int64_t* indices) noexcept {
  parallel_ranges(s.planes() * rows_per_plane(s), rows_per_task(s, window_size(s)), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(MaxPoolRows)(s, input, output, indices, begin, end);
  });
}

template <>
void max_pool<double>(const PoolShape& s, const double* input, double* output, int64_t* indices) noexcept {
  reference_rows(s, input, output, indices);
}

template <class T>
void adaptive_max_pool(const AdaptivePoolShape& s, const T* input, T* output, int64_t* indices) noexcept {
  reference_rows(s, input, output, indices);
}

int64_t find_invalid_index(const IndexedPlanes& s, const int64_t* indices) noexcept {
  constexpr int64_t kIndicesPerTask = 65536;
  const int64_t count = s.planes * s.values;
  const auto invalid = [&](int64_t i) { return indices[i] < 0 || indices[i] >= s.positions; };
  // One flag for all: which task sees a bad index first does not matter, the search below finds the last.
  std::atomic<bool> found{false};
  parallel_ranges(count, kIndicesPerTask, [&](int64_t begin, int64_t end) {
    bool any = false;
    for (int64_t i = begin; i < end; ++i) any |= invalid(i);
    if (any) found.store(true, std::memory_order_relaxed);
  });
  if (!found.load()) return -1;
  int64_t i = count - 1;
  while (!invalid(i)) --i;
  return i;
}

template <class T>
void scatter_add(const IndexedPlanes& s, const T* small, const int64_t* indices, T* large) noexcept {
  for_each_plane(s, [&](int64_t plane) {
    T* to = large + plane * s.positions;
    std::fill_n(to, s.positions, T(0));
    for (int64_t i = plane * s.values; i < (plane + 1) * s.values; ++i) to[indices[i]] += small[i];
  });
}

template <class T>
void scatter(const IndexedPlanes& s, const T* small, const int64_t* indices, T* large) noexcept {
  for_each_plane(s, [&](int64_t plane) {
    T* to = large + plane * s.positions;
    std::fill_n(to, s.positions, T(0));
    for (int64_t i = plane * s.values; i < (plane + 1) * s.values; ++i) to[indices[i]] = small[i];
  });
}

template <class T>
void gather(const IndexedPlanes& s, const T* large, const int64_t* indices, T* small) noexcept {
  for_each_plane(s, [&](int64_t plane) {
    const T* from = large + plane * s.positions;
    for (int64_t i = plane * s.values; i < (plane + 1) * s.values; ++i) small[i] = from[indices[i]];
  });
}

#define CONVOY_POOL(T)                                                                           \
  template void adaptive_max_pool<T>(const AdaptivePoolShape&, const T*, T*, int64_t*) noexcept; \
  template void scatter_add<T>(const IndexedPlanes&, const T*, const int64_t*, T*) noexcept;     \
  template void scatter<T>(const IndexedPlanes&, const T*, const int64_t*, T*) noexcept;         \
  template void gather<T>(const IndexedPlanes&, const T*, const int64_t*, T*) noexcept;
CONVOY_POOL(float)
CONVOY_POOL(double)
#undef CONVOY_POOL

}  // namespace convoy::kernels
#endif  // HWY_ONCE
