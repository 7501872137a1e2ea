// Normalisation, forward and backward.
#pragma once

#include <optional>

#include "convoy/core/elementwise.h"
#include "convoy/core/tensor.h"

namespace convoy {

struct BatchNormOptions {
  bool training = false;
  double momentum = 0.1;
  double eps = 1e-5;
  std::optional<Activation> activation = {};  // kRelu or kRelu6, applied to the output in the same pass; the bits are the same
};

/// What the backward pass needs again. mean and inv_std are float64 whatever the input's type: (C) for batch_norm, (N, groups) for
/// group_norm and instance_norm, the leading sizes for layer_norm.
struct NormResult {
  Tensor output;
  Tensor mean, inv_std;
  bool with_residual = false;  // batch_norm only
};

struct NormGradients {
  Tensor input, weight, bias;
  Tensor residual = {};  // undefined without one
};

namespace ops {

/// y = (x - mean) / sqrt(var + eps) * weight + bias per channel (axis 1), with the batch's biased variance in training and the
/// running statistics otherwise. In training, running_mean and running_var, where defined, are updated in place:
/// r = (1 - momentum) r + momentum * batch value, with the unbiased variance.
///
/// A residual, where defined, is added to y, and the activation of the options is applied to the sum: what a residual block does,
/// in one pass over memory and with the bits of the separate operations.
///
/// A variance of 0 with eps 0 gives NaN. A batch without values leaves the running statistics alone.
///
/// Shapes: input (N, C) or (N, C, *), the residual the input's or undefined, the others (C) or undefined.
/// Errors: PyTorch's checks and words ("running_mean should contain 4 elements not 3", "Expected more than 1 value per channel when
/// training, got input size torch.Size([1, 3, 1, 1])", "running_mean must be defined in evaluation mode").
/// Source: torch.nn.functional.batch_norm.
NormResult batch_norm(const Tensor& input, Tensor running_mean, Tensor running_var, const Tensor& weight, const Tensor& bias,
                      const BatchNormOptions& options, const Tensor& residual = {});
NormGradients batch_norm_backward(const Tensor& grad_output, const Tensor& input, const Tensor& weight, const NormResult& forward,
                                  bool training);
/// Of a batch_norm with an activation, whose argument depends on the bias too, or a residual. `forward` needs its output only where
/// there were both.
NormGradients batch_norm_backward(const Tensor& grad_output, const Tensor& input, const Tensor& weight, const Tensor& bias,
                                  const NormResult& forward, const BatchNormOptions& options);

/// y = (x - mean) / sqrt(var + eps) * weight + bias with the statistics of each sample's channel groups.
///
/// Shapes: input (N, C, *), weight and bias (C) or undefined.
/// Errors: "Expected number of channels in input to be divisible by num_groups, but got input of shape [4, 6, 5] and num_groups=4";
/// "Expected num groups to be greater than 0, got 0". Source: torch.nn.functional.group_norm.
NormResult group_norm(const Tensor& input, int64_t num_groups, const Tensor& weight, const Tensor& bias, double eps = 1e-5);
NormGradients group_norm_backward(const Tensor& grad_output, const Tensor& input, int64_t num_groups, const Tensor& weight,
                                  const NormResult& forward);

/// The statistics of each sample's channel alone: group_norm with C groups; its backward pass is group_norm_backward's.
///
/// Errors: "Expected more than 1 spatial element when training, got input size torch.Size([2, 3, 1, 1])"; "weight should contain 6
/// elements not 4" (both counted over the batch). Source: torch.nn.functional.instance_norm without running statistics.
NormResult instance_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, double eps = 1e-5);

/// The statistics of each run over the trailing axes, whose sizes are normalized_shape; weight and bias have that shape.
///
/// Errors: "Given normalized_shape=[3, 5], expected input with shape [*, 3, 5], but got input of size[2, 3, 4]".
/// Source: torch.nn.functional.layer_norm.
NormResult layer_norm(const Tensor& input, const Shape& normalized_shape, const Tensor& weight, const Tensor& bias,
                      double eps = 1e-5);
NormGradients layer_norm_backward(const Tensor& grad_output, const Tensor& input, const Shape& normalized_shape,
                                  const Tensor& weight, const NormResult& forward);

/// x / (bias + alpha / size * sum of x^2 over `size` neighbouring channels)^beta; with an even size one more channel lies behind
/// than before, as in ONNX. Shapes: input (N, C, *). Source: torch.nn.functional.local_response_norm for odd sizes, ONNX LRN.
Tensor local_response_norm(const Tensor& input, int64_t size, double alpha = 1e-4, double beta = 0.75, double bias = 1.0);

/// x / sqrt(mean of x^2 over the trailing axes + eps) * weight. Shapes: the trailing axes are normalized_shape, which weight has or
/// is undefined. Source: torch.nn.functional.rms_norm, ONNX RMSNormalization.
Tensor rms_norm(const Tensor& input, const Shape& normalized_shape, const Tensor& weight, double eps = 1e-5);

}  // namespace ops
}  // namespace convoy
