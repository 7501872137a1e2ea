// float32 average pooling, separable: a block of columns is first summed down the rows of the window, in double, then along the
// row. Sums in double cost little here, since the columns are shared by neighbouring windows, and they keep an average whose terms
// cancel exact to the last bit of float32. Windows wider than a block run the reference.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/pool/avg_pool.cc"
#include <algorithm>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/kernels/pool/pool.h"
#include "convoy/kernels/pool/pool_reference.h"
#include "convoy/kernels/pool/row_cursor.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_POOL_AVG_POOL_BLOCK
#define CONVOY_KERNELS_POOL_AVG_POOL_BLOCK
namespace convoy::kernels {
namespace {

// Columns of a block: 16 KiB of doubles, half of a first-level cache.
constexpr int64_t kBlock = 2048;

bool fits_block(const PoolShape& s) { return s.axes[2].kernel_size <= kBlock / 4; }

// Outputs of a row whose windows fit one block of columns.
int64_t outputs_per_block(const PoolShape& s) {
  const shape::Axis& axis = s.axes[2];
  return std::min((kBlock - axis.kernel_size) / std::min(axis.stride, kBlock) + 1, s.output[2]);
}

// 1 / the counted width of outputs [begin, begin + count) of a row, or 1 if the divisor is overridden.
void inverse_widths(const PoolShape& s, const AvgDivisor& divisor, int64_t begin, int64_t count, double* inverse) {
  for (int64_t i = 0; i < count; ++i) {
    inverse[i] = divisor.override_with != 0
                     ? 1.0
                     : 1.0 / static_cast<double>(counted_size(begin + i, s.input[2], s.axes[2], divisor.count_include_pad));
  }
}

double inverse_of_rest(const PoolShape& s, const AvgDivisor& divisor, int64_t od, int64_t oh) {
  if (divisor.override_with != 0) return 1.0 / static_cast<double>(divisor.override_with);
  return 1.0 / (static_cast<double>(counted_size(od, s.input[0], s.axes[0], divisor.count_include_pad)) *
                static_cast<double>(counted_size(oh, s.input[1], s.axes[1], divisor.count_include_pad)));
}

}  // namespace
}  // namespace convoy::kernels
#endif  // CONVOY_KERNELS_POOL_AVG_POOL_BLOCK

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D64 = hn::ScalableTag<double>;
using D32 = hn::Rebind<float, D64>;
using DF = hn::ScalableTag<float>;

HWY_INLINE int64_t Lanes64() { return static_cast<int64_t>(hn::Lanes(D64())); }

