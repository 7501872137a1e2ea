#include <algorithm>

#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/graph/rules.h"

namespace convoy::graph {
// (N, C, *) seen as (N, groups, C / groups, *), those two axes exchanged, and seen as (N, C, *) again.
int match_channel_shuffle(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& node = editor.node(i);
    if (node.op != "Reshape" || node.output(0) == kNoValue) continue;
    const int32_t transpose = editor.maker_alone(node.inputs[0], "Transpose");
    if (transpose < 0) continue;
    const int32_t split = editor.maker_alone(editor.node(transpose).inputs[0], "Reshape");
    if (split < 0) continue;
    const ValueId input = editor.node(split).inputs[0];
    const auto &whole = editor.type(input).dims, &parted = editor.type(editor.node(split).outputs[0]).dims,
               &out = editor.type(node.outputs[0]).dims;
    if (!whole || !parted || !out || whole->size() < 3 || parted->size() != whole->size() + 1 || !certainly_equal(whole, out))
      continue;
    const int64_t groups = (*parted)[1].size, each = (*parted)[2].size;
    if (groups < 1 || each < 1 || (*whole)[1].size != groups * each || !((*whole)[0] == (*parted)[0])) continue;
    if (!std::equal(whole->begin() + 2, whole->end(), parted->begin() + 3)) continue;
    std::vector<int64_t> perm = editor.node(transpose).attributes.integers("perm");
    if (perm.size() != parted->size() || perm[1] != 2 || perm[2] != 1) continue;
    std::swap(perm[1], perm[2]);
    if (!std::is_sorted(perm.begin(), perm.end())) continue;
    Node shuffle{"ChannelShuffle", node.name, {input}, {node.outputs[0]}};
    shuffle.attributes.set("groups", groups);
    // Of a concatenation of as many: straight from its inputs.
    const int32_t concat = editor.maker_alone(input, "Concat");
    // (read_once sees the reshape that goes.)
    if (concat >= 0) {
      const Node& parts = editor.node(concat);
      const int64_t axis = parts.attributes.integer("axis", 0);
      bool even =
          static_cast<int64_t>(parts.inputs.size()) == groups && (axis == 1 || axis == 1 - static_cast<int64_t>(whole->size()));
      for (const ValueId id : parts.inputs) even = even && editor.type(id).dims && (*editor.type(id).dims)[1].size == each;
      if (even) shuffle = {"Interleave", node.name, parts.inputs, {node.outputs[0]}};
    }
    editor.set(i, std::move(shuffle));
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
