#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/pool/max_pool_values.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/larger-inl.h"
#include "convoy/kernels/masked-inl.h"
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
// Columns of the rows or of a block of one: more than the largest span of a window.
constexpr int64_t kColumns = 2048;

// columns[i] = the largest of `rows` values, one below the other at from + i, `step` apart. Writes whole vectors.
HWY_INLINE void Columns(const float* from, int64_t rows, int64_t step, bool first, float* columns, int64_t count) {
  const hn::ScalableTag<float> d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  const auto largest = [&](int64_t i, const auto& load) HWY_ATTR {
    auto best = load(from + i);
    if (!first) best = Larger(hn::LoadU(d, columns + i), best);
    for (int64_t r = 1; r < rows; ++r) best = Larger(best, load(from + r * step + i));
    hn::StoreU(best, d, columns + i);
  };
  int64_t i = 0;
  for (; i + n <= count; i += n) largest(i, [d](const float* at) HWY_ATTR { return hn::LoadU(d, at); });
  if (i == count) return;
  const auto rest = hn::FirstN(d, static_cast<size_t>(count - i));
  largest(i, [d, rest](const float* at) HWY_ATTR { return LoadMasked(rest, d, at); });
}

// columns[i] = the largest of `taps` columns from i on, `dilation` apart, for a power of two: each turn takes two windows together.
// `count` columns are there; the last ones, where windows end behind them, become anything.
HWY_INLINE void Double(float* columns, int64_t taps, int64_t dilation, int64_t count) {
  const hn::ScalableTag<float> d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t width = 1; width < taps; width *= 2) {
    const float* other = columns + width * dilation;
    for (int64_t i = 0; i < count - (2 * width - 1) * dilation; i += n)
      hn::StoreU(Larger(hn::LoadU(d, columns + i), hn::LoadU(d, other + i)), d, columns + i);
  }
}

// Windows of so many columns are put together from two of a power of two, which may overlap.
constexpr int64_t kManyTaps = 6;

// output[o] = the largest of kernel_size columns from o * stride on, `dilation` apart. Columns may be read and, with many taps,
// written a vector's pair beyond.
HWY_INLINE void Along(float* columns, const shape::Axis& axis, float* output, int64_t count) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  int64_t taps = axis.kernel_size, step = axis.dilation;
  if (taps >= kManyTaps) {
    int64_t half = 1;
    while (2 * half <= taps) half *= 2;
    Double(columns, half, step, (count - 1) * axis.stride + (taps - 1) * step + 1);
    step *= taps - half;
    taps = taps > half ? 2 : 1;
  }
  for (int64_t o = 0; o < count; o += n) {
    const float* from = columns + o * axis.stride;
    auto best = hn::Set(d, kLowest);
    if (axis.stride == 1) {
      for (int64_t k = 0; k < taps; ++k) best = Larger(best, hn::LoadU(d, from + k * step));
    } else if (axis.stride == 2 && step == 1) {
      for (int64_t k = 0; k < taps; k += 2) {
        hn::Vec<decltype(d)> even, odd;
        hn::LoadInterleaved2(d, from + k, even, odd);
        best = Larger(best, even);
        if (k + 1 < taps) best = Larger(best, odd);
      }
    } else if (axis.stride == 2) {
      for (int64_t k = 0; k < taps; ++k) {
        hn::Vec<decltype(d)> even, odd;
        hn::LoadInterleaved2(d, from + k * step, even, odd);
        best = Larger(best, even);
      }
    } else {  // lanes too many repeat the last output
      const auto lane = hn::Min(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(std::min(n, count - o) - 1)));
      const auto starts = hn::Mul(lane, hn::Set(di, static_cast<int32_t>(axis.stride)));
      for (int64_t k = 0; k < taps; ++k) best = Larger(best, hn::GatherIndex(d, from + k * step, starts));
    }
    if (o + n <= count) {
      hn::StoreU(best, d, output + o);
    } else {
      StoreMasked(best, hn::FirstN(d, static_cast<size_t>(count - o)), d, output + o);
    }
  }
}

// Rows are taken several at a time: first the columns of all, then along each, since a vector that reads what two vectors have just
// written waits for both to reach the cache.
HWY_ATTR void MaxValueRows(const PoolShape& shape, const float* input, float* output, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float columns[kColumns + 4 * HWY_MAX_BYTES / sizeof(float)];
  const shape::Axis& axis = shape.axes[2];
  const int64_t height = shape.input[1], width = shape.input[2], span = (axis.kernel_size - 1) * axis.dilation + 1;
  const int64_t block = std::min((kColumns - span) / axis.stride + 1, shape.output[2]);
  const int64_t pitch = ((block - 1) * axis.stride + span + 3 * n) / n * n, batch = std::max<int64_t>(kColumns / pitch, 1);
  for (int64_t row = begin; row < end; row += batch) {
    const int64_t rows = std::min(batch, end - row);
    for (int64_t ow = 0; ow < shape.output[2]; ow += block) {
      const int64_t count = std::min(block, shape.output[2] - ow);
      const int64_t first = ow * axis.stride - axis.pad_begin, last = first + (count - 1) * axis.stride + span;
      const int64_t from = std::clamp<int64_t>(first, 0, width), to = std::clamp<int64_t>(last, from, width);
      RowCursor at(row, shape.output);
      for (int64_t r = 0; r < rows; ++r, at.next()) {
        float* const line = columns + r * pitch;
        const WindowAxis deep = window_axis(at.d, shape.input[0], shape.axes[0]), high = window_axis(at.h, height, shape.axes[1]);
        const float* plane = input + at.plane * shape.input_positions();
        if (deep.count == 0 || high.count == 0) {
          std::fill(line, line + (last - first), kLowest);
          continue;
        }
        for (int64_t z = 0; z < deep.count; ++z) {
          const float* source = plane + ((deep.begin + z * deep.step) * height + high.begin) * width + from;
          Columns(source, high.count, high.step * width, z == 0, line + (from - first), to - from);
        }
        std::fill(line, line + (from - first), kLowest);
        std::fill(line + (to - first), line + (last - first), kLowest);
      }
      for (int64_t r = 0; r < rows; ++r) Along(columns + r * pitch, axis, output + (row + r) * shape.output[2] + ow, count);
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
constexpr int64_t kInputsPerTask = 16384;
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
