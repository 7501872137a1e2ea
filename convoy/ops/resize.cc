#include "convoy/ops/resize.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/resize/resize.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/dims.h"
#include "convoy/ops/index.h"
#include "convoy/ops/math.h"

namespace convoy::ops {

namespace {

// The factors and sizes per axis of the input; axes that are left alone have factor 1 and keep their size.
struct Plan {
  Shape output;
  std::vector<double> scale, roi_begin, roi_end;
  std::vector<bool> resized;
};

double checked_scale(double scale) {
  if (!(scale > 0) || std::isinf(scale)) {
    raise<ValueError>("resize: scales must be above 0, but one is {}\n2 doubles the axis, 0.5 halves it", scale);
  }
  return scale;
}

// A product in float32, as ONNX's own inference takes it: 10 times the float nearest to 0.7 is 7, not a little less, and so is 10
// times 0.7.
double rounded_to_float(double size) { return size < 0x1p24 ? static_cast<double>(static_cast<float>(size)) : size; }

int64_t scaled_size(double size) {
  if (!(size < 9e18)) raise<Error>("numel: integer multiplication overflow\na scale does not give a size");
  return static_cast<int64_t>(size);
}

Plan make_plan(const Shape& input, const ResizeOptions& options) {
  const auto rank = static_cast<int64_t>(input.size());
  std::vector<size_t> axes;
  Plan plan{input, std::vector<double>(input.size(), 1.0), std::vector<double>(input.size(), 0.0),
            std::vector<double>(input.size(), 1.0), std::vector<bool>(input.size())};
  for (const int64_t dim : options.axes) {
    if (rank == 0) raise<ShapeMismatch>("resize: the input has no axes\ngive it axes first: reshape({1, 1, H, W})");
    axes.push_back(static_cast<size_t>(wrap_dim(dim, rank)));
  }
  if (axes.empty()) {
    axes.resize(input.size());
    std::iota(axes.begin(), axes.end(), size_t{0});
  }
  for (const size_t axis : axes) {
    if (plan.resized[axis]) raise<ValueError>("resize: axis {} is named twice\nname each axis once", axis);
    plan.resized[axis] = true;
  }
  const bool by_scale = !options.scales.empty();
  if (by_scale != options.sizes.empty())
    raise<ValueError>(
        "resize: only one of scales and sizes should be given, and one must be\n"
        "give sizes for exact results, or scales");
  const size_t given = by_scale ? options.scales.size() : options.sizes.size();
  if (given != axes.size()) {
    raise<ValueError>(
        "resize: {}{}{} axes\n"
        "give one for each axis, or name the axes",
        given, by_scale ? " scales for " : " sizes for ", axes.size());
  }
  const bool crops = options.rule.coordinates == ResizeCoordinates::kTfCropAndResize;
  if (crops && options.roi.size() != 2 * axes.size()) {
    raise<ValueError>(
        "resize: roi must hold a begin and an end per axis, {} numbers, but holds {}\n"
        "0 and 1 take an axis whole",
        2 * axes.size(), options.roi.size());
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = axes[i];
    const auto n = static_cast<double>(input[axis]);
    if (by_scale) {
      plan.scale[axis] = checked_scale(options.scales[i]);
      plan.output[axis] = scaled_size(std::floor(rounded_to_float(n * plan.scale[axis])));
    } else {
      if (options.sizes[i] < 0)
        raise<ValueError>("resize: sizes must not be negative, but one is {}\n0 or more works", options.sizes[i]);
      plan.output[axis] = options.sizes[i];
      plan.scale[axis] = input[axis] == 0 ? 1.0 : static_cast<double>(options.sizes[i]) / n;
    }
    if (crops) {
      plan.roi_begin[axis] = options.roi[i];
      plan.roi_end[axis] = options.roi[axes.size() + i];
    }
    if (input[axis] == 0 && plan.output[axis] > 0) {
      raise<ShapeMismatch>(
          "resize: axis {} is empty and cannot become {}\n"
          "an empty axis stays empty: size 0",
          axis, plan.output[axis]);
    }
  }
  if (!by_scale && options.aspect != AspectPolicy::kStretch) {
    double scale = plan.scale[axes.front()];
    for (const size_t axis : axes) {
      scale = options.aspect == AspectPolicy::kNotLarger ? std::min(scale, plan.scale[axis]) : std::max(scale, plan.scale[axis]);
    }
    for (const size_t axis : axes) {
      plan.scale[axis] = scale;
      plan.output[axis] = scaled_size(std::floor(static_cast<double>(input[axis]) * scale + 0.5));
    }
  }
  static_cast<void>(numel(plan.output));
  return plan;
}

bool keeps_axis(const Plan& plan, const Shape& input, const ResizeRule& rule, size_t axis) {
  return !plan.resized[axis] ||
         (input[axis] == plan.output[axis] && plan.scale[axis] == 1.0 && rule.coordinates != ResizeCoordinates::kTfCropAndResize);
}

kernels::ResizeTaps taps_of(const Plan& plan, const Shape& input, const ResizeRule& rule, size_t axis) {
  return kernels::scaled_taps({input[axis], plan.output[axis], plan.scale[axis], plan.roi_begin[axis], plan.roi_end[axis]}, rule);
}

kernels::ResizeTaps identity(int64_t n) {
  kernels::ResizeTaps taps{n, n, std::vector<int64_t>(static_cast<size_t>(n) + 1), std::vector<int64_t>(static_cast<size_t>(n)),
                           std::vector<double>(static_cast<size_t>(n), 1.0)};
  std::iota(taps.begin.begin(), taps.begin.end(), 0);
  std::iota(taps.index.begin(), taps.index.end(), 0);
  return taps;
}

// Positions outside the input along any axis become `value`.
void extrapolate(const std::vector<std::vector<bool>>& outside, double value, Tensor& output) {
  with_floating(output.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (size_t axis = 0; axis < outside.size(); ++axis) {
      const AxisView view = view_axis(output.shape(), static_cast<int64_t>(axis));
      for (size_t i = 0; i < outside[axis].size(); ++i) {
        if (!outside[axis][i]) continue;
        for (int64_t o = 0; o < view.outer; ++o) {
          T* run = output.data<T>() + (o * view.n + static_cast<int64_t>(i)) * view.inner;
          std::fill(run, run + view.inner, static_cast<T>(value));
        }
      }
    }
  });
}

// Nearest of any type: one axis after another.
Tensor take_nearest(const Tensor& input, const Plan& plan, const ResizeRule& rule) {
  Tensor values = input;
  for (size_t axis = 0; axis < plan.output.size(); ++axis) {
    if (keeps_axis(plan, input.shape(), rule, axis)) continue;
    const kernels::ResizeTaps taps = taps_of(plan, input.shape(), rule, axis);
    values = take(values, Tensor::from(taps.index, {plan.output[axis]}), static_cast<int64_t>(axis));
  }
  return values;
}

}  // namespace

