#include <cmath>
#include <optional>

#include "convoy/core/error.h"
#include "convoy/graph/fused.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/reparam.h"

namespace convoy::graph {
namespace {

struct AffineNode {
  ValueId input;
  ChannelAffine affine;
};

// What a node does per entry of `axis` of its one input that is no constant: Mul, Add, Sub, Div by constants and ChannelAffine.
std::optional<AffineNode> affine_of(const Editor& editor, const Node& node, int64_t rank, int64_t axis, int64_t size) {
  const auto ones = [&] { return Tensor::ones({size}, DType::kFloat64); };
  const auto zeros = [&] { return Tensor::zeros({size}, DType::kFloat64); };
  if (node.op == "ChannelAffine") {
    if (axis != 1 || fused_activation(node.attributes)) return std::nullopt;
    const Tensor *scale = editor.constant(node.inputs[1]), *shift = editor.constant(node.inputs[2]);
    if (scale == nullptr || shift == nullptr || scale->numel() != size) return std::nullopt;
    return AffineNode{node.inputs[0], {scale->to(DType::kFloat64), shift->to(DType::kFloat64)}};
  }
  const bool add = node.op == "Add", sub = node.op == "Sub", mul = node.op == "Mul", div = node.op == "Div";
  if ((!add && !sub && !mul && !div) || node.inputs.size() != 2) return std::nullopt;
  for (size_t k = 0; k < 2; ++k) {
    const Tensor numbers = editor.numbers_along(node.inputs[k], rank, axis, size);
    if (!numbers.defined() || editor.constant(node.inputs[1 - k]) != nullptr) continue;
    for (int64_t i = 0; i < size; ++i) {  // a sum by 0 is infinite; the sum of infinite products may be no number
      const double number = std::abs(numbers.at(i));
      if (!std::isfinite(number) || (div && number < 1e-37)) return std::nullopt;
    }
    const ValueId input = node.inputs[1 - k];
    if (div && k == 0) return std::nullopt;
    if (add) return AffineNode{input, {ones(), numbers}};
    if (sub) return k == 1 ? AffineNode{input, {ones(), -1.0 * numbers}} : AffineNode{input, {-1.0 * ones(), numbers}};
    return AffineNode{input, {mul ? numbers : ones() / numbers, zeros()}};
  }
  return std::nullopt;
}

bool folds(const Node& node) {
  return (node.op == "Conv" || node.op == "ConvTranspose" || node.op == "Linear") && !fused_activation(node.attributes) &&
         node.input(3) == kNoValue;
}

// A layer's constant parameters; nullopt if they are not all known, or may not be made anew.
std::optional<ConvParameters> parameters_of(const Editor& editor, const Node& node) {
  const Tensor *weight = editor.constant(node.input(1)), *bias = editor.constant(node.input(2));
  if (weight == nullptr || (weight->dtype() != DType::kFloat32 && weight->dtype() != DType::kFloat64)) return std::nullopt;
  if ((node.input(2) != kNoValue && bias == nullptr) || !editor.has_room(static_cast<int64_t>(weight->nbytes())))
    return std::nullopt;
  return ConvParameters{*weight, bias != nullptr ? *bias : Tensor()};
}

Node with_parameters(Editor& editor, const Node& node, const ConvParameters& folded) {
  const DType dtype = editor.constant(node.inputs[1])->dtype();
  Node result = node;
  result.inputs.resize(3, kNoValue);
  result.inputs[1] = editor.add_constant("weight", folded.weight.to(dtype));
  result.inputs[2] = editor.add_constant("bias", folded.bias.to(dtype));
  return result;
}

// Layer, then affine.
bool fold_into_layer_before(Editor& editor, int32_t i) {
  const Node& node = editor.node(i);
  for (const ValueId input : node.inputs) {
    const int32_t at = editor.maker(input);
    if (at < 0 || !folds(editor.node(at)) || !editor.read_once(input)) continue;
    const Node& layer = editor.node(at);
    const auto parameters = parameters_of(editor, layer);
    const Type &type = editor.type(input), &out = editor.type(node.outputs[0]);
    if (!parameters || !type.dims || !out.dims || out.dims->size() != type.dims->size()) continue;
    const bool linear = layer.op == "Linear", transposed = layer.op == "ConvTranspose";
    const auto rank = static_cast<int64_t>(type.dims->size());
    const int64_t axis = linear ? rank - 1 : 1, groups = layer.attributes.integer("group", 1);
    const int64_t channels = transposed ? parameters->weight.size(1) * groups : parameters->weight.size(0);
    const auto affine = affine_of(editor, node, rank, axis, channels);
    if (!affine || affine->input != input || (*type.dims)[static_cast<size_t>(axis)].size != channels) continue;
    Node next = with_parameters(editor, layer,
                                transposed ? ops::fold_after_transposed(*parameters, affine->affine, groups)
                                           : ops::fold_after(*parameters, affine->affine, parameters->weight.dtype()));
    next.outputs = editor.node(i).outputs;
    const ValueId before = layer.inputs[1];
    editor.remove(i);
    editor.set(at, std::move(next));
    editor.drop_unread(before);
    return true;
  }
  return false;
}

// Affine, then layer, exact where zero padding stays zero.
bool fold_into_layer_behind(Editor& editor, int32_t i) {
  const ValueId out = editor.node(i).outputs[0];
  if (!editor.read_once(out)) return false;
  const int32_t at = editor.readers(out)[0];
  const Node& layer = editor.node(at);
  if (!folds(layer) || layer.input(0) != out) return false;
  const auto parameters = parameters_of(editor, layer);
  const Type& type = editor.type(out);
  if (!parameters || !type.dims) return false;
  const bool linear = layer.op == "Linear", transposed = layer.op == "ConvTranspose";
  const auto rank = static_cast<int64_t>(type.dims->size());
  const int64_t axis = linear ? rank - 1 : 1, groups = layer.attributes.integer("group", 1);
  const int64_t channels = transposed ? parameters->weight.size(0) : parameters->weight.size(1) * groups;
  const auto affine = affine_of(editor, editor.node(i), rank, axis, channels);
  if (!affine) return false;
  const Type& in = editor.type(affine->input);
  if (!in.dims || in.dims->size() != type.dims->size() || (*in.dims)[static_cast<size_t>(axis)].size != channels) return false;
  const std::vector<int64_t> pads = layer.attributes.integers("pads");
  bool padded = layer.attributes.text("auto_pad", "NOTSET") != "NOTSET";
  for (const int64_t pad : pads) padded = padded || pad != 0;
  if (transposed) {
    const auto list = [&](const char* name, int64_t otherwise) {
      const std::vector<int64_t> given = layer.attributes.integers(name);
      return given.empty() ? IntList(otherwise) : IntList(given);
    };
    ConvTransposeOptions options{.stride = list("strides", 1), .output_padding = list("output_padding", 0)};
    if (padded || layer.attributes.has("output_shape")) options.output_padding = 1;  // what then lies outside is not told apart
    if (!ops::exact_before(affine->affine, parameters->weight.shape(), options)) return false;
  } else if (!linear && !ops::exact_before(affine->affine, ConvOptions{.padding = padded ? 1 : 0})) {
    return false;
  }
  Node next = with_parameters(editor, layer,
                              transposed ? ops::fold_before_transposed(affine->affine, *parameters, groups)
                                         : ops::fold_before(affine->affine, *parameters, groups));
  next.inputs[0] = affine->input;
  const ValueId before = layer.inputs[1];
  editor.set(at, std::move(next));
  editor.drop_unread(before);
  editor.remove(i);
  return true;
}

}  // namespace

int fold_channel_affine(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& node = editor.node(i);
    if (node.op != "ChannelAffine" && node.op != "Mul" && node.op != "Add" && node.op != "Sub" && node.op != "Div") continue;
    if (node.output(0) == kNoValue) continue;
    if (fold_into_layer_before(editor, i) || fold_into_layer_behind(editor, i)) ++count;
  }
  return count;
}

}  // namespace convoy::graph
