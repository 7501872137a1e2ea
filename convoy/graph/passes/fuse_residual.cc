#include "convoy/graph/fused.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/graph/rules.h"

namespace convoy::graph {
namespace {

bool takes_residual(const Node& node) {
  return (node.op == "Conv" || node.op == "ConvTranspose") && node.inputs.size() <= 3 && !fused_activation(node.attributes);
}

}  // namespace

int fuse_residual(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& node = editor.node(i);
    if ((node.op != "Add" && node.op != "Sum") || node.inputs.size() != 2 || node.output(0) == kNoValue) continue;
    if (node.inputs[0] == node.inputs[1] || editor.type(node.inputs[0]).dtype != editor.type(node.inputs[1]).dtype ||
        !certainly_equal(editor.type(node.inputs[0]).dims, editor.type(node.inputs[1]).dims))
      continue;
    if (editor.type(node.inputs[0]).dtype != DType::kFloat32) continue;
    // The convolution that runs last takes the other term, which is there by then; it moves to the place of the sum.
    int32_t conv = -1;
    ValueId residual = kNoValue;
    for (const ValueId id : node.inputs) {
      const int32_t at = editor.maker(id);
      if (at > conv && takes_residual(editor.node(at)) && editor.read_once(id)) {
        conv = at;
        residual = Editor::other(node, id);
      }
    }
    if (conv < 0) continue;
    Node fused = editor.node(conv);
    fused.op = "Fused" + fused.op;
    fused.inputs.resize(4, kNoValue);
    fused.inputs[3] = residual;
    fused.outputs = node.outputs;
    editor.remove(conv);
    editor.set(i, std::move(fused));
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
