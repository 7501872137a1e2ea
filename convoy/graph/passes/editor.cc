#include "convoy/graph/passes/editor.h"

#include <algorithm>

#include "convoy/core/formatted.h"

namespace convoy::graph {

Editor::Editor(Graph& graph) : graph_(graph), maker_(graph.producers()), readers_(graph.readers()) {
  output_.resize(graph.values.size(), 0);
  input_.resize(graph.values.size(), 0);
  for (const ValueId id : graph.outputs) output_[static_cast<size_t>(id)] = 1;
  for (const ValueId id : graph.inputs) input_[static_cast<size_t>(id)] = 1;
}

void Editor::grow() {
  maker_.resize(graph_.values.size(), -1);
  readers_.resize(graph_.values.size());
  output_.resize(graph_.values.size(), 0);
  input_.resize(graph_.values.size(), 0);
}

int32_t Editor::maker_alone(ValueId id, std::string_view op) const {
  const int32_t i = maker(id);
  return i >= 0 && node(i).op == op && read_once(id) ? i : -1;
}

std::optional<double> Editor::number(ValueId id) const {
  const Tensor* tensor = constant(id);
  if (tensor == nullptr || tensor->numel() != 1 || !is_floating(tensor->dtype())) return std::nullopt;
  return tensor->item();
}

Tensor Editor::numbers_along(ValueId id, int64_t rank, int64_t axis, int64_t size) const {
  const Tensor* tensor = constant(id);
  if (tensor == nullptr || !is_floating(tensor->dtype()) || tensor->dim() > rank || size < 1) return {};
  if (size > INT64_MAX / 8 || !has_room(8 * size)) return {};  // one number may stand for as many as a file likes to say
  for (int64_t i = 0; i < tensor->dim(); ++i) {
    const int64_t full = rank - tensor->dim() + i;
    if (tensor->shape()[static_cast<size_t>(i)] != 1 && (full != axis || tensor->shape()[static_cast<size_t>(i)] != size))
      return {};
  }
  if (tensor->numel() == 1) return Tensor::full({size}, tensor->item(), DType::kFloat64);
  return tensor->to(DType::kFloat64).reshape({size});
}

// Names need only differ: '/' and ':' keep them apart from what files use nearly always, the count from each other.
ValueId Editor::add_constant(std::string_view stem, Tensor tensor) {
  graph_.constant_room -= static_cast<int64_t>(tensor.nbytes());
  const ValueId id =
      graph_.add_constant(formatted("{}:{}", stem, graph_.values.size() + static_cast<size_t>(added_++)), std::move(tensor));
  grow();
  return id;
}

ValueId Editor::add_value(std::string_view stem, Type type) {
  const ValueId id =
      graph_.add_value(formatted("{}:{}", stem, graph_.values.size() + static_cast<size_t>(added_++)), std::move(type));
  grow();
  return id;
}

void Editor::set(int32_t i, Node node) {
  Node& old = graph_.nodes[static_cast<size_t>(i)];
  for (const ValueId id : old.inputs) {
    if (id == kNoValue) continue;
    auto& readers = readers_[static_cast<size_t>(id)];
    readers.erase(std::find(readers.begin(), readers.end(), i));
  }
  for (const ValueId id : old.outputs) {
    if (id != kNoValue && maker_[static_cast<size_t>(id)] == i) maker_[static_cast<size_t>(id)] = -1;
  }
  old = std::move(node);
  for (const ValueId id : old.inputs) {
    if (id != kNoValue) readers_[static_cast<size_t>(id)].push_back(i);
  }
  for (const ValueId id : old.outputs) {
    if (id != kNoValue) maker_[static_cast<size_t>(id)] = i;
  }
}

bool Editor::replace(ValueId from, ValueId to) {
  if (from == to) return false;
  if (is_output(from)) {
    if (is_output(to) || is_input(to) || maker(to) < 0) return false;
    std::replace(graph_.outputs.begin(), graph_.outputs.end(), from, to);
    std::swap(graph_.value(from).name, graph_.value(to).name);
    output_[static_cast<size_t>(to)] = 1;
    output_[static_cast<size_t>(from)] = 0;
  }
  for (const int32_t i : readers_[static_cast<size_t>(from)]) {
    auto& inputs = graph_.nodes[static_cast<size_t>(i)].inputs;
    std::replace(inputs.begin(), inputs.end(), from, to);
    readers_[static_cast<size_t>(to)].push_back(i);
  }
  readers_[static_cast<size_t>(from)].clear();
  return true;
}

void Editor::drop_unread(ValueId id) {
  if (id != kNoValue && readers(id).empty() && !is_output(id) && !is_input(id)) graph_.value(id).constant = Tensor();
}

void Editor::set_constant(ValueId id, Tensor tensor) {
  ValueInfo& info = graph_.value(id);
  info.type = Type::of(tensor);
  info.constant = std::move(tensor);
  maker_[static_cast<size_t>(id)] = -1;
}

std::optional<Shape> sample_shape(const Type& type) {
  if (type.dtype != DType::kFloat32 || !type.dims || type.dims->size() < 3) return std::nullopt;
  Shape shape{1};
  for (size_t i = 1; i < type.dims->size(); ++i) {
    if (!(*type.dims)[i].known()) return std::nullopt;
    shape.push_back((*type.dims)[i].size);
  }
  return shape;
}

}  // namespace convoy::graph
