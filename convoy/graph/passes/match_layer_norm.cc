#include <optional>

#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"

namespace convoy::graph {
namespace {

// x if `value` is the mean of x over its last axis, which stays.
ValueId mean_of(const Editor& editor, ValueId value) {
  const int32_t i = editor.maker(value);
  if (i < 0 || editor.node(i).op != "ReduceMean") return kNoValue;
  const Node& node = editor.node(i);
  const Tensor* axes = editor.constant(node.input(1));
  const Type& type = editor.type(node.inputs[0]);
  if (axes == nullptr || axes->numel() != 1 || !type.dims || node.attributes.integer("keepdims", 1) != 1) return kNoValue;
  const auto axis = static_cast<int64_t>(axes->at(0)), rank = static_cast<int64_t>(type.dims->size());
  return axis == -1 || axis == rank - 1 ? node.inputs[0] : kNoValue;
}

struct Found {
  ValueId input = kNoValue;
  double eps = 0;
};

// (x - mean) / sqrt(mean((x - mean)^2) + eps).
Found match(const Editor& editor, const Node& node) {
  if (node.op != "Div" || node.inputs.size() != 2) return {};
  const ValueId apart = node.inputs[0];
  const int32_t sub = editor.maker(apart), root = editor.maker(node.inputs[1]);
  if (sub < 0 || root < 0 || editor.node(sub).op != "Sub" || editor.node(root).op != "Sqrt") return {};
  const ValueId input = editor.node(sub).inputs[0];
  if (mean_of(editor, editor.node(sub).inputs[1]) != input) return {};
  const int32_t add = editor.maker(editor.node(root).inputs[0]);
  if (add < 0 || editor.node(add).op != "Add") return {};
  for (size_t k = 0; k < 2; ++k) {
    const auto eps = editor.number(editor.node(add).inputs[k]);
    const int32_t power = editor.maker(mean_of(editor, editor.node(add).inputs[1 - k]));
    if (!eps || power < 0) continue;
    const Node& square = editor.node(power);
    const bool squares = (square.op == "Pow" && square.inputs[0] == apart && editor.number(square.inputs[1]) == 2.0) ||
                         (square.op == "Mul" && square.inputs[0] == apart && square.inputs[1] == apart);
    if (squares) return {input, *eps};
  }
  return {};
}

// The node behind `value` that alone reads it, an `op` with a number per entry of the last axis.
std::optional<std::pair<int32_t, Tensor>> next(const Editor& editor, ValueId value, const char* op, int64_t rank, int64_t size) {
  if (!editor.read_once(value)) return std::nullopt;
  const int32_t i = editor.readers(value)[0];
  const Node& node = editor.node(i);
  if (node.op != op || node.inputs.size() != 2) return std::nullopt;
  const Tensor numbers = editor.numbers_along(Editor::other(node, value), rank, rank - 1, size);
  if (!numbers.defined()) return std::nullopt;
  return std::pair(i, numbers);
}

}  // namespace

int match_layer_norm(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    if (editor.node(i).output(0) == kNoValue) continue;
    const Found found = match(editor, editor.node(i));
    if (found.input == kNoValue) continue;
    const Type& type = editor.type(found.input);
    if (!type.dims || type.dims->empty() || type.dtype != DType::kFloat32 || !type.dims->back().known()) continue;
    const int64_t size = type.dims->back().size, rank = static_cast<int64_t>(type.dims->size());
    if (size > INT64_MAX / 8 || !editor.has_room(8 * size)) continue;
    int32_t last = i;
    Tensor weight = Tensor::ones({size}), bias;
    if (const auto scale = next(editor, editor.node(i).outputs[0], "Mul", rank, size)) {
      weight = scale->second.to(DType::kFloat32);
      editor.remove(last);
      last = scale->first;
    }
    if (const auto shift = next(editor, editor.node(last).outputs[0], "Add", rank, size)) {
      bias = shift->second.to(DType::kFloat32);
      editor.remove(last);
      last = shift->first;
    }
    Node norm{"LayerNormalization",
              editor.node(last).name,
              {found.input, editor.add_constant("weight", weight)},
              {editor.node(last).outputs[0]}};
    if (bias.defined()) norm.inputs.push_back(editor.add_constant("bias", bias));
    norm.attributes.set("axis", int64_t{-1});
    norm.attributes.set("epsilon", found.eps);
    editor.set(last, std::move(norm));
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
