// Linear, and the layers that only change the shape.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/nn/layer_options.h"
#include "convoy/nn/module.h"

namespace convoy::nn {

/// Arguments of Linear. in_features and out_features are required.
struct LinearOptions {
  int64_t in_features = kRequired;
  int64_t out_features = kRequired;
  bool bias = true;
};

/// output = input weight^T + bias.
///
/// Shapes: input (*, in_features), weight (out_features, in_features), bias (out_features), output (*, out_features).
/// Source: torch.nn.Linear; weight and bias start as there, bit for bit for the same seed.
class Linear : public Module {
 public:
  explicit Linear(LinearOptions options);
  std::string type() const override { return "Linear"; }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;

  const LinearOptions& options() const { return options_; }
  Variable& weight() { return parameter(0); }
  const Variable& weight() const { return parameter(0); }
  /// Undefined if options().bias is false.
  Variable& bias() { return parameter(1); }
  const Variable& bias() const { return parameter(1); }

 private:
  LinearOptions options_;
};

struct FlattenOptions {
  int64_t start_dim = 1;
  int64_t end_dim = -1;
};

/// Axes start_dim to end_dim become one. Source: torch.nn.Flatten.
class Flatten : public Module {
 public:
  explicit Flatten(FlattenOptions options = {}) : options_(options) {}
  std::string type() const override { return "Flatten"; }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;
  const FlattenOptions& options() const { return options_; }

 private:
  FlattenOptions options_;
};

/// Arguments of Unflatten; both are required.
struct UnflattenOptions {
  int64_t dim = kRequired;
  std::vector<int64_t> unflattened_size = {};
};

/// Axis dim becomes the axes unflattened_size, of which one may be -1. Source: torch.nn.Unflatten.
class Unflatten : public Module {
 public:
  explicit Unflatten(UnflattenOptions options);
  std::string type() const override { return "Unflatten"; }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;
  const UnflattenOptions& options() const { return options_; }

 private:
  UnflattenOptions options_;
};

/// Gives its input back. Source: torch.nn.Identity.
class Identity : public Module {
 public:
  std::string type() const override { return "Identity"; }
  Variable forward(const Variable& input) override { return input; }
};

}  // namespace convoy::nn
