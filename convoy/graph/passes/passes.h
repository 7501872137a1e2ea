// Rewrites of a graph that keep what it computes and make it cheaper. One file each; the list says what there is.
#pragma once

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
/// Constants that they make take a few times what there are; what would need more stays as it is.
/// Errors: ValueError for a name that no pass has; Error where nodes of constants make too much of them.
std::vector<PassResult> run_passes(Graph& graph, const std::vector<std::string>& off = {});

}  // namespace convoy::graph
