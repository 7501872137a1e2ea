#include "convoy/optim/optimizer.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <set>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/optim/update.h"

namespace convoy::optim {

namespace {

constexpr int64_t kGrain = 16384;  // elements per task: some microseconds of work, several streams within the first two caches

// A double as Python prints it: the shortest digits that read back, "-1.0", "1e-08", "nan".
std::string python_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char text[32];
  const int exponent = value == 0 ? 0 : static_cast<int>(std::floor(std::log10(std::fabs(value))));
  const auto format = exponent < -4 || exponent >= 16 ? std::chars_format::scientific : std::chars_format::fixed;
  std::string result(text, std::to_chars(text, text + sizeof text, value, format).ptr);
  if (format == std::chars_format::fixed && result.find('.') == std::string::npos) result += ".0";
  return result;
}

// NaN is refused too.
void require(bool valid, const char* reason, double value, const char* fix) {
  if (!valid) raise<ValueError>("{}{}\n{}", reason, python_text(value), fix);
}

const SGDOptions& checked(const SGDOptions& options) {
  require(options.lr >= 0, "Invalid learning rate: ", options.lr, "lr must be 0 or more, for example 0.1");
  require(options.momentum >= 0, "Invalid momentum value: ", options.momentum, "momentum must be 0 or more, for example 0.9");
  require(options.weight_decay >= 0, "Invalid weight_decay value: ", options.weight_decay,
          "weight_decay must be 0 or more, for example 1e-4");
  if (options.nesterov && (options.momentum <= 0 || options.dampening != 0)) {
    raise<ValueError>(
        "Nesterov momentum requires a momentum and zero dampening\n"
        "momentum is {} and dampening {}: use for example momentum 0.9 and dampening 0",
        python_text(options.momentum), python_text(options.dampening));
  }
  return options;
}

const AdamOptions& checked(const AdamOptions& options) {
  require(options.lr >= 0, "Invalid learning rate: ", options.lr, "lr must be 0 or more, for example 1e-3");
  require(options.eps >= 0, "Invalid epsilon value: ", options.eps, "eps must be 0 or more, for example 1e-8");
  require(options.beta1 >= 0 && options.beta1 < 1, "Invalid beta parameter at index 0: ", options.beta1,
          "beta1 must lie in [0, 1), for example 0.9");
  require(options.beta2 >= 0 && options.beta2 < 1, "Invalid beta parameter at index 1: ", options.beta2,
          "beta2 must lie in [0, 1), for example 0.999");
  require(options.weight_decay >= 0, "Invalid weight_decay value: ", options.weight_decay,
          "weight_decay must be 0 or more, for example 1e-2");
  return options;
}

bool fits(const Tensor& tensor, const Tensor& parameter) {
  return tensor.shape() == parameter.shape() && tensor.dtype() == parameter.dtype();
}

std::string description(const Tensor& tensor) { return formatted("{} {}", tensor.dtype(), tensor.shape()); }

// Refuses a gradient or buffer that does not fit the parameter; an undefined one does.
void require_fit(const Tensor& tensor, const Tensor& parameter, const char* what, size_t index) {
  if (!tensor.defined() || fits(tensor, parameter)) return;
  raise<Error>(
      "{} of parameter {} is {}, the parameter is {}\n"
      "build the optimizer after converting or replacing the parameters, and give gradients their parameter's shape and type",
      what, index, description(tensor), description(parameter));
}

// Runs update<T>() for the element type of a parameter.
template <class F>
void with_floating_type(DType dtype, F&& update) {
  if (dtype == DType::kFloat32) {
    update(float{});
  } else {
    update(double{});
  }
}

// Reads a checkpoint: every entry must be taken exactly once.
class StateReader {
 public:
  StateReader(const OptimizerState& state, size_t parameters) : state_(state) {
    for (const auto& [name, tensor] : state) {
      const size_t dot = name.find('.');
      size_t index = 0;
      if (dot == std::string::npos) continue;
      const auto [end, failure] = std::from_chars(name.data(), name.data() + dot, index);
      if (failure == std::errc() && end == name.data() + dot && index >= parameters) {
        raise<ValueError>(
            "loaded state dict contains a parameter group that doesn't match the size of optimizer's group\n"
            "the state has \"{}\", this optimizer has {} parameters, 0 to {}",
            name, parameters, parameters - 1);
      }
    }
  }

