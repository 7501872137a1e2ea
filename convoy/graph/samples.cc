#include "convoy/graph/samples.h"

#include <algorithm>
#include <set>
#include <string>

namespace convoy::graph {
namespace {

// Where maps are smaller, layers read more weights than values, and these once for all samples.
constexpr int64_t kLeastPositions = 100;

// Operators that compute output n from input n alone where the first axis of all their values counts the same samples.
bool keeps_samples_apart(const Node& node) {
  // clang-format off
  static const std::set<std::string, std::less<>> kOperators = {
      "Conv", "FusedConv", "AffineConv", "PooledConv", "ConvTranspose", "FusedConvTranspose", "ExpandDepthwise",
      "InvertedResidual", "SqueezeExcite",
      "Activation", "Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Mish", "HardSwish", "HardSigmoid", "Gelu",
      "Clip", "Add", "Sub", "Mul", "Div", "ChannelAffine", "ChannelLayerNorm", "ChannelShuffle", "Interleave", "MaxPool",
      "AveragePool", "GlobalAveragePool", "Identity", "Concat", "Split"};
  // clang-format on
  return kOperators.count(node.op) != 0;
}

bool joins_channels(const Node& node) { return (node.op == "Concat" && node.inputs.size() > 1) || node.op == "Split"; }

// (samples, *) of the one, and of the other, of as many numbers a sample.
bool counts_samples(const KnownType& one, const KnownType& all, int64_t batch) {
  return !one.shape.empty() && one.shape.size() == all.shape.size() && one.shape[0] == 1 && all.shape[0] == batch &&
         std::equal(one.shape.begin() + 1, one.shape.end(), all.shape.begin() + 1) && one.dtype == all.dtype;
}

int64_t positions(const Shape& shape) {
  int64_t count = 1;
  for (size_t i = 2; i < shape.size(); ++i) count *= shape[i];
  return count;
}

}  // namespace

size_t nodes_by_sample(const Graph& graph, const std::vector<KnownType>& one, const std::vector<KnownType>& all) {
  if (graph.inputs.empty()) return 0;
  const auto at = [](ValueId id) { return static_cast<size_t>(id); };
  const Shape& first = all[at(graph.inputs[0])].shape;
  const int64_t batch = first.empty() ? 0 : first[0];
  if (batch < 2) return 0;
  std::vector<char> apart(graph.values.size(), 0);
  for (const ValueId id : graph.inputs) {
    if (graph.value(id).is_constant() || !counts_samples(one[at(id)], all[at(id)], batch)) return 0;
    apart[at(id)] = 1;
  }
  size_t count = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (!keeps_samples_apart(node)) break;
    bool keeps = true;
    for (const ValueId id : node.inputs) keeps = keeps && (id == kNoValue || graph.value(id).is_constant() || apart[at(id)] != 0);
    for (const ValueId id : node.outputs) {
      if (id == kNoValue) continue;
      keeps = keeps && counts_samples(one[at(id)], all[at(id)], batch);
      apart[at(id)] = 1;
    }
    if (!keeps) break;
    if (joins_channels(node) && positions(one[at(node.inputs[0])].shape) >= kLeastPositions) count = i + 1;
  }
  return count;
}

}  // namespace convoy::graph
