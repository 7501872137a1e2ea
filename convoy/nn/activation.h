// Activation layers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "convoy/nn/layer_options.h"
#include "convoy/nn/module.h"
#include "convoy/ops/elementwise.h"

namespace convoy::nn {

/// PyTorch's inplace flag. It is printed; values are never overwritten, since recorded operations may need them.
struct InplaceOptions {
  bool inplace = false;
};

/// An activation without numbers of its own. Source: torch.nn.ReLU and the like.
class PlainActivation : public Module {
 public:
  std::string type() const override { return type_; }
  std::string extra_repr() const override { return options_.inplace && printed_ ? "inplace=True" : ""; }
  Variable forward(const Variable& input) override;
  const InplaceOptions& options() const { return options_; }
  Activation kind() const { return kind_; }

 protected:
  /// PyTorch prints the inplace flag of some classes only.
  PlainActivation(const char* type, Activation kind, InplaceOptions options, bool printed)
      : type_(type), kind_(kind), options_(options), printed_(printed) {}

 private:
  const char* type_;
  Activation kind_;
  InplaceOptions options_;
  bool printed_;
};

class ReLU : public PlainActivation {
 public:
  explicit ReLU(InplaceOptions options = {}) : PlainActivation("ReLU", Activation::kRelu, options, true) {}
};
class ReLU6 : public PlainActivation {
 public:
  explicit ReLU6(InplaceOptions options = {}) : PlainActivation("ReLU6", Activation::kRelu6, options, true) {}
};
class SiLU : public PlainActivation {
 public:
  explicit SiLU(InplaceOptions options = {}) : PlainActivation("SiLU", Activation::kSilu, options, true) {}
};
class Mish : public PlainActivation {
 public:
  explicit Mish(InplaceOptions options = {}) : PlainActivation("Mish", Activation::kMish, options, true) {}
};
class Hardswish : public PlainActivation {
 public:
  explicit Hardswish(InplaceOptions options = {}) : PlainActivation("Hardswish", Activation::kHardswish, options, false) {}
};
class Hardsigmoid : public PlainActivation {
 public:
  explicit Hardsigmoid(InplaceOptions options = {}) : PlainActivation("Hardsigmoid", Activation::kHardsigmoid, options, false) {}
};
class Sigmoid : public PlainActivation {
 public:
  Sigmoid() : PlainActivation("Sigmoid", Activation::kSigmoid, {}, false) {}
};
class Tanh : public PlainActivation {
 public:
  Tanh() : PlainActivation("Tanh", Activation::kTanh, {}, false) {}
};

struct GELUOptions {
  std::string approximate = "none";
};

/// x Phi(x); approximate = "tanh": x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
/// Errors: ValueError "approximate argument must be either none or tanh." Source: torch.nn.GELU.
class GELU : public Module {
 public:
  explicit GELU(GELUOptions options = {});
  std::string type() const override { return "GELU"; }
  std::string extra_repr() const override { return "approximate='" + options_.approximate + "'"; }
  Variable forward(const Variable& input) override;
  const GELUOptions& options() const { return options_; }

 private:
  GELUOptions options_;
};

struct LeakyReLUOptions {
  Number negative_slope = 1e-2;
  bool inplace = false;
};

/// Source: torch.nn.LeakyReLU.
class LeakyReLU : public Module {
 public:
  explicit LeakyReLU(LeakyReLUOptions options = {}) : options_(options) {}
  std::string type() const override { return "LeakyReLU"; }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;
  const LeakyReLUOptions& options() const { return options_; }

 private:
  LeakyReLUOptions options_;
};

struct ELUOptions {
  Number alpha = 1.0;
  bool inplace = false;
};

/// Source: torch.nn.ELU.
class ELU : public Module {
 public:
  explicit ELU(ELUOptions options = {}) : options_(options) {}
  std::string type() const override { return "ELU"; }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;
  const ELUOptions& options() const { return options_; }

 private:
  ELUOptions options_;
};

struct SoftplusOptions {
  Number beta = 1;
  Number threshold = 20;
};

/// Source: torch.nn.Softplus.
class Softplus : public Module {
 public:
  explicit Softplus(SoftplusOptions options = {}) : options_(options) {}
  std::string type() const override { return "Softplus"; }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;
  const SoftplusOptions& options() const { return options_; }

 private:
  SoftplusOptions options_;
};

struct HardtanhOptions {
  Number min_val = -1.0;
  Number max_val = 1.0;
  bool inplace = false;
};

/// Errors: ValueError unless min_val < max_val. Source: torch.nn.Hardtanh.
class Hardtanh : public Module {
 public:
  explicit Hardtanh(HardtanhOptions options = {});
  std::string type() const override { return "Hardtanh"; }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;
  const HardtanhOptions& options() const { return options_; }

 private:
  HardtanhOptions options_;
};

/// The axis over which the outputs sum to 1. As in PyTorch, one that is not given is 0 for inputs of 0, 1 or 3 axes, else 1.
struct SoftmaxOptions {
  std::optional<int64_t> dim = {};
};

/// Source: torch.nn.Softmax.
class Softmax : public Module {
 public:
  explicit Softmax(SoftmaxOptions options = {}) : options_(options) {}
  std::string type() const override { return "Softmax"; }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;
  const SoftmaxOptions& options() const { return options_; }

 private:
  SoftmaxOptions options_;
};

/// Source: torch.nn.LogSoftmax.
class LogSoftmax : public Module {
 public:
  explicit LogSoftmax(SoftmaxOptions options = {}) : options_(options) {}
  std::string type() const override { return "LogSoftmax"; }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;
  const SoftmaxOptions& options() const { return options_; }

 private:
  SoftmaxOptions options_;
};

}  // namespace convoy::nn
