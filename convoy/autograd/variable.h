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

/// A handle on a value that remembers how it was computed. Copies share value, gradient and history. A Tensor converts to a
/// constant Variable. Recording follows PyTorch: an operation on at least one Variable that requires a gradient gives one that
/// does.
class Variable {
 public:
  Variable();
  Variable(Tensor value);  // NOLINT(google-explicit-constructor): a Tensor is a constant
  Variable(Tensor value, bool requires_grad);

  bool defined() const;
  /// The value itself; changing it is not recorded (PyTorch's .data). Undefined for an undefined Variable.
  Tensor& data();
  const Tensor& data() const;
  /// The gradient: undefined before backward() reaches this leaf.
  Tensor& grad();
  const Tensor& grad() const;
  bool requires_grad() const;
  /// Leaves only. Errors: a computed Variable ("you can only change requires_grad flags of leaf variables."), an int64 one ("only
  /// Tensors of floating point dtype can require gradients").
  void set_requires_grad(bool requires_grad);
  bool is_leaf() const;

  const Shape& shape() const { return data().shape(); }
  int64_t dim() const { return data().dim(); }
  int64_t size(int64_t axis) const { return data().size(axis); }
  int64_t numel() const { return data().numel(); }
  DType dtype() const { return data().dtype(); }
  double item() const { return data().item(); }

  /// Adds d(this)/d(leaf) to the gradient of every leaf that requires one. Gradients are summed in an order fixed by the order of
  /// recording, a leaf's gradient shares its values with nothing else, and no leaf changes unless all of them do. Afterwards the
  /// recorded operations and what they saved are forgotten.
  ///
  /// Errors: undefined; not one element ("grad can be implicitly created only for scalar outputs"); nothing recorded ("element 0 of
  /// tensors does not require grad and does not have a grad_fn"); a second time ("Trying to backward through the graph a second
  /// time
  /// ..."). Unlike PyTorch the last holds for every operation, also for those that saved nothing.
  void backward();
  /// The same for sum(this * grad_output), converted to this type. An undefined grad_output is 1 for a single element. With
  /// retain_graph the operations are kept for another call.
  /// Errors: as above, and "Mismatch in shape: grad_output[0] has a shape of torch.Size([4]) and output[0] has a shape of
  /// torch.Size([3])."
  /// Source: torch.Tensor.backward.
  void backward(const Tensor& grad_output, bool retain_graph = false);
  /// Forgets the gradient.
  void zero_grad();
  /// The same value without history.
  Variable detach() const;

  /// The identity of the value: copies of a Variable share it.
  const std::shared_ptr<autograd::Node>& node() const { return node_; }

 private:
  friend struct autograd::Node;
  std::shared_ptr<autograd::Node> node_;
};

/// Maps the gradient of an operation's value to one gradient per input, undefined where an input needs none.
using BackwardFunction = std::function<std::vector<Tensor>(const Tensor& grad_output)>;

/// Records an operation: `value` was computed from `inputs`. This is all that a new differentiable operation needs
/// (docs/howto/add_a_layer.md). `backward` runs at most once, unless the graph is retained; what it captures lives until then, so
/// let it capture the Tensors it needs and no Variables. It may return grad_output itself or a captured Tensor, never change one.
/// If nothing is being recorded or no input requires a gradient, the result is a constant and `backward` is dropped.
///
/// Errors: an undefined value. From backward(): "function returned an incorrect number of gradients (expected 2, got 1)", "Function
/// returned an invalid gradient at index 0 - got [4] but expected shape compatible with [3]".
Variable record(Tensor value, std::vector<Variable> inputs, BackwardFunction backward);

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
