// float32 adaptive average pooling: the columns under a row of windows are summed down in double, then along each window. Backward,
// rows that the same outputs feed are copied. Pooling to one value per plane has loops of its own, since windows that are looked up
// row by row cost more than the few values of a plane: 4096 planes of 7 x 7 0.047 -> 0.015 ms, backward 0.50 -> 0.012 ms.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/pool/adaptive_avg_pool.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/pool/pool.h"

#include <algorithm>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/kernels/pool/pool_reference.h"
#include "convoy/kernels/pool/row_cursor.h"
#include "convoy/kernels/pool/sum_columns-inl.h"
#include "convoy/kernels/reduce/sum-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kBlock = 2048;  // columns whose sums are kept: 16 KiB

// The mean of each plane.
HWY_ATTR void GlobalAvgPool(int64_t positions, const float* input, float* output, int64_t begin, int64_t end) {
  const auto count = static_cast<double>(positions);
  for (int64_t plane = begin; plane < end; ++plane) {
    output[plane] = static_cast<float>(SumByFours(input + plane * positions, positions) / count);
  }
}

// Every plane is its gradient's share.
HWY_ATTR void GlobalAvgPoolBackward(int64_t positions, const float* grad_output, float* grad_input, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t plane = begin; plane < end; ++plane) {
    const auto share = static_cast<float>(static_cast<double>(grad_output[plane]) / static_cast<double>(positions));
    const auto shares = hn::Set(d, share);
    float* to = grad_input + plane * positions;
    int64_t i = 0;
    for (; i + n <= positions; i += n) hn::StoreU(shares, d, to + i);
    for (; i < positions; ++i) to[i] = share;
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

#if HWY_TARGET == HWY_SCALAR
void AdaptiveAvgPoolRows(const AdaptivePoolShape& shape, const float* input, float* output, int64_t begin, int64_t end) {
  adaptive_avg_pool_rows_reference(shape, input, output, begin, end);
}
#else
HWY_ATTR void AdaptiveAvgPoolRows(const AdaptivePoolShape& shape, const float* input, float* output, int64_t begin, int64_t end) {
  const int64_t width = shape.input[2], outputs = shape.output[2];
  HWY_ALIGN double sums[kBlock];
  // Where the windows along a row begin and end, and 1 / their size; found once.
  shape::Range ows[kBlock / 4];
  double inverse[kBlock / 4];
  const bool by_columns = outputs > 1 && width <= kBlock && outputs <= kBlock / 4;
  for (int64_t ow = 0; by_columns && ow < outputs; ++ow) {
    ows[ow] = shape::adaptive_window(ow, width, outputs);
    inverse[ow] = 1.0 / static_cast<double>(ows[ow].size());
  }
  const auto window_of = [&](int64_t od, int64_t oh) {
    return Window{adaptive_window_axis(od, shape.input[0], shape.output[0]),
                  adaptive_window_axis(oh, shape.input[1], shape.output[1]),
                  {},
                  shape.input[1],
                  width};
  };
  const RowsOfPlane known(shape.output, end - begin, window_of);
  Window above;
  RowCursor at(begin, shape.output);
  for (int64_t r = begin; r < end; ++r, at.next()) {
    const float* plane = input + at.plane * shape.input_positions();
    float* to = output + r * outputs;
    Window window = known(at);
    const bool as_above = r > begin && at.h > 0 && window.h.begin == above.h.begin && window.h.count == above.h.count;
    above = window;
    if (as_above) {
      std::copy_n(to - outputs, outputs, to);
      continue;
    }
    const double inverse_rows = 1.0 / static_cast<double>(window.d.count * window.h.count);
    if (by_columns) {
      SumColumns(window, plane, width, sums);
      for (int64_t ow = 0; ow < outputs; ++ow) {
        double sum = 0;
        for (int64_t w = ows[ow].begin; w < ows[ow].end; ++w) sum += sums[w];
        to[ow] = static_cast<float>(sum * (inverse_rows * inverse[ow]));
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
          sum += SumToDouble(slice, window.h.count * width);
        } else {
          for (int64_t y = 0; y < window.h.count; ++y) sum += SumToDouble(slice + y * width, window.w.count);
        }
      }
      to[ow] = static_cast<float>(sum / divisor_of(window));
    }
  }
}
#endif

