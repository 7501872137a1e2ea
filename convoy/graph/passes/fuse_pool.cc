#include "convoy/graph/fused.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/graph/windows.h"
#include "convoy/kernels/conv/epilogue.h"
#include "convoy/plan/conv_plan.h"

namespace convoy::graph {
namespace {

// Windows of 2x2 at a stride of 2 without padding, all of them whole.
bool pools_by_two(const Node& pool, const Shape& input) {
  if ((pool.op != "MaxPool" && pool.op != "AveragePool") || pool.output(1) != kNoValue || input.size() != 4) return false;
  const auto axes = windows(pool.attributes, {}, {input[2], input[3]});
  const bool ceil_mode = pool.attributes.integer("ceil_mode", 0) != 0;
  for (size_t a = 0; a < 2; ++a) {
    const int64_t size = input[2 + a];
    if (!axes || (*axes)[a] != windows_of_two().axes[1 + a] || size < 2 || (ceil_mode && size % 2 != 0)) return false;
  }
  return true;
}

// A clamp is done while the results lie in registers, as pooling is.
bool takes_pool(const Node& node) {
  if ((node.op != "Conv" && node.op != "FusedConv") || node.input(3) != kNoValue) return false;
  const auto activation = fused_activation(node.attributes);
  return !activation || !kernels::SplitEpilogue({nullptr, activation->kind, activation->options}).later;
}

}  // namespace

int fuse_pool(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& pool = editor.node(i);
    const int32_t at = editor.maker(pool.input(0));
    if (at < 0 || pool.output(0) == kNoValue || !takes_pool(editor.node(at))) continue;
    const Node& conv = editor.node(at);
    const auto input = sample_shape(editor.type(conv.input(0)));
    const Tensor* weight = editor.constant(conv.input(1));
    if (!input || weight == nullptr || weight->dtype() != DType::kFloat32) continue;
    const auto shape = conv_shape(conv.attributes, *input, weight->shape(), false);
    if (!shape || !pools_by_two(pool, output_shape(*shape))) continue;
    // Others would have to store what is pooled first, as the two nodes do.
    if (!plan::ConvPlan(*shape, plan::Direction::kForward).pools()) continue;
    Node fused = conv;
    fused.op = "PooledConv";
    fused.attributes.set("pool", std::string(pool.op == "MaxPool" ? "max" : "average"));
    fused.outputs = {pool.output(0)};
    if (!editor.read_once(pool.input(0))) fused.outputs.push_back(pool.input(0));
    editor.remove(i);
    editor.set(at, std::move(fused));
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
