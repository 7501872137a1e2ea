// Resizing: PyTorch 1.13's checks in its order and words, then one sparse matrix per axis.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/resize/resize.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/rearrange.h"
#include "convoy/shape/pool.h"

namespace convoy {

const char* interpolate_mode_name(InterpolateMode mode) {
  switch (mode) {
    case InterpolateMode::kNearest:
      return "nearest";
    case InterpolateMode::kBilinear:
      return "bilinear";
    case InterpolateMode::kBicubic:
      return "bicubic";
  }
  return "?";
}

InterpolateMode parse_interpolate_mode(std::string_view name) {
  for (const InterpolateMode mode : {InterpolateMode::kNearest, InterpolateMode::kBilinear, InterpolateMode::kBicubic}) {
    if (name == interpolate_mode_name(mode)) return mode;
  }
  raise<ValueError>("mode '{}' is not supported\nknown are nearest, bilinear and bicubic", name);
}

namespace ops {

namespace {

// "[0.5, 3.0]": the shortest digits that read back as the same number, as Python prints them.
std::string numbers(const std::vector<double>& values) {
  std::string line;
  for (const double v : values) {
    char digits[32];
    int precision = 1;
    do {
      std::snprintf(digits, sizeof digits, "%.*g", precision, v);
    } while (std::strtod(digits, nullptr) != v && ++precision <= 17);
    std::string number = digits;
    if (number.find_first_not_of("-0123456789") == std::string::npos) number += ".0";
    line += (line.empty() ? "" : ", ") + number;
  }
  return formatted("[{}]", line);
}

// "H: 5, W: 6"; PyTorch's 1d form says "W: 5".
std::string named_sizes(const Shape& sizes) {
  constexpr const char* kNames[] = {"D", "H", "W"};
  std::string line;
  for (size_t i = 0; i < sizes.size(); ++i)
    line += (line.empty() ? "" : ", ") + (kNames[3 - sizes.size() + i] + (formatted(": {}", sizes[i])));
  return line;
}

// The input's sizes and the sizes it is resized to; spatial only.
struct Sizes {
  Shape input, output;
};

// floor(n * scale), as PyTorch truncates it.
int64_t scaled_size(int64_t n, double scale) {
  const double size = static_cast<double>(n) * scale;
  if (!(std::abs(size) < 9e18)) {
    raise<Error>(
        "Storage size calculation overflowed with sizes=[{}]\n"
        "a scale_factor of {} does not give a size",
        n, numbers({scale}));
  }
  return static_cast<int64_t>(size);
}

Sizes check(const Shape& input, DType dtype, const InterpolateOptions& options) {
  if (options.mode == InterpolateMode::kNearest && options.align_corners) {
    raise<ValueError>(
        "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear\n"
        "mode nearest has no corners to align: leave align_corners out");
  }
  const size_t dim = input.size();
  Sizes sizes;
  if (dim > 2) sizes.input.assign(input.begin() + 2, input.end());
  const size_t rank = sizes.input.size();
  const bool has_channels = dim >= 2;
  const std::string fix = formatted("an input (N, C, *) of shape {} has {} spatial axes", input, rank);
  if (!options.size.empty() && !options.scale_factor.empty()) {
    raise<ValueError>("only one of size or scale_factor should be defined\ngive size, or scale_factor");
  }
  if (options.size.empty() && options.scale_factor.empty()) {
    raise<ValueError>("either size or scale_factor should be defined\n{}", fix);
  }
  if (!options.scale_factor.empty()) {
    if (options.scale_factor.size() != rank && options.scale_factor.size() != 1) {
      raise<ValueError>(
          "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial dimensions of {} and "
          "scale_factor of shape {}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, "
          "...,sK) format.\n"
          "{}",
          sizes.input, numbers(options.scale_factor), fix);
    }
  } else if (options.size.size() != rank || !has_channels) {
    raise<ValueError>(
        "Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of {} and output "
        "size of {}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and output size in (o1, o2, ...,oK) format.\n"
        "{}, size has {}",
        sizes.input, options.size, fix, options.size.size());
  }
  const std::string name = interpolate_mode_name(options.mode);
  if (options.mode == InterpolateMode::kBilinear && (dim == 3 || dim == 5)) {
    raise<Error>("Got {}D input, but bilinear mode needs 4D input\n{}; mode nearest takes 1 to 3", dim, fix);
  }
  if (dim < 3 || dim > 5 || (options.mode == InterpolateMode::kBicubic && dim != 4)) {
    raise<Error>(
        "Input Error: Only 3D, 4D and 5D input Tensors supported (got {}D) for the modes: nearest | linear | bilinear | bicubic | "
        "trilinear | area | nearest-exact (got {})\n"
        "{}{}",
        dim, name, fix, options.mode == InterpolateMode::kNearest ? ": mode nearest takes 1 to 3" : ": this mode takes 2");
  }
  sizes.output = options.size;
  for (size_t i = 0; i < rank && !options.scale_factor.empty(); ++i) {
    sizes.output.push_back(scaled_size(sizes.input[i], options.scale_factor[options.scale_factor.size() == 1 ? 0 : i]));
  }
  const auto any_below_one = [](const Shape& s) { return std::any_of(s.begin(), s.end(), [](int64_t n) { return n < 1; }); };
  if (any_below_one(sizes.input) || any_below_one(sizes.output)) {
    raise<Error>(
        "Input and output sizes should be greater than 0, but got input ({}){} output ({})\n"
        "use sizes of at least 1",
        named_sizes(sizes.input), rank == 1 ? " and" : "", named_sizes(sizes.output));
  }
  if (input[1] == 0) {
    raise<Error>("Non-empty {}D data tensor expected but got a tensor with sizes {}\nonly the batch may be empty", dim, input);
  }
  shape::Spatial spatial{1, 1, 1};
  std::copy(sizes.output.begin(), sizes.output.end(), spatial.end() - static_cast<std::ptrdiff_t>(rank));
  if (!shape::counts_fit(std::max<int64_t>(input[0], 1), input[1], spatial)) {
    Shape output{input[0], input[1]};
    output.insert(output.end(), sizes.output.begin(), sizes.output.end());
    raise<Error>("Storage size calculation overflowed with sizes={}\nthis output cannot be counted in 64 bits", output);
  }
  if (!is_float_or_double(dtype)) {
    const char* kernel = options.mode == InterpolateMode::kNearest    ? "nearest"
                         : options.mode == InterpolateMode::kBilinear ? "linear"
                                                                      : "cubic";
    refuse_type(dtype, std::string("compute_indices_weights_") + kernel);
  }
  return sizes;
}

kernels::ResizeAxes make_taps(const Sizes& sizes, DType dtype, const InterpolateOptions& options) {
  kernels::ResizeAxes axes;
  const size_t rank = sizes.input.size();
  for (size_t i = 0; i < rank; ++i) {
    kernels::ResizeAxis axis{sizes.input[i], sizes.output[i], {}, options.align_corners};
    if (!options.scale_factor.empty()) axis.scale_factor = options.scale_factor[options.scale_factor.size() == 1 ? 0 : i];
    switch (options.mode) {
      case InterpolateMode::kNearest:
        axes[3 - rank + i] = kernels::nearest_taps(axis, dtype == DType::kFloat32);
        break;
      case InterpolateMode::kBilinear:
        axes[3 - rank + i] = kernels::linear_taps(axis);
        break;
      case InterpolateMode::kBicubic:
        axes[3 - rank + i] = kernels::cubic_taps(axis);
        break;
    }
  }
  return axes;
}

void run(const Tensor& input, const kernels::ResizeAxes& axes, Tensor& output) {
  const int64_t planes = input.size(0) * input.size(1);
  if (input.dtype() == DType::kFloat32) {
    kernels::resize(planes, axes, input.data<float>(), output.data<float>());
  } else {
    kernels::resize(planes, axes, input.data<double>(), output.data<double>());
  }
}

Shape output_shape(const Shape& input, const Sizes& sizes) {
  Shape shape = sizes.output;
  shape.insert(shape.begin(), input.begin(), input.begin() + 2);
  return shape;
}

}  // namespace

Tensor interpolate(const Tensor& input, const InterpolateOptions& options) {
  const Sizes sizes = check(input.shape(), input.dtype(), options);
  const Shape shape = output_shape(input.shape(), sizes);
  Tensor output = Tensor::empty(shape, input.dtype());  // before the taps: it refuses sizes that no memory holds
  if (output.numel() > 0) run(input, make_taps(sizes, input.dtype(), options), output);
  return output;
}

Tensor interpolate_backward(const Tensor& grad_output, const Shape& input_shape, const InterpolateOptions& options) {
  const Sizes sizes = check(input_shape, grad_output.dtype(), options);
  const Shape shape = output_shape(input_shape, sizes);
  if (grad_output.shape() != shape) {
    raise<ShapeMismatch>(
        "grad_output has shape {}, the output has shape {}\n"
        "give a gradient of shape {}",
        grad_output.shape(), shape, shape);
  }
  Tensor grad_input = Tensor::empty(input_shape, grad_output.dtype());
  if (grad_input.numel() == 0) return grad_input;
  kernels::ResizeAxes axes = make_taps(sizes, grad_output.dtype(), options);
  for (kernels::ResizeTaps& taps : axes) taps = kernels::transpose(taps);
  run(grad_output, axes, grad_input);
  return grad_input;
}

}  // namespace ops
}  // namespace convoy
