#include "convoy/ops/elementwise.h"

#include <algorithm>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/elementwise/activation.h"
#include "convoy/kernels/elementwise/arithmetic.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/math.h"
#include "convoy/ops/reduce.h"
#include "convoy/ops/wide.h"

namespace convoy {

namespace {

// The function's name in PyTorch's refusal of a type.
const char* kernel_name(Activation kind) {
  switch (kind) {
    case Activation::kRelu:
      return "relu_cpu";
    case Activation::kRelu6:
    case Activation::kHardtanh:
      return "hardtanh_cpu";
    case Activation::kLeakyRelu:
      return "leaky_relu_cpu";
    case Activation::kElu:
      return "elu_cpu";
    case Activation::kSilu:
      return "silu_cpu";
    case Activation::kGelu:
      return "GeluKernelImpl";
    case Activation::kHardswish:
      return "hardswish_cpu";
    case Activation::kHardsigmoid:
      return "hardsigmoid_cpu";
    case Activation::kSigmoid:
      return "sigmoid_cpu";
    case Activation::kTanh:
      return "tanh_cpu";
    case Activation::kSoftplus:
      return "softplus_cpu";
    case Activation::kMish:
      return "mish_cpu";
    case Activation::kSelu:
    case Activation::kCelu:
      return "elu_cpu";
    case Activation::kSoftsign:
      return "softsign_cpu";
    case Activation::kGeluTanh:
      return "GeluKernelImpl";
    case Activation::kThreshold:
      return "threshold_cpu";
    case Activation::kShrink:
      return "softshrink_cpu";
    case Activation::kHardsigmoidOf:
      return "hardsigmoid_cpu";
  }
  return "activation";
}

const char* kernel_name(Arithmetic kind) {
  constexpr const char* kNames[] = {"add_cpu",       "sub_cpu",  "mul_cpu", "div_true_cpu", "div_trunc_cpu", "div_floor_cpu",
                                    "remainder_cpu", "fmod_cpu", "pow",     "minimum_cpu",  "maximum_cpu",   "prelu_cpu"};
  return kNames[static_cast<size_t>(kind)];
}

// Rows of a few values spend their time on beginning: an operand of one value a row is written out, if it is met again and again.
Tensor written_out(const Tensor& operand, const Shape& shape) {
  constexpr int64_t kFew = 64;
  Shape wider = operand.shape();
  int64_t row = 1;
  for (size_t back = 1; back <= wider.size() && wider[wider.size() - back] == 1; ++back) {
    row *= wider[wider.size() - back] = shape[shape.size() - back];
  }
  const bool often = operand.numel() > 0 && row > 0 && numel(shape) / operand.numel() / row >= 3;
  return row > 1 && row < kFew && often ? ops::expand(operand, wider) : operand;
}

bool divides(Arithmetic kind) {
  return kind == Arithmetic::kDivTrunc || kind == Arithmetic::kDivFloor || kind == Arithmetic::kRemainder ||
         kind == Arithmetic::kFmod;
}

}  // namespace

namespace ops {

Tensor activation(Activation kind, const Tensor& input, const ActivationOptions& options) {
  check_floating(input, kernel_name(kind));
  Tensor output = Tensor::empty(input.shape(), input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::activation(kind, options, input.data<T>(), output.data<T>(), input.numel());
  });
  return output;
}

Tensor activation_backward(Activation kind, const Tensor& grad_output, const Tensor& input, const ActivationOptions& options) {
  check_floating(input, kernel_name(kind));
  check_gradient(grad_output, input);
  Tensor grad_input = Tensor::empty(input.shape(), input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::activation_backward(kind, options, grad_output.data<T>(), input.data<T>(), grad_input.data<T>(), input.numel());
  });
  return grad_input;
}

