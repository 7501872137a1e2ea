// Rewrites of a graph that keep what it computes and make it cheaper. One file each; the list says what there is.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/graph/graph.h"

namespace convoy::graph {

/// One rewrite. `run` returns how many places it changed and may leave unused nodes behind.
struct Pass {
  std::string_view name;
  std::string_view what;
  int (*run)(Graph& graph);
};

/// All of them, in the order in which they run.
std::span<const Pass> passes();

/// How often a pass found something to do.
struct PassResult {
  std::string_view name;
  int count = 0;
};

/// Runs the passes over a graph, except those named in `off`, until nothing changes. The graph must have been inferred (infer.h).
/// Constants that they make take up to most_constant_bytes; what would need more stays as it is.
/// Errors: ValueError for a name that no pass has; Error where nodes of constants make too much of them.
std::vector<PassResult> run_passes(Graph& graph, const std::vector<std::string>& off = {});

int fold_constants(Graph& graph);
/// The same while all constants together stay within `most_bytes`. Errors: Error that names the node and the value beyond it.
int fold_constants_within(Graph& graph, int64_t most_bytes);
/// What constants may grow to while a graph is rewritten: a few times what it has now.
int64_t most_constant_bytes(const Graph& graph);
int remove_no_ops(Graph& graph);
int fold_shapes(Graph& graph);
int match_activations(Graph& graph);
int match_layer_norm(Graph& graph);
int move_channels_first(Graph& graph);
int fold_pad(Graph& graph);
int move_average_pool_first(Graph& graph);
int fold_batch_norm(Graph& graph);
int fold_channel_affine(Graph& graph);
int match_linear(Graph& graph);
int fuse_residual(Graph& graph);
int fuse_activation(Graph& graph);
int fuse_pool(Graph& graph);
int match_channel_shuffle(Graph& graph);
int fuse_expand_depthwise(Graph& graph);
int fuse_inverted_residual(Graph& graph);
int fuse_affine_prologue(Graph& graph);
int fuse_squeeze_excite(Graph& graph);

}  // namespace convoy::graph
