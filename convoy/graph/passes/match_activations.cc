#include <cmath>

#include "convoy/graph/fused.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"

namespace convoy::graph {
namespace {

bool close(std::optional<double> number, double expected) {
  return number && std::abs(*number - expected) <= 1e-6 * std::abs(expected);
}

// A node's constant operand and the other one; nullopt if neither or both are numbers.
struct WithNumber {
  double number;
  ValueId value;
};
std::optional<WithNumber> with_number(const Editor& editor, const Node& node) {
  if (node.inputs.size() != 2) return std::nullopt;
  for (size_t k = 0; k < 2; ++k) {
    const auto number = editor.number(node.inputs[k]);
    if (number && editor.constant(node.inputs[1 - k]) == nullptr) return WithNumber{*number, node.inputs[1 - k]};
  }
  return std::nullopt;
}

// x if `value` is x * factor, by Mul or Div, or nothing. The factor's inverse is what Div has.
ValueId factor_of(const Editor& editor, ValueId value, double factor) {
  const int32_t i = editor.maker(value);
  if (i < 0) return kNoValue;
  const Node& node = editor.node(i);
  const auto part = with_number(editor, node);
  if (!part) return kNoValue;
  if (node.op == "Mul" && close(part->number, factor)) return part->value;
  if (node.op == "Div" && part->value == node.inputs[0] && close(part->number, 1 / factor)) return part->value;
  return kNoValue;
}

// x if `value` is clamp(x + 3, 0, 6).
ValueId shifted_relu6_of(const Editor& editor, ValueId value) {
  const int32_t i = editor.maker(value);
  if (i < 0) return kNoValue;
  const auto clip = activation_of(editor.graph(), editor.node(i));
  if (!clip || clip->kind != Activation::kRelu6) return kNoValue;
  const int32_t add = editor.maker(editor.node(i).inputs[0]);
  if (add < 0 || editor.node(add).op != "Add") return kNoValue;
  const auto part = with_number(editor, editor.node(add));
  return part && part->number == 3 ? part->value : kNoValue;
}

// x if `value` is 1 + erf(x / sqrt(2)).
ValueId erf_gate_of(const Editor& editor, ValueId value) {
  const int32_t add = editor.maker(value);
  if (add < 0 || editor.node(add).op != "Add") return kNoValue;
  const auto part = with_number(editor, editor.node(add));
  if (!part || part->number != 1) return kNoValue;
  const int32_t erf = editor.maker(part->value);
  return erf >= 0 && editor.node(erf).op == "Erf" ? factor_of(editor, editor.node(erf).inputs[0], std::sqrt(0.5)) : kNoValue;
}

struct Found {
  ValueId input = kNoValue;
  ActivationOf activation = {};
};

// x * g(x).
Found match_gate(const Editor& editor, ValueId x, ValueId gate) {
  const int32_t i = editor.maker(gate);
  if (i < 0) return {};
  const Node& node = editor.node(i);
  if (node.op == "Sigmoid" && node.inputs[0] == x) return {x, {Activation::kSilu}};
  if (node.op == "Tanh") {
    const int32_t softplus = editor.maker(node.inputs[0]);
    if (softplus >= 0 && editor.node(softplus).op == "Softplus" && editor.node(softplus).inputs[0] == x)
      return {x, {Activation::kMish}};
  }
  if (const auto hard = activation_of(editor.graph(), node);
      hard && hard->kind == Activation::kHardsigmoid && node.inputs[0] == x) {
    return {x, {Activation::kHardswish}};
  }
  const ValueId sixth = factor_of(editor, gate, 1.0 / 6);
  if (sixth != kNoValue && shifted_relu6_of(editor, sixth) == x) return {x, {Activation::kHardswish}};
  const ValueId half = factor_of(editor, gate, 0.5);
  if (half != kNoValue && erf_gate_of(editor, half) == x) return {x, {Activation::kGelu}};
  const ValueId half_x = factor_of(editor, x, 0.5);  // (x / 2) (1 + erf)
  if (half_x != kNoValue && erf_gate_of(editor, gate) == half_x) return {half_x, {Activation::kGelu}};
  return {};
}

Found match(const Editor& editor, const Node& node) {
  if (node.op == "Mul" && node.inputs.size() == 2) {
    for (size_t k = 0; k < 2; ++k) {
      const Found found = match_gate(editor, node.inputs[k], node.inputs[1 - k]);
      if (found.input != kNoValue) return found;
    }
  }
  if ((node.op != "Mul" && node.op != "Div") || node.output(0) == kNoValue) return {};
  // (x gate) / 6, (x gate) / 2, and clamp(x + 3, 0, 6) / 6 alone.
  for (const double factor : {1.0 / 6, 0.5}) {
    const ValueId product = factor_of(editor, node.outputs[0], factor);
    if (product == kNoValue) continue;
    const bool hard = factor < 0.4;
    if (hard) {
      const ValueId x = shifted_relu6_of(editor, product);
      if (x != kNoValue) return {x, {Activation::kHardsigmoid}};
    }
    const int32_t i = editor.maker(product);
    if (i < 0 || editor.node(i).op != "Mul" || editor.node(i).inputs.size() != 2) continue;
    for (size_t k = 0; k < 2; ++k) {
      const ValueId x = editor.node(i).inputs[k], gate = editor.node(i).inputs[1 - k];
      if (hard && shifted_relu6_of(editor, gate) == x) return {x, {Activation::kHardswish}};
      if (!hard && erf_gate_of(editor, gate) == x) return {x, {Activation::kGelu}};
    }
  }
  return {};
}

}  // namespace

int match_activations(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& node = editor.node(i);
    if (node.outputs.empty() || node.outputs[0] == kNoValue || editor.type(node.outputs[0]).dtype != DType::kFloat32) continue;
    const Found found = match(editor, node);
    if (found.input == kNoValue || found.input == node.outputs[0]) continue;
    const Type &in = editor.type(found.input), &out = editor.type(node.outputs[0]);
    if (!in.dims || !out.dims || in.dims->size() != out.dims->size()) continue;  // numbers may have more axes than x
    Node activation{"Activation", node.name, {found.input}, {node.outputs[0]}};
    set_fused_activation(activation.attributes, found.activation);
    editor.set(i, std::move(activation));
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