  Tensor take(const std::string& name) {
    for (const auto& [key, tensor] : state_) {
      if (key == name) {
        taken_.insert(name);
        return tensor;
      }
    }
    return {};
  }

  // A copy in the parameter's type.
  Tensor take_like(size_t index, const char* name, const Tensor& parameter) {
    const std::string key = formatted("{}.{}", index, name);
    const Tensor tensor = take(key);
    if (!tensor.defined()) return {};
    if (tensor.shape() != parameter.shape()) {
      raise<Error>(
          "size mismatch for {}: copying a buffer with shape torch.Size({}) from checkpoint, the shape in current optimizer is "
          "torch.Size({}).\n"
          "load a state that was saved for parameters of these shapes, in this order",
          key, tensor.shape(), parameter.shape());
    }
    return tensor.to(parameter.dtype()).clone();
  }

  std::optional<double> take_number(const std::string& name) {
    const Tensor tensor = take(name);
    if (!tensor.defined()) return {};
    if (tensor.numel() != 1) {
      raise<Error>(
          "the optimizer state's \"{}\" has {} values instead of 1\n"
          "load the state of the same optimizer",
          name, tensor.numel());
    }
    return tensor.item();
  }

  void finish() const {
    for (const auto& [name, tensor] : state_) {
      if (taken_.count(name) == 0) {
        raise<Error>("Unexpected key(s) in optimizer state: \"{}\". \nload it into the kind of optimizer that saved it", name);
      }
    }
  }

 private:
  const OptimizerState& state_;
  std::set<std::string> taken_;
};

OptimizerState learning_rates(double lr, const std::optional<double>& initial_lr) {
  OptimizerState state{{"lr", Tensor::scalar(lr, DType::kFloat64)}};
  if (initial_lr) state.emplace_back("initial_lr", Tensor::scalar(*initial_lr, DType::kFloat64));
  return state;
}

void require_positive(int64_t value, const char* name) {
  if (value >= 1) return;
  raise<ValueError>("Expected positive integer {}, but got {}\ncount epochs from 1", name, value);
}

void require_epoch(int64_t epoch) {
  if (epoch < 0) raise<ValueError>("Expected non-negative epoch, but got {}\nthe first epoch is 0", epoch);
}

}  // namespace

Optimizer::Optimizer(std::vector<Variable> parameters, double lr) : parameters_(std::move(parameters)), lr_(lr) {
  if (parameters_.empty()) {
    raise<ValueError>("optimizer got an empty parameter list\npass the parameters() of a module that has some");
  }
  std::set<const void*> seen;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const std::string which = formatted("parameter {}", i);
    if (!parameters_[i].defined())
      raise<ValueError>("optimizer can only optimize Tensors, but one of the params is NoneType\n{} is undefined", which);
    if (!parameters_[i].is_leaf()) {
      raise<ValueError>(
          "can't optimize a non-leaf Tensor\n"
          "{} was computed from another: pass the one it was computed from, or a detach()ed copy",
          which);
    }
    if (!seen.insert(parameters_[i].node().get()).second) {
      raise<ValueError>(
          "optimizer contains a parameter group with duplicate parameters\n"
          "{} is there twice and would be updated twice",
          which);
    }
  }
}

void Optimizer::zero_grad() {
  for (Variable& parameter : parameters_) parameter.zero_grad();
}

double Optimizer::initial_lr() {
  if (!initial_lr_) initial_lr_ = lr_;
  return *initial_lr_;
}

SGD::SGD(std::vector<Variable> parameters, const SGDOptions& options)
    : Optimizer(std::move(parameters), checked(options).lr), options_(options), momentum_buffers_(parameters_.size()) {}

