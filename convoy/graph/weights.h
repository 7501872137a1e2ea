// The weights of layers: as the graph had them while something reads them so, otherwise only in the orders of their kernels.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convoy/graph/graph.h"

namespace convoy::graph {

/// Takes weights out of a graph (ValueInfo::taken) and gives them to steps. Not for several threads at once.
///
/// The order that a kernel reads is as large as the weight, Winograd's up to four times that: kept beside the original it would
/// double what a network takes. So what only kernels with an order of their own read is given up as soon as they have it; all
/// schedules share one copy of each order.
class Weights {
 public:
  /// Makes the graph that they were taken from once more, with equal values. Errors: as it likes.
  using Reload = std::function<Graph()>;

  Weights() = default;
  /// Takes what layers with kernels of their own alone read from the graph. `reload`, if there is one, gives them again after they
  /// were given up.
  Weights(Graph& graph, Reload reload);

  /// Whether a weight may be given up: it can be had again.
  bool reloadable() const { return reload_ != nullptr && !reloaded_; }
  /// A weight that was taken, as the graph had it. Errors: Error where it was given up for good; what reload throws.
  const Tensor& original(ValueId id);
  /// All that were taken, by value; the others are undefined.
  const std::vector<Tensor>& originals();
  void give_up(ValueId id);

  /// What some step has packed before: of this weight in this form, or nullptr.
  std::shared_ptr<const void> packed(ValueId id, const std::string& form) const;
  /// Lists a packed weight. Returns it, or one with the same bytes that is there already.
  std::shared_ptr<const void> add_packed(ValueId id, const std::string& form, size_t bytes, std::shared_ptr<const void> packed);

  /// What all that were taken had.
  int64_t taken_bytes() const { return taken_bytes_; }
  /// What is in memory now, both kinds together.
  int64_t resident_bytes() const;

 private:
  struct Packed {
    std::weak_ptr<const void> memory;
    size_t bytes = 0;
  };

  void reload();

  std::vector<Tensor> originals_;  // by value; undefined: not taken, or given up
  std::vector<char> taken_;
  int64_t taken_bytes_ = 0;
  Reload reload_;
  bool reloaded_ = false;  // shapes vary so that the originals are needed again: they stay
  std::map<ValueId, std::map<std::string, Packed>> packed_;
};

}  // namespace convoy::graph