// The sum of `count` neighbours. Four accumulators hide the latency of the additions.
HWY_INLINE double SumRange(const float* from, int64_t count) {
  const int64_t n = Lanes64();
  auto s0 = hn::Zero(D64()), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * n <= count; i += 4 * n) {
    s0 = hn::Add(s0, hn::PromoteTo(D64(), hn::LoadU(D32(), from + i)));
    s1 = hn::Add(s1, hn::PromoteTo(D64(), hn::LoadU(D32(), from + i + n)));
    s2 = hn::Add(s2, hn::PromoteTo(D64(), hn::LoadU(D32(), from + i + 2 * n)));
    s3 = hn::Add(s3, hn::PromoteTo(D64(), hn::LoadU(D32(), from + i + 3 * n)));
  }
  for (; i + n <= count; i += n) s0 = hn::Add(s0, hn::PromoteTo(D64(), hn::LoadU(D32(), from + i)));
  double sum = hn::GetLane(hn::SumOfLanes(D64(), hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  for (; i < count; ++i) sum += static_cast<double>(from[i]);
  return sum;
}

// sums[w] = the sum of column w over the window's rows, for `count` columns from `from`, the plane's first row.
HWY_INLINE void SumColumns(const Window& window, const float* from, int64_t count, double* sums) {
  const int64_t n = Lanes64();
  const auto first = from + (window.d.begin * window.height + window.h.begin) * window.width;
  const int64_t slice = window.height * window.width;
  int64_t w = 0;
  for (; w + 2 * n <= count; w += 2 * n) {
    auto s0 = hn::Zero(D64()), s1 = s0;
    for (int64_t z = 0; z < window.d.count; ++z) {
      const float* row = first + z * slice + w;
      for (int64_t y = 0; y < window.h.count; ++y, row += window.width) {
        s0 = hn::Add(s0, hn::PromoteTo(D64(), hn::LoadU(D32(), row)));
        s1 = hn::Add(s1, hn::PromoteTo(D64(), hn::LoadU(D32(), row + n)));
      }
    }
    hn::StoreU(s0, D64(), sums + w);
    hn::StoreU(s1, D64(), sums + w + n);
  }
  for (; w < count; ++w) {
    double sum = 0;
    for (int64_t z = 0; z < window.d.count; ++z) {
      const float* row = first + z * slice + w;
      for (int64_t y = 0; y < window.h.count; ++y, row += window.width) sum += static_cast<double>(*row);
    }
    sums[w] = sum;
  }
}

// output[i] = sum of kernel_size sums from i * stride, times inverse[i] * scale.
HWY_INLINE void SumAlong(const double* sums, int64_t kernel_size, int64_t stride, int64_t count, const double* inverse,
                         double scale, float* output) {
  const int64_t n = Lanes64();
  const auto store = [&](int64_t i, hn::Vec<D64> sum) HWY_ATTR {
    const auto factor = hn::Mul(hn::LoadU(D64(), inverse + i), hn::Set(D64(), scale));
    hn::StoreU(hn::DemoteTo(D32(), hn::Mul(sum, factor)), D32(), output + i);
  };
  int64_t i = 0;
  if (stride == 1) {
    for (; i + n <= count; i += n) {
      auto sum = hn::LoadU(D64(), sums + i);
      for (int64_t k = 1; k < kernel_size; ++k) sum = hn::Add(sum, hn::LoadU(D64(), sums + i + k));
      store(i, sum);
    }
  } else if (stride == 2 && kernel_size > 1) {
    for (; i + n <= count; i += n) {
      hn::Vec<D64> even, odd;
      hn::LoadInterleaved2(D64(), sums + 2 * i, even, odd);
      auto sum = hn::Add(even, odd);
      int64_t k = 2;
      for (; k + 1 < kernel_size; k += 2) {
        hn::LoadInterleaved2(D64(), sums + 2 * i + k, even, odd);
        sum = hn::Add(sum, hn::Add(even, odd));
      }
      if (k < kernel_size) {
        hn::LoadInterleaved2(D64(), sums + 2 * i + k - 1, even, odd);
        sum = hn::Add(sum, odd);
      }
      store(i, sum);
    }
  }
  for (; i < count; ++i) {
    double sum = 0;
    for (int64_t k = 0; k < kernel_size; ++k) sum += sums[i * stride + k];
    output[i] = static_cast<float>(sum * (inverse[i] * scale));
  }
}

HWY_ATTR void AvgPoolRows(const PoolShape& shape, const AvgDivisor& divisor, const float* input, float* output, int64_t begin,
                          int64_t end) {
  const int64_t width = shape.input[2];
  const shape::Axis& axis = shape.axes[2];
  const int64_t block = outputs_per_block(shape);
  HWY_ALIGN double sums[kBlock];
  HWY_ALIGN double inverse[kBlock];
  for (int64_t ow = 0; ow < shape.output[2]; ow += block) {
    const int64_t count = std::min(block, shape.output[2] - ow);
    inverse_widths(shape, divisor, ow, count, inverse);
    // The block's columns [first, last) of the padded row; those outside the input stay zero.
    const int64_t first = shape::input_index(ow, 0, axis);
    const int64_t last = shape::input_index(ow + count - 1, axis.kernel_size, axis);
    const int64_t from = std::clamp<int64_t>(first, 0, width), to = std::clamp<int64_t>(last, from, width);
    std::fill_n(sums, from - first, 0.0);
    std::fill_n(sums + (to - first), last - to, 0.0);
    RowCursor at(begin, shape.output);
    for (int64_t r = begin; r < end; ++r, at.next()) {
      const Window window{window_axis(at.d, shape.input[0], shape.axes[0]),
                          window_axis(at.h, shape.input[1], shape.axes[1]),
                          {},
                          shape.input[1],
                          width};
      SumColumns(window, input + at.plane * shape.input_positions() + from, to - from, sums + (from - first));
      SumAlong(sums, axis.kernel_size, axis.stride, count, inverse, inverse_of_rest(shape, divisor, at.d, at.h),
               output + r * shape.output[2] + ow);
    }
  }
}

HWY_INLINE void AddRow(const float* from, int64_t count, float* to) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  int64_t i = 0;
  for (; i + n <= count; i += n) hn::StoreU(hn::Add(hn::LoadU(DF(), to + i), hn::LoadU(DF(), from + i)), DF(), to + i);
  for (; i < count; ++i) to[i] += from[i];
}

