// Pooling as plain loops: the oracle for pool.h, and what float64 runs. T is float, double or std::complex<double>; complex values
// are compared by their real parts.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <optional>

#include "convoy/kernels/pool/pool.h"
#include "convoy/shape/taps.h"

namespace convoy::kernels {

/// The inputs of one window along one axis: `count` positions from `begin`, `step` apart.
struct WindowAxis {
  int64_t begin = 0;
  int64_t count = 0;
  int64_t step = 1;
};

/// The window of output o; begin is the first tap that is not in front of the input even if no tap is inside.
inline WindowAxis window_axis(int64_t o, int64_t n, const shape::Axis& axis) {
  if (axis.dilation == 1) {  // the same without divisions
    const int64_t start = o * axis.stride - axis.pad_begin, begin = std::max<int64_t>(start, 0);
    return {begin, std::max<int64_t>(std::min(start + axis.kernel_size, n) - begin, 0), 1};
  }
  const shape::Range taps = shape::valid_taps(o, n, axis);
  const int64_t start = shape::input_index(o, 0, axis);
  const int64_t skipped = start < 0 ? shape::ceil_div(-start, axis.dilation) : 0;
  return {start + skipped * axis.dilation, taps.size(), axis.dilation};
}

inline WindowAxis adaptive_window_axis(int64_t o, int64_t n, int64_t outputs) {
  const shape::Range window = shape::adaptive_window(o, n, outputs);
  return {window.begin, window.size(), 1};
}

/// A window over an input plane of rows of `width` and slices of `height` rows.
struct Window {
  WindowAxis d, h, w;
  int64_t height = 1;
  int64_t width = 1;

  int64_t first_index() const { return (d.begin * height + h.begin) * width + w.begin; }
  /// How far behind a value the same row of the next windows is, which may lie in the outer cache and is worth asking for early; 0
  /// where windows have few rows.
  int64_t rows_ahead() const { return h.count < 5 ? 0 : h.count * h.step * width; }
  bool empty() const { return d.count == 0 || h.count == 0 || w.count == 0; }

  /// Calls visit(flat position) for every input of the window, in row-major order.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (int64_t z = 0; z < d.count; ++z) {
      for (int64_t y = 0; y < h.count; ++y) {
        const int64_t row = ((d.begin + z * d.step) * height + h.begin + y * h.step) * width + w.begin;
        for (int64_t x = 0; x < w.count; ++x) visit(row + x * w.step);
      }
    }
  }
};

inline Window window_at(const PoolShape& s, int64_t od, int64_t oh, int64_t ow) {
  return {window_axis(od, s.input[0], s.axes[0]), window_axis(oh, s.input[1], s.axes[1]), window_axis(ow, s.input[2], s.axes[2]),
          s.input[1], s.input[2]};
}

inline Window window_at(const AdaptivePoolShape& s, int64_t od, int64_t oh, int64_t ow) {
  return {adaptive_window_axis(od, s.input[0], s.output[0]), adaptive_window_axis(oh, s.input[1], s.output[1]),
          adaptive_window_axis(ow, s.input[2], s.output[2]), s.input[1], s.input[2]};
}

/// The pooling of one kernel size and stride with the same windows, if there is one: where the outputs divide the inputs of every
/// axis, or leave one over.
inline std::optional<PoolShape> equal_windows(const AdaptivePoolShape& s) {
  PoolShape same{.rank = s.rank, .batch = s.batch, .channels = s.channels, .input = s.input, .output = s.output};
  for (size_t a = 0; a < 3; ++a) {
    const int64_t outputs = s.output[a], stride = outputs == 0 ? 0 : s.input[a] / outputs;
    const int64_t over = stride == 0 ? 2 : s.input[a] % outputs;
    if (over > 1) return {};
    same.axes[a] = {.kernel_size = stride + over, .stride = stride};
  }
  return same;
}

template <class T>
struct Maximum {
  T value;
  int64_t index;
};

template <class T>
Maximum<T> window_maximum(const Window& window, const T* plane) {
  Maximum<T> best{T(-INFINITY), window.first_index()};
  window.for_each([&](int64_t i) {
    const T v = plane[i];
    if (std::real(v) > std::real(best.value) || std::isnan(std::real(v))) best = {v, i};
  });
  return best;
}

/// Calls visit(flat output position, window) for the outputs of rows [begin, end) of one plane, a row being one (od, oh).
template <class Shape, class Visit>
void for_each_window(const Shape& s, int64_t begin, int64_t end, Visit&& visit) {
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t ow = 0; ow < s.output[2]; ++ow)
      visit(row * s.output[2] + ow, window_at(s, row / s.output[1], row % s.output[1], ow));
  }
}

template <class Shape>
int64_t rows_per_plane(const Shape& s) {
  return s.output[0] * s.output[1];
}

/// Rows [begin, end), counted through all planes.
template <class Shape, class T>
void max_pool_rows_reference(const Shape& s, const T* input, T* output, int64_t* indices, int64_t begin, int64_t end) {
  const int64_t rows = rows_per_plane(s);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t plane = r / rows;
    for_each_window(s, r % rows, r % rows + 1, [&](int64_t o, const Window& window) {
      const Maximum<T> best = window_maximum(window, input + plane * s.input_positions());
      output[plane * s.output_positions() + o] = best.value;
      indices[plane * s.output_positions() + o] = best.index;
    });
  }
}

