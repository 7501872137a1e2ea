#include "convoy/ops/norm.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/norm/batch_norm.h"
#include "convoy/kernels/norm/norm.h"
#include "convoy/kernels/reduce/sum.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/elementwise.h"

namespace convoy::ops {

namespace {

using kernels::GradSums;
using kernels::Moments;
using kernels::NormGroups;
using kernels::NormPlanes;

// (N, C, *) as (batch, channels, length).
struct Channels {
  int64_t batch = 1, channels = 0, length = 1;

  explicit Channels(const Tensor& input) {
    const Shape& shape = input.shape();
    if (!shape.empty()) batch = shape[0];
    if (shape.size() > 1) channels = shape[1];
    for (size_t axis = 2; axis < shape.size(); ++axis) length *= shape[axis];
  }
};

// One value per channel as a double, or always the same without a tensor. The tensor, of a floating type, outlives it.
class Values {
 public:
  Values(const Tensor& t, double otherwise) : otherwise_(otherwise) {
    if (!t.defined()) return;
    if (t.dtype() == DType::kFloat32) {
      narrow_ = t.data<float>();
    } else {
      wide_ = t.data<double>();
    }
  }
  double operator[](int64_t i) const {
    if (narrow_ != nullptr) return static_cast<double>(narrow_[i]);
    return wide_ != nullptr ? wide_[i] : otherwise_;
  }

 private:
  const float* narrow_ = nullptr;
  const double* wide_ = nullptr;
  double otherwise_;
};

// Per-channel coefficients, computed in double and used in the input's type. (input - center) * scale + shift with a center that is
// the mean rounded to the type: the subtraction is then exact where it matters, and the shift makes up for the rounding.
struct Coefficients {
  Tensor center, scale, shift;

  Coefficients(int64_t count, DType dtype)
      : center(Tensor::empty({count}, dtype)), scale(Tensor::empty({count}, dtype)), shift(Tensor::empty({count}, dtype)) {}

  // Calls all(set), in which set(i, mean, factor, offset) says what channel i has.
  template <class All>
  void set(const All& all) {
    with_floating(center.dtype(), [&](auto zero) {
      using T = decltype(zero);
      all([centers = center.data<T>(), scales = scale.data<T>(), shifts = shift.data<T>()](int64_t i, double mean, double factor,
                                                                                           double offset) {
        centers[i] = static_cast<T>(mean);
        scales[i] = static_cast<T>(factor);
        shifts[i] = static_cast<T>(offset + (static_cast<double>(centers[i]) - mean) * factor);
      });
    });
  }
};

std::vector<Moments> moments(const Tensor& input, const NormGroups& layout) {
  std::vector<Moments> result(static_cast<size_t>(layout.groups));
  std::vector<Moments> partial(static_cast<size_t>(layout.groups * kernels::moments_parts(layout)));
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::moments(layout, input.data<T>(), partial.data(), result.data());
  });
  return result;
}

// The range that an activation keeps a value in.
struct Range {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();

  explicit Range(const std::optional<Activation>& activation) {
    if (!activation) return;
    if (*activation != Activation::kRelu && *activation != Activation::kRelu6) {
      raise<ValueError>("batch_norm applies relu or relu6\napply another activation to its output");
    }
    low = 0;
    if (*activation == Activation::kRelu6) high = 6;
  }
};

Tensor normalize_planes(const Tensor& input, const NormPlanes& layout, const Coefficients& c, const Range& range = Range({})) {
  Tensor output = Tensor::empty(input.shape(), input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::normalize_planes(layout, input.data<T>(), c.center.data<T>(), c.scale.data<T>(), c.shift.data<T>(), output.data<T>(),
                              static_cast<T>(range.low), static_cast<T>(range.high));
  });
  return output;
}

