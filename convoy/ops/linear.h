// Matrix products.
#pragma once

#include <utility>

#include "convoy/core/tensor.h"

namespace convoy {

struct LinearGradients {
  Tensor input, weight, bias;
};

namespace ops {

/// output = input weight^T + bias. Shapes: input (*, in_features), weight (out_features, in_features), bias (out_features) or
/// undefined. Errors: "mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)". Source: torch.nn.functional.linear.
Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias = {});
LinearGradients linear_backward(const Tensor& grad_output, const Tensor& input, const Tensor& weight, bool needs_input = true,
                                bool needs_weight = true, bool needs_bias = true);

/// Matrix product with PyTorch's rules for 1, 2 and more axes (leading axes are broadcast). Any type but bool: integers wrap,
/// 16-bit floats are computed in float32 and rounded once. Source: torch.matmul.
Tensor matmul(const Tensor& a, const Tensor& b);
/// alpha a' b' + beta c, with a' = a or its transpose, and c, if it is defined, broadcast to (rows, columns). Shapes: a' (rows,
/// depth), b' (depth, columns). Types as matmul; integers are multiplied by alpha and beta in float64. Errors: those of matmul and
/// torch.expand. Source: torch.addmm, ONNX Gemm.
struct GemmOptions {
  bool transpose_a = false, transpose_b = false;
  double alpha = 1, beta = 1;
};
Tensor gemm(const Tensor& a, const Tensor& b, const Tensor& c = {}, const GemmOptions& options = {});
/// Gradients of matmul with respect to a (first) and b (second).
std::pair<Tensor, Tensor> matmul_backward(const Tensor& grad_output, const Tensor& a, const Tensor& b);

}  // namespace ops
}  // namespace convoy
