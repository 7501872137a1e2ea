// Runs a graph.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "convoy/graph/graph.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/value.h"

namespace convoy::graph {

using Values = std::map<std::string, Value>;

/// What a run may be watched with: called after each node with its index and the seconds that it took.
using Observer = std::function<void(size_t node, double seconds)>;

struct ExecutorOptions {
  /// The most bytes that one tensor may have, and that all values alive at one time may have together.
  int64_t memory_budget = int64_t{1} << 36;
};

/// A graph that is ready to run: nodes prepared, last uses known. Immutable; any number of threads may run it at once.
class Executor {
 public:
  explicit Executor(Graph graph, const ExecutorOptions& options = {});
  ~Executor();
  Executor(Executor&&) noexcept;
  Executor& operator=(Executor&&) noexcept;

  const Graph& graph() const { return graph_; }

  /// Computes the outputs from the inputs, by name.
  ///
  /// Errors: Error for a missing or unknown input, one of another type or shape than the graph says, and whatever a node refuses,
  /// with its name in front.
  Values run(const Values& inputs, const Observer& observer = {}) const;

  /// The most bytes that inputs, intermediate values and outputs occupy at one time in a run with inputs of these types (empty: as
  /// the graph says, unknown sizes as 1), constants left out.
  int64_t peak_bytes(const std::vector<Type>& input_types = {}) const;

 private:
  void check_inputs(const Values& inputs, std::vector<Value>& values) const;

  Graph graph_;
  ExecutorOptions options_;
  std::vector<const Operator*> operators_;
  std::vector<std::shared_ptr<const Prepared>> prepared_;
  std::vector<std::vector<ValueId>> released_;  // after each node: the values that nobody reads again
};

}  // namespace convoy::graph
