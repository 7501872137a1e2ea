#include <algorithm>

#include "convoy/graph/infer.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"

namespace convoy::graph {

// What exporters compute with Shape, Gather, Concat and arithmetic is known to the inference, except for sizes that only a run
// knows. One of these in the sizes of a Reshape is as good as -1.
int fold_shapes(Graph& graph) {
  Inferring inferring(graph);
  for (const Node& node : graph.nodes) inferring.add(node);
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& node = editor.node(i);
    if (node.outputs.size() == 1 && node.outputs[0] != kNoValue && !editor.is_output(node.outputs[0])) {
      const ValueId id = node.outputs[0];
      const Type& type = editor.type(id);
      const std::optional<Dims>& contents = inferring.contents(id);
      const bool known = contents && std::all_of(contents->begin(), contents->end(), [](const Dim& dim) { return dim.known(); });
      if (known && type.dtype == DType::kInt64 && type.shape() && type.dims->size() <= 1 &&
          numel(*type.shape()) == static_cast<int64_t>(contents->size())) {
        std::vector<int64_t> numbers;
        for (const Dim& dim : *contents) numbers.push_back(dim.size);
        Tensor constant = Tensor::from(numbers, *type.shape());
        editor.remove(i);
        editor.set_constant(id, std::move(constant));
        ++count;
        continue;
      }
    }
    if (node.op != "Reshape" || editor.constant(node.input(1)) != nullptr || node.attributes.integer("allowzero", 0) != 0) continue;
    const std::optional<Dims>& sizes = inferring.contents(node.inputs[1]);
    if (!sizes || sizes->empty()) continue;
    int64_t unknown = 0;
    std::vector<int64_t> numbers;
    for (const Dim& dim : *sizes) {
      unknown += dim.known() ? 0 : 1;
      numbers.push_back(dim.known() ? dim.size : -1);
    }
    if (unknown != 1 || std::find(numbers.begin(), numbers.end(), 0) != numbers.end()) continue;
    Node reshaped = node;
    const auto rank = static_cast<int64_t>(numbers.size());
    reshaped.inputs[1] = editor.add_constant("sizes", Tensor::from(numbers, {rank}));
    editor.set(i, std::move(reshaped));
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
