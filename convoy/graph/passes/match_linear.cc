#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/passes.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/reduce.h"

namespace convoy::graph {

int match_linear(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& node = editor.node(i);
    const bool gemm = node.op == "Gemm";
    if ((!gemm && node.op != "MatMul") || node.output(0) == kNoValue) continue;
    const Tensor* weight = editor.constant(node.input(1));
    const Type& type = editor.type(node.inputs[0]);
    if (weight == nullptr || weight->dim() != 2 || !type.dims || type.dims->size() < 2) continue;
    if (weight->dtype() != DType::kFloat32 && weight->dtype() != DType::kFloat64) continue;
    if (gemm && (node.attributes.integer("transA", 0) != 0 || type.dims->size() != 2)) continue;
    const double alpha = gemm ? node.attributes.number("alpha", 1) : 1, beta = gemm ? node.attributes.number("beta", 1) : 1;
    const bool ready = gemm && node.attributes.integer("transB", 0) != 0;
    const int64_t features = weight->size(ready ? 0 : 1);
    Tensor bias;
    if (gemm && node.input(2) != kNoValue) {
      bias = editor.numbers_along(node.inputs[2], 2, 1, features);
      if (!bias.defined()) continue;
      bias = (beta * bias).to(weight->dtype());
    }
    Tensor rows = ready ? *weight : ops::permute(*weight, {1, 0});
    if (alpha != 1) rows = (alpha * rows.to(DType::kFloat64)).to(weight->dtype());
    Node linear{"Linear", node.name, {node.inputs[0], node.inputs[1]}, node.outputs};
    if (!ready || alpha != 1) linear.inputs[1] = editor.add_constant("weight", rows);
    if (bias.defined()) linear.inputs.push_back(editor.add_constant("bias", bias));
    const ValueId before = node.inputs[1];
    editor.set(i, std::move(linear));
    editor.drop_unread(before);
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
