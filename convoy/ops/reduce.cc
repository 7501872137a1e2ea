#include "convoy/ops/reduce.h"

#include <algorithm>
#include <limits>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/elementwise/gather.h"
#include "convoy/kernels/reduce/softmax.h"
#include "convoy/kernels/reduce/sum.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/dims.h"

namespace convoy::ops {

namespace {

template <class T, class Sum>
Tensor sum_one_group(const Tensor& input, int64_t outer, int64_t n, int64_t inner) {
  Tensor output = Tensor::empty({outer, inner}, dtype_of<Sum>::value);
  const kernels::SumBlocks blocks = kernels::sum_blocks(n, inner);
  Tensor partial = Tensor::empty({blocks.count == 1 ? 0 : outer * blocks.count * inner}, dtype_of<Sum>::value);
  kernels::sum_axis(input.data<T>(), outer, n, inner, output.data<Sum>(), partial.data<Sum>());
  return output;
}

// The sums in double (int64 for int64), one group of neighbouring reduced axes after another from the last.
template <class T, class Sum>
Tensor sum_groups(const Tensor& input, const std::vector<bool>& reduced) {
  const Shape& shape = input.shape();
  Tensor values = input;
  bool summed = false;
  int64_t inner = 1;
  for (size_t axis = shape.size(); axis > 0;) {
    if (!reduced[axis - 1]) {
      inner *= shape[--axis];
      continue;
    }
    int64_t n = 1, outer = 1;
    while (axis > 0 && reduced[axis - 1]) n *= shape[--axis];
    for (size_t before = 0; before < axis; ++before) outer *= shape[before];
    values = summed ? sum_one_group<Sum, Sum>(values, outer, n, inner) : sum_one_group<T, Sum>(values, outer, n, inner);
    summed = true;
  }
  return summed ? values : sum_one_group<T, Sum>(input, 1, 1, input.numel());  // a scalar, or axes that are all kept
}

Tensor sum_or_mean(const Tensor& input, const std::vector<int64_t>& dims, bool keepdim, bool mean) {
  const std::vector<bool> reduced = reduced_axes(input.shape(), dims);
  const Shape shape = reduced_shape(input.shape(), reduced, keepdim);
  if (!is_floating(input.dtype())) return sum_groups<int64_t, int64_t>(input.to(DType::kInt64), reduced).reshape(shape);
  if (!is_float_or_double(input.dtype())) return sum_or_mean(input.to(DType::kFloat32), dims, keepdim, mean).to(input.dtype());
  Tensor sums =
      input.dtype() == DType::kFloat32 ? sum_groups<float, double>(input, reduced) : sum_groups<double, double>(input, reduced);
  if (mean) {
    double count = 1;
    for (size_t axis = 0; axis < input.shape().size(); ++axis) {
      if (reduced[axis]) count *= static_cast<double>(input.shape()[axis]);
    }
    auto* p = sums.data<double>();
    for (int64_t i = 0; i < sums.numel(); ++i) p[i] /= count;
  }
  return sums.to(input.dtype()).reshape(shape);
}

void check_mean(const Tensor& input) {
  if (!is_floating(input.dtype())) {
    raise<Error>(
        "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: {}\n"
        "convert it first: input.to(DType::kFloat32)",
        type_word(input.dtype()));
  }
}

// Softmax, its logarithm and their backward passes share their checks and their axis.
struct SoftmaxCall {
  kernels::SoftmaxAxis axis;