// Per group the sums of the gradient and of gradient * (input - mean).
std::vector<GradSums> grad_sums(const Tensor& grad_output, const Tensor& input, const NormGroups& layout, const Tensor& mean) {
  std::vector<GradSums> result(static_cast<size_t>(layout.groups));
  std::vector<GradSums> partial(static_cast<size_t>(layout.groups * kernels::moments_parts(layout)));
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::grad_sums(layout, grad_output.data<T>(), input.data<T>(), mean.data<double>(), partial.data(), result.data());
  });
  return result;
}

// Sums of `count` columns over `rows` rows.
Tensor column_sums(const Tensor& rows_of_sums, int64_t rows, int64_t count) {
  Tensor sums = Tensor::empty({count}, DType::kFloat64);
  const kernels::SumBlocks blocks = kernels::sum_blocks(rows, count);
  Tensor partial = Tensor::empty({blocks.count == 1 ? 0 : blocks.count * count}, DType::kFloat64);
  kernels::sum_axis(rows_of_sums.data<double>(), 1, rows, count, sums.data<double>(), partial.data<double>());
  return sums;
}

void check_statistics(const Tensor& t, const char* name, int64_t count, DType dtype) {
  if (!t.defined()) return;
  if (t.numel() != count) {
    raise<ShapeMismatch>(
        "{} should contain {} elements not {}\n"
        "one per channel (axis 1 of the input): {} has shape {}",
        name, count, t.numel(), name, t.shape());
  }
  if (t.dtype() != dtype) {
    raise<Error>(
        "mixed dtype (CPU): expect parameter to have scalar type of {}\n"
        "{} is {}: convert it with to(DType)",
        type_word(dtype), name, t.dtype());
  }
}

void check_forward_result(const NormResult& forward, int64_t count) {
  for (const Tensor* t : {&forward.mean, &forward.inv_std}) {
    if (!t->defined() || t->numel() != count) {
      raise<ShapeMismatch>(
          "{} should contain {} elements not {}\n"
          "pass the result of the forward call on the same input",
          t == &forward.mean ? "mean" : "inv_std", count, t->defined() ? t->numel() : 0);
    }
  }
}

[[noreturn]] void refuse_one_value(const std::string& what, const std::string& shape, const char* fix) {
  raise<ValueError>("Expected more than 1 {} when training, got input size {}\n{}", what, shape, fix);
}

// r = (1 - momentum) r + momentum * value(c) for all channels c.
template <class Value>
void update(Tensor& running, const Value& value, double momentum) {
  if (!running.defined()) return;
  with_floating(running.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* r = running.data<T>();
    for (int64_t c = 0; c < running.numel(); ++c) {
      r[c] = static_cast<T>((1.0 - momentum) * static_cast<double>(r[c]) + momentum * value(c));
    }
  });
}

// What turns a batch_norm's input into its output.
Coefficients output_coefficients(const Channels& in, const Tensor& input, const NormResult& statistics, const Tensor& weight,
                                 const Tensor& bias) {
  Coefficients c(in.channels, input.dtype());
  const Values mean(statistics.mean, 0.0), inv_std(statistics.inv_std, 0.0), weights(weight, 1.0), biases(bias, 0.0);
  c.set([&](const auto& set) {
    for (int64_t i = 0; i < in.channels; ++i) set(i, mean[i], inv_std[i] * weights[i], biases[i]);
  });
  return c;
}

const float* data_or_null(const Tensor& t) { return t.defined() ? t.data<float>() : nullptr; }

// Whether batch_norm in training runs kernels/norm/batch_norm.h.
bool in_one_sweep(const Channels& in, const Tensor& input) {
  return input.dtype() == DType::kFloat32 && in.length > 1 && input.numel() > 0;
}

void check_residual(const Tensor& residual, const Tensor& input) {
  if (!residual.defined() || (residual.shape() == input.shape() && residual.dtype() == input.dtype())) return;
  raise<ShapeMismatch>(
      "residual should be a {} tensor of shape {}, but got a {} tensor of shape {}\n"
      "it is added to the normalised input: give it the input's shape and type",
      input.dtype(), input.shape(), residual.dtype(), residual.shape());
}

