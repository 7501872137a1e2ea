// Resizing: PyTorch 1.13's checks in its order and words, then one sparse matrix per axis.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "convoy/core/error.h"
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
  throw ValueError("mode '" + std::string(name) + "' is not supported", "known are nearest, bilinear and bicubic");
}

namespace ops {

namespace {

std::string text(std::integral auto value) { return std::to_string(value); }

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
  return "[" + line + "]";
}

// "H: 5, W: 6"; PyTorch's 1d form says "W: 5".
std::string named_sizes(const Shape& sizes) {
  constexpr const char* kNames[] = {"D", "H", "W"};
  std::string line;
  for (size_t i = 0; i < sizes.size(); ++i)
    line += (line.empty() ? "" : ", ") + (kNames[3 - sizes.size() + i] + (": " + text(sizes[i])));
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
    throw Error("Storage size calculation overflowed with sizes=[" + text(n) + "]",
                "a scale_factor of " + numbers({scale}) + " does not give a size");
  }
  return static_cast<int64_t>(size);
}

Sizes check(const Shape& input, DType dtype, const InterpolateOptions& options) {
  if (options.mode == InterpolateMode::kNearest && options.align_corners) {
    throw ValueError("align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear",
                     "mode nearest has no corners to align: leave align_corners out");
  }
  const size_t dim = input.size();
  Sizes sizes;
  if (dim > 2) sizes.input.assign(input.begin() + 2, input.end());
  const size_t rank = sizes.input.size();
  const bool has_channels = dim >= 2;
  const std::string fix = "an input (N, C, *) of shape " + to_string(input) + " has " + text(rank) + " spatial axes";
  if (!options.size.empty() && !options.scale_factor.empty()) {
    throw ValueError("only one of size or scale_factor should be defined", "give size, or scale_factor");
  }
  if (options.size.empty() && options.scale_factor.empty()) {
    throw ValueError("either size or scale_factor should be defined", fix);
  }
  if (!options.scale_factor.empty()) {
    if (options.scale_factor.size() != rank && options.scale_factor.size() != 1) {
      throw ValueError(
          "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial dimensions of " +
              to_string(sizes.input) + " and scale_factor of shape " + numbers(options.scale_factor) +
              ". Please provide input tensor in (N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format.",
          fix);
    }
  } else if (options.size.size() != rank || !has_channels) {
    throw ValueError(
        "Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of " +
            to_string(sizes.input) + " and output size of " + to_string(options.size) +
            ". Please provide input tensor in (N, C, d1, d2, ...,dK) format and output size in (o1, o2, ...,oK) format.",
        fix + ", size has " + text(options.size.size()));
  }
  const std::string name = interpolate_mode_name(options.mode);
  if (options.mode == InterpolateMode::kBilinear && (dim == 3 || dim == 5)) {
    throw Error("Got " + text(dim) + "D input, but bilinear mode needs 4D input", fix + "; mode nearest takes 1 to 3");
  }
  if (dim < 3 || dim > 5 || (options.mode == InterpolateMode::kBicubic && dim != 4)) {
    throw Error("Input Error: Only 3D, 4D and 5D input Tensors supported (got " + text(dim) +
                    "D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact (got " + name + ")",
                fix + (options.mode == InterpolateMode::kNearest ? ": mode nearest takes 1 to 3" : ": this mode takes 2"));
  }
  sizes.output = options.size;
  for (size_t i = 0; i < rank && !options.scale_factor.empty(); ++i) {
    sizes.output.push_back(scaled_size(sizes.input[i], options.scale_factor[options.scale_factor.size() == 1 ? 0 : i]));
  }
  const auto any_below_one = [](const Shape& s) { return std::any_of(s.begin(), s.end(), [](int64_t n) { return n < 1; }); };
  if (any_below_one(sizes.input) || any_below_one(sizes.output)) {
    throw Error("Input and output sizes should be greater than 0, but got input (" + named_sizes(sizes.input) + ")" +
                    (rank == 1 ? " and" : "") + " output (" + named_sizes(sizes.output) + ")",
                "use sizes of at least 1");
  }
  if (input[1] == 0) {
    throw Error("Non-empty " + text(dim) + "D data tensor expected but got a tensor with sizes " + to_string(input),
                "only the batch may be empty");
  }
  shape::Spatial spatial{1, 1, 1};
  std::copy(sizes.output.begin(), sizes.output.end(), spatial.end() - static_cast<std::ptrdiff_t>(rank));
  if (!shape::counts_fit(std::max<int64_t>(input[0], 1), input[1], spatial)) {
    Shape output{input[0], input[1]};
    output.insert(output.end(), sizes.output.begin(), sizes.output.end());
    throw Error("Storage size calculation overflowed with sizes=" + to_string(output), "this output cannot be counted in 64 bits");
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
    throw ShapeMismatch("grad_output has shape " + to_string(grad_output.shape()) + ", the output has shape " + to_string(shape),
                        "give a gradient of shape " + to_string(shape));
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
