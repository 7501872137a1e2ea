// Rows of the error table: pool.h.
#include <string>

#include "convoy/ops/pool.h"
#include "tests/robustness/error_rows.h"

namespace convoy::robustness {

Rows pool_rows() {
  const Tensor x = zeros({1, 3, 8, 8}), y = zeros({1, 3, 4, 4});
  const Tensor at = indices({1, 3, 4, 4});
  Rows rows;
  const auto max = [&](const char* argument, const MaxPoolOptions& options, const char* words) {
    REFUSED(std::string("max_pool.") + argument, ops::max_pool(2, x, options), words);
  };
  const auto average = [&](const char* argument, const AvgPoolOptions& options, const char* words) {
    REFUSED(std::string("avg_pool.") + argument, ops::avg_pool(2, x, options), words);
    REFUSED(std::string("avg_pool_backward.") + argument, ops::avg_pool_backward(2, y, x.shape(), options), words);
  };
  max("kernel_size", {}, "max_pool2d: kernel_size must either be a single int, or a tuple of two ints");
  max("kernel_size", {.kernel_size = {2, 2, 2}}, "max_pool2d: kernel_size must either be a single int, or a tuple of two ints");
  max("kernel_size", {.kernel_size = 0, .stride = 1}, "kernel size should be greater than zero, but got kH: 0 kW: 0");
  max("kernel_size", {.kernel_size = 9}, "Given input size: (3x8x8). Calculated output size: (3x0x0). Output size is too small");
  max("stride", {.kernel_size = 2, .stride = {2, 2, 2}},
      "max_pool2d: stride must either be omitted, a single int, or a tuple of two ints");
  max("stride", {.kernel_size = 2, .stride = 0}, "stride should not be zero");
  max("stride", {.kernel_size = 2, .stride = -1}, "stride should be greater than zero, but got dH: -1 dW: -1");
  max("padding", {.kernel_size = 2, .padding = {1, 1, 1}},
      "max_pool2d: padding must be either be a single int, or a tuple of two ints");
  max("padding", {.kernel_size = 2, .padding = -1}, "pad must be non-negative, but got pad: -1");
  max("padding", {.kernel_size = 3, .padding = 2}, "pad should be at most half of kernel size, but got pad=2 and kernel_size=3");
  max("dilation", {.kernel_size = 2, .dilation = {1, 1, 1}},
      "max_pool2d: dilation must be either a single int, or a tuple of two ints");
  max("dilation", {.kernel_size = 2, .dilation = 0}, "dilation should be greater than zero, but got dilationH: 0 dilationW: 0");
  average("kernel_size", {}, "avg_pool2d: kernel_size must either be a single int, or a tuple of two ints");
  average("kernel_size", {.kernel_size = 0, .stride = 1}, "kernel size should be greater than zero, but got kH: 0 kW: 0");
  average("stride", {.kernel_size = 2, .stride = {2, 2, 2}},
          "avg_pool2d: stride must either be omitted, a single int, or a tuple of two ints");
  average("stride", {.kernel_size = 2, .stride = 0}, "stride should not be zero");
  average("padding", {.kernel_size = 2, .padding = {1, 1, 1}},
          "avg_pool2d: padding must either be a single int, or a tuple of two ints");
  average("padding", {.kernel_size = 2, .padding = -1}, "pad must be non-negative, but got pad: -1");
  average("padding", {.kernel_size = 2, .padding = 2},
          "pad should be at most half of kernel size, but got pad=2 and kernel_size=2");
  average("divisor_override", {.kernel_size = 2, .divisor_override = 0}, "divisor must be not zero");
  const MaxPoolOptions two{.kernel_size = 2};
  REFUSED("max_pool.rank", ops::max_pool(0, x, two), "");
  REFUSED("max_pool.rank", ops::max_pool(4, x, two), "");
  REFUSED("max_pool.input", ops::max_pool(2, zeros({3, 8}), two), "non-empty 3D or 4D (batch mode) tensor expected for input");
  REFUSED("max_pool.input", ops::max_pool(2, zeros({1, 3, 0, 8}), two),
          "Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but got:[1, 3, 0, 8]");
  REFUSED("max_pool.input", ops::max_pool(2, {}, two), "");
  REFUSED("max_pool.input", ops::max_pool(2, indices({1, 3, 8, 8}), two), "");
  REFUSED("max_pool_backward.rank", ops::max_pool_backward(0, y, at, x.shape()), "");
  REFUSED("max_pool_backward.grad_output", ops::max_pool_backward(2, zeros({1, 3, 4, 5}), at, x.shape()), "");
  REFUSED("max_pool_backward.grad_output", ops::max_pool_backward(2, {}, at, x.shape()), "");
  REFUSED("max_pool_backward.indices", ops::max_pool_backward(2, y, y, x.shape()), "");
  REFUSED("max_pool_backward.indices", ops::max_pool_backward(2, y, indices({1, 3, 4, 4}, 64), x.shape()), "");
  REFUSED("max_pool_backward.input_shape", ops::max_pool_backward(2, y, at, {1, 3, 8}), "");
  REFUSED("avg_pool.rank", ops::avg_pool(4, x, {.kernel_size = 2}), "");
  REFUSED("avg_pool.input", ops::avg_pool(2, zeros({8}), {.kernel_size = 2}), "");
  REFUSED("avg_pool.input", ops::avg_pool(3, zeros({1, 3, 2, 8, 8}), {.kernel_size = 3}),
          "input image (T: 2 H: 8 W: 8) smaller than kernel size (kT: 3 kH: 3 kW: 3)");
  REFUSED("avg_pool_backward.rank", ops::avg_pool_backward(4, y, x.shape(), {.kernel_size = 2}), "");
  REFUSED("avg_pool_backward.grad_output", ops::avg_pool_backward(2, zeros({1, 3, 4, 5}), x.shape(), {.kernel_size = 2}), "");
  REFUSED("avg_pool_backward.input_shape", ops::avg_pool_backward(2, y, {1, 3, 8}, {.kernel_size = 2}), "");
  REFUSED("adaptive_avg_pool.rank", ops::adaptive_avg_pool(4, x, {2, 2}), "");
  REFUSED("adaptive_avg_pool.input", ops::adaptive_avg_pool(2, zeros({4, 4}), {2, 2}), "Input dimension should be at least 3");
  REFUSED("adaptive_avg_pool.input", ops::adaptive_avg_pool(2, zeros({1, 1, 0, 4}), {2, 2}),
          "Expected input to have non-zero size for non-batch dimensions");
  REFUSED("adaptive_avg_pool.output_size", ops::adaptive_avg_pool(2, x, {2, 2, 2}), "adaptive_avg_pool2d: output_size must be 2");
  REFUSED("adaptive_avg_pool.output_size", ops::adaptive_avg_pool(2, x, {-1, 2}),
          "adaptive_avg_pool2d: elements of output_size must be greater than or equal to 0 but received {-1, 2}");
  REFUSED("adaptive_avg_pool_backward.rank", ops::adaptive_avg_pool_backward(4, y, x.shape()), "");
  REFUSED("adaptive_avg_pool_backward.grad_output", ops::adaptive_avg_pool_backward(2, zeros({1, 2, 4, 4}), x.shape()), "");
  REFUSED("adaptive_avg_pool_backward.input_shape", ops::adaptive_avg_pool_backward(2, y, {1, 3, 8}), "");
  REFUSED("adaptive_max_pool.rank", ops::adaptive_max_pool(4, x, {2, 2}), "");
  REFUSED("adaptive_max_pool.input", ops::adaptive_max_pool(2, zeros({1, 0, 4, 4}), {2, 2}),
          "Expected input to have non-zero size for non-batch dimensions");
  REFUSED("adaptive_max_pool.output_size", ops::adaptive_max_pool(2, x, {2, 2, 2}), "output_size.size() must be 2");
  REFUSED("adaptive_max_pool.output_size", ops::adaptive_max_pool(2, x, {-1, 2}), "");
  REFUSED("max_unpool.rank", ops::max_unpool(4, y, at, two), "");
  REFUSED("max_unpool.input", ops::max_unpool(2, zeros({4, 4}), indices({4, 4}), two),
          "Input to max_unpooling2d should be a 3d or 4d Tensor, but got a tensor with 2 dimensions.");
  REFUSED("max_unpool.indices", ops::max_unpool(2, y, y, two), "elements in indices should be type int64 but got: Float");
  REFUSED("max_unpool.indices", ops::max_unpool(2, y, indices({1, 3, 4, 5}), two),
          "Expected shape of indices to be same as that of the input tensor ([1, 3, 4, 4]) but got indices tensor with shape: [1, "
          "3, 4, 5]");
  REFUSED("max_unpool.indices", ops::max_unpool(2, y, indices({1, 3, 4, 4}, 64), two),
          "Found an invalid max index: 64 (output volumes are of size 8x8");
  REFUSED("max_unpool.kernel_size", ops::max_unpool(2, y, at, {}), "");
  REFUSED("max_unpool.stride", ops::max_unpool(2, y, at, {.kernel_size = 2, .stride = {2, 2, 2}}), "");
  REFUSED("max_unpool.padding", ops::max_unpool(2, y, at, {.kernel_size = 2, .padding = {1, 1, 1}}), "");
  REFUSED_VALUE("max_unpool.output_size", ops::max_unpool(2, y, at, two, {11, 8}),
                "invalid output_size \"(11, 8)\" (dim 0 must be between 6 and 10)");
  REFUSED_VALUE("max_unpool.output_size", ops::max_unpool(2, y, at, two, {8}),
                "output_size should be a sequence containing 2 or 4 elements, but it has a length of '1'");
  REFUSED("max_unpool_backward.rank", ops::max_unpool_backward(4, zeros({1, 3, 8, 8}), at), "");
  REFUSED("max_unpool_backward.grad_output", ops::max_unpool_backward(2, zeros({1, 2, 8, 8}), at), "");
  REFUSED("max_unpool_backward.indices", ops::max_unpool_backward(2, zeros({1, 3, 8, 8}), indices({1, 3, 4, 4}, 64)), "");
  REFUSED("lp_pool.rank", ops::lp_pool(4, zeros({1, 3, 8, 8, 8}), 2, 2), "");
  REFUSED("lp_pool.input", ops::lp_pool(2, zeros({8}), 2, 2), "");
  REFUSED("lp_pool.norm_type", ops::lp_pool(2, x, 0, 2), "norm_type");
  REFUSED("lp_pool.kernel_size", ops::lp_pool(2, x, 2, 9), "Output size is too small");
  REFUSED("lp_pool.kernel_size", ops::lp_pool(2, x, 2, {2, 2, 2}), "");
  REFUSED("lp_pool.stride", ops::lp_pool(2, x, 2, 2, 0), "stride should not be zero");
  REFUSED("lp_pool_backward.rank", ops::lp_pool_backward(4, y, x, 2, 2), "");
  REFUSED("lp_pool_backward.grad_output", ops::lp_pool_backward(2, zeros({1, 3, 4, 5}), x, 2, 2), "");
  REFUSED("lp_pool_backward.input", ops::lp_pool_backward(2, y, zeros({8}), 2, 2), "");
  REFUSED("lp_pool_backward.norm_type", ops::lp_pool_backward(2, y, x, 0, 2), "");
  REFUSED("lp_pool_backward.kernel_size", ops::lp_pool_backward(2, y, x, 2, 9), "");
  REFUSED("lp_pool_backward.stride", ops::lp_pool_backward(2, y, x, 2, 2, 0), "");
  return rows;
}

}  // namespace convoy::robustness
