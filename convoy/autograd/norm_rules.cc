#include "convoy/autograd/functions.h"

namespace convoy {

namespace {

std::vector<Tensor> as_list(NormGradients gradients) {
  return {std::move(gradients.input), std::move(gradients.weight), std::move(gradients.bias)};
}

// Takes the output out of a forward result, so that the tape keeps the statistics alone.
Tensor take_output(NormResult& result) { return std::exchange(result.output, Tensor()); }

}  // namespace

Variable batch_norm(const Variable& input, const Tensor& running_mean, const Tensor& running_var, const Variable& weight,
                    const Variable& bias, const BatchNormOptions& options, const Variable& residual) {
  NormResult result =
      ops::batch_norm(input.data(), running_mean, running_var, weight.data(), bias.data(), options, residual.data());
  Tensor output = result.output;
  if (!result.with_residual || !options.activation) result.output = Tensor();
  return record(
      std::move(output), {input, weight, bias, residual},
      [x = input.data(), w = weight.data(), b = options.activation ? bias.data() : Tensor(), result,
       options](const Tensor& grad_output) -> std::vector<Tensor> {
        NormGradients gradients = ops::batch_norm_backward(grad_output, x, w, b, result, options);
        return {std::move(gradients.input), std::move(gradients.weight), std::move(gradients.bias), std::move(gradients.residual)};
      });
}

Variable group_norm(const Variable& input, int64_t num_groups, const Variable& weight, const Variable& bias, double eps) {
  NormResult result = ops::group_norm(input.data(), num_groups, weight.data(), bias.data(), eps);
  Tensor output = take_output(result);
  return record(std::move(output), {input, weight, bias}, [=, x = input.data(), w = weight.data()](const Tensor& grad_output) {
    return as_list(ops::group_norm_backward(grad_output, x, num_groups, w, result));
  });
}

Variable layer_norm(const Variable& input, const Shape& normalized_shape, const Variable& weight, const Variable& bias,
                    double eps) {
  NormResult result = ops::layer_norm(input.data(), normalized_shape, weight.data(), bias.data(), eps);
  Tensor output = take_output(result);
  return record(std::move(output), {input, weight, bias}, [=, x = input.data(), w = weight.data()](const Tensor& grad_output) {
    return as_list(ops::layer_norm_backward(grad_output, x, normalized_shape, w, result));
  });
}

Variable instance_norm(const Variable& input, const Variable& weight, const Variable& bias, double eps) {
  NormResult result = ops::instance_norm(input.data(), weight.data(), bias.data(), eps);
  Tensor output = take_output(result);
  return record(std::move(output), {input, weight, bias},
                [x = input.data(), w = weight.data(), result, channels = input.size(1)](const Tensor& grad_output) {
                  return as_list(ops::group_norm_backward(grad_output, x, channels, w, result));
                });
}

}  // namespace convoy
