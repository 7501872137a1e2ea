#include "convoy/graph/summary.h"

#include <algorithm>
#include <set>

#include "convoy/core/error.h"
#include "convoy/core/formatted.h"
#include "convoy/graph/fused.h"
#include "convoy/graph/windows.h"
#include "convoy/shape/receptive_field.h"

namespace convoy::graph {
namespace {

// The layers behind a value along the last axis, or nullopt: everything is seen, or nothing can be said.
using Chain = std::optional<std::vector<shape::ChainLayer>>;

int64_t field(const Chain& chain) {
  if (!chain) return 0;
  const shape::Result<shape::ReceptiveField> result = shape::receptive_field(*chain);
  return result ? result->size : 0;
}

// What the sizes of a node's values say. `types`: of all values; nullptr: as the graph has them.
class Sizes {
 public:
  Sizes(const Graph& graph, const std::vector<Type>* types) : graph_(graph), types_(types) {}

  const Type& type(ValueId id) const {
    static const Type kNone;
    return id == kNoValue ? kNone : types_ != nullptr ? (*types_)[static_cast<size_t>(id)] : graph_.value(id).type;
  }

  static bool is_convolution(const Node& node) {
    return node.op == "Conv" || node.op == "FusedConv" || node.op == "AffineConv" || node.op == "ConvInteger" ||
           node.op == "DeformConv";
  }

  // The product of a type's sizes.
  std::optional<double> count(ValueId id) const {
    const std::optional<Shape> shape = type(id).shape();
    if (!shape) return std::nullopt;
    double product = 1;
    for (const int64_t size : *shape) product *= static_cast<double>(size);
    return product;
  }

  // Each output (of a transposed convolution: each input) meets every weight of its channel.
  std::optional<double> convolution_macs(const Node& node, bool transposed) const {
    const std::optional<Shape> weight = type(node.input(1)).shape(),
                               place = type(transposed ? node.input(0) : node.output(0)).shape();
    const std::optional<double> weights = count(node.input(1)), places = count(transposed ? node.input(0) : node.output(0));
    if (!weights || !places || !weight || !place || weight->empty() || (*weight)[0] == 0) return std::nullopt;
    return *places * *weights / static_cast<double>((*weight)[0]);
  }

  std::optional<double> macs(const Node& node) const {
    if (is_convolution(node)) return convolution_macs(node, false);
    if (node.op == "ConvTranspose" || node.op == "FusedConvTranspose") return convolution_macs(node, true);
    if (node.op == "PooledConv") {
      const std::optional<Shape> input = type(node.input(0)).shape(), weight = type(node.input(1)).shape();
      const std::optional<double> weights = count(node.input(1));
      const auto shape = input && weight ? conv_shape(node.attributes, *input, *weight, false) : std::nullopt;
      if (!shape || !weights || shape->out_channels == 0) return std::nullopt;
      return static_cast<double>(shape->output_count()) * *weights / static_cast<double>(shape->out_channels);
    }
    if (node.op == "ExpandDepthwise") {
      const std::optional<Shape> weight = type(node.input(1)).shape(), depthwise = type(node.input(3)).shape();
      const std::optional<double> inputs = count(node.input(0)), outputs = count(node.output(0)), taps = count(node.input(3));
      if (!weight || !depthwise || !inputs || !outputs || !taps || (*depthwise)[0] == 0) return std::nullopt;
      return *inputs * static_cast<double>((*weight)[0]) + *outputs * *taps / static_cast<double>((*depthwise)[0]);
    }
    if (node.op == "InvertedResidual") {
      const std::optional<Shape> input = type(node.input(0)).shape(), weights = type(node.input(1)).shape(),
                                 output = type(node.output(0)).shape();
      const Attributes attributes = expand_attributes(node.attributes);
      const std::vector<int64_t> kernel = attributes.integers("kernel_shape");
      if (!input || !weights || !output || input->size() != 4 || output->size() != 4 || kernel.size() != 2) return std::nullopt;
      const auto expand = conv_shape(attributes, *input, {(*weights)[0], (*input)[1], kernel[0], kernel[1]}, false);
      if (!expand) return std::nullopt;
      // Each number of a row meets the expansion's positions, the output's, or, behind the means, one of a sample.
      const auto number = [](int64_t n) { return static_cast<double>(n); };
      const int64_t terms = expand->in_channels * expand->taps();
      const double expanded = number((*weights)[0]), gates = number(2 * node.attributes.integer("squeezed", 0)),
                   behind = number((*weights)[1] - terms) - gates;
      return number((*input)[0]) * expanded *
             (number(terms) * number(expand->output_positions()) + behind * number((*output)[2]) * number((*output)[3]) + gates);
    }
    if (node.op == "SqueezeExcite") {
      const std::optional<Shape> input = type(node.input(0)).shape();
      const std::optional<double> weights = count(node.input(1));
      if (!input || input->empty() || !weights) return std::nullopt;
      return static_cast<double>((*input)[0]) * *weights;
    }
    if (node.op == "Gemm" || node.op == "Linear" || node.op == "MatMul" || node.op == "MatMulInteger") {
      const std::optional<Shape> a = type(node.input(0)).shape();
      const std::optional<double> outputs = count(node.output(0));
      if (!a || a->empty() || !outputs) return std::nullopt;
      const bool transposed = node.op == "Gemm" && node.attributes.integer("transA", 0) != 0;
      return *outputs * static_cast<double>(transposed ? a->front() : a->back());
    }
    return 0.0;
  }

