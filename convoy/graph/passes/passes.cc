#include "convoy/graph/passes/passes.h"

#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/suggest.h"
#include "convoy/graph/infer.h"
#include "convoy/graph/passes/merge_parallel_convs.h"
#include "convoy/graph/passes/rewrites.h"

namespace convoy::graph {

std::span<const Pass> passes() {
  static constexpr Pass kPasses[] = {
      {"constants", "compute nodes of constants once", fold_constants},
      {"no_ops", "take out identities, casts to the same type, reshapes and transposes that undo each other", remove_no_ops},
      {"shapes", "compute with shapes before any run", fold_shapes},
      {"activation_patterns", "SiLU, HardSwish, GELU and Mish where files spell them out", match_activations},
      {"layer_norm_pattern", "layer normalisation where files spell it out", match_layer_norm},
      {"channels_first", "compute between two transposes of channels as if they were not there", move_channels_first},
      {"pad", "Pad into convolutions and pools", fold_pad},
      {"average_pool_first", "average pooling behind a 1x1 convolution in front of it", move_average_pool_first},
      {"batch_norm", "batch normalisation into convolutions and linear layers around it", fold_batch_norm},
      {"channel_affine", "products and sums with a number per channel into convolutions and linear layers", fold_channel_affine},
      {"parallel_convs", "convolutions of one value that are added, as one", merge_parallel_convs},
      {"linear", "matrix products with a constant, and their bias, as linear layers", match_linear},
      {"residual", "sums into the convolution that makes one of the terms", fuse_residual},
      {"activation", "activations into what makes their input", fuse_activation},
      {"pool", "pooling by 2x2 into the convolution in front of it, where its algorithm holds whole windows in registers",
       fuse_pool},
      {"expand_depthwise", "a 1x1 convolution and the depthwise one behind it as one", fuse_expand_depthwise},
      {"affine_prologue", "products and sums per channel, and their activation, into the 1x1 convolution behind them",
       fuse_affine_prologue},
      {"squeeze_excite", "mean, two linear layers and the product with them as one", fuse_squeeze_excite},
      {"inverted_residual",
       "a 1x1 or first convolution, the depthwise one behind it, perhaps squeeze-and-excitation, and the 1x1 convolution as one",
       fuse_inverted_residual},
      {"channel_shuffle", "reshape, transpose, reshape of channels as one shuffle", match_channel_shuffle},
  };
  return kPasses;
}

std::vector<PassResult> run_passes(Graph& graph, const std::vector<std::string>& off) {
  for (const std::string& name : off) {
    if (std::none_of(passes().begin(), passes().end(), [&](const Pass& pass) { return pass.name == name; })) {
      std::string names;
      for (const Pass& pass : passes()) names += (names.empty() ? "" : ", ") + std::string(pass.name);
      raise<ValueError>("there is no pass '{}'\nthere are {}", name, names);
    }
  }
  std::vector<PassResult> results;
  for (const Pass& pass : passes()) {
    if (std::find(off.begin(), off.end(), pass.name) == off.end()) results.push_back({pass.name});
  }
  graph.remove_unused();
  // Of the graph as it came: rounds must not multiply it.
  FoldingRoom room = folding_room(graph);
  graph.constant_room = room.bytes;
  const auto apply = [&](PassResult& result) {
    const Pass& pass = *std::find_if(passes().begin(), passes().end(), [&](const Pass& p) { return p.name == result.name; });
    const int count = pass.run == fold_constants ? fold_constants_within(graph, room) : pass.run(graph);
    if (count == 0) return false;
    result.count += count;
    graph.remove_unused();
    infer(graph);
    return true;
  };
  // Sizes that are computed from those of a block before become known block by block: the twelve of a Swin transformer pad so. Each
  // turn infers all nodes anew, so that large graphs take fewer.
  const auto most_turns = static_cast<int>(std::clamp<size_t>(200000 / std::max<size_t>(graph.nodes.size(), 1), 1, 100));
  for (int turn = 0; turn < most_turns; ++turn) {
    bool changed = false;
    for (PassResult& result : results)
      changed = ((result.name == "constants" || result.name == "shapes") && apply(result)) || changed;
    if (!changed) break;
  }
  // One pass makes room for another (a folded product for a residual behind it); three rounds settle what is known.
  for (int round = 0; round < 3; ++round) {
    bool changed = false;
    for (PassResult& result : results) changed = apply(result) || changed;
    if (!changed) break;
  }
  graph.constant_room = INT64_MAX;
  return results;
}

}  // namespace convoy::graph
