#include "convoy/autograd/variable.h"

#include <algorithm>
#include <atomic>
#include <unordered_map>
#include <utility>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/ops/elementwise.h"

namespace convoy {

namespace autograd {

namespace {

struct Operation;

// Where a gradient goes: to the operation that computed an input, to a leaf, or (both null) nowhere.
struct Edge {
  std::shared_ptr<Operation> operation;
  std::shared_ptr<Node> leaf;
};

// One entry of the tape. It knows the shape of its value, not the value, so that values which no rule saved are freed early.
struct Operation {
  Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  ~Operation();

  uint64_t sequence = 0;  // later operations have larger numbers, so descending order is a topological one
  Shape shape;
  DType dtype = DType::kFloat32;
  std::vector<Edge> inputs;
  BackwardFunction backward;
  bool freed = false;
};

// What is left of an operation when it dies. A chain of a million operations would overflow the stack if each destroyed the one
// before it, so the first to die collects and destroys the remains of all others in a loop.
struct Remains {
  std::vector<Edge> inputs;
  BackwardFunction backward;
};
thread_local std::vector<Remains>* collector = nullptr;

Operation::~Operation() {
  if (inputs.empty() && !backward) return;
  Remains remains{std::move(inputs), std::move(backward)};
  if (collector != nullptr) {
    collector->push_back(std::move(remains));
    return;
  }
  std::vector<Remains> dead;
  collector = &dead;
  dead.push_back(std::move(remains));
  while (!dead.empty()) {
    const Remains last = std::move(dead.back());
    dead.pop_back();
  }
  collector = nullptr;
}

std::atomic<uint64_t> next_sequence{1};
thread_local bool recording = true;

}  // namespace

// What the copies of a Variable share.
struct Node {
  static std::shared_ptr<Node>& of(Variable& variable) {
    if (variable.node_ == nullptr) variable.node_ = std::make_shared<Node>();
    return variable.node_;
  }

  Tensor value;
  Tensor grad;
  bool requires_grad = false;
  std::shared_ptr<Operation> operation;  // null for a leaf
};

namespace {

std::string size_text(const Shape& shape) { return formatted("torch.Size({})", shape); }

[[noreturn]] void throw_undefined(const char* what) {
  raise<Error>("{} is undefined\ngive it a value first, for example Variable(Tensor::zeros({2, 3}), true)", what);
}

[[noreturn]] void throw_freed() {
  throw Error(
      "Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). "
      "Saved "
      "intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you "
      "need to "
      "backward through the graph a second time or if you need to access saved tensors after calling backward.",
      "compute the value again before calling backward() again, or keep the graph the first time: backward({}, true)");
}

// Sums of gradients on their way, by receiver.
class Gradients {
 public:
  Tensor& operator[](const void* receiver) { return sums_[receiver]; }

  void add(const void* receiver, Tensor gradient) {
    Tensor& sum = sums_[receiver];
    if (!sum.defined()) {
      sum = std::move(gradient);
    } else if (sum.sole_owner()) {
      ops::add_(sum, gradient);
    } else {  // the first gradient still belongs to someone else too
      sum = ops::add(sum, gradient);
    }
  }

