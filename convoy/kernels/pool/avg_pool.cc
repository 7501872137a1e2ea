// float32 average pooling, separable: a block of columns is first summed down the rows of the window, in double, then along the
// row. Sums in double cost little here, since the columns are shared by neighbouring windows, and they keep an average whose terms
// cancel exact to the last bit of float32. Wide windows are put together from sums of 1, 2, 4, ... neighbours: running sums would
// drift, and carry an infinity into windows that do not hold it. Windows wider than a block are summed one by one.
//
// 512 rows of 4096 on 2 cores (PyTorch 1.13 in brackets): 101 wide, stride 1: 10.4 -> 1.5 ms (39); 1000 wide: 619 -> 3.0 ms (691);
// 25 wide, stride 5: 1.27 -> 0.96 ms (2.0); backward 9.8 -> 2.0 (23), 95 -> 4.9 (81), 2.0 -> 1.2 (2.2).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/pool/avg_pool.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/pool/pool.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/kernels/pool/pool_reference.h"
#include "convoy/kernels/pool/row_cursor.h"
#include "convoy/kernels/pool/strided_windows-inl.h"
#include "convoy/kernels/pool/sum_columns-inl.h"
#include "convoy/kernels/reduce/sum-inl.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_POOL_AVG_POOL_BLOCK
#define CONVOY_KERNELS_POOL_AVG_POOL_BLOCK
namespace convoy::kernels {
namespace {

// Columns of a block at most, and those of one whose windows are not wide: 16 KiB of doubles, half of a first-level cache.
constexpr int64_t kBlock = 4096, kUsualBlock = 2048;
constexpr int64_t kSlack = 64;  // vectors are read and written beyond the last column

bool fits_block(const PoolShape& s) { return s.axes[2].kernel_size <= kBlock / 2; }

// Outputs of a row whose windows, and `more` columns, fit one block.
int64_t outputs_per_block(const PoolShape& s, int64_t more = 0) {
  const shape::Axis& axis = s.axes[2];
  const int64_t columns = std::clamp(4 * (axis.kernel_size + more), kUsualBlock, kBlock);
  return std::min((columns - more - axis.kernel_size) / std::min(axis.stride, kBlock) + 1, s.output[2]);
}

// Passes over a row in which SumWindows puts its windows together.
int64_t passes_by_halves(int64_t taps) {
  const auto size = static_cast<uint64_t>(taps);
  return std::bit_width(size) - 1 + std::max(std::popcount(size) - 2, 0);
}

// Whether those take less time than adding the taps of every output, of which two are loaded in a pass's time. Not for windows that
// do not overlap.
bool sums_by_halves(int64_t taps, int64_t stride) {
  if (taps <= stride) return false;
  return 5 * passes_by_halves(taps) * std::min(stride, kBlock) < 2 * taps + (stride > 1 ? 24 : -3);
}

// The same for the shares of the backward pass; of a stride above 1 they are spread one by one.
bool spreads_by_halves(const shape::Axis& axis) {
  if (axis.kernel_size < 8) return false;
  return 2 * (passes_by_halves(axis.kernel_size) + 3) * std::min(axis.stride, kBlock) <
         axis.kernel_size * (axis.stride == 1 ? 2 : 8);
}

// 1 / the counted width of outputs [begin, begin + count) of a row, or 1 if the divisor is overridden.
void inverse_widths(const PoolShape& s, const AvgDivisor& divisor, int64_t begin, int64_t count, double* inverse) {
  const shape::Axis& axis = s.axes[2];
  const auto size = [&](int64_t i) { return counted_size(begin + i, s.input[2], axis, divisor.count_include_pad); };
  // The windows that see no padding are as wide as the kernel.
  const int64_t inside = s.input[2] + axis.pad_begin - axis.kernel_size;
  const int64_t until =
      divisor.override_with != 0 || inside < 0 ? 0 : std::clamp<int64_t>(inside / axis.stride + 1 - begin, 0, count);
  const int64_t from = std::clamp<int64_t>(shape::ceil_div(axis.pad_begin, axis.stride) - begin, 0, until);
  for (int64_t i = 0; i < from; ++i) inverse[i] = 1.0 / static_cast<double>(size(i));
  std::fill(inverse + from, inverse + until, 1.0 / static_cast<double>(axis.kernel_size));
  for (int64_t i = until; i < count; ++i) inverse[i] = divisor.override_with != 0 ? 1.0 : 1.0 / static_cast<double>(size(i));
}

double inverse_of_rest(const PoolShape& s, const AvgDivisor& divisor, int64_t od, int64_t oh) {
  if (divisor.override_with != 0) return 1.0 / static_cast<double>(divisor.override_with);
  return 1.0 / (static_cast<double>(counted_size(od, s.input[0], s.axes[0], divisor.count_include_pad)) *
                static_cast<double>(counted_size(oh, s.input[1], s.axes[1], divisor.count_include_pad)));
}

// What the rows of all planes have in common.
struct RowOfPlane {
  Window window;
  double scale;
};

RowOfPlane row_at(const PoolShape& s, const AvgDivisor& divisor, int64_t d, int64_t h) {
  return {{window_axis(d, s.input[0], s.axes[0]), window_axis(h, s.input[1], s.axes[1]), {}, s.input[1], s.input[2]},
          inverse_of_rest(s, divisor, d, h)};
}

// Planes [begin, end), by the reference.
template <class T>
void avg_pool_backward_planes(const PoolShape& s, const AvgDivisor& divisor, const T* grad_output, T* grad_input, int64_t begin,
                              int64_t end) {
  PoolShape planes = s;
  planes.batch = 1;
  planes.channels = end - begin;
  avg_pool_backward_reference(planes, divisor, grad_output + begin * s.output_positions(),
                              grad_input + begin * s.input_positions());
}

}  // namespace
}  // namespace convoy::kernels
#endif  // CONVOY_KERNELS_POOL_AVG_POOL_BLOCK

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
void AvgPoolRows(const PoolShape& shape, const AvgDivisor& divisor, const float* input, float* output, int64_t begin, int64_t end) {
  avg_pool_rows_reference(shape, divisor, input, output, begin, end);
}

