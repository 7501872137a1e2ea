#include "convoy/autograd/functions.h"

namespace convoy {

Variable activation(Activation kind, const Variable& input, const ActivationOptions& options) {
  if (kind == Activation::kSigmoid || kind == Activation::kTanh) {
    const Tensor y = ops::activation(kind, input.data(), options);
    return record(y, {input}, [=](const Tensor& grad_output) -> std::vector<Tensor> {
      return {ops::activation_backward_from_output(kind, grad_output, y)};
    });
  }
  return record(ops::activation(kind, input.data(), options), {input},
                [=, x = input.data()](const Tensor& grad_output) -> std::vector<Tensor> {
                  return {ops::activation_backward(kind, grad_output, x, options)};
                });
}

Variable relu(const Variable& input) { return activation(Activation::kRelu, input); }
Variable relu6(const Variable& input) { return activation(Activation::kRelu6, input); }
Variable leaky_relu(const Variable& input, double negative_slope) {
  return activation(Activation::kLeakyRelu, input, {.a = negative_slope});
}
Variable elu(const Variable& input, double alpha) { return activation(Activation::kElu, input, {.a = alpha}); }
Variable silu(const Variable& input) { return activation(Activation::kSilu, input); }
Variable gelu(const Variable& input) { return activation(Activation::kGelu, input); }
Variable hardswish(const Variable& input) { return activation(Activation::kHardswish, input); }
Variable hardsigmoid(const Variable& input) { return activation(Activation::kHardsigmoid, input); }
Variable sigmoid(const Variable& input) { return activation(Activation::kSigmoid, input); }
Variable tanh(const Variable& input) { return activation(Activation::kTanh, input); }
Variable softplus(const Variable& input, double beta, double threshold) {
  return activation(Activation::kSoftplus, input, {.a = beta, .b = threshold});
}
Variable mish(const Variable& input) { return activation(Activation::kMish, input); }
Variable hardtanh(const Variable& input, double min_val, double max_val) {
  return activation(Activation::kHardtanh, input, {.a = min_val, .b = max_val});
}

Variable add(const Variable& a, const Variable& b) {
  return record(
      ops::add(a.data(), b.data()), {a, b},
      [a_shape = a.shape(), b_shape = b.shape(), needs_a = a.requires_grad(),
       needs_b = b.requires_grad()](const Tensor& grad_output) -> std::vector<Tensor> {
        return {needs_a ? ops::sum_to(grad_output, a_shape) : Tensor(), needs_b ? ops::sum_to(grad_output, b_shape) : Tensor()};
      });
}

Variable sub(const Variable& a, const Variable& b) {
  return record(
      ops::sub(a.data(), b.data()), {a, b},
      [a_shape = a.shape(), b_shape = b.shape(), needs_a = a.requires_grad(),
       needs_b = b.requires_grad()](const Tensor& grad_output) -> std::vector<Tensor> {
        return {needs_a ? ops::sum_to(grad_output, a_shape) : Tensor(), needs_b ? -ops::sum_to(grad_output, b_shape) : Tensor()};
      });
}

// A factor is saved only for the gradient of the other one.
Variable mul(const Variable& a, const Variable& b) {
  return record(ops::mul(a.data(), b.data()), {a, b},
                [x = b.requires_grad() ? a.data() : Tensor(), y = a.requires_grad() ? b.data() : Tensor(), a_shape = a.shape(),
                 b_shape = b.shape()](const Tensor& grad_output) -> std::vector<Tensor> {
                  return {y.defined() ? ops::sum_to(ops::mul(grad_output, y), a_shape) : Tensor(),
                          x.defined() ? ops::sum_to(ops::mul(grad_output, x), b_shape) : Tensor()};
                });
}

Variable div(const Variable& a, const Variable& b) {
  return record(ops::div(a.data(), b.data()), {a, b},
                [x = b.requires_grad() ? a.data() : Tensor(), y = b.data(), a_shape = a.shape(), b_shape = b.shape(),
                 needs_a = a.requires_grad()](const Tensor& grad_output) -> std::vector<Tensor> {
                  return {needs_a ? ops::sum_to(ops::div(grad_output, y), a_shape) : Tensor(),
                          x.defined() ? ops::sum_to(ops::mul(-grad_output, ops::div(ops::div(x, y), y)), b_shape) : Tensor()};
                });
}

Variable square(const Variable& input) {
  return record(ops::square(input.data()), {input},
                [x = input.data()](const Tensor& grad_output) -> std::vector<Tensor> { return {ops::mul(grad_output, 2.0 * x)}; });
}

Variable operator+(const Variable& a, const Variable& b) { return add(a, b); }
Variable operator-(const Variable& a, const Variable& b) { return sub(a, b); }
Variable operator*(const Variable& a, const Variable& b) { return mul(a, b); }
Variable operator/(const Variable& a, const Variable& b) { return div(a, b); }

Variable operator*(double scale, const Variable& a) {
  return record(scale * a.data(), {a}, [=](const Tensor& grad_output) -> std::vector<Tensor> { return {scale * grad_output}; });
}
Variable operator*(const Variable& a, double scale) { return scale * a; }

Variable operator+(const Variable& a, double shift) {
  return record(a.data() + shift, {a}, [](const Tensor& grad_output) -> std::vector<Tensor> { return {grad_output}; });
}
Variable operator+(double shift, const Variable& a) { return a + shift; }
Variable operator-(const Variable& a, double shift) {
  return record(a.data() - shift, {a}, [](const Tensor& grad_output) -> std::vector<Tensor> { return {grad_output}; });
}
Variable operator-(double shift, const Variable& a) {
  return record(ops::affine(a.data(), -1, shift), {a},
                [](const Tensor& grad_output) -> std::vector<Tensor> { return {-grad_output}; });
}
Variable operator/(const Variable& a, double divisor) { return div(a, Tensor::scalar(divisor, a.dtype())); }
Variable operator-(const Variable& a) {
  return record(-a.data(), {a}, [](const Tensor& grad_output) -> std::vector<Tensor> { return {-grad_output}; });
}

}  // namespace convoy
