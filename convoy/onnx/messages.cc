#include "convoy/onnx/messages.h"

#include <algorithm>
#include <utility>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/utf8.h"
#include "convoy/io/file.h"
#include "convoy/io/text.h"

namespace convoy::onnx {

using graph::Dim;
using graph::Dims;
using graph::Type;
using io::quote;

namespace {

constexpr size_t kShownName = 120;  // of longer names messages show the beginning

}  // namespace

std::string called(const NodeView& node) {
  const std::string op(node.op.substr(0, kShownName));
  if (!node.name.empty()) return formatted("node '{}' ({})", node.name.substr(0, kShownName), op);
  for (const std::string_view output : node.outputs) {
    if (!output.empty()) return formatted("the node ({}) that makes {}", op, quote(output));
  }
  return formatted("a node ({}) without a name", op);
}

std::string function_key(std::string_view domain, std::string_view name, std::string_view overload) {
  return formatted("{}:{}{}", domain, name, overload.empty() ? "" : ":" + std::string(overload));
}

const char* attribute_type_words(char type) {
  switch (type) {
    case 'i':
      return "an integer";
    case 'f':
      return "a float";
    case 's':
      return "a string";
    case 't':
      return "a tensor";
    case 'g':
      return "a graph";
    case 'I':
      return "a list of integers";
    case 'F':
      return "a list of floats";
    case 'S':
      return "a list of strings";
    case 'p':
      return "a sparse tensor";
    default:
      return "of a type that Convoy does not know";
  }
}

Messages::Messages(const Source& source, const Limits& limits, const std::string& folder)
    : source_(source), limits_(limits), tensors_{source_, limits, folder} {}

void Messages::fail(std::string_view reason, std::string_view fix) const {
  raise<FileError>(
      "{}: {}\n"
      "{}",
      source_.name, reason, fix);
}

std::string_view Messages::checked_name(std::string_view name, const char* what) const {
  constexpr const char* kFix = "use printable UTF-8, without characters that are invisible or turn the direction of writing";
  if (static_cast<int64_t>(name.size()) > limits_.name_bytes) {
    fail(formatted("the name of {} has {} bytes: {}", what, name.size(), quote(name)),
         formatted("names may have up to {} bytes", limits_.name_bytes));
  }
  const auto bad = first_bad_utf8(name);
  if (bad) fail(formatted("the name of {} is not UTF-8 at its byte {}: {}", what, *bad, quote(name)), kFix);
  if (!io::is_shown(name)) fail(formatted("the name of {} has control characters: {}", what, quote(name)), kFix);
  return name;
}

ModelView Messages::read_model() const {
  ModelView model;
  int64_t ir_version = 0;
  bool has_graph = false;
  std::vector<std::string_view> functions, imports;
  std::string_view graph_message;
  if (source_.bytes.empty()) fail("the file is empty", "an ONNX file is a protobuf message (onnx.ModelProto)");
  Fields fields(source_, source_.bytes);
  while (fields.next()) {
    switch (fields.number()) {
      case 1:
        ir_version = fields.integer();
        break;
      case 7:
        graph_message = fields.bytes();
        has_graph = true;
        break;
      case 8:
        imports.push_back(fields.bytes());
        break;
      case 25:
        functions.push_back(fields.bytes());
        break;
      default:
        break;
    }
  }
  if (!has_graph) fail("not an ONNX model: it holds no graph", "an ONNX file is a protobuf message (onnx.ModelProto) with a graph");
  if (ir_version < 1 || ir_version > 1000) {
    fail(formatted("ir_version is {}", ir_version), "ONNX files say 3 to 13: is this a file of another kind?");
  }
  // Before IR version 3 files could leave the opset out; it is 1 then.
  model.opsets = read_opsets(imports, "opset_import");
  if (imports.empty()) model.opsets[""] = 1;
  check_opset(model.opsets);
  for (const std::string_view message : functions) {
    FunctionView view = read_function(message, model.opsets);
    const std::string key = function_key(view.domain, view.name, view.overload);
    if (!model.functions.emplace(key, std::move(view)).second)
      fail(formatted("the function {} is defined twice", quote(key)), "give functions different names");
  }
  model.graph = read_graph(graph_message);
  return model;
}

Opsets Messages::read_opsets(const std::vector<std::string_view>& messages, const char* what) const {
  Opsets opsets;
  for (const std::string_view message : messages) {
    std::string_view domain;
    int64_t version = 0;
    Fields fields(source_, message);
    while (fields.next()) {
      if (fields.number() == 1) domain = fields.bytes();
      if (fields.number() == 2) version = fields.integer();
    }
    if (domain == "ai.onnx") domain = {};
    if (!opsets.emplace(domain, version).second)
      fail(formatted("{} names the domain {} twice", what, quote(domain)), "one version per domain");
  }
  return opsets;
}

void Messages::check_opset(const Opsets& opsets) const {
  const auto found = opsets.find("");
  if (found == opsets.end()) return;  // only functions or other domains: nodes of ONNX are refused where they stand
  if (found->second < kLeastOpset || found->second > kMostOpset) {
    fail(formatted("opset_import is {}", found->second),
         "Convoy reads opsets 1 to 25: export with one of them, or convert with onnx.version_converter");
  }
}

void Messages::check_counts(const GraphView& graph) const {
  const auto check = [&](size_t count, int64_t limit, const char* what) {
    if (static_cast<int64_t>(count) > limit)
      fail(formatted("the model has more than {} {}", limit, what), std::string("the limit is Limits::") + what);
  };
  check(graph.nodes.size(), limits_.nodes, "nodes");
  check(graph.initializers.size() + graph.sparse_initializers.size(), limits_.initializers, "initializers");
  check(std::max(graph.inputs.size(), graph.outputs.size()), limits_.inputs, "inputs");
  check(graph.inputs.size() + graph.outputs.size() + graph.infos.size(), limits_.value_infos, "value_infos");
}

GraphView Messages::read_graph(std::string_view message) const {
  GraphView graph;
  Fields fields(source_, message);
  while (fields.next()) {
    check_counts(graph);
    switch (fields.number()) {
      case 1:
        graph.nodes.push_back(fields.bytes());
        break;
      case 2:
        graph.name = fields.bytes();
        break;
      case 5:
        graph.initializers.push_back(fields.bytes());
        break;
      case 11:
        graph.inputs.push_back(fields.bytes());
        break;
      case 12:
        graph.outputs.push_back(fields.bytes());
        break;
      case 13:
        graph.infos.push_back(fields.bytes());
        break;
      case 15:
        graph.sparse_initializers.push_back(fields.bytes());
        break;
      default:
        break;
    }
  }
  return graph;
}

FunctionView Messages::read_function(std::string_view message, const Opsets& otherwise) const {
  FunctionView function;
  std::vector<std::string_view> imports;
  Fields fields(source_, message);
  while (fields.next()) {
    switch (fields.number()) {
      case 1:
        function.name = checked_name(fields.bytes(), "a function");
        break;
      case 4:
        function.inputs.push_back(fields.bytes());
        break;
      case 5:
        function.outputs.push_back(fields.bytes());
        break;
      case 7:
        function.nodes.push_back(fields.bytes());
        break;
      case 9:
        imports.push_back(fields.bytes());
        break;
      case 10:
        function.domain = checked_name(fields.bytes(), "a domain");
        break;
      case 11:
        function.attribute_defaults.push_back(fields.bytes());
        break;
      case 13:
        function.overload = checked_name(fields.bytes(), "an overload");
        break;
      default:
        break;
    }
  }
  function.opsets = imports.empty() ? otherwise : read_opsets(imports, "a function's opset_import");
  return function;
}

NodeView Messages::read_node(std::string_view message) const {
  NodeView node;
  Fields fields(source_, message);
  while (fields.next()) {
    switch (fields.number()) {
      case 1:
        node.inputs.push_back(fields.bytes());
        break;
      case 2:
        node.outputs.push_back(fields.bytes());
        break;
      case 3:
        node.name = checked_name(fields.bytes(), "a node");
        break;
      case 4:
        node.op = checked_name(fields.bytes(), "an operator");
        break;
      case 5:
        node.attributes.push_back(fields.bytes());
        break;
      case 7:
        node.domain = checked_name(fields.bytes(), "a domain");
        break;
      case 8:
        node.overload = checked_name(fields.bytes(), "an overload");
        break;
      default:
        break;
    }
  }
  if (node.domain == "ai.onnx") node.domain = {};
  if (static_cast<int64_t>(std::max(node.inputs.size(), node.outputs.size())) > limits_.inputs_per_node) {
    fail(formatted("{} has {} inputs and {} outputs", called(node), node.inputs.size(), node.outputs.size()),
         formatted("up to {} each are allowed", limits_.inputs_per_node));
  }
  if (static_cast<int64_t>(node.attributes.size()) > limits_.attributes_per_node) {
    fail(formatted("{} has {} attributes", called(node), node.attributes.size()),
         formatted("up to {} are allowed", limits_.attributes_per_node));
  }
  return node;
}

ValueView Messages::read_value_info(std::string_view message, const char* what) const {
  ValueView value;
  bool typed = false;
  Fields fields(source_, message);
  std::string_view type;
  while (fields.next()) {
    if (fields.number() == 1) value.name = checked_name(fields.bytes(), what);
    if (fields.number() == 2) {
      type = fields.bytes();
      typed = true;
    }
  }
  if (value.name.empty()) fail(std::string(what) + " has no name", "every input and output needs one");
  if (typed) value.type = read_type(type, formatted("{} {}", what, quote(value.name)), 0);
  return value;
}

graph::Type Messages::read_type(std::string_view message, const std::string& what, int64_t depth) const {
  if (depth > limits_.nesting) fail(formatted("the type of {} is nested more than {} deep", what, limits_.nesting), "use tensors");
  Type type;
  Fields fields(source_, message);
  while (fields.next()) {
    switch (fields.number()) {
      case 1:
        type = read_tensor_type(fields.bytes(), what);
        break;
      case 4:
      case 9: {  // a sequence; an optional, which may be any value
        Fields inner(source_, fields.bytes());
        while (inner.next()) {
          if (inner.number() == 1) type = read_type(inner.bytes(), what, depth + 1);
        }
        if (fields.number() == 4) {
          type.kind = Type::Kind::kSequence;
          type.dims.reset();
        } else {
          type.optional = true;
        }
        break;
      }
      case 5:
      case 7:
      case 8:
        fail(formatted("the type of {} is no tensor, sequence or optional", what),
             "maps, sparse and opaque values are not supported");
      default:
        break;
    }
  }
  return type;
}

graph::Type Messages::read_tensor_type(std::string_view message, const std::string& what) const {
  Type type;
  Fields fields(source_, message);
  while (fields.next()) {
    if (fields.number() == 1) {
      const int64_t data_type = fields.integer();
      type.dtype = dtype_of_onnx(data_type);
      if (data_type == 8) {
        type.kind = Type::Kind::kStrings;
      } else if (!type.dtype) {
        fail(formatted("the element type of {} is {}", what, onnx_type_name(data_type)),
             "types that can be read: FLOAT, DOUBLE, FLOAT16, BFLOAT16, INT8 to INT64, UINT8 to UINT64, BOOL, STRING");
      }
    } else if (fields.number() == 2) {
      type.dims = read_dims(fields.bytes(), what);
    }
  }
  return type;
}

graph::Dims Messages::read_dims(std::string_view message, const std::string& what) const {
  Dims dims;
  Fields fields(source_, message);
  while (fields.next()) {
    if (fields.number() != 1) continue;
    Dim dim;
    Fields entries(source_, fields.bytes());
    while (entries.next()) {
      if (entries.number() == 1) {
        dim.size = entries.integer();
        if (dim.size < 0 || dim.size > limits_.dim) {
          // Some exporters write -1 for a size that may be any.
          if (dim.size == -1) continue;
          fail(formatted("the shape of {} has a size of {}", what, dim.size), formatted("sizes are 0 to {}", limits_.dim));
        }
      } else if (entries.number() == 2) {
        dim.symbol = std::string(checked_name(entries.bytes(), "a size"));
      }
    }
    if (static_cast<int64_t>(dims.size()) >= limits_.rank) {
      fail(formatted("the shape of {} has more than {} sizes", what, limits_.rank),
           formatted("tensors may have up to {} axes", limits_.rank));
    }
    dims.push_back(std::move(dim));
  }
  return dims;
}

void Messages::check_entries(size_t entries, std::string_view name, const std::string& where) const {
  if (static_cast<int64_t>(entries) <= limits_.list_entries) return;
  fail(formatted("{}: attribute '{}' has too many entries", where, name),
       formatted("up to {} numbers, or a sixteenth of that in text", limits_.list_entries));
}

void Messages::spend(int64_t bytes) const {
  spent_ += bytes;
  if (spent_ > 8 * static_cast<int64_t>(source_.bytes.size()) + (int64_t{1} << 24)) {
    fail("its functions and sparse tensors make much more than the file holds",
         "expand functions that are called very often, store tensors dense");
  }
}

AttributeView Messages::read_attribute(std::string_view message, const std::string& where) const {
  spend(static_cast<int64_t>(message.size()));
  AttributeView result;
  int64_t type = 0, integer = 0;
  double number = 0;
  std::string_view text, tensor, sparse;
  std::vector<int64_t> integers;
  std::vector<double> numbers;
  std::vector<std::string> texts;
  char seen = '?';  // files of IR version 1 have no type
  const auto keep = [&](char kind) { seen = kind; };
  Fields fields(source_, message);
  while (fields.next()) {
    switch (fields.number()) {
      case 1:
        result.name = checked_name(fields.bytes(), "an attribute");
        break;
      case 2:
        number = static_cast<double>(fields.real32());
        keep('f');
        break;
      case 3:
        integer = fields.integer();
        keep('i');
        break;
      case 4:
        text = fields.bytes();
        keep('s');
        break;
      case 5:
        tensor = fields.bytes();
        keep('t');
        break;
      case 6:
      case 11:
        fail(formatted("{}: attribute '{}' holds a graph", where, result.name),
             "control flow (If, Loop, Scan) is not supported: export a model without it");
      case 7:
        keep('F');
        if (fields.field().type == Field::Type::kBytes) {
          std::string_view rest = fields.bytes();
          if (rest.size() % 4 != 0)
            fail(formatted("{}: attribute '{}' ends inside a number", where, result.name), "store whole floats");
          for (; !rest.empty(); rest.remove_prefix(4)) {
            float value = 0;
            std::copy_n(rest.data(), 4, reinterpret_cast<char*>(&value));
            numbers.push_back(static_cast<double>(value));
          }
        } else {
          numbers.push_back(static_cast<double>(fields.real32()));
        }
        check_entries(numbers.size(), result.name, where);
        break;
      case 8:
        keep('I');
        if (fields.field().type == Field::Type::kBytes) {
          std::string_view rest = fields.bytes();
          check_entries(static_cast<size_t>(count_varints(rest)), result.name, where);
          while (!rest.empty()) integers.push_back(static_cast<int64_t>(take_varint(source_, rest)));
        } else {
          integers.push_back(fields.integer());
        }
        check_entries(integers.size(), result.name, where);
        break;
      case 9:
        keep('S');
        texts.emplace_back(fields.bytes());
        check_entries(texts.size() * 16, result.name, where);
        break;
      case 20:
        type = fields.integer();
        break;
      case 21:
        result.refers_to = fields.bytes();
        break;
      case 22:
        sparse = fields.bytes();
        keep('p');
        break;
      default:
        break;
    }
  }
  constexpr std::string_view kTypes = "?fistgFISTGpP";  // by AttributeProto.AttributeType: 1 FLOAT, 2 INT, ...
  if (type == 13 || type == 14) {
    fail(formatted("{}: attribute '{}' is a type", where, result.name), "types are not supported there: leave it out");
  }
  if (type < 0 || type >= static_cast<int64_t>(kTypes.size())) {
    fail(formatted("{}: attribute '{}' has the type {}", where, result.name, type), "AttributeProto.AttributeType has 1 to 14");
  }
  result.type = type == 0 ? seen : kTypes[static_cast<size_t>(type)];
  if (result.name.empty()) fail(where + ": an attribute has no name", "every attribute needs one");
  const std::string what = formatted("{}: attribute '{}'", where, result.name);
  switch (result.type) {
    case 'i':
      result.value = integer;
      break;
    case 'f':
      result.value = number;
      break;
    case 's':
      // Messages repeat it.
      if (static_cast<int64_t>(text.size()) > limits_.name_bytes || !io::is_shown(text)) {
        fail(formatted("{} is {}", what, quote(text)),
             formatted("texts may have up to {} bytes of printable UTF-8", limits_.name_bytes));
      }
      result.value = std::string(text);
      break;
    case 'I':
      result.value = std::move(integers);
      break;
    case 'F':
      result.value = std::move(numbers);
      break;
    case 'S':
      result.value = std::move(texts);
      break;
    case 't': {
      const graph::Value value = read_tensor_proto(tensors_, tensor, what).value;
      if (!value.is_tensor()) fail(what + " is a tensor of text", "only numbers are supported here");
      result.value = value.tensor();
      break;
    }
    case 'p':
      result.value = read_sparse_tensor(sparse, what).value.tensor();
      result.type = 't';
      break;
    default:
      if (result.refers_to.empty())
        fail(formatted("{} is {}", what, attribute_type_words(result.type)),
             "attributes that Convoy reads are numbers, strings, tensors and lists of these");
  }
  return result;
}

NamedValue Messages::read_sparse_tensor(std::string_view message, const std::string& what) const {
  NamedValue dense = read_sparse_tensor_proto(tensors_, message, what);
  spend(static_cast<int64_t>(dense.value.tensor().nbytes()));
  return dense;
}

}  // namespace convoy::onnx