void AvgPoolWideRows(const PoolShape& shape, const AvgDivisor& divisor, const float* input, float* output, int64_t begin,
                     int64_t end) {
  AvgPoolRows(shape, divisor, input, output, begin, end);
}

void AvgPoolBackwardPlanes(const PoolShape& shape, const AvgDivisor& divisor, const float* grad_output, float* grad_input,
                           int64_t begin, int64_t end) {
  avg_pool_backward_planes(shape, divisor, grad_output, grad_input, begin, end);
}

void AvgPoolBackwardWidePlanes(const PoolShape& shape, const AvgDivisor& divisor, const float* grad_output, float* grad_input,
                               int64_t begin, int64_t end) {
  AvgPoolBackwardPlanes(shape, divisor, grad_output, grad_input, begin, end);
}
#else
using DF = hn::ScalableTag<float>;

// Sums of neighbours: those from `first[i]` on, and from `rest[i]` on if there are any.
struct HalvesOfWindows {
  const double* first;
  const double* rest;

  HWY_INLINE hn::Vec<D64> operator()(int64_t i) const {
    const auto sum = hn::LoadU(D64(), first + i);
    return rest == nullptr ? sum : hn::Add(hn::LoadU(D64(), rest + i), sum);
  }
};

// The sums of `kernel_size` values from values[i] on, for the windows that `count` values hold: a window is put together from sums
// of 1, 2, 4, ... neighbours, one for each bit of its size, so that its cost grows with the size's logarithm and no sum is a long
// chain. The values are used up, `other` has room for as many; a vector beyond the last of both arrays is read or written.
HWY_INLINE HalvesOfWindows SumWindows(double* values, double* other, int64_t count, int64_t kernel_size) {
  const int64_t n = Lanes64(), windows = count - kernel_size + 1;
  double* sums = values;
  double* total = nullptr;
  int64_t summed = 0;  // how many neighbours `total` has
  for (int64_t width = 1; 2 * width <= kernel_size; width *= 2) {
    double* next = sums;
    if ((kernel_size & width) != 0) {
      if (total == nullptr) {
        total = sums;
        next = other;
      } else {
        for (int64_t i = 0; i < windows; i += n)
          hn::StoreU(hn::Add(hn::LoadU(D64(), total + i), hn::LoadU(D64(), sums + i + summed)), D64(), total + i);
      }
      summed += width;
    }
    for (int64_t i = 0; i <= count - 2 * width; i += n)
      hn::StoreU(hn::Add(hn::LoadU(D64(), sums + i), hn::LoadU(D64(), sums + i + width)), D64(), next + i);
    sums = next;
  }
  return {sums + summed, total};
}

