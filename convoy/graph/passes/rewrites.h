// The passes that the list in passes.h has.
#pragma once

#include <cstdint>

#include "convoy/graph/graph.h"

namespace convoy::graph {

int fold_constants(Graph& graph);
/// How far folding may go while a graph is rewritten, as often as it is called: a few times what the graph has now.
struct FoldingRoom {
  int64_t bytes;  // of all constants together
  double work;    // bytes read and made, multiply-adds
};
FoldingRoom folding_room(const Graph& graph);
/// fold_constants within `room`, from which the work done goes; what there is no work left for is left for the run. Errors: Error
/// that names the node and the value beyond the bytes.
int fold_constants_within(Graph& graph, FoldingRoom& room);
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
