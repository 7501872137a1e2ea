// Does a rewritten graph give the answers of the one it was made from, and if not, where and why?
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/graph/executor.h"
#include "convoy/graph/graph.h"
#include "convoy/ops/differences.h"

namespace convoy::graph {

/// One convolution, transposed convolution or matrix product of the rewritten graph that has other parameters than the original:
/// the largest differences from what the original computes of the same input.
struct LayerAgreement : ops::Differences {
  std::string layer;  // its node's name, or its output's
};

struct GraphAgreement {
  std::vector<LayerAgreement> layers;
  double difference = 0, scale = 0;  // of the graphs' outputs
  double limit = 0;                  // of a difference over the scale: 1e-4, or 1e-9 if every output is float64
  bool agrees = true;
};

/// Compares two graphs with the same inputs and outputs. A layer is found in both by the names of the values that it reads and
/// makes, which folding keeps: Convoy's own and other programs'; what has no counterpart is compared by the outputs alone. Where
/// a layer agrees in float64, the difference is what the original lost by rounding, and it agrees.
class Comparison {
 public:
  Comparison(const Graph& before, const Graph& after);
  /// Errors: as Executor::run; ShapeMismatch if an output has another shape, Error if one is missing.
  void run(const Values& inputs);
  /// Of all runs so far.
  GraphAgreement result() const;

 private:
  struct Layer {
    Node node;                                      // of `after_`
    std::string input, output;                      // names in both
    ValueId before_input = -1, before_output = -1;  // in `before_`
    LayerAgreement found;
    double exact = -1;  // the largest difference in float64, once it was asked for; -1: not asked, or not to be had
  };
  void compare_layer(Layer& layer, const Tensor& input, const Tensor& wanted) const;
  Tensor original_in_float64(const Layer& layer, const Tensor& input) const;
  void explain(LayerAgreement& found, const Layer& layer, double limit) const;

  Graph before_, after_;
  std::vector<std::string> outputs_;
  std::vector<Layer> layers_;
  Executor watched_, rewritten_;  // before_ with what layers_ read and make as outputs too
  double difference_ = 0, scale_ = 0;
  bool exact_ = true;
};

}  // namespace convoy::graph
