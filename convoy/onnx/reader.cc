#include "convoy/onnx/reader.h"

#include <algorithm>
#include <memory>
#include <queue>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/suggest.h"
#include "convoy/graph/infer.h"
#include "convoy/io/file.h"
#include "convoy/onnx/file_bytes.h"
#include "convoy/onnx/import.h"
#include "convoy/onnx/messages.h"

namespace convoy::onnx {
namespace {

using graph::Attribute;
using graph::Attributes;
using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::Type;
using graph::ValueId;

constexpr std::string_view kTrainingDomain = "ai.onnx.preview.training";

using Scope = std::unordered_map<std::string_view, ValueId>;

class Reader {
 public:
  Reader(std::string_view bytes, const std::string& name, const ReadOptions& options, const std::string& folder,
         const FileBytes* file = nullptr)
      : source_{name, bytes, file},
        options_(options),
        messages_(source_, options.limits, options.external_data ? (folder.empty() ? "." : folder) : "") {}

  Graph read() {
    model_ = messages_.read_model();
    try {
      build();
      return std::move(graph_);
    } catch (const FileError&) {
      keep_partial();
      throw;
    } catch (const ShapeMismatch& e) {
      keep_partial();
      raise<ShapeMismatch>("{}: {}\n{}", source_.name, e.reason(), e.fix());
    } catch (const Error& e) {
      keep_partial();
      raise<FileError>("{}: {}\n{}", source_.name, e.reason(), e.fix());
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

  [[noreturn]] void fail(std::string_view reason, std::string_view fix) const { messages_.fail(reason, fix); }

  // ---- attributes ----

  // `bound`: what a function's caller gave for attributes that the body refers to; nullptr outside functions.
  Attributes read_attributes(const NodeView& node, const std::string& where, const Attributes* bound,
                             const OnnxOperator* row) const {
    Attributes attributes;
    std::set<std::string_view> seen;
    for (const std::string_view message : node.attributes) {
      AttributeView attribute = messages_.read_attribute(message, where);
      if (!seen.insert(attribute.name).second)
        fail(formatted("{}: attribute '{}' is given twice", where, attribute.name), "give each attribute once");
      if (!attribute.refers_to.empty()) {
        if (bound == nullptr) {
          fail(formatted("{}: attribute '{}' refers to {} outside a function", where, attribute.name,
                         io::quote(attribute.refers_to)),
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

  void check_attribute(const OnnxOperator& row, const AttributeView& attribute, const std::string& where) const {
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
      fail(formatted("{}: unknown attribute {}{}", where, io::quote(attribute.name), did_you_mean(attribute.name, names)),
           names.empty() ? "it takes none" : "it takes " + io::listed(names, 20));
    }
    if (expected != attribute.type) {
      fail(formatted("{}: attribute '{}' is {}", where, attribute.name, attribute_type_words(attribute.type)),
           std::string("it must be ") + attribute_type_words(expected));
    }
  }

  void check_required(const OnnxOperator& row, const Attributes& attributes, const std::string& where) const {
    any_attribute(row, [&](std::string_view name, char type, bool required) {
      if (required && !attributes.has(name))
        fail(formatted("{}: attribute '{}' is missing", where, name), std::string("it must be ") + attribute_type_words(type));
      return false;
    });
  }

  // ---- the graph ----

  void build() {
    Scope scope;
    graph_.name = std::string(model_.graph.name);
    const size_t names = model_.graph.initializers.size() + model_.graph.inputs.size() + model_.graph.nodes.size();
    scope.reserve(names);
    graph_.values.reserve(names);
    graph_.nodes.reserve(model_.graph.nodes.size());
    add_initializers(scope);
    add_inputs(scope);
    add_infos();
    inferring_ = std::make_unique<graph::Inferring>(graph_);
    add_nodes(model_.graph.nodes, scope, model_.opsets, nullptr, "");
    add_outputs(scope);
    set_types();
  }

  void add_initializer(Scope& scope, NamedValue named) {
    messages_.checked_name(named.name, "an initializer");
    if (named.name.empty()) fail("an initializer has no name", "every initializer needs one");
    if (!named.value.is_tensor())
      fail(formatted("initializer {} holds text", io::quote(named.name)), "only numbers are supported here");
    const ValueId id = graph_.add_constant(named.name, named.value.tensor());
    names_.push_back(std::make_unique<std::string>(named.name));
    if (!scope.emplace(*names_.back(), id).second)
      fail(formatted("duplicate definition of {}: two initializers", io::quote(named.name)), "give them different names");
  }

  void add_initializers(Scope& scope) {
    int64_t total = 0;
    std::vector<PendingValues> pending;
    TensorSource source = messages_.tensors();
    source.pending = &pending;
    for (const std::string_view message : model_.graph.initializers) {
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
    for (const std::string_view message : model_.graph.sparse_initializers) {
      add_initializer(scope, messages_.read_sparse_tensor(message, "sparse_initializer"));
    }
  }

  void add_inputs(Scope& scope) {
    std::unordered_set<std::string_view> seen;
    for (const std::string_view message : model_.graph.inputs) {
      ValueView info = messages_.read_value_info(message, "input");
      if (!seen.insert(info.name).second)
        fail(formatted("duplicate definition of {}: two inputs", io::quote(info.name)), "give them different names");
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

  void check_initializer(const ValueView& info, const Tensor& tensor) const {
    bool fits = !info.type.dtype || *info.type.dtype == tensor.dtype();
    if (info.type.dims) {
      fits = fits && info.type.dims->size() == tensor.shape().size();
      for (size_t i = 0; fits && i < info.type.dims->size(); ++i)
        fits = !(*info.type.dims)[i].known() || (*info.type.dims)[i].size == tensor.shape()[i];
    }
    if (!fits) {
      fail(formatted("initializer {} is {}, the input of that name {}", io::quote(info.name), Type::of(tensor), info.type),
           "both must be the same");
    }
  }

  // Only kept where a node's output is found under the name.
  void add_infos() {
    for (const std::string_view message : model_.graph.infos) {
      ValueView info = messages_.read_value_info(message, "value_info");
      infos_.emplace(info.name, std::move(info.type));
    }
  }

  void add_outputs(const Scope& scope) {
    std::unordered_set<std::string_view> seen;
    for (const std::string_view message : model_.graph.outputs) {
      ValueView info = messages_.read_value_info(message, "output");
      if (!seen.insert(info.name).second)
        fail(formatted("output {} is listed twice", io::quote(info.name)), "list each output once");
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
      graph_.stated.push_back(std::move(info.type));
    }
  }

  // The file's word on an output where inference found something else.
  void check_output(const ValueView& info, const Type& inferred) const {
    if (info.type.dtype && inferred.dtype && inferred.kind == info.type.kind && *info.type.dtype != *inferred.dtype) {
      fail(formatted("output {} is {}, the file says {}", io::quote(info.name), inferred, info.type), "correct the output's type");
    }
  }

  // The order in which every value is made before it is used. Values that `scope` knows are there from the start.
  std::vector<size_t> sorted(const std::vector<NodeView>& nodes, const Scope& scope, const std::string& within) const {
    std::unordered_map<std::string_view, size_t> makers;
    makers.reserve(nodes.size());
    for (size_t i = 0; i < nodes.size(); ++i) {
      for (const std::string_view output : nodes[i].outputs) {
        if (output.empty()) continue;
        messages_.checked_name(output, "a value");
        if (scope.find(output) != scope.end() || !makers.emplace(output, i).second) {
          fail(formatted("{}duplicate definition of {}: {} makes it again", within, io::quote(output), called(nodes[i])),
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
          fail(formatted("{}{} input {} is not defined{}", within, called(nodes[i]), io::quote(input), near(input, makers, scope)),
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
    fail(formatted("{}the graph goes in a ring: {}", within, names), "a value must not depend on itself");
  }

  void add_nodes(const std::vector<std::string_view>& messages, Scope& scope, const Opsets& opsets, const Attributes* bound,
                 const std::string& within) {
    count_ += static_cast<int64_t>(messages.size());
    if (count_ > options_.limits.nodes) {
      fail(formatted("the model has more than {} nodes", options_.limits.nodes), "the limit is Limits::nodes");
    }
    std::vector<NodeView> nodes;
    nodes.reserve(messages.size());
    for (const std::string_view message : messages) {
      if (bound != nullptr) messages_.spend(static_cast<int64_t>(message.size()));  // read again in each call of a function
      nodes.push_back(messages_.read_node(message));
    }
    for (const NodeView& node : nodes) outputs_ += static_cast<int64_t>(node.outputs.size());
    if (outputs_ > options_.limits.node_outputs) {
      fail(formatted("the nodes of the model have more than {} outputs", options_.limits.node_outputs),
           "the limit is Limits::node_outputs");
    }
    const std::vector<size_t> order = sorted(nodes, scope, within);
    if (bound == nullptr) scope.reserve(scope.size() + nodes.size());
    if (bound == nullptr) check_outputs(nodes, scope);
    for (const size_t i : order) add_node(nodes[i], scope, opsets, bound);
  }

  // Before anything is built: a missing output makes the rest pointless.
  void check_outputs(const std::vector<NodeView>& nodes, const Scope& scope) const {
    if (model_.graph.outputs.empty()) fail("the graph has no outputs", "name at least one value as an output");
    std::vector<std::string_view> names;
    for (const std::string_view message : model_.graph.outputs) names.push_back(messages_.read_value_info(message, "output").name);
    std::unordered_set<std::string_view> missing(names.begin(), names.end());
    for (const NodeView& node : nodes) {
      for (const std::string_view output : node.outputs) missing.erase(output);
    }
    for (const std::string_view name : names) {
      if (missing.find(name) != missing.end() && scope.find(name) == scope.end())
        fail(formatted("output {} is not defined: no node makes it", io::quote(name)), "name an output of a node");
    }
  }

  void add_node(const NodeView& node, Scope& scope, const Opsets& opsets, const Attributes* bound) {
    const std::string where = called(node);
    const auto function = model_.functions.empty() ? model_.functions.end()
                                                   : model_.functions.find(function_key(node.domain, node.op, node.overload));
    if (function != model_.functions.end()) return add_function(function->second, node, scope, bound);

    if (!node.domain.empty() && node.domain != kTrainingDomain) {
      fail(formatted("{}: the domain {} is not supported", where, io::quote(node.domain)),
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
      fail(formatted("{}: Convoy has no operator {}{}", where, io::quote(node.op), did_you_mean(node.op, onnx_operator_names())),
           "docs/onnx.md lists those that it reads");
    }
    const auto inputs = static_cast<int64_t>(node.inputs.size()), outputs = static_cast<int64_t>(node.outputs.size());
    bool missing = inputs < row->least_inputs;
    for (int16_t i = 0; i < row->least_inputs && i < inputs; ++i) missing = missing || node.inputs[static_cast<size_t>(i)].empty();
    if (missing || (row->most_inputs >= 0 && inputs > row->most_inputs)) {
      fail(formatted("{} has {} inputs{}", where, inputs, missing && inputs >= row->least_inputs ? ", one of them left out" : ""),
           formatted("it takes {}{}", row->least_inputs,
                     row->most_inputs < 0                    ? " or more"
                     : row->most_inputs == row->least_inputs ? ""
                                                             : formatted(" to {}", row->most_inputs)));
    }
    if (outputs > row->most_outputs && row->most_outputs >= 0) {
      fail(formatted("{} has {} outputs", where, outputs), formatted("it makes up to {}", row->most_outputs));
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
      fail(formatted("the model has more than {} nodes of training", kMostGradients), "derive fewer values");
    if (row->convert != nullptr) row->convert(importing);
    graph_.nodes.push_back(std::move(importing.node));
    inferring_->add(graph_.nodes.back());
    // Newer forms may need several nodes for one, derivatives many.
    if (static_cast<int64_t>(graph_.nodes.size()) > options_.limits.nodes) {
      fail(formatted("the model needs more than {} nodes", options_.limits.nodes), "the limit is Limits::nodes");
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
      fail(formatted("function cycle: {}{}", cycle, key), "a function must not call itself");
    }
    if (static_cast<int64_t>(calls_.size()) >= options_.limits.nesting) {
      fail(formatted("functions call functions more than {} deep", options_.limits.nesting), "the limit is Limits::nesting");
    }
    const std::string where = called(node);
    if (node.inputs.size() > function.inputs.size() || node.outputs.size() > function.outputs.size()) {
      fail(formatted("{} has {} inputs and {} outputs", where, node.inputs.size(), node.outputs.size()),
           formatted("the function takes {} and makes {}", function.inputs.size(), function.outputs.size()));
    }
    Attributes given = read_attributes(node, where, bound, nullptr);
    for (const std::string_view message : function.attribute_defaults) {
      AttributeView attribute = messages_.read_attribute(message, formatted("function '{}'", key));
      if (!given.has(attribute.name)) given.set(std::string(attribute.name), std::move(attribute.value));
    }
    // A call of few bytes may leave out many inputs.
    constexpr int64_t kBytesOfInput = 64;
    messages_.spend(kBytesOfInput * static_cast<int64_t>(function.inputs.size()));
    Scope inner;
    for (size_t i = 0; i < function.inputs.size(); ++i) {
      const bool present = i < node.inputs.size() && !node.inputs[i].empty();
      if (!inner.emplace(function.inputs[i], present ? scope.at(node.inputs[i]) : kNoValue).second) {
        fail(formatted("function '{}' has two inputs {}", key, io::quote(function.inputs[i])), "give them different names");
      }
    }
    messages_.check_opset(function.opsets);
    const auto first = static_cast<ValueId>(graph_.values.size());
    calls_.push_back(key);
    add_nodes(function.nodes, inner, function.opsets, &given, formatted("function '{}': ", key));
    calls_.pop_back();
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].empty()) continue;
      const auto found = inner.find(function.outputs[i]);
      if (found == inner.end() || found->second == kNoValue) {
        fail(formatted("function '{}': output {} is not defined", key, io::quote(function.outputs[i])),
             "a node of the function must make it");
      }
      scope.emplace(node.outputs[i], found->second);
      if (found->second >= first) graph_.value(found->second).name = std::string(node.outputs[i]);
    }
  }

  Source source_;
  ReadOptions options_;
  Messages messages_;
  ModelView model_;
  std::unordered_map<std::string_view, Type> infos_;
  std::vector<std::unique_ptr<std::string>> names_;  // of initializers, that scopes refer to
  std::vector<std::string> calls_;                   // functions being expanded
  int64_t gradients_ = 0;
  int64_t count_ = 0, outputs_ = 0;  // nodes so far, and their outputs
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
  if (depth > 16) raise<FileError>("{}: values are nested more than 16 deep\nuse tensors", tensors.source.name);
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
