// Reductions, softmax and what joins or cuts tensors.
#pragma once

#include <vector>

#include "convoy/core/tensor.h"

namespace convoy::ops {

/// Sum and mean of all elements: a scalar. Pairwise, in an order that depends on the element count alone.
Tensor sum(const Tensor& input);
Tensor mean(const Tensor& input);
/// Over the given axes (negative count from the end); keepdim keeps them as 1. mean of nothing is NaN.
Tensor sum(const Tensor& input, const std::vector<int64_t>& dims, bool keepdim = false);
Tensor mean(const Tensor& input, const std::vector<int64_t>& dims, bool keepdim = false);
/// Index of the largest value along an axis, the first of equals; int64.
Tensor argmax(const Tensor& input, int64_t dim);

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

}  // namespace convoy::ops
