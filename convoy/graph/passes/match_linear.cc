#include <bit>
#include <map>
#include <tuple>

#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/reduce.h"

namespace convoy::graph {

int match_linear(Graph& graph) {
  Editor editor(graph);
  // Weights as linear layers read them, by what they were made of: products that share a weight go on sharing one.
  std::map<std::tuple<ValueId, uint64_t, bool>, ValueId> rows_of;
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
    const auto key = std::make_tuple(node.inputs[1], std::bit_cast<uint64_t>(alpha), ready);
    const bool as_it_is = ready && alpha == 1, made = rows_of.find(key) != rows_of.end();
    if (!as_it_is && !made && !editor.has_room(static_cast<int64_t>(weight->nbytes()))) continue;
    Tensor bias;
    if (gemm && node.input(2) != kNoValue) {
      bias = editor.numbers_along(node.inputs[2], 2, 1, features);
      if (!bias.defined()) continue;
      bias = (beta * bias).to(weight->dtype());
    }
    Node linear{"Linear", node.name, {node.inputs[0], node.inputs[1]}, node.outputs};
    if (!as_it_is) {
      if (!made) {
        Tensor rows = ready ? *weight : ops::permute(*weight, {1, 0});
        if (alpha != 1) rows = (alpha * rows.to(DType::kFloat64)).to(weight->dtype());
        rows_of[key] = editor.add_constant("weight", rows);
      }
      linear.inputs[1] = rows_of[key];
    }
    if (bias.defined()) linear.inputs.push_back(editor.add_constant("bias", bias));
    const ValueId before = node.inputs[1];
    editor.set(i, std::move(linear));
    editor.drop_unread(before);
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
