#include <algorithm>

#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/shape/checked.h"

namespace convoy::graph {
namespace {

// The spatial pads of a Pad node with zeros around the last axes, begins and ends; empty if it is another one.
std::vector<int64_t> zero_pads(const Editor& editor, const Node& node) {
  if (node.op != "Pad" || node.attributes.text("mode", "constant") != "constant" || node.input(3) != kNoValue) return {};
  const Type& type = editor.type(node.inputs[0]);
  const Tensor* pads = editor.constant(node.input(1));
  if (pads == nullptr || !type.dims || type.dims->size() < 3 || pads->numel() != 2 * static_cast<int64_t>(type.dims->size()))
    return {};
  if (node.input(2) != kNoValue) {
    const Tensor* value = editor.constant(node.input(2));
    if (value == nullptr || value->numel() != 1 || value->item() != 0) return {};
  }
  const std::vector<int64_t> list = pads->to(DType::kInt64).to_vector<int64_t>();
  const size_t rank = type.dims->size();
  std::vector<int64_t> spatial;
  for (size_t i = 0; i < 2 * rank; ++i) {
    if (list[i] < 0 || (i % rank < 2 && list[i] != 0)) return {};
    if (i % rank >= 2 && (*type.dims)[i % rank].size == 0) return {};  // convolutions pad no empty input
    if (i % rank >= 2) spatial.push_back(list[i]);
  }
  return spatial;
}

}  // namespace

int fold_pad(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& node = editor.node(i);
    const bool pool = node.op == "AveragePool";
    if ((node.op != "Conv" && !pool) || node.attributes.text("auto_pad", "NOTSET") != "NOTSET" || node.input(0) == kNoValue)
      continue;
    const int32_t at = editor.maker(node.inputs[0]);
    if (at < 0) continue;
    const std::vector<int64_t> outer = zero_pads(editor, editor.node(at));
    if (outer.empty()) continue;
    std::vector<int64_t> pads = node.attributes.integers("pads");
    if (pads.empty()) pads.resize(outer.size(), 0);
    if (pads.size() != outer.size()) continue;
    // A pool counts the zeros of a Pad, and its own padding if it says so: only one of the two rules can remain. Windows that
    // ceil_mode lets hang over count neither.
    if (pool && node.attributes.integer("count_include_pad", 0) == 0 &&
        std::any_of(pads.begin(), pads.end(), [](int64_t p) { return p != 0; }))
      continue;
    if (pool && node.attributes.integer("ceil_mode", 0) != 0) continue;
    Node next = node;
    bool fits = true;
    for (size_t k = 0; k < pads.size(); ++k) {
      const shape::Checked sum = shape::Checked(pads[k]) + outer[k];
      fits = fits && sum.ok();
      if (fits) pads[k] = sum.value();
    }
    if (!fits) continue;
    next.inputs[0] = editor.node(at).inputs[0];
    next.attributes.set("pads", pads);
    if (pool) next.attributes.set("count_include_pad", int64_t{1});
    editor.set(i, std::move(next));
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