// Rows of inputs. Input i belongs to the windows of outputs [floor(i out / n), ceil((i + 1) out / n)): the rule of the windows with
// inputs and outputs exchanged. Their shares are summed in double, since a few inputs may feed very many outputs.
HWY_ATTR void AdaptiveAvgPoolBackwardRows(const AdaptivePoolShape& shape, const float* grad_output, float* grad_input,
                                          int64_t begin, int64_t end) {
  // No structured bindings: clang 14 lets no lambda have them.
  const int64_t depth = shape.input[0], height = shape.input[1], width = shape.input[2];
  const int64_t out_depth = shape.output[0], out_height = shape.output[1], out_width = shape.output[2];
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
  // What every row of a plane at the same place has in common: the outputs that feed it.
  struct Feeds {
    shape::Range ods, ohs;
  };
  const auto feeds_of = [&](int64_t d, int64_t h) {
    return Feeds{shape::adaptive_window(d, out_depth, depth), shape::adaptive_window(h, out_height, height)};
  };
  const RowsOfPlane known(shape.input, end - begin, feeds_of);
  double rows_inverse[kBlock / 4];  // of outputs (od, oh)
  const bool knows = out_depth * out_height <= kBlock / 4;
  const auto inverse_of = [&](int64_t od, int64_t oh) {
    return 1.0 / (size_of(od, depth, out_depth) * size_of(oh, height, out_height));
  };
  for (int64_t o = 0; knows && o < out_depth * out_height; ++o) rows_inverse[o] = inverse_of(o / out_height, o % out_height);
  shape::Range above;
  RowCursor at(begin, shape.input);
  for (int64_t r = begin; r < end; ++r, at.next()) {
    const float* grad = grad_output + at.plane * shape.output_positions();
    float* to = grad_input + r * width;
    const auto [ods, ohs] = known(at);
    const bool as_above = r > begin && at.h > 0 && ohs.begin == above.begin && ohs.end == above.end;
    above = ohs;
    if (as_above) {  // fed by the same outputs
      std::copy_n(to - width, width, to);
      continue;
    }
    if (by_columns) {
      std::fill_n(sums, out_width, 0.0);
    } else {
      std::fill_n(to, width, 0.0f);
    }
    for (int64_t od = ods.begin; od < ods.end; ++od) {
      for (int64_t oh = ohs.begin; oh < ohs.end; ++oh) {
        const double scale = knows ? rows_inverse[od * out_height + oh] : inverse_of(od, oh);
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

CONVOY_EXPORT(GlobalAvgPool);
CONVOY_EXPORT(GlobalAvgPoolBackward);
CONVOY_EXPORT(AdaptiveAvgPoolRows);
CONVOY_EXPORT(AdaptiveAvgPoolBackwardRows);

namespace {

constexpr double kInputsPerTask = 16384;

int64_t per_task(double inputs) { return std::max<int64_t>(1, static_cast<int64_t>(kInputsPerTask / std::max(inputs, 1.0))); }

// Inputs that one row of outputs looks at.
double inputs_per_row(const AdaptivePoolShape& s) {
  double inputs = static_cast<double>(std::max(s.input[2], s.output[2]));
  for (size_t a = 0; a < 2; ++a) inputs *= static_cast<double>(s.input[a] / std::max<int64_t>(s.output[a], 1) + 1);
  return inputs;
}

}  // namespace

template <>
void adaptive_avg_pool<float>(const AdaptivePoolShape& s, const float* input, float* output) noexcept {
  if (s.output_positions() == 1) {
    return parallel_ranges(s.planes(), per_task(static_cast<double>(s.input_positions())), [&](int64_t begin, int64_t end) {
      CONVOY_DISPATCH(GlobalAvgPool)(s.input_positions(), input, output, begin, end);
    });
  }
  if (const auto same = equal_windows(s)) return avg_pool(*same, {}, input, output);
  parallel_ranges(s.planes() * rows_per_plane(s), per_task(inputs_per_row(s)), [&](int64_t begin, int64_t end) {
    CONVOY_DISPATCH(AdaptiveAvgPoolRows)(s, input, output, begin, end);
  });
}

template <>
void adaptive_avg_pool<double>(const AdaptivePoolShape& s, const double* input, double* output) noexcept {
  parallel_ranges(s.planes() * rows_per_plane(s), per_task(inputs_per_row(s)),
                  [&](int64_t begin, int64_t end) { adaptive_avg_pool_rows_reference(s, input, output, begin, end); });
}

template <>
void adaptive_avg_pool_backward<float>(const AdaptivePoolShape& s, const float* grad_output, float* grad_input) noexcept {
  if (s.output_positions() == 1) {
    return parallel_ranges(s.planes(), per_task(static_cast<double>(s.input_positions())), [&](int64_t begin, int64_t end) {
      CONVOY_DISPATCH(GlobalAvgPoolBackward)(s.input_positions(), grad_output, grad_input, begin, end);
    });
  }
  const double row_cost = static_cast<double>(std::max(s.input[2], s.output[2])) *
                          (static_cast<double>(s.output[0]) / static_cast<double>(s.input[0]) + 1) *
                          (static_cast<double>(s.output[1]) / static_cast<double>(s.input[1]) + 1);
  parallel_ranges(s.planes() * s.input[0] * s.input[1], per_task(row_cost), [&](int64_t begin, int64_t end) {
    CONVOY_DISPATCH(AdaptiveAvgPoolBackwardRows)(s, grad_output, grad_input, begin, end);
  });
}

template <>
void adaptive_avg_pool_backward<double>(const AdaptivePoolShape& s, const double* grad_output, double* grad_input) noexcept {
  AdaptivePoolShape one = s;
  one.batch = one.channels = 1;
  const double plane_cost = inputs_per_row(s) * static_cast<double>(rows_per_plane(s));
  parallel_ranges(s.planes(), per_task(plane_cost), [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      adaptive_avg_pool_backward_reference(one, grad_output + plane * s.output_positions(),
                                           grad_input + plane * s.input_positions());
    }
  });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