// Adds `count` columns of a row to every row of the window.
HWY_INLINE void AddToRows(const Window& window, const float* columns, int64_t count, float* plane) {
  for (int64_t z = 0; z < window.d.count; ++z) {
    for (int64_t y = 0; y < window.h.count; ++y) {
      AddRow(columns, count, plane + ((window.d.begin + z) * window.height + window.h.begin + y) * window.width);
    }
  }
}

// The adjoint of AvgPoolRows for whole planes: shares are spread along the row first, then over the window's rows.
HWY_ATTR void AvgPoolBackwardPlanes(const PoolShape& shape, const AvgDivisor& divisor, const float* grad_output, float* grad_input,
                                    int64_t begin, int64_t end) {
  const int64_t rows = rows_per_plane(shape), width = shape.input[2];
  const shape::Axis& axis = shape.axes[2];
  const int64_t block = outputs_per_block(shape);
  HWY_ALIGN double inverse[kBlock];
  HWY_ALIGN float shares[kBlock];
  HWY_ALIGN float columns[kBlock];
  std::fill_n(grad_input + begin * shape.input_positions(), (end - begin) * shape.input_positions(), 0.0f);
  for (int64_t ow = 0; ow < shape.output[2]; ow += block) {
    const int64_t count = std::min(block, shape.output[2] - ow);
    inverse_widths(shape, divisor, ow, count, inverse);
    const int64_t first = shape::input_index(ow, 0, axis);
    const int64_t last = shape::input_index(ow + count - 1, axis.kernel_size, axis);
    const int64_t from = std::clamp<int64_t>(first, 0, width), to = std::clamp<int64_t>(last, from, width);
    RowCursor at(begin * rows, shape.output);
    for (int64_t r = begin * rows; r < end * rows; ++r, at.next()) {
      const double scale = inverse_of_rest(shape, divisor, at.d, at.h);
      const float* grad = grad_output + r * shape.output[2] + ow;
      for (int64_t i = 0; i < count; ++i) shares[i] = static_cast<float>(grad[i] * (inverse[i] * scale));
      std::fill_n(columns, last - first, 0.0f);
      if (axis.stride == 1) {
        for (int64_t k = 0; k < axis.kernel_size; ++k) AddRow(shares, count, columns + k);
      } else {
        for (int64_t i = 0; i < count; ++i) {
          for (int64_t k = 0; k < axis.kernel_size; ++k) columns[i * axis.stride + k] += shares[i];
        }
      }
      const Window window{window_axis(at.d, shape.input[0], shape.axes[0]),
                          window_axis(at.h, shape.input[1], shape.axes[1]),
                          {},
                          shape.input[1],
                          width};
      AddToRows(window, columns + (from - first), to - from, grad_input + at.plane * shape.input_positions() + from);
    }
  }
}

