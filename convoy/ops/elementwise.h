// Elementwise functions: activations and arithmetic.
#pragma once

#include "convoy/core/elementwise.h"
#include "convoy/core/tensor.h"

namespace convoy {

namespace ops {

/// Any shape, float32 or float64. Source: torch.nn.functional.relu, relu6, leaky_relu, elu, silu, gelu (erf), hardswish,
/// hardsigmoid, sigmoid, tanh, softplus, mish, hardtanh of PyTorch 1.13.
Tensor activation(Activation kind, const Tensor& input, const ActivationOptions& options = {});
Tensor activation_backward(Activation kind, const Tensor& grad_output, const Tensor& input, const ActivationOptions& options = {});
/// The same of kSigmoid and kTanh (others throw) from the output instead of the input, in a third of the time.
Tensor activation_backward_from_output(Activation kind, const Tensor& grad_output, const Tensor& output);

Tensor relu(const Tensor& input);
Tensor relu6(const Tensor& input);
Tensor leaky_relu(const Tensor& input, double negative_slope = 0.01);
Tensor elu(const Tensor& input, double alpha = 1.0);
Tensor silu(const Tensor& input);
Tensor gelu(const Tensor& input);
Tensor hardswish(const Tensor& input);
Tensor hardsigmoid(const Tensor& input);
Tensor sigmoid(const Tensor& input);
Tensor tanh(const Tensor& input);
Tensor softplus(const Tensor& input, double beta = 1.0, double threshold = 20.0);
Tensor mish(const Tensor& input);
Tensor hardtanh(const Tensor& input, double min_val = -1.0, double max_val = 1.0);
/// input >= 0 ? input : input * weight, the weight broadcast as in arithmetic. Any numeric type. torch's prelu has one weight per
/// channel: reshape it to (C, 1, ..., 1) first.
Tensor prelu(const Tensor& input, const Tensor& weight);

/// Shapes: broadcast as in PyTorch. Types: equal, any but bool; kDiv of integers is float32, other integer results wrap.
/// float16 and bfloat16 are computed in float32 and rounded once.
/// Errors: "ZeroDivisionError" for an integer divided by 0; "\"add_cpu\" not implemented for 'Bool'"; "The size of tensor a (3)
/// must match the size of tensor b (4) at non-singleton dimension 1"; "expected scalar type Float but found Double".
Tensor arithmetic(Arithmetic kind, const Tensor& a, const Tensor& b);
/// The shape that two shapes broadcast to. Errors: as arithmetic.
Shape broadcast_shape(const Shape& a, const Shape& b);
/// Sums `gradient` over the axes along which `shape` was broadcast to it.
Tensor sum_to(const Tensor& gradient, const Shape& shape);
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor square(const Tensor& input);
Tensor sqrt(const Tensor& input);
/// input * scale + shift.
Tensor affine(const Tensor& input, double scale, double shift);
/// target += scale * values, in place; equal shapes and types.
void add_(Tensor& target, const Tensor& values, double scale = 1.0);

}  // namespace ops

Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);
Tensor operator*(double scale, const Tensor& a);
Tensor operator*(const Tensor& a, double scale);
Tensor operator+(const Tensor& a, double shift);
Tensor operator-(const Tensor& a, double shift);
Tensor operator-(const Tensor& a);
Tensor& operator+=(Tensor& a, const Tensor& b);
Tensor& operator-=(Tensor& a, const Tensor& b);
Tensor& operator*=(Tensor& a, double scale);

}  // namespace convoy
