#include "convoy/autograd/functions.h"

namespace convoy {

Variable linear(const Variable& input, const Variable& weight, const Variable& bias) {
  return record(ops::linear(input.data(), weight.data(), bias.data()), {input, weight, bias},
                [x = input.data(), w = weight.data(), needs_input = input.requires_grad(), needs_weight = weight.requires_grad(),
                 needs_bias = bias.requires_grad()](const Tensor& grad_output) -> std::vector<Tensor> {
                  LinearGradients gradients = ops::linear_backward(grad_output, x, w, needs_input, needs_weight, needs_bias);
                  return {std::move(gradients.input), std::move(gradients.weight), std::move(gradients.bias)};
                });
}

Variable matmul(const Variable& a, const Variable& b) {
  return record(ops::matmul(a.data(), b.data()), {a, b},
                [x = a.data(), y = b.data()](const Tensor& grad_output) -> std::vector<Tensor> {
                  std::pair<Tensor, Tensor> gradients = ops::matmul_backward(grad_output, x, y);
                  return {std::move(gradients.first), std::move(gradients.second)};
                });
}

}  // namespace convoy
