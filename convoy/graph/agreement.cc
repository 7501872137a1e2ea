#include "convoy/graph/agreement.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/graph/windows.h"

namespace convoy::graph {

namespace {

constexpr double kFloatLimit = 1e-4, kDoubleLimit = 1e-9;

bool has_parameters(const Node& node) {
  return node.op == "Conv" || node.op == "ConvTranspose" || node.op == "Gemm" || node.op == "MatMul";
}

bool same_parameters(const Graph& a, const Node& one, const Graph& b, const Node& other) {
  if (one.op != other.op) return false;
  for (size_t i = 1; i < std::max(one.inputs.size(), other.inputs.size()); ++i) {
    const Tensor *x = a.constant(one.input(i)), *y = b.constant(other.input(i));
    if ((x == nullptr) != (y == nullptr) || (x != nullptr && !identical(*x, *y))) return false;
  }
  return true;
}

std::map<std::string, ValueId> computed_values(const Graph& graph) {
  std::map<std::string, ValueId> values;
  for (const ValueId id : graph.inputs) values.emplace(graph.value(id).name, id);
  for (const Node& node : graph.nodes) {
    for (const ValueId id : node.outputs) {
      if (id != kNoValue) values.emplace(graph.value(id).name, id);
    }
  }
  return values;
}

Graph with_outputs(Graph graph, const std::vector<ValueId>& more) {
  for (const ValueId id : more) {
    const bool input = std::find(graph.inputs.begin(), graph.inputs.end(), id) != graph.inputs.end();
    if (!input && !graph.is_output(id)) graph.outputs.push_back(id);
  }
  return graph;
}

// A value that differs from itself differs without end.
double distance(double a, double b) {
  const double d = std::abs(a - b);
  return std::isnan(d) ? (std::isnan(a) && std::isnan(b) ? 0 : INFINITY) : d;
}

// Per output position whether a tap reads padding; empty where nothing is padded with zeros.
std::vector<bool> border_of(const Node& node, const Tensor& weight, const Shape& input, const Shape& output) {
  if (node.op != "Conv" || weight.dim() < 3 || output.size() != static_cast<size_t>(weight.dim())) return {};
  const Shape sizes(input.begin() + 2, input.end()), kernel(weight.shape().begin() + 2, weight.shape().end());
  const auto axes = windows(node.attributes, kernel, sizes);
  if (!axes) return {};
  return ops::border_positions(*axes, input, output);
}

std::vector<ValueId> watched_values(const auto& layers) {
  std::set<ValueId> ids;
  for (const auto& layer : layers) ids.insert({layer.before_input, layer.before_output});
  return {ids.begin(), ids.end()};
}

}  // namespace

Comparison::Comparison(const Graph& before, const Graph& after)
    : before_(before),
      after_(after),
      layers_([&] {
        std::vector<Layer> layers;
        const std::map<std::string, ValueId> known = computed_values(before);
        const std::vector<int32_t> makers = before.producers();
        for (const Node& node : after.nodes) {
          if (!has_parameters(node) || after.constant(node.input(1)) == nullptr) continue;
          const auto input = known.find(after.value(node.inputs[0]).name), output = known.find(after.value(node.outputs[0]).name);
          if (input == known.end() || output == known.end()) continue;
          const int32_t maker = makers[static_cast<size_t>(output->second)];
          if (maker < 0 || same_parameters(before, before.nodes[static_cast<size_t>(maker)], after, node)) continue;
          layers.push_back({node,
                            input->first,
                            output->first,
                            input->second,
                            output->second,
                            {{}, node.name.empty() ? output->first : node.name}});
        }
        return layers;
      }()),
      watched_(with_outputs(before, watched_values(layers_)), {.planned = false}),
      rewritten_(after) {
  for (const ValueId id : before.outputs) outputs_.push_back(before.value(id).name);
}

void Comparison::run(const Values& inputs) {
  const Values wanted = watched_.run(inputs), given = rewritten_.run(inputs);
  for (const std::string& name : outputs_) {
    const auto other = given.find(name);
    if (other == given.end()) raise<Error>("the other graph has no output '{}'\nboth must be forms of one network", name);
    if (!wanted.at(name).is_tensor() || !other->second.is_tensor()) continue;
    const Tensor a = wanted.at(name).tensor().to(DType::kFloat64), b = other->second.tensor().to(DType::kFloat64);
    if (a.shape() != b.shape()) {
      raise<ShapeMismatch>(
          "output '{}' is {} in one graph, {} in the other\n"
          "its strides or padding differ",
          name, a.shape(), b.shape());
    }
    exact_ = exact_ && wanted.at(name).tensor().dtype() == DType::kFloat64;
    for (int64_t i = 0; i < a.numel(); ++i) {
      difference_ = std::max(difference_, distance(a.data<double>()[i], b.data<double>()[i]));
      if (std::isfinite(a.data<double>()[i])) scale_ = std::max(scale_, std::abs(a.data<double>()[i]));
    }
  }
  for (Layer& layer : layers_) {
    const auto value = [&](const std::string& name) -> const Value& {
      const auto input = inputs.find(name);
      return input != inputs.end() ? input->second : wanted.at(name);
    };
    compare_layer(layer, value(layer.input).tensor(), value(layer.output).tensor());
  }
}

namespace {

Node renamed(Node node, const std::map<ValueId, ValueId>& ids) {
  for (ValueId& id : node.inputs) id = id == kNoValue ? kNoValue : ids.at(id);
  for (ValueId& id : node.outputs) id = id == kNoValue ? kNoValue : ids.at(id);
  return node;
}

// What some nodes of a graph, in their order, make of the value `from`: in its type, with constants converted to it.
// Errors: Error if they also read values that others compute.
Tensor run_nodes(const Graph& graph, const std::vector<const Node*>& nodes, ValueId from, ValueId to, const Tensor& input) {
  Graph part;
  std::map<ValueId, ValueId> ids{{from, part.add_value("x", Type::of(input))}};
  part.inputs.push_back(ids.at(from));
  for (const Node* node : nodes) {
    for (const ValueId id : node->inputs) {
      if (id == kNoValue || ids.count(id) > 0) continue;
      const Tensor* constant = graph.constant(id);
      if (constant == nullptr) raise<Error>("it reads values that others compute\nthe graphs' outputs must do");
      const bool number = is_float_or_double(constant->dtype());
      ids.emplace(id, part.add_constant(part.unused_name("c"), number ? constant->to(input.dtype()) : *constant));
    }
    for (const ValueId id : node->outputs) {
      if (id != kNoValue) ids.emplace(id, part.add_value(part.unused_name("v")));
    }
    part.nodes.push_back(renamed(*node, ids));
  }
  part.outputs = {ids.at(to)};
  const std::string output = part.value(ids.at(to)).name;
  return Executor(std::move(part), {.planned = false}).run({{"x", input}}).at(output).tensor();
}

}  // namespace

// The layers between the input and the output in the original.
Tensor Comparison::original_in_float64(const Layer& layer, const Tensor& input) const {
  const std::vector<int32_t> makers = before_.producers();
  std::set<int32_t> needed;
  std::vector<ValueId> open{layer.before_output};
  while (!open.empty()) {
    const ValueId id = open.back();
    open.pop_back();
    if (id == kNoValue || id == layer.before_input) continue;
    const int32_t maker = makers[static_cast<size_t>(id)];
    if (maker < 0 || !needed.insert(maker).second) continue;
    const Node& node = before_.nodes[static_cast<size_t>(maker)];
    open.insert(open.end(), node.inputs.begin(), node.inputs.end());
  }
  std::vector<const Node*> nodes;
  for (const int32_t at : needed) nodes.push_back(&before_.nodes[static_cast<size_t>(at)]);
  return run_nodes(before_, nodes, layer.before_input, layer.before_output, input.to(DType::kFloat64));
}

void Comparison::compare_layer(Layer& layer, const Tensor& input, const Tensor& wanted) const {
  const auto constant = [&](ValueId id) { return id == kNoValue || after_.constant(id) != nullptr; };
  if (!std::all_of(layer.node.inputs.begin() + 1, layer.node.inputs.end(), constant)) return;  // the outputs must do
  const auto rewritten = [&](const Tensor& x) {
    return run_nodes(after_, {&layer.node}, layer.node.inputs[0], layer.node.outputs[0], x);
  };
  const Tensor given = rewritten(input);
  if (given.shape() != wanted.shape()) {
    raise<ShapeMismatch>(
        "{} makes {}, the layers in its place {}\n"
        "its stride, padding or dilation differs",
        layer.found.layer, given.shape(), wanted.shape());
  }
  const std::vector<bool> border = border_of(layer.node, *after_.constant(layer.node.inputs[1]), input.shape(), given.shape());
  const auto positions = static_cast<int64_t>(border.size());
  LayerAgreement& found = layer.found;
  const Tensor a = wanted.to(DType::kFloat64), b = given.to(DType::kFloat64);
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double x = a.data<double>()[i], d = distance(x, b.data<double>()[i]);
    double& largest = positions > 0 && border[static_cast<size_t>(i % positions)] ? found.border : found.interior;
    largest = std::max(largest, d);
    if (std::isfinite(x)) found.scale = std::max(found.scale, std::abs(x));
  }
  found.outputs = positions;
  found.border_outputs = std::count(border.begin(), border.end(), true);
  if (layer.exact >= 0 || std::max(found.border, found.interior) <= kFloatLimit * found.scale) return;
  try {
    const Tensor x = original_in_float64(layer, input), y = rewritten(input.to(DType::kFloat64));
    double exact = x.shape() == y.shape() && x.dtype() == y.dtype() ? 0 : INFINITY;
    for (int64_t i = 0; i < x.numel() && exact < INFINITY; ++i) exact = std::max(exact, distance(x.at(i), y.at(i)));
    layer.exact = exact;
  } catch (const Error&) {
    layer.exact = INFINITY;
  }
}

