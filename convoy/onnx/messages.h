// What an ONNX file says, message by message: views of its bytes, within the limits, with each problem named. What it means is for
// reader.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "convoy/graph/graph.h"
#include "convoy/onnx/limits.h"
#include "convoy/onnx/tensor_proto.h"
#include "convoy/onnx/wire.h"

namespace convoy::onnx {

/// The version of each domain's operators; ONNX's own domain is "".
using Opsets = std::unordered_map<std::string_view, int64_t>;

// Messages within messages are kept as views of the file and looked into when they are needed: a hostile file of a million empty
// messages costs sixteen times its size, not more.

struct NodeView {
  std::vector<std::string_view> inputs, outputs, attributes;
  std::string_view name, op, domain, overload;
};

/// "node 'conv1' (Conv)", or by an output if it has no name.
std::string called(const NodeView& node);

struct GraphView {
  std::vector<std::string_view> nodes, initializers, sparse_initializers, inputs, outputs, infos;
  std::string_view name;
};

struct FunctionView {
  std::string_view name, domain, overload;
  std::vector<std::string_view> inputs, outputs, nodes, attribute_defaults;
  Opsets opsets;
};

/// What a node calls a function by: "DOMAIN:NAME" or "DOMAIN:NAME:OVERLOAD".
std::string function_key(std::string_view domain, std::string_view name, std::string_view overload);

struct ModelView {
  Opsets opsets;
  std::unordered_map<std::string, FunctionView> functions;  // by function_key
  GraphView graph;
};

/// An input, an output or a value_info (onnx.ValueInfoProto).
struct ValueView {
  std::string_view name;
  graph::Type type;
};

/// An attribute. `type` as in OnnxOperator::attributes, '?' if it is none of those; `refers_to`: inside a function the caller's
/// attribute whose value it takes, else empty.
struct AttributeView {
  std::string_view name, refers_to;
  char type = '?';
  graph::Attribute value;
};

/// "an integer", "a list of floats": a type of attribute in messages.
const char* attribute_type_words(char type);

constexpr int64_t kLeastOpset = 1, kMostOpset = 25;

/// The messages of one file. Errors of all functions: FileError that begins with the file's name.
class Messages {
 public:
  /// `folder`: where external data may lie; empty: nowhere.
  Messages(const Source& source, const Limits& limits, const std::string& folder);
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;

  const Source& source() const { return source_; }
  const TensorSource& tensors() const { return tensors_; }

  /// The model down to its nodes and values, which are not looked into yet.
  ModelView read_model() const;
  NodeView read_node(std::string_view message) const;
  /// `what` it is: "input".
  ValueView read_value_info(std::string_view message, const char* what) const;
  /// `where` it stands: called(node).
  AttributeView read_attribute(std::string_view message, const std::string& where) const;
  NamedValue read_sparse_tensor(std::string_view message, const std::string& what) const;

  /// Counts bytes that the file makes Convoy work on again and again. A function's attributes are read for each call, and small
  /// messages can make large values: what all of them take together is in proportion to the file.
  void spend(int64_t bytes) const;
  /// The name, if it is short and shown as it is.
  std::string_view checked_name(std::string_view name, const char* what) const;
  void check_opset(const Opsets& opsets) const;
  [[noreturn]] void fail(std::string_view reason, std::string_view fix) const;

 private:
  Opsets read_opsets(const std::vector<std::string_view>& messages, const char* what) const;
  GraphView read_graph(std::string_view message) const;
  void check_counts(const GraphView& graph) const;
  FunctionView read_function(std::string_view message, const Opsets& otherwise) const;
  graph::Type read_type(std::string_view message, const std::string& what, int64_t depth) const;
  graph::Type read_tensor_type(std::string_view message, const std::string& what) const;
  graph::Dims read_dims(std::string_view message, const std::string& what) const;
  void check_entries(size_t entries, std::string_view name, const std::string& where) const;

  const Source& source_;
  Limits limits_;
  TensorSource tensors_;
  mutable int64_t spent_ = 0;
};

}  // namespace convoy::onnx
