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

// With room for so many taps an output.
ResizeTaps empty_taps(const ResizeAxis& axis, int64_t each) {
  ResizeTaps taps{axis.input, axis.output, {0}, {}, {}};
  taps.begin.reserve(static_cast<size_t>(axis.output) + 1);
  taps.index.reserve(static_cast<size_t>(axis.output * each));
  taps.weight.reserve(static_cast<size_t>(axis.output * each));
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
  ResizeTaps taps = empty_taps(axis, 1);
  for (int64_t i = 0; i < axis.output; ++i) add_output<1>(taps, {i}, {1.0});
  return taps;
}

// Keys' kernel for distances up to 1, and from 1 to 2; PyTorch's A is -0.75.
double cubic_near(double x, double a = -0.75) { return ((a + 2) * x - (a + 3)) * x * x + 1; }
double cubic_far(double x, double a = -0.75) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; }

// The filter at a signed distance.
double filter(const ResizeRule& rule, double x) {
  x = std::abs(x);
  if (rule.mode == ResizeMode::kLinear) return std::max(1 - x, 0.0);
  return x <= 1 ? cubic_near(x, rule.cubic_coeff_a) : x < 2 ? cubic_far(x, rule.cubic_coeff_a) : 0.0;
}

// Where output o lies in the input.
double position(const ScaledAxis& axis, ResizeCoordinates coordinates, int64_t o) {
  const auto x = static_cast<double>(o), n = static_cast<double>(axis.input), length = n * axis.scale;
  const double half_pixel = (x + 0.5) / axis.scale - 0.5;
  switch (coordinates) {
    case ResizeCoordinates::kHalfPixel:
      break;
    case ResizeCoordinates::kPytorchHalfPixel:
      return axis.output > 1 ? half_pixel : 0.0;
    case ResizeCoordinates::kHalfPixelSymmetric:
      return n / 2 * (1 - static_cast<double>(axis.output) / length) + (x + 0.5) / axis.scale - 0.5;  // in ONNX's order
    case ResizeCoordinates::kAlignCorners:
      return axis.output == 1 || length == 1 ? 0.0 : x * (n - 1) / (length - 1);
    case ResizeCoordinates::kAsymmetric:
      return x / axis.scale;
    case ResizeCoordinates::kTfCropAndResize: {
      const double extent = (axis.roi_end - axis.roi_begin) * (n - 1), begin = axis.roi_begin * (n - 1);
      return begin + (axis.output == 1 || length == 1 ? extent / 2 : x * extent / (length - 1));
    }
  }
  return half_pixel;
}

int64_t nearest_neighbour(double at, ResizeNearest nearest) {
  // Scales of files are float32, and so are places in other runtimes: 3 / 0.6f, a little less than 5 in double, is 5.
  if (std::abs(at) < 0x1p16) at = static_cast<double>(static_cast<float>(at));
  const double floor = std::floor(at), fraction = at - floor;
  const bool up = nearest == ResizeNearest::kRoundPreferFloor  ? fraction > 0.5
                  : nearest == ResizeNearest::kRoundPreferCeil ? fraction >= 0.5
                                                               : nearest == ResizeNearest::kCeil && fraction > 0;
  return static_cast<int64_t>(floor) + (up ? 1 : 0);
}

void append(ResizeTaps& taps, int64_t index, double weight) {
  taps.index.push_back(std::clamp<int64_t>(index, 0, taps.input - 1));
  taps.weight.push_back(weight);
}

}  // namespace

ResizeTaps nearest_taps(const ResizeAxis& axis, bool float32) {
  const double step = step_of({axis.input, axis.output, axis.scale_factor, false});
  if (copies(axis, step)) return copy_taps(axis);
  const float step32 = axis.scale_factor && *axis.scale_factor > 0
                           ? static_cast<float>(step)
                           : static_cast<float>(axis.input) / static_cast<float>(axis.output);
  ResizeTaps taps = empty_taps(axis, 1);
  for (int64_t i = 0; i < axis.output; ++i) {
    float at = float32 ? static_cast<float>(i) * step32 : static_cast<float>(static_cast<double>(i) * step);
    if (i == 0) at = 0;  // whatever the step
    add_output<1>(taps, {static_cast<int64_t>(std::min(static_cast<double>(at), static_cast<double>(axis.input - 1)))}, {1.0});
  }
  return taps;
}

