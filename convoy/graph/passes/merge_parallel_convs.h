// Parallel convolutions that are added, as one.
#pragma once

#include "convoy/graph/graph.h"

namespace convoy::graph {

/// Where convolutions of one value are added, with one another, with that value itself or with its batch normalisation, and their
/// windows can lie in one kernel, puts the one convolution that they are (ops/reparam.h): the branches of RepVGG, ACNet and
/// MobileOne as exporters write them, also where a branch reads the value cropped (Slice, or Pad by negative amounts). Merged are
/// those with equal strides, dilations and groups and constant parameters, if the one kernel has no more taps than they have
/// together. What else is added stays beside it.
///
/// Returns the number of sums that changed; unused nodes are removed.
int merge_parallel_convs(Graph& graph);

}  // namespace convoy::graph