// What lies between the layer's input and output in the original says what went wrong.
void Comparison::explain(LayerAgreement& found, const Layer& layer, double limit) const {
  const std::vector<int32_t> makers = before_.producers();
  bool training = false, norm_first = false;
  std::vector<ValueId> open{layer.before_output};
  std::set<ValueId> seen{layer.before_input};
  while (!open.empty()) {
    const ValueId id = open.back();
    open.pop_back();
    if (id == kNoValue || !seen.insert(id).second || makers[static_cast<size_t>(id)] < 0) continue;
    const Node& node = before_.nodes[static_cast<size_t>(makers[static_cast<size_t>(id)])];
    training = training || (node.op == "BatchNormalization" && node.attributes.integer("training_mode", 0) != 0);
    norm_first = norm_first || (node.op == "BatchNormalization" && node.input(0) == layer.before_input);
    open.insert(open.end(), node.inputs.begin(), node.inputs.end());
  }
  if (training) {
    found.cause = "a batch normalisation of the original is in training mode: it normalises with the statistics of the batch";
    found.remedy = "call eval() on the network before exporting it";
  } else if (found.interior <= limit && norm_first) {
    found.cause =
        "only the border differs: the convolution pads with zeros after the batch normalisation; folded, its padding stands for "
        "what the normalisation makes of zero";
    found.remedy =
        "either train with a padding of that value (nn::BNAndPad) and a convolution without padding: they fold exactly; or use a "
        "convolution without padding";
  } else if (found.interior <= limit) {
    found.cause = "only the border differs: the one convolution pads otherwise than the layers it stands for";
    found.remedy = "give it their padding";
  } else {
    found.cause =
        "the weights are not those that these layers fold into: statistics of another moment, a branch left out, or one put at "
        "another tap of the kernel";
    found.remedy = "fold the original again: convoy fuse MODEL.onnx -o OUT, which puts a branch at K / 2 - k / 2";
  }
}

GraphAgreement Comparison::result() const {
  GraphAgreement agreement{.difference = difference_, .scale = scale_, .limit = exact_ ? kDoubleLimit : kFloatLimit};
  bool rounded = false;
  for (const Layer& layer : layers_) {
    LayerAgreement found = layer.found;
    const double limit = agreement.limit * std::max(found.scale, 1e-30);
    found.agrees = found.interior <= limit && found.border <= limit;
    if (!found.agrees && layer.exact >= 0 && layer.exact <= limit) {
      found.agrees = rounded = true;
      found.note =
          "the difference is rounding: in float64 the layers agree, but unfolded they add and take away numbers far larger than "
          "their outputs";
    }
    if (!found.agrees) explain(found, layer, limit);
    agreement.agrees = agreement.agrees && found.agrees;
    agreement.layers.push_back(std::move(found));
  }
  agreement.agrees = agreement.agrees && (rounded || difference_ <= agreement.limit * std::max(scale_, 1e-30));
  return agreement;
}

}  // namespace convoy::graph
