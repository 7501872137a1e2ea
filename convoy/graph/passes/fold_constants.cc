#include "convoy/core/error.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/passes.h"

namespace convoy::graph {
namespace {

// A few numbers can stand for a huge tensor (Expand, Tile): what is larger than this, and much larger than what it is made of, is
// left for the run.
constexpr int64_t kLargestGrowth = int64_t{1} << 20;

bool small_enough(const Graph& graph, const Node& node) {
  int64_t in = 0;
  for (const ValueId id : node.inputs) {
    if (id != kNoValue) in += static_cast<int64_t>(graph.constant(id)->nbytes());
  }
  for (const ValueId id : node.outputs) {
    if (id == kNoValue) continue;
    const std::optional<Shape> shape = graph.value(id).type.shape();
    if (!shape || !graph.value(id).type.dtype) return false;
    int64_t count = static_cast<int64_t>(element_size(*graph.value(id).type.dtype));
    for (const int64_t size : *shape) {
      if (__builtin_mul_overflow(count, size, &count)) return false;
    }
    if (count > kLargestGrowth && count / 4 > in) return false;
  }
  return true;
}

}  // namespace

int fold_constants(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& node = editor.node(i);
    const Operator* op = find_operator(node.op);
    if (op == nullptr || op->random || node.outputs.empty()) continue;
    std::vector<Value> arguments;
    bool constant = true;
    for (const ValueId id : node.inputs) {
      const Tensor* tensor = editor.constant(id);
      constant = constant && (id == kNoValue || tensor != nullptr);
      if (constant) arguments.push_back(tensor != nullptr ? Value(*tensor) : Value());
    }
    if (!constant || !small_enough(graph, node)) continue;
    std::vector<Value> results;
    try {
      Call call(node, std::move(arguments));
      results = op->run(call);
    } catch (const Error&) {
      continue;  // the run will say it, with the node's name
    }
    bool tensors = true;
    for (size_t k = 0; k < node.outputs.size(); ++k)
      tensors = tensors && (node.outputs[k] == kNoValue || (k < results.size() && results[k].is_tensor()));
    if (!tensors) continue;
    const std::vector<ValueId> outputs = node.outputs;
    editor.remove(i);
    for (size_t k = 0; k < outputs.size(); ++k) {
      if (outputs[k] != kNoValue) editor.set_constant(outputs[k], results[k].tensor());
    }
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
