#include <algorithm>
#include <optional>
#include <vector>

#include "convoy/graph/fused.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/graph/windows.h"
#include "convoy/ops/reduce.h"

namespace convoy::graph {
namespace {

// A 1x1 convolution of one position per sample, which is a linear layer: its node and its weight (out, in).
struct LinearOfMeans {
  int32_t node = -1;
  Tensor weight;
};

std::optional<LinearOfMeans> linear_of_means(const Editor& editor, ValueId value) {
  const int32_t at = editor.maker(value);
  if (at < 0 || !editor.read_once(value)) return std::nullopt;
  const Node& node = editor.node(at);
  if ((node.op != "Conv" && node.op != "FusedConv") || node.input(3) != kNoValue || node.attributes.integer("group", 1) != 1)
    return std::nullopt;
  const Tensor* weight = editor.constant(node.input(1));
  if (weight == nullptr || weight->dtype() != DType::kFloat32 || weight->dim() < 3 || weight->numel() == 0) return std::nullopt;
  if (weight->numel() != weight->size(0) * weight->size(1)) return std::nullopt;
  // Padding would add positions; what the file says of strides changes nothing where there is one.
  const auto* pads = node.attributes.get<std::vector<int64_t>>("pads");
  if (pads != nullptr && std::any_of(pads->begin(), pads->end(), [](int64_t pad) { return pad != 0; })) return std::nullopt;
  return LinearOfMeans{at, *weight};
}

// The node that makes `value`, which nobody else reads, the mean of each plane of `input`; or -1.
int32_t means_of(const Editor& editor, ValueId value, ValueId input) {
  const int32_t at = editor.maker(value);
  if (at < 0 || !editor.read_once(value) || editor.node(at).input(0) != input) return -1;
  const Node& node = editor.node(at);
  if (node.op == "GlobalAveragePool") return at;
  if (node.op != "ReduceMean" || node.attributes.integer("keepdims", 1) != 1) return -1;
  const Tensor* axes = editor.constant(node.input(1));
  const auto rank = static_cast<int64_t>(editor.type(input).dims->size());
  return axes != nullptr && axes->numel() == rank - 2 && are_spatial(*axes, rank) ? at : -1;
}

}  // namespace

int fuse_squeeze_excite(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    if (editor.node(i).op != "Mul" || editor.node(i).inputs.size() != 2 || editor.node(i).output(0) == kNoValue) continue;
    for (size_t k = 0; k < 2; ++k) {
      const ValueId input = editor.node(i).inputs[k], gate = editor.node(i).inputs[1 - k];
      const Type& type = editor.type(input);
      if (type.dtype != DType::kFloat32 || !type.dims || type.dims->size() < 3 || !(*type.dims)[1].known()) continue;
      const auto excite = linear_of_means(editor, gate);
      if (!excite) continue;
      const auto squeeze = linear_of_means(editor, editor.node(excite->node).input(0));
      if (!squeeze) continue;
      const int32_t means = means_of(editor, editor.node(squeeze->node).input(0), input);
      const int64_t channels = (*type.dims)[1].size, squeezed = squeeze->weight.size(0);
      if (means < 0 || squeeze->weight.size(1) != channels || excite->weight.size(0) != channels ||
          excite->weight.size(1) != squeezed || !editor.has_room(static_cast<int64_t>(2 * squeeze->weight.nbytes())))
        continue;
      const auto row = [&](const Tensor& weight) { return weight.reshape({1, squeezed * channels}); };
      const ValueId squeeze_bias = editor.node(squeeze->node).input(2), excite_bias = editor.node(excite->node).input(2);
      Node fused{"SqueezeExcite",
                 editor.node(i).name,
                 {input, editor.add_constant("weights", ops::concat({row(squeeze->weight), row(excite->weight)}, 0)), squeeze_bias,
                  excite_bias},
                 {editor.node(i).outputs[0]}};
      if (const auto activation = fused_activation(editor.node(squeeze->node).attributes))
        set_fused_activation(fused.attributes, *activation, kSqueezeActivation);
      if (const auto activation = fused_activation(editor.node(excite->node).attributes))
        set_fused_activation(fused.attributes, *activation);
      for (const int32_t node : {means, squeeze->node, excite->node}) editor.remove(node);
      editor.set(i, std::move(fused));
      ++count;
      break;
    }
  }
  return count;
}

}  // namespace convoy::graph
