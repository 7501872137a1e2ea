// Variable: a Tensor with a gradient and its place on the tape.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy {

namespace autograd {
struct Node;
}

/// A handle on a value that remembers how it was computed. Copies share value, gradient and history. A Tensor converts to a constant
/// Variable. Recording follows PyTorch: an operation on at least one Variable that requires a gradient gives one that does.
class Variable {
 public:
  Variable();
  Variable(Tensor value);  // NOLINT(google-explicit-constructor): a Tensor is a constant
  Variable(Tensor value, bool requires_grad);

  bool defined() const;
  /// The value itself; changing it is not recorded (PyTorch's .data).
  Tensor& data();
  const Tensor& data() const;
  /// The gradient: undefined before backward() reaches this leaf.
  Tensor& grad();
  const Tensor& grad() const;
  bool requires_grad() const;
  /// Leaves only. Throws Error for a computed Variable.
  void set_requires_grad(bool requires_grad);
  bool is_leaf() const;

  const Shape& shape() const { return data().shape(); }
  int64_t dim() const { return data().dim(); }
  int64_t size(int64_t axis) const { return data().size(axis); }
  int64_t numel() const { return data().numel(); }
  DType dtype() const { return data().dtype(); }
  double item() const { return data().item(); }

  /// Adds d(this)/d(leaf) to the gradient of every leaf that requires one. The order of summation is fixed by the order of recording.
  /// Errors: not a scalar ("grad can be implicitly created only for scalar outputs"), nothing recorded ("element 0 of tensors does not
  /// require grad and does not have a grad_fn"), a second time ("Trying to backward through the graph a second time ...").
  void backward();
  /// The same for sum(this * grad_output).
  void backward(const Tensor& grad_output);
  /// Forgets the gradient.
  void zero_grad();
  /// The same value without history.
  Variable detach() const;

  const std::shared_ptr<autograd::Node>& node() const { return node_; }

 private:
  friend struct autograd::Node;
  explicit Variable(std::shared_ptr<autograd::Node> node) : node_(std::move(node)) {}
  friend Variable record(Tensor, std::vector<Variable>, std::function<std::vector<Tensor>(const Tensor&)>);
  std::shared_ptr<autograd::Node> node_;
};

/// Records an operation: `value` was computed from `inputs`; `backward` maps the gradient of the value to one gradient per input (undefined
/// where an input needs none). This is all that a new differentiable operation needs (docs/howto/add_a_layer.md).
Variable record(Tensor value, std::vector<Variable> inputs, std::function<std::vector<Tensor>(const Tensor&)> backward);

/// While one of these lives, nothing is recorded on this thread.
class NoGradGuard {
 public:
  NoGradGuard();
  ~NoGradGuard();
  NoGradGuard(const NoGradGuard&) = delete;
  NoGradGuard& operator=(const NoGradGuard&) = delete;

 private:
  bool before_;
};

/// Whether operations are being recorded on this thread.
bool grad_enabled();

}  // namespace convoy
