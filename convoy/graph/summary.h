// What a network consists of, layer by layer: shapes, parameters, work, and how far each layer sees.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convoy/graph/graph.h"

namespace convoy::graph {

/// One node as a layer.
struct LayerSummary {
  std::string name;  // of the node, or of its first output
  std::string op;
  std::string output_name;  // of its first output
  Type output;              // of its first output
  std::string kernel;       // "7x7 /2", "3x3 g32", "2x2 d2"; empty if it slides no window
  int64_t parameters = 0;   // floating constants that no earlier layer uses
  int64_t parameter_bytes = 0;
  /// Multiply-adds of convolutions and matrix products, 0 for what has none; nullopt: a size is not known.
  std::optional<double> macs;
  int64_t receptive_field = 0;  // the longest stretch of the input's last axis that one output sees; 0: not known, or everything
};

/// Multiply-adds of one node, as LayerSummary has them, for the types that the graph's values have.
std::optional<double> multiply_adds(const Graph& graph, const Node& node);

/// The layers of a graph in the order of its nodes; nodes that only compute with shapes and constants are left out. `types`: of all
/// values (infer_types).
std::vector<LayerSummary> summarize(const Graph& graph, const std::vector<Type>& types);

}  // namespace convoy::graph