// Groups of channels: what group_norm and instance_norm share.
NormResult normalize_groups(const Tensor& input, int64_t num_groups, const Tensor& weight, const Tensor& bias, double eps) {
  const Channels in(input);
  const int64_t per_group = in.channels / num_groups, n = per_group * in.length;
  NormResult result;
  result.mean = Tensor::zeros({in.batch, num_groups}, DType::kFloat64);
  result.inv_std = Tensor::zeros({in.batch, num_groups}, DType::kFloat64);
  if (input.numel() == 0) {
    result.output = Tensor::empty(input.shape(), input.dtype());
    return result;
  }
  const std::vector<Moments> stats = moments(input, {in.batch * num_groups, 1, n, n, 0});
  Coefficients c(in.batch * in.channels, input.dtype());
  const Values weights(weight, 1.0), biases(bias, 0.0);
  auto* means = result.mean.data<double>();
  auto* inv_stds = result.inv_std.data<double>();
  c.set([&](const auto& set) {
    for (int64_t g = 0; g < in.batch * num_groups; ++g) {
      const Moments& m = stats[static_cast<size_t>(g)];
      means[g] = m.mean();
      inv_stds[g] = 1.0 / std::sqrt(m.squares / m.count + eps);
      const int64_t channel = g % num_groups * per_group;
      for (int64_t i = 0; i < per_group; ++i) {
        set(g * per_group + i, means[g], inv_stds[g] * weights[channel + i], biases[channel + i]);
      }
    }
  });
  result.output = normalize_planes(input, {in.batch * in.channels, in.length, in.batch * in.channels}, c);
  return result;
}

// Of values that nothing followed.
NormGradients backward_of_batch(const Tensor& grad_output, const Tensor& input, const Tensor& weight, const NormResult& forward,
                                bool training) {
  const Channels in(input);
  const NormPlanes layout{in.batch * in.channels, in.length, std::max<int64_t>(1, in.channels)};
  const NormGroups groups{in.channels, in.batch, in.length, in.length, in.channels * in.length};
  const std::vector<GradSums> sums = grad_sums(grad_output, input, groups, forward.mean);
  const auto* mean = forward.mean.data<double>();
  const auto* inv_std = forward.inv_std.data<double>();
  const double count = static_cast<double>(in.batch * in.length);
  Tensor grad_weight = Tensor::empty({in.channels}, DType::kFloat64), grad_bias = Tensor::empty({in.channels}, DType::kFloat64);
  // grad_input = grad * a + (input - mean) * b + c, without b and c where the statistics are constants.
  Tensor a = Tensor::empty({in.channels}, DType::kFloat64);
  Coefficients bc(in.channels, training ? DType::kFloat64 : input.dtype());
  const Values weights(weight, 1.0);
  auto *weight_to = grad_weight.data<double>(), *bias_to = grad_bias.data<double>(), *a_to = a.data<double>();
  bc.set([&](const auto& set) {
    for (int64_t i = 0; i < in.channels; ++i) {
      const GradSums& sum = sums[static_cast<size_t>(i)];
      const double scale = inv_std[i] * weights[i], product = sum.product * inv_std[i];
      weight_to[i] = product;
      bias_to[i] = sum.grad;
      a_to[i] = scale;
      if (training) {
        set(i, mean[i], -scale * inv_std[i] * product / count, -scale * sum.grad / count);
      } else {
        set(i, 0.0, scale, 0.0);
      }
    }
  });
  NormGradients gradients;
  gradients.input = Tensor::empty(input.shape(), input.dtype());
  gradients.weight = grad_weight.to(input.dtype());
  gradients.bias = grad_bias.to(input.dtype());
  if (input.numel() == 0) return gradients;
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (training) {
      kernels::grad_planes(layout, grad_output.data<T>(), input.data<T>(), bc.center.data<double>(), a.data<double>(),
                           bc.scale.data<double>(), bc.shift.data<double>(), gradients.input.data<T>());
    } else {
      kernels::normalize_planes(layout, grad_output.data<T>(), bc.center.data<T>(), bc.scale.data<T>(), bc.shift.data<T>(),
                                gradients.input.data<T>());
    }
  });
  return gradients;
}

}  // namespace