Tensor activation_backward_from_output(Activation kind, const Tensor& grad_output, const Tensor& output) {
  if (kind != Activation::kSigmoid && kind != Activation::kTanh) {
    raise<ValueError>("activation_backward_from_output takes sigmoid and tanh\nactivation_backward takes the input of any");
  }
  check_floating(output, kernel_name(kind));
  check_gradient(grad_output, output);
  Tensor grad_input = Tensor::empty(output.shape(), output.dtype());
  with_floating(output.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::activation_backward_from_output(kind, grad_output.data<T>(), output.data<T>(), grad_input.data<T>(), output.numel());
  });
  return grad_input;
}

Tensor relu(const Tensor& input) { return activation(Activation::kRelu, input); }
Tensor relu6(const Tensor& input) { return activation(Activation::kRelu6, input); }
Tensor leaky_relu(const Tensor& input, double negative_slope) {
  return activation(Activation::kLeakyRelu, input, {negative_slope, 0});
}
Tensor elu(const Tensor& input, double alpha) { return activation(Activation::kElu, input, {alpha, 0}); }
Tensor silu(const Tensor& input) { return activation(Activation::kSilu, input); }
Tensor gelu(const Tensor& input) { return activation(Activation::kGelu, input); }
Tensor hardswish(const Tensor& input) { return activation(Activation::kHardswish, input); }
Tensor hardsigmoid(const Tensor& input) { return activation(Activation::kHardsigmoid, input); }
Tensor sigmoid(const Tensor& input) { return activation(Activation::kSigmoid, input); }
Tensor tanh(const Tensor& input) { return activation(Activation::kTanh, input); }
Tensor softplus(const Tensor& input, double beta, double threshold) {
  return activation(Activation::kSoftplus, input, {beta, threshold});
}
Tensor mish(const Tensor& input) { return activation(Activation::kMish, input); }
Tensor hardtanh(const Tensor& input, double min_val, double max_val) {
  return activation(Activation::kHardtanh, input, {min_val, max_val});
}
Tensor prelu(const Tensor& input, const Tensor& weight) { return arithmetic(Arithmetic::kPrelu, input, weight); }

Shape broadcast_shape(const Shape& a, const Shape& b) {
  const size_t rank = std::max(a.size(), b.size());
  Shape shape(rank);
  for (size_t back = 1; back <= rank; ++back) {
    const int64_t an = back <= a.size() ? a[a.size() - back] : 1;
    const int64_t bn = back <= b.size() ? b[b.size() - back] : 1;
    if (an != bn && an != 1 && bn != 1) {
      raise<ShapeMismatch>(
          "The size of tensor a ({}) must match the size of tensor b ({}) at non-singleton dimension {}\n"
          "the shapes are {} and {}: aligned at the last axis, sizes must be equal or 1",
          an, bn, rank - back, a, b);
    }
    shape[rank - back] = an == 1 ? bn : an;
  }
  return shape;
}

Tensor arithmetic(Arithmetic kind, const Tensor& a, const Tensor& b) {
  check_type(b, a.dtype());
  const Shape shape = broadcast_shape(a.shape(), b.shape());
  const bool integer = !is_floating(a.dtype());
  if (a.dtype() == DType::kBool) refuse_type(a.dtype(), kernel_name(kind));
  if (integer && kind == Arithmetic::kDiv) return arithmetic(kind, a.to(DType::kFloat32), b.to(DType::kFloat32));
  if (const DType wide = wide_type(a.dtype()); wide != a.dtype()) return arithmetic(kind, a.to(wide), b.to(wide)).to(a.dtype());
  Tensor output = Tensor::empty(shape, a.dtype());
  const Tensor left = written_out(a, shape), right = written_out(b, shape);
  const auto loop = kernels::make_broadcast<2>({&left.shape(), &right.shape()});
  with_wide(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (integer && divides(kind) && output.numel() > 0 &&
        std::find(b.data<T>(), b.data<T>() + b.numel(), T(0)) != b.data<T>() + b.numel()) {
      raise<Error>("ZeroDivisionError\nthe divisor has a 0 in it, and the quotient of integers by it has no value");
    }
    kernels::arithmetic(kind, loop, left.data<T>(), right.data<T>(), output.data<T>());
  });
  return output;
}

