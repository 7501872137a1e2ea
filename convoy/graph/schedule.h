// A graph for inputs of given shapes: every step prepared, every value placed.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "convoy/core/storage.h"
#include "convoy/core/workspace.h"
#include "convoy/graph/executor.h"
#include "convoy/graph/graph.h"
#include "convoy/graph/placement.h"
#include "convoy/graph/step.h"

namespace convoy::graph {

/// Immutable but for a stock of memory that runs borrow from; any number of threads may run it at once.
class Schedule {
 public:
  /// nullptr if some value's type or shape is only known in a run: then nodes must run one by one through Operator::run. Operators:
  /// by node. Both must outlive it.
  static std::shared_ptr<const Schedule> make(const Graph& graph, const std::vector<const Operator*>& operators,
                                              const std::vector<Type>& input_types);

  /// Inputs in the graph's order, of the types it was made for (undefined: the default that the graph has). Fills outputs in the
  /// graph's order. False if a node's result is not of the type that was foreseen: then nothing can be said about the outputs.
  bool run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs, const Observer& observer) const;

  /// What a run takes besides inputs and outputs, with the current number of threads, and what is kept between runs.
  MemoryUse memory() const;
  /// By node: the kernel's name, or "".
  std::string_view algorithm(size_t node) const;

 private:
  struct Memory {
    explicit Memory(size_t arena_bytes, size_t workspace_bytes) : arena(allocate(arena_bytes)), workspace(workspace_bytes) {}
    std::shared_ptr<void> arena;
    Workspace workspace;
  };
  struct Copy {
    Place from, to;
    int64_t bytes;
  };

  explicit Schedule(const Graph& graph) : graph_(graph) {}
  void keep_weights();
  size_t workspace_bytes() const;
  bool run_operator(size_t node, const std::vector<char*>& base, const std::shared_ptr<void>& arena) const;

  const Graph& graph_;
  std::vector<const Operator*> operators_;
  std::vector<KnownType> types_;
  Placement placement_;
  // What steps keep lies in one block, on huge pages: one by one the weights of small networks would not (2 % of their time).
  std::shared_ptr<void> kept_;
  size_t kept_bytes_ = 0;
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<std::vector<Copy>> copies_;
  std::vector<char> moves_;  // by node: all its outputs are views
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Memory>> idle_;
};

}  // namespace convoy::graph