NormResult batch_norm(const Tensor& input, Tensor running_mean, Tensor running_var, const Tensor& weight, const Tensor& bias,
                      const BatchNormOptions& options, const Tensor& residual) {
  const Channels in(input);
  const Range range(options.activation);
  const int64_t count = in.batch * in.length;
  if (options.training && count == 1) {
    refuse_one_value("value per channel", formatted("torch.Size({})", input.shape()),
                     "one value has no variance: use a larger batch, or eval mode with running statistics");
  }
  if (input.dim() < 2 && !running_mean.defined() && !running_var.defined()) {
    raise<ValueError>("expected 2D or 3D input (got {}D input)\nchannels are axis 1: (N, C) or (N, C, *)", input.dim());
  }
  check_floating(input, "batch_norm");
  check_statistics(running_mean, "running_mean", in.channels, input.dtype());
  if (!running_mean.defined() && !options.training) {
    raise<Error>("running_mean must be defined in evaluation mode\npass the running statistics, or set training");
  }
  check_statistics(running_var, "running_var", in.channels, input.dtype());
  if (!running_var.defined() && !options.training) {
    raise<Error>("running_var must be defined in evaluation mode\npass the running statistics, or set training");
  }
  check_statistics(weight, "weight", in.channels, input.dtype());
  check_statistics(bias, "bias", in.channels, input.dtype());
  check_residual(residual, input);

  NormResult result;
  result.with_residual = residual.defined();
  result.mean = Tensor::zeros({in.channels}, DType::kFloat64);
  result.inv_std = Tensor::zeros({in.channels}, DType::kFloat64);
  if (options.training && count == 0) {
    result.output = Tensor::empty(input.shape(), input.dtype());
    return result;
  }
  auto* mean = result.mean.data<double>();
  auto* inv_std = result.inv_std.data<double>();
  const auto update_running = [&](const auto& squares) {
    update(
        running_mean, [&](int64_t c) { return mean[c]; }, options.momentum);
    update(
        running_var, [&](int64_t c) { return squares(c) / static_cast<double>(count - 1); }, options.momentum);
  };
  if (options.training && in_one_sweep(in, input)) {
    const kernels::BatchNormShape layout{in.batch, in.channels, in.length};
    std::vector<Moments> partial(static_cast<size_t>(in.channels * kernels::batch_norm_parts(layout)));
    std::vector<double> squares(static_cast<size_t>(in.channels));
    result.output = Tensor::empty(input.shape(), input.dtype());
    kernels::batch_norm(layout, {.input = input.data<float>(),
                                 .weight = data_or_null(weight),
                                 .bias = data_or_null(bias),
                                 .residual = data_or_null(residual),
                                 .eps = options.eps,
                                 .low = static_cast<float>(range.low),
                                 .high = static_cast<float>(range.high),
                                 .output = result.output.data<float>(),
                                 .mean = mean,
                                 .inv_std = inv_std,
                                 .squares = squares.data(),
                                 .partial = partial.data()});
    update_running([&](int64_t c) { return squares[static_cast<size_t>(c)]; });
    return result;
  }
  if (options.training) {
    const std::vector<Moments> stats = moments(input, {in.channels, in.batch, in.length, in.length, in.channels * in.length});
    for (int64_t c = 0; c < in.channels; ++c) {
      const Moments& m = stats[static_cast<size_t>(c)];
      mean[c] = m.mean();
      inv_std[c] = 1.0 / std::sqrt(m.squares / m.count + options.eps);
    }
    update_running([&](int64_t c) { return stats[static_cast<size_t>(c)].squares; });
  } else {
    const Values means(running_mean, 0.0), variances(running_var, 1.0);
    for (int64_t c = 0; c < in.channels; ++c) {
      mean[c] = means[c];
      inv_std[c] = 1.0 / std::sqrt(variances[c] + options.eps);
    }
  }
  const NormPlanes layout{in.batch * in.channels, in.length, in.channels};
  const Coefficients coefficients = output_coefficients(in, input, result, weight, bias);
  if (!residual.defined()) {
    result.output = normalize_planes(input, layout, coefficients, range);
    return result;
  }
  result.output = normalize_planes(input, layout, coefficients);
  add_(result.output, residual);
  if (options.activation) result.output = activation(*options.activation, result.output);
  return result;
}