template <class Tag>
struct SumsOf {
  using D = Tag;
  using V = hn::Vec<D>;
  static constexpr bool kOrdered = false;
  static HWY_INLINE V Load(const double* from) { return hn::LoadU(D(), from); }
  static HWY_INLINE V Load(const float* from) { return hn::PromoteTo(D(), hn::LoadU(hn::Rebind<float, D>(), from)); }
  static HWY_INLINE V Join(V left, V right) { return hn::Add(left, right); }
  static HWY_INLINE V None() { return hn::Zero(D()); }
};
using Sums = SumsOf<D64>;
// Where neighbours are shuffled together, 256 bits at a time: Zen 4 takes up to 1.7 times as long for 512.
using HalfSums = SumsOf<hn::CappedTag<double, 4> >;

// output[i] = sum of kernel_size sums from i * stride, times inverse[i] * scale. The sums are used up; a stride's vectors behind
// the last are read. In `totals` there is room for as many.
HWY_NOINLINE HWY_ATTR void SumAlong(double* sums, double* totals, const shape::Axis& axis, int64_t count, const double* inverse,
                                    double scale, float* output) {
  const int64_t n = Lanes64();
  const auto store = [&]<class V>(int64_t i, V sum) HWY_ATTR {
    const hn::DFromV<V> d;
    if (i + static_cast<int64_t>(hn::Lanes(d)) <= count) {
      const auto factor = hn::Mul(hn::LoadU(d, inverse + i), hn::Set(d, scale));
      const hn::Rebind<float, decltype(d)> narrow;
      hn::StoreU(Narrow(narrow, hn::Mul(sum, factor)), narrow, output + i);
      return;
    }
    HWY_ALIGN double last[HWY_MAX_BYTES / sizeof(double)];
    hn::Store(sum, d, last);
    for (int64_t k = 0; i + k < count; ++k) output[i + k] = static_cast<float>(last[k] * (inverse[i + k] * scale));
  };
  int64_t taps = axis.kernel_size, stride = axis.stride, rest = 0;
  double* const parts = totals + (kBlock + kSlack) / 2;
  if (stride > 1 && stride <= 4) {  // a stride's sums are added first
    const bool two = taps <= 2 * stride;
    if (!two) {
      rest = taps % stride;
      taps /= stride;
    }
    const int64_t groups = two ? count : count + taps - (rest == 0 ? 1 : 0);
    const auto whole = [&]<class V>(int64_t i, V sum)
                           HWY_ATTR { two ? store(i, sum) : hn::StoreU(sum, hn::DFromV<V>(), sums + i); };
    const auto part = [&]<class V>(int64_t i, V sum) HWY_ATTR { hn::StoreU(sum, hn::DFromV<V>(), parts + i); };
    if (stride == 2) JoinGroups<Sums, 2>(sums, two ? taps : 2, rest, groups, whole, part);
    if (stride == 3) JoinGroups<HalfSums, 3>(sums, two ? taps : 3, rest, groups, whole, part);
    if (stride == 4) JoinGroups<Sums, 4>(sums, two ? taps : 4, rest, groups, whole, part);
    if (two) return;
    stride = 1;
  }
  int64_t i = 0;
  if (sums_by_halves(taps, stride)) {
    const HalvesOfWindows windows = SumWindows(sums, totals, (count - 1) * stride + taps, taps);
    if (stride == 1) {
      for (; i < count; i += n) {
        const auto sum = windows(i);
        store(i, rest > 0 ? hn::Add(sum, hn::LoadU(D64(), parts + taps + i)) : sum);
      }
    }
    for (; i < count; ++i) {
      const double sum = windows.first[i * stride] + (windows.rest == nullptr ? 0 : windows.rest[i * stride]);
      output[i] = static_cast<float>(sum * (inverse[i] * scale));
    }
    return;
  }
  if (stride == 1) {
    // Four vectors at a time: of one alone the loop over the taps would take longer than their sums.
    for (; rest == 0 && i + 4 * n <= count; i += 4 * n) {
      const double* at = sums + i;
      auto s0 = hn::LoadU(D64(), at), s1 = hn::LoadU(D64(), at + n), s2 = hn::LoadU(D64(), at + 2 * n),
           s3 = hn::LoadU(D64(), at + 3 * n);
      for (int64_t k = 1; k < taps; ++k) {
        ++at;
        s0 = hn::Add(s0, hn::LoadU(D64(), at));
        s1 = hn::Add(s1, hn::LoadU(D64(), at + n));
        s2 = hn::Add(s2, hn::LoadU(D64(), at + 2 * n));
        s3 = hn::Add(s3, hn::LoadU(D64(), at + 3 * n));
      }
      store(i, s0);
      store(i + n, s1);
      store(i + 2 * n, s2);
      store(i + 3 * n, s3);
    }
    for (; i < count; i += n) {
      auto sum = hn::LoadU(D64(), sums + i);
      for (int64_t k = 1; k < taps; ++k) sum = hn::Add(sum, hn::LoadU(D64(), sums + i + k));
      store(i, rest > 0 ? hn::Add(sum, hn::LoadU(D64(), parts + taps + i)) : sum);
    }
    return;
  }
  const auto few = static_cast<int64_t>(hn::Lanes(HalfSums::D()));
  while (i < count) {  // the last ones each alone, but in the same order: rows may be summed along as one
    const bool whole = i + few <= count;
    store(i, JoinWindows<HalfSums>(sums + i * stride, whole ? stride : 0, taps));
    i += whole ? few : 1;
  }
}

