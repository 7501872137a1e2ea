// An inference graph: nodes that compute values from values. Passes rewrite it, an Executor runs it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/tensor.h"

namespace convoy::graph {

using convoy::to_string;

/// The name of a size. All sizes of a name share its text: a file may have a long one in every shape.
class Symbol {
 public:
  Symbol() = default;
  Symbol(std::string text)  // NOLINT(google-explicit-constructor)
      : text_(text.empty() ? nullptr : std::make_shared<const std::string>(std::move(text))) {}
  Symbol(const char* text) : Symbol(std::string(text)) {}  // NOLINT(google-explicit-constructor)

  bool empty() const { return text_ == nullptr; }
  const std::string& text() const;
  friend bool operator==(const Symbol& a, const Symbol& b) { return a.text_ == b.text_ || a.text() == b.text(); }

 private:
  std::shared_ptr<const std::string> text_;
};

/// One size of a shape: a number, a symbol that stands for one ("N"), or neither (unknown).
struct Dim {
  int64_t size = -1;  // -1: not known
  Symbol symbol = {};

  bool known() const { return size >= 0; }
  /// Equal as written: two unknown sizes compare equal, see certainly_equal (rules.h).
  friend bool operator==(const Dim&, const Dim&) = default;
};

using Dims = std::vector<Dim>;

/// Dims of known sizes.
Dims dims_of(const Shape& shape);
/// "[N, 3, 224, ?]".
std::string to_string(const Dims& dims);

/// What is known about a value before a run.
struct Type {
  enum class Kind : uint8_t { kTensor, kStrings, kSequence };

  Kind kind = Kind::kTensor;
  std::optional<DType> dtype = {};  // of the tensor, or of a sequence's tensors
  std::optional<Dims> dims = {};    // nullopt: not even the rank is known
  bool optional = false;            // may be nothing

  /// All sizes, if every one is known.
  std::optional<Shape> shape() const;
  static Type of(const Tensor& tensor) { return {Kind::kTensor, tensor.dtype(), dims_of(tensor.shape())}; }
};

/// "float32 [N, 3, 224, 224]".
std::string to_string(const Type& type);

/// Index of a value in Graph::values; kNoValue stands for an input or output that is left out.
using ValueId = int32_t;
inline constexpr ValueId kNoValue = -1;

/// A named place in the graph. If `constant` is defined its contents are known.
struct ValueInfo {
  std::string name;
  Type type;
  Tensor constant = {};
  bool taken = false;  // a constant whose contents an Executor has taken over (weights.h)

  bool is_constant() const { return taken || constant.defined(); }
};

using Attribute =
    std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>, std::vector<std::string>, Tensor>;

/// A node's settings by name. get<T> returns nullptr if there is none; a present attribute of another type is an Error (the ONNX
/// reader has checked types before).
class Attributes {
 public:
  template <class T>
  const T* get(std::string_view name) const;
  int64_t integer(std::string_view name, int64_t otherwise) const;
  double number(std::string_view name, double otherwise) const;
  std::string text(std::string_view name, std::string_view otherwise) const;
  std::vector<int64_t> integers(std::string_view name) const;  // empty if there is none
  bool has(std::string_view name) const { return values_.find(name) != values_.end(); }
  void set(std::string name, Attribute value) { values_[std::move(name)] = std::move(value); }
  void erase(std::string_view name);
  const std::map<std::string, Attribute, std::less<>>& all() const { return values_; }

 private:
  std::map<std::string, Attribute, std::less<>> values_;
};

/// One operator applied: a row of operator.h's table. Operators have ONNX's names and its newest meaning (opset 25): the reader
/// has rewritten older forms. Operators that only passes make have names that ONNX does not use.
struct Node {
  std::string op;
  std::string name;  // may be empty
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  Attributes attributes = {};

  ValueId input(size_t i) const { return i < inputs.size() ? inputs[i] : kNoValue; }
  ValueId output(size_t i) const { return i < outputs.size() ? outputs[i] : kNoValue; }
};

/// Nodes in an order in which each value is made before it is used. A value is a graph input, a constant, or the output of exactly
/// one node.
struct Graph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<ValueInfo> values;
  std::vector<ValueId> inputs, outputs;
  std::vector<Type> stated;           // what a file says of its outputs, which nothing rests on; empty, or one for each
  int64_t constant_room = INT64_MAX;  // bytes of constants that rewrites may still make (passes/passes.h)

  const ValueInfo& value(ValueId id) const { return values[static_cast<size_t>(id)]; }
  ValueInfo& value(ValueId id) { return values[static_cast<size_t>(id)]; }
  ValueId add_value(std::string value_name, Type type = {});
  ValueId add_constant(std::string value_name, Tensor tensor);
  /// The constant behind an input of a node, or nullptr.
  const Tensor* constant(ValueId id) const {
    return id == kNoValue || !value(id).constant.defined() ? nullptr : &value(id).constant;
  }
  /// A name that no value has yet: `stem`, or `stem` with a number behind it.
  std::string unused_name(std::string_view stem) const;
  /// For each value the nodes that read it (once per input), as indices into nodes; outputs of the graph are not counted.
  std::vector<std::vector<int32_t>> readers() const;
  /// For each value the node that makes it, or -1.
  std::vector<int32_t> producers() const;
  bool is_output(ValueId id) const;
  /// Removes nodes of which nothing reaches an output, and then values that nothing uses (indices change).
  void remove_unused();
};

/// How a node is called in messages: "node 'conv1' (Conv)", or by its first output if it has no name.
std::string describe(const Graph& graph, const Node& node);

template <class T>
const T* Attributes::get(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return nullptr;
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr)
    throw Error("attribute '" + std::string(name) + "' has another type", "operator.h's table says which it has");
  return value;
}

}  // namespace convoy::graph
