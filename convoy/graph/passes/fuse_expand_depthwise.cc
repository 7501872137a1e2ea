#include "convoy/graph/fused.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/graph/windows.h"
#include "convoy/kernels/conv/conv_expand_depthwise.h"

namespace convoy::graph {
namespace {

bool is_plain(const Editor& editor, const Node& node) {
  return (node.op == "Conv" || node.op == "FusedConv") && node.input(3) == kNoValue && node.output(0) != kNoValue &&
         editor.constant(node.input(1)) != nullptr && editor.constant(node.input(1))->dtype() == DType::kFloat32;
}

}  // namespace

int fuse_expand_depthwise(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& depthwise = editor.node(i);
    if (!is_plain(editor, depthwise) || depthwise.attributes.integer("group", 1) < 2) continue;
    const int32_t at = editor.maker(depthwise.input(0));
    if (at < 0 || !editor.read_once(depthwise.input(0)) || !is_plain(editor, editor.node(at))) continue;
    const Node& expand = editor.node(at);
    const auto input = sample_shape(editor.type(expand.input(0)));
    if (!input) continue;
    const auto first = conv_shape(expand.attributes, *input, editor.constant(expand.input(1))->shape(), false);
    if (!first) continue;
    const auto second = conv_shape(depthwise.attributes, output_shape(*first), editor.constant(depthwise.input(1))->shape(), false);
    if (!second || kernels::refuse_expand_depthwise({*first, *second}) != nullptr) continue;
    Node fused = depthwise;
    fused.op = "ExpandDepthwise";
    fused.inputs = {expand.input(0), expand.input(1), expand.input(2), depthwise.input(1), depthwise.input(2)};
    if (const auto activation = fused_activation(expand.attributes)) {
      set_fused_activation(fused.attributes, *activation, kExpandActivation);
    }
    editor.remove(at);
    editor.set(i, std::move(fused));
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