void SGD::step() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    require_fit(parameters_[i].grad(), parameters_[i].data(), "the gradient", i);
    require_fit(momentum_buffers_[i], parameters_[i].data(), "the momentum_buffer", i);
  }
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Tensor& parameter = parameters_[i].data();
    const Tensor& grad = parameters_[i].grad();
    if (!grad.defined()) continue;
    Tensor& buffer = momentum_buffers_[i];
    const bool first = !buffer.defined();
    if (options_.momentum != 0 && first) buffer = Tensor::empty(parameter.shape(), parameter.dtype());
    with_floating_type(parameter.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const SgdUpdate<T> update{.negative_lr = static_cast<T>(-lr_),
                                .momentum = static_cast<T>(options_.momentum),
                                .one_minus_dampening = static_cast<T>(1 - options_.dampening),
                                .weight_decay = static_cast<T>(options_.weight_decay),
                                .nesterov = options_.nesterov};
      T* const p = parameter.data<T>();
      const T* const g = grad.data<T>();
      T* const b = options_.momentum != 0 ? buffer.data<T>() : nullptr;
      parallel_ranges(parameter.numel(), kGrain, [&](int64_t begin, int64_t end) {
        if (b == nullptr) {
          update.plain(p, g, begin, end);
        } else {
          update.with_momentum(p, g, b, first, begin, end);
        }
      });
    });
  }
}

OptimizerState SGD::state() const {
  OptimizerState state = learning_rates(lr_, initial_lr_);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (momentum_buffers_[i].defined()) state.emplace_back(formatted("{}.momentum_buffer", i), momentum_buffers_[i].clone());
  }
  return state;
}

void SGD::load_state(const OptimizerState& state) {
  StateReader reader(state, parameters_.size());
  const double lr = reader.take_number("lr").value_or(lr_);
  const std::optional<double> initial_lr = reader.take_number("initial_lr");
  std::vector<Tensor> buffers(parameters_.size());
  for (size_t i = 0; i < parameters_.size(); ++i) buffers[i] = reader.take_like(i, "momentum_buffer", parameters_[i].data());
  reader.finish();
  lr_ = lr;
  initial_lr_ = initial_lr;
  momentum_buffers_ = std::move(buffers);
}

Adam::Adam(std::vector<Variable> parameters, const AdamOptions& options, bool decoupled)
    : Optimizer(std::move(parameters), checked(options).lr),
      options_(options),
      decoupled_(decoupled),
      moments_(parameters_.size()) {}

void Adam::step() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    require_fit(parameters_[i].grad(), parameters_[i].data(), "the gradient", i);
    require_fit(moments_[i].exp_avg, parameters_[i].data(), "exp_avg", i);
  }
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Tensor& parameter = parameters_[i].data();
    const Tensor& grad = parameters_[i].grad();
    if (!grad.defined()) continue;
    Moments& moments = moments_[i];
    if (!moments.exp_avg.defined()) {
      moments.exp_avg = Tensor::zeros(parameter.shape(), parameter.dtype());
      moments.exp_avg_sq = Tensor::zeros(parameter.shape(), parameter.dtype());
      if (options_.amsgrad) moments.max_exp_avg_sq = Tensor::zeros(parameter.shape(), parameter.dtype());
    }
    const auto step = static_cast<double>(++moments.step);
    const double step_size = lr_ / (1 - std::pow(options_.beta1, step));
    with_floating_type(parameter.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const AdamUpdate<T> update{.beta1 = static_cast<T>(options_.beta1),
                                 .one_minus_beta1 = static_cast<T>(1 - options_.beta1),
                                 .beta2 = static_cast<T>(options_.beta2),
                                 .one_minus_beta2 = static_cast<T>(1 - options_.beta2),
                                 .eps = static_cast<T>(options_.eps),
                                 .weight_decay = static_cast<T>(decoupled_ ? 0 : options_.weight_decay),
                                 .shrink = static_cast<T>(decoupled_ ? 1 - lr_ * options_.weight_decay : 1),
                                 .negative_step_size = static_cast<T>(-step_size),
                                 .bias_correction2_sqrt = static_cast<T>(std::sqrt(1 - std::pow(options_.beta2, step)))};
      T* const p = parameter.data<T>();
      const T* const g = grad.data<T>();
      T* const m = moments.exp_avg.data<T>();
      T* const v = moments.exp_avg_sq.data<T>();
      T* const v_max = options_.amsgrad ? moments.max_exp_avg_sq.data<T>() : nullptr;
      parallel_ranges(parameter.numel(), kGrain, [&](int64_t begin, int64_t end) { update.run(p, g, m, v, v_max, begin, end); });
    });
  }
}

