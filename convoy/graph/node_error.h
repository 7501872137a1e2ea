// Errors that say in which node they arose.
#pragma once

#include "convoy/core/error.h"
#include "convoy/graph/graph.h"

namespace convoy::graph {

/// Calls f; an Error that it throws comes out with the node's name in front, a ShapeMismatch or OutOfMemory as one.
template <class F>
void with_node_name(const Graph& graph, const Node& node, F&& f) {
  try {
    f();
  } catch (const ShapeMismatch& e) {
    throw ShapeMismatch(describe(graph, node) + ": " + e.reason(), e.fix());
  } catch (const OutOfMemory& e) {
    throw OutOfMemory(describe(graph, node) + ": " + e.reason(), e.fix());
  } catch (const Error& e) {
    throw Error(describe(graph, node) + ": " + e.reason(), e.fix());
  }
}

}  // namespace convoy::graph
