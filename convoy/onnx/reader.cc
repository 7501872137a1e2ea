#include "convoy/onnx/reader.h"

#include <algorithm>
#include <memory>
#include <queue>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "convoy/core/error.h"
#include "convoy/core/suggest.h"
#include "convoy/graph/infer.h"
#include "convoy/io/file.h"
#include "convoy/io/text.h"
#include "convoy/onnx/file_bytes.h"
#include "convoy/onnx/import.h"
#include "convoy/onnx/tensor_proto.h"
#include "convoy/onnx/wire.h"

namespace convoy::onnx {
namespace {

using graph::Attribute;
using graph::Attributes;
using graph::Dim;
using graph::Dims;
using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::Type;
using graph::ValueId;

constexpr int64_t kLeastOpset = 1, kMostOpset = 25;
constexpr size_t kShownName = 120;  // of longer names messages show the beginning
constexpr std::string_view kTrainingDomain = "ai.onnx.preview.training";

// Messages are kept as views of the file and looked into when they are needed: a hostile file of a million empty messages costs
// sixteen times its size, not more.
struct NodeView {
  std::vector<std::string_view> inputs, outputs, attributes;
  std::string_view name, op, domain, overload;
};

struct GraphView {
  std::vector<std::string_view> nodes, initializers, sparse_initializers, inputs, outputs, infos;
  std::string_view name;
};

struct FunctionView {
  std::string_view name, domain, overload;
  std::vector<std::string_view> inputs, outputs, nodes, attribute_defaults;
  std::unordered_map<std::string_view, int64_t> opsets;
};

using Scope = std::unordered_map<std::string_view, ValueId>;

class Reader {
 public:
  Reader(std::string_view bytes, const std::string& name, const ReadOptions& options, const std::string& folder,
         const FileBytes* file = nullptr)
      : source_{name, bytes, file},
        options_(options),
        tensors_{source_, options.limits, options.external_data ? (folder.empty() ? "." : folder) : ""} {}

  Graph read() {
    read_model();
    try {
      build();
      return std::move(graph_);
    } catch (const FileError&) {
      keep_partial();
      throw;
    } catch (const ShapeMismatch& e) {
      keep_partial();
      throw ShapeMismatch(source_.name + ": " + e.reason(), e.fix());
    } catch (const Error& e) {
      keep_partial();
      throw FileError(source_.name + ": " + e.reason(), e.fix());
    }
  }

 private:
  // The last node is the one that was refused, unless it was not even put in.
  void keep_partial() {
    if (options_.partial == nullptr || inferring_ == nullptr) return;
    set_types();
    *options_.partial = std::move(graph_);
  }

  void set_types() {
    std::vector<Type> types = inferring_->take();
    for (size_t i = 0; i < types.size(); ++i) graph_.values[i].type = std::move(types[i]);
    for (size_t i = types.size(); i < graph_.values.size(); ++i) {
      if (graph_.values[i].constant.defined()) graph_.values[i].type = Type::of(graph_.values[i].constant);
    }
  }

  [[noreturn]] void fail(const std::string& reason, const std::string& fix) const {
    throw FileError(source_.name + ": " + reason, fix);
  }

  static std::string quote(std::string_view text) { return io::quote(text); }

  std::string_view checked_name(std::string_view name, const char* what) const {
    if (static_cast<int64_t>(name.size()) > options_.limits.name_bytes) {
      fail(std::string("the name of ") + what + " has " + std::to_string(name.size()) + " bytes: " + quote(name),
           "names may have up to " + std::to_string(options_.limits.name_bytes) + " bytes");
    }
    if (!io::is_shown(name)) {
      fail(std::string("the name of ") + what + " has control characters: " + quote(name),
           "use printable UTF-8, without characters that are invisible or turn the direction of writing");
    }
    return name;
  }

  // ---- messages ----

  void read_model() {
    int64_t ir_version = 0;
    bool has_graph = false;
    std::vector<std::string_view> functions, opsets;
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
          opsets.push_back(fields.bytes());
          break;
        case 25:
          functions.push_back(fields.bytes());
          break;
        default:
          break;
      }
    }
    if (!has_graph)
      fail("not an ONNX model: it holds no graph", "an ONNX file is a protobuf message (onnx.ModelProto) with a graph");
    if (ir_version < 1 || ir_version > 1000) {
      fail("ir_version is " + std::to_string(ir_version), "ONNX files say 3 to 13: is this a file of another kind?");
    }
    // Before IR version 3 files could leave the opset out; it is 1 then.
    opsets_ = read_opsets(opsets, "opset_import");
    if (opsets_.find("") == opsets_.end()) {
      if (opsets.empty()) opsets_[""] = 1;
    }
    check_opset(opsets_);
    for (const std::string_view message : functions) read_function(message);
    read_graph(graph_message);
  }

