// What the folding passes left in a graph, and why.
#pragma once

#include <string>
#include <vector>

#include "convoy/graph/graph.h"

namespace convoy::graph {

/// One layer that could have become part of a convolution.
struct Unfolded {
  std::string layer;   // "node 'bn1' (BatchNormalization)"
  std::string reason;  // "the convolution behind it pads with zeros"
  std::string detail;  // who is concerned: "node 'conv2' (Conv) reads it"; may be empty
  std::string remedy;
  bool norm = true;  // a batch normalisation; otherwise parallel convolutions
};

/// The batch normalisations, and the parallel convolutions of one value that are added, that run_passes (passes.h) left. The graph
/// has been inferred. Layers are named as in messages (describe()).
std::vector<Unfolded> unfolded(const Graph& graph);

}  // namespace convoy::graph