template <class Shape, class T>
void max_pool_reference(const Shape& s, const T* input, T* output, int64_t* indices) {
  max_pool_rows_reference(s, input, output, indices, 0, s.planes() * rows_per_plane(s));
}

/// How many positions of output o's window count along one axis; 1 if none does, since their sum is 0.
inline int64_t counted_size(int64_t o, int64_t n, const shape::Axis& axis, bool count_include_pad) {
  const int64_t begin = shape::input_index(o, 0, axis);
  if (axis.dilation > 1) {
    if (!count_include_pad) return std::max<int64_t>(shape::valid_taps(o, n, axis).size(), 1);
    return std::clamp<int64_t>(shape::ceil_div(n + axis.pad_end - begin, axis.dilation), 1, axis.kernel_size);
  }
  const int64_t end = std::min(begin + axis.kernel_size, n + axis.pad_end);
  return std::max<int64_t>(count_include_pad ? end - begin : std::min(end, n) - std::max<int64_t>(begin, 0), 1);
}

/// The divisor of the window at flat output position o. A double: the product of three sizes may leave 64 bits.
inline double divisor_at(const PoolShape& s, const AvgDivisor& divisor, int64_t o) {
  if (divisor.override_with != 0) return static_cast<double>(divisor.override_with);
  const int64_t ow = o % s.output[2], oh = o / s.output[2] % s.output[1], od = o / s.output[2] / s.output[1];
  return static_cast<double>(counted_size(od, s.input[0], s.axes[0], divisor.count_include_pad)) *
         static_cast<double>(counted_size(oh, s.input[1], s.axes[1], divisor.count_include_pad)) *
         static_cast<double>(counted_size(ow, s.input[2], s.axes[2], divisor.count_include_pad));
}

inline double divisor_of(const Window& window) {
  return static_cast<double>(window.d.count) * static_cast<double>(window.h.count) * static_cast<double>(window.w.count);
}

template <class Sum, class T>
Sum window_sum(const Window& window, const T* plane) {
  Sum sum(0);
  window.for_each([&](int64_t i) { sum += plane[i]; });
  return sum;
}

/// Rows [begin, end), counted through all planes, with sums in double.
template <class T>
void avg_pool_rows_reference(const PoolShape& s, const AvgDivisor& divisor, const T* input, T* output, int64_t begin, int64_t end) {
  const int64_t rows = rows_per_plane(s);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t plane = r / rows;
    for_each_window(s, r % rows, r % rows + 1, [&](int64_t o, const Window& window) {
      const double sum = window_sum<double>(window, input + plane * s.input_positions());
      output[plane * s.output_positions() + o] = static_cast<T>(sum / divisor_at(s, divisor, o));
    });
  }
}

template <class T>
void avg_pool_reference(const PoolShape& s, const AvgDivisor& divisor, const T* input, T* output) {
  for (int64_t plane = 0; plane < s.planes(); ++plane) {
    for_each_window(s, 0, rows_per_plane(s), [&](int64_t o, const Window& window) {
      output[plane * s.output_positions() + o] =
          window_sum<T>(window, input + plane * s.input_positions()) / static_cast<T>(divisor_at(s, divisor, o));
    });
  }
}

template <class T>
void avg_pool_backward_reference(const PoolShape& s, const AvgDivisor& divisor, const T* grad_output, T* grad_input) {
  std::fill_n(grad_input, s.planes() * s.input_positions(), T(0));
  for (int64_t plane = 0; plane < s.planes(); ++plane) {
    T* to = grad_input + plane * s.input_positions();
    for_each_window(s, 0, rows_per_plane(s), [&](int64_t o, const Window& window) {
      const T share = grad_output[plane * s.output_positions() + o] / static_cast<T>(divisor_at(s, divisor, o));
      window.for_each([&](int64_t i) { to[i] += share; });
    });
  }
}

/// Rows [begin, end), counted through all planes, with sums in double.
template <class T>
void adaptive_avg_pool_rows_reference(const AdaptivePoolShape& s, const T* input, T* output, int64_t begin, int64_t end) {
  const int64_t rows = rows_per_plane(s);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t plane = r / rows;
    for_each_window(s, r % rows, r % rows + 1, [&](int64_t o, const Window& window) {
      const double sum = window_sum<double>(window, input + plane * s.input_positions());
      output[plane * s.output_positions() + o] = static_cast<T>(sum / divisor_of(window));
    });
  }
}

template <class T>
void adaptive_avg_pool_reference(const AdaptivePoolShape& s, const T* input, T* output) {
  for (int64_t plane = 0; plane < s.planes(); ++plane) {
    for_each_window(s, 0, rows_per_plane(s), [&](int64_t o, const Window& window) {
      output[plane * s.output_positions() + o] =
          window_sum<T>(window, input + plane * s.input_positions()) / static_cast<T>(divisor_of(window));
    });
  }
}

template <class T>
void adaptive_avg_pool_backward_reference(const AdaptivePoolShape& s, const T* grad_output, T* grad_input) {
  std::fill_n(grad_input, s.planes() * s.input_positions(), T(0));
  for (int64_t plane = 0; plane < s.planes(); ++plane) {
    T* to = grad_input + plane * s.input_positions();
    for_each_window(s, 0, rows_per_plane(s), [&](int64_t o, const Window& window) {
      const T share = grad_output[plane * s.output_positions() + o] / static_cast<T>(divisor_of(window));
      window.for_each([&](int64_t i) { to[i] += share; });
    });
  }
}

}  // namespace convoy::kernels
