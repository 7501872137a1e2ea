#include "convoy/kernels/resize/resize_taps.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace convoy::kernels {

namespace {

double step_of(const ResizeAxis& axis) {
  if (axis.align_corners) return axis.output > 1 ? static_cast<double>(axis.input - 1) / static_cast<double>(axis.output - 1) : 0.0;
  if (axis.scale_factor && *axis.scale_factor > 0) return 1.0 / *axis.scale_factor;
  return static_cast<double>(axis.input) / static_cast<double>(axis.output);
}

double position(const ResizeAxis& axis, double step, int64_t i) {
  return axis.align_corners ? step * static_cast<double>(i) : step * (static_cast<double>(i) + 0.5) - 0.5;
}

ResizeTaps empty_taps(const ResizeAxis& axis) {
  ResizeTaps taps{axis.input, axis.output, {0}, {}, {}};
  taps.begin.reserve(static_cast<size_t>(axis.output) + 1);
  return taps;
}

template <size_t N>
void add_output(ResizeTaps& taps, const std::array<int64_t, N>& index, const std::array<double, N>& weight) {
  taps.index.insert(taps.index.end(), index.begin(), index.end());
  taps.weight.insert(taps.weight.end(), weight.begin(), weight.end());
  taps.begin.push_back(static_cast<int64_t>(taps.index.size()));
}

// Equal sizes and no other scale: every output is its input, whatever the values are.
bool copies(const ResizeAxis& axis, double step) { return axis.input == axis.output && (step == 1.0 || axis.input == 1); }

ResizeTaps copy_taps(const ResizeAxis& axis) {
  ResizeTaps taps = empty_taps(axis);
  for (int64_t i = 0; i < axis.output; ++i) add_output<1>(taps, {i}, {1.0});
  return taps;
}

// Keys' kernel for distances up to 1, and from 1 to 2.
double cubic_near(double x) { return ((-0.75 + 2) * x - (-0.75 + 3)) * x * x + 1; }
double cubic_far(double x) { return ((-0.75 * x - 5 * -0.75) * x + 8 * -0.75) * x - 4 * -0.75; }

}  // namespace

ResizeTaps nearest_taps(const ResizeAxis& axis, bool float32) {
  const double step = step_of({axis.input, axis.output, axis.scale_factor, false});
  if (copies(axis, step)) return copy_taps(axis);
  const float step32 = axis.scale_factor && *axis.scale_factor > 0
                           ? static_cast<float>(step)
                           : static_cast<float>(axis.input) / static_cast<float>(axis.output);
  ResizeTaps taps = empty_taps(axis);
  for (int64_t i = 0; i < axis.output; ++i) {
    float at = float32 ? static_cast<float>(i) * step32 : static_cast<float>(static_cast<double>(i) * step);
    if (i == 0) at = 0;  // whatever the step
    add_output<1>(taps, {static_cast<int64_t>(std::min(std::floor(static_cast<double>(at)), static_cast<double>(axis.input - 1)))},
                  {1.0});
  }
  return taps;
}

ResizeTaps linear_taps(const ResizeAxis& axis) {
  const double step = step_of(axis);
  if (axis.input == axis.output) return copy_taps(axis);
  ResizeTaps taps = empty_taps(axis);
  for (int64_t i = 0; i < axis.output; ++i) {
    const double at = std::clamp(position(axis, step, i), 0.0, static_cast<double>(axis.input));
    const int64_t first = std::min(static_cast<int64_t>(at), axis.input - 1);
    const double fraction = std::min(at - static_cast<double>(first), 1.0);
    add_output<2>(taps, {first, std::min(first + 1, axis.input - 1)}, {1 - fraction, fraction});
  }
  return taps;
}

ResizeTaps cubic_taps(const ResizeAxis& axis) {
  const double step = step_of(axis);
  if (copies(axis, step)) return copy_taps(axis);
  ResizeTaps taps = empty_taps(axis);
  for (int64_t i = 0; i < axis.output; ++i) {
    // Beyond the border every tap is the border, wherever exactly.
    const double at = std::clamp(position(axis, step, i), -3.0, static_cast<double>(axis.input) + 3);
    const double floor = std::floor(at);
    const double t = at - floor;
    const auto first = static_cast<int64_t>(floor) - 1;
    std::array<int64_t, 4> index;
    for (int64_t k = 0; k < 4; ++k) index[static_cast<size_t>(k)] = std::clamp<int64_t>(first + k, 0, axis.input - 1);
    add_output<4>(taps, index, {cubic_far(t + 1), cubic_near(t), cubic_near(1 - t), cubic_far(2 - t)});
  }
  return taps;
}

ResizeTaps transpose(const ResizeTaps& taps) {
  ResizeTaps result{taps.output, taps.input, std::vector<int64_t>(static_cast<size_t>(taps.input) + 1),
                    std::vector<int64_t>(taps.index.size()), std::vector<double>(taps.index.size())};
  for (const int64_t i : taps.index) ++result.begin[static_cast<size_t>(i) + 1];
  for (size_t i = 1; i < result.begin.size(); ++i) result.begin[i] += result.begin[i - 1];
  std::vector<int64_t> next(result.begin.begin(), result.begin.end() - 1);
  for (int64_t o = 0; o < taps.output; ++o) {
    for (int64_t e = taps.begin[static_cast<size_t>(o)]; e < taps.begin[static_cast<size_t>(o) + 1]; ++e) {
      const auto at = static_cast<size_t>(next[static_cast<size_t>(taps.index[static_cast<size_t>(e)])]++);
      result.index[at] = o;
      result.weight[at] = taps.weight[static_cast<size_t>(e)];
    }
  }
  return result;
}

}  // namespace convoy::kernels
