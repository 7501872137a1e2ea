#include "convoy/graph/passes/unfolded.h"

#include <gtest/gtest.h>

#include "convoy/graph/infer.h"
#include "convoy/graph/passes/passes.h"

namespace convoy::graph {
namespace {

// x, then layers by name.
class Net {
 public:
  Net() {
    x = graph.add_value("x", Type::of(Tensor::zeros({1, 3, 8, 8})));
    graph.inputs = {x};
  }
  ValueId conv(const std::string& name, ValueId of, const Shape& weight, const std::vector<int64_t>& pads, int64_t stride = 1) {
    Node node{.op = "Conv", .name = name, .inputs = {of, graph.add_constant(graph.unused_name("w"), Tensor::ones(weight))}};
    node.attributes.set("pads", pads);
    node.attributes.set("strides", std::vector<int64_t>{stride, stride});
    return push(std::move(node));
  }
  ValueId norm(const std::string& name, ValueId of, bool training = false) {
    Node node{.op = "BatchNormalization", .name = name, .inputs = {of}};
    for (const char* part : {"scale", "shift", "mean", "var"}) {
      node.inputs.push_back(graph.add_constant(graph.unused_name(part), Tensor::ones({3})));
    }
    node.attributes.set("epsilon", 0.5);
    if (training) node.attributes.set("training_mode", int64_t{1});
    return push(std::move(node));
  }
  ValueId push(Node node) {
    node.outputs = {graph.add_value(graph.unused_name("v"))};
    graph.nodes.push_back(std::move(node));
    return graph.nodes.back().outputs[0];
  }
  // "layer | reason", one line each, after the passes that fold.
  std::string left() {
    infer(graph);
    run_passes(graph, {"activation", "residual"});
    infer(graph);
    std::string text;
    for (const Unfolded& layer : unfolded(graph)) {
      EXPECT_FALSE(layer.remedy.empty());
      text += layer.layer + " | " + layer.reason + " | " + layer.detail + "\n";
    }
    return text;
  }

  Graph graph;
  ValueId x;
};

TEST(Unfolded, NothingIsLeftBehindAConvolution) {
  Net net;
  net.graph.outputs = {net.norm("bn", net.conv("conv", net.x, {3, 3, 3, 3}, {1, 1, 1, 1}))};
  EXPECT_EQ(net.left(), "");
}

TEST(Unfolded, ZeroPaddingBehindANormalisation) {
  Net net;
  net.graph.outputs = {net.conv("conv", net.norm("bn", net.x), {3, 3, 3, 3}, {1, 1, 1, 1})};
  EXPECT_EQ(net.left(),
            "node 'bn' (BatchNormalization) | the convolution behind it pads with zeros, which folding would turn into the shift | "
            "node 'conv' (Conv)\n");
}

TEST(Unfolded, TrainingMode) {
  Net net;
  net.graph.outputs = {net.norm("bn", net.conv("conv", net.x, {3, 3, 1, 1}, {0, 0, 0, 0}), true)};
  EXPECT_EQ(net.left(), "node 'bn' (BatchNormalization) | it is in training mode and takes its statistics from the batch | \n");
}

TEST(Unfolded, AnotherReaderOfTheConvolution) {
  Net net;
  const ValueId conv = net.conv("conv", net.x, {3, 3, 1, 1}, {0, 0, 0, 0});
  net.graph.outputs = {net.norm("bn", conv), conv};
  EXPECT_EQ(net.left(),
            "node 'bn' (BatchNormalization) | others want the output of the layer in front as it is | an output of the network\n");
}

TEST(Unfolded, ComputedWeightsInFront) {
  Net net;
  Node node{.op = "Conv", .name = "conv", .inputs = {net.x, net.graph.add_value("w", Type::of(Tensor::zeros({3, 3, 1, 1})))}};
  net.graph.inputs.push_back(node.inputs[1]);
  net.graph.outputs = {net.norm("bn", net.push(std::move(node)))};
  EXPECT_EQ(net.left(),
            "node 'bn' (BatchNormalization) | the weight or bias of the layer in front is computed | node 'conv' (Conv)\n");
}

TEST(Unfolded, MisalignedBranches) {
  Net net;
  const ValueId large = net.conv("large", net.x, {3, 3, 5, 5}, {0, 0, 4, 4});
  const ValueId small = net.conv("small", net.x, {3, 3, 3, 3}, {2, 2, 0, 0});
  net.graph.outputs = {net.push({.op = "Add", .name = "sum", .inputs = {large, small}})};
  EXPECT_EQ(
      net.left(),
      "node 'large' (Conv) and node 'small' (Conv) | misaligned branches: the smaller kernel does not lie inside the larger one | "
      "node 'sum' (Add)\n");
}

TEST(Unfolded, ACrossIsCheaperThanItsSquare) {
  Net net;
  const ValueId row = net.conv("row", net.x, {3, 3, 1, 3}, {0, 1, 0, 1}),
                column = net.conv("column", net.x, {3, 3, 3, 1}, {1, 0, 1, 0});
  net.graph.outputs = {net.push({.op = "Add", .name = "sum", .inputs = {row, column}})};
  EXPECT_EQ(
      net.left(),
      "node 'row' (Conv) and node 'column' (Conv) | one kernel that covers both would have more taps than they have together | "
      "node 'sum' (Add)\n");
}

}  // namespace
}  // namespace convoy::graph
