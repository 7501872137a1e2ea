#include "convoy/autograd/functions.h"

namespace convoy {

namespace {

size_t axis_of(int64_t dim, int64_t rank) { return static_cast<size_t>(dim < 0 ? dim + rank : dim); }

}  // namespace

Variable pad(const Variable& input, const std::vector<int64_t>& padding, PadMode mode, double value) {
  return record(ops::pad(input.data(), padding, mode, value), {input},
                [=, shape = input.shape()](const Tensor& grad_output) -> std::vector<Tensor> {
                  return {ops::pad_backward(grad_output, shape, padding, mode)};
                });
}

Variable concat(const std::vector<Variable>& inputs, int64_t dim) {
  std::vector<Tensor> tensors;
  std::vector<int64_t> lengths;  // along dim
  std::vector<bool> needs;
  tensors.reserve(inputs.size());
  for (const Variable& input : inputs) tensors.push_back(input.data());
  Tensor value = ops::concat(tensors, dim);
  for (const Variable& input : inputs) {
    lengths.push_back(input.shape() == Shape{0} ? 0 : input.size(dim));
    needs.push_back(input.requires_grad());
  }
  return record(std::move(value), inputs, [=](const Tensor& grad_output) {
    std::vector<Tensor> gradients(lengths.size());
    int64_t start = 0;
    for (size_t i = 0; i < lengths.size(); ++i) {
      if (needs[i]) gradients[i] = ops::narrow(grad_output, dim, start, lengths[i]);
      start += lengths[i];
    }
    return gradients;
  });
}

Variable narrow(const Variable& input, int64_t dim, int64_t start, int64_t length) {
  return record(ops::narrow(input.data(), dim, start, length), {input},
                [=, shape = input.shape()](const Tensor& grad_output) -> std::vector<Tensor> {
                  const auto rank = static_cast<int64_t>(shape.size());
                  const size_t axis = axis_of(dim, rank);
                  const int64_t begin = start < 0 ? start + shape[axis] : start;
                  std::vector<int64_t> padding(2 * (shape.size() - axis), 0);  // last axis first
                  padding[padding.size() - 2] = begin;
                  padding[padding.size() - 1] = shape[axis] - begin - length;
                  return {ops::pad(grad_output, padding)};
                });
}

Variable reshape(const Variable& input, const Shape& shape) {
  return record(input.data().reshape(shape), {input}, [before = input.shape()](const Tensor& grad_output) -> std::vector<Tensor> {
    return {grad_output.reshape(before)};
  });
}

Variable flatten(const Variable& input, int64_t start_dim, int64_t end_dim) {
  return record(
      ops::flatten(input.data(), start_dim, end_dim), {input},
      [before = input.shape()](const Tensor& grad_output) -> std::vector<Tensor> { return {grad_output.reshape(before)}; });
}

Variable permute(const Variable& input, const std::vector<int64_t>& order) {
  return record(ops::permute(input.data(), order), {input}, [=](const Tensor& grad_output) -> std::vector<Tensor> {
    std::vector<int64_t> inverse(order.size());
    for (size_t i = 0; i < order.size(); ++i)
      inverse[axis_of(order[i], static_cast<int64_t>(order.size()))] = static_cast<int64_t>(i);
    return {ops::permute(grad_output, inverse)};
  });
}

Variable unfold(const Variable& input, const UnfoldOptions& options) {
  return record(ops::unfold(input.data(), options), {input},
                [=, shape = input.shape()](const Tensor& grad_output) -> std::vector<Tensor> {
                  return {ops::fold(grad_output, {shape.end() - 2, shape.end()}, options)};
                });
}

Variable fold(const Variable& input, const std::vector<int64_t>& output_size, const UnfoldOptions& options) {
  return record(ops::fold(input.data(), output_size, options), {input},
                [=](const Tensor& grad_output) -> std::vector<Tensor> { return {ops::unfold(grad_output, options)}; });
}

Variable pixel_shuffle(const Variable& input, int64_t upscale_factor) {
  return record(ops::pixel_shuffle(input.data(), upscale_factor), {input}, [=](const Tensor& grad_output) -> std::vector<Tensor> {
    return {ops::pixel_unshuffle(grad_output, upscale_factor)};
  });
}

Variable pixel_unshuffle(const Variable& input, int64_t downscale_factor) {
  return record(
      ops::pixel_unshuffle(input.data(), downscale_factor), {input},
      [=](const Tensor& grad_output) -> std::vector<Tensor> { return {ops::pixel_shuffle(grad_output, downscale_factor)}; });
}

Variable interpolate(const Variable& input, const InterpolateOptions& options) {
  return record(ops::interpolate(input.data(), options), {input},
                [=, shape = input.shape()](const Tensor& grad_output) -> std::vector<Tensor> {
                  return {ops::interpolate_backward(grad_output, shape, options)};
                });
}

}  // namespace convoy
