#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "convoy/core/error.h"
#include "convoy/graph/node_error.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"

namespace convoy::graph {
namespace {

// A few numbers can stand for a huge tensor (Expand, Tile): what is larger than this, and much larger than what it is made of, is
// left for the run.
constexpr int64_t kLargestGrowth = int64_t{1} << 20;

// All constants together may grow to this, and to as many times what the graph had at first.
constexpr int64_t kTotalGrowth = int64_t{1} << 25;
constexpr int64_t kTotalTimes = 5;

// What nodes make and others use up again counts as work: beyond this, and as many times what the graph had, it is left for the
// run.
constexpr int64_t kWork = int64_t{1} << 28;
constexpr int64_t kWorkTimes = 64;

int64_t constant_bytes(const Graph& graph) {
  int64_t bytes = 0;
  for (const ValueInfo& value : graph.values) bytes += value.constant.defined() ? static_cast<int64_t>(value.constant.nbytes()) : 0;
  return bytes;
}

// The bytes of what a node makes of constants; nullopt if they are not known or too many.
std::optional<int64_t> bytes_made(const Graph& graph, const Node& node) {
  int64_t in = 0, all = 0;
  for (const ValueId id : node.inputs) {
    if (id != kNoValue) in += static_cast<int64_t>(graph.constant(id)->nbytes());
  }
  for (const ValueId id : node.outputs) {
    if (id == kNoValue) continue;
    const std::optional<Shape> shape = graph.value(id).type.shape();
    if (!shape || !graph.value(id).type.dtype) return std::nullopt;
    int64_t count = static_cast<int64_t>(element_size(*graph.value(id).type.dtype));
    for (const int64_t size : *shape) {
      if (__builtin_mul_overflow(count, size, &count)) return std::nullopt;
    }
    if ((count > kLargestGrowth && count / 4 > in) || __builtin_add_overflow(all, count, &all)) return std::nullopt;
  }
  return all;
}

}  // namespace

int64_t most_constant_bytes(const Graph& graph) {
  int64_t bytes = 0;
  const bool too_many = __builtin_mul_overflow(constant_bytes(graph), kTotalTimes, &bytes);
  return too_many || __builtin_add_overflow(bytes, kTotalGrowth, &bytes) ? std::numeric_limits<int64_t>::max() : bytes;
}

int fold_constants(Graph& graph) { return fold_constants_within(graph, most_constant_bytes(graph)); }

int fold_constants_within(Graph& graph, int64_t most_bytes) {
  int64_t bytes = constant_bytes(graph), work = kWork;
  if (bytes < (INT64_MAX - kWork) / kWorkTimes) work += kWorkTimes * bytes;
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
    if (!constant) continue;
    const std::optional<int64_t> made = bytes_made(graph, node);
    if (!made || *made > work) continue;
    if (*made > most_bytes - bytes) {
      with_node_name(graph, node, [&] {
        const auto value = std::find_if(node.outputs.begin(), node.outputs.end(), [](ValueId id) { return id != kNoValue; });
        throw Error(
            "value '" + (value == node.outputs.end() ? "" : graph.value(*value).name) + "' of " + std::to_string(*made) +
                " bytes makes the network's constants larger than loading allows",
            "they may take " + std::to_string(most_bytes) +
                " bytes together, a few times what the file holds; ModelOptions::passes_off = {\"constants\"} leaves them to " +
                "the run and its memory_budget");
      });
    }
    work -= *made;
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
    const std::vector<ValueId> inputs = node.inputs, outputs = node.outputs;
    editor.remove(i);
    bytes += *made;
    for (const ValueId id : inputs) {
      const Tensor* tensor = graph.constant(id);
      const auto held = tensor != nullptr ? static_cast<int64_t>(tensor->nbytes()) : 0;
      editor.drop_unread(id);
      if (graph.constant(id) == nullptr) bytes -= held;
    }
    for (size_t k = 0; k < outputs.size(); ++k) {
      if (outputs[k] != kNoValue) editor.set_constant(outputs[k], results[k].tensor());
    }
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
