// Runs a graph.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "convoy/graph/graph.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/value.h"

namespace convoy::graph {

using Values = std::map<std::string, Value>;

/// What a run may be watched with: called after each node with its index and the seconds that it took.
using Observer = std::function<void(size_t node, double seconds)>;

/// Memory of a planned run.
struct MemoryUse {
  int64_t arena_bytes = 0;      // intermediate values
  int64_t workspace_bytes = 0;  // scratch memory of kernels
  int64_t operator_bytes = 0;   // the most that an operator without a step makes, its results included: an upper bound
  int64_t packed_bytes = 0;     // weights in the order of their kernels, kept between runs
  /// All that a run has in memory at one time beside weights: the caller's inputs, what is above, and outputs, in whole blocks.
  int64_t peak_bytes = 0;
  /// The two largest sums of intermediate values that are alive at one node.
  int64_t largest_live_bytes = 0, second_live_bytes = 0;
};

struct ExecutorOptions {
  /// The most bytes that inputs, scratch memory, intermediate values and outputs of one run may have at a time.
  int64_t memory_budget = int64_t{1} << 36;
  /// Plan runs ahead (schedule.h). Otherwise nodes always run one by one through their operators.
  bool planned = true;
  /// Keep weights as the graph had them, too, after kernels have packed them.
  bool keep_weights = false;
  /// Gives the graph again with the same values in the same order: so weights can be given up that a later run might need.
  std::function<Graph()> reload = {};
};

class Schedule;
class Weights;

/// A graph that is ready to run: operators found, last uses known. Any number of threads may run it at once.
///
/// The first run with inputs of new shapes plans them (schedule.h): algorithms chosen, weights packed, every value placed in one
/// arena. Where shapes depend on values, nodes run one by one.
class Executor {
 public:
  explicit Executor(Graph graph, const ExecutorOptions& options = {});
  ~Executor();
  Executor(Executor&&) noexcept;
  Executor& operator=(Executor&&) noexcept;

  /// Without the values of weights that only planned steps read (ValueInfo::taken).
  const Graph& graph() const { return *graph_; }

  /// Plans ahead of the first run, where the graph says the shapes of its inputs (a first axis of unknown size counts as 1):
  /// weights are packed, and given up where nothing else can need them. Errors: OutOfMemory.
  void prepare() const;

  /// Computes the outputs from the inputs, by name.
  ///
  /// Errors: Error for a missing or unknown input, one of another type or shape than the graph says, more memory than the budget,
  /// and whatever a node refuses, with its name in front.
  Values run(const Values& inputs, const Observer& observer = {}) const;

  /// What a run with inputs of these types (empty: as the graph says, unknown sizes as 1) takes; nullopt where only a run can tell.
  std::optional<MemoryUse> memory(const std::vector<Type>& input_types = {}) const;
  /// The kernel that a node runs on, for inputs of these types; "" where there is no choice.
  std::string algorithm(size_t node, const std::vector<Type>& input_types = {}) const;

  /// The most bytes that a run with inputs of these types (empty: as the graph says, unknown sizes as 1) has in memory at one time,
  /// weights and other constants left out: MemoryUse::peak_bytes. Where only a run can tell: what nodes need whose shapes are
  /// known.
  int64_t peak_bytes(const std::vector<Type>& input_types = {}) const;
  /// Bytes of weights and other constants that are in memory now.
  int64_t weight_bytes() const;

 private:
  struct Plans;

  void check_inputs(const Values& inputs, std::vector<Value>& values) const;
  std::vector<Type> known_inputs(const std::vector<Type>& input_types) const;
  bool closed() const;
  // `for_run`: with its weights.
  std::shared_ptr<const Schedule> schedule(const std::vector<Type>& input_types, bool for_run) const;
  void check_budget(int64_t bytes) const;
  std::shared_ptr<const Schedule> checked_schedule(const std::vector<Type>& input_types) const;
  int64_t bytes_of_nodes(const std::vector<Type>& input_types) const;
  bool is_constants(const Tensor& tensor) const;

  std::shared_ptr<const Graph> graph_;  // schedules refer to it
  ExecutorOptions options_;
  std::vector<const Operator*> operators_;
  std::vector<std::pair<const char*, const char*>> constants_;  // where their values lie, sorted
  std::vector<std::vector<ValueId>> released_;                  // after each node: the values that nobody reads again
  std::unique_ptr<Plans> plans_;
};

}  // namespace convoy::graph
