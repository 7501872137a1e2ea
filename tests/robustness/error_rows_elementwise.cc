// Rows of the error table: elementwise.h, reduce.h and linear.h.
#include <limits>
#include <map>
#include <string>

#include "convoy/ops/einsum.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/linear.h"
#include "convoy/ops/reduce.h"
#include "tests/robustness/error_rows.h"

namespace convoy::robustness {

namespace {

Tensor add_to(Tensor target, const Tensor& values) {
  ops::add_(target, values);
  return target;
}

}  // namespace

Rows elementwise_rows() {
  Rows rows;
  using Unary = Tensor (*)(const Tensor&);
  for (const auto& [name, function] : std::map<std::string, Unary>{{"relu", ops::relu},
                                                                   {"relu6", ops::relu6},
                                                                   {"silu", ops::silu},
                                                                   {"gelu", ops::gelu},
                                                                   {"hardswish", ops::hardswish},
                                                                   {"hardsigmoid", ops::hardsigmoid},
                                                                   {"sigmoid", ops::sigmoid},
                                                                   {"tanh", ops::tanh},
                                                                   {"mish", ops::mish},
                                                                   {"square", ops::square},
                                                                   {"sqrt", ops::sqrt}}) {
    const Unary f = function;
    REFUSED(name + ".input", f({}), "");
  }
  REFUSED("leaky_relu.input", ops::leaky_relu({}), "");
  REFUSED("elu.input", ops::elu({}), "");
  REFUSED("softplus.input", ops::softplus({}), "");
  REFUSED("hardtanh.input", ops::hardtanh({}), "");
  REFUSED("affine.input", ops::affine({}, 1, 0), "");
  REFUSED("activation.input", ops::activation(Activation::kGelu, indices({3})), "");
  REFUSED("activation_backward.grad_output", ops::activation_backward(Activation::kGelu, zeros({4}), zeros({3})), "");
  REFUSED("activation_backward.input", ops::activation_backward(Activation::kGelu, zeros({3}), {}), "");
  REFUSED("activation_backward_from_output.kind", ops::activation_backward_from_output(Activation::kGelu, zeros({3}), zeros({3})),
          "");
  REFUSED("activation_backward_from_output.grad_output",
          ops::activation_backward_from_output(Activation::kTanh, zeros({4}), zeros({3})), "");
  REFUSED("activation_backward_from_output.output", ops::activation_backward_from_output(Activation::kTanh, zeros({3}), {}), "");
  using Binary = Tensor (*)(const Tensor&, const Tensor&);
  for (const auto& [name, function] :
       std::map<std::string, Binary>{{"add", ops::add}, {"sub", ops::sub}, {"mul", ops::mul}, {"div", ops::div}}) {
    const Binary f = function;
    REFUSED(name + ".a", f({}, zeros({3})), "");
    REFUSED(name + ".b", f(zeros({3, 4}), zeros({3, 5})),
            "The size of tensor a (4) must match the size of tensor b (5) at non-singleton dimension 1");
  }
  REFUSED("arithmetic.a", ops::arithmetic(Arithmetic::kAdd, {}, zeros({3})), "");
  REFUSED("arithmetic.b", ops::arithmetic(Arithmetic::kAdd, zeros({3}), doubles({3})), "");
  REFUSED("sum_to.gradient", ops::sum_to({}, {3}), "");
  REFUSED("sum_to.shape", ops::sum_to(zeros({4, 3}), {4}), "");
  REFUSED("add_.target", add_to(Tensor(), zeros({3})), "");
  REFUSED("add_.values", add_to(zeros({3}), zeros({4})), "");
  REFUSED("sum.input", ops::sum(Tensor()), "");
  REFUSED("sum.dims", ops::sum(zeros({3, 4}), {2}), "Dimension out of range (expected to be in range of [-2, 1], but got 2)");
  REFUSED("sum.dims", ops::sum(zeros({3, 4}), {0, 0}), "dim 0 appears multiple times in the list of dims");
  REFUSED("mean.input", ops::mean(Tensor()), "");
  REFUSED("mean.dims", ops::mean(zeros({3, 4}), {std::numeric_limits<int64_t>::max()}), "Dimension out of range");
  REFUSED("argmax.input", ops::argmax(zeros({3, 0}), 1), "Expected reduction dim 1 to have non-zero size.");
  REFUSED("argmax.dim", ops::argmax(zeros({3, 4}), 2), "Dimension out of range (expected to be in range of [-2, 1], but got 2)");
  REFUSED("concat.tensors", ops::concat({}, 0), "expected a non-empty list of Tensors");
  REFUSED("concat.dim", ops::concat({zeros({2, 3})}, 2), "Dimension out of range (expected to be in range of [-2, 1], but got 2)");
  REFUSED("narrow.input", ops::narrow({}, 0, 0, 0), "");
  REFUSED("narrow.dim", ops::narrow(zeros({3, 4}), 2, 0, 1),
          "Dimension out of range (expected to be in range of [-2, 1], but got 2)");
  REFUSED("narrow.start", ops::narrow(zeros({3, 4}), 0, -4, 1), "");
  REFUSED("narrow.start", ops::narrow(zeros({3, 4}), 0, std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max()),
          "");
  REFUSED("narrow.length", ops::narrow(zeros({3, 4}), 0, 2, 2), "start (2) + length (2) exceeds dimension size (3).");
  REFUSED("narrow.length", ops::narrow(zeros({3, 4}), 0, 0, -1), "");
  REFUSED("flatten.input", ops::flatten({}), "");
  REFUSED("flatten.start_dim", ops::flatten(zeros({3, 4}), 5),
          "Dimension out of range (expected to be in range of [-2, 1], but got 5)");
  REFUSED("flatten.end_dim", ops::flatten(zeros({3, 4}), 1, 0), "flatten() has invalid args: start_dim cannot come after end_dim");
  REFUSED("permute.input", ops::permute({}, {0}), "");
  REFUSED("permute.order", ops::permute(zeros({3, 4}), {0}), "");
  REFUSED("permute.order", ops::permute(zeros({3, 4}), {0, 0}), "");
  REFUSED("permute.order", ops::permute(zeros({3, 4}), {0, std::numeric_limits<int64_t>::min()}), "");
  REFUSED("expand.input", ops::expand({}, {3}), "");
  REFUSED("expand.shape", ops::expand(zeros({3, 4}), {3, 5}),
          "The expanded size of the tensor (5) must match the existing size (4) at non-singleton dimension 1");
  REFUSED("expand.shape", ops::expand(zeros({3, 4}), {4}), "");
  REFUSED("linear.input", ops::linear(zeros({3, 4}), zeros({6, 5})), "mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)");
  REFUSED("linear.weight", ops::linear(zeros({3, 4}), zeros({2, 3, 4})), "");
  REFUSED("linear.bias", ops::linear(zeros({3, 4}), zeros({6, 4}), zeros({5})), "");
  REFUSED("linear_backward.grad_output", ops::linear_backward(zeros({3, 5}), zeros({3, 4}), zeros({6, 4})), "");
  REFUSED("linear_backward.input", ops::linear_backward(zeros({3, 6}), zeros({3, 5}), zeros({6, 4})), "");
  REFUSED("linear_backward.weight", ops::linear_backward(zeros({3, 6}), zeros({3, 4}), zeros({6})), "");
  REFUSED("einsum.equation", ops::einsum("ij,jk->il", {zeros({3, 4}), zeros({4, 5})}),
          "einsum: the equation 'ij,jk->il' has 'l' in the output alone");
  REFUSED("einsum.operands", ops::einsum("ij,jk->ik", {zeros({3, 4}), zeros({5, 6})}),
          "einsum: axes of one label in 'ij,jk->ik' have the sizes 4 and 5");
  REFUSED("matmul.a", ops::matmul(Tensor::scalar(1), zeros({4})),
          "both arguments to matmul need to be at least 1D, but they are 0D and 1D");
  REFUSED("matmul.b", ops::matmul(zeros({3, 4}), zeros({5, 6})), "mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)");
  REFUSED("matmul_backward.grad_output", ops::matmul_backward(zeros({3, 3}), zeros({3, 4}), zeros({4, 5})), "");
  REFUSED("matmul_backward.a", ops::matmul_backward(zeros({3, 5}), zeros({3, 3}), zeros({4, 5})), "");
  REFUSED("matmul_backward.b", ops::matmul_backward(zeros({3, 5}), zeros({3, 4}), {}), "");
  return rows;
}

}  // namespace convoy::robustness
