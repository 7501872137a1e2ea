#include "convoy/graph/fused.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/passes.h"
#include "convoy/graph/windows.h"
#include "convoy/kernels/conv/conv_inverted_residual.h"
#include "convoy/ops/reduce.h"
#include "convoy/ops/slice.h"

namespace convoy::graph {

int fuse_inverted_residual(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& project = editor.node(i);
    if ((project.op != "Conv" && project.op != "FusedConv") || project.output(0) == kNoValue) continue;
    const Tensor* const project_weight = editor.constant(project.input(1));
    if (project_weight == nullptr || project_weight->dtype() != DType::kFloat32) continue;
    const int32_t gated = editor.maker_alone(project.input(0), "SqueezeExcite");
    const int32_t at = editor.maker_alone(gated < 0 ? project.input(0) : editor.node(gated).input(0), "ExpandDepthwise");
    if (at < 0) continue;
    const Node& middle = editor.node(at);
    const Tensor &expand_weight = *editor.constant(middle.input(1)), &depthwise_weight = *editor.constant(middle.input(3));
    const auto input = sample_shape(editor.type(middle.input(0)));
    if (!input || input->size() != 4) continue;
    const auto expand = conv_shape({}, *input, expand_weight.shape(), false);
    if (!expand) continue;
    const auto depthwise = conv_shape(middle.attributes, output_shape(*expand), depthwise_weight.shape(), false);
    if (!depthwise) continue;
    const auto last = conv_shape(project.attributes, output_shape(*depthwise), project_weight->shape(), false);
    if (!last) continue;
    const int64_t expanded = expand->out_channels, taps = depthwise->taps(), results = last->out_channels;
    const Tensor* const gates = gated < 0 ? nullptr : editor.constant(editor.node(gated).input(1));
    if (gated >= 0 && gates == nullptr) continue;
    const int64_t squeezed = gated < 0 ? 0 : gates->size(1) / expanded;
    if (!kernels::prefers_inverted_residual({*expand, *depthwise, *last, squeezed})) continue;
    const int64_t columns = expand->in_channels + taps + results + 2 * squeezed;
    if (!editor.has_room(expanded * columns * static_cast<int64_t>(sizeof(float)))) continue;
    std::vector<Tensor> parts{expand_weight.reshape({expanded, expand->in_channels}), depthwise_weight.reshape({expanded, taps}),
                              ops::permute(project_weight->reshape({results, expanded}), {1, 0})};
    if (gated >= 0) {
      const auto row = [gates](int64_t r, const Shape& shape) { return ops::slice(*gates, {{0, r, r + 1}}).reshape(shape); };
      parts.push_back(ops::permute(row(0, {squeezed, expanded}), {1, 0}));
      parts.push_back(row(1, {expanded, squeezed}));
    }
    Node fused{"InvertedResidual", project.name, {}, {project.outputs[0]}, middle.attributes};
    fused.inputs = {middle.input(0),  editor.add_constant("weights", ops::concat(parts, 1)),
                    middle.input(2),  middle.input(4),
                    project.input(2), project.input(3)};
    fused.attributes.set("kernel_shape", std::vector<int64_t>{depthwise->axes[1].kernel_size, depthwise->axes[2].kernel_size});
    const auto take_activation = [&fused](const Node& from, std::string_view name, std::string_view to) {
      if (const auto activation = fused_activation(from.attributes, name)) set_fused_activation(fused.attributes, *activation, to);
    };
    take_activation(project, kActivation, kProjectActivation);
    std::vector<ValueId> before{middle.input(1), middle.input(3), project.input(1)};
    if (gated >= 0) {
      const Node& excite = editor.node(gated);
      fused.inputs.insert(fused.inputs.end(), {excite.input(2), excite.input(3)});
      fused.attributes.set("squeezed", squeezed);
      take_activation(excite, kSqueezeActivation, kSqueezeActivation);
      take_activation(excite, kActivation, kGateActivation);
      before.push_back(excite.input(1));
      editor.remove(gated);
    }
    editor.remove(at);
    editor.set(i, std::move(fused));
    for (const ValueId id : before) editor.drop_unread(id);
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