ResizeTaps linear_taps(const ResizeAxis& axis) {
  const double step = step_of(axis);
  if (axis.input == axis.output) return copy_taps(axis);
  ResizeTaps taps = empty_taps(axis, 2);
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
  ResizeTaps taps = empty_taps(axis, 4);
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

ResizeTaps scaled_taps(const ScaledAxis& axis, const ResizeRule& rule) {
  ResizeTaps taps = empty_taps({axis.input, axis.output, {}, false}, 1);
  const double most = static_cast<double>(axis.input) + 8;  // beyond it every neighbour is the border
  // A filter of width `reach` around the position, wider where the axis shrinks and is not to alias.
  const double shrink = rule.antialias ? std::min(axis.scale, 1.0) : 1.0;
  const double reach = (rule.mode == ResizeMode::kCubic ? 2.0 : 1.0) / shrink;
  std::vector<double> weights;
  for (int64_t o = 0; o < axis.output; ++o) {
    const double exact = position(axis, rule.coordinates, o);
    const bool outside =
        rule.coordinates == ResizeCoordinates::kTfCropAndResize && !(exact >= 0 && exact <= static_cast<double>(axis.input - 1));
    if (!outside) {
      const double at = std::isnan(exact) ? 0.0 : std::clamp(exact, -8.0, most);
      if (rule.mode == ResizeMode::kNearest) {
        append(taps, nearest_neighbour(at, rule.nearest), 1.0);
      } else if (rule.mode == ResizeMode::kLinear && !rule.antialias && !rule.exclude_outside) {
        const double floor = std::floor(at);
        append(taps, static_cast<int64_t>(floor), 1 - (at - floor));
        append(taps, static_cast<int64_t>(floor) + 1, at - floor);
      } else {
        // From the position on the left of `at`, or at - 1 where it is whole.
        const double left = std::ceil(at) - 1, ratio = at - left;
        const auto start = static_cast<int64_t>(std::floor(-reach)) + 1, count = 2 - 2 * start;
        weights.assign(static_cast<size_t>(count), 0.0);
        double sum = 0;
        for (int64_t k = 0; k < count; ++k) {
          const int64_t index = static_cast<int64_t>(left) + start + k;
          const bool in = index >= 0 && index < axis.input;
          const double weight = in || !rule.exclude_outside ? filter(rule, (static_cast<double>(start + k) - ratio) * shrink) : 0.0;
          weights[static_cast<size_t>(k)] = weight;
          sum += weight;
        }
        if (!rule.exclude_outside && !rule.antialias) sum = 1;  // as it is, but for rounding
        for (int64_t k = 0; k < count; ++k) {
          const double weight = weights[static_cast<size_t>(k)];
          append(taps, static_cast<int64_t>(left) + start + k, sum != 0 ? weight / sum : 1.0 / static_cast<double>(count));
        }
      }
    }
    taps.begin.push_back(static_cast<int64_t>(taps.index.size()));
  }
  return taps;
}

namespace {

// The same matrix with as many taps everywhere, if that is at most 4, so that loops over them are unrolled: the first tap becomes
// several, of halves, quarters or eighths of its weight, smallest first. Their sum is the one product, to the bit.
void even_out(ResizeTaps& taps) {
  int64_t least = 4, most = 0;
  for (size_t o = 0; o + 1 < taps.begin.size(); ++o) {
    least = std::min(least, taps.begin[o + 1] - taps.begin[o]);
    most = std::max(most, taps.begin[o + 1] - taps.begin[o]);
  }
  if (least == 0 || most > 4 || least == most) return;
  ResizeTaps even{taps.input, taps.output, {}, {}, {}};
  for (size_t o = 0; o + 1 < taps.begin.size(); ++o) {
    const auto begin = static_cast<size_t>(taps.begin[o]), end = static_cast<size_t>(taps.begin[o + 1]);
    even.begin.push_back(static_cast<int64_t>(even.index.size()));
    const int64_t more = most - static_cast<int64_t>(end - begin);
    for (int64_t k = more; k >= 0; --k) {
      even.index.push_back(taps.index[begin]);
      even.weight.push_back(std::ldexp(taps.weight[begin], -static_cast<int>(more == 0 ? 0 : std::min(k + 1, more))));
    }
    for (size_t e = begin + 1; e < end; ++e) {
      even.index.push_back(taps.index[e]);
      even.weight.push_back(taps.weight[e]);
    }
  }
  even.begin.push_back(static_cast<int64_t>(even.index.size()));
  taps = std::move(even);
}

}  // namespace

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
  even_out(result);
  return result;
}

}  // namespace convoy::kernels
