// Normalisation, forward and backward.
#pragma once

#include "convoy/core/tensor.h"

namespace convoy {

struct BatchNormOptions {
  bool training = false;
  double momentum = 0.1;
  double eps = 1e-5;
};

/// What the backward pass needs again: per channel (batch_norm), or per group.
struct NormResult {
  Tensor output;
  Tensor mean, inv_std;
};

struct NormGradients {
  Tensor input, weight, bias;
};

namespace ops {

/// y = (x - mean) / sqrt(var + eps) * weight + bias per channel (axis 1), with the batch's biased variance in training and the
/// running statistics otherwise. In training, running_mean and running_var, where defined, are updated in place:
/// r = (1 - momentum) r + momentum * batch value, with the unbiased variance.
///
/// Shapes: input (N, C) or (N, C, *), the others (C) or undefined.
/// Errors: PyTorch's checks and words ("running_mean should contain 4 elements not 3", "Expected more than 1 value per channel when
/// training, got input size torch.Size([1, 3, 1, 1])"). Source: torch.nn.functional.batch_norm.
NormResult batch_norm(const Tensor& input, Tensor running_mean, Tensor running_var, const Tensor& weight, const Tensor& bias,
                      const BatchNormOptions& options);
NormGradients batch_norm_backward(const Tensor& grad_output, const Tensor& input, const Tensor& weight, const NormResult& forward,
                                  bool training);

/// Source: torch.nn.functional.group_norm, layer_norm, instance_norm.
NormResult group_norm(const Tensor& input, int64_t num_groups, const Tensor& weight, const Tensor& bias, double eps = 1e-5);
NormGradients group_norm_backward(const Tensor& grad_output, const Tensor& input, int64_t num_groups, const Tensor& weight,
                                  const NormResult& forward);
NormResult layer_norm(const Tensor& input, const Shape& normalized_shape, const Tensor& weight, const Tensor& bias, double eps = 1e-5);
NormGradients layer_norm_backward(const Tensor& grad_output, const Tensor& input, const Shape& normalized_shape, const Tensor& weight,
                                  const NormResult& forward);

}  // namespace ops
}  // namespace convoy
