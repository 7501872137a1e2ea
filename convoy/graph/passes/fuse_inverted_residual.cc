#include <optional>
#include <string>
#include <vector>

#include "convoy/graph/fused.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/graph/windows.h"
#include "convoy/kernels/conv/conv_inverted_residual.h"
#include "convoy/ops/reduce.h"
#include "convoy/ops/slice.h"

namespace convoy::graph {
namespace {

bool is_conv(const Node& node) { return node.op == "Conv" || node.op == "FusedConv"; }

// What makes the input of squeeze-and-excitation or the projection: one node, or two, as where the first layer has windows.
struct Expansion {
  std::vector<int32_t> nodes;  // the depthwise layer's last
  ValueId input = kNoValue, weight = kNoValue, bias = kNoValue, depthwise_weight = kNoValue, depthwise_bias = kNoValue;
  Attributes expand = {}, depthwise = {};
  std::optional<ActivationOf> activation = {};  // of the first layer
  bool shortcut = false;
};

// residual: what the projection adds.
std::optional<Expansion> expansion_of(const Editor& editor, ValueId value, ValueId residual) {
  const int32_t at = editor.maker(value);
  if (at < 0 || !editor.read_once(value)) return std::nullopt;
  const Node& last = editor.node(at);
  if (last.op == "ExpandDepthwise") {
    return Expansion{{at},
                     last.input(0),
                     last.input(1),
                     last.input(2),
                     last.input(3),
                     last.input(4),
                     {},
                     last.attributes,
                     fused_activation(last.attributes, kExpandActivation)};
  }
  if (!is_conv(last) || last.attributes.integer("group", 1) < 2 || last.input(3) != kNoValue) return std::nullopt;
  const ValueId between = last.input(0);
  const int32_t before = editor.maker(between);
  if (before < 0 || !is_conv(editor.node(before)) || editor.node(before).input(3) != kNoValue) return std::nullopt;
  const bool shortcut = residual == between;
  if (shortcut ? editor.readers(between).size() != 2 || editor.is_output(between) : !editor.read_once(between)) return std::nullopt;
  const Node& first = editor.node(before);
  return Expansion{{before, at},     first.input(0),  first.input(1),
                   first.input(2),   last.input(1),   last.input(2),
                   first.attributes, last.attributes, fused_activation(first.attributes),
                   shortcut};
}

void set_windows(Attributes& attributes, const shape::ConvShape& layer, const std::string& prefix) {
  const shape::Axis &h = layer.axes[1], &w = layer.axes[2];
  attributes.set(prefix + "kernel_shape", std::vector<int64_t>{h.kernel_size, w.kernel_size});
  attributes.set(prefix + "strides", std::vector<int64_t>{h.stride, w.stride});
  attributes.set(prefix + "pads", std::vector<int64_t>{h.pad_begin, w.pad_begin, h.pad_end, w.pad_end});
}

}  // namespace

int fuse_inverted_residual(Graph& graph) {
  Editor editor(graph);
  const auto weight_of = [&editor](ValueId id) {
    const Tensor* const weight = editor.constant(id);
    return weight != nullptr && weight->dtype() == DType::kFloat32 ? weight : nullptr;
  };
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& project = editor.node(i);
    if (!is_conv(project) || project.output(0) == kNoValue) continue;
    const int32_t gated = editor.maker_alone(project.input(0), "SqueezeExcite");
    const auto found = expansion_of(editor, gated < 0 ? project.input(0) : editor.node(gated).input(0), project.input(3));
    if (!found) continue;
    const Tensor *const expand_weight = weight_of(found->weight), *const depthwise_weight = weight_of(found->depthwise_weight),
                        *const project_weight = weight_of(project.input(1));
    if (expand_weight == nullptr || depthwise_weight == nullptr || project_weight == nullptr) continue;
    const auto input = sample_shape(editor.type(found->input));
    if (!input || input->size() != 4) continue;
    const auto expand = conv_shape(found->expand, *input, expand_weight->shape(), false);
    if (!expand) continue;
    const auto depthwise = conv_shape(found->depthwise, output_shape(*expand), depthwise_weight->shape(), false);
    if (!depthwise) continue;
    const auto last = conv_shape(project.attributes, output_shape(*depthwise), project_weight->shape(), false);
    if (!last) continue;
    const int64_t expanded = expand->out_channels, terms = expand->in_channels * expand->taps(), taps = depthwise->taps(),
                  results = last->out_channels;
    const Tensor* const gates = gated < 0 ? nullptr : editor.constant(editor.node(gated).input(1));
    if (gated >= 0 && gates == nullptr) continue;
    const int64_t squeezed = gated < 0 ? 0 : gates->size(1) / expanded;
    if (!kernels::prefers_inverted_residual({*expand, *depthwise, *last, squeezed, found->shortcut})) continue;
    const int64_t columns = terms + taps + results + 2 * squeezed;
    if (!editor.has_room(expanded * columns * static_cast<int64_t>(sizeof(float)))) continue;
    std::vector<Tensor> parts{expand_weight->reshape({expanded, terms}), depthwise_weight->reshape({expanded, taps}),
                              ops::permute(project_weight->reshape({results, expanded}), {1, 0})};
    if (gated >= 0) {
      const auto row = [gates](int64_t r, const Shape& shape) { return ops::slice(*gates, {{0, r, r + 1}}).reshape(shape); };
      parts.push_back(ops::permute(row(0, {squeezed, expanded}), {1, 0}));
      parts.push_back(row(1, {expanded, squeezed}));
    }
    Node fused{"InvertedResidual", project.name, {}, {project.outputs[0]}, found->depthwise};
    fused.inputs = {found->input,     editor.add_constant("weights", ops::concat(parts, 1)), found->bias, found->depthwise_bias,
                    project.input(2), found->shortcut ? kNoValue : project.input(3)};
    const auto set_activation = [&fused](const std::optional<ActivationOf>& activation, std::string_view name) {
      if (activation) set_fused_activation(fused.attributes, *activation, name);
    };
    set_windows(fused.attributes, *depthwise, "");
    fused.attributes.erase("auto_pad");
    if (found->nodes.size() > 1) {
      set_windows(fused.attributes, *expand, "expand_");
      set_activation(found->activation, kExpandActivation);
    }
    if (found->shortcut) fused.attributes.set("shortcut", int64_t{1});
    set_activation(fused_activation(project.attributes), kProjectActivation);
    std::vector<ValueId> before{found->weight, found->depthwise_weight, project.input(1)};
    if (gated >= 0) {
      const Node& excite = editor.node(gated);
      fused.inputs.insert(fused.inputs.end(), {excite.input(2), excite.input(3)});
      fused.attributes.set("squeezed", squeezed);
      set_activation(fused_activation(excite.attributes, kSqueezeActivation), kSqueezeActivation);
      set_activation(fused_activation(excite.attributes), kGateActivation);
      before.push_back(excite.input(1));
      editor.remove(gated);
    }
    for (const int32_t node : found->nodes) editor.remove(node);
    editor.set(i, std::move(fused));
    for (const ValueId id : before) editor.drop_unread(id);
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
