#include "convoy/autograd/functions.h"

namespace convoy {

namespace {

// Max pools send each gradient to the position its value came from.
std::pair<Variable, Tensor> record_max_pool(int rank, const Variable& input, MaxPoolResult result) {
  Variable output = record(std::move(result.output), {input},
                           [=, indices = result.indices, shape = input.shape()](const Tensor& grad_output) -> std::vector<Tensor> {
                             return {ops::max_pool_backward(rank, grad_output, indices, shape)};
                           });
  return {std::move(output), std::move(result.indices)};
}

}  // namespace

Variable max_pool(int rank, const Variable& input, const MaxPoolOptions& options) {
  if (!grad_enabled() || !input.requires_grad()) return ops::max_pool(rank, input.data(), options, false).output;
  return max_pool_with_indices(rank, input, options).first;
}

std::pair<Variable, Tensor> max_pool_with_indices(int rank, const Variable& input, const MaxPoolOptions& options) {
  return record_max_pool(rank, input, ops::max_pool(rank, input.data(), options));
}

Variable avg_pool(int rank, const Variable& input, const AvgPoolOptions& options) {
  return record(ops::avg_pool(rank, input.data(), options), {input},
                [=, shape = input.shape()](const Tensor& grad_output) -> std::vector<Tensor> {
                  return {ops::avg_pool_backward(rank, grad_output, shape, options)};
                });
}

Variable adaptive_avg_pool(int rank, const Variable& input, const AdaptiveSize& output_size) {
  return record(ops::adaptive_avg_pool(rank, input.data(), output_size), {input},
                [=, shape = input.shape()](const Tensor& grad_output) -> std::vector<Tensor> {
                  return {ops::adaptive_avg_pool_backward(rank, grad_output, shape)};
                });
}

Variable adaptive_max_pool(int rank, const Variable& input, const AdaptiveSize& output_size) {
  return adaptive_max_pool_with_indices(rank, input, output_size).first;
}

std::pair<Variable, Tensor> adaptive_max_pool_with_indices(int rank, const Variable& input, const AdaptiveSize& output_size) {
  return record_max_pool(rank, input, ops::adaptive_max_pool(rank, input.data(), output_size));
}

Variable max_unpool(int rank, const Variable& input, const Tensor& indices, const MaxPoolOptions& options,
                    const std::vector<int64_t>& output_size) {
  return record(
      ops::max_unpool(rank, input.data(), indices, options, output_size), {input},
      [=](const Tensor& grad_output) -> std::vector<Tensor> { return {ops::max_unpool_backward(rank, grad_output, indices)}; });
}

Variable lp_pool(int rank, const Variable& input, double norm_type, const IntList& kernel_size, const IntList& stride,
                 bool ceil_mode) {
  return record(ops::lp_pool(rank, input.data(), norm_type, kernel_size, stride, ceil_mode), {input},
                [=, x = input.data()](const Tensor& grad_output) -> std::vector<Tensor> {
                  return {ops::lp_pool_backward(rank, grad_output, x, norm_type, kernel_size, stride, ceil_mode)};
                });
}

}  // namespace convoy
