#include "convoy/graph/infer.h"

#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/graph/node_error.h"
#include "convoy/graph/operator.h"

namespace convoy::graph {
namespace {

// Longer integer vectors are no shapes.
constexpr int64_t kMostContents = 64;
constexpr size_t kMostAxes = 64;

Dims dims_of_numbers(const Tensor& tensor) {
  Dims dims;
  for (const int64_t number : tensor.to(DType::kInt64).to_vector<int64_t>()) dims.push_back({number});
  return dims;
}

// What two sources know about the same value; the first wins where they differ.
Type merged(Type inferred, const Type& stated) {
  if (!inferred.dtype) inferred.dtype = stated.dtype;
  if (!inferred.dims) {
    if (stated.kind == inferred.kind) inferred.dims = stated.dims;
    return inferred;
  }
  if (stated.dims && stated.dims->size() == inferred.dims->size()) {
    for (size_t i = 0; i < stated.dims->size(); ++i) {
      Dim& dim = (*inferred.dims)[i];
      if (!dim.known() && dim.symbol.empty()) dim = (*stated.dims)[i];
    }
  }
  return inferred;
}

}  // namespace

const Type& Inference::type(size_t i) const {
  static const Type kNone;
  const ValueId id = node_.input(i);
  return id == kNoValue ? kNone : types_[static_cast<size_t>(id)];
}

std::optional<Dims> Inference::contents(size_t i) const {
  const ValueId id = node_.input(i);
  if (id == kNoValue) return std::nullopt;
  if (const Tensor* tensor = constant(i)) {
    if (tensor->dim() > 1 || tensor->numel() > kMostContents || is_floating(tensor->dtype())) return std::nullopt;
    return dims_of_numbers(*tensor);
  }
  return contents_[static_cast<size_t>(id)];
}

std::optional<std::vector<int64_t>> Inference::numbers(size_t i) const {
  if (const Tensor* tensor = constant(i)) {
    if (tensor->dim() > 1 || is_floating(tensor->dtype())) return std::nullopt;
    return tensor->to(DType::kInt64).to_vector<int64_t>();
  }
  const std::optional<Dims> dims = contents(i);
  if (!dims) return std::nullopt;
  std::vector<int64_t> result;
  for (const Dim& dim : *dims) {
    if (!dim.known()) return std::nullopt;  // a negative number looks like an unknown one, and is rare
    result.push_back(dim.size);
  }
  return result;
}

void Inference::set(size_t output, Type type) {
  if (type.dims && type.dims->size() > kMostAxes) {
    raise<ShapeMismatch>("the result would have {} axes\ntensors have up to {}", type.dims->size(), kMostAxes);
  }
  const ValueId id = node_.output(output);
  if (id != kNoValue) types_[static_cast<size_t>(id)] = merged(std::move(type), graph_.value(id).type);
}

void Inference::set_contents(size_t output, Dims contents) {
  const ValueId id = node_.output(output);
  if (id != kNoValue && contents.size() <= static_cast<size_t>(kMostContents))
    contents_[static_cast<size_t>(id)] = std::move(contents);
}

Inferring::Inferring(const Graph& graph, const std::vector<Type>& input_types) : graph_(graph) {
  take_new_values();
  for (size_t i = 0; i < input_types.size() && i < graph.inputs.size(); ++i) {
    Type& type = types_[static_cast<size_t>(graph.inputs[i])];
    type = merged(input_types[i], type);
  }
}

void Inferring::take_new_values() {
  for (size_t i = types_.size(); i < graph_.values.size(); ++i) {
    const ValueInfo& info = graph_.values[i];
    types_.push_back(info.constant.defined() ? Type::of(info.constant) : info.type);
  }
  contents_.resize(types_.size());
}

void Inferring::add(const Node& node) {
  take_new_values();
  const Operator* op = find_operator(node.op);
  if (op == nullptr) return;
  Inference inference(graph_, node, types_, contents_);
  with_node_name(graph_, node, [&] { op->infer(inference); });
}

const Type& Inferring::type(ValueId id) {
  take_new_values();
  return types_[static_cast<size_t>(id)];
}

std::vector<Type> infer_types(const Graph& graph, const std::vector<Type>& input_types) {
  Inferring inferring(graph, input_types);
  for (const Node& node : graph.nodes) inferring.add(node);
  return inferring.take();
}

void infer(Graph& graph) {
  std::vector<Type> types = infer_types(graph);
  for (size_t i = 0; i < types.size(); ++i) graph.values[i].type = std::move(types[i]);
}

}  // namespace convoy::graph