NormGradients batch_norm_backward(const Tensor& grad_output, const Tensor& input, const Tensor& weight, const NormResult& forward,
                                  bool training) {
  NormResult statistics = forward;
  statistics.with_residual = false;
  return batch_norm_backward(grad_output, input, weight, {}, statistics, {.training = training});
}

NormGradients batch_norm_backward(const Tensor& grad_output, const Tensor& input, const Tensor& weight, const Tensor& bias,
                                  const NormResult& forward, const BatchNormOptions& options) {
  const Channels in(input);
  const Range range(options.activation);
  const bool clamped_sum = options.activation && forward.with_residual;
  check_floating(input, "batch_norm_backward");
  check_gradient(grad_output, input);
  check_statistics(weight, "weight", in.channels, input.dtype());
  check_statistics(bias, "bias", in.channels, input.dtype());
  check_forward_result(forward, in.channels);
  if (clamped_sum && (!forward.output.defined() || forward.output.shape() != input.shape())) {
    raise<ShapeMismatch>("the output of batch_norm is needed again\npass the result of the forward call on the same input");
  }
  if (options.training && in_one_sweep(in, input)) {
    const kernels::BatchNormShape layout{in.batch, in.channels, in.length};
    std::vector<GradSums> partial(static_cast<size_t>(in.channels * kernels::batch_norm_parts(layout)));
    Tensor grad_weight = Tensor::empty({in.channels}, DType::kFloat64), grad_bias = Tensor::empty({in.channels}, DType::kFloat64);
    NormGradients gradients;
    gradients.input = Tensor::empty(input.shape(), input.dtype());
    if (clamped_sum) gradients.residual = Tensor::empty(input.shape(), input.dtype());
    kernels::batch_norm_backward(layout, {.grad_output = grad_output.data<float>(),
                                          .input = input.data<float>(),
                                          .output = clamped_sum ? forward.output.data<float>() : nullptr,
                                          .weight = data_or_null(weight),
                                          .bias = data_or_null(bias),
                                          .mean = forward.mean.data<double>(),
                                          .inv_std = forward.inv_std.data<double>(),
                                          .low = static_cast<float>(range.low),
                                          .high = static_cast<float>(range.high),
                                          .grad_input = gradients.input.data<float>(),
                                          .grad_residual = clamped_sum ? gradients.residual.data<float>() : nullptr,
                                          .grad_weight = grad_weight.data<double>(),
                                          .grad_bias = grad_bias.data<double>(),
                                          .partial = partial.data()});
    gradients.weight = grad_weight.to(input.dtype());
    gradients.bias = grad_bias.to(input.dtype());
    if (forward.with_residual && !clamped_sum) gradients.residual = grad_output;
    return gradients;
  }
  Tensor passed = grad_output;
  if (clamped_sum) {
    passed = activation_backward(*options.activation, grad_output, forward.output);
  } else if (options.activation) {
    const Coefficients c = output_coefficients(in, input, forward, weight, bias);
    passed =
        activation_backward(*options.activation, grad_output,
                            normalize_planes(input, {in.batch * in.channels, in.length, std::max<int64_t>(1, in.channels)}, c));
  }
  NormGradients gradients = backward_of_batch(passed, input, weight, forward, options.training);
  if (forward.with_residual) gradients.residual = passed;
  return gradients;
}

