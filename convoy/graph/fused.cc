#include "convoy/graph/fused.h"

#include <limits>

namespace convoy::graph {

std::optional<ActivationOf> fused_activation(const Attributes& attributes, std::string_view which) {
  const std::string name(which);
  const auto* kind = attributes.get<int64_t>(name);
  if (kind == nullptr) return std::nullopt;
  return ActivationOf{static_cast<Activation>(*kind), {attributes.number(name + "_a", 0), attributes.number(name + "_b", 0)}};
}

void set_fused_activation(Attributes& attributes, const ActivationOf& activation, std::string_view which) {
  const std::string name(which);
  attributes.set(name, static_cast<int64_t>(activation.kind));
  attributes.set(name + "_a", activation.options.a);
  attributes.set(name + "_b", activation.options.b);
}

Attributes expand_attributes(const Attributes& attributes) {
  Attributes expand;
  expand.set("kernel_shape", std::vector<int64_t>{1, 1});
  for (const std::string name : {"kernel_shape", "strides", "pads"}) {
    if (const auto* numbers = attributes.get<std::vector<int64_t>>("expand_" + name)) expand.set(name, *numbers);
  }
  return expand;
}

std::optional<ActivationOf> activation_of(const Graph& graph, const Node& node) {
  const auto number = [&](const char* name, double otherwise) { return node.attributes.number(name, otherwise); };
  if (node.op == "Activation") return fused_activation(node.attributes);
  if (node.op == "Relu") return ActivationOf{Activation::kRelu};
  if (node.op == "LeakyRelu") return ActivationOf{Activation::kLeakyRelu, {number("alpha", 0.01)}};
  if (node.op == "Elu") return ActivationOf{Activation::kElu, {number("alpha", 1.0)}};
  if (node.op == "Sigmoid") return ActivationOf{Activation::kSigmoid};
  if (node.op == "Tanh") return ActivationOf{Activation::kTanh};
  if (node.op == "Mish") return ActivationOf{Activation::kMish};
  if (node.op == "HardSwish") return ActivationOf{Activation::kHardswish};
  if (node.op == "HardSigmoid") {
    const double slope = number("alpha", 0.2), offset = number("beta", 0.5);
    // What files say for 1/6 is the nearest float32.
    if (std::abs(slope - 1.0 / 6) < 1e-7 && offset == 0.5) return ActivationOf{Activation::kHardsigmoid};
    return ActivationOf{Activation::kHardsigmoidOf, {slope, offset}};
  }
  if (node.op == "Gelu") {
    const std::string approximate = node.attributes.text("approximate", "none");
    if (approximate == "none") return ActivationOf{Activation::kGelu};
    if (approximate == "tanh") return ActivationOf{Activation::kGeluTanh};
  }
  if (node.op == "Clip") {
    double bounds[2] = {-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
    for (size_t i = 0; i < 2; ++i) {
      if (node.input(i + 1) == kNoValue) continue;
      const Tensor* bound = graph.constant(node.input(i + 1));
      if (bound == nullptr || bound->numel() != 1 || bound->dtype() != DType::kFloat32) return std::nullopt;
      bounds[i] = bound->item();
    }
    if (!(bounds[0] <= bounds[1])) return std::nullopt;
    if (bounds[0] == 0 && bounds[1] == 6) return ActivationOf{Activation::kRelu6};
    if (bounds[0] == 0 && node.input(2) == kNoValue) return ActivationOf{Activation::kRelu};
    return ActivationOf{Activation::kHardtanh, {bounds[0], bounds[1]}};
  }
  return std::nullopt;
}

}  // namespace convoy::graph
