// What an operator is: a name, a rule for the types of its outputs, and a function that computes them.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "convoy/graph/graph.h"
#include "convoy/graph/value.h"

namespace convoy::graph {

/// One node of a shape inference. Rules read what is known about the inputs and say what follows for the outputs; they throw Error
/// for what can never run (the caller puts the node's name in front).
class Inference {
 public:
  Inference(const Graph& graph, const Node& node, std::vector<Type>& types, std::vector<std::optional<Dims>>& contents)
      : graph_(graph), node_(node), types_(types), contents_(contents) {}

  const Node& node() const { return node_; }
  const Attributes& attributes() const { return node_.attributes; }
  size_t inputs() const { return node_.inputs.size(); }
  size_t outputs() const { return node_.outputs.size(); }
  bool has(size_t i) const { return node_.input(i) != kNoValue; }
  /// Of an input; an empty Type if it is left out.
  const Type& type(size_t i) const;
  std::optional<DType> dtype(size_t i) const { return type(i).dtype; }
  const std::optional<Dims>& dims(size_t i) const { return type(i).dims; }
  /// Numbers that are known before a run: a constant input, or nullptr.
  const Tensor* constant(size_t i) const { return graph_.constant(node_.input(i)); }
  /// The elements of an integer input of at most one axis, as far as they are known (as sizes, symbols or unknown; a number below 0
  /// is in `size` too). nullopt if not even their count is.
  std::optional<Dims> contents(size_t i) const;
  /// The same where every element is a number.
  std::optional<std::vector<int64_t>> numbers(size_t i) const;

  void set(size_t output, Type type);
  void set(size_t output, std::optional<DType> dtype, std::optional<Dims> dims) {
    set(output, Type{Type::Kind::kTensor, dtype, std::move(dims)});
  }
  void set_contents(size_t output, Dims contents);

 private:
  const Graph& graph_;
  const Node& node_;
  std::vector<Type>& types_;
  std::vector<std::optional<Dims>>& contents_;
};

/// One node of a run.
class Call {
 public:
  Call(const Node& node, std::vector<Value> inputs) : node_(node), inputs_(std::move(inputs)) {}

  const Node& node() const { return node_; }
  const Attributes& attributes() const { return node_.attributes; }
  size_t inputs() const { return inputs_.size(); }
  bool has(size_t i) const { return i < inputs_.size() && inputs_[i].present(); }
  const Value& value(size_t i) const;
  /// Input i; undefined if it is left out. Throws Error if it is no tensor.
  const Tensor& tensor(size_t i) const { return value(i).tensor(); }
  /// Input i, given away: sole_owner() says whether its memory may be used for an output.
  Tensor take(size_t i);
  /// An integer input of at most one axis as numbers. Throws Error if it is something else.
  std::vector<int64_t> numbers(size_t i) const;
  /// Number of outputs, and whether somebody reads one.
  size_t outputs() const { return node_.outputs.size(); }
  bool wants(size_t i) const { return node_.output(i) != kNoValue; }

 private:
  const Node& node_;
  std::vector<Value> inputs_;
};

/// A row of the table of operators.
struct Operator {
  std::string_view name;
  /// Sets the types of the outputs. An output left unset is of unknown type.
  void (*infer)(Inference& inference);
  /// Computes the outputs, first to last; those nobody wants may be left out. Must not change what it reads.
  std::vector<Value> (*run)(Call& call);
  /// Gives other results each time: never folded.
  bool random = false;
  /// What a run takes at most beside inputs and results (operator_bytes in step.h, which knows more of some): so many copies of all
  /// of them, where their types are computed in as they are (float32, float64, int64), and where others become numbers of 8 bytes.
  uint8_t copies = 0, copies_if_converted = 1;
};

/// The table, one list per family (graph/operators/).
std::span<const Operator> arithmetic_operators();
std::span<const Operator> activation_operators();
std::span<const Operator> conv_operators();
std::span<const Operator> pool_operators();
std::span<const Operator> norm_operators();
std::span<const Operator> reduce_operators();
std::span<const Operator> matmul_operators();
std::span<const Operator> shape_operators();
std::span<const Operator> index_operators();
std::span<const Operator> resize_operators();
std::span<const Operator> other_operators();
std::span<const Operator> fused_operators();

/// nullptr if there is none of that name.
const Operator* find_operator(std::string_view name);
/// All of them, family by family.
std::vector<const Operator*> all_operators();

}  // namespace convoy::graph
