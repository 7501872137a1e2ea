#include "convoy/core/error.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/ops/reparam.h"

namespace convoy::graph {

// In evaluation mode it is a product and a sum per channel; channel_affine takes it from there. The numbers stay in float64 until
// they have reached the weight they end in.
int fold_batch_norm(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& node = editor.node(i);
    if (node.op != "BatchNormalization" || node.inputs.size() != 5 || node.attributes.integer("training_mode", 0) != 0) continue;
    if (node.outputs.size() > 1 && (node.output(1) != kNoValue || node.output(2) != kNoValue)) continue;
    const Type& type = editor.type(node.inputs[0]);
    if (!type.dims || type.dims->size() < 2 || (type.dtype != DType::kFloat32 && type.dtype != DType::kFloat64)) continue;
    const Tensor* parameters[4];
    bool constant = true;
    for (size_t k = 0; k < 4; ++k) {
      parameters[k] = editor.constant(node.inputs[k + 1]);
      constant = constant && parameters[k] != nullptr;
    }
    if (!constant || !editor.has_room(16 * parameters[0]->numel())) continue;
    ChannelAffine affine;
    try {
      const auto wide = [&](size_t k) { return parameters[k]->to(DType::kFloat64); };
      affine = ops::batch_norm_affine(wide(2), wide(3), wide(0), wide(1), node.attributes.number("epsilon", 1e-5));
    } catch (const Error&) {
      continue;  // numbers that only a run may complain about
    }
    const int64_t channels = affine.scale.numel();
    if ((*type.dims)[1].size != channels) continue;
    Node replaced{"ChannelAffine",
                  node.name,
                  {node.inputs[0], editor.add_constant("scale", affine.scale), editor.add_constant("shift", affine.shift)},
                  {node.outputs[0]}};
    editor.set(i, std::move(replaced));
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