NormResult group_norm(const Tensor& input, int64_t num_groups, const Tensor& weight, const Tensor& bias, double eps) {
  if (num_groups <= 0) raise<Error>("Expected num groups to be greater than 0, got {}\nuse a divisor of the channels", num_groups);
  const int64_t channels = input.size(1);
  const Channels in(input);
  if (in.batch * channels / num_groups * in.length == 1) {
    refuse_one_value("value per channel", to_string(input.shape()),
                     "one value has no variance: use fewer groups or a larger input");
  }
  if (channels % num_groups != 0) {
    raise<ShapeMismatch>(
        "Expected number of channels in input to be divisible by num_groups, but got input of shape {} and num_groups={}\n"
        "num_groups has to divide {}",
        input.shape(), num_groups, channels);
  }
  for (const Tensor* t : {&weight, &bias}) {
    if (t->defined() && t->shape() != Shape{channels}) {
      const char* name = t == &weight ? "weight" : "bias";
      raise<ShapeMismatch>(
          "Expected {} to be a vector of size equal to the number of channels in input, but got {} of shape {} and input of shape "
          "{}\n"
          "{} needs the shape [{}]",
          name, name, t->shape(), input.shape(), name, channels);
    }
  }
  check_floating(input, "GroupNormKernelImpl");
  check_type(weight, input.dtype());
  check_type(bias, input.dtype());
  return normalize_groups(input, num_groups, weight, bias, eps);
}

NormResult instance_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, double eps) {
  const Channels in(input);
  if (in.length == 1) {
    refuse_one_value("spatial element", formatted("torch.Size({})", input.shape()),
                     "one value has no variance: normalise before the last pooling, or use group_norm over several channels");
  }
  for (const Tensor* t : {&weight, &bias}) {
    if (t->defined() && t->numel() != in.channels) {
      raise<ShapeMismatch>(
          "{} should contain {} elements not {}\n"
          "one per channel: {}, not {}",
          t == &weight ? "weight" : "bias", in.batch * in.channels, in.batch * t->numel(), in.channels, t->numel());
    }
  }
  check_floating(input, "batch_norm");
  check_type(weight, input.dtype());
  check_type(bias, input.dtype());
  return normalize_groups(input, std::max<int64_t>(1, in.channels), weight, bias, eps);
}

