// Optimisers: how gradients change parameters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "convoy/autograd/variable.h"

namespace convoy::optim {

/// Named tensors for a checkpoint: ("lr", 0.1), ("0.momentum_buffer", [...]), ...
using OptimizerState = std::vector<std::pair<std::string, Tensor>>;

/// Base of the optimisers: one group of parameters with one learning rate. Parameters without a gradient are skipped, as in
/// PyTorch.
///
/// Errors: ValueError "optimizer got an empty parameter list", "can't optimize a non-leaf Tensor", the same parameter twice.
class Optimizer {
 public:
  explicit Optimizer(std::vector<Variable> parameters, double lr);
  virtual ~Optimizer() = default;

  /// One update in place of every parameter that has a gradient. Errors: a gradient or a buffer that does not fit its parameter;
  /// nothing is changed then.
  virtual void step() = 0;
  /// Forgets all gradients.
  void zero_grad();
  double lr() const { return lr_; }
  void set_lr(double lr) { lr_ = lr; }
  /// The learning rate that schedules start from: lr() when the first of them is built.
  double initial_lr();

  /// Copies of everything that step() depends on besides the parameters and gradients, so that a run that loads it goes on with the
  /// same bits: "lr", "initial_lr" once a schedule uses it, and "<index of the parameter>.<PyTorch's name>".
  virtual OptimizerState state() const = 0;
  /// Takes state() of an optimiser of the same kind over parameters of the same shapes.
  /// Errors: Error for names or shapes that do not belong here; nothing is changed then. Source: Optimizer.load_state_dict.
  virtual void load_state(const OptimizerState& state) = 0;

 protected:
  std::vector<Variable> parameters_;
  double lr_;
  std::optional<double> initial_lr_;
};

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
};

/// g = grad + weight_decay p;  b = momentum b + (1 - dampening) g (the first time b = g);  p -= lr (nesterov ? g + momentum b : b).
///
/// Errors: ValueError "Invalid learning rate: -1.0", "Invalid momentum value: -0.5", "Invalid weight_decay value: -0.5", "Nesterov
/// momentum requires a momentum and zero dampening". Source: torch.optim.SGD.
class SGD : public Optimizer {
 public:
  SGD(std::vector<Variable> parameters, const SGDOptions& options);
  void step() override;
  OptimizerState state() const override;
  void load_state(const OptimizerState& state) override;

 private:
  SGDOptions options_;
  std::vector<Tensor> momentum_buffers_;  // one per parameter, undefined before its first step
};

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;
};

/// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
/// p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps), where g = grad + weight_decay p. With amsgrad the largest v so
/// far takes v's place; with decoupled weight decay (AdamW) g = grad and p is first multiplied by 1 - lr weight_decay.
///
/// Errors: ValueError "Invalid learning rate: nan", "Invalid epsilon value: -1e-08", "Invalid beta parameter at index 0: 1.0",
/// "Invalid weight_decay value: -1.0". Source: torch.optim.Adam.
class Adam : public Optimizer {
 public:
  Adam(std::vector<Variable> parameters, const AdamOptions& options = {}, bool decoupled = false);
  void step() override;
  OptimizerState state() const override;
  void load_state(const OptimizerState& state) override;

 private:
  struct Moments {
    int64_t step = 0;  // how often this parameter was updated; the rest is undefined before the first time
    Tensor exp_avg, exp_avg_sq, max_exp_avg_sq;
  };
  AdamOptions options_;
  bool decoupled_;
  std::vector<Moments> moments_;
};

/// Adam with decoupled weight decay, 0.01 by default. Source: torch.optim.AdamW.
class AdamW : public Adam {
 public:
  AdamW(std::vector<Variable> parameters, AdamOptions options = {.weight_decay = 1e-2})
      : Adam(std::move(parameters), options, true) {}
};

/// Multiplies the learning rate by gamma every step_size epochs.
///
/// Errors: ValueError for a step_size below 1 or an epoch below 0. Source: torch.optim.lr_scheduler.StepLR.
class StepLR {
 public:
  StepLR(Optimizer& optimizer, int64_t step_size, double gamma = 0.1);
  /// To the next epoch.
  void step() { set_epoch(epoch_ + 1); }
  int64_t last_epoch() const { return epoch_; }
  /// To any epoch, for resuming.
  void set_epoch(int64_t epoch);

 private:
  Optimizer& optimizer_;
  int64_t step_size_;
  double gamma_, base_lr_;
  int64_t epoch_ = 0;
};

/// eta_min + (base - eta_min) (1 + cos(pi epoch / t_max)) / 2.
///
/// Errors: ValueError for a t_max below 1 or an epoch below 0. Source: torch.optim.lr_scheduler.CosineAnnealingLR.
class CosineAnnealingLR {
 public:
  CosineAnnealingLR(Optimizer& optimizer, int64_t t_max, double eta_min = 0);
  /// To the next epoch.
  void step() { set_epoch(epoch_ + 1); }
  int64_t last_epoch() const { return epoch_; }
  /// To any epoch, for resuming.
  void set_epoch(int64_t epoch);

 private:
  Optimizer& optimizer_;
  int64_t t_max_;
  double eta_min_, base_lr_;
  int64_t epoch_ = 0;
};

}  // namespace convoy::optim
