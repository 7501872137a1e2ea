#include "convoy/autograd/functions.h"

namespace convoy {

namespace {

// `shape` with the reduced axes as 1; no axes means all of them.
Shape kept_shape(Shape shape, const std::vector<int64_t>& dims) {
  if (dims.empty()) return Shape(shape.size(), 1);
  for (const int64_t dim : dims) {
    if (!shape.empty()) shape[static_cast<size_t>(dim < 0 ? dim + static_cast<int64_t>(shape.size()) : dim)] = 1;
  }
  return shape;
}

// The gradient of a sum: the same for every summand.
Tensor spread(const Tensor& grad_output, const Shape& shape, const std::vector<int64_t>& dims) {
  return ops::expand(grad_output.reshape(kept_shape(shape, dims)), shape);
}

Tensor divided(const Tensor& tensor, int64_t count) {
  return ops::div(tensor, Tensor::scalar(static_cast<double>(count), tensor.dtype()));
}

}  // namespace

Variable sum(const Variable& input) {
  return record(ops::sum(input.data()), {input}, [shape = input.shape()](const Tensor& grad_output) -> std::vector<Tensor> {
    return {spread(grad_output, shape, {})};
  });
}

Variable mean(const Variable& input) {
  return record(ops::mean(input.data()), {input}, [shape = input.shape()](const Tensor& grad_output) -> std::vector<Tensor> {
    return {spread(divided(grad_output, numel(shape)), shape, {})};
  });
}

Variable sum(const Variable& input, const std::vector<int64_t>& dims, bool keepdim) {
  return record(
      ops::sum(input.data(), dims, keepdim), {input},
      [=, shape = input.shape()](const Tensor& grad_output) -> std::vector<Tensor> { return {spread(grad_output, shape, dims)}; });
}

Variable mean(const Variable& input, const std::vector<int64_t>& dims, bool keepdim) {
  Tensor value = ops::mean(input.data(), dims, keepdim);
  const int64_t kept = numel(kept_shape(input.shape(), dims));
  const int64_t count = kept == 0 ? 1 : input.numel() / kept;
  return record(std::move(value), {input}, [=, shape = input.shape()](const Tensor& grad_output) -> std::vector<Tensor> {
    return {spread(divided(grad_output, count), shape, dims)};
  });
}

Variable softmax(const Variable& input, int64_t dim) {
  const Tensor output = ops::softmax(input.data(), dim);
  return record(output, {input}, [=](const Tensor& grad_output) -> std::vector<Tensor> {
    return {ops::softmax_backward(grad_output, output, dim)};
  });
}

Variable log_softmax(const Variable& input, int64_t dim) {
  const Tensor output = ops::log_softmax(input.data(), dim);
  return record(output, {input}, [=](const Tensor& grad_output) -> std::vector<Tensor> {
    return {ops::log_softmax_backward(grad_output, output, dim)};
  });
}

}  // namespace convoy
