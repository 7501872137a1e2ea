// Rows of the error table: norm.h and the softmax functions.
#include <limits>
#include <string>

#include "convoy/ops/norm.h"
#include "convoy/ops/reduce.h"
#include "tests/robustness/error_rows.h"

namespace convoy::robustness {

Rows norm_rows() {
  const Tensor x = zeros({2, 4, 3}), c = ones({4});
  Rows rows;
  const NormResult done{.output = x, .mean = zeros({4}), .inv_std = ones({4})},
      groups{.output = x, .mean = zeros({4}), .inv_std = ones({4})};
  REFUSED_VALUE("batch_norm.input", ops::batch_norm(zeros({1, 4}), c, c, c, c, {.training = true}),
                "Expected more than 1 value per channel when training, got input size torch.Size([1, 4])");
  REFUSED("batch_norm.input", ops::batch_norm(zeros({4}), c, c, c, c, {}), "");
  REFUSED("batch_norm.input", ops::batch_norm({}, c, c, c, c, {}), "");
  REFUSED("batch_norm.running_mean", ops::batch_norm(x, ones({3}), c, c, c, {}), "running_mean should contain 4 elements not 3");
  REFUSED("batch_norm.running_mean", ops::batch_norm(x, {}, c, c, c, {}), "running_mean must be defined in evaluation mode");
  REFUSED("batch_norm.running_var", ops::batch_norm(x, c, ones({3}), c, c, {}), "running_var should contain 4 elements not 3");
  REFUSED("batch_norm.weight", ops::batch_norm(x, c, c, ones({3}), c, {}), "weight should contain 4 elements not 3");
  REFUSED("batch_norm.bias", ops::batch_norm(x, c, c, c, ones({5}), {}), "bias should contain 4 elements not 5");
  REFUSED("batch_norm.residual", ops::batch_norm(x, c, c, c, c, {}, zeros({3, 4})), "");
  REFUSED("batch_norm_backward.grad_output", ops::batch_norm_backward(zeros({2, 4, 2}), x, c, done, true), "");
  REFUSED("batch_norm_backward.input", ops::batch_norm_backward(x, zeros({2, 3, 3}), c, done, true), "");
  REFUSED("batch_norm_backward.weight", ops::batch_norm_backward(x, x, ones({3}), done, true), "");
  REFUSED("batch_norm_backward.bias",
          ops::batch_norm_backward(x, x, c, ones({3}), done, {.training = true, .activation = Activation::kRelu}), "");
  REFUSED("batch_norm_backward.forward",
          ops::batch_norm_backward(x, x, c, {.output = x, .mean = zeros({3}), .inv_std = ones({4})}, true), "");
  REFUSED("group_norm.input", ops::group_norm(zeros({4}), 2, {}, {}), "");
  REFUSED("group_norm.num_groups", ops::group_norm(x, 3, c, c),
          "Expected number of channels in input to be divisible by num_groups, but got input of shape [2, 4, 3] and num_groups=3");
  REFUSED("group_norm.num_groups", ops::group_norm(x, -1, c, c), "Expected num groups to be greater than 0, got -1");
  REFUSED("group_norm.weight", ops::group_norm(x, 2, ones({3}), {}),
          "Expected weight to be a vector of size equal to the number of channels in input, but got weight of shape [3] and input "
          "of shape [2, 4, 3]");
  REFUSED("group_norm.bias", ops::group_norm(x, 2, c, ones({5})),
          "Expected bias to be a vector of size equal to the number of channels in input");
  REFUSED("group_norm_backward.grad_output", ops::group_norm_backward(zeros({2, 4, 2}), x, 2, c, groups), "");
  REFUSED("group_norm_backward.input", ops::group_norm_backward(x, zeros({2, 5, 3}), 2, c, groups), "");
  REFUSED("group_norm_backward.num_groups", ops::group_norm_backward(x, x, 0, c, groups), "");
  REFUSED("group_norm_backward.weight", ops::group_norm_backward(x, x, 2, ones({3}), groups), "");
  REFUSED("group_norm_backward.forward",
          ops::group_norm_backward(x, x, 2, c, {.output = x, .mean = zeros({3}), .inv_std = ones({4})}), "");
  REFUSED_VALUE("instance_norm.input", ops::instance_norm(zeros({2, 3, 1}), {}, {}),
                "Expected more than 1 spatial element when training, got input size torch.Size([2, 3, 1])");
  REFUSED("instance_norm.weight", ops::instance_norm(x, ones({3}), {}), "weight should contain 8 elements not 6");
  REFUSED("instance_norm.bias", ops::instance_norm(x, {}, ones({5})), "bias should contain 8 elements not 10");
  REFUSED("layer_norm.input", ops::layer_norm(zeros({2, 5}), {4}, {}, {}),
          "Given normalized_shape=[4], expected input with shape [*, 4], but got input of size[2, 5]");
  REFUSED("layer_norm.normalized_shape", ops::layer_norm(x, {}, {}, {}), "Expected normalized_shape to be at least 1-dimensional");
  REFUSED("layer_norm.weight", ops::layer_norm(x, {3}, ones({5}), {}),
          "Expected weight to be of same shape as normalized_shape, but got weight of shape [5] and normalized_shape = [3]");
  REFUSED("layer_norm.bias", ops::layer_norm(x, {3}, ones({3}), ones({5})),
          "Expected bias to be of same shape as normalized_shape, but got bias of shape [5] and normalized_shape = [3]");
  REFUSED("layer_norm_backward.grad_output",
          ops::layer_norm_backward(zeros({2, 4, 2}), x, {3}, {}, {.output = x, .mean = zeros({8}), .inv_std = ones({8})}), "");
  REFUSED("layer_norm_backward.input",
          ops::layer_norm_backward(x, zeros({2, 4, 5}), {3}, {}, {.output = x, .mean = zeros({8}), .inv_std = ones({8})}), "");
  REFUSED("layer_norm_backward.normalized_shape",
          ops::layer_norm_backward(x, x, {5}, {}, {.output = x, .mean = zeros({8}), .inv_std = ones({8})}), "");
  REFUSED("layer_norm_backward.weight",
          ops::layer_norm_backward(x, x, {3}, ones({4}), {.output = x, .mean = zeros({8}), .inv_std = ones({8})}), "");
  REFUSED("layer_norm_backward.forward",
          ops::layer_norm_backward(x, x, {3}, {}, {.output = x, .mean = zeros({7}), .inv_std = ones({8})}), "");
  REFUSED("softmax.input", ops::softmax(indices({3, 4}), 1), "");
  REFUSED("softmax.dim", ops::softmax(zeros({3, 4}), 2), "Dimension out of range (expected to be in range of [-2, 1], but got 2)");
  REFUSED("softmax.dim", ops::softmax(zeros({3, 4}), std::numeric_limits<int64_t>::min()),
          "Dimension out of range (expected to be in range of [-2, 1], but got -9223372036854775808)");
  REFUSED("log_softmax.input", ops::log_softmax(indices({3, 4}), 1), "");
  REFUSED("log_softmax.dim", ops::log_softmax(zeros({3, 4}), -3),
          "Dimension out of range (expected to be in range of [-2, 1], but got -3)");
  REFUSED("softmax_backward.grad_output", ops::softmax_backward(zeros({3, 5}), zeros({3, 4}), 1), "");
  REFUSED("softmax_backward.output", ops::softmax_backward(zeros({3, 4}), {}, 1), "");
  REFUSED("softmax_backward.dim", ops::softmax_backward(zeros({3, 4}), zeros({3, 4}), 2), "Dimension out of range");
  REFUSED("log_softmax_backward.grad_output", ops::log_softmax_backward(zeros({3, 5}), zeros({3, 4}), 1), "");
  REFUSED("log_softmax_backward.output", ops::log_softmax_backward(zeros({3, 4}), {}, 1), "");
  REFUSED("log_softmax_backward.dim", ops::log_softmax_backward(zeros({3, 4}), zeros({3, 4}), 2), "Dimension out of range");
  return rows;
}

}  // namespace convoy::robustness
