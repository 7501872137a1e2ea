// Module: what every layer is.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "convoy/autograd/variable.h"

namespace convoy::nn {

/// Names in PyTorch's order and spelling ("0.weight", "0.bias", "1.running_mean", ...).
using StateDict = std::vector<std::pair<std::string, Tensor>>;

/// What load_state_dict did not find and did not expect.
struct LoadReport {
  std::vector<std::string> missing_keys, unexpected_keys;
};

/// Base of every layer. A layer is a handle-like value: copying it shares its parameters, as assigning a module does in Python.
class Module {
 public:
  virtual ~Module() = default;

  /// The class name as PyTorch prints it: "Conv2d".
  virtual std::string type() const = 0;
  /// What PyTorch prints between the parentheses.
  virtual std::string extra_repr() const { return {}; }
  virtual Variable forward(const Variable& input) = 0;
  Variable operator()(const Variable& input) { return forward(input); }

  /// The printed form, equal to Python's print(module).
  std::string repr() const;

  /// Parameters and buffers of this module and its children, in registration order, children after.
  std::vector<std::pair<std::string, Variable>> named_parameters() const;
  std::vector<Variable> parameters() const;
  std::vector<std::pair<std::string, Tensor>> named_buffers() const;
  const std::vector<std::pair<std::string, std::shared_ptr<Module>>>& children() const { return children_; }

  /// Handles on the values (changing them changes the module).
  StateDict state_dict() const;
  /// Copies values in by name. strict: throws Error listing missing and unexpected keys and size mismatches in PyTorch's words; nothing is
  /// changed then. float64 values are converted.
  LoadReport load_state_dict(const StateDict& state, bool strict = true);

  /// Training or evaluation mode, children included.
  void train(bool training = true);
  void eval() { train(false); }
  bool is_training() const { return training_; }
  void zero_grad();
  /// Converts parameters and floating buffers.
  void to(DType dtype);

 protected:
  Variable register_parameter(std::string name, Tensor value);
  Tensor register_buffer(std::string name, Tensor value);
  void register_child(std::string name, std::shared_ptr<Module> child);

 private:
  std::vector<std::pair<std::string, Variable>> parameters_;
  std::vector<std::pair<std::string, Tensor>> buffers_;
  std::vector<std::pair<std::string, std::shared_ptr<Module>>> children_;
  bool training_ = true;
};

/// Layers applied one after the other.
///
///   nn::Sequential net{nn::Conv2d({.in_channels = 1, .out_channels = 8, .kernel_size = 3}), nn::ReLU(), nn::Flatten()};
class Sequential : public Module {
 public:
  Sequential() = default;
  template <class... Layers>
    requires(sizeof...(Layers) > 0 && (std::is_base_of_v<Module, std::remove_cvref_t<Layers>> && ...))
  explicit Sequential(Layers&&... layers) {
    (add(std::make_shared<std::remove_cvref_t<Layers>>(std::forward<Layers>(layers))), ...);
  }

  std::string type() const override { return "Sequential"; }
  Variable forward(const Variable& input) override;
  void add(std::shared_ptr<Module> layer);
  void add(std::string name, std::shared_ptr<Module> layer);
  size_t size() const { return children().size(); }
  Module& operator[](size_t i) { return *children().at(i).second; }
};

}  // namespace convoy::nn
