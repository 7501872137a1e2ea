// Which nodes of a graph see one sample of a batch at a time.
#pragma once

#include <cstddef>
#include <vector>

#include "convoy/graph/graph.h"
#include "convoy/graph/step.h"

namespace convoy::graph {

/// The first nodes of a graph that run sample by sample in a batch, so that concatenations of channels are made in place as for one
/// image, and the memory of intermediate values serves every sample: up to the last concatenation or split of channels that is
/// worth it. 0 if there is none, or nothing can be said.
///
/// one, all: the types of a run with one sample, and with the batch.
size_t nodes_by_sample(const Graph& graph, const std::vector<KnownType>& one, const std::vector<KnownType>& all);

}  // namespace convoy::graph
