// Reductions, softmax and what joins or cuts tensors.
#pragma once

#include <cstdint>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy {

/// kL1 sum |x|, kL2 sqrt(sum x^2), kLogSum log(sum x), kLogSumExp log(sum exp(x)) without overflow, kSumSquare sum x^2.
enum class ReduceKind : uint8_t { kSum, kMean, kMax, kMin, kProd, kL1, kL2, kLogSum, kLogSumExp, kSumSquare };

namespace ops {

/// Sum and mean of all elements: a scalar. Pairwise, in an order that depends on the element count alone.
Tensor sum(const Tensor& input);
Tensor mean(const Tensor& input);
/// Over the given axes (negative count from the end); keepdim keeps them as 1. mean of nothing is NaN.
Tensor sum(const Tensor& input, const std::vector<int64_t>& dims, bool keepdim = false);
Tensor mean(const Tensor& input, const std::vector<int64_t>& dims, bool keepdim = false);
/// Index of the largest (smallest) value along an axis, the first of equals, or the last if select_last; the first NaN beats all.
/// int64. Any type. Source: torch.argmax, argmin; ONNX ArgMax, ArgMin.
Tensor argmax(const Tensor& input, int64_t dim, bool keepdim = false, bool select_last = false);
Tensor argmin(const Tensor& input, int64_t dim, bool keepdim = false, bool select_last = false);
/// Over the given axes (all if there are none), in the input's type. Sums of floats are taken in double, integers wrap, NaN stays,
/// and the mean of integers is cut. Over nothing: 0, 1 for kProd, the type's least or greatest value (the infinities) for kMax and
/// kMin, NaN for kMean. Any type but bool, which kMax and kMin take. Source: torch.sum, mean, amax, amin, prod, norm, logsumexp;
/// ONNX Reduce*.
Tensor reduce(ReduceKind kind, const Tensor& input, const std::vector<int64_t>& dims, bool keepdim = false);

/// Source: torch.nn.functional.softmax, log_softmax. The backward functions take the forward's output.
Tensor softmax(const Tensor& input, int64_t dim);
Tensor softmax_backward(const Tensor& grad_output, const Tensor& output, int64_t dim);
Tensor log_softmax(const Tensor& input, int64_t dim);
Tensor log_softmax_backward(const Tensor& grad_output, const Tensor& output, int64_t dim);

/// Joins along an axis. Errors: PyTorch's words ("Sizes of tensors must match except in dimension 1. ...").
Tensor concat(const std::vector<Tensor>& tensors, int64_t dim = 0);
/// Entries [start, start + length) of an axis, copied. Source: torch.narrow.
Tensor narrow(const Tensor& input, int64_t dim, int64_t start, int64_t length);
/// Axes [start_dim, end_dim] become one. Source: torch.flatten.
Tensor flatten(const Tensor& input, int64_t start_dim = 0, int64_t end_dim = -1);
/// The axes in another order, copied. Source: torch.permute.
Tensor permute(const Tensor& input, const std::vector<int64_t>& order);
/// Copies to a larger shape along axes of size 1. Source: torch.Tensor.expand.
Tensor expand(const Tensor& input, const Shape& shape);

}  // namespace ops
}  // namespace convoy
