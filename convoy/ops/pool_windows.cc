// Pooling with free windows: what shape/pool.h can count, without the limits that PyTorch sets.
#include <algorithm>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/pool/lp_pool.h"
#include "convoy/kernels/pool/pool.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/math.h"
#include "convoy/ops/pool.h"
#include "convoy/ops/pool_checks.h"

namespace convoy::ops {

namespace {

using shape::PoolShape;

// Types that a pooling of float32 computes without loss, or as the contract says.
bool pooled_as_float(DType dtype) { return dtype == DType::kUInt8 || dtype == DType::kInt8 || is_16_bit_float(dtype); }

}  // namespace

PoolShape pooled_shape(const Shape& input, const PoolShape& windows) {
  pool_checks::check_rank(windows.rank);
  const auto rank = static_cast<size_t>(windows.rank);
  if (input.size() != rank + 2) {
    raise<ShapeMismatch>(
        "pooling over {} axes expects an input of {} axes, (N, C, *), but got {}\n"
        "one image needs a batch axis: reshape({1, C, H, W})",
        rank, rank + 2, input);
  }
  PoolShape s = windows;
  s.batch = input[0];
  s.channels = input[1];
  for (size_t i = 0; i < rank; ++i) {
    s.input[3 - rank + i] = input[2 + i];
    const shape::Axis& axis = s.axes[3 - rank + i];
    if (axis.pad_begin < 0 || axis.pad_end < 0) {
      raise<ValueError>(
          "pad must be non-negative, but got pad: {}\n"
          "crop with slice() instead",
          std::min(axis.pad_begin, axis.pad_end));
    }
  }
  const shape::Result<PoolShape> completed = shape::complete(s);
  if (!completed) raise<ShapeMismatch>("pooling: {}\nthe input has shape {}", shape::reason(completed.error().code), input);
  for (size_t a = 3 - rank; a < 3; ++a) {
    if (completed->output[a] >= 1) continue;
    raise<ShapeMismatch>(
        "Given input size: {}. Calculated output size: {}. Output size is too small\n"
        "use a smaller kernel_size or a larger input",
        pool_checks::sizes(s.channels, s.input, s.rank), pool_checks::sizes(s.channels, completed->output, s.rank));
  }
  return *completed;
}

MaxPoolResult max_pool(const Tensor& input, const PoolShape& windows) {
  check_defined(input, "max_pool", "input");
  if (pooled_as_float(input.dtype())) {
    MaxPoolResult result = max_pool(input.to(DType::kFloat32), windows);
    return {result.output.to(input.dtype()), result.indices};
  }
  check_floating(input, "max_pool2d");
  const PoolShape s = pooled_shape(input.shape(), windows);
  const Shape output = pool_checks::output_shape(input.shape(), s.rank, s.output);
  MaxPoolResult result{Tensor::empty(output, input.dtype()), Tensor::empty(output, DType::kInt64)};
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::max_pool<T>(s, input.data<T>(), result.output.data<T>(), result.indices.data<int64_t>());
  });
  return result;
}

Tensor avg_pool(const Tensor& input, const PoolShape& windows, bool count_include_pad) {
  check_defined(input, "avg_pool", "input");
  if (is_16_bit_float(input.dtype())) {
    return avg_pool(input.to(DType::kFloat32), windows, count_include_pad).to(input.dtype());
  }
  check_floating(input, "avg_pool2d");
  const PoolShape s = pooled_shape(input.shape(), windows);
  Tensor output = Tensor::empty(pool_checks::output_shape(input.shape(), s.rank, s.output), input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::avg_pool<T>(s, {count_include_pad, 0}, input.data<T>(), output.data<T>());
  });
  return output;
}

Tensor lp_pool(const Tensor& input, const PoolShape& windows, double norm_type) {
  check_defined(input, "lp_pool", "input");
  if (is_16_bit_float(input.dtype())) {
    return lp_pool(input.to(DType::kFloat32), windows, norm_type).to(input.dtype());
  }
  check_floating(input, "lp_pool2d");
  if (norm_type == 0) raise<ValueError>("lp_pool: norm_type must not be 0\n2 gives root sums of squares, 1 sums");
  const PoolShape s = pooled_shape(input.shape(), windows);
  Tensor powers = unary(Unary::kAbs, input);
  Tensor output = Tensor::empty(pool_checks::output_shape(input.shape(), s.rank, s.output), input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::lp_pool_power<T>(powers.numel(), norm_type, powers.data<T>(), powers.data<T>());
    kernels::avg_pool<T>(s, {true, 1}, powers.data<T>(), output.data<T>());
    kernels::lp_pool_root<T>(output.numel(), norm_type, 1.0, output.data<T>(), output.data<T>());
  });
  return output;
}

Tensor flat_indices(const Tensor& indices, const Shape& input_shape, bool column_major) {
  check_defined(indices, "flat_indices", "indices");
  check_type(indices, DType::kInt64);
  if (indices.dim() < 3 || indices.shape().size() != input_shape.size() || indices.shape()[0] != input_shape[0] ||
      indices.shape()[1] != input_shape[1]) {
    raise<ShapeMismatch>(
        "indices of shape {} do not come from an input of shape {}\n"
        "take the indices of the pooling of that input",
        indices.shape(), input_shape);
  }
  Tensor result = Tensor::empty(indices.shape(), DType::kInt64);
  const int64_t planes = input_shape[0] * input_shape[1];
  if (result.numel() == 0) return result;
  const int64_t per_plane = indices.numel() / planes, positions = numel(input_shape) / planes;
  const int64_t* from = indices.data<int64_t>();
  int64_t* to = result.data<int64_t>();
  parallel_ranges(result.numel(), 32768, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t at = from[i];
      if (column_major) {
        // The last axis turns slowest.
        int64_t rest = at, slow = positions;
        at = 0;
        for (size_t axis = input_shape.size(); axis-- > 2; rest /= input_shape[axis]) {
          slow /= input_shape[axis];
          at += rest % input_shape[axis] * slow;
        }
      }
      to[i] = i / per_plane * positions + at;
    }
  });
  return result;
}

Tensor max_unpool_flat(const Tensor& input, const Tensor& indices, const Shape& output_shape) {
  check_defined(input, "max_unpool", "input");
  check_defined(indices, "max_unpool", "indices");
  check_type(indices, DType::kInt64);
  if (indices.shape() != input.shape()) {
    raise<ShapeMismatch>(
        "Expected shape of indices to be same as that of the input tensor ({}) but got indices tensor with shape: {}\n"
        "take the indices that came with that tensor",
        input.shape(), indices.shape());
  }
  Tensor output = Tensor::zeros(output_shape, input.dtype());
  const int64_t* at = indices.data<int64_t>();
  for (int64_t i = 0; i < indices.numel(); ++i) {
    if (at[i] < 0 || at[i] >= output.numel()) {
      raise<Error>(
          "Found an invalid max index: {} (output volumes are of size {})\n"
          "indices point into one channel of the output, row by row",
          at[i], output_shape);
    }
  }
  with_element_size(input.dtype(), [&](auto bits) {
    using T = decltype(bits);
    const T* from = static_cast<const T*>(input.raw_data());
    T* to = static_cast<T*>(output.raw_data());
    for (int64_t i = 0; i < input.numel(); ++i) to[at[i]] = from[i];
  });
  return output;
}

}  // namespace convoy::ops