NormGradients group_norm_backward(const Tensor& grad_output, const Tensor& input, int64_t num_groups, const Tensor& weight,
                                  const NormResult& forward) {
  const Channels in(input);
  num_groups = std::max<int64_t>(1, num_groups);
  check_floating(input, "GroupNormBackward");
  check_gradient(grad_output, input);
  if (in.channels % num_groups != 0) {
    raise<ShapeMismatch>(
        "Expected number of channels in input to be divisible by num_groups, but got input of shape {} and num_groups={}\n"
        "any divisor of the channels works, 1 (layer) and all (instance) among them",
        input.shape(), num_groups);
  }
  check_statistics(weight, "weight", in.channels, input.dtype());
  check_forward_result(forward, in.batch * num_groups);
  const int64_t planes = in.batch * in.channels, per_group = in.channels / num_groups;
  const auto* mean = forward.mean.data<double>();
  const auto* inv_std = forward.inv_std.data<double>();
  Tensor plane_mean = Tensor::empty({planes}, DType::kFloat64);
  Tensor grad_weight = Tensor::zeros({in.channels}, DType::kFloat64), grad_bias = Tensor::zeros({in.channels}, DType::kFloat64);
  for (int64_t g = 0; g < in.batch * num_groups; ++g) std::fill_n(plane_mean.data<double>() + g * per_group, per_group, mean[g]);
  const NormPlanes layout{planes, in.length, std::max<int64_t>(1, planes)};
  const std::vector<GradSums> sums = grad_sums(grad_output, input, {planes, 1, in.length, in.length, 0}, plane_mean);
  const double count = static_cast<double>(per_group * in.length);
  Tensor a = Tensor::empty({planes}, DType::kFloat64);
  Coefficients bc(planes, DType::kFloat64);
  const Values weights(weight, 1.0);
  auto *weight_to = grad_weight.data<double>(), *bias_to = grad_bias.data<double>(), *a_to = a.data<double>();
  bc.set([&](const auto& set) {
    for (int64_t g = 0; g < in.batch * num_groups; ++g) {
      const int64_t first = g * per_group, channel = g % num_groups * per_group;
      double grad_sum = 0, product_sum = 0;  // with the weights, over the group
      for (int64_t i = 0; i < per_group; ++i) {
        const GradSums& sum = sums[static_cast<size_t>(first + i)];
        const double product = sum.product * inv_std[g];
        grad_sum += weights[channel + i] * sum.grad;
        product_sum += weights[channel + i] * product;
        bias_to[channel + i] += sum.grad;
        weight_to[channel + i] += product;
      }
      const double slope = -inv_std[g] * inv_std[g] * product_sum / count, constant = -inv_std[g] * grad_sum / count;
      for (int64_t i = 0; i < per_group; ++i) {
        a_to[first + i] = inv_std[g] * weights[channel + i];
        set(first + i, mean[g], slope, constant);
      }
    }
  });
  NormGradients gradients;
  gradients.weight = grad_weight.to(input.dtype());
  gradients.bias = grad_bias.to(input.dtype());
  gradients.input = Tensor::empty(input.shape(), input.dtype());
  if (input.numel() == 0) return gradients;
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::grad_planes(layout, grad_output.data<T>(), input.data<T>(), bc.center.data<double>(), a.data<double>(),
                         bc.scale.data<double>(), bc.shift.data<double>(), gradients.input.data<T>());
  });
  return gradients;
}

namespace {

// Checks layer_norm's shapes; the number of rows, or for an empty row length the product of the leading sizes.
struct Rows {
  int64_t rows = 1, length = 1;

  Rows(const Tensor& input, const Shape& normalized_shape, const Tensor& weight, const Tensor& bias) {
    if (normalized_shape.empty()) {
      raise<Error>(
          "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalized_shape "
          "= []\n"
          "name the sizes of the trailing axes to normalise over, for example the last: {{}}",
          input.dim() > 0 ? std::to_string(input.shape().back()) : std::string("C"));
    }
    for (const Tensor* t : {&weight, &bias}) {
      if (t->defined() && t->shape() != normalized_shape) {
        const char* name = t == &weight ? "weight" : "bias";
        raise<ShapeMismatch>(
            "Expected {} to be of same shape as normalized_shape, but got {} of shape {} and normalized_shape = {}\n"
            "one value for each normalised element",
            name, name, t->shape(), normalized_shape);
      }
    }
    const Shape& shape = input.shape();
    if (shape.size() < normalized_shape.size() || !std::equal(normalized_shape.rbegin(), normalized_shape.rend(), shape.rbegin())) {
      std::string expected = "[*";
      for (const int64_t n : normalized_shape) expected += formatted(", {}", n);
      raise<ShapeMismatch>(
          "Given normalized_shape={}, expected input with shape {}], but got input of size{}\n"
          "normalized_shape has to be the input's last sizes",
          normalized_shape, expected, shape);
    }
    const size_t leading = shape.size() - normalized_shape.size();
    for (size_t axis = 0; axis < shape.size(); ++axis) (axis < leading ? rows : length) *= shape[axis];
  }
};

}  // namespace