OptimizerState Adam::state() const {
  OptimizerState state = learning_rates(lr_, initial_lr_);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!moments_[i].exp_avg.defined()) continue;
    const std::string prefix = formatted("{}.", i);
    state.emplace_back(prefix + "step", Tensor::scalar(static_cast<double>(moments_[i].step), DType::kInt64));
    state.emplace_back(prefix + "exp_avg", moments_[i].exp_avg.clone());
    state.emplace_back(prefix + "exp_avg_sq", moments_[i].exp_avg_sq.clone());
    if (options_.amsgrad) state.emplace_back(prefix + "max_exp_avg_sq", moments_[i].max_exp_avg_sq.clone());
  }
  return state;
}

void Adam::load_state(const OptimizerState& state) {
  StateReader reader(state, parameters_.size());
  const double lr = reader.take_number("lr").value_or(lr_);
  const std::optional<double> initial_lr = reader.take_number("initial_lr");
  std::vector<Moments> loaded(parameters_.size());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& parameter = parameters_[i].data();
    const std::optional<double> step = reader.take_number(formatted("{}.step", i));
    loaded[i] = {.step = static_cast<int64_t>(step.value_or(0)),
                 .exp_avg = reader.take_like(i, "exp_avg", parameter),
                 .exp_avg_sq = reader.take_like(i, "exp_avg_sq", parameter),
                 .max_exp_avg_sq = options_.amsgrad ? reader.take_like(i, "max_exp_avg_sq", parameter) : Tensor()};
    const bool whole = step.has_value() == loaded[i].exp_avg.defined() && step.has_value() == loaded[i].exp_avg_sq.defined() &&
                       (step.has_value() && options_.amsgrad) == loaded[i].max_exp_avg_sq.defined();
    if (!whole) {
      raise<Error>(
          "Missing key(s) in optimizer state for parameter {}\n"
          "it needs step, exp_avg, exp_avg_sq{}, or none of them",
          i, options_.amsgrad ? " and max_exp_avg_sq" : "");
    }
  }
  reader.finish();
  lr_ = lr;
  initial_lr_ = initial_lr;
  moments_ = std::move(loaded);
}

StepLR::StepLR(Optimizer& optimizer, int64_t step_size, double gamma)
    : optimizer_(optimizer), step_size_(step_size), gamma_(gamma), base_lr_(optimizer.initial_lr()) {
  require_positive(step_size, "step_size");
}

void StepLR::set_epoch(int64_t epoch) {
  require_epoch(epoch);
  epoch_ = epoch;
  double lr = base_lr_;
  for (int64_t i = epoch / step_size_; i > 0 && lr != lr * gamma_; --i) lr *= gamma_;  // not pow: PyTorch multiplies step by step
  optimizer_.set_lr(lr);
}

CosineAnnealingLR::CosineAnnealingLR(Optimizer& optimizer, int64_t t_max, double eta_min)
    : optimizer_(optimizer), t_max_(t_max), eta_min_(eta_min), base_lr_(optimizer.initial_lr()) {
  require_positive(t_max, "T_max");
}

void CosineAnnealingLR::set_epoch(int64_t epoch) {
  require_epoch(epoch);
  epoch_ = epoch;
  const double phase = std::numbers::pi * static_cast<double>(epoch) / static_cast<double>(t_max_);
  optimizer_.set_lr(epoch == 0 ? base_lr_ : eta_min_ + (base_lr_ - eta_min_) * (1 + std::cos(phase)) / 2);
}

}  // namespace convoy::optim