// Rows whose columns are summed before any is summed along: a vector that reads what two have just written waits for both.
constexpr int64_t kMostLines = 16;

// Whether windows are of a single row and far apart, so that each is summed where it lies.
bool SumsInPlace(const PoolShape& s) {
  const auto one_row = [](const shape::Axis& axis) { return axis.kernel_size == 1 && axis.pad_begin == 0; };
  const shape::Axis& w = s.axes[2];
  return one_row(s.axes[0]) && one_row(s.axes[1]) && w.stride > 4 && !sums_by_halves(w.kernel_size, w.stride);
}

HWY_ATTR void AvgPoolRowsInPlace(const PoolShape& shape, const AvgDivisor& divisor, const float* input, float* output,
                                 int64_t begin, int64_t end) {
  const HalfSums::D d;
  const hn::Rebind<float, HalfSums::D> narrow;
  const int64_t n = static_cast<int64_t>(hn::Lanes(d)), width = shape.input[2];
  const shape::Axis& axis = shape.axes[2];
  const int64_t taps = axis.kernel_size, reach = (taps + n - 1) / n * n;
  const double scale = inverse_of_rest(shape, divisor, 0, 0);
  HWY_ALIGN double inverse[kBlock];
  for (int64_t ow = 0; ow < shape.output[2]; ow += kBlock) {
    const int64_t count = std::min(kBlock, shape.output[2] - ow);
    inverse_widths(shape, divisor, ow, count, inverse);
    const int64_t first = shape::input_index(ow, 0, axis);
    // Outputs whose windows, read in whole vectors, lie inside the row.
    const int64_t from = std::clamp<int64_t>(shape::ceil_div(-first, axis.stride), 0, count), room = width - reach - first;
    const int64_t until = room < 0 ? from : std::clamp<int64_t>(room / axis.stride + 1, from, count);
    RowCursor at(begin, shape.output);
    for (int64_t r = begin; r < end; ++r, at.next()) {
      const float* const row = input + at.plane * shape.input_positions() +
                               (at.d * shape.axes[0].stride * shape.input[1] + at.h * shape.axes[1].stride) * width;
      float* const to = output + r * shape.output[2] + ow;
      for (int64_t i = 0; i < count; ++i) {
        for (; i >= from && i + n <= until; i += n) {
          const auto sum = JoinWindows<HalfSums>(row + first + i * axis.stride, axis.stride, taps);
          const auto factor = hn::Mul(hn::LoadU(d, inverse + i), hn::Set(d, scale));
          hn::StoreU(Narrow(narrow, hn::Mul(sum, factor)), narrow, to + i);
        }
        if (i == count) break;
        const int64_t column = first + i * axis.stride, left = std::max<int64_t>(column, 0);
        const double sum = SumToDouble(row + left, std::max<int64_t>(std::min(column + taps, width) - left, 0));
        to[i] = static_cast<float>(sum * (inverse[i] * scale));
      }
    }
  }
}