// sums += scale * row.
HWY_INLINE void AddScaledRow(const float* row, double scale, int64_t count, double* sums) {
  const int64_t n = Lanes64();
  const auto factor = hn::Set(D64(), scale);
  int64_t i = 0;
  for (; i + n <= count; i += n) {
    hn::StoreU(hn::Add(hn::LoadU(D64(), sums + i), hn::Mul(factor, hn::PromoteTo(D64(), hn::LoadU(D32(), row + i)))), D64(),
               sums + i);
  }
  for (; i < count; ++i) sums[i] += scale * static_cast<double>(row[i]);
}

HWY_ATTR void AdaptiveAvgPoolRows(const AdaptivePoolShape& shape, const float* input, float* output, int64_t begin, int64_t end) {
  const int64_t width = shape.input[2], outputs = shape.output[2];
  HWY_ALIGN double sums[kBlock];
  // Where the windows along a row begin, and one after the last ends; found once.
  shape::Range ows[kBlock / 4];
  const bool by_columns = outputs > 1 && width <= kBlock && outputs <= kBlock / 4;
  for (int64_t ow = 0; by_columns && ow < outputs; ++ow) ows[ow] = shape::adaptive_window(ow, width, outputs);
  RowCursor at(begin, shape.output);
  for (int64_t r = begin; r < end; ++r, at.next()) {
    const float* plane = input + at.plane * shape.input_positions();
    float* to = output + r * outputs;
    Window window{adaptive_window_axis(at.d, shape.input[0], shape.output[0]),
                  adaptive_window_axis(at.h, shape.input[1], shape.output[1]),
                  {},
                  shape.input[1],
                  width};
    const auto rows = static_cast<double>(window.d.count * window.h.count);
    if (by_columns) {
      SumColumns(window, plane, width, sums);
      for (int64_t ow = 0; ow < outputs; ++ow) {
        double sum = 0;
        for (int64_t w = ows[ow].begin; w < ows[ow].end; ++w) sum += sums[w];
        to[ow] = static_cast<float>(sum / (rows * static_cast<double>(ows[ow].size())));
      }
      continue;
    }
    for (int64_t ow = 0; ow < outputs; ++ow) {
      window.w = adaptive_window_axis(ow, width, outputs);
      const bool whole_rows = window.w.count == width;
      double sum = 0;
      for (int64_t z = 0; z < window.d.count; ++z) {
        const float* slice = plane + ((window.d.begin + z) * shape.input[1] + window.h.begin) * width + window.w.begin;
        if (whole_rows) {
          sum += SumRange(slice, window.h.count * width);
        } else {
          for (int64_t y = 0; y < window.h.count; ++y) sum += SumRange(slice + y * width, window.w.count);
        }
      }
      to[ow] = static_cast<float>(sum / divisor_of(window));
    }
  }
}

