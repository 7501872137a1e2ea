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
#include "convoy/graph/weights.h"

namespace convoy::graph {

/// Immutable once it has its weights, but for a stock of memory that runs borrow from; any number of threads may run it at once.
class Schedule {
 public:
  /// nullptr if some value's type or shape is only known in a run: then nodes must run one by one through Operator::run. Operators:
  /// by node. Both must outlive it. most_packed: bytes that packed weights may take; layers beyond pack theirs in each run.
  static std::shared_ptr<Schedule> make(const Graph& graph, const std::vector<const Operator*>& operators,
                                        const std::vector<Type>& input_types, int64_t most_packed);

  /// Packs the weights that steps want in an order of their own, and holds those that are read as they are. The originals of the
  /// others are given up if they can be had again, or if no other schedule will ever ask for them (`closed`).
  void take_weights(Weights& weights, bool closed);
  bool has_weights() const { return has_weights_; }

  /// Inputs in the graph's order, of the types it was made for (undefined: the default that the graph has). Fills outputs in the
  /// graph's order. False if a node's result is not of the type that was foreseen: then nothing can be said about the outputs.
  /// `budget`: bytes that outputs, and what operators without a step make, may take at a time. It must have its weights.
  bool run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs, const Observer& observer, int64_t budget) const;

  /// What a run takes, with the current number of threads, and what is kept between runs.
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
  // Nodes [begin, end), run for one sample after the other (samples.h), or once for the whole batch.
  struct Part {
    size_t begin = 0, end = 0;
    int64_t samples = 1;
    std::vector<KnownType> types;          // of one run
    std::vector<ValueId> inputs, outputs;  // of this part: what its neighbours and the caller hold, all samples behind one another
    Placement placement;
  };

  explicit Schedule(const Graph& graph) : graph_(graph) {}
  // What no two nodes need at one time: the most that one does, with the current number of threads.
  struct Scratch {
    size_t workspace_bytes = 0;  // of steps
    int64_t operator_bytes = 0;  // of operators without a step
  };
  Scratch scratch() const;
  void count_memory();
  void add_parts(size_t apart, std::vector<KnownType> one, std::vector<StepPlan> plans);
  void add_part(Part part, std::vector<StepPlan> plans);
  char* address(const Part& part, const Place& place, const std::vector<char*>& base) const;
  bool run_operator(const Part& part, size_t node, const std::vector<char*>& base, const std::shared_ptr<void>& arena) const;
  bool run_part(const Part& part, int64_t sample, const std::vector<char*>& base, Memory& memory, const Observer& observer,
                std::vector<double>& seconds) const;
  const Place& output_place(ValueId id) const;

  const Graph& graph_;
  std::vector<const Operator*> operators_;
  std::vector<KnownType> types_;  // of the whole batch
  std::vector<Part> parts_;
  std::vector<int64_t> between_;  // by value: its place among those that one part makes and another reads; -1
  int64_t between_bytes_ = 0;     // of them, at the beginning of the arena
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<char> packs_;                        // by node: its step keeps a packed weight
  std::vector<std::shared_ptr<const void>> kept_;  // those, by node
  std::vector<Tensor> held_;                       // by value: weights that are read as they are
  bool has_weights_ = false;
  MemoryUse use_;  // without scratch()
  std::vector<std::vector<Copy>> copies_;
  std::vector<char> moves_;  // by node: all its outputs are views
  mutable std::mutex mutex_;
  mutable int scratch_threads_ = 0;  // for which scratch_ is
  mutable Scratch scratch_;
  mutable std::vector<std::unique_ptr<Memory>> idle_;
};

}  // namespace convoy::graph