// Rows whose windows do not overlap lie a stride behind each other, and are summed along as one.
HWY_ATTR void AvgPoolRows(const PoolShape& shape, const AvgDivisor& divisor, const float* input, float* output, int64_t begin,
                          int64_t end) {
  if (SumsInPlace(shape)) return AvgPoolRowsInPlace(shape, divisor, input, output, begin, end);
  const int64_t width = shape.input[2];
  const shape::Axis& axis = shape.axes[2];
  const int64_t block = outputs_per_block(shape);
  HWY_ALIGN double sums[kBlock + kSlack];
  HWY_ALIGN double totals[kBlock + kSlack];
  HWY_ALIGN double inverse[kBlock + kSlack];
  const auto row_of_plane = [&](int64_t d, int64_t h) { return row_at(shape, divisor, d, h); };
  const RowsOfPlane known(shape.output, end - begin, row_of_plane);
  const bool as_one = axis.kernel_size <= axis.stride && block == shape.output[2] && block * axis.stride <= kBlock;
  for (int64_t ow = 0; ow < shape.output[2]; ow += block) {
    const int64_t count = std::min(block, shape.output[2] - ow);
    inverse_widths(shape, divisor, ow, count, inverse);
    // The block's columns [first, last) of the padded row; those outside the input are zero.
    const int64_t first = shape::input_index(ow, 0, axis);
    const int64_t last = shape::input_index(ow + count - 1, axis.kernel_size, axis);
    const int64_t from = std::clamp<int64_t>(first, 0, width), to = std::clamp<int64_t>(last, from, width);
    const int64_t pitch = as_one ? count * axis.stride : (last - first + 7) / 8 * 8;
    const int64_t lines = std::clamp<int64_t>(kBlock / pitch, 1, kMostLines);
    RowCursor at(begin, shape.output);
    for (int64_t r = begin; r < end; r += lines) {
      const int64_t rows = std::min(lines, end - r);
      double scales[kMostLines];
      for (int64_t i = 0; i < rows; ++i, at.next()) {
        const RowOfPlane row = known(at);
        scales[i] = row.scale;
        double* const line = sums + i * pitch;
        std::fill_n(line, from - first, 0.0);
        SumColumns(row.window, input + at.plane * shape.input_positions() + from, to - from, line + (from - first));
        std::fill_n(line + (to - first), last - to, 0.0);
      }
      float* const results = output + r * shape.output[2] + ow;
      if (as_one) {
        for (int64_t i = 0; i < rows; ++i) {  // a row's last vector reaches into the next row's first
          for (int64_t k = 0; k < count; k += Lanes64())
            hn::StoreU(hn::Mul(hn::LoadU(D64(), inverse + k), hn::Set(D64(), scales[i])), D64(), totals + i * count + k);
        }
        SumAlong(sums, totals, axis, rows * count, totals, 1.0, results);
        continue;
      }
      for (int64_t i = 0; i < rows; ++i)
        SumAlong(sums + i * pitch, totals, axis, count, inverse, scales[i], results + i * shape.output[2]);
    }
  }
}

// Windows that fit no block, each summed on its own.
HWY_ATTR void AvgPoolWideRows(const PoolShape& shape, const AvgDivisor& divisor, const float* input, float* output, int64_t begin,
                              int64_t end) {
  const int64_t rows = rows_per_plane(shape);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t plane = r / rows;
    for_each_window(shape, r % rows, r % rows + 1, [&](int64_t o, const Window& window) {
      double sum = 0;
      for (int64_t z = 0; z < window.d.count; ++z) {
        for (int64_t y = 0; y < window.h.count; ++y) {
          const int64_t row = (window.d.begin + z) * window.height + window.h.begin + y;
          sum += SumToDouble(input + plane * shape.input_positions() + row * window.width + window.w.begin, window.w.count);
        }
      }
      output[plane * shape.output_positions() + o] = static_cast<float>(sum / divisor_at(shape, divisor, o));
    });
  }
}

HWY_INLINE void AddRow(const float* from, int64_t count, float* to) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  int64_t i = 0;
  for (; i + n <= count; i += n) hn::StoreU(hn::Add(hn::LoadU(DF(), to + i), hn::LoadU(DF(), from + i)), DF(), to + i);
  for (; i < count; ++i) to[i] += from[i];
}

HWY_INLINE void AddToAll(float value, int64_t count, float* to) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  int64_t i = 0;
  for (; i + n <= count; i += n) hn::StoreU(hn::Add(hn::LoadU(DF(), to + i), hn::Set(DF(), value)), DF(), to + i);
  for (; i < count; ++i) to[i] += value;
}