// Rows of inputs. Input i belongs to the windows of outputs [floor(i out / n), ceil((i + 1) out / n)): the rule of the windows with
// inputs and outputs exchanged. Their shares are summed in double, since a few inputs may feed very many outputs.
HWY_ATTR void AdaptiveAvgPoolBackwardRows(const AdaptivePoolShape& shape, const float* grad_output, float* grad_input,
                                          int64_t begin, int64_t end) {
  const auto& [depth, height, width] = shape.input;
  const auto& [out_depth, out_height, out_width] = shape.output;
  const auto size_of = [](int64_t o, int64_t n, int64_t outputs) {
    return static_cast<double>(shape::adaptive_window(o, n, outputs).size());
  };
  HWY_ALIGN double sums[kBlock];
  HWY_ALIGN double inverse[kBlock];
  shape::Range ows[kBlock / 4];  // the outputs that every column of a row feeds, found once
  const bool by_columns = out_width <= kBlock && width <= kBlock / 4;
  if (by_columns) {
    for (int64_t ow = 0; ow < out_width; ++ow) inverse[ow] = 1.0 / size_of(ow, width, out_width);
    for (int64_t w = 0; w < width; ++w) ows[w] = shape::adaptive_window(w, out_width, width);
  }
  RowCursor at(begin, shape.input);
  for (int64_t r = begin; r < end; ++r, at.next()) {
    const float* grad = grad_output + at.plane * shape.output_positions();
    float* to = grad_input + r * width;
    const shape::Range ods = shape::adaptive_window(at.d, out_depth, depth);
    const shape::Range ohs = shape::adaptive_window(at.h, out_height, height);
    if (by_columns) {
      std::fill_n(sums, out_width, 0.0);
    } else {
      std::fill_n(to, width, 0.0f);
    }
    for (int64_t od = ods.begin; od < ods.end; ++od) {
      for (int64_t oh = ohs.begin; oh < ohs.end; ++oh) {
        const double scale = 1.0 / (size_of(od, depth, out_depth) * size_of(oh, height, out_height));
        const float* row = grad + (od * out_height + oh) * out_width;
        if (by_columns) {
          AddScaledRow(row, scale, out_width, sums);
          continue;
        }
        for (int64_t ow = 0; ow < out_width; ++ow) {
          const shape::Range window = shape::adaptive_window(ow, width, out_width);
          const auto share = static_cast<float>(row[ow] * (scale / static_cast<double>(window.size())));
          for (int64_t w = window.begin; w < window.end; ++w) to[w] += share;
        }
      }
    }
    if (!by_columns) continue;
    for (int64_t w = 0; w < width; ++w) {
      double sum = 0;
      for (int64_t ow = ows[w].begin; ow < ows[w].end; ++ow) sum += sums[ow] * inverse[ow];
      to[w] = static_cast<float>(sum);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(AvgPoolRows);
HWY_EXPORT(AvgPoolBackwardPlanes);
HWY_EXPORT(AdaptiveAvgPoolRows);
HWY_EXPORT(AdaptiveAvgPoolBackwardRows);

namespace {

constexpr double kInputsPerTask = 65536;

int64_t per_task(double inputs) { return std::max<int64_t>(1, static_cast<int64_t>(kInputsPerTask / std::max(inputs, 1.0))); }

// Inputs that one row of outputs looks at.
double inputs_per_row(const PoolShape& s) {
  double inputs = static_cast<double>(std::max(s.input[2], s.output[2]));
  for (size_t a = 0; a < 2; ++a) inputs *= static_cast<double>(std::min(s.axes[a].kernel_size, s.input[a]));
  return inputs;
}

double inputs_per_row(const AdaptivePoolShape& s) {
  double inputs = static_cast<double>(std::max(s.input[2], s.output[2]));
  for (size_t a = 0; a < 2; ++a) inputs *= static_cast<double>(s.input[a] / std::max<int64_t>(s.output[a], 1) + 1);
  return inputs;
}

// Runs body(plane, od oh row of it) in parallel over all rows.
template <class Shape, class Body>
void for_each_row(const Shape& s, Body&& body) {
  const int64_t rows = rows_per_plane(s);
  parallel_ranges(s.planes() * rows, per_task(inputs_per_row(s)), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) body(r / rows, r % rows);
  });
}

// The reference with sums in double, in parallel over rows.
template <class T>
void avg_pool_rows(const PoolShape& s, const AvgDivisor& divisor, const T* input, T* output) {
  for_each_row(s, [&](int64_t plane, int64_t row) {
    for_each_window(s, row, row + 1, [&](int64_t o, const Window& window) {
      const double sum = window_sum<double>(window, input + plane * s.input_positions());
      output[plane * s.output_positions() + o] = static_cast<T>(sum / divisor_at(s, divisor, o));
    });
  });
}

// One plane of a shape, so that the reference can run planes in parallel.
template <class Shape>
Shape one_plane(Shape s) {
  s.batch = s.channels = 1;
  return s;
}

template <class Shape, class Body>
void for_each_plane_range(const Shape& s, Body&& body) {
  parallel_ranges(s.planes(), per_task(inputs_per_row(s) * static_cast<double>(rows_per_plane(s))), body);
}

template <class T>
void avg_pool_backward_planes(const PoolShape& s, const AvgDivisor& divisor, const T* grad_output, T* grad_input) {
  for_each_plane_range(s, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      avg_pool_backward_reference(one_plane(s), divisor, grad_output + plane * s.output_positions(),
                                  grad_input + plane * s.input_positions());
    }
  });
}

}  // namespace