  std::unordered_map<std::string_view, int64_t> read_opsets(const std::vector<std::string_view>& messages, const char* what) const {
    std::unordered_map<std::string_view, int64_t> opsets;
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
        fail(std::string(what) + " names the domain " + quote(domain) + " twice", "one version per domain");
    }
    return opsets;
  }

  void check_opset(const std::unordered_map<std::string_view, int64_t>& opsets) const {
    const auto found = opsets.find("");
    if (found == opsets.end()) return;  // only functions or other domains: nodes of ONNX are refused where they stand
    if (found->second < kLeastOpset || found->second > kMostOpset) {
      fail("opset_import is " + std::to_string(found->second),
           "Convoy reads opsets 1 to 25: export with one of them, or convert with onnx.version_converter");
    }
  }

  void check_counts() const {
    const Limits& limits = options_.limits;
    const auto check = [&](size_t count, int64_t limit, const char* what) {
      if (static_cast<int64_t>(count) > limit)
        fail("the model has more than " + std::to_string(limit) + " " + what, std::string("the limit is Limits::") + what);
    };
    check(view_.nodes.size(), limits.nodes, "nodes");
    check(view_.initializers.size() + view_.sparse_initializers.size(), limits.initializers, "initializers");
    check(std::max(view_.inputs.size(), view_.outputs.size()), limits.inputs, "inputs");
    check(view_.inputs.size() + view_.outputs.size() + view_.infos.size(), limits.value_infos, "value_infos");
  }

  void read_graph(std::string_view message) {
    Fields fields(source_, message);
    while (fields.next()) {
      check_counts();
      switch (fields.number()) {
        case 1:
          view_.nodes.push_back(fields.bytes());
          break;
        case 2:
          view_.name = fields.bytes();
          break;
        case 5:
          view_.initializers.push_back(fields.bytes());
          break;
        case 11:
          view_.inputs.push_back(fields.bytes());
          break;
        case 12:
          view_.outputs.push_back(fields.bytes());
          break;
        case 13:
          view_.infos.push_back(fields.bytes());
          break;
        case 15:
          view_.sparse_initializers.push_back(fields.bytes());
          break;
        default:
          break;
      }
    }
  }

  void read_function(std::string_view message) {
    FunctionView function;
    std::vector<std::string_view> opsets;
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
          opsets.push_back(fields.bytes());
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
    function.opsets = opsets.empty() ? opsets_ : read_opsets(opsets, "a function's opset_import");
    const std::string key = function_key(function.domain, function.name, function.overload);
    if (!functions_.emplace(key, std::move(function)).second)
      fail("the function " + quote(key) + " is defined twice", "give functions different names");
  }

  static std::string function_key(std::string_view domain, std::string_view name, std::string_view overload) {
    return std::string(domain) + ":" + std::string(name) + (overload.empty() ? "" : ":" + std::string(overload));
  }

  NodeView read_node(std::string_view message) const {
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
    if (static_cast<int64_t>(std::max(node.inputs.size(), node.outputs.size())) > options_.limits.inputs_per_node) {
      fail(called(node) + " has " + std::to_string(node.inputs.size()) + " inputs and " + std::to_string(node.outputs.size()) +
               " outputs",
           "up to " + std::to_string(options_.limits.inputs_per_node) + " each are allowed");
    }
    if (static_cast<int64_t>(node.attributes.size()) > options_.limits.attributes_per_node) {
      fail(called(node) + " has " + std::to_string(node.attributes.size()) + " attributes",
           "up to " + std::to_string(options_.limits.attributes_per_node) + " are allowed");
    }
    return node;
  }

  static std::string called(const NodeView& node) {
    const std::string op(node.op.substr(0, kShownName));
    if (!node.name.empty()) return "node '" + std::string(node.name.substr(0, kShownName)) + "' (" + op + ")";
    for (const std::string_view output : node.outputs) {
      if (!output.empty()) return "the node (" + op + ") that makes " + quote(output);
    }
    return "a node (" + op + ") without a name";
  }

  // ---- types ----

  struct Info {
    std::string_view name;
    Type type;
    bool typed = false;
  };

  Info read_info(std::string_view message, const char* what) const {
    Info info;
    Fields fields(source_, message);
    std::string_view type;
    while (fields.next()) {
      if (fields.number() == 1) info.name = checked_name(fields.bytes(), what);
      if (fields.number() == 2) {
        type = fields.bytes();
        info.typed = true;
      }
    }
    if (info.name.empty()) fail(std::string(what) + " has no name", "every input and output needs one");
    if (info.typed) info.type = read_type(type, std::string(what) + " " + quote(info.name), 0);
    return info;
  }

  Type read_type(std::string_view message, const std::string& what, int64_t depth) const {
    if (depth > options_.limits.nesting)
      fail("the type of " + what + " is nested more than " + std::to_string(options_.limits.nesting) + " deep", "use tensors");
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
          fail("the type of " + what + " is no tensor, sequence or optional", "maps, sparse and opaque values are not supported");
        default:
          break;
      }
    }
    return type;
  }

  Type read_tensor_type(std::string_view message, const std::string& what) const {
    Type type;
    Fields fields(source_, message);
    while (fields.next()) {
      if (fields.number() == 1) {
        const int64_t data_type = fields.integer();
        type.dtype = dtype_of_onnx(data_type);
        if (data_type == 8) {
          type.kind = Type::Kind::kStrings;
        } else if (!type.dtype) {
          fail("the element type of " + what + " is " + onnx_type_name(data_type),
               "types that can be read: FLOAT, DOUBLE, FLOAT16, BFLOAT16, INT8 to INT64, UINT8 to UINT64, BOOL, STRING");
        }
      } else if (fields.number() == 2) {
        type.dims = read_dims(fields.bytes(), what);
      }
    }
    return type;
  }

  Dims read_dims(std::string_view message, const std::string& what) const {
    Dims dims;
    Fields fields(source_, message);
    while (fields.next()) {
      if (fields.number() != 1) continue;
      Dim dim;
      Fields entries(source_, fields.bytes());
      while (entries.next()) {
        if (entries.number() == 1) {
          dim.size = entries.integer();
          if (dim.size < 0 || dim.size > options_.limits.dim) {
            // Some exporters write -1 for a size that may be any.
            if (dim.size == -1) continue;
            fail("the shape of " + what + " has a size of " + std::to_string(dim.size),
                 "sizes are 0 to " + std::to_string(options_.limits.dim));
          }
        } else if (entries.number() == 2) {
          dim.symbol = std::string(checked_name(entries.bytes(), "a size"));
        }
      }
      if (static_cast<int64_t>(dims.size()) >= options_.limits.rank) {
        fail("the shape of " + what + " has more than " + std::to_string(options_.limits.rank) + " sizes",
             "tensors may have up to " + std::to_string(options_.limits.rank) + " axes");
      }
      dims.push_back(std::move(dim));
    }
    return dims;
  }

  // ---- attributes ----

  struct NamedAttribute {
    std::string_view name, refers_to;
    char type = '?';
    Attribute value;
    graph::Value strings;  // of a tensor of text
  };

  static const char* type_words(char type) {
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

  void check_entries(size_t entries, std::string_view name, const std::string& where) const {
    if (static_cast<int64_t>(entries) <= options_.limits.list_entries) return;
    fail(where + ": attribute '" + std::string(name) + "' has too many entries",
         "up to " + std::to_string(options_.limits.list_entries) + " numbers, or a sixteenth of that in text");
  }

  // A function's attributes are read again for each call, and small messages can make large values: what all of them take together
  // is in proportion to the file.
  void spend(int64_t bytes) const {
    spent_ += bytes;
    if (spent_ > 8 * static_cast<int64_t>(source_.bytes.size()) + (int64_t{1} << 24)) {
      fail("its functions and sparse tensors make much more than the file holds",
           "expand functions that are called very often, store tensors dense");
    }
  }

  NamedAttribute read_attribute(std::string_view message, const std::string& where) const {
    spend(static_cast<int64_t>(message.size()));
    NamedAttribute result;
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
          fail(where + ": attribute '" + std::string(result.name) + "' holds a graph",
               "control flow (If, Loop, Scan) is not supported: export a model without it");
        case 7:
          keep('F');
          if (fields.field().type == Field::Type::kBytes) {
            std::string_view rest = fields.bytes();
            if (rest.size() % 4 != 0)
              fail(where + ": attribute '" + std::string(result.name) + "' ends inside a number", "store whole floats");
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
      fail(where + ": attribute '" + std::string(result.name) + "' is a type", "types are not supported there: leave it out");
    }
    if (type < 0 || type >= static_cast<int64_t>(kTypes.size())) {
      fail(where + ": attribute '" + std::string(result.name) + "' has the type " + std::to_string(type),
           "AttributeProto.AttributeType has 1 to 14");
    }
    result.type = type == 0 ? seen : kTypes[static_cast<size_t>(type)];
    if (result.name.empty()) fail(where + ": an attribute has no name", "every attribute needs one");
    const std::string what = where + ": attribute '" + std::string(result.name) + "'";
    switch (result.type) {
      case 'i':
        result.value = integer;
        break;
      case 'f':
        result.value = number;
        break;
      case 's':
        // Messages repeat it.
        if (static_cast<int64_t>(text.size()) > options_.limits.name_bytes || !io::is_shown(text)) {
          fail(what + " is " + quote(text),
               "texts may have up to " + std::to_string(options_.limits.name_bytes) + " bytes of printable UTF-8");
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
        result.value = read_sparse(sparse, what).value.tensor();
        result.type = 't';
        break;
      default:
        if (result.refers_to.empty())
          fail(what + " is " + type_words(result.type),
               "attributes that Convoy reads are numbers, strings, tensors and lists of these");
    }
    return result;
  }

  NamedValue read_sparse(std::string_view message, const std::string& what) const {
    NamedValue dense = read_sparse_tensor_proto(tensors_, message, what);
    spend(static_cast<int64_t>(dense.value.tensor().nbytes()));
    return dense;
  }

  // `bound`: what a function's caller gave for attributes that the body refers to; nullptr outside functions.
  Attributes read_attributes(const NodeView& node, const std::string& where, const Attributes* bound,
                             const OnnxOperator* row) const {
    Attributes attributes;
    std::set<std::string_view> seen;
    for (const std::string_view message : node.attributes) {
      NamedAttribute attribute = read_attribute(message, where);
      if (!seen.insert(attribute.name).second)
        fail(where + ": attribute '" + std::string(attribute.name) + "' is given twice", "give each attribute once");
      if (!attribute.refers_to.empty()) {
        if (bound == nullptr) {
          fail(where + ": attribute '" + std::string(attribute.name) + "' refers to " + quote(attribute.refers_to) +
                   " outside a function",
               "give it a value");
        }
        const auto found = bound->all().find(attribute.refers_to);
        if (found == bound->all().end()) continue;  // left out by the caller
        attribute.value = found->second;
        attribute.type = type_of(found->second);
      }
      if (row != nullptr) check_attribute(*row, attribute, where);
      attributes.set(std::string(attribute.name), std::move(attribute.value));
    }
    if (row != nullptr) check_required(*row, attributes, where);
    return attributes;
  }

  static char type_of(const Attribute& value) { return "ifsIFSt"[value.index()]; }

  // Calls f(name, type, required) for each attribute of a row until it returns true.
  template <class F>
  static bool any_attribute(const OnnxOperator& row, F&& f) {
    std::string_view rest = row.attributes;
    while (!rest.empty()) {
      const size_t space = rest.find(' ');
      const std::string_view entry = rest.substr(0, space);
      const size_t colon = entry.find(':');
      if (f(entry.substr(0, colon), entry[colon + 1], entry.back() == '!')) return true;
      rest = space == std::string_view::npos ? std::string_view() : rest.substr(space + 1);
    }
    return false;
  }

  void check_attribute(const OnnxOperator& row, const NamedAttribute& attribute, const std::string& where) const {
    char expected = 0;
    any_attribute(row, [&](std::string_view name, char type, bool) {
      if (name == attribute.name) expected = type;
      return expected != 0;
    });
    if (expected == 0) {
      std::vector<std::string> names;
      any_attribute(row, [&](std::string_view name, char, bool) {
        names.emplace_back(name);
        return false;
      });
      fail(where + ": unknown attribute " + quote(attribute.name) + did_you_mean(attribute.name, names),
           names.empty() ? "it takes none" : "it takes " + io::listed(names, 20));
    }
    if (expected != attribute.type) {
      fail(where + ": attribute '" + std::string(attribute.name) + "' is " + type_words(attribute.type),
           std::string("it must be ") + type_words(expected));
    }
  }

  void check_required(const OnnxOperator& row, const Attributes& attributes, const std::string& where) const {
    any_attribute(row, [&](std::string_view name, char type, bool required) {
      if (required && !attributes.has(name))
        fail(where + ": attribute '" + std::string(name) + "' is missing", std::string("it must be ") + type_words(type));
      return false;
    });
  }

  // ---- the graph ----

  void build() {
    Scope scope;
    graph_.name = std::string(view_.name);
    const size_t names = view_.initializers.size() + view_.inputs.size() + view_.nodes.size();
    scope.reserve(names);
    graph_.values.reserve(names);
    graph_.nodes.reserve(view_.nodes.size());
    add_initializers(scope);
    add_inputs(scope);
    add_infos();
    inferring_ = std::make_unique<graph::Inferring>(graph_);
    add_nodes(view_.nodes, scope, opsets_, nullptr, "");
    add_outputs(scope);
    set_types();
  }

  void add_initializer(Scope& scope, NamedValue named) {
    checked_name(named.name, "an initializer");
    if (named.name.empty()) fail("an initializer has no name", "every initializer needs one");
    if (!named.value.is_tensor()) fail("initializer " + quote(named.name) + " holds text", "only numbers are supported here");
    const ValueId id = graph_.add_constant(named.name, named.value.tensor());
    names_.push_back(std::make_unique<std::string>(named.name));
    if (!scope.emplace(*names_.back(), id).second)
      fail("duplicate definition of " + quote(named.name) + ": two initializers", "give them different names");
  }

  void add_initializers(Scope& scope) {
    int64_t total = 0;
    std::vector<PendingValues> pending;
    TensorSource source = tensors_;
    source.pending = &pending;
    for (const std::string_view message : view_.initializers) {
      add_initializer(scope, read_tensor_proto(source, message, "initializer"));
      total += static_cast<int64_t>(message.size());
    }
    int64_t large = 0;
    for (const PendingValues& values : pending) large += static_cast<int64_t>(values.from.size());
    // What is not large is there already.
    const auto tell = [&](int64_t done) {
      if (options_.progress) options_.progress(total - large + done, total);
    };
    read_pending(source_, pending, tell);
    tell(large);
    for (const std::string_view message : view_.sparse_initializers) {
      add_initializer(scope, read_sparse(message, "sparse_initializer"));
    }
  }

  void add_inputs(Scope& scope) {
    std::unordered_set<std::string_view> seen;
    for (const std::string_view message : view_.inputs) {
      Info info = read_info(message, "input");
      if (!seen.insert(info.name).second)
        fail("duplicate definition of " + quote(info.name) + ": two inputs", "give them different names");
      // Up to IR version 3 every initializer is listed as an input too; such an input is a constant here.
      const auto found = scope.find(info.name);
      if (found != scope.end()) {
        check_initializer(info, graph_.value(found->second).constant);
        continue;
      }
      const ValueId id = graph_.add_value(std::string(info.name), std::move(info.type));
      scope.emplace(info.name, id);
      graph_.inputs.push_back(id);
    }
  }

  void check_initializer(const Info& info, const Tensor& tensor) const {
    bool fits = !info.type.dtype || *info.type.dtype == tensor.dtype();
    if (info.type.dims) {
      fits = fits && info.type.dims->size() == tensor.shape().size();
      for (size_t i = 0; fits && i < info.type.dims->size(); ++i)
        fits = !(*info.type.dims)[i].known() || (*info.type.dims)[i].size == tensor.shape()[i];
    }
    if (!fits) {
      fail("initializer " + quote(info.name) + " is " + to_string(Type::of(tensor)) + ", the input of that name " +
               to_string(info.type),
           "both must be the same");
    }
  }

  // Only kept where a node's output is found under the name.
  void add_infos() {
    for (const std::string_view message : view_.infos) {
      Info info = read_info(message, "value_info");
      infos_.emplace(info.name, std::move(info.type));
    }
  }

  void add_outputs(const Scope& scope) {
    std::unordered_set<std::string_view> seen;
    for (const std::string_view message : view_.outputs) {
      const Info info = read_info(message, "output");
      if (!seen.insert(info.name).second) fail("output " + quote(info.name) + " is listed twice", "list each output once");
      const auto found = scope.find(info.name);
      ValueId id = found->second;
      // A constant or an input that is an output too needs a value of its own, with the output's name.
      if (graph_.value(id).name != info.name) {
        const ValueId renamed = graph_.add_value(std::string(info.name), inferring_->type(id));
        graph_.nodes.push_back({"Identity", "", {id}, {renamed}, {}});
        inferring_->add(graph_.nodes.back());
        id = renamed;
      }
      graph_.outputs.push_back(id);
      check_output(info, inferring_->type(id));
    }
  }

  // The file's word on an output where inference found something else.
  void check_output(const Info& info, const Type& inferred) const {
    if (info.type.dtype && inferred.dtype && inferred.kind == info.type.kind && *info.type.dtype != *inferred.dtype) {
      fail("output " + quote(info.name) + " is " + to_string(inferred) + ", the file says " + to_string(info.type),
           "correct the output's type");
    }
  }

  // The order in which every value is made before it is used. Values that `scope` knows are there from the start.
  std::vector<size_t> sorted(const std::vector<NodeView>& nodes, const Scope& scope, const std::string& within) const {
    std::unordered_map<std::string_view, size_t> makers;
    makers.reserve(nodes.size());
    for (size_t i = 0; i < nodes.size(); ++i) {
      for (const std::string_view output : nodes[i].outputs) {
        if (output.empty()) continue;
        checked_name(output, "a value");
        if (scope.find(output) != scope.end() || !makers.emplace(output, i).second) {
          fail(within + "duplicate definition of " + quote(output) + ": " + called(nodes[i]) + " makes it again",
               "every value has one origin: an input, an initializer or one node");
        }
      }
    }
    std::vector<std::vector<size_t>> readers(nodes.size());
    std::vector<size_t> waiting(nodes.size(), 0);
    for (size_t i = 0; i < nodes.size(); ++i) {
      for (const std::string_view input : nodes[i].inputs) {
        if (input.empty() || scope.find(input) != scope.end()) continue;
        const auto maker = makers.find(input);
        if (maker == makers.end()) {
          fail(within + called(nodes[i]) + " input " + quote(input) + " is not defined" + near(input, makers, scope),
               "an input must be an input of the graph, an initializer or an output of another node");
        }
        readers[maker->second].push_back(i);
        ++waiting[i];
      }
    }
    std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;  // in the file's order where that is possible
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (waiting[i] == 0) ready.push(i);
    }
    std::vector<size_t> order;
    while (!ready.empty()) {
      const size_t i = ready.top();
      ready.pop();
      order.push_back(i);
      for (const size_t reader : readers[i]) {
        if (--waiting[reader] == 0) ready.push(reader);
      }
    }
    if (order.size() != nodes.size()) fail_cycle(nodes, makers, waiting, within);
    return order;
  }

  // "Did you mean", where looking for it does not take long.
  static std::string near(std::string_view name, const std::unordered_map<std::string_view, size_t>& makers, const Scope& scope) {
    constexpr size_t kLongest = 64, kMost = 2000;
    if (name.size() > kLongest || makers.size() + scope.size() > kMost) return "";
    std::vector<std::string> names;
    for (const auto& [other, at] : makers) {
      if (other.size() <= kLongest) names.emplace_back(other);
    }
    for (const auto& [other, id] : scope) {
      if (other.size() <= kLongest) names.emplace_back(other);
    }
    return did_you_mean(name, names);
  }

  [[noreturn]] void fail_cycle(const std::vector<NodeView>& nodes, const std::unordered_map<std::string_view, size_t>& makers,
                               const std::vector<size_t>& waiting, const std::string& within) const {
    // Every node that waits waits for another one that does: following those comes round.
    size_t at = 0;
    while (waiting[at] == 0) ++at;
    std::vector<size_t> path;
    std::vector<char> seen(nodes.size(), 0);
    while (seen[at] == 0) {
      seen[at] = 1;
      path.push_back(at);
      for (const std::string_view input : nodes[at].inputs) {
        const auto maker = makers.find(input);
        if (maker != makers.end() && waiting[maker->second] != 0) {
          at = maker->second;
          break;
        }
      }
    }
    path.erase(path.begin(), std::find(path.begin(), path.end(), at));
    std::string names = called(nodes[at]);
    size_t shown = 0;
    for (auto node = path.rbegin(); node != path.rend() && shown < 6; ++node, ++shown) names += " -> " + called(nodes[*node]);
    if (path.size() > shown) names += " -> ...";
    fail(within + "the graph goes in a ring: " + names, "a value must not depend on itself");
  }

  void add_nodes(const std::vector<std::string_view>& messages, Scope& scope,
                 const std::unordered_map<std::string_view, int64_t>& opsets, const Attributes* bound, const std::string& within) {
    count_ += static_cast<int64_t>(messages.size());
    if (count_ > options_.limits.nodes) {
      fail("the model has more than " + std::to_string(options_.limits.nodes) + " nodes", "the limit is Limits::nodes");
    }
    std::vector<NodeView> nodes;
    nodes.reserve(messages.size());
    for (const std::string_view message : messages) {
      if (bound != nullptr) spend(static_cast<int64_t>(message.size()));  // read again in each call of a function
      nodes.push_back(read_node(message));
    }
    for (const NodeView& node : nodes) outputs_ += static_cast<int64_t>(node.outputs.size());
    if (outputs_ > options_.limits.node_outputs) {
      fail("the nodes of the model have more than " + std::to_string(options_.limits.node_outputs) + " outputs",
           "the limit is Limits::node_outputs");
    }
    const std::vector<size_t> order = sorted(nodes, scope, within);
    if (bound == nullptr) scope.reserve(scope.size() + nodes.size());
    if (bound == nullptr) check_outputs(nodes, scope);
    for (const size_t i : order) add_node(nodes[i], scope, opsets, bound);
  }

  // Before anything is built: a missing output makes the rest pointless.
  void check_outputs(const std::vector<NodeView>& nodes, const Scope& scope) const {
    if (view_.outputs.empty()) fail("the graph has no outputs", "name at least one value as an output");
    std::vector<std::string_view> names;
    for (const std::string_view message : view_.outputs) names.push_back(read_info(message, "output").name);
    std::unordered_set<std::string_view> missing(names.begin(), names.end());
    for (const NodeView& node : nodes) {
      for (const std::string_view output : node.outputs) missing.erase(output);
    }
    for (const std::string_view name : names) {
      if (missing.find(name) != missing.end() && scope.find(name) == scope.end())
        fail("output " + quote(name) + " is not defined: no node makes it", "name an output of a node");
    }
  }

  void add_node(const NodeView& node, Scope& scope, const std::unordered_map<std::string_view, int64_t>& opsets,
                const Attributes* bound) {
    const std::string where = called(node);
    const auto function =
        functions_.empty() ? functions_.end() : functions_.find(function_key(node.domain, node.op, node.overload));
    if (function != functions_.end()) return add_function(function->second, node, scope, bound);

    if (!node.domain.empty() && node.domain != kTrainingDomain) {
      fail(where + ": the domain " + quote(node.domain) + " is not supported",
           "Convoy reads ONNX's own operators (domain '') and functions that the model defines");
    }
    const auto opset = opsets.find("");
    if (node.domain.empty() && opset == opsets.end())
      fail(where + ": opset_import does not name ONNX's own domain", "add ('', 17) or another version");
    const OnnxOperator* row = find_onnx_operator(node.op);
    if (node.op == "If" || node.op == "Loop" || node.op == "Scan") {
      fail(where + ": control flow (If, Loop, Scan) is not supported",
           "export a model without it: by tracing, or with the condition and the number of steps fixed");
    }
    if (row == nullptr) {
      fail(where + ": there is no operator " + quote(node.op) + did_you_mean(node.op, onnx_operator_names()),
           "docs/onnx.md lists the operators that Convoy reads");
    }
    const auto inputs = static_cast<int64_t>(node.inputs.size()), outputs = static_cast<int64_t>(node.outputs.size());
    bool missing = inputs < row->least_inputs;
    for (int16_t i = 0; i < row->least_inputs && i < inputs; ++i) missing = missing || node.inputs[static_cast<size_t>(i)].empty();
    if (missing || (row->most_inputs >= 0 && inputs > row->most_inputs)) {
      fail(where + " has " + std::to_string(inputs) + " inputs" +
               (missing && inputs >= row->least_inputs ? ", one of them left out" : ""),
           "it takes " + std::to_string(row->least_inputs) +
               (row->most_inputs < 0                    ? " or more"
                : row->most_inputs == row->least_inputs ? ""
                                                        : " to " + std::to_string(row->most_inputs)));
    }
    if (outputs > row->most_outputs && row->most_outputs >= 0) {
      fail(where + " has " + std::to_string(outputs) + " outputs", "it makes up to " + std::to_string(row->most_outputs));
    }

    Importing importing(graph_, *inferring_, opset == opsets.end() ? kMostOpset : opset->second);
    importing.node = {std::string(node.op), std::string(node.name), {}, {}, read_attributes(node, where, bound, row)};
    for (const std::string_view input : node.inputs) importing.node.inputs.push_back(input.empty() ? kNoValue : scope.at(input));
    if (node.op == "Constant") {
      row->convert(importing);
      if (outputs == 1 && !node.outputs[0].empty()) {
        scope.emplace(node.outputs[0],
                      graph_.add_constant(std::string(node.outputs[0]), *importing.node.attributes.get<Tensor>("value")));
      }
      return;
    }
    for (const std::string_view output : node.outputs)
      importing.node.outputs.push_back(output.empty() ? kNoValue : define(output, scope, bound == nullptr));
    while (!importing.node.inputs.empty() && importing.node.inputs.back() == kNoValue) importing.node.inputs.pop_back();
    // Each looks through the graph.
    constexpr int64_t kMostGradients = 256;
    if (node.domain == kTrainingDomain && ++gradients_ > kMostGradients)
      fail("the model has more than " + std::to_string(kMostGradients) + " nodes of training", "derive fewer values");
    if (row->convert != nullptr) row->convert(importing);
    graph_.nodes.push_back(std::move(importing.node));
    inferring_->add(graph_.nodes.back());
    // Newer forms may need several nodes for one, derivatives many.
    if (static_cast<int64_t>(graph_.nodes.size()) > options_.limits.nodes) {
      fail("the model needs more than " + std::to_string(options_.limits.nodes) + " nodes", "the limit is Limits::nodes");
    }
  }

  ValueId define(std::string_view name, Scope& scope, bool outermost) {
    Type type;
    if (outermost) {
      const auto found = infos_.find(name);
      if (found != infos_.end()) type = found->second;
    }
    const ValueId id = graph_.add_value(std::string(name), std::move(type));
    scope.emplace(name, id);
    return id;
  }

  void add_function(const FunctionView& function, const NodeView& node, Scope& scope, const Attributes* bound) {
    const std::string key = function_key(function.domain, function.name, function.overload);
    const auto again = std::find(calls_.begin(), calls_.end(), key);
    if (again != calls_.end()) {
      std::string cycle;
      for (auto call = again; call != calls_.end(); ++call) cycle += *call + " -> ";
      fail("function cycle: " + cycle + key, "a function must not call itself");
    }
    if (static_cast<int64_t>(calls_.size()) >= options_.limits.nesting) {
      fail("functions call functions more than " + std::to_string(options_.limits.nesting) + " deep",
           "the limit is Limits::nesting");
    }
    const std::string where = called(node);
    if (node.inputs.size() > function.inputs.size() || node.outputs.size() > function.outputs.size()) {
      fail(
          where + " has " + std::to_string(node.inputs.size()) + " inputs and " + std::to_string(node.outputs.size()) + " outputs",
          "the function takes " + std::to_string(function.inputs.size()) + " and makes " + std::to_string(function.outputs.size()));
    }
    Attributes given = read_attributes(node, where, bound, nullptr);
    for (const std::string_view message : function.attribute_defaults) {
      NamedAttribute attribute = read_attribute(message, "function '" + key + "'");
      if (!given.has(attribute.name)) given.set(std::string(attribute.name), std::move(attribute.value));
    }
    // A call of few bytes may leave out many inputs.
    constexpr int64_t kBytesOfInput = 64;
    spend(kBytesOfInput * static_cast<int64_t>(function.inputs.size()));
    Scope inner;
    for (size_t i = 0; i < function.inputs.size(); ++i) {
      const bool present = i < node.inputs.size() && !node.inputs[i].empty();
      if (!inner.emplace(function.inputs[i], present ? scope.at(node.inputs[i]) : kNoValue).second) {
        fail("function '" + key + "' has two inputs " + quote(function.inputs[i]), "give them different names");
      }
    }
    check_opset(function.opsets);
    const auto first = static_cast<ValueId>(graph_.values.size());
    calls_.push_back(key);
    add_nodes(function.nodes, inner, function.opsets, &given, "function '" + key + "': ");
    calls_.pop_back();
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].empty()) continue;
      const auto found = inner.find(function.outputs[i]);
      if (found == inner.end() || found->second == kNoValue) {
        fail("function '" + key + "': output " + quote(function.outputs[i]) + " is not defined",
             "a node of the function must make it");
      }
      scope.emplace(node.outputs[i], found->second);
      if (found->second >= first) graph_.value(found->second).name = std::string(node.outputs[i]);
    }
  }

  Source source_;
  ReadOptions options_;
  TensorSource tensors_;
  std::unordered_map<std::string_view, int64_t> opsets_;
  std::unordered_map<std::string, FunctionView> functions_;
  GraphView view_;
  std::unordered_map<std::string_view, Type> infos_;
  std::vector<std::unique_ptr<std::string>> names_;  // of initializers, that scopes refer to
  std::vector<std::string> calls_;                   // functions being expanded
  int64_t gradients_ = 0;
  int64_t count_ = 0, outputs_ = 0;  // nodes so far, and their outputs
  mutable int64_t spent_ = 0;        // bytes of attributes read so far
  Graph graph_;
  std::unique_ptr<graph::Inferring> inferring_;
};

}  // namespace

