// Normalisation layers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "convoy/core/elementwise.h"
#include "convoy/nn/layer_options.h"
#include "convoy/nn/module.h"

namespace convoy::nn {

/// Arguments of BatchNorm1d, 2d and 3d. num_features is required. momentum std::nullopt averages all batches with equal weight.
struct BatchNormLayerOptions {
  int64_t num_features = kRequired;
  Number eps = 1e-5;
  std::optional<Number> momentum = 0.1;
  bool affine = true;
  bool track_running_stats = true;
};

/// y = (x - mean) / sqrt(var + eps) * weight + bias per channel: with the batch's statistics in training (which also move the
/// running ones), with the running ones in evaluation, or with the batch's always if track_running_stats is false.
///
/// Shapes: input (N, C) or (N, C, L) for 1d, (N, C, H, W) for 2d, (N, C, D, H, W) for 3d.
/// Errors: ValueError "expected 4D input (got 3D input)"; those of ops::batch_norm; nothing is changed then.
/// Source: torch.nn.BatchNorm2d.
class BatchNorm : public Module {
 public:
  std::string type() const override { return ranked("BatchNorm", rank_); }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override { return forward_then(input, {}); }
  /// The sum of the output and a residual as well, if there is one, and relu or relu6 of that: in the same pass over memory,
  /// forward and backward.
  Variable forward_then(const Variable& input, std::optional<Activation> activation, const Variable& residual = {});

  const BatchNormLayerOptions& options() const { return options_; }
  int rank() const { return rank_; }
  /// Undefined if options().affine is false.
  Variable& weight() { return parameter(0); }
  const Variable& weight() const { return parameter(0); }
  Variable& bias() { return parameter(1); }
  const Variable& bias() const { return parameter(1); }
  /// Undefined if options().track_running_stats is false.
  Tensor& running_mean() { return buffer(0); }
  const Tensor& running_mean() const { return buffer(0); }
  Tensor& running_var() { return buffer(1); }
  const Tensor& running_var() const { return buffer(1); }
  /// An int64 scalar: how many training batches the running statistics saw.
  Tensor& num_batches_tracked() { return buffer(2); }
  const Tensor& num_batches_tracked() const { return buffer(2); }

 protected:
  BatchNorm(int rank, BatchNormLayerOptions options);
  void adapt_state(const std::string& prefix, std::map<std::string, Tensor>& own, std::vector<std::string>& errors) const override;

 private:
  int rank_;
  BatchNormLayerOptions options_;
};

class BatchNorm1d : public BatchNorm {
 public:
  explicit BatchNorm1d(BatchNormLayerOptions options) : BatchNorm(1, std::move(options)) {}
};
class BatchNorm2d : public BatchNorm {
 public:
  explicit BatchNorm2d(BatchNormLayerOptions options) : BatchNorm(2, std::move(options)) {}
};
class BatchNorm3d : public BatchNorm {
 public:
  explicit BatchNorm3d(BatchNormLayerOptions options) : BatchNorm(3, std::move(options)) {}
};

/// Arguments of InstanceNorm1d, 2d and 3d. num_features is required.
struct InstanceNormLayerOptions {
  int64_t num_features = kRequired;
  Number eps = 1e-5;
  std::optional<Number> momentum = 0.1;
  bool affine = false;
  bool track_running_stats = false;
};

/// As BatchNorm with statistics of each sample's channel alone. Shapes: (N, C, *) or (C, *). Source: torch.nn.InstanceNorm2d.
class InstanceNorm : public Module {
 public:
  std::string type() const override { return ranked("InstanceNorm", rank_); }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;

  const InstanceNormLayerOptions& options() const { return options_; }
  int rank() const { return rank_; }
  /// Undefined if options().affine is false.
  Variable& weight() { return parameter(0); }
  Variable& bias() { return parameter(1); }
  /// Undefined if options().track_running_stats is false.
  Tensor& running_mean() { return buffer(0); }
  Tensor& running_var() { return buffer(1); }

 protected:
  InstanceNorm(int rank, InstanceNormLayerOptions options);
  void adapt_state(const std::string& prefix, std::map<std::string, Tensor>& own, std::vector<std::string>& errors) const override;

 private:
  int rank_;
  InstanceNormLayerOptions options_;
};

class InstanceNorm1d : public InstanceNorm {
 public:
  explicit InstanceNorm1d(InstanceNormLayerOptions options) : InstanceNorm(1, std::move(options)) {}
};
class InstanceNorm2d : public InstanceNorm {
 public:
  explicit InstanceNorm2d(InstanceNormLayerOptions options) : InstanceNorm(2, std::move(options)) {}
};
class InstanceNorm3d : public InstanceNorm {
 public:
  explicit InstanceNorm3d(InstanceNormLayerOptions options) : InstanceNorm(3, std::move(options)) {}
};

/// Arguments of GroupNorm. num_groups and num_channels are required.
struct GroupNormOptions {
  int64_t num_groups = kRequired;
  int64_t num_channels = kRequired;
  Number eps = 1e-5;
  bool affine = true;
};

/// Statistics over num_channels / num_groups channels of one sample. Errors: ValueError "num_channels must be divisible by
/// num_groups". Source: torch.nn.GroupNorm.
class GroupNorm : public Module {
 public:
  explicit GroupNorm(GroupNormOptions options);
  std::string type() const override { return "GroupNorm"; }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;

  const GroupNormOptions& options() const { return options_; }
  Variable& weight() { return parameter(0); }
  Variable& bias() { return parameter(1); }

 private:
  GroupNormOptions options_;
};

/// Arguments of LayerNorm. normalized_shape is required: the last axes of the input, or one number for the last axis.
struct LayerNormOptions {
  IntList normalized_shape = {};
  Number eps = 1e-5;
  bool elementwise_affine = true;
};

/// Statistics over the last axes. Source: torch.nn.LayerNorm.
class LayerNorm : public Module {
 public:
  explicit LayerNorm(LayerNormOptions options);
  std::string type() const override { return "LayerNorm"; }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;

  const LayerNormOptions& options() const { return options_; }
  Variable& weight() { return parameter(0); }
  Variable& bias() { return parameter(1); }

 private:
  LayerNormOptions options_;
};

}  // namespace convoy::nn
