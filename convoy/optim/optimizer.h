// Optimisers.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "convoy/autograd/variable.h"

namespace convoy::optim {

/// Base of the optimisers. Parameters without a gradient are skipped, as in PyTorch.
class Optimizer {
 public:
  explicit Optimizer(std::vector<Variable> parameters, double lr);
  virtual ~Optimizer() = default;

  virtual void step() = 0;
  void zero_grad();
  double lr() const { return lr_; }
  void set_lr(double lr) { lr_ = lr; }
  /// Everything that step() depends on besides the parameters and gradients, for checkpoints: ("0.momentum_buffer", tensor), ...
  virtual std::vector<std::pair<std::string, Tensor>> state() const = 0;
  virtual void load_state(const std::vector<std::pair<std::string, Tensor>>& state) = 0;

 protected:
  std::vector<Variable> parameters_;
  double lr_;
};

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
};

/// Source: torch.optim.SGD. Errors: ValueError "Invalid learning rate: -1.0", "Nesterov momentum requires a momentum and zero dampening".
class SGD : public Optimizer {
 public:
  SGD(std::vector<Variable> parameters, const SGDOptions& options);
  void step() override;
  std::vector<std::pair<std::string, Tensor>> state() const override;
  void load_state(const std::vector<std::pair<std::string, Tensor>>& state) override;

 private:
  SGDOptions options_;
  std::vector<Tensor> momentum_buffers_;
};

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;
};

/// Source: torch.optim.Adam (weight decay added to the gradient).
class Adam : public Optimizer {
 public:
  Adam(std::vector<Variable> parameters, const AdamOptions& options = {}, bool decoupled = false);
  void step() override;
  std::vector<std::pair<std::string, Tensor>> state() const override;
  void load_state(const std::vector<std::pair<std::string, Tensor>>& state) override;

 private:
  AdamOptions options_;
  bool decoupled_;
  int64_t steps_ = 0;
  std::vector<Tensor> exp_avg_, exp_avg_sq_, max_exp_avg_sq_;
};

/// Source: torch.optim.AdamW (decoupled weight decay, 0.01 by default).
class AdamW : public Adam {
 public:
  AdamW(std::vector<Variable> parameters, AdamOptions options = {.weight_decay = 1e-2}) : Adam(std::move(parameters), options, true) {}
};

/// Multiplies the learning rate by gamma every step_size epochs. Source: torch.optim.lr_scheduler.StepLR.
class StepLR {
 public:
  StepLR(Optimizer& optimizer, int64_t step_size, double gamma = 0.1);
  void step();
  int64_t last_epoch() const { return epoch_; }
  void set_epoch(int64_t epoch);

 private:
  Optimizer& optimizer_;
  int64_t step_size_;
  double gamma_, base_lr_;
  int64_t epoch_ = 0;
};

/// eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2. Source: torch.optim.lr_scheduler.CosineAnnealingLR.
class CosineAnnealingLR {
 public:
  CosineAnnealingLR(Optimizer& optimizer, int64_t t_max, double eta_min = 0);
  void step();
  int64_t last_epoch() const { return epoch_; }
  void set_epoch(int64_t epoch);

 private:
  Optimizer& optimizer_;
  int64_t t_max_;
  double eta_min_, base_lr_;
  int64_t epoch_ = 0;
};

}  // namespace convoy::optim
