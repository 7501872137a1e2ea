// The training domain's Gradient: the derivative of a value that the graph computes, written out as nodes. For sums and products of
// tensors of one shape; networks are trained with convoy/autograd.
#include <algorithm>
#include <map>

#include "convoy/core/formatted.h"
#include "convoy/graph/rules.h"
#include "convoy/onnx/import.h"

namespace convoy::onnx {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::ValueId;

ValueId find_value(Importing& importing, const std::string& name) {
  const Graph& graph = importing.graph();
  for (size_t i = 0; i < graph.values.size(); ++i) {
    if (graph.values[i].name == name) return static_cast<ValueId>(i);
  }
  importing.refuse(formatted("attribute names {}, which is not defined before", name), "name values of the graph");
}

// What each input of a node receives of its output's gradient.
std::vector<ValueId> pulled_back(Importing& importing, const Node& node, ValueId gradient) {
  const auto insert = [&](const char* op, std::vector<ValueId> inputs) { return importing.insert(op, std::move(inputs)); };
  const std::vector<ValueId>& x = node.inputs;
  if (node.op == "Identity") return {gradient};
  if (node.op == "Add" || node.op == "Sum") return std::vector<ValueId>(x.size(), gradient);
  if (node.op == "Sub") return {gradient, insert("Neg", {gradient})};
  if (node.op == "Neg") return {insert("Neg", {gradient})};
  if (node.op == "Mul") return {insert("Mul", {gradient, x[1]}), insert("Mul", {gradient, x[0]})};
  if (node.op == "Div") {
    const ValueId first = insert("Div", {gradient, x[1]});
    return {first, insert("Neg", {insert("Mul", {first, insert("Div", {x[0], x[1]})})})};
  }
  if (node.op == "Exp") return {insert("Mul", {gradient, node.outputs[0]})};
  if (node.op == "Log") return {insert("Div", {gradient, x[0]})};
  importing.refuse(formatted("the derivative of {} is not supported", node.op),
                   "Gradient goes through Add, Sub, Mul, Div, Neg, Sum, Exp, Log and Identity");
}

void convert_gradient(Importing& importing) {
  const auto* xs = importing.attributes().get<std::vector<std::string>>("xs");
  const auto* zs = importing.attributes().get<std::vector<std::string>>("zs");
  std::vector<std::string> names = *xs;
  if (zs != nullptr) names.insert(names.end(), zs->begin(), zs->end());
  if (names.size() != importing.node.inputs.size() || xs->size() != importing.node.outputs.size()) {
    importing.refuse(formatted("it has {} inputs and {} outputs", importing.node.inputs.size(), importing.node.outputs.size()),
                     "it needs an input for each name in xs and zs, and an output for each in xs");
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (find_value(importing, names[i]) != importing.node.inputs[i]) {
      importing.refuse(formatted("input {} is not '{}'", i, names[i]),
                       "derivatives at other values than the graph's are not supported");
    }
  }
  const ValueId y = find_value(importing, importing.attributes().text("y", ""));
  graph::Attributes one;
  one.set("value", Tensor::ones({1}, importing.type_of(y).dtype.value_or(DType::kFloat32)));
  std::map<ValueId, ValueId> gradients;
  gradients[y] = importing.insert("ConstantOfShape", {importing.insert("Shape", {y})}, std::move(one));
  for (size_t at = importing.graph().nodes.size(); at-- > 0;) {
    const auto found = gradients.find(importing.graph().nodes[at].output(0));
    if (found == gradients.end() ||
        std::find(importing.node.inputs.begin(), importing.node.inputs.end(), found->first) != importing.node.inputs.end())
      continue;
    const Node node = importing.graph().nodes[at];  // a copy: more are added on the way
    const std::vector<ValueId> parts = pulled_back(importing, node, found->second);
    for (size_t i = 0; i < parts.size(); ++i) {
      if (node.inputs[i] == kNoValue) continue;
      if (!graph::certainly_equal(importing.type_of(node.inputs[i]).dims, importing.type_of(node.outputs[0]).dims)) {
        importing.refuse(formatted("the derivative goes through {} of different shapes", node.op), "broadcast with Expand first");
      }
      ValueId& sum = gradients.emplace(node.inputs[i], kNoValue).first->second;
      sum = sum == kNoValue ? parts[i] : importing.insert("Add", {sum, parts[i]});
    }
  }
  // One output after the other, the last of them by this node.
  const std::vector<ValueId> inputs = importing.node.inputs, outputs = importing.node.outputs;
  for (size_t i = 0; i < xs->size(); ++i) {
    const auto found = gradients.find(inputs[i]);
    const ValueId result = found != gradients.end() ? found->second : importing.insert("Sub", {inputs[i], inputs[i]});
    if (i + 1 < outputs.size()) {
      importing.insert_as("Identity", {result}, outputs[i]);
    } else {
      importing.node = {"Identity", importing.node.name, {result}, {outputs[i]}};
      return;
    }
  }
}

}  // namespace

std::span<const OnnxOperator> training_rows() {
  static constexpr OnnxOperator kRows[] = {{"Gradient", 1, -1, -1, "xs:S! zs:S y:s!", convert_gradient}};
  return kRows;
}

}  // namespace convoy::onnx