 private:
  std::unordered_map<const void*, Tensor> sums_;
};

struct Graph {
  std::vector<std::shared_ptr<Operation>> operations;  // latest first
  std::vector<std::shared_ptr<Node>> leaves;           // in the order in which the gradients reach them
};

Graph reachable(const std::shared_ptr<Operation>& root) {
  Graph graph;
  std::unordered_map<const void*, bool> seen;
  graph.operations.push_back(root);
  seen[root.get()] = true;
  for (size_t i = 0; i < graph.operations.size(); ++i) {
    if (graph.operations[i]->freed) throw_freed();
    for (size_t k = 0; k < graph.operations[i]->inputs.size(); ++k) {
      const std::shared_ptr<Operation>& next = graph.operations[i]->inputs[k].operation;
      if (next != nullptr && seen.emplace(next.get(), true).second) graph.operations.push_back(next);
    }
  }
  std::sort(graph.operations.begin(), graph.operations.end(),
            [](const auto& a, const auto& b) { return a->sequence > b->sequence; });
  for (const auto& operation : graph.operations) {
    for (const Edge& edge : operation->inputs) {
      if (edge.leaf != nullptr && seen.emplace(edge.leaf.get(), true).second) graph.leaves.push_back(edge.leaf);
    }
  }
  return graph;
}

// Runs one rule and hands its gradients on.
void run(Operation& operation, const Tensor& grad_output, Gradients& gradients) {
  std::vector<Tensor> results = operation.backward(grad_output);
  if (results.size() != operation.inputs.size()) {
    raise<Error>(
        "function returned an incorrect number of gradients (expected {}, got {})\n"
        "the backward function given to record() returns one gradient per input, an undefined Tensor where none is needed",
        operation.inputs.size(), results.size());
  }
  for (size_t i = 0; i < results.size(); ++i) {
    const Edge& edge = operation.inputs[i];
    if (!results[i].defined() || (edge.operation == nullptr && edge.leaf == nullptr)) continue;
    const Shape& shape = edge.leaf != nullptr ? edge.leaf->value.shape() : edge.operation->shape;
    const DType dtype = edge.leaf != nullptr ? edge.leaf->value.dtype() : edge.operation->dtype;
    if (results[i].shape() != shape) {
      raise<Error>(
          "Function returned an invalid gradient at index {} - got {} but expected shape compatible with {}\n"
          "a gradient has its input's shape; ops::sum_to() sums over axes that were broadcast",
          i, results[i].shape(), shape);
    }
    const void* receiver = edge.leaf != nullptr ? static_cast<const void*>(edge.leaf.get()) : edge.operation.get();
    gradients.add(receiver, std::move(results[i]).to(dtype));
  }
}

void add_to_leaves(const std::vector<std::shared_ptr<Node>>& leaves, Gradients& gradients) {
  for (const auto& leaf : leaves) {
    if (leaf->grad.defined() && (leaf->grad.shape() != leaf->value.shape() || leaf->grad.dtype() != leaf->value.dtype())) {
      raise<Error>(
          "assigned grad has data of a different size\n"
          "the gradient is a {} tensor of shape {}, the value a {} tensor of shape {}",
          leaf->grad.dtype(), leaf->grad.shape(), leaf->value.dtype(), leaf->value.shape());
    }
  }
  for (const auto& leaf : leaves) {
    Tensor gradient = std::move(gradients[leaf.get()]);
    if (!gradient.defined() || !leaf->requires_grad) continue;
    if (leaf->grad.defined()) {
      ops::add_(leaf->grad, gradient);
    } else {
      leaf->grad = gradient.sole_owner() ? std::move(gradient) : gradient.clone();
    }
  }
}

void run_backward(const std::shared_ptr<Node>& root, const Tensor& grad_output, bool retain_graph) {
  const NoGradGuard no_grad;
  Gradients gradients;
  if (root->operation == nullptr) {
    gradients.add(root.get(), grad_output);
    add_to_leaves({root}, gradients);
    return;
  }
  const Graph graph = reachable(root->operation);
  gradients.add(root->operation.get(), grad_output);
  for (const auto& operation : graph.operations) {
    Tensor gradient = std::move(gradients[operation.get()]);
    if (gradient.defined()) run(*operation, gradient, gradients);
    if (retain_graph) continue;
    operation->backward = nullptr;  // frees what it saved; the edges keep the operations that are still to run
    operation->freed = true;
  }
  if (!retain_graph) {
    for (const auto& operation : graph.operations) operation->inputs.clear();
  }
  add_to_leaves(graph.leaves, gradients);
}

}  // namespace
}  // namespace autograd

using autograd::Node;

Variable::Variable() = default;

Variable::Variable(Tensor value) : Variable(std::move(value), false) {}

Variable::Variable(Tensor value, bool requires_grad) {
  if (requires_grad && !value.defined()) autograd::throw_undefined("a Variable that requires a gradient");
  if (!value.defined()) return;
  if (requires_grad && !is_float_or_double(value.dtype())) {
    raise<Error>(
        "Only Tensors of floating point and complex dtype can require gradients\n"
        "convert the int64 values first: to(DType::kFloat32)");
  }
  node_ = std::make_shared<Node>();
  node_->value = std::move(value);
  node_->requires_grad = requires_grad;
}

bool Variable::defined() const { return node_ != nullptr && node_->value.defined(); }

Tensor& Variable::data() { return Node::of(*this)->value; }

const Tensor& Variable::data() const {
  static const Tensor undefined;
  return node_ == nullptr ? undefined : node_->value;
}

Tensor& Variable::grad() { return Node::of(*this)->grad; }

const Tensor& Variable::grad() const {
  static const Tensor undefined;
  return node_ == nullptr ? undefined : node_->grad;
}

bool Variable::requires_grad() const { return node_ != nullptr && node_->requires_grad; }

void Variable::set_requires_grad(bool requires_grad) {
  if (!defined()) autograd::throw_undefined("the Variable");
  if (!is_leaf()) {
    raise<Error>(
        "you can only change requires_grad flags of leaf variables.{}\n"
        "this value of shape {} was computed from one that requires a gradient",
        requires_grad ? ""
                      : " If you want to use a computed variable in a subgraph that doesn't require differentiation use "
                        "var_no_grad = var.detach().",
        shape());
  }
  if (requires_grad && !is_float_or_double(dtype())) {
    raise<Error>(
        "only Tensors of floating point dtype can require gradients\n"
        "convert the int64 values first: to(DType::kFloat32)");
  }
  node_->requires_grad = requires_grad;
}

bool Variable::is_leaf() const { return node_ == nullptr || node_->operation == nullptr; }

void Variable::backward() { backward(Tensor()); }

void Variable::backward(const Tensor& grad_output, bool retain_graph) {
  if (!defined()) autograd::throw_undefined("the Variable that backward() was called on");
  if (grad_output.defined() && grad_output.shape() != shape()) {
    raise<Error>(
        "Mismatch in shape: grad_output[0] has a shape of {} and output[0] has a shape of {}.\n"
        "give backward() one number per output value: a tensor of shape {}",
        autograd::size_text(grad_output.shape()), autograd::size_text(shape()), shape());
  }
  if (!grad_output.defined() && requires_grad() && numel() != 1) {
    raise<Error>(
        "grad can be implicitly created only for scalar outputs\n"
        "the output has shape {}: reduce it with sum() or mean(), or give backward() a gradient of that shape",
        shape());
  }
  if (!requires_grad()) {
    raise<Error>(
        "element 0 of tensors does not require grad and does not have a grad_fn\n"
        "build a leaf with Variable(tensor, true) and compute from it, outside any NoGradGuard");
  }
  autograd::run_backward(node_, grad_output.defined() ? grad_output.to(dtype()) : Tensor::ones(shape(), dtype()), retain_graph);
}

void Variable::zero_grad() {
  if (node_ != nullptr) node_->grad = Tensor();
}

Variable Variable::detach() const { return {data()}; }

Variable record(Tensor value, std::vector<Variable> inputs, BackwardFunction backward) {
  if (!value.defined()) autograd::throw_undefined("the value given to record()");
  Variable result(std::move(value));
  if (!grad_enabled() || !is_float_or_double(result.dtype())) return result;
  if (std::none_of(inputs.begin(), inputs.end(), [](const Variable& input) { return input.requires_grad(); })) return result;

  auto operation = std::make_shared<autograd::Operation>();
  operation->shape = result.shape();
  operation->dtype = result.dtype();
  operation->inputs.reserve(inputs.size());
  for (const Variable& input : inputs) {
    autograd::Edge& edge = operation->inputs.emplace_back();
    if (!input.requires_grad()) continue;
    edge.operation = input.node()->operation;
    if (edge.operation == nullptr) edge.leaf = input.node();
  }
  operation->backward = std::move(backward);
  operation->sequence = autograd::next_sequence.fetch_add(1, std::memory_order_relaxed);
  Node& node = *result.node();
  node.requires_grad = true;
  node.operation = std::move(operation);
  return result;
}

NoGradGuard::NoGradGuard() : before_(autograd::recording) { autograd::recording = false; }

NoGradGuard::~NoGradGuard() { autograd::recording = before_; }

bool grad_enabled() { return autograd::recording; }

}  // namespace convoy
