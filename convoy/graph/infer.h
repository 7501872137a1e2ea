// Shape inference.
#pragma once

#include <optional>
#include <vector>

#include "convoy/graph/graph.h"

namespace convoy::graph {

/// Infers node by node, for a graph that is still being made.
class Inferring {
 public:
  /// `input_types`: as for infer_types.
  explicit Inferring(const Graph& graph, const std::vector<Type>& input_types = {});

  /// Learns the types of the outputs of a node whose inputs are known.
  void add(const Node& node);
  /// What is known of a value so far.
  const Type& type(ValueId id);
  /// The elements of an integer value of at most one axis, as far as they are known; nullopt if not even their count is.
  const std::optional<Dims>& contents(ValueId id) const { return contents_[static_cast<size_t>(id)]; }
  std::vector<Type> take() { return std::move(types_); }

 private:
  void take_new_values();

  const Graph& graph_;
  std::vector<Type> types_;
  std::vector<std::optional<Dims>> contents_;
};

/// The types of all values, by ValueId. `input_types`: those of the graph's inputs, in their order; empty: as the graph says.
/// What the graph says about other values is only used where inference knows nothing.
///
/// Errors: Error that names the node for sizes or types that can never run ("node 'conv1' (Conv): ...").
std::vector<Type> infer_types(const Graph& graph, const std::vector<Type>& input_types = {});

/// Writes infer_types' result into the graph.
void infer(Graph& graph);

}  // namespace convoy::graph
