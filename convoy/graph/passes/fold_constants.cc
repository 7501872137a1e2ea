#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/storage.h"
#include "convoy/graph/node_error.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/graph/summary.h"

namespace convoy::graph {
namespace {

// A few numbers can stand for a huge tensor (Expand, Tile): what is larger than this, and much larger than what it is made of, is
// left for the run.
constexpr int64_t kLargestGrowth = int64_t{1} << 20;

// All constants together may grow to this, and to as many times what the graph had at first.
constexpr int64_t kTotalGrowth = int64_t{1} << 25;
constexpr int64_t kTotalTimes = 5;

// Work beyond this, and as many times the bytes that the graph had, is left for the run: a few bytes of a file can ask for hours.
constexpr double kWork = 1 << 28;
constexpr double kWorkTimes = 64;

// What was used up waits to be used again, in blocks of sizes that nothing may ask for any more: it goes each time that so much
// was made.
constexpr int64_t kMadeBetweenReleases = int64_t{1} << 23;

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

// What a node of constants takes: bytes that it reads and makes, and multiply-adds. Not to be too little for any node.
double work_of(const Graph& graph, const Node& node, int64_t made) {
  const auto count = [&](ValueId id) { return id == kNoValue ? 1.0 : static_cast<double>(graph.constant(id)->numel()); };
  double read = 0, pairs = 1, taps = 1;
  for (const ValueId id : node.inputs) {
    if (id == kNoValue) continue;
    read += static_cast<double>(graph.constant(id)->nbytes());
    pairs *= count(id);
  }
  // These read no more than they make.
  if (node.op == "Slice" || node.op == "Shape" || node.op == "Size" || node.op.starts_with("Gather")) read = 0;
  if (node.op == "Einsum" || node.op.starts_with("QLinear")) return read + pairs;
  for (const int64_t size : node.attributes.integers("kernel_shape")) taps *= static_cast<double>(size);
  const double sums = taps * static_cast<double>(made) + multiply_adds(graph, node).value_or(HUGE_VAL);
  return read + static_cast<double>(made) + sums;
}

}  // namespace

FoldingRoom folding_room(const Graph& graph) {
  const int64_t held = constant_bytes(graph);
  int64_t bytes = 0;
  if (__builtin_mul_overflow(held, kTotalTimes, &bytes) || __builtin_add_overflow(bytes, kTotalGrowth, &bytes)) bytes = INT64_MAX;
  return {bytes, kWork + kWorkTimes * static_cast<double>(held)};
}

int fold_constants(Graph& graph) {
  FoldingRoom room = folding_room(graph);
  return fold_constants_within(graph, room);
}

int fold_constants_within(Graph& graph, FoldingRoom& room) {
  int64_t bytes = constant_bytes(graph), made_since = 0;
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
    if (!made) continue;
    const double work = work_of(graph, node, *made);
    if (!(work <= room.work)) continue;
    if (*made > room.bytes - bytes) {
      with_node_name(graph, node, [&] {
        const auto value = std::find_if(node.outputs.begin(), node.outputs.end(), [](ValueId id) { return id != kNoValue; });
        raise<Error>(
            "value '{}' of {} bytes makes the network's constants larger than loading allows\n"
            "they may take {} bytes together, a few times what the file holds; ModelOptions::passes_off = {\"constants\"} leaves "
            "them to the run and its memory_budget",
            value == node.outputs.end() ? "" : graph.value(*value).name, *made, room.bytes);
      });
    }
    room.work -= work;
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
    if ((made_since += *made) > kMadeBetweenReleases) {
      release_cached_memory();
      made_since = 0;
    }
  }
  return count;
}

}  // namespace convoy::graph
