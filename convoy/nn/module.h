// Module: what every layer is. Sequential: layers applied one after the other.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
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

/// Base of every layer. A layer is a handle: copies share parameters, buffers, children and mode, as assigning a module does in
/// Python.
class Module {
 public:
  using Children = std::vector<std::pair<std::string, std::shared_ptr<Module>>>;

  virtual ~Module() = default;

  /// The class name as PyTorch prints it: "Conv2d".
  virtual std::string type() const = 0;
  /// What PyTorch prints between the parentheses.
  virtual std::string extra_repr() const { return {}; }
  virtual Variable forward(const Variable& input) = 0;
  /// forward(input), seen by every ForwardHook.
  Variable operator()(const Variable& input);

  /// Options that PyTorch does not print, if they are not the default: "ceil_mode=True".
  virtual std::string unprinted() const { return {}; }
  /// The printed form, equal to Python's print(module).
  std::string repr() const { return printed(false); }
  /// repr() with the options that PyTorch does not print: parse() (nn/parse.h) builds the same network from it.
  std::string definition() const { return printed(true); }

  /// This module's own, then its children's, in registration order. A parameter that appears twice (a layer used twice) is listed
  /// once.
  std::vector<std::pair<std::string, Variable>> named_parameters() const;
  std::vector<Variable> parameters() const;
  std::vector<std::pair<std::string, Tensor>> named_buffers() const;
  const Children& children() const { return state_->children; }

  /// Handles on the values (changing them changes the module), per module its parameters, then its buffers.
  StateDict state_dict() const;
  /// Copies values in by name, converted to the module's type.
  ///
  /// Errors: Error in PyTorch's words ("Error(s) in loading state_dict for Sequential: ...") on sizes that differ and, if strict,
  /// on missing and unexpected keys; nothing is changed then. As in PyTorch for a dictionary without version, a missing
  /// num_batches_tracked counts as 0.
  LoadReport load_state_dict(const StateDict& state, bool strict = true);

  /// Training or evaluation mode, children included.
  void train(bool training = true);
  void eval() { train(false); }
  bool is_training() const { return state_->training; }
  void zero_grad();
  /// Converts parameters and floating buffers; gradients are forgotten.
  void to(DType dtype);

 protected:
  Module() : state_(std::make_shared<State>()) {}

  /// An undefined value stands for a parameter that the layer does without (bias = false).
  Variable& register_parameter(std::string name, Tensor value);
  Tensor& register_buffer(std::string name, Tensor value);
  void register_child(std::string name, std::shared_ptr<Module> child);
  /// Registers a member of a class of your own: the member and the registered copy share everything.
  template <class Layer>
  requires std::is_base_of_v<Module, Layer>
  void register_child(std::string name, const Layer& layer) { register_child(std::move(name), std::make_shared<Layer>(layer)); }
  /// Gives this object children of its own; copies made before keep theirs.
  void replace_children(Children children);

  /// In the order of registration.
  Variable& parameter(size_t i) { return state_->parameters[i].second; }
  const Variable& parameter(size_t i) const { return state_->parameters[i].second; }
  Tensor& buffer(size_t i) { return state_->buffers[i].second; }
  const Tensor& buffer(size_t i) const { return state_->buffers[i].second; }

  /// Lets a layer accept what older files hold or lack, before load_state_dict compares: `own` are the entries under
  /// `prefix` by their full names, `errors` what load_state_dict will refuse with.
  virtual void adapt_state(const std::string& /*prefix*/, std::map<std::string, Tensor>& /*own*/,
                           std::vector<std::string>& /*errors*/) const {}

 private:
  struct State {
    std::vector<std::pair<std::string, Variable>> parameters;
    std::vector<std::pair<std::string, Tensor>> buffers;
    Children children;
    bool training = true;
  };
  struct Loading;

  std::string printed(bool complete) const;
  void collect_load(const StateDict& state, const std::string& prefix, Loading& loading) const;

  std::shared_ptr<State> state_;
};

/// While one of these lives, its function sees every module called on this thread, after it has computed, inner modules first. It
/// may call modules itself; those are not seen. Source: torch.nn.modules.module.register_module_forward_hook.
class ForwardHook {
 public:
  using Function = std::function<void(Module& module, const Variable& input, const Variable& output)>;
  explicit ForwardHook(Function function);
  ~ForwardHook();
  /// Whether one lives on this thread: modules then call their layers one by one instead of several at once.
  static bool watching();
  ForwardHook(const ForwardHook&) = delete;
  ForwardHook& operator=(const ForwardHook&) = delete;

 private:
  friend class Module;
  Function function_;
  ForwardHook* outer_;
};

/// Layers applied one after the other. Use braces: they fix the order in which the layers are built, and so the numbers drawn for
/// them.
///
///   nn::Sequential net{nn::Conv2d({.in_channels = 1, .out_channels = 8, .kernel_size = 3}), nn::ReLU(), nn::Flatten()};
///
/// Errors: those of the layers; the fix line is followed by the layer's name and printed form.
class Sequential : public Module {
 public:
  /// `type` is the class name that the printed form shows.
  explicit Sequential(std::string type) : type_(std::move(type)) {}
  Sequential() : Sequential(std::string("Sequential")) {}
  template <class... Layers>
  requires((sizeof...(Layers) > 0) && (std::is_base_of_v<Module, std::remove_cvref_t<Layers>> && ...) &&
           !(sizeof...(Layers) == 1 &&
             (std::is_same_v<Sequential, std::remove_cvref_t<Layers>> && ...))) explicit Sequential(Layers&&... layers)
      : Sequential() {
    (add(std::make_shared<std::remove_cvref_t<Layers>>(std::forward<Layers>(layers))), ...);
  }

  std::string type() const override { return type_; }
  Variable forward(const Variable& input) override;
  /// Appends a layer under the next number, or under a name.
  void add(std::shared_ptr<Module> layer);
  void add(std::string name, std::shared_ptr<Module> layer);
  template <class Layer>
  requires std::is_base_of_v<Module, Layer>
  void add(const Layer& layer) { add(std::make_shared<Layer>(layer)); }
  template <class Layer>
  requires std::is_base_of_v<Module, Layer>
  void add(std::string name, const Layer& layer) { add(std::move(name), std::make_shared<Layer>(layer)); }
  size_t size() const { return children().size(); }
  /// Errors: ValueError "index 5 is out of range".
  Module& operator[](size_t i) const;

 private:
  std::string type_;
};

}  // namespace convoy::nn
