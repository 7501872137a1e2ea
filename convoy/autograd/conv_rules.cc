#include "convoy/autograd/functions.h"

namespace convoy {

namespace {

ConvNeeds needs_of(const Variable& input, const Variable& weight, const Variable& bias) {
  return {.input = input.requires_grad(), .weight = weight.requires_grad(), .bias = bias.requires_grad()};
}

bool trains(const Variable& weight) { return grad_enabled() && weight.requires_grad(); }

std::vector<Tensor> as_list(ConvGradients gradients) {
  return {std::move(gradients.input), std::move(gradients.weight), std::move(gradients.bias)};
}

}  // namespace

Variable conv(int rank, const Variable& input, const Variable& weight, const Variable& bias, const ConvOptions& options) {
  return record(ops::conv(rank, input.data(), weight.data(), bias.data(), options, trains(weight)), {input, weight, bias},
                [=, x = input.data(), w = weight.data(), needs = needs_of(input, weight, bias)](const Tensor& grad_output) {
                  return as_list(ops::conv_backward(rank, grad_output, x, w, options, needs));
                });
}

Variable conv1d(const Variable& input, const Variable& weight, const Variable& bias, const ConvOptions& options) {
  return conv(1, input, weight, bias, options);
}
Variable conv2d(const Variable& input, const Variable& weight, const Variable& bias, const ConvOptions& options) {
  return conv(2, input, weight, bias, options);
}
Variable conv3d(const Variable& input, const Variable& weight, const Variable& bias, const ConvOptions& options) {
  return conv(3, input, weight, bias, options);
}

Variable conv_transpose(int rank, const Variable& input, const Variable& weight, const Variable& bias,
                        const ConvTransposeOptions& options) {
  return record(ops::conv_transpose(rank, input.data(), weight.data(), bias.data(), options, trains(weight)), {input, weight, bias},
                [=, x = input.data(), w = weight.data(), needs = needs_of(input, weight, bias)](const Tensor& grad_output) {
                  return as_list(ops::conv_transpose_backward(rank, grad_output, x, w, options, needs));
                });
}

Variable conv_transpose1d(const Variable& input, const Variable& weight, const Variable& bias,
                          const ConvTransposeOptions& options) {
  return conv_transpose(1, input, weight, bias, options);
}
Variable conv_transpose2d(const Variable& input, const Variable& weight, const Variable& bias,
                          const ConvTransposeOptions& options) {
  return conv_transpose(2, input, weight, bias, options);
}
Variable conv_transpose3d(const Variable& input, const Variable& weight, const Variable& bias,
                          const ConvTransposeOptions& options) {
  return conv_transpose(3, input, weight, bias, options);
}

}  // namespace convoy
