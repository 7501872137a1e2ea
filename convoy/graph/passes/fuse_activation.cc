#include "convoy/graph/fused.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"

namespace convoy::graph {
namespace {

bool takes_activation(const Node& node) {
  return (node.op == "Conv" || node.op == "FusedConv" || node.op == "ConvTranspose" || node.op == "FusedConvTranspose" ||
          node.op == "Linear" || node.op == "ChannelAffine") &&
         !fused_activation(node.attributes);
}

}  // namespace

int fuse_activation(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& node = editor.node(i);
    if (node.output(0) == kNoValue || node.input(0) == kNoValue || editor.type(node.inputs[0]).dtype != DType::kFloat32) continue;
    const auto activation = activation_of(editor.graph(), node);
    const int32_t at = editor.maker(node.inputs[0]);
    if (!activation || at < 0 || !takes_activation(editor.node(at)) || !editor.read_once(node.inputs[0])) continue;
    Node fused = editor.node(at);
    if (fused.op == "Conv" || fused.op == "ConvTranspose") fused.op = "Fused" + fused.op;
    set_fused_activation(fused.attributes, *activation);
    fused.outputs = node.outputs;
    editor.remove(i);
    editor.set(at, std::move(fused));
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
