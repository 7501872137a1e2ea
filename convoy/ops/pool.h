// Pooling, forward and backward.
#pragma once

#include <optional>
#include <vector>

#include "convoy/core/tensor.h"
#include "convoy/ops/options.h"
#include "convoy/shape/pool.h"

namespace convoy {

/// Arguments of max_pool1d, 2d, 3d. A stride that is not given is the kernel_size.
struct MaxPoolOptions {
  IntList kernel_size;
  IntList stride = {};
  IntList padding = 0;
  IntList dilation = 1;
  bool ceil_mode = false;
};

/// Arguments of avg_pool1d, 2d, 3d.
struct AvgPoolOptions {
  IntList kernel_size;
  IntList stride = {};
  IntList padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
  std::optional<int64_t> divisor_override = {};
};

/// One size per axis, or one number for all; nullopt keeps the input's size (PyTorch's None).
using AdaptiveSize = std::vector<std::optional<int64_t>>;

/// Pooled values and where they came from: flat positions in the unpadded plane (D x H x W), int64; undefined if nobody asked.
struct MaxPoolResult {
  Tensor output, indices;
};

namespace ops {

/// Shapes: input (N, C, *) or (C, *), rank = number of spatial axes; output and indices (N, C, *) or (C, *).
/// The padding counts as -inf; the first of equal values wins; NaN wins always, the last one's index is kept.
/// Errors: PyTorch 1.13's checks and words; sizes beyond 32 bits, which PyTorch refuses, work. Source:
/// torch.nn.functional.max_pool2d. Without indices, which cost more than the values, the same values.
MaxPoolResult max_pool(int rank, const Tensor& input, const MaxPoolOptions& options, bool return_indices = true);
/// Adds each grad_output to the input position that `indices` names. Errors: shapes that differ, an index outside the plane.
Tensor max_pool_backward(int rank, const Tensor& grad_output, const Tensor& indices, const Shape& input_shape);

/// Errors: PyTorch 1.13's checks and words. Source: torch.nn.functional.avg_pool2d.
Tensor avg_pool(int rank, const Tensor& input, const AvgPoolOptions& options);
Tensor avg_pool_backward(int rank, const Tensor& grad_output, const Shape& input_shape, const AvgPoolOptions& options);

/// Pooling with any windows that shape/pool.h can count: padding in front and behind, as large as one likes, and dilation. Of
/// `windows` rank, axes and ceil_mode are read. Integers (of max pooling) of 8 bits are welcome too; 16-bit floats are pooled as
/// float32. An average over nothing is 0, a maximum -inf. Source: ONNX MaxPool, AveragePool, LpPool, the latter (sum |x|^p)^(1/p).
/// Errors: ShapeMismatch for sizes below 1.
MaxPoolResult max_pool(const Tensor& input, const shape::PoolShape& windows);
Tensor avg_pool(const Tensor& input, const shape::PoolShape& windows, bool count_include_pad);
Tensor lp_pool(const Tensor& input, const shape::PoolShape& windows, double norm_type);
/// What these make of an input of this shape: windows with batch, channels, input and output filled in.
shape::PoolShape pooled_shape(const Shape& input, const shape::PoolShape& windows);

/// The indices of a max pooling as positions in the whole input rather than in a plane, column_major: with the spatial axes of a
/// plane counted from the first (ONNX's storage_order 1).
Tensor flat_indices(const Tensor& indices, const Shape& input_shape, bool column_major = false);
/// Zeros of a shape, with the values put at such flat (row-major) positions. Source: ONNX MaxUnpool.
Tensor max_unpool_flat(const Tensor& input, const Tensor& indices, const Shape& output_shape);

/// Window o is [floor(o n / out), ceil((o + 1) n / out)). Source: torch.nn.functional.adaptive_avg_pool2d, adaptive_max_pool2d.
Tensor adaptive_avg_pool(int rank, const Tensor& input, const AdaptiveSize& output_size);
Tensor adaptive_avg_pool_backward(int rank, const Tensor& grad_output, const Shape& input_shape);
/// The backward of adaptive_max_pool is max_pool_backward.
MaxPoolResult adaptive_max_pool(int rank, const Tensor& input, const AdaptiveSize& output_size);

/// Puts each value at its index and zero elsewhere. output_size: spatial sizes, empty for the default (n - 1) s - 2p + k.
/// Errors: PyTorch 1.13's checks and words; the last index outside the output is named, as PyTorch does on one thread.
/// Source: torch.nn.functional.max_unpool2d.
Tensor max_unpool(int rank, const Tensor& input, const Tensor& indices, const MaxPoolOptions& options,
                  const std::vector<int64_t>& output_size = {});
Tensor max_unpool_backward(int rank, const Tensor& grad_output, const Tensor& indices);

/// (avg_pool(x^p) k)^(1/p), k the full kernel's size even where ceil_mode cuts the window short: PyTorch's rule. A negative sum
/// gives NaN unless p is 1; where the sum is 0 the gradient is 0. Errors: those of avg_pool; norm_type 0. Source:
/// torch.nn.functional.lp_pool2d.
Tensor lp_pool(int rank, const Tensor& input, double norm_type, const IntList& kernel_size, const IntList& stride = {},
               bool ceil_mode = false);
Tensor lp_pool_backward(int rank, const Tensor& grad_output, const Tensor& input, double norm_type, const IntList& kernel_size,
                        const IntList& stride = {}, bool ceil_mode = false);

}  // namespace ops
}  // namespace convoy
