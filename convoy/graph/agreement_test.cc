// What Comparison says of graphs that were folded, rightly and wrongly.
#include "convoy/graph/agreement.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/graph/infer.h"
#include "convoy/graph/passes/passes.h"
#include "convoy/ops/reparam.h"

namespace convoy::graph {
namespace {

struct Parts {
  Tensor weight, scale, shift, mean, var;
};

Parts drawn() {
  Generator generator(3);
  const auto draw = [&](const Shape& shape) { return randn(shape, DType::kFloat32, &generator); };
  Parts parts{draw({4, 4, 3, 3}), draw({4}), draw({4}), draw({4}), draw({4})};
  for (int64_t c = 0; c < 4; ++c) parts.var.data<float>()[c] = 0.5F + std::abs(parts.var.data<float>()[c]);
  return parts;
}

ValueId push(Graph& graph, Node node, const std::string& output) {
  node.outputs = {graph.add_value(output)};
  graph.nodes.push_back(std::move(node));
  return graph.nodes.back().outputs[0];
}

Graph started() {
  Graph graph;
  graph.inputs = {graph.add_value("x", Type::of(Tensor::zeros({1, 4, 6, 7})))};
  return graph;
}

ValueId conv(Graph& graph, ValueId x, const Tensor& weight, const Tensor& bias, const std::string& output) {
  Node node{.op = "Conv", .name = output + "_node", .inputs = {x, graph.add_constant(output + "_weight", weight)}};
  if (bias.defined()) node.inputs.push_back(graph.add_constant(output + "_bias", bias));
  node.attributes.set("pads", std::vector<int64_t>{1, 1, 1, 1});
  return push(graph, std::move(node), output);
}

ValueId norm(Graph& graph, ValueId x, const Parts& p, bool training, const std::string& output) {
  Node node{.op = "BatchNormalization", .name = output + "_node", .inputs = {x}};
  for (const auto& [name, value] : {std::pair{"scale", p.scale}, {"shift", p.shift}, {"mean", p.mean}, {"var", p.var}})
    node.inputs.push_back(graph.add_constant(name, value));
  if (training) node.attributes.set("training_mode", int64_t{1});
  return push(graph, std::move(node), output);
}

Graph finished(Graph graph, ValueId y) {
  graph.outputs = {y};
  infer(graph);
  return graph;
}

Graph conv_then_norm(const Parts& p, bool training = false) {
  Graph graph = started();
  const ValueId y = norm(graph, conv(graph, graph.inputs[0], p.weight, {}, "c"), p, training, "y");
  return finished(std::move(graph), y);
}

ConvParameters rounded(const ConvParameters& p) { return {p.weight.to(DType::kFloat32), p.bias.to(DType::kFloat32)}; }

Graph one_conv(const ConvParameters& p) {
  Graph graph = started();
  const ValueId y = conv(graph, graph.inputs[0], p.weight, p.bias, "y");
  return finished(std::move(graph), y);
}

GraphAgreement compared(const Graph& before, const Graph& after) {
  Comparison comparison(before, after);
  Generator generator(4);
  for (int i = 0; i < 3; ++i) comparison.run({{"x", randn({1, 4, 6, 7}, DType::kFloat32, &generator)}});
  return comparison.result();
}

TEST(Comparison, WhatThePassesFoldAgrees) {
  const Graph before = conv_then_norm(drawn());
  Graph after = before;
  run_passes(after);
  ASSERT_EQ(after.nodes.size(), 1U);
  const GraphAgreement agreement = compared(before, after);
  EXPECT_TRUE(agreement.agrees);
  EXPECT_GT(agreement.scale, 1);
  ASSERT_EQ(agreement.layers.size(), 1U);
  const LayerAgreement& layer = agreement.layers[0];
  EXPECT_EQ(layer.layer, "c_node");
  EXPECT_EQ(layer.border_outputs, 6 * 7 - 4 * 5);
  EXPECT_EQ(layer.outputs, 6 * 7);
  EXPECT_LT(std::max(layer.border, layer.interior), 5e-6 * layer.scale);
  EXPECT_GT(std::max(layer.border, layer.interior), 0);
}

TEST(Comparison, ZeroPaddingAfterANormalisationDiffersAtTheBorderOnly) {
  const Parts p = drawn();
  Graph before = started();
  const ValueId y = conv(before, norm(before, before.inputs[0], p, false, "n"), p.weight, {}, "y");
  before = finished(std::move(before), y);
  const ChannelAffine affine = ops::batch_norm_affine(p.mean, p.var, p.scale, p.shift, 1e-5);
  const GraphAgreement agreement = compared(before, one_conv(rounded(ops::fold_before(affine, {p.weight, {}}, 1))));
  EXPECT_FALSE(agreement.agrees);
  const LayerAgreement& layer = agreement.layers.at(0);
  EXPECT_GT(layer.border, 1e-2);
  EXPECT_LT(layer.interior, 5e-6 * layer.scale);
  EXPECT_NE(layer.cause.find("only the border differs: the convolution pads with zeros after the batch normalisation"),
            std::string::npos)
      << layer.cause;
  EXPECT_NE(layer.remedy.find("BNAndPad"), std::string::npos);
  EXPECT_NE(layer.remedy.find("without padding"), std::string::npos);
}

TEST(Comparison, OtherWeightsAndTrainingModeAreNamed) {
  const Parts p = drawn();
  const ChannelAffine affine = ops::batch_norm_affine(p.mean, p.var, p.scale, p.shift, 1e-5);
  ConvParameters right = rounded(ops::fold_after({p.weight, {}}, affine));
  EXPECT_TRUE(compared(conv_then_norm(p), one_conv(right)).agrees);
  const GraphAgreement training = compared(conv_then_norm(p, true), one_conv(right));
  EXPECT_FALSE(training.agrees);
  EXPECT_NE(training.layers.at(0).cause.find("training mode"), std::string::npos);
  EXPECT_NE(training.layers.at(0).remedy.find("eval()"), std::string::npos);
  Tensor weight = right.weight;
  weight.data<float>()[5] += 0.5F;
  const GraphAgreement wrong = compared(conv_then_norm(p), one_conv(right));
  EXPECT_FALSE(wrong.agrees);
  EXPECT_NE(wrong.layers.at(0).cause.find("the weights are not those"), std::string::npos);
}

TEST(Comparison, WhatTheOriginalLosesByRoundingIsNoDifference) {
  Parts p = drawn();
  for (int64_t c = 0; c < 4; ++c) {
    p.mean.data<float>()[c] = 1e5F;
    p.var.data<float>()[c] = 1;
  }
  Graph before = started();
  const Tensor bias = Tensor::full({4}, 1e5, DType::kFloat32);
  const ValueId y = norm(before, conv(before, before.inputs[0], p.weight, bias, "c"), p, false, "y");
  before = finished(std::move(before), y);
  Graph after = before;
  run_passes(after);
  const GraphAgreement agreement = compared(before, after);
  EXPECT_TRUE(agreement.agrees);
  EXPECT_GT(agreement.layers.at(0).interior, 1e-4 * agreement.layers[0].scale);
  EXPECT_NE(agreement.layers[0].note.find("rounding"), std::string::npos);
}

TEST(Comparison, GraphsOfDifferentNetworksAreRefused) {
  const Parts p = drawn();
  Graph other = started();
  const ValueId z = conv(other, other.inputs[0], p.weight, {}, "z");
  other = finished(std::move(other), z);
  EXPECT_THROW(compared(conv_then_norm(p), other), Error);
}

}  // namespace
}  // namespace convoy::graph