  SoftmaxCall(const Tensor& input, int64_t dim, bool logarithm) {
    const int64_t at = wrap_dim(dim, input.dim());
    check_floating(input, logarithm ? "log_softmax_lastdim_kernel_impl" : "softmax_lastdim_kernel_impl");
    const AxisView view = view_axis(input.shape(), at);
    axis = {view.outer, view.n, view.inner};
  }
};

Tensor softmax_forward(const Tensor& input, int64_t dim, bool logarithm) {
  const SoftmaxCall call(input, dim, logarithm);
  Tensor output = Tensor::empty(input.shape(), input.dtype());
  if (input.dtype() == DType::kFloat32) {
    kernels::softmax(call.axis, logarithm, input.data<float>(), output.data<float>());
  } else {
    kernels::softmax(call.axis, logarithm, input.data<double>(), output.data<double>());
  }
  return output;
}

Tensor softmax_gradient(const Tensor& grad_output, const Tensor& output, int64_t dim, bool logarithm) {
  const SoftmaxCall call(output, dim, logarithm);
  check_gradient(grad_output, output);
  Tensor grad_input = Tensor::empty(output.shape(), output.dtype());
  if (output.dtype() == DType::kFloat32) {
    kernels::softmax_backward(call.axis, logarithm, grad_output.data<float>(), output.data<float>(), grad_input.data<float>());
  } else {
    kernels::softmax_backward(call.axis, logarithm, grad_output.data<double>(), output.data<double>(), grad_input.data<double>());
  }
  return grad_input;
}

}  // namespace

Tensor sum(const Tensor& input) { return sum(input, {}); }
Tensor mean(const Tensor& input) { return mean(input, {}); }

Tensor sum(const Tensor& input, const std::vector<int64_t>& dims, bool keepdim) { return sum_or_mean(input, dims, keepdim, false); }

Tensor mean(const Tensor& input, const std::vector<int64_t>& dims, bool keepdim) {
  check_mean(input);
  return sum_or_mean(input, dims, keepdim, true);
}

Tensor softmax(const Tensor& input, int64_t dim) { return softmax_forward(input, dim, false); }
Tensor log_softmax(const Tensor& input, int64_t dim) { return softmax_forward(input, dim, true); }
Tensor softmax_backward(const Tensor& grad_output, const Tensor& output, int64_t dim) {
  return softmax_gradient(grad_output, output, dim, false);
}
Tensor log_softmax_backward(const Tensor& grad_output, const Tensor& output, int64_t dim) {
  return softmax_gradient(grad_output, output, dim, true);
}

Tensor concat(const std::vector<Tensor>& tensors, int64_t dim) {
  if (tensors.empty()) raise<Error>("torch.cat(): expected a non-empty list of Tensors\ngive at least one tensor");
  // As in PyTorch, an empty tensor of one axis is passed over whatever the others' shapes are.
  const auto skipped = [](const Tensor& t) { return t.shape() == Shape{0}; };
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].dim() == 0) {
      raise<Error>("zero-dimensional tensor (at position {}) cannot be concatenated\nreshape it to {1} first", i);
    }
  }
  const auto first = std::find_if_not(tensors.begin(), tensors.end(), skipped);
  if (first == tensors.end()) return tensors.front();
  const Tensor& model = *first;
  const auto at = static_cast<size_t>(wrap_dim(dim, model.dim()));
  Shape shape = model.shape();
  shape[at] = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    if (skipped(t)) continue;
    if (t.dim() != model.dim()) {
      raise<ShapeMismatch>(
          "Tensors must have same number of dimensions: got {} and {}\n"
          "unsqueeze or reshape one of them",
          model.dim(), t.dim());
    }
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      if (axis != at && t.shape()[axis] != model.shape()[axis]) {
        raise<ShapeMismatch>(
            "Sizes of tensors must match except in dimension {}. Expected size {} but got size {} for tensor number {} in the "
            "list.\n"
            "the shapes are {} and {}",
            at, model.shape()[axis], t.shape()[axis], i, model.shape(), t.shape());
      }
    }
    check_type(t, model.dtype());
    shape[at] += t.shape()[at];
  }
  Tensor output = Tensor::empty(shape, model.dtype());
  const AxisView view = view_axis(shape, static_cast<int64_t>(at));
  const auto element = static_cast<int64_t>(element_size(model.dtype()));
  std::vector<kernels::RowPart> parts;
  for (const Tensor& t : tensors) {
    if (!skipped(t)) parts.push_back({t.raw_data(), t.shape()[at] * view.inner * element});
  }
  kernels::concat_rows(parts, output.raw_data(), view.outer);
  return output;
}

