#include "convoy/graph/graph.h"

#include <algorithm>
#include <unordered_set>

#include "convoy/core/formatted.h"

namespace convoy::graph {

const std::string& Symbol::text() const {
  static const std::string kNone;
  return text_ == nullptr ? kNone : *text_;
}

Dims dims_of(const Shape& shape) {
  Dims dims;
  dims.reserve(shape.size());
  for (const int64_t size : shape) dims.push_back({size});
  return dims;
}

std::string to_string(const Dims& dims) {
  std::string text = "[";
  for (const Dim& dim : dims) {
    if (text.size() > 1) text += ", ";
    text += dim.known() ? std::to_string(dim.size) : dim.symbol.empty() ? "?" : dim.symbol.text();
  }
  return text + "]";
}

std::optional<Shape> Type::shape() const {
  if (!dims) return std::nullopt;
  Shape sizes;
  for (const Dim& dim : *dims) {
    if (!dim.known()) return std::nullopt;
    sizes.push_back(dim.size);
  }
  return sizes;
}

std::string to_string(const Type& type) {
  if (type.kind == Type::Kind::kStrings) return type.dims ? formatted("string {}", *type.dims) : "string";
  if (type.kind == Type::Kind::kSequence) return "sequence";
  const std::string word = type.dtype ? dtype_name(*type.dtype) : "?";
  return type.dims ? formatted("{} {}", word, *type.dims) : word;
}

int64_t Attributes::integer(std::string_view name, int64_t otherwise) const {
  const auto* value = get<int64_t>(name);
  return value != nullptr ? *value : otherwise;
}

double Attributes::number(std::string_view name, double otherwise) const {
  const auto* value = get<double>(name);
  return value != nullptr ? *value : otherwise;
}

std::string Attributes::text(std::string_view name, std::string_view otherwise) const {
  const auto* value = get<std::string>(name);
  return value != nullptr ? *value : std::string(otherwise);
}

std::vector<int64_t> Attributes::integers(std::string_view name) const {
  const auto* value = get<std::vector<int64_t>>(name);
  return value != nullptr ? *value : std::vector<int64_t>{};
}

void Attributes::erase(std::string_view name) {
  const auto found = values_.find(name);
  if (found != values_.end()) values_.erase(found);
}

ValueId Graph::add_value(std::string value_name, Type type) {
  values.push_back({std::move(value_name), std::move(type)});
  return static_cast<ValueId>(values.size() - 1);
}

ValueId Graph::add_constant(std::string value_name, Tensor tensor) {
  Type type = Type::of(tensor);
  values.push_back({std::move(value_name), std::move(type), std::move(tensor)});
  return static_cast<ValueId>(values.size() - 1);
}

std::string Graph::unused_name(std::string_view stem) const {
  std::unordered_set<std::string_view> taken;
  for (const ValueInfo& info : values) taken.insert(info.name);
  std::string candidate(stem);
  for (int64_t i = 1; taken.count(candidate) != 0; ++i) candidate = formatted("{}_{}", stem, i);
  return candidate;
}

std::vector<std::vector<int32_t>> Graph::readers() const {
  std::vector<std::vector<int32_t>> result(values.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const ValueId id : nodes[i].inputs) {
      if (id != kNoValue) result[static_cast<size_t>(id)].push_back(static_cast<int32_t>(i));
    }
  }
  return result;
}

std::vector<int32_t> Graph::producers() const {
  std::vector<int32_t> result(values.size(), -1);
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const ValueId id : nodes[i].outputs) {
      if (id != kNoValue) result[static_cast<size_t>(id)] = static_cast<int32_t>(i);
    }
  }
  return result;
}

bool Graph::is_output(ValueId id) const { return std::find(outputs.begin(), outputs.end(), id) != outputs.end(); }

void Graph::remove_unused() {
  std::vector<char> used(values.size(), 0);
  for (const ValueId id : outputs) used[static_cast<size_t>(id)] = 1;
  std::vector<Node> kept;
  for (size_t i = nodes.size(); i-- > 0;) {
    Node& node = nodes[i];
    const bool needed = std::any_of(node.outputs.begin(), node.outputs.end(),
                                    [&](ValueId id) { return id != kNoValue && used[static_cast<size_t>(id)] != 0; });
    if (!needed) continue;
    for (const ValueId id : node.inputs) {
      if (id != kNoValue) used[static_cast<size_t>(id)] = 1;
    }
    kept.push_back(std::move(node));
  }
  std::reverse(kept.begin(), kept.end());
  nodes = std::move(kept);
  for (const ValueId id : inputs) used[static_cast<size_t>(id)] = 1;

  std::vector<ValueId> renumbered(values.size(), kNoValue);
  std::vector<ValueInfo> remaining;
  for (size_t i = 0; i < values.size(); ++i) {
    if (used[i] == 0) continue;
    renumbered[i] = static_cast<ValueId>(remaining.size());
    remaining.push_back(std::move(values[i]));
  }
  values = std::move(remaining);
  const auto renumber = [&](std::vector<ValueId>& ids) {
    for (ValueId& id : ids) {
      if (id != kNoValue) id = renumbered[static_cast<size_t>(id)];
    }
  };
  for (Node& node : nodes) {
    renumber(node.inputs);
    renumber(node.outputs);  // an output that nobody reads becomes kNoValue
  }
  renumber(inputs);
  renumber(outputs);
}

std::string describe(const Graph& graph, const Node& node) {
  std::string name = node.name;
  if (name.empty()) {
    for (const ValueId id : node.outputs) {
      if (id != kNoValue) return formatted("the node ({}) that makes '{}'", node.op, graph.value(id).name);
    }
    return formatted("a node ({}) without a name", node.op);
  }
  return formatted("node '{}' ({})", name, node.op);
}

}  // namespace convoy::graph