 protected:
  const Graph& graph_;
  const std::vector<Type>* types_;
};

class Summary : Sizes {
 public:
  Summary(const Graph& graph, const std::vector<Type>& types) : Sizes(graph, &types), chains_(graph.values.size()) {
    for (const ValueId input : graph.inputs) {
      const auto& dims = types[static_cast<size_t>(input)].dims;
      if (dims && dims->size() >= 3) chains_[static_cast<size_t>(input)].emplace();
      computed_.insert(input);
    }
  }

  std::vector<LayerSummary> layers() {
    std::vector<LayerSummary> result;
    for (const Node& node : graph_.nodes) {
      // What no input reaches is arithmetic on constants; so is what only a Shape reaches.
      const bool computed =
          node.op != "Shape" && node.op != "Size" &&
          std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return computed_.count(id) != 0; });
      if (!computed) continue;
      for (const ValueId id : node.outputs) computed_.insert(id);
      result.push_back(layer(node));
    }
    return result;
  }

 private:
  std::optional<std::vector<shape::Axis>> window_axes(const Node& node, const std::vector<int64_t>& kernel) const {
    const auto& dims = type(node.input(0)).dims;
    if (!dims || dims->size() < 3) return std::nullopt;
    try {
      return windows(node.attributes, kernel, spatial_sizes(*dims));
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  static std::string text(const std::vector<int64_t>& numbers, char between) {
    const bool equal = std::all_of(numbers.begin(), numbers.end(), [&](int64_t n) { return n == numbers[0]; });
    if (equal && between == ',') return std::to_string(numbers[0]);
    std::string result;
    for (const int64_t number : numbers) result += (result.empty() ? "" : std::string(1, between)) + std::to_string(number);
    return result;
  }

  static std::string kernel_text(const std::vector<shape::Axis>& axes, int64_t groups) {
    std::vector<int64_t> kernel, stride, dilation;
    for (const shape::Axis& axis : axes) {
      kernel.push_back(axis.kernel_size);
      stride.push_back(axis.stride);
      dilation.push_back(axis.dilation);
    }
    std::string result = text(kernel, 'x');
    const auto not_one = [](const std::vector<int64_t>& numbers) {
      return std::any_of(numbers.begin(), numbers.end(), [](int64_t n) { return n != 1; });
    };
    if (not_one(stride)) result += " /" + text(stride, ',');
    if (not_one(dilation)) result += " d" + text(dilation, ',');
    if (groups > 1) result += formatted(" g{}", groups);
    return result;
  }

  // Of the inputs' chains the one that sees most; the node's own window behind it.
  Chain chain(const Node& node, const std::optional<std::vector<shape::Axis>>& axes, bool transposed) const {
    Chain longest;
    bool first = true;
    for (const ValueId id : node.inputs) {
      if (computed_.count(id) == 0) continue;
      const Chain& candidate = chains_[static_cast<size_t>(id)];
      if (!candidate) return std::nullopt;
      if (first || field(candidate) > field(longest)) longest = candidate;
      first = false;
    }
    const auto &in = type(node.input(0)).dims, &out = type(node.output(0)).dims;
    if (!longest || !in || !out) return std::nullopt;
    // Each value keeps its own chain: networks have some hundred layers, a file may have more than memory holds.
    constexpr size_t kLongestChain = 1000;
    if (longest->size() >= kLongestChain) return std::nullopt;
    if (axes) {
      longest->push_back({.kind = transposed ? shape::LayerKind::kTransposed : shape::LayerKind::kConv, .axis = axes->back()});
      return longest;
    }
    // An elementwise function keeps the last axis; what changes it otherwise may see anything.
    static const std::set<std::string, std::less<>> kMixing = {
        "Gemm", "MatMul", "Flatten", "Reshape", "Transpose", "Gather", "LayerNormalization", "Softmax", "Resize"};
    if (in->size() != out->size() || in->empty() || in->back() != out->back() || kMixing.count(node.op) != 0) return std::nullopt;
    return longest;
  }

  LayerSummary layer(const Node& node) {
    LayerSummary result;
    result.op = node.op;
    if (node.output(0) != kNoValue) result.output_name = graph_.value(node.output(0)).name;
    result.name = node.name.empty() ? result.output_name : node.name;
    result.output = type(node.output(0));
    for (const ValueId id : node.inputs) {
      if (id == kNoValue || !graph_.value(id).is_constant()) continue;
      const Type& constant = graph_.value(id).type;
      if (!constant.dtype || !is_floating(*constant.dtype) || !counted_.insert(id).second) continue;
      const int64_t count = numel(constant.shape().value_or(Shape{0}));
      result.parameters += count;
      result.parameter_bytes += count * static_cast<int64_t>(element_size(*constant.dtype));
    }
    const bool transposed = node.op == "ConvTranspose" || node.op == "FusedConvTranspose";
    const bool projects = node.op == "InvertedResidual", expands = node.op == "ExpandDepthwise" || projects;
    const bool pools = node.op == "PooledConv", convolution = transposed || expands || pools || is_convolution(node);
    const bool pooling = node.op == "MaxPool" || node.op == "AveragePool" || node.op == "LpPool";
    std::optional<std::vector<shape::Axis>> axes, before;  // of the node's windows, and of an expansion's in front of them
    if (convolution) {
      const std::optional<Shape> weight = type(node.input(expands && !projects ? 3 : 1)).shape();
      if (projects) {
        axes = window_axes(node, node.attributes.integers("kernel_shape"));
        before = window_axes({.inputs = node.inputs, .attributes = expand_attributes(node.attributes)}, {});
      } else if (weight && weight->size() >= 3) {
        axes = window_axes(node, {weight->begin() + 2, weight->end()});
      }
    } else if (pooling) {
      axes = window_axes(node, {});
    }
    if (axes) result.kernel = kernel_text(*axes, convolution ? node.attributes.integer("group", 1) : 1);
    if (axes && expands) {
      result.kernel = formatted("{} {}{}", kernel_text(before.value_or(std::vector<shape::Axis>(axes->size(), shape::Axis{})), 1),
                                result.kernel, projects ? " 1x1" : "");
    }
    if (axes && pools) {
      const shape::PoolShape windows = windows_of_two();
      result.kernel += " " + kernel_text({windows.axes[1], windows.axes[2]}, 1);
    }
    result.macs = macs(node);
    Chain seen = (convolution || pooling) && !axes ? Chain() : chain(node, axes, transposed);
    if (before && seen) seen->insert(seen->end() - 1, {.kind = shape::LayerKind::kConv, .axis = before->back()});
    if (pools && seen) seen->push_back({.kind = shape::LayerKind::kConv, .axis = windows_of_two().axes[2]});
    for (const ValueId id : node.outputs) {
      if (id != kNoValue) chains_[static_cast<size_t>(id)] = seen;
    }
    result.receptive_field = field(seen);
    return result;
  }

  std::vector<Chain> chains_;
  std::set<ValueId> computed_, counted_;
};

}  // namespace

std::optional<double> multiply_adds(const Graph& graph, const Node& node) { return Sizes(graph, nullptr).macs(node); }

std::vector<LayerSummary> summarize(const Graph& graph, const std::vector<Type>& types) { return Summary(graph, types).layers(); }

}  // namespace convoy::graph