// Adds `count` columns of a row to every row of the window.
HWY_INLINE void AddToRows(const Window& window, const float* columns, int64_t count, float* plane) {
  for (int64_t z = 0; z < window.d.count; ++z) {
    for (int64_t y = 0; y < window.h.count; ++y) {
      AddRow(columns, count, plane + ((window.d.begin + z) * window.height + window.h.begin + y) * window.width);
    }
  }
}

// columns[w] = the sum of the shares of the windows that hold column w. By halves, the shares lie `stride` apart between zeros and
// column w is the sum of the kernel_size values up to its own.
HWY_INLINE void SpreadAlong(const shape::Axis& axis, bool halved, const float* shares, int64_t count, double* values,
                            double* totals, float* columns) {
  const int64_t k = axis.kernel_size, length = (count - 1) * axis.stride + k;
  if (halved) {
    std::fill_n(values, length + k - 1, 0.0);
    for (int64_t i = 0; i < count; ++i) values[k - 1 + i * axis.stride] = static_cast<double>(shares[i]);
    const HalvesOfWindows windows = SumWindows(values, totals, length + k - 1, k);
    for (int64_t w = 0; w < length; w += Lanes64()) hn::StoreU(Narrow(D32(), windows(w)), D32(), columns + w);
    return;
  }
  std::fill_n(columns, length, 0.0f);
  if (axis.stride == 1) {
    for (int64_t tap = 0; tap < k; ++tap) AddRow(shares, count, columns + tap);
  } else {
    for (int64_t i = 0; i < count; ++i) AddToAll(shares[i], k, columns + i * axis.stride);
  }
}

// The adjoint of AvgPoolRows for whole planes: shares are spread along the row first, then over the window's rows.
HWY_ATTR void AvgPoolBackwardPlanes(const PoolShape& shape, const AvgDivisor& divisor, const float* grad_output, float* grad_input,
                                    int64_t begin, int64_t end) {
  const int64_t rows = rows_per_plane(shape), width = shape.input[2];
  const shape::Axis& axis = shape.axes[2];
  const bool halved = axis.kernel_size <= kBlock / 4 && spreads_by_halves(axis);
  const int64_t block = outputs_per_block(shape, halved ? axis.kernel_size : 0);
  HWY_ALIGN double inverse[kBlock];
  HWY_ALIGN double values[kBlock + kSlack];
  HWY_ALIGN double totals[kBlock + kSlack];
  HWY_ALIGN float shares[kBlock];
  HWY_ALIGN float columns[kBlock + kSlack];
  std::fill_n(grad_input + begin * shape.input_positions(), (end - begin) * shape.input_positions(), 0.0f);
  const auto row_of_plane = [&](int64_t d, int64_t h) { return row_at(shape, divisor, d, h); };
  const RowsOfPlane known(shape.output, (end - begin) * rows, row_of_plane);
  for (int64_t ow = 0; ow < shape.output[2]; ow += block) {
    const int64_t count = std::min(block, shape.output[2] - ow);
    inverse_widths(shape, divisor, ow, count, inverse);
    const int64_t first = shape::input_index(ow, 0, axis);
    const int64_t last = shape::input_index(ow + count - 1, axis.kernel_size, axis);
    const int64_t from = std::clamp<int64_t>(first, 0, width), to = std::clamp<int64_t>(last, from, width);
    RowCursor at(begin * rows, shape.output);
    for (int64_t r = begin * rows; r < end * rows; ++r, at.next()) {
      const RowOfPlane row = known(at);
      const float* grad = grad_output + r * shape.output[2] + ow;
      int64_t i = 0;
      for (const int64_t n = Lanes64(); i + n <= count; i += n) {
        const auto factor = hn::Mul(hn::LoadU(D64(), inverse + i), hn::Set(D64(), row.scale));
        hn::StoreU(Narrow(D32(), hn::Mul(hn::PromoteTo(D64(), hn::LoadU(D32(), grad + i)), factor)), D32(), shares + i);
      }
      for (; i < count; ++i) shares[i] = static_cast<float>(grad[i] * (inverse[i] * row.scale));
      SpreadAlong(axis, halved, shares, count, values, totals, columns);
      AddToRows(row.window, columns + (from - first), to - from, grad_input + at.plane * shape.input_positions() + from);
    }
  }
}