Shape resized_shape(const Shape& input, const ResizeOptions& options) { return make_plan(input, options).output; }

Tensor resize(const Tensor& input, const ResizeOptions& options) {
  check_defined(input, "resize", "input");
  const Plan plan = make_plan(input.shape(), options);
  const ResizeRule& rule = options.rule;
  // Nothing else bounds the other sizes of a result without values, and taps are made for each.
  if (numel(plan.output) == 0) {
    if (input.dtype() == DType::kBool && rule.mode != ResizeMode::kNearest) refuse_type(input.dtype(), "resize");
    return Tensor::empty(plan.output, input.dtype());
  }
  const bool crops = rule.coordinates == ResizeCoordinates::kTfCropAndResize;
  if (!is_float_or_double(input.dtype())) {
    if (rule.mode == ResizeMode::kNearest && !crops) return take_nearest(input, plan, rule);
    if (input.dtype() == DType::kBool) refuse_type(input.dtype(), "resize");
    const DType type = input.dtype();
    const size_t size = element_size(type);
    Tensor result = resize(input.to(size <= 2 ? DType::kFloat32 : DType::kFloat64), options);
    if (!is_floating(type) && size < sizeof(int64_t)) {
      // Cubic weights and the value outside of a crop pass what integers hold: these stop at their ends.
      const bool is_signed = type == DType::kInt32 || type == DType::kInt16 || type == DType::kInt8;
      const double end = std::ldexp(1.0, static_cast<int>(8 * size) - (is_signed ? 1 : 0));
      result = clamp(result, Tensor::full({}, is_signed ? -end : 0, result.dtype()), Tensor::full({}, end - 1, result.dtype()));
    }
    return result.to(type);
  }
  Tensor result = Tensor::empty(plan.output, input.dtype());  // before the taps: it refuses sizes that no memory holds
  const size_t rank = input.shape().size();
  std::vector<std::vector<bool>> outside(rank);
  Tensor values = input;
  // The last three axes go together, the others one by one before them, from the first.
  const auto pass = [&](int64_t planes, const kernels::ResizeAxes& axes, Tensor output) {
    with_floating(values.dtype(), [&](auto zero) {
      using T = decltype(zero);
      if (output.numel() > 0) kernels::resize(planes, axes, values.data<T>(), output.data<T>());
    });
    values = output;
  };
  const auto axis_taps = [&](size_t axis) {
    if (keeps_axis(plan, input.shape(), rule, axis)) return identity(input.shape()[axis]);
    kernels::ResizeTaps taps = taps_of(plan, input.shape(), rule, axis);
    if (crops) {
      for (size_t o = 0; o + 1 < taps.begin.size(); ++o) outside[axis].push_back(taps.begin[o] == taps.begin[o + 1]);
    }
    return taps;
  };
  const size_t together = std::min<size_t>(rank, 3);
  for (size_t axis = 0; axis + together < rank; ++axis) {
    if (keeps_axis(plan, input.shape(), rule, axis)) continue;
    const AxisView view = view_axis(values.shape(), static_cast<int64_t>(axis));
    Shape shape = values.shape();
    shape[axis] = plan.output[axis];
    pass(view.outer, {axis_taps(axis), kernels::ResizeTaps{}, identity(view.inner)}, Tensor::empty(shape, values.dtype()));
  }
  bool any = false;
  int64_t planes = 1;
  for (size_t axis = 0; axis < rank; ++axis) {
    if (axis + together >= rank) {
      any = any || !keeps_axis(plan, input.shape(), rule, axis);
    } else {
      planes *= plan.output[axis];
    }
  }
  if (any) {
    kernels::ResizeAxes axes;
    for (size_t i = 0; i < together; ++i) axes[3 - together + i] = axis_taps(rank - together + i);
    // A channel axis that stays is one of planes.
    if (together == 3 && keeps_axis(plan, input.shape(), rule, rank - 3)) {
      planes *= plan.output[rank - 3];
      axes[0] = kernels::ResizeTaps{};
    }
    pass(planes, axes, std::move(result));
  }
  if (values.shares_storage(input)) values = input.clone();
  if (crops) extrapolate(outside, options.extrapolation_value, values);
  return values;
}

}  // namespace convoy::ops
