// Where the values of a run lie: slices of concatenations in place, views without copies, one arena for the rest.
#pragma once

#include <cstdint>
#include <vector>

#include "convoy/graph/graph.h"
#include "convoy/graph/step.h"

namespace convoy::graph {

/// The memory that a value lies in.
enum class Region : uint8_t { kNone, kConstant, kInput, kOutput, kArena };

/// kInput, kOutput: `index` is the position in Graph::inputs or outputs; kConstant: the value.
struct Place {
  Region region = Region::kNone;
  int32_t index = 0;
  int64_t offset = 0;  // bytes
};

struct Placement {
  std::vector<Place> places;  // by ValueId
  int64_t arena_bytes = 0;
  /// The two largest sums of bytes of intermediate values that are alive at one node: what no arrangement can do with less than
  /// (copies that views save aside).
  int64_t largest_live_bytes = 0, second_live_bytes = 0;
};

/// Decides from the order of the nodes and their plans. Graph inputs and constants are never written; each graph output that a
/// node makes has memory of its own.
///
/// Values share memory where one is a view of the other, where an input of a concatenation can be made in its place, and where a
/// node may overwrite what nobody reads again. Two values that are alive at one time never overlap unless they are equal there.
Placement place_values(const Graph& graph, const std::vector<KnownType>& types, const std::vector<StepPlan>& plans);

}  // namespace convoy::graph