Tensor sum_to(const Tensor& gradient, const Shape& shape) {
  if (gradient.shape() == shape) return gradient;
  const int64_t extra = gradient.dim() - static_cast<int64_t>(shape.size());
  std::vector<int64_t> dims;
  for (int64_t axis = 0; axis < gradient.dim(); ++axis) {
    const int64_t size = gradient.shape()[static_cast<size_t>(axis)];
    const int64_t wanted = axis < extra ? 1 : shape[static_cast<size_t>(axis - extra)];
    if (extra < 0 || (wanted != size && wanted != 1)) {
      raise<ShapeMismatch>(
          "size {{}} is not expandable to size {{}}.\n"
          "trailing sizes must be equal, or 1 in the smaller shape",
          shape, gradient.shape());
    }
    if (axis < extra || wanted != size) dims.push_back(axis);
  }
  if (extra < 0)
    raise<ShapeMismatch>(
        "size {{}} is not expandable to size {{}}.\n"
        "trailing sizes must be equal, or 1 in the smaller shape",
        shape, gradient.shape());
  return (dims.empty() ? gradient : sum(gradient, dims, true)).reshape(shape);
}

Tensor add(const Tensor& a, const Tensor& b) { return arithmetic(Arithmetic::kAdd, a, b); }
Tensor sub(const Tensor& a, const Tensor& b) { return arithmetic(Arithmetic::kSub, a, b); }
Tensor mul(const Tensor& a, const Tensor& b) { return arithmetic(Arithmetic::kMul, a, b); }
Tensor div(const Tensor& a, const Tensor& b) { return arithmetic(Arithmetic::kDiv, a, b); }
Tensor square(const Tensor& input) { return mul(input, input); }

Tensor sqrt(const Tensor& input) { return unary(Unary::kSqrt, input); }

Tensor affine(const Tensor& input, double scale, double shift) {
  if (!is_float_or_double(input.dtype())) return affine(input.to(DType::kFloat32), scale, shift);
  if (shift == 0) return mul(input, Tensor::scalar(scale, input.dtype()));  // adding 0 would lose the sign of -0
  Tensor output = Tensor::empty(input.shape(), input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::affine(input.data<T>(), scale, shift, output.data<T>(), input.numel());
  });
  return output;
}

void add_(Tensor& target, const Tensor& values, double scale) {
  check_type(values, target.dtype());
  check_floating(target, "add_");
  if (target.shape() != values.shape()) {
    const Shape shape = broadcast_shape(target.shape(), values.shape());
    if (shape != target.shape()) {
      raise<ShapeMismatch>(
          "output with shape {} doesn't match the broadcast shape {}\n"
          "the values have shape {}",
          target.shape(), shape, values.shape());
    }
    return add_(target, expand(values, shape), scale);
  }
  with_floating(target.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::add_scaled(target.data<T>(), values.data<T>(), scale, target.numel());
  });
}

}  // namespace ops

Tensor operator+(const Tensor& a, const Tensor& b) { return ops::add(a, b); }
Tensor operator-(const Tensor& a, const Tensor& b) { return ops::sub(a, b); }
Tensor operator*(const Tensor& a, const Tensor& b) { return ops::mul(a, b); }
Tensor operator/(const Tensor& a, const Tensor& b) { return ops::div(a, b); }
Tensor operator*(double scale, const Tensor& a) { return ops::affine(a, scale, 0.0); }
Tensor operator*(const Tensor& a, double scale) { return ops::affine(a, scale, 0.0); }
Tensor operator+(const Tensor& a, double shift) { return ops::affine(a, 1.0, shift); }
Tensor operator-(const Tensor& a, double shift) { return ops::affine(a, 1.0, -shift); }
Tensor operator-(const Tensor& a) { return ops::affine(a, -1.0, 0.0); }
Tensor& operator+=(Tensor& a, const Tensor& b) {
  ops::add_(a, b);
  return a;
}
Tensor& operator-=(Tensor& a, const Tensor& b) {
  ops::add_(a, b, -1.0);
  return a;
}
Tensor& operator*=(Tensor& a, double scale) {
  a.copy_(ops::affine(a, scale, 0.0));
  return a;
}

}  // namespace convoy
