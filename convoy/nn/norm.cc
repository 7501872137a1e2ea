#include "convoy/nn/norm.h"

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::nn {

namespace {

Tensor ones_if(bool wanted, const Shape& shape) { return wanted ? Tensor::ones(shape) : Tensor(); }
Tensor zeros_if(bool wanted, const Shape& shape) { return wanted ? Tensor::zeros(shape) : Tensor(); }

void check_rank(const Variable& input, int64_t first, int64_t second, const std::string& type) {
  if (input.dim() == first || input.dim() == second) return;
  const std::string accepted = first == second ? formatted("{}D", first) : formatted("{}D or {}D", first, second);
  raise<ValueError>(
      "expected {} input (got {}D input)\n"
      "{} got {}; the sizes are (batch, channels, then the spatial axes)",
      accepted, input.dim(), type, input.shape());
}

template <class Options>
std::string norm_repr(const Options& o) {
  return formatted("{}, eps={}, momentum={}, affine={}, track_running_stats={}", o.num_features, python_text(o.eps),
                   python_text(o.momentum), python_bool(o.affine), python_bool(o.track_running_stats));
}

// A dictionary without version comes from PyTorch before 0.4.1 or from a file format that keeps no versions.
void count_missing_batches_as_zero(bool tracked, const std::string& prefix, std::map<std::string, Tensor>& own) {
  if (tracked) own.try_emplace(prefix + "num_batches_tracked", Tensor::zeros({}, DType::kInt64));
}

}  // namespace

BatchNorm::BatchNorm(int rank, BatchNormLayerOptions options) : rank_(rank), options_(options) {
  require(options_.num_features != kRequired, type(), "num_features");
  const Shape shape = {options_.num_features};
  check_dimensions(shape, type());
  register_parameter("weight", ones_if(options_.affine, shape));
  register_parameter("bias", zeros_if(options_.affine, shape));
  const bool tracked = options_.track_running_stats;
  register_buffer("running_mean", zeros_if(tracked, shape));
  register_buffer("running_var", ones_if(tracked, shape));
  register_buffer("num_batches_tracked", tracked ? Tensor::zeros({}, DType::kInt64) : Tensor());
}

std::string BatchNorm::extra_repr() const { return norm_repr(options_); }

Variable BatchNorm::forward_then(const Variable& input, std::optional<Activation> activation, const Variable& residual) {
  check_rank(input, rank_ == 1 ? 2 : rank_ + 2, rank_ + 2, type());
  const bool updates = is_training() && options_.track_running_stats;
  const int64_t batches = updates ? num_batches_tracked().data<int64_t>()[0] + 1 : 0;
  double momentum = 0;
  if (options_.momentum) {
    momentum = *options_.momentum;
  } else if (updates) {
    momentum = 1.0 / static_cast<double>(batches);
  }
  Variable output = batch_norm(input, running_mean(), running_var(), weight(), bias(),
                               {.training = is_training() || !options_.track_running_stats,
                                .momentum = momentum,
                                .eps = options_.eps,
                                .activation = activation},
                               residual);
  if (updates) num_batches_tracked().data<int64_t>()[0] = batches;
  return output;
}

void BatchNorm::adapt_state(const std::string& prefix, std::map<std::string, Tensor>& own, std::vector<std::string>&) const {
  count_missing_batches_as_zero(options_.track_running_stats, prefix, own);
}

InstanceNorm::InstanceNorm(int rank, InstanceNormLayerOptions options) : rank_(rank), options_(options) {
  require(options_.num_features != kRequired, type(), "num_features");
  const Shape shape = {options_.num_features};
  check_dimensions(shape, type());
  const bool tracked = options_.track_running_stats;
  if (tracked && !options_.momentum) {
    raise<ValueError>(
        "instance_norm(): argument 'momentum' (position 7) must be float, not NoneType\n"
        "running statistics of an {} need a momentum, for example 0.1",
        type());
  }
  register_parameter("weight", ones_if(options_.affine, shape));
  register_parameter("bias", zeros_if(options_.affine, shape));
  register_buffer("running_mean", zeros_if(tracked, shape));
  register_buffer("running_var", ones_if(tracked, shape));
  register_buffer("num_batches_tracked", tracked ? Tensor::zeros({}, DType::kInt64) : Tensor());
}

std::string InstanceNorm::extra_repr() const { return norm_repr(options_); }

Variable InstanceNorm::forward(const Variable& input) {
  check_rank(input, rank_ + 1, rank_ + 2, type());
  if (input.dim() == rank_ + 1) {
    Shape batched = input.shape();
    batched.insert(batched.begin(), 1);
    return reshape(forward(reshape(input, batched)), input.shape());
  }
  const int64_t samples = input.size(0), channels = input.size(1), features = options_.num_features;
  const bool tracked = options_.track_running_stats;
  if (channels != features && (tracked || options_.affine)) {
    raise<Error>(
        "{} should contain {} elements not {}\n"
        "the input has {} channels, num_features is {}",
        tracked ? "running_mean" : "weight", samples * channels, samples * features, channels, features);
  }
  if (tracked && !is_training()) {
    return batch_norm(input, running_mean(), running_var(), weight(), bias(),
                      {.training = false, .momentum = 0, .eps = options_.eps});
  }
  Variable output = instance_norm(input, weight(), bias(), options_.eps);
  if (!tracked || samples == 0) return output;

  // The running statistics move towards the mean over the batch of each sample's own.
  Shape one_channel_each = input.shape();
  one_channel_each[0] = 1;
  one_channel_each[1] = samples * channels;
  const auto repeated = [&](const Tensor& per_channel) {
    Tensor all = Tensor::empty({samples, channels}, per_channel.dtype());
    for (int64_t n = 0; n < samples; ++n) all.select(n).copy_(per_channel);
    return all.reshape({samples * channels});
  };
  Tensor mean = repeated(running_mean()), var = repeated(running_var());
  ops::batch_norm(input.data().reshape(one_channel_each), mean, var, {}, {},
                  {.training = true, .momentum = *options_.momentum, .eps = options_.eps});
  running_mean().copy_(ops::mean(mean.reshape({samples, channels}), {0}));
  running_var().copy_(ops::mean(var.reshape({samples, channels}), {0}));
  return output;
}

void InstanceNorm::adapt_state(const std::string& prefix, std::map<std::string, Tensor>& own,
                               std::vector<std::string>& errors) const {
  if (options_.track_running_stats) {
    count_missing_batches_as_zero(true, prefix, own);
    return;
  }
  std::string names;
  for (const char* name : {"running_mean", "running_var"}) {
    if (own.erase(prefix + name) > 0) names += formatted("{}{}{}\"", names.empty() ? "\"" : " and \"", prefix, name);
  }
  if (names.empty()) return;
  errors.push_back(
      formatted("Unexpected running stats buffer(s) {} for {} with track_running_stats=False. If state_dict is a checkpoint saved "
                "before 0.4.0, this may be expected because {} does not track running stats by default since 0.4.0. Please remove "
                "these keys from state_dict. If the running stats are actually needed, instead set track_running_stats=True in {} "
                "to enable them. See the documentation of {} for details.",
                names, type(), type(), type(), type()));
}

GroupNorm::GroupNorm(GroupNormOptions options) : options_(options) {
  require(options_.num_groups != kRequired, type(), "num_groups");
  require(options_.num_channels != kRequired, type(), "num_channels");
  const int64_t groups = options_.num_groups, channels = options_.num_channels;
  const std::string numbers = formatted("num_channels is {}, num_groups is {}", channels, groups);
  if (groups <= 0)
    raise<Error>("Expected num groups to be greater than 0, got {}\n{}: 1 normalises all channels together", groups, numbers);
  if (channels % groups != 0) raise<ValueError>("num_channels must be divisible by num_groups\n{}", numbers);
  const Shape shape = {channels};
  check_dimensions(shape, type());
  register_parameter("weight", ones_if(options_.affine, shape));
  register_parameter("bias", zeros_if(options_.affine, shape));
}

std::string GroupNorm::extra_repr() const {
  return formatted("{}, {}, eps={}, affine={}", options_.num_groups, options_.num_channels, python_text(options_.eps),
                   python_bool(options_.affine));
}

Variable GroupNorm::forward(const Variable& input) {
  return group_norm(input, options_.num_groups, weight(), bias(), options_.eps);
}

LayerNorm::LayerNorm(LayerNormOptions options) : options_(std::move(options)) {
  const Shape& shape = options_.normalized_shape.values();
  if (shape.empty()) {
    raise<Error>(
        "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalized_shape = "
        "[]\n"
        "give the sizes of the input's last axes, or one number for the last axis");
  }
  check_dimensions(shape, type());
  register_parameter("weight", ones_if(options_.elementwise_affine, shape));
  register_parameter("bias", zeros_if(options_.elementwise_affine, shape));
}

std::string LayerNorm::extra_repr() const {
  return formatted("{}, eps={}, elementwise_affine={}", python_tuple(options_.normalized_shape.values()), python_text(options_.eps),
                   python_bool(options_.elementwise_affine));
}

Variable LayerNorm::forward(const Variable& input) {
  return layer_norm(input, options_.normalized_shape.values(), weight(), bias(), options_.eps);
}

}  // namespace convoy::nn
