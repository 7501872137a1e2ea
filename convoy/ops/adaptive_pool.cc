// Adaptive pooling: PyTorch 1.13's checks in its order and words, then the kernels.
#include <algorithm>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/pool/pool.h"
#include "convoy/ops/pool.h"
#include "convoy/ops/pool_checks.h"
#include "convoy/shape/pool.h"

namespace convoy::ops {

namespace {

using shape::AdaptivePoolShape;

void check_ranks(bool max, int rank, const Shape& input, const AdaptiveSize& output_size) {
  const auto dim = static_cast<int>(input.size());
  const std::string kind = max ? "adaptive_max_pool" : "adaptive_avg_pool";
  const std::string fix = formatted("{}{}d expects an input (N, C, *) or (C, *) with {}{} behind the channels, got {}", kind, rank,
                                    rank, rank == 1 ? " axis" : " axes", input);
  if (rank > 1 && output_size.size() > 1 && output_size.size() >= input.size()) {
    raise<ValueError>("Input dimension should be at least {}\n{}", output_size.size() + 1, fix);
  }
  if (dim == rank + 1 || dim == rank + 2) return;
  if (rank == 1) {
    raise<Error>(
        "Expected 2 to 3 dimensions, but got {}-dimensional tensor for argument #1 'self' (while checking arguments for {}1d)\n"
        "{}",
        dim, kind, fix);
  }
  raise<Error>(
      "{}{}d(): Expected {}D or {}D tensor, but got{}{}\n"
      "{}",
      kind, rank, rank + 1, rank + 2, max ? ": " : " ", input, fix);
}

// PyTorch's 1d forms are 2d ones of height 1, and say so.
void check_not_empty(bool max, int rank, const Shape& input) {
  const Shape seen = pool_checks::with_height(input, rank);
  const int seen_rank = std::max(rank, 2);
  const bool batched = static_cast<int>(input.size()) == rank + 2;
  // Only adaptive_max_pool and adaptive_avg_pool3d mind empty channels, and only those of a batch.
  const size_t first = (max || rank == 3) && batched ? 1 : seen.size() - static_cast<size_t>(seen_rank);
  for (size_t a = first; a < seen.size(); ++a) {
    if (seen[a] > 0) continue;
    raise<Error>(
        "{}{}d(): Expected input to have non-zero size for non-batch dimensions, but input has sizes {} with dimension {} being "
        "empty\n"
        "a pool needs something to look at: only the batch may be empty",
        max ? "adaptive_max_pool" : "adaptive_avg_pool", seen_rank, seen, a);
  }
}

// One size per spatial axis; nullopt is the input's own.
std::vector<int64_t> expand(bool max, int rank, const Shape& input, const AdaptiveSize& output_size) {
  const std::string fix = formatted("give one size or {}, got {}", rank, output_size.size());
  if (static_cast<int>(output_size.size()) != rank && output_size.size() != 1) {
    const std::string name = formatted("{}{}d", max ? "adaptive_max_pool" : "adaptive_avg_pool", rank);
    if (rank == 1) raise<Error>("{}() argument 'output_size' should contain one int (got {})\n{}", name, output_size.size(), fix);
    if (max) raise<Error>("{}(): internal error: output_size.size() must be {}\n{}", name, rank, fix);
    raise<Error>("{}: output_size must be {}\n{}", name, rank, fix);
  }
  std::vector<int64_t> sizes;
  for (size_t i = 0; i < static_cast<size_t>(rank); ++i) {
    const std::optional<int64_t> size = output_size[output_size.size() == 1 ? 0 : i];
    sizes.push_back(size.has_value() ? *size : input[input.size() - static_cast<size_t>(rank) + i]);
  }
  return sizes;
}

bool any_negative(const std::vector<int64_t>& sizes) {
  return std::any_of(sizes.begin(), sizes.end(), [](int64_t n) { return n < 0; });
}

AdaptivePoolShape check_shape(bool max, int rank, const Shape& input, const std::vector<int64_t>& sizes) {
  AdaptivePoolShape s;
  s.rank = rank;
  const auto spatial = static_cast<size_t>(rank);
  s.batch = input.size() == spatial + 2 ? input[0] : 1;
  s.channels = input[input.size() - spatial - 1];
  for (size_t i = 0; i < spatial; ++i) {
    s.input[3 - spatial + i] = input[input.size() - spatial + i];
    s.output[3 - spatial + i] = sizes[i];
  }
  const shape::Result<AdaptivePoolShape> completed = shape::complete(s);
  if (completed) return *completed;
  Shape output = input;
  std::copy(sizes.begin(), sizes.end(), output.end() - rank);
  const std::string fix = formatted("an output of shape {} cannot be counted in 64 bits", output);
  if (max) raise<Error>("Storage size calculation overflowed with sizes={}\n{}", pool_checks::with_height(output, rank), fix);
  raise<Error>("numel: integer multiplication overflow\n{}", fix);
}

AdaptivePoolShape check_avg(int rank, const Shape& input, DType dtype, const AdaptiveSize& output_size) {
  if (rank == 1) check_ranks(false, rank, input, output_size);
  if (rank > 1 && output_size.size() > 1 && output_size.size() >= input.size()) check_ranks(false, rank, input, output_size);
  // The sizes are looked at before the input's axes; an input without enough of them has none to keep.
  AdaptiveSize wanted = output_size;
  if (static_cast<int>(input.size()) < rank) {
    for (auto& size : wanted) size = size.value_or(0);
  }
  const std::vector<int64_t> sizes = expand(false, rank, input, wanted);
  if (any_negative(sizes)) {
    std::string list = rank == 1 ? "1" : "";
    for (size_t i = 0; i < sizes.size(); ++i) list += (list.empty() ? "" : i == 2 ? "," : ", ") + std::to_string(sizes[i]);
    raise<Error>(
        "adaptive_avg_pool2d: elements of output_size must be greater than or equal to 0 but received {{}}\n"
        "an output_size is a number of windows, None keeps the input's size",
        list);
  }
  check_ranks(false, rank, input, output_size);
  check_not_empty(false, rank, input);
  const AdaptivePoolShape s = check_shape(false, rank, input, sizes);
  pool_checks::check_floating(dtype, rank == 3 ? "adaptive_avg_pool3d_cpu" : "adaptive_avg_pool2d");
  return s;
}

AdaptivePoolShape check_max(int rank, const Shape& input, DType dtype, const AdaptiveSize& output_size) {
  check_ranks(true, rank, input, output_size);
  if (rank == 1) static_cast<void>(expand(true, rank, input, output_size));
  check_not_empty(true, rank, input);
  const std::vector<int64_t> sizes = expand(true, rank, input, output_size);
  if (any_negative(sizes)) {
    Shape output = input;
    std::copy(sizes.begin(), sizes.end(), output.end() - rank);
    const int64_t negative = *std::find_if(sizes.begin(), sizes.end(), [](int64_t n) { return n < 0; });
    raise<Error>(
        "Trying to create tensor with negative dimension {}: {}\n"
        "an output_size is a number of windows: 0 or more, None keeps the input's size",
        negative, pool_checks::with_height(output, rank));
  }
  const AdaptivePoolShape s = check_shape(true, rank, input, sizes);
  pool_checks::check_floating(dtype, rank == 3 ? "adaptive_max_pool3d_cpu" : "adaptive_max_pool2d");
  return s;
}

}  // namespace

Tensor adaptive_avg_pool(int rank, const Tensor& input, const AdaptiveSize& output_size) {
  pool_checks::check_rank(rank);
  const AdaptivePoolShape s = check_avg(rank, input.shape(), input.dtype(), output_size);
  Tensor output = Tensor::empty(pool_checks::output_shape(input.shape(), rank, s.output), input.dtype());
  with_floating(input.dtype(), [&](auto type) {
    using T = decltype(type);
    kernels::adaptive_avg_pool<T>(s, input.data<T>(), output.data<T>());
  });
  return output;
}

Tensor adaptive_avg_pool_backward(int rank, const Tensor& grad_output, const Shape& input_shape) {
  pool_checks::check_rank(rank);
  check_ranks(false, rank, input_shape, {});
  const Shape& shape = grad_output.shape();
  if (shape.size() != input_shape.size() || !std::equal(shape.begin(), shape.end() - rank, input_shape.begin())) {
    raise<ShapeMismatch>(
        "grad_output has shape {}, the input has shape {}\n"
        "both have the same axes in front of the {} pooled ones",
        shape, input_shape, rank);
  }
  const AdaptivePoolShape s = check_avg(rank, input_shape, grad_output.dtype(), AdaptiveSize(shape.end() - rank, shape.end()));
  Tensor grad_input = Tensor::empty(input_shape, grad_output.dtype());
  with_floating(grad_output.dtype(), [&](auto type) {
    using T = decltype(type);
    kernels::adaptive_avg_pool_backward<T>(s, grad_output.data<T>(), grad_input.data<T>());
  });
  return grad_input;
}

MaxPoolResult adaptive_max_pool(int rank, const Tensor& input, const AdaptiveSize& output_size) {
  pool_checks::check_rank(rank);
  const AdaptivePoolShape s = check_max(rank, input.shape(), input.dtype(), output_size);
  const Shape output = pool_checks::output_shape(input.shape(), rank, s.output);
  MaxPoolResult result{Tensor::empty(output, input.dtype()), Tensor::empty(output, DType::kInt64)};
  with_floating(input.dtype(), [&](auto type) {
    using T = decltype(type);
    kernels::adaptive_max_pool<T>(s, input.data<T>(), result.output.data<T>(), result.indices.data<int64_t>());
  });
  return result;
}

}  // namespace convoy::ops
