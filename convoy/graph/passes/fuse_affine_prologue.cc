#include "convoy/graph/fused.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/graph/windows.h"
#include "convoy/kernels/conv/conv_affine_pointwise.h"

namespace convoy::graph {

int fuse_affine_prologue(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& conv = editor.node(i);
    if ((conv.op != "Conv" && conv.op != "FusedConv") || conv.input(3) != kNoValue || conv.output(0) == kNoValue) continue;
    const int32_t at = editor.maker_alone(conv.input(0), "ChannelAffine");
    const Tensor* weight = editor.constant(conv.input(1));
    if (at < 0 || weight == nullptr || weight->dtype() != DType::kFloat32) continue;
    const Node& affine = editor.node(at);
    const Tensor *scale = editor.constant(affine.input(1)), *shift = editor.constant(affine.input(2));
    const auto input = sample_shape(editor.type(affine.input(0)));
    if (!input || scale == nullptr || shift == nullptr || scale->numel() != (*input)[1] || shift->numel() != (*input)[1]) continue;
    const auto shape = conv_shape(conv.attributes, *input, weight->shape(), false);
    if (!shape || kernels::refuse_affine_pointwise(*shape) != nullptr) continue;
    const Tensor scales = scale->to(DType::kFloat32), shifts = shift->to(DType::kFloat32);  // new constants move the old ones
    Node fused = conv;
    fused.op = "AffineConv";
    fused.inputs = {affine.inputs[0], conv.inputs[1], conv.input(2), editor.add_constant("scale", scales),
                    editor.add_constant("shift", shifts)};
    if (const auto activation = fused_activation(affine.attributes)) {
      set_fused_activation(fused.attributes, *activation, kInputActivation);
    }
    editor.remove(at);
    editor.set(i, std::move(fused));
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