HWY_ATTR void AvgPoolBackwardWidePlanes(const PoolShape& shape, const AvgDivisor& divisor, const float* grad_output,
                                        float* grad_input, int64_t begin, int64_t end) {
  std::fill_n(grad_input + begin * shape.input_positions(), (end - begin) * shape.input_positions(), 0.0f);
  for (int64_t plane = begin; plane < end; ++plane) {
    float* to = grad_input + plane * shape.input_positions();
    for_each_window(shape, 0, rows_per_plane(shape), [&](int64_t o, const Window& window) {
      const auto share = static_cast<float>(grad_output[plane * shape.output_positions() + o] / divisor_at(shape, divisor, o));
      for (int64_t z = 0; z < window.d.count; ++z) {
        for (int64_t y = 0; y < window.h.count; ++y) {
          const int64_t row = (window.d.begin + z) * window.height + window.h.begin + y;
          AddToAll(share, window.w.count, to + row * window.width + window.w.begin);
        }
      }
    });
  }
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(AvgPoolRows);
CONVOY_EXPORT(AvgPoolWideRows);
CONVOY_EXPORT(AvgPoolBackwardPlanes);
CONVOY_EXPORT(AvgPoolBackwardWidePlanes);

namespace {

constexpr double kInputsPerTask = 16384;

int64_t per_task(double inputs) { return std::max<int64_t>(1, static_cast<int64_t>(kInputsPerTask / std::max(inputs, 1.0))); }

// Inputs that one row of outputs looks at.
double inputs_per_row(const PoolShape& s) {
  double inputs = static_cast<double>(std::max(s.input[2], s.output[2]));
  for (size_t a = 0; a < 2; ++a) inputs *= static_cast<double>(std::min(s.axes[a].kernel_size, s.input[a]));
  return inputs;
}

// The reference with sums in double, in parallel over rows.
template <class T>
void avg_pool_rows(const PoolShape& s, const AvgDivisor& divisor, const T* input, T* output) {
  parallel_ranges(s.planes() * rows_per_plane(s), per_task(inputs_per_row(s)),
                  [&](int64_t begin, int64_t end) { avg_pool_rows_reference(s, divisor, input, output, begin, end); });
}

template <class Body>
void for_each_plane_range(const PoolShape& s, Body&& body) {
  parallel_ranges(s.planes(), per_task(inputs_per_row(s) * static_cast<double>(rows_per_plane(s))), body);
}

}  // namespace

template <>
void avg_pool<float>(const PoolShape& s, const AvgDivisor& divisor, const float* input, float* output) noexcept {
  const bool dilated = std::any_of(s.axes.begin(), s.axes.end(), [](const shape::Axis& axis) { return axis.dilation > 1; });
  if (dilated) return avg_pool_rows(s, divisor, input, output);
  const bool wide = !fits_block(s);
  const double inputs = inputs_per_row(s) * (wide ? static_cast<double>(s.output[2]) : 1.0);
  parallel_ranges(s.planes() * rows_per_plane(s), per_task(inputs), [&](int64_t begin, int64_t end) {
    if (wide) {
      CONVOY_DISPATCH(AvgPoolWideRows)(s, divisor, input, output, begin, end);
    } else {
      CONVOY_DISPATCH(AvgPoolRows)(s, divisor, input, output, begin, end);
    }
  });
}

template <>
void avg_pool<double>(const PoolShape& s, const AvgDivisor& divisor, const double* input, double* output) noexcept {
  avg_pool_rows(s, divisor, input, output);
}

template <>
void avg_pool_backward<float>(const PoolShape& s, const AvgDivisor& divisor, const float* grad_output, float* grad_input) noexcept {
  for_each_plane_range(s, [&](int64_t begin, int64_t end) {
    if (fits_block(s)) {
      CONVOY_DISPATCH(AvgPoolBackwardPlanes)(s, divisor, grad_output, grad_input, begin, end);
    } else {
      CONVOY_DISPATCH(AvgPoolBackwardWidePlanes)(s, divisor, grad_output, grad_input, begin, end);
    }
  });
}

template <>
void avg_pool_backward<double>(const PoolShape& s, const AvgDivisor& divisor, const double* grad_output,
                               double* grad_input) noexcept {
  for_each_plane_range(
      s, [&](int64_t begin, int64_t end) { avg_pool_backward_planes(s, divisor, grad_output, grad_input, begin, end); });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
