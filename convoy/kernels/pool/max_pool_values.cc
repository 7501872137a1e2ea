#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/pool/max_pool_values.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/pool/pool.h"
#include "convoy/kernels/pool/pool_reference.h"
#include "convoy/kernels/pool/row_cursor.h"
#include "hwy/highway.h"

#include <algorithm>
#include <limits>

#include "convoy/core/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr float kLowest = -std::numeric_limits<float>::infinity();
// Columns of a block of a row: what the largest span of a window leaves room for.
constexpr int64_t kColumns = 1024;

// A NaN wins over everything.
template <class V>
HWY_INLINE V Larger(V best, V next) {
  return hn::IfThenElse(hn::Or(hn::Gt(next, best), hn::IsNaN(next)), next, best);
}

// columns[i] = the largest of `rows` values, one below the other at from + i, `step` apart.
HWY_INLINE void Columns(const float* from, int64_t rows, int64_t step, bool first, float* columns, int64_t count) {
  const hn::ScalableTag<float> d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  const auto whole = [&](int64_t i) HWY_ATTR {
    auto best = first ? hn::LoadU(d, from + i) : Larger(hn::LoadU(d, columns + i), hn::LoadU(d, from + i));
    for (int64_t r = 1; r < rows; ++r) best = Larger(best, hn::LoadU(d, from + r * step + i));
    hn::StoreU(best, d, columns + i);
  };
  int64_t i = 0;
  for (; i + n <= count; i += n) whole(i);
  for (; i < count; ++i) {
    float best = first ? from[i] : columns[i];
    for (int64_t r = first ? 1 : 0; r < rows; ++r) {
      const float next = from[r * step + i];
      best = next > best || next != next ? next : best;
    }
    columns[i] = best;
  }
}

// output[o] = the largest of kernel_size columns from o * stride on, `dilation` apart. Columns may be read a vector's pair beyond.
HWY_INLINE void Along(const float* columns, const shape::Axis& axis, float* output, int64_t count) {
  const hn::ScalableTag<float> d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  int64_t o = 0;
  if (axis.stride == 1) {
    for (; o + n <= count; o += n) {
      auto best = hn::LoadU(d, columns + o);
      for (int64_t k = 1; k < axis.kernel_size; ++k) best = Larger(best, hn::LoadU(d, columns + o + k * axis.dilation));
      hn::StoreU(best, d, output + o);
    }
  } else if (axis.stride == 2 && axis.dilation == 1) {
    for (; o + n <= count; o += n) {
      const float* from = columns + 2 * o;
      hn::Vec<decltype(d)> even, odd;
      hn::LoadInterleaved2(d, from, even, odd);
      auto best = axis.kernel_size > 1 ? Larger(even, odd) : even;
      for (int64_t k = 2; k < axis.kernel_size; k += 2) {
        hn::LoadInterleaved2(d, from + k, even, odd);
        best = Larger(best, even);
        if (k + 1 < axis.kernel_size) best = Larger(best, odd);
      }
      hn::StoreU(best, d, output + o);
    }
  }
  for (; o < count; ++o) {
    const float* from = columns + o * axis.stride;
    float best = from[0];
    for (int64_t k = 1; k < axis.kernel_size; ++k) {
      const float next = from[k * axis.dilation];
      best = next > best || next != next ? next : best;
    }
    output[o] = best;
  }
}

HWY_ATTR void MaxValueRows(const PoolShape& shape, const float* input, float* output, int64_t begin, int64_t end) {
  HWY_ALIGN float columns[kColumns + 4 * HWY_MAX_BYTES / sizeof(float)];
  const shape::Axis& axis = shape.axes[2];
  const int64_t height = shape.input[1], width = shape.input[2], span = (axis.kernel_size - 1) * axis.dilation + 1;
  const int64_t block = (kColumns - span) / axis.stride + 1;
  RowCursor at(begin, shape.output);
  for (int64_t r = begin; r < end; ++r, at.next()) {
    const WindowAxis deep = window_axis(at.d, shape.input[0], shape.axes[0]), high = window_axis(at.h, height, shape.axes[1]);
    const float* plane = input + at.plane * shape.input_positions();
    for (int64_t ow = 0; ow < shape.output[2]; ow += block) {
      const int64_t count = std::min(block, shape.output[2] - ow);
      const int64_t first = ow * axis.stride - axis.pad_begin, last = first + (count - 1) * axis.stride + span;
      const int64_t from = std::clamp<int64_t>(first, 0, width), to = std::clamp<int64_t>(last, from, width);
      std::fill(columns, columns + (from - first), kLowest);
      std::fill(columns + (to - first), columns + (last - first), kLowest);
      if (deep.count == 0 || high.count == 0) std::fill(columns + (from - first), columns + (to - first), kLowest);
      for (int64_t z = 0; z < deep.count; ++z) {
        const float* row = plane + ((deep.begin + z * deep.step) * height + high.begin) * width + from;
        if (high.count > 0) Columns(row, high.count, high.step * width, z == 0, columns + (from - first), to - from);
      }
      Along(columns, axis, output + r * shape.output[2] + ow, count);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(MaxValueRows);

namespace {
constexpr int64_t kInputsPerTask = 65536;
}

bool max_pool_values_fits(const PoolShape& s) noexcept {
  const shape::Axis& axis = s.axes[2];
  return axis.kernel_size <= 512 && axis.dilation <= 512 && (axis.kernel_size - 1) * axis.dilation < 512 && axis.stride <= 512 &&
         axis.pad_begin <= 512;
}

void max_pool_values(const PoolShape& s, const float* input, float* output) noexcept {
  const int64_t rows = s.output[0] * s.output[1];
  const int64_t inputs = std::max<int64_t>(1, s.output[2] * s.axes[2].stride * s.axes[1].kernel_size);
  parallel_ranges(s.planes() * rows, std::max<int64_t>(1, kInputsPerTask / inputs), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(MaxValueRows)(s, input, output, begin, end);
  });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
