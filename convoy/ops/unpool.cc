// Max unpooling and Lp pooling: PyTorch 1.13's checks in its order and words, then the kernels.
#include <algorithm>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/pool/lp_pool.h"
#include "convoy/kernels/pool/pool.h"
#include "convoy/ops/pool.h"
#include "convoy/ops/pool_checks.h"
#include "convoy/shape/checked.h"

namespace convoy::ops {

namespace {

using shape::Checked;

int64_t exact(Checked size) {
  if (!size.ok()) raise<Error>("numel: integer multiplication overflow\nthe unpooled size does not fit 64 bits");
  return size.value();
}

// PyTorch prints a Python tuple: "(7,)", "(7, 8)".
std::string tuple(const std::vector<int64_t>& values) {
  std::string line;
  for (const int64_t v : values) line += (line.empty() ? "" : ", ") + std::to_string(v);
  return formatted("({}{}", line, values.size() == 1 ? ",)" : ")");
}

std::vector<int64_t> expand(int rank, const char* what, const IntList& list) {
  std::vector<int64_t> values = list.expand(rank);
  if (static_cast<int>(values.size()) == rank) return values;
  raise<Error>("{} must be one number or {}\ngot {} numbers", what, rank, list.values().size());
}

// The spatial sizes: (n - 1) s - 2p + k, or those given, which must lie strictly within one stride of that.
std::vector<int64_t> unpooled_sizes(int rank, const Shape& input, const MaxPoolOptions& options, std::vector<int64_t> output_size) {
  const auto kernel_size = expand(rank, "kernel_size", options.kernel_size);
  const auto stride = options.stride.empty() ? kernel_size : expand(rank, "stride", options.stride);
  const auto padding = expand(rank, "padding", options.padding);
  const auto spatial = static_cast<size_t>(rank);
  if (input.size() < spatial) return kernel_size;  // refused next, for its rank
  std::vector<int64_t> sizes;
  for (size_t i = 0; i < spatial; ++i) {
    const int64_t n = input[input.size() - spatial + i];
    sizes.push_back(exact((Checked(n) - 1) * stride[i] + kernel_size[i] - Checked(2) * padding[i]));
  }
  if (output_size.empty()) return sizes;
  if (output_size.size() == spatial + 2) output_size.erase(output_size.begin(), output_size.begin() + 2);
  if (output_size.size() != spatial) {
    raise<ValueError>(
        "output_size should be a sequence containing {} or {} elements, but it has a length of '{}'\n"
        "give the spatial sizes only, or leave output_size out for {}",
        rank, rank + 2, output_size.size(), tuple(sizes));
  }
  for (size_t i = 0; i < spatial; ++i) {
    const int64_t low = exact(Checked(sizes[i]) - stride[i]), high = exact(Checked(sizes[i]) + stride[i]);
    if (low < output_size[i] && output_size[i] < high) continue;
    raise<ValueError>(
        "invalid output_size \"{}\" (dim {} must be between {} and {})\n"
        "{}",
        tuple(output_size), i, low, high,
        high - low < 2 ? formatted("a stride of {} leaves no size", stride[i])
                       : formatted("strictly between: {} to {}", low + 1, high - 1));
  }
  return output_size;
}

void check_unpool(int rank, const Tensor& input, const Tensor& indices) {
  // The 1d form is PyTorch's 2d one with a trailing axis of size 1, and says so.
  const int seen_rank = std::max(rank, 2);
  const auto seen = [&](Shape shape) {
    if (rank == 1) shape.push_back(1);
    return shape;
  };
  const std::string name = formatted("max_unpooling{}d", seen_rank);
  if (indices.dtype() != DType::kInt64) {
    raise<Error>(
        "elements in indices should be type int64{}\n"
        "pass the indices that max pooling returned",
        rank < 3 ? std::string(" but got: ") + type_word(indices.dtype()) : "");
  }
  const auto dim = static_cast<int>(input.dim());
  if (dim != rank + 1 && dim != rank + 2) {
    raise<Error>(
        "Input to {} should be a {}d or {}d Tensor, but got a tensor with {} dimensions.\n"
        "max_unpool{}d expects (N, C, *) or (C, *) with {}{} behind C, got {}",
        name, seen_rank + 1, seen_rank + 2, seen(input.shape()).size(), rank, rank, rank == 1 ? " axis" : " axes", input.shape());
  }
  if (input.shape() != indices.shape()) {
    raise<ShapeMismatch>(
        "Expected shape of indices to be same as that of the input tensor ({}) but got indices tensor with shape: {}\n"
        "every value needs the place it goes to",
        seen(input.shape()), seen(indices.shape()));
  }
  const Shape shape = seen(input.shape());
  for (size_t a = 1; a < shape.size(); ++a) {
    if (shape[a] > 0) continue;
    raise<Error>(
        "{}_forward_out_cpu(): Expected input to have non-zero size for non-batch dimensions, but got {} with dimension {} being "
        "empty.\n"
        "only the batch may be empty",
        name, shape, a);
  }
}

}  // namespace

Tensor max_unpool(int rank, const Tensor& input, const Tensor& indices, const MaxPoolOptions& options,
                  const std::vector<int64_t>& output_size) {
  pool_checks::check_rank(rank);
  const std::vector<int64_t> sizes = unpooled_sizes(rank, input.shape(), options, output_size);
  check_unpool(rank, input, indices);
  if (rank == 3 && !options.stride.empty()) {
    const auto stride = options.stride.expand(rank);
    if (std::any_of(stride.begin(), stride.end(), [](int64_t s) { return s <= 0; })) {
      raise<Error>("strides should be greater than zero, but got stride: {}\nuse the stride of the pooling", stride);
    }
  }
  Shape shape = input.shape();
  std::copy(sizes.begin(), sizes.end(), shape.end() - rank);
  if (std::any_of(sizes.begin(), sizes.end(), [](int64_t n) { return n < 0; })) {
    raise<Error>(
        "numel: integer multiplication overflow\n"
        "(n - 1) * stride - 2 * padding + kernel_size gives {}: the padding is too large for this input",
        shape);
  }
  const kernels::IndexedPlanes planes = pool_checks::indexed_planes(rank, indices, "input", shape, "the output");
  pool_checks::check_floating(input.dtype(), formatted("max_unpool{}d", std::max(rank, 2)));
  if (planes.positions == 0) return Tensor::empty(shape, input.dtype());  // whatever the indices, as in PyTorch
  pool_checks::check_indices(planes, indices, [&](int64_t index) {
    std::string volume;
    for (const int64_t n : sizes) volume += (volume.empty() ? "" : "x") + std::to_string(n);
    raise<Error>(
        "Found an invalid max index: {} (output volumes are of size {}{}\n"
        "indices go from 0 to {} in this output: give the size of the pooled input as output_size",
        index, volume, rank == 1 ? "x1" : "", planes.positions - 1);
  });
  Tensor output = Tensor::empty(shape, input.dtype());
  with_floating(input.dtype(), [&](auto type) {
    using T = decltype(type);
    kernels::scatter<T>(planes, input.data<T>(), indices.data<int64_t>(), output.data<T>());
  });
  return output;
}

Tensor max_unpool_backward(int rank, const Tensor& grad_output, const Tensor& indices) {
  pool_checks::check_rank(rank);
  const kernels::IndexedPlanes planes = pool_checks::indexed_planes(rank, indices, "indices", grad_output.shape(), "grad_output");
  pool_checks::check_floating(grad_output.dtype(), formatted("max_unpool{}d_backward", std::max(rank, 2)));
  if (planes.positions == 0) return Tensor::zeros(indices.shape(), grad_output.dtype());
  pool_checks::check_indices(planes, indices, [&](int64_t index) {
    raise<Error>(
        "Found an invalid max index: {} (output volumes are of size {})\n"
        "indices go from 0 to {} in this output",
        index, planes.positions, planes.positions - 1);
  });
  Tensor grad_input = Tensor::empty(indices.shape(), grad_output.dtype());
  with_floating(grad_output.dtype(), [&](auto type) {
    using T = decltype(type);
    kernels::gather<T>(planes, grad_output.data<T>(), indices.data<int64_t>(), grad_input.data<T>());
  });
  return grad_input;
}

namespace {

// Lp pooling is average pooling of powers; its windows are checked there.
AvgPoolOptions average_of(const IntList& kernel_size, const IntList& stride, bool ceil_mode) {
  return {.kernel_size = kernel_size, .stride = stride, .ceil_mode = ceil_mode};
}

// The full kernel, also where ceil_mode cuts the window short: PyTorch's rule.
double window_size(int rank, const IntList& kernel_size) {
  double size = 1;
  for (const int64_t k : kernel_size.expand(rank)) size *= static_cast<double>(k);
  return size;
}

void check_norm_type(double norm_type) {
  if (norm_type == 0) raise<ValueError>("norm_type must be non-zero\n1 gives the sum of the window, 2 its Euclidean norm");
}

}  // namespace

Tensor lp_pool(int rank, const Tensor& input, double norm_type, const IntList& kernel_size, const IntList& stride, bool ceil_mode) {
  pool_checks::check_rank(rank);
  check_norm_type(norm_type);
  pool_checks::check_floating(input.dtype(), formatted("avg_pool{}d", std::max(rank, 2)));
  Tensor powers = Tensor::empty(input.shape(), input.dtype());
  with_floating(input.dtype(), [&](auto type) {
    using T = decltype(type);
    kernels::lp_pool_power<T>(input.numel(), norm_type, input.data<T>(), powers.data<T>());
  });
  Tensor output = avg_pool(rank, powers, average_of(kernel_size, stride, ceil_mode));
  with_floating(input.dtype(), [&](auto type) {
    using T = decltype(type);
    kernels::lp_pool_root<T>(output.numel(), norm_type, window_size(rank, kernel_size), output.data<T>(), output.data<T>());
  });
  return output;
}

Tensor lp_pool_backward(int rank, const Tensor& grad_output, const Tensor& input, double norm_type, const IntList& kernel_size,
                        const IntList& stride, bool ceil_mode) {
  pool_checks::check_rank(rank);
  check_norm_type(norm_type);
  if (grad_output.dtype() != input.dtype()) {
    raise<Error>("grad_output is {}, the input is {}\ngive both the same type", grad_output.dtype(), input.dtype());
  }
  pool_checks::check_floating(input.dtype(), formatted("avg_pool{}d", std::max(rank, 2)));
  const AvgPoolOptions options = average_of(kernel_size, stride, ceil_mode);
  Tensor powers = Tensor::empty(input.shape(), input.dtype());
  with_floating(input.dtype(), [&](auto type) {
    using T = decltype(type);
    kernels::lp_pool_power<T>(input.numel(), norm_type, input.data<T>(), powers.data<T>());
  });
  Tensor average = avg_pool(rank, powers, options);
  pool_checks::check_grad_shape(grad_output.shape(), average.shape());
  with_floating(input.dtype(), [&](auto type) {
    using T = decltype(type);
    kernels::lp_pool_root_backward<T>(average.numel(), norm_type, window_size(rank, kernel_size), average.data<T>(),
                                      grad_output.data<T>(), average.data<T>());
  });
  Tensor grad_input = avg_pool_backward(rank, average, input.shape(), options);
  with_floating(input.dtype(), [&](auto type) {
    using T = decltype(type);
    kernels::lp_pool_power_backward<T>(input.numel(), norm_type, input.data<T>(), grad_input.data<T>(), grad_input.data<T>());
  });
  return grad_input;
}

}  // namespace convoy::ops
