// Losses, forward and backward.
#pragma once

#include "convoy/core/elementwise.h"
#include "convoy/core/tensor.h"
#include "convoy/ops/options.h"

namespace convoy {

struct ClassLossOptions {
  Reduction reduction = Reduction::kMean;
  int64_t ignore_index = -100;
  double label_smoothing = 0;  // cross_entropy only
};

namespace ops {

/// input (N, C) or (C) or (N, C, *), target int64 (N), () or (N, *): log-probabilities for nll_loss, logits for cross_entropy, whose
/// target may also be probabilities of the input's shape and type. The mean is taken over the samples that are not ignored: NaN if
/// there are none, with the gradient 0.
/// Errors: PyTorch's words ("Target 9 is out of bounds.", "Expected input batch_size (6) to match target batch_size (5).").
/// Source: torch.nn.functional.nll_loss, cross_entropy.
Tensor nll_loss(const Tensor& input, const Tensor& target, const ClassLossOptions& options = {});
Tensor nll_loss_backward(const Tensor& grad_output, const Tensor& input, const Tensor& target,
                         const ClassLossOptions& options = {});
Tensor cross_entropy(const Tensor& input, const Tensor& target, const ClassLossOptions& options = {});
Tensor cross_entropy_backward(const Tensor& grad_output, const Tensor& input, const Tensor& target,
                              const ClassLossOptions& options = {});

/// Losses between two tensors of broadcastable shapes (equal ones for binary_cross_entropy_with_logits). `beta` is smooth_l1_loss'.
/// Source: torch.nn.functional.mse_loss, l1_loss, smooth_l1_loss, binary_cross_entropy_with_logits.
Tensor pair_loss(PairLoss kind, const Tensor& input, const Tensor& target, Reduction reduction = Reduction::kMean,
                 double beta = 1.0);
/// Gradient with respect to input (the target's is not computed).
Tensor pair_loss_backward(PairLoss kind, const Tensor& grad_output, const Tensor& input, const Tensor& target,
                          Reduction reduction = Reduction::kMean, double beta = 1.0);
Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::kMean);
Tensor l1_loss(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::kMean);
Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::kMean, double beta = 1.0);
Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::kMean);

}  // namespace ops
}  // namespace convoy
