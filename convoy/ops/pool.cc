// Max and average pooling: PyTorch 1.13's checks in its order and words, then the kernels.
#include "convoy/ops/pool.h"

#include <algorithm>
#include <concepts>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/pool/pool.h"
#include "convoy/ops/pool_checks.h"
#include "convoy/shape/pool.h"

namespace convoy::ops {

namespace {

using shape::Axis;
using shape::PoolShape;

// The two families word their refusals differently, and each rank again.
struct Words {
  std::string name;  // "max_pool2d"
  bool max = true;
  int rank = 2;

  // What is said when a list has the wrong length.
  std::string list_refusal(const char* what) const {
    const std::string tuple = rank == 2 ? "a tuple of two ints" : "a tuple of three ints";
    const std::string argument = what;
    std::string how;
    if (argument == "stride") {
      how = !max && rank == 3 ? "must be omitted, a single int, or " : "must either be omitted, a single int, or ";
    } else if (!max && rank == 3) {
      how = "must be a single int, or ";
    } else if (argument == "kernel_size" || !max) {
      how = "must either be a single int, or ";
    } else if (argument == "padding") {
      how = "must be either be a single int, or ";
    } else {
      how = "must be either a single int, or ";
    }
    return formatted("{}: {} {}{}", name, argument, how, tuple);
  }
};

// "kH: 3 kW: 0": one value per axis as PyTorch prints them; rank 1 is a rank 2 of height 1 there.
std::string per_axis(const std::array<Axis, 3>& axes, int rank, const char* prefix, int64_t Axis::*value) {
  constexpr const char* kAxes[] = {"T", "H", "W"};
  std::string line;
  for (size_t a = rank == 3 ? 0 : 1; a < 3; ++a)
    line += (line.empty() ? "" : " ") + (prefix + (kAxes[a] + (formatted(": {}", axes[a].*value))));
  return line;
}

std::vector<int64_t> expand(const Words& words, const char* what, const IntList& list) {
  std::vector<int64_t> values = list.expand(words.rank);
  if (static_cast<int>(values.size()) == words.rank) return values;
  const std::string fix = formatted("{} has {} values, give one number or {}", what, list.values().size(), words.rank);
  if (words.rank == 1) {
    raise<Error>("{}() argument '{}' should contain one int (got {})\n{}", words.name, what, list.values().size(), fix);
  }
  raise<Error>("{}\n{}", words.list_refusal(what), fix);
}

void check_ranks(const Words& words, const Shape& input) {
  const auto dim = static_cast<int>(input.size());
  if (dim == words.rank + 1 || dim == words.rank + 2) return;
  const std::string fix = formatted("{} expects an input (N, C, *) or (C, *) with {}{} behind the channels, got {}", words.name,
                                    words.rank, words.rank == 1 ? " axis" : " axes", input);
  if (words.rank == 1) {
    raise<Error>(
        "Expected 2 to 3 dimensions, but got {}-dimensional tensor for argument #1 'self' (while checking arguments for {})\n"
        "{}",
        dim, words.name, fix);
  }
  if (words.max || words.rank == 3) {
    raise<Error>("non-empty {}D or {}D (batch mode) tensor expected for input\n{}", words.rank + 1, words.rank + 2, fix);
  }
  if (dim == 0) raise<Error>("Dimension specified as -3 but tensor has no dimensions\n{}", fix);
  if (dim < 3) raise<Error>("Dimension out of range (expected to be in range of [{}, {}], but got -3)\n{}", -dim, dim - 1, fix);
  // avg_pool2d finds too many axes only among its last checks.
}

// Stride not zero, padding neither negative nor above half the kernel; axis by axis, outermost first.
void check_axis(const Axis& axis) {
  if (axis.stride == 0) raise<Error>("stride should not be zero\nuse a stride of at least 1; left out, it is the kernel_size");
  if (axis.pad_begin < 0)
    raise<Error>("pad must be non-negative, but got pad: {}\nuse padding 0 or more; crop with a slice", axis.pad_begin);
  if (axis.pad_begin > axis.kernel_size / 2) {
    const int64_t most = std::max<int64_t>(axis.kernel_size / 2, 0);
    raise<Error>(
        "pad should be at most half of kernel size, but got pad={} and kernel_size={}\n"
        "kernel_size {} takes padding {}{}",
        axis.pad_begin, axis.kernel_size, axis.kernel_size, most == 0 ? "0" : formatted("0 to {}", most),
        axis.pad_begin <= INT64_MAX / 2
            ? formatted(", padding {} needs a kernel_size of at least {}", axis.pad_begin, 2 * axis.pad_begin)
            : "");
  }
}

void check_not_empty(const Words& words, const Shape& input) {
  const auto dim = static_cast<int>(input.size());
  const bool batched = dim == words.rank + 2;
  const std::string fix = "only the batch may be empty";
  if (words.rank == 3) {
    for (size_t a = batched ? 1 : 0; a < input.size(); ++a) {
      if (input[a] > 0) continue;
      raise<Error>(
          "{}: Expected input's non-batch dimensions to have positive length, but input has a shape of {} and non-batch dimension "
          "{} has length zero!\n"
          "{}",
          words.max ? "max_pool3d_with_indices_out_cpu_template()" : "avg_pool3d()", input, input[a], fix);
    }
    return;
  }
  bool valid = dim == words.rank + 1 || batched;
  for (size_t a = batched ? 1 : 0; a < input.size(); ++a) valid = valid && input[a] != 0;
  if (valid) return;
  raise<Error>(
      "Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but got:{}\n"
      "{}",
      pool_checks::with_height(input, words.rank),
      dim == words.rank + 1 || batched ? fix : formatted("avg_pool2d expects (N, C, H, W) or (C, H, W), got {} axes", dim));
}

// Everything that max_pool and avg_pool check after their argument lists; returns the completed shape.
PoolShape check_windows(const Words& words, const Shape& input, PoolShape s) {
  const auto first = static_cast<size_t>(s.first_axis());
  for (size_t a = first; a < 3; ++a) check_axis(s.axes[a]);
  const auto any_below_one = [&](int64_t Axis::*value) {
    return std::any_of(s.axes.begin(), s.axes.end(), [&](const Axis& axis) { return axis.*value < 1; });
  };
  if (any_below_one(&Axis::kernel_size)) {
    raise<Error>(
        "kernel size should be greater than zero, but got {}\n"
        "use a kernel_size of at least 1",
        per_axis(s.axes, s.rank, "k", &Axis::kernel_size));
  }
  if (any_below_one(&Axis::stride)) {
    raise<Error>(
        "stride should be greater than zero, but got {}\n"
        "use a stride of at least 1",
        per_axis(s.axes, s.rank, "d", &Axis::stride));
  }
  if (any_below_one(&Axis::dilation)) {
    raise<Error>(
        "dilation should be greater than zero, but got {}\n"
        "use a dilation of at least 1; 1 leaves no holes",
        per_axis(s.axes, s.rank, "dilation", &Axis::dilation));
  }
  check_not_empty(words, input);
  if (!words.max && s.rank == 3) {
    bool smaller = false;
    for (size_t a = 0; a < 3; ++a) smaller = smaller || s.input[a] < s.axes[a].kernel_size;
    if (smaller) {
      raise<ShapeMismatch>(
          "input image (T: {} H: {} W: {}) smaller than kernel size ({})\n"
          "avg_pool3d wants a kernel_size of at most the input, without its padding: ({}, {}, {}) works",
          s.input[0], s.input[1], s.input[2], per_axis(s.axes, 3, "k", &Axis::kernel_size),
          std::min(s.input[0], s.axes[0].kernel_size), std::min(s.input[1], s.axes[1].kernel_size),
          std::min(s.input[2], s.axes[2].kernel_size));
    }
  }
  const shape::Result<PoolShape> completed = shape::complete(s);
  if (!completed) raise<Error>("integer out of range\nthe sizes of this pooling do not fit 64 bits");
  s = *completed;
  for (size_t a = first; a < 3; ++a) {
    if (s.output[a] >= 1) continue;
    const Axis& axis = s.axes[a];
    const int64_t window = *shape::effective_kernel_size(axis.kernel_size, axis.dilation);
    raise<ShapeMismatch>(
        "Given input size: {}. Calculated output size: {}. Output size is too small\n"
        "along the {} a window of {}{} does not fit into {} + 2 x {}: use a smaller kernel_size or a larger input",
        pool_checks::sizes(s.channels, s.input, s.rank), pool_checks::sizes(s.channels, s.output, s.rank),
        pool_checks::axis_name(a), window,
        axis.dilation > 1 ? formatted(" (kernel_size {}, dilation {})", axis.kernel_size, axis.dilation) : "", s.input[a],
        axis.pad_begin);
  }
  return s;
}

PoolShape pool_shape(const Words& words, const Shape& input, const std::vector<int64_t>& kernel_size,
                     const std::vector<int64_t>& stride, const std::vector<int64_t>& padding,
                     const std::vector<int64_t>& dilation) {
  PoolShape s;
  s.rank = words.rank;
  const auto dim = static_cast<int>(input.size());
  const auto rank = static_cast<size_t>(words.rank);
  s.batch = dim > words.rank + 1 ? input[0] : 1;
  s.channels = input[input.size() - rank - 1];
  for (size_t i = 0; i < rank; ++i) {
    const size_t a = 3 - rank + i;
    s.input[a] = input[input.size() - rank + i];
    s.axes[a] = {.kernel_size = kernel_size[i],
                 .stride = stride[i],
                 .dilation = dilation[i],
                 .pad_begin = padding[i],
                 .pad_end = padding[i]};
  }
  return s;
}

PoolShape check_max_pool(int rank, const Shape& input, DType dtype, const MaxPoolOptions& options) {
  const Words words{formatted("max_pool{}d", rank), true, rank};
  if (rank == 1) check_ranks(words, input);
  const auto kernel_size = expand(words, "kernel_size", options.kernel_size);
  const auto stride = options.stride.empty() ? kernel_size : expand(words, "stride", options.stride);
  const auto padding = expand(words, "padding", options.padding);
  const auto dilation = expand(words, "dilation", options.dilation);
  check_ranks(words, input);
  PoolShape s = pool_shape(words, input, kernel_size, stride, padding, dilation);
  s.ceil_mode = options.ceil_mode;
  s = check_windows(words, input, s);
  pool_checks::check_floating(dtype, rank == 3 ? "max_pool3d_with_indices_cpu" : "max_pool2d");
  return s;
}

PoolShape check_avg_pool(int rank, const Shape& input, DType dtype, const AvgPoolOptions& options) {
  const Words words{formatted("avg_pool{}d", rank), false, rank};
  if (rank == 1) check_ranks(words, input);
  const auto kernel_size = expand(words, "kernel_size", options.kernel_size);
  const auto stride = options.stride.empty() ? kernel_size : expand(words, "stride", options.stride);
  const auto padding = expand(words, "padding", options.padding);
  if (rank == 1 && options.divisor_override) {
    raise<Error>(
        "avg_pool1d() got an unexpected keyword argument 'divisor_override'\n"
        "avg_pool2d and avg_pool3d take it; add an axis of size 1");
  }
  if (rank == 3) check_ranks(words, input);
  if (options.divisor_override == 0)
    raise<Error>("divisor must be not zero\nleave divisor_override out to divide by the window's size");
  check_ranks(words, input);
  PoolShape s = pool_shape(words, input, kernel_size, stride, padding, std::vector<int64_t>(kernel_size.size(), 1));
  s.ceil_mode = options.ceil_mode;
  s = check_windows(words, input, s);
  pool_checks::check_floating(dtype, rank == 3 ? "avg_pool3d" : "avg_pool2d");
  return s;
}

}  // namespace

MaxPoolResult max_pool(int rank, const Tensor& input, const MaxPoolOptions& options, bool return_indices) {
  pool_checks::check_rank(rank);
  const PoolShape s = check_max_pool(rank, input.shape(), input.dtype(), options);
  const Shape output = pool_checks::output_shape(input.shape(), rank, s.output);
  if (!return_indices && input.dtype() == DType::kFloat32 && kernels::max_pool_values_fits(s)) {
    MaxPoolResult values{Tensor::empty(output, DType::kFloat32), {}};
    kernels::max_pool_values(s, input.data<float>(), values.output.data<float>());
    return values;
  }
  MaxPoolResult result{Tensor::empty(output, input.dtype()), Tensor::empty(output, DType::kInt64)};
  with_floating(input.dtype(), [&](auto type) {
    using T = decltype(type);
    kernels::max_pool<T>(s, input.data<T>(), result.output.data<T>(), result.indices.data<int64_t>());
  });
  if (!return_indices) result.indices = Tensor();
  return result;
}

Tensor max_pool_backward(int rank, const Tensor& grad_output, const Tensor& indices, const Shape& input_shape) {
  pool_checks::check_rank(rank);
  if (grad_output.shape() != indices.shape()) {
    raise<ShapeMismatch>(
        "grad_output has shape {}, indices has shape {}\n"
        "both are the shape of the pooled output",
        grad_output.shape(), indices.shape());
  }
  const kernels::IndexedPlanes planes = pool_checks::indexed_planes(rank, indices, "grad_output", input_shape, "the input");
  pool_checks::check_floating(grad_output.dtype(), formatted("max_pool{}d_backward", std::max(rank, 2)));
  Tensor grad_input = Tensor::empty(input_shape, grad_output.dtype());
  bool valid = true;
  with_floating(grad_output.dtype(), [&](auto type) {
    using T = decltype(type);
    valid = kernels::scatter_add<T>(planes, grad_output.data<T>(), indices.data<int64_t>(), grad_input.data<T>());
  });
  if (!valid) {
    pool_checks::check_indices(planes, indices, [&](int64_t index) {
      raise<Error>(
          "Found an invalid max index: {} (input volumes are of size {})\n"
          "an index is a position in the unpadded plane: 0 to {}",
          index, planes.positions, planes.positions - 1);
    });
  }
  return grad_input;
}

Tensor avg_pool(int rank, const Tensor& input, const AvgPoolOptions& options) {
  pool_checks::check_rank(rank);
  const PoolShape s = check_avg_pool(rank, input.shape(), input.dtype(), options);
  const kernels::AvgDivisor divisor{options.count_include_pad, options.divisor_override.value_or(0)};
  Tensor output = Tensor::empty(pool_checks::output_shape(input.shape(), rank, s.output), input.dtype());
  with_floating(input.dtype(), [&](auto type) {
    using T = decltype(type);
    kernels::avg_pool<T>(s, divisor, input.data<T>(), output.data<T>());
  });
  return output;
}

Tensor avg_pool_backward(int rank, const Tensor& grad_output, const Shape& input_shape, const AvgPoolOptions& options) {
  pool_checks::check_rank(rank);
  const PoolShape s = check_avg_pool(rank, input_shape, grad_output.dtype(), options);
  pool_checks::check_grad_shape(grad_output.shape(), pool_checks::output_shape(input_shape, rank, s.output));
  const kernels::AvgDivisor divisor{options.count_include_pad, options.divisor_override.value_or(0)};
  Tensor grad_input = Tensor::empty(input_shape, grad_output.dtype());
  with_floating(grad_output.dtype(), [&](auto type) {
    using T = decltype(type);
    kernels::avg_pool_backward<T>(s, divisor, grad_output.data<T>(), grad_input.data<T>());
  });
  return grad_input;
}

}  // namespace convoy::ops