graph::Graph read_bytes(std::string_view bytes, const std::string& name, const ReadOptions& options, const std::string& folder) {
  return Reader(bytes, name, options, folder).read();
}

graph::Graph read(const std::string& path, const ReadOptions& options) {
  const FileBytes file(path, options.limits.file_bytes);
  const size_t slash = path.rfind('/');
  return Reader(file.view(), path, options, slash == std::string::npos ? "." : path.substr(0, slash + 1), &file).read();
}

namespace {

graph::Value read_value_message(const TensorSource& tensors, std::string_view message, ValueKind kind, int depth) {
  if (depth > 16) throw FileError(tensors.source.name + ": values are nested more than 16 deep", "use tensors");
  if (kind == ValueKind::kTensor) return read_tensor_proto(tensors, message, "the tensor").value;
  graph::Sequence entries;
  Fields fields(tensors.source, message);
  while (fields.next()) {
    switch (fields.number()) {
      case 3:
        entries.push_back(read_value_message(tensors, fields.bytes(), ValueKind::kTensor, depth + 1));
        break;
      case 5:
        entries.push_back(read_value_message(tensors, fields.bytes(), ValueKind::kSequence, depth + 1));
        break;
      default:
        break;
    }
  }
  if (kind == ValueKind::kSequence) return graph::Value(std::move(entries));
  return entries.empty() ? graph::Value() : entries.front();
}

}  // namespace

graph::Value read_value(const std::string& path, ValueKind kind) {
  const std::vector<uint8_t> bytes = io::ByteSource::open(path).read_all(uint64_t{1} << 32);
  const Source source{path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}};
  return read_value_message(TensorSource{source}, source.bytes, kind, 0);
}

}  // namespace convoy::onnx
