#include "convoy/autograd/functions.h"

namespace convoy {

namespace {

Variable pair_loss(PairLoss kind, const Variable& input, const Tensor& target, Reduction reduction, double beta = 1.0) {
  return record(ops::pair_loss(kind, input.data(), target, reduction, beta), {input},
                [=, x = input.data()](const Tensor& grad_output) -> std::vector<Tensor> {
                  return {ops::pair_loss_backward(kind, grad_output, x, target, reduction, beta)};
                });
}

}  // namespace

Variable nll_loss(const Variable& input, const Tensor& target, const ClassLossOptions& options) {
  return record(ops::nll_loss(input.data(), target, options), {input},
                [=, x = input.data()](const Tensor& grad_output) -> std::vector<Tensor> {
                  return {ops::nll_loss_backward(grad_output, x, target, options)};
                });
}

Variable cross_entropy(const Variable& input, const Tensor& target, const ClassLossOptions& options) {
  return record(ops::cross_entropy(input.data(), target, options), {input},
                [=, x = input.data()](const Tensor& grad_output) -> std::vector<Tensor> {
                  return {ops::cross_entropy_backward(grad_output, x, target, options)};
                });
}

Variable mse_loss(const Variable& input, const Tensor& target, Reduction reduction) {
  return pair_loss(PairLoss::kMse, input, target, reduction);
}
Variable l1_loss(const Variable& input, const Tensor& target, Reduction reduction) {
  return pair_loss(PairLoss::kL1, input, target, reduction);
}
Variable smooth_l1_loss(const Variable& input, const Tensor& target, Reduction reduction, double beta) {
  return pair_loss(PairLoss::kSmoothL1, input, target, reduction, beta);
}
Variable binary_cross_entropy_with_logits(const Variable& input, const Tensor& target, Reduction reduction) {
  return pair_loss(PairLoss::kBceWithLogits, input, target, reduction);
}

}  // namespace convoy