template <>
void avg_pool<float>(const PoolShape& s, const AvgDivisor& divisor, const float* input, float* output) noexcept {
  const bool dilated = std::any_of(s.axes.begin(), s.axes.end(), [](const shape::Axis& axis) { return axis.dilation > 1; });
  if (dilated || !fits_block(s)) return avg_pool_rows(s, divisor, input, output);
  parallel_ranges(s.planes() * rows_per_plane(s), per_task(inputs_per_row(s)), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(AvgPoolRows)(s, divisor, input, output, begin, end);
  });
}

template <>
void avg_pool<double>(const PoolShape& s, const AvgDivisor& divisor, const double* input, double* output) noexcept {
  avg_pool_rows(s, divisor, input, output);
}

template <>
void avg_pool_backward<float>(const PoolShape& s, const AvgDivisor& divisor, const float* grad_output, float* grad_input) noexcept {
  if (!fits_block(s)) return avg_pool_backward_planes(s, divisor, grad_output, grad_input);
  for_each_plane_range(s, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(AvgPoolBackwardPlanes)(s, divisor, grad_output, grad_input, begin, end);
  });
}

template <>
void avg_pool_backward<double>(const PoolShape& s, const AvgDivisor& divisor, const double* grad_output,
                               double* grad_input) noexcept {
  avg_pool_backward_planes(s, divisor, grad_output, grad_input);
}

template <>
void adaptive_avg_pool<float>(const AdaptivePoolShape& s, const float* input, float* output) noexcept {
  parallel_ranges(s.planes() * rows_per_plane(s), per_task(inputs_per_row(s)), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(AdaptiveAvgPoolRows)(s, input, output, begin, end);
  });
}

template <>
void adaptive_avg_pool<double>(const AdaptivePoolShape& s, const double* input, double* output) noexcept {
  for_each_row(s, [&](int64_t plane, int64_t row) {
    for_each_window(s, row, row + 1, [&](int64_t o, const Window& window) {
      output[plane * s.output_positions() + o] =
          window_sum<double>(window, input + plane * s.input_positions()) / divisor_of(window);
    });
  });
}

template <>
void adaptive_avg_pool_backward<float>(const AdaptivePoolShape& s, const float* grad_output, float* grad_input) noexcept {
  const double row_cost = static_cast<double>(std::max(s.input[2], s.output[2])) *
                          (static_cast<double>(s.output[0]) / static_cast<double>(s.input[0]) + 1) *
                          (static_cast<double>(s.output[1]) / static_cast<double>(s.input[1]) + 1);
  parallel_ranges(s.planes() * s.input[0] * s.input[1], per_task(row_cost), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(AdaptiveAvgPoolBackwardRows)(s, grad_output, grad_input, begin, end);
  });
}

template <>
void adaptive_avg_pool_backward<double>(const AdaptivePoolShape& s, const double* grad_output, double* grad_input) noexcept {
  for_each_plane_range(s, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      adaptive_avg_pool_backward_reference(one_plane(s), grad_output + plane * s.output_positions(),
                                           grad_input + plane * s.input_positions());
    }
  });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