Tensor narrow(const Tensor& input, int64_t dim, int64_t start, int64_t length) {
  if (input.dim() == 0) raise<Error>("narrow() cannot be applied to a 0-dim tensor.\ngive it an axis first: reshape({1})");
  const int64_t at = wrap_dim(dim, input.dim());
  const AxisView view = view_axis(input.shape(), at);
  if (start < -view.n || start > view.n) {
    raise<Error>(
        "Dimension out of range (expected to be in range of [{}, {}], but got {})\n"
        "start counts entries of axis {}, which has {}",
        -view.n, view.n - 1, start, at, view.n);
  }
  if (start < 0) start += view.n;
  if (length < 0 || length > view.n - start) {
    raise<Error>(
        "start ({}) + length ({}) exceeds dimension size ({}).\n"
        "length can be 0 to {} here",
        start, length, view.n, view.n - start);
  }
  Shape shape = input.shape();
  shape[static_cast<size_t>(at)] = length;
  Tensor output = Tensor::empty(shape, input.dtype());
  const int64_t run = view.inner * static_cast<int64_t>(element_size(input.dtype()));
  const auto* from = static_cast<const char*>(input.raw_data()) + start * run;
  const int64_t bytes = length * run;
  kernels::copy_rows(from, view.n * run, output.raw_data(), bytes, bytes, view.outer);
  return output;
}

Tensor flatten(const Tensor& input, int64_t start_dim, int64_t end_dim) {
  const int64_t first = wrap_dim(start_dim, input.dim()), last = wrap_dim(end_dim, input.dim());
  if (first > last) {
    raise<Error>(
        "flatten() has invalid args: start_dim cannot come after end_dim\n"
        "start_dim is axis {}, end_dim is axis {}",
        first, last);
  }
  if (input.dim() == 0) return input.reshape({1});
  Shape shape;
  int64_t joined = 1;
  for (int64_t axis = 0; axis < input.dim(); ++axis) {
    const int64_t n = input.shape()[static_cast<size_t>(axis)];
    if (axis < first || axis > last) {
      shape.push_back(n);
      continue;
    }
    joined *= n;
    if (axis == last) shape.push_back(joined);
  }
  return input.reshape(shape);
}

Tensor permute(const Tensor& input, const std::vector<int64_t>& order) {
  if (static_cast<int64_t>(order.size()) != input.dim()) {
    raise<Error>(
        "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of "
        "dimensions i.e. input.dim() = {} is not equal to len(dims) = {}\n"
        "name each of the axes 0 to {} once",
        input.dim(), order.size(), input.dim() - 1);
  }
  const std::vector<int64_t> steps = dense_strides(input.shape());
  Shape shape;
  std::vector<int64_t> strides;
  std::vector<bool> seen(order.size());
  for (const int64_t dim : order) {
    const auto axis = static_cast<size_t>(wrap_dim(dim, input.dim()));
    if (seen[axis]) raise<Error>("permute(): duplicate dims are not allowed.\naxis {} is named twice", axis);
    seen[axis] = true;
    shape.push_back(input.shape()[axis]);
    strides.push_back(steps[axis]);
  }
  Tensor output = Tensor::empty(shape, input.dtype());
  kernels::gather(shape, strides, element_size(input.dtype()), input.raw_data(), output.raw_data());
  return output;
}

Tensor expand(const Tensor& input, const Shape& shape) {
  check_defined(input, "expand", "input");
  if (shape.size() < input.shape().size()) {
    raise<ShapeMismatch>(
        "expand(torch.{}Tensor{{}}, size={}): the number of sizes provided ({}) must be greater or equal to the number of "
        "dimensions in the tensor ({})\n"
        "give a size for each axis; -1 keeps one",
        type_word(input.dtype()), input.shape(), shape, shape.size(), input.dim());
  }
  const size_t extra = shape.size() - input.shape().size();
  Shape result = shape;
  std::vector<int64_t> strides(shape.size(), 0);
  int64_t step = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (axis < extra) {
      if (shape[axis] < 0) {
        raise<ShapeMismatch>(
            "The expanded size of the tensor ({}) isn't allowed in a leading, non-existing dimension {}\n"
            "give the new axis a size",
            shape[axis], axis);
      }
      continue;
    }
    const int64_t size = input.shape()[axis - extra];
    if (shape[axis] == -1) result[axis] = size;
    if (result[axis] != size && size != 1) {
      raise<ShapeMismatch>(
          "The expanded size of the tensor ({}) must match the existing size ({}) at non-singleton dimension {}.  Target sizes: "
          "{}.  Tensor sizes: {}\n"
          "only axes of size 1 can be expanded; -1 keeps a size",
          shape[axis], size, axis, shape, input.shape());
    }
    if (size != 1) strides[axis] = step;
    step *= size;
  }
  Tensor output = Tensor::empty(result, input.dtype());
  kernels::gather(result, strides, element_size(input.dtype()), input.raw_data(), output.raw_data());
  return output;
}

}  // namespace convoy::ops
