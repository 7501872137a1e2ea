// Rows of the error table: loss.h.
#include <limits>
#include <string>

#include "convoy/ops/loss.h"
#include "tests/robustness/error_rows.h"

namespace convoy::robustness {

Rows loss_rows() {
  const Tensor x = zeros({3, 4}), target = indices({3}), one = Tensor::scalar(1);
  Rows rows;
  REFUSED_VALUE("nll_loss.input", ops::nll_loss(Tensor::scalar(1), indices({})), "Expected 1 or more dimensions (got 0)");
  REFUSED("nll_loss.target", ops::nll_loss(x, indices({3}, 4)), "Target 4 is out of bounds.");
  REFUSED("nll_loss.target", ops::nll_loss(x, indices({3}, -1)), "Target -1 is out of bounds.");
  REFUSED_VALUE("nll_loss.target", ops::nll_loss(x, indices({2})), "Expected input batch_size (3) to match target batch_size (2).");
  REFUSED("nll_loss.target", ops::nll_loss(x, zeros({3})), "expected scalar type Long but found Float");
  REFUSED("cross_entropy.input", ops::cross_entropy({}, target), "");
  REFUSED("cross_entropy.target", ops::cross_entropy(x, indices({3}, std::numeric_limits<int64_t>::min())),
          "Target -9223372036854775808 is out of bounds.");
  REFUSED("cross_entropy.target", ops::cross_entropy(zeros({3, 4, 2}), indices({3, 3})), "");
  REFUSED("cross_entropy.label_smoothing", ops::cross_entropy(x, target, {.label_smoothing = 1.5}),
          "label_smoothing must be between 0.0 and 1.0. Got: 1.5");
  REFUSED("nll_loss_backward.grad_output", ops::nll_loss_backward(zeros({2}), x, target), "");
  REFUSED("nll_loss_backward.input", ops::nll_loss_backward(one, {}, target), "");
  REFUSED("nll_loss_backward.target", ops::nll_loss_backward(one, x, indices({3}, 4)), "");
  REFUSED("cross_entropy_backward.grad_output", ops::cross_entropy_backward(zeros({2}), x, target), "");
  REFUSED("cross_entropy_backward.input", ops::cross_entropy_backward(one, {}, target), "");
  REFUSED("cross_entropy_backward.target", ops::cross_entropy_backward(one, x, indices({3}, 4)), "");
  REFUSED("cross_entropy_backward.label_smoothing", ops::cross_entropy_backward(one, x, target, {.label_smoothing = 1.5}), "");
  REFUSED("pair_loss.input", ops::pair_loss(PairLoss::kMse, {}, x), "");
  REFUSED("pair_loss.target", ops::pair_loss(PairLoss::kMse, x, zeros({3, 5})),
          "The size of tensor a (4) must match the size of tensor b (5) at non-singleton dimension 1");
  REFUSED("pair_loss.beta", ops::pair_loss(PairLoss::kSmoothL1, x, x, Reduction::kMean, -1),
          "smooth_l1_loss does not support negative values for beta.");
  REFUSED("pair_loss_backward.grad_output", ops::pair_loss_backward(PairLoss::kMse, zeros({2}), x, x), "");
  REFUSED("pair_loss_backward.input", ops::pair_loss_backward(PairLoss::kMse, one, {}, x), "");
  REFUSED("pair_loss_backward.target", ops::pair_loss_backward(PairLoss::kMse, one, x, zeros({3, 5})), "");
  REFUSED("pair_loss_backward.beta", ops::pair_loss_backward(PairLoss::kSmoothL1, one, x, x, Reduction::kMean, -1), "");
  REFUSED("mse_loss.input", ops::mse_loss({}, x), "");
  REFUSED("mse_loss.target", ops::mse_loss(x, zeros({2, 4})),
          "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 0");
  REFUSED("l1_loss.input", ops::l1_loss({}, x), "");
  REFUSED("l1_loss.target", ops::l1_loss(x, zeros({2, 4})),
          "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 0");
  REFUSED("smooth_l1_loss.input", ops::smooth_l1_loss({}, x), "");
  REFUSED("smooth_l1_loss.target", ops::smooth_l1_loss(x, zeros({2, 4})),
          "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 0");
  REFUSED("smooth_l1_loss.beta", ops::smooth_l1_loss(x, x, Reduction::kMean, -1),
          "smooth_l1_loss does not support negative values for beta.");
  REFUSED("binary_cross_entropy_with_logits.input", ops::binary_cross_entropy_with_logits({}, x), "");
  REFUSED_VALUE("binary_cross_entropy_with_logits.target", ops::binary_cross_entropy_with_logits(x, zeros({3, 1})),
                "Target size (torch.Size([3, 1])) must be the same as input size (torch.Size([3, 4]))");
  return rows;
}

}  // namespace convoy::robustness
