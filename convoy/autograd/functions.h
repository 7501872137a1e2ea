// Recording versions of the functions in ops: the same names, option structs, shapes and errors, on Variables. Each family has its
// file of rules (<family>_rules.cc): how a gradient of the value becomes gradients of the inputs, and what must be saved for that.
#pragma once

#include <utility>
#include <vector>

#include "convoy/autograd/variable.h"
#include "convoy/ops/conv.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/linear.h"
#include "convoy/ops/loss.h"
#include "convoy/ops/norm.h"
#include "convoy/ops/pad.h"
#include "convoy/ops/pool.h"
#include "convoy/ops/rearrange.h"
#include "convoy/ops/reduce.h"

namespace convoy {

// Convolution (ops/conv.h).
Variable conv(int rank, const Variable& input, const Variable& weight, const Variable& bias = {}, const ConvOptions& options = {});
Variable conv1d(const Variable& input, const Variable& weight, const Variable& bias = {}, const ConvOptions& options = {});
Variable conv2d(const Variable& input, const Variable& weight, const Variable& bias = {}, const ConvOptions& options = {});
Variable conv3d(const Variable& input, const Variable& weight, const Variable& bias = {}, const ConvOptions& options = {});
Variable conv_transpose(int rank, const Variable& input, const Variable& weight, const Variable& bias = {},
                        const ConvTransposeOptions& options = {});
Variable conv_transpose1d(const Variable& input, const Variable& weight, const Variable& bias = {},
                          const ConvTransposeOptions& options = {});
Variable conv_transpose2d(const Variable& input, const Variable& weight, const Variable& bias = {},
                          const ConvTransposeOptions& options = {});
Variable conv_transpose3d(const Variable& input, const Variable& weight, const Variable& bias = {},
                          const ConvTransposeOptions& options = {});

// Matrix products (ops/linear.h).
Variable linear(const Variable& input, const Variable& weight, const Variable& bias = {});
Variable matmul(const Variable& a, const Variable& b);

// Pooling (ops/pool.h). The indices of the _with_indices forms are constants.
Variable max_pool(int rank, const Variable& input, const MaxPoolOptions& options);
std::pair<Variable, Tensor> max_pool_with_indices(int rank, const Variable& input, const MaxPoolOptions& options);
Variable avg_pool(int rank, const Variable& input, const AvgPoolOptions& options);
Variable adaptive_avg_pool(int rank, const Variable& input, const AdaptiveSize& output_size);
Variable adaptive_max_pool(int rank, const Variable& input, const AdaptiveSize& output_size);
std::pair<Variable, Tensor> adaptive_max_pool_with_indices(int rank, const Variable& input, const AdaptiveSize& output_size);
Variable max_unpool(int rank, const Variable& input, const Tensor& indices, const MaxPoolOptions& options,
                    const std::vector<int64_t>& output_size = {});
Variable lp_pool(int rank, const Variable& input, double norm_type, const IntList& kernel_size, const IntList& stride = {},
                 bool ceil_mode = false);

// Padding, normalisation (ops/pad.h, ops/norm.h).
Variable pad(const Variable& input, const std::vector<int64_t>& padding, PadMode mode = PadMode::kConstant, double value = 0);
Variable batch_norm(const Variable& input, const Tensor& running_mean, const Tensor& running_var, const Variable& weight = {},
                    const Variable& bias = {}, const BatchNormOptions& options = {}, const Variable& residual = {});
Variable group_norm(const Variable& input, int64_t num_groups, const Variable& weight = {}, const Variable& bias = {},
                    double eps = 1e-5);
Variable layer_norm(const Variable& input, const Shape& normalized_shape, const Variable& weight = {}, const Variable& bias = {},
                    double eps = 1e-5);
Variable instance_norm(const Variable& input, const Variable& weight = {}, const Variable& bias = {}, double eps = 1e-5);

// Elementwise (ops/elementwise.h).
Variable activation(Activation kind, const Variable& input, const ActivationOptions& options = {});
Variable relu(const Variable& input);
Variable relu6(const Variable& input);
Variable leaky_relu(const Variable& input, double negative_slope = 0.01);
Variable elu(const Variable& input, double alpha = 1.0);
Variable silu(const Variable& input);
Variable gelu(const Variable& input);
Variable hardswish(const Variable& input);
Variable hardsigmoid(const Variable& input);
Variable sigmoid(const Variable& input);
Variable tanh(const Variable& input);
Variable softplus(const Variable& input, double beta = 1.0, double threshold = 20.0);
Variable mish(const Variable& input);
Variable hardtanh(const Variable& input, double min_val = -1.0, double max_val = 1.0);
Variable add(const Variable& a, const Variable& b);
Variable sub(const Variable& a, const Variable& b);
Variable mul(const Variable& a, const Variable& b);
Variable div(const Variable& a, const Variable& b);
Variable square(const Variable& input);
Variable operator+(const Variable& a, const Variable& b);
Variable operator-(const Variable& a, const Variable& b);
Variable operator*(const Variable& a, const Variable& b);
Variable operator/(const Variable& a, const Variable& b);
Variable operator*(double scale, const Variable& a);
Variable operator*(const Variable& a, double scale);
Variable operator+(const Variable& a, double shift);
Variable operator+(double shift, const Variable& a);
Variable operator-(const Variable& a, double shift);
Variable operator-(double shift, const Variable& a);
Variable operator/(const Variable& a, double divisor);
Variable operator-(const Variable& a);

// Reductions and rearrangements (ops/reduce.h, ops/rearrange.h).
Variable sum(const Variable& input);
Variable mean(const Variable& input);
Variable sum(const Variable& input, const std::vector<int64_t>& dims, bool keepdim = false);
Variable mean(const Variable& input, const std::vector<int64_t>& dims, bool keepdim = false);
Variable softmax(const Variable& input, int64_t dim);
Variable log_softmax(const Variable& input, int64_t dim);
Variable concat(const std::vector<Variable>& inputs, int64_t dim = 0);
Variable narrow(const Variable& input, int64_t dim, int64_t start, int64_t length);
Variable reshape(const Variable& input, const Shape& shape);
Variable flatten(const Variable& input, int64_t start_dim = 0, int64_t end_dim = -1);
Variable permute(const Variable& input, const std::vector<int64_t>& order);
Variable unfold(const Variable& input, const UnfoldOptions& options);
Variable fold(const Variable& input, const std::vector<int64_t>& output_size, const UnfoldOptions& options);
Variable pixel_shuffle(const Variable& input, int64_t upscale_factor);
Variable pixel_unshuffle(const Variable& input, int64_t downscale_factor);
Variable interpolate(const Variable& input, const InterpolateOptions& options);

// Losses (ops/loss.h); the target is a constant.
Variable nll_loss(const Variable& input, const Tensor& target, const ClassLossOptions& options = {});
Variable cross_entropy(const Variable& input, const Tensor& target, const ClassLossOptions& options = {});
Variable mse_loss(const Variable& input, const Tensor& target, Reduction reduction = Reduction::kMean);
Variable l1_loss(const Variable& input, const Tensor& target, Reduction reduction = Reduction::kMean);
Variable smooth_l1_loss(const Variable& input, const Tensor& target, Reduction reduction = Reduction::kMean, double beta = 1.0);
Variable binary_cross_entropy_with_logits(const Variable& input, const Tensor& target, Reduction reduction = Reduction::kMean);

}  // namespace convoy