NormResult layer_norm(const Tensor& input, const Shape& normalized_shape, const Tensor& weight, const Tensor& bias, double eps) {
  const Rows in(input, normalized_shape, weight, bias);
  check_floating(input, "LayerNormKernelImpl");
  check_type(weight, input.dtype());
  check_type(bias, input.dtype());
  const Shape leading(input.shape().begin(), input.shape().end() - static_cast<int64_t>(normalized_shape.size()));
  NormResult result;
  result.mean = Tensor::zeros(leading, DType::kFloat64);
  result.inv_std = Tensor::zeros(leading, DType::kFloat64);
  result.output = Tensor::empty(input.shape(), input.dtype());
  if (input.numel() == 0) return result;
  const std::vector<Moments> stats = moments(input, {in.rows, 1, in.length, in.length, 0});
  Coefficients c(in.rows, input.dtype());
  auto* means = result.mean.data<double>();
  auto* inv_stds = result.inv_std.data<double>();
  c.set([&](const auto& set) {
    parallel_ranges(in.rows, 2048, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const Moments& m = stats[static_cast<size_t>(r)];
        means[r] = m.mean();
        inv_stds[r] = 1.0 / std::sqrt(m.squares / m.count + eps);
        set(r, means[r], inv_stds[r], 0.0);
      }
    });
  });
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::normalize_rows<T>(in.rows, in.length, input.data<T>(), c.center.data<T>(), c.scale.data<T>(), c.shift.data<T>(),
                               weight.defined() ? weight.data<T>() : nullptr, bias.defined() ? bias.data<T>() : nullptr,
                               result.output.data<T>());
  });
  return result;
}

NormGradients layer_norm_backward(const Tensor& grad_output, const Tensor& input, const Shape& normalized_shape,
                                  const Tensor& weight, const NormResult& forward) {
  const Rows in(input, normalized_shape, weight, {});
  check_floating(input, "LayerNormBackwardKernelImpl");
  check_gradient(grad_output, input);
  check_type(weight, input.dtype());
  check_forward_result(forward, in.rows);
  NormGradients gradients;
  gradients.input = Tensor::empty(input.shape(), input.dtype());
  if (input.numel() == 0) {
    gradients.weight = Tensor::zeros(normalized_shape, input.dtype());
    gradients.bias = Tensor::zeros(normalized_shape, input.dtype());
    return gradients;
  }
  const kernels::SumBlocks blocks = kernels::sum_blocks(in.rows, in.length);
  Tensor product = Tensor::empty({blocks.count, in.length}, DType::kFloat64),
         grad = Tensor::empty({blocks.count, in.length}, DType::kFloat64);
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto* mean = forward.mean.data<double>();
    const auto* inv_std = forward.inv_std.data<double>();
    const auto run = [&](int64_t first, int64_t rows) {
      const T *g = grad_output.data<T>() + first * in.length, *x = input.data<T>() + first * in.length;
      kernels::grad_rows<T>(rows, in.length, g, x, mean + first, inv_std + first, weight.defined() ? weight.data<T>() : nullptr,
                            gradients.input.data<T>() + first * in.length);
      const int64_t sums = first / blocks.rows * in.length;
      kernels::column_sums(rows, in.length, blocks.rows, g, x, mean + first, inv_std + first, grad.data<double>() + sums,
                           product.data<double>() + sums);
    };
    // A block's rows are read again while they lie in the cache. Few blocks are shared by the threads in other ways.
    if (blocks.count < 4) {
      run(0, in.rows);
    } else {
      parallel_for(blocks.count, [&](int64_t b) { run(b * blocks.rows, std::min(blocks.rows, in.rows - b * blocks.rows)); });
    }
  });
  gradients.weight = column_sums(product, blocks.count, in.length).to(input.dtype()).reshape(normalized_shape);
  gradients.bias = column_sums(grad, blocks.count, in.length).to(input.dtype()).reshape(normalized_shape);
  return gradients;
}

}  // namespace convoy::ops
