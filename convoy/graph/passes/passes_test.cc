// Every pass on a small network built here: it finds what it is for, and the numbers stay what they were.
#include "convoy/graph/passes/passes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "convoy/core/accuracy.h"
#include "convoy/core/elementwise.h"
#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/graph/executor.h"
#include "convoy/graph/infer.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/graph/summary.h"
#include "convoy/kernels/conv/conv_inverted_residual.h"
#include "convoy/kernels/machine.h"
#include "convoy/shape/descriptor.h"

namespace convoy::graph {
namespace {

// A graph with one input "x", written down node by node.
class Net {
 public:
  explicit Net(const Shape& shape) {
    x = graph.add_value("x", {Type::Kind::kTensor, DType::kFloat32, dims_of(shape)});
    graph.inputs = {x};
    generator_.manual_seed(3);
  }

  ValueId numbers(const Shape& shape) { return graph.add_constant(fresh(), randn(shape, DType::kFloat32, &generator_)); }
  ValueId positive(const Shape& shape) {
    Tensor t = rand(shape, DType::kFloat32, &generator_);
    for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] += 0.5f;
    return graph.add_constant(fresh(), t);
  }
  ValueId number(double value) { return graph.add_constant(fresh(), Tensor::scalar(value)); }
  ValueId integers(const std::vector<int64_t>& values) {
    return graph.add_constant(fresh(), Tensor::from(values, {static_cast<int64_t>(values.size())}));
  }
  ValueId add(const std::string& op, std::vector<ValueId> inputs, const std::map<std::string, Attribute>& attributes = {}) {
    const ValueId out = graph.add_value(fresh());
    Node node{op, "", std::move(inputs), {out}};
    for (const auto& [name, value] : attributes) node.attributes.set(name, value);
    graph.nodes.push_back(std::move(node));
    return out;
  }
  ValueId conv(ValueId in, int64_t from, int64_t to, int64_t kernel, int64_t pad = 0, int64_t groups = 1, bool bias = true) {
    std::vector<ValueId> inputs{in, numbers({to, from / groups, kernel, kernel})};
    if (bias) inputs.push_back(numbers({to}));
    return add("Conv", inputs, {{"pads", std::vector<int64_t>(4, pad)}, {"group", groups}});
  }
  ValueId batch_norm(ValueId in, int64_t channels) {
    return add("BatchNormalization", {in, numbers({channels}), numbers({channels}), numbers({channels}), positive({channels})},
               {{"epsilon", 1e-3}});
  }

  Graph graph;
  ValueId x = kNoValue;

 private:
  std::string fresh() { return "v" + std::to_string(count_++); }
  Generator generator_;
  int count_ = 0;
};

struct Outcome {
  std::map<std::string, int> changed;
  std::multiset<std::string> ops;
  Graph graph;
};

// Every pass without room for one more value: the first that it adds moves them all.
Graph rewritten_tightly(Graph graph, const std::vector<std::string>& off) {
  infer(graph);
  for (int round = 0; round < 2; ++round) {
    for (const Pass& pass : passes()) {
      if (std::find(off.begin(), off.end(), pass.name) != off.end()) continue;
      graph.values.shrink_to_fit();
      if (pass.run(graph) == 0) continue;
      graph.remove_unused();
      infer(graph);
    }
  }
  return graph;
}

// Runs the network as written (node by node, shapes unknown to it) and rewritten, planned and node by node, and compares.
Outcome same_numbers(Net& net, std::vector<ValueId> outputs, const std::vector<std::string>& off = {}, double tolerance = 2e-5) {
  net.graph.outputs = std::move(outputs);
  Graph rewritten = net.graph;
  infer(rewritten);
  Outcome outcome;
  for (const PassResult& result : run_passes(rewritten, off)) outcome.changed[std::string(result.name)] = result.count;
  for (const Node& node : rewritten.nodes) outcome.ops.insert(node.op);
  outcome.graph = rewritten;
  const Executor before(net.graph, {.planned = false}), after(rewritten);
  const Shape shape = *net.graph.value(net.x).type.shape();
  Generator generator;
  const Tensor input = randn(shape, DType::kFloat32, &generator);
  const Executor by_node(rewritten, {.planned = false}), tight(rewritten_tightly(net.graph, off));
  for (const Executor* executor : {&after, &after, &by_node, &tight}) {
    const Values expected = before.run({{"x", input}}), got = executor->run({{"x", input}});
    EXPECT_EQ(expected.size(), got.size());
    for (const auto& [name, value] : expected) {
      const Tensor &a = value.tensor(), &b = got.at(name).tensor();
      EXPECT_EQ(a.shape(), b.shape());
      double largest = 0, apart = 0;
      for (int64_t i = 0; i < a.numel(); ++i) {
        largest = std::max(largest, std::abs(a.at(i)));
        apart = std::isnan(a.at(i)) != std::isnan(b.at(i)) ? INFINITY : std::max(apart, std::abs(a.at(i) - b.at(i)));
      }
      EXPECT_LE(apart, tolerance * std::max(largest, 1.0)) << name;
    }
  }
  return outcome;
}

TEST(Passes, ListHasNamesAndSaysWhichThereAreNot) {
  std::set<std::string_view> names;
  for (const Pass& pass : passes()) {
    EXPECT_TRUE(names.insert(pass.name).second) << pass.name;
    EXPECT_FALSE(pass.what.empty());
  }
  Net net({1, 2, 3, 3});
  net.graph.outputs = {net.add("Relu", {net.x})};
  EXPECT_THROW(run_passes(net.graph, {"no_such_pass"}), ValueError);
}

TEST(Passes, FoldsNodesOfConstants) {
  Net net({2, 3, 4, 4});
  const ValueId sum = net.add("Add", {net.numbers({3, 1, 1}), net.numbers({3, 1, 1})});
  const ValueId y = net.add("Mul", {net.x, net.add("Exp", {sum})});
  const Outcome on = same_numbers(net, {y});
  EXPECT_EQ(on.changed.at("constants"), 2);
  EXPECT_EQ(on.ops, (std::multiset<std::string>{"Mul"}));
  EXPECT_EQ(same_numbers(net, {y}, {"constants"}).ops.size(), 3u);
}

TEST(Passes, FoldedConstantsStayWithinABound) {
  Net net({2, 3, 4, 4});
  const ValueId four = net.add("Exp", {net.numbers({1000})});
  net.graph.outputs = {net.add("Tanh", {four})};
  infer(net.graph);
  Graph copy = net.graph;
  FoldingRoom room{7999, 1e6};
  try {
    fold_constants_within(copy, room);
    FAIL() << "not refused";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("(Exp) that makes '" + net.graph.value(four).name + "': value '" +
                                         net.graph.value(four).name + "' of 4000 bytes"),
              std::string::npos)
        << e.what();
  }
  room = {8000, 1e6};
  EXPECT_EQ(fold_constants_within(net.graph, room), 2);  // what the first was made of is gone when the second is
}

// A few numbers can stand for hours: what would take them is left for the run.
TEST(Passes, FoldingStaysWithinItsWork) {
  const auto folded = [](const std::string& op, const Shape& a, const Shape& b,
                         const std::map<std::string, Attribute>& attributes) {
    Net net({1});
    const ValueId made =
        b.empty() ? net.add(op, {net.numbers(a)}, attributes) : net.add(op, {net.numbers(a), net.numbers(b)}, attributes);
    net.graph.outputs = {net.add("Mul", {net.x, made})};
    infer(net.graph);
    return fold_constants(net.graph);
  };
  using Ints = std::vector<int64_t>;
  EXPECT_EQ(folded("Conv", {1, 1, 40, 40}, {1, 1, 40, 40}, {{"pads", Ints(4, 39)}}), 1);
  EXPECT_EQ(folded("Conv", {1, 1, 256, 256}, {1, 1, 256, 256}, {{"pads", Ints(4, 255)}}), 0);
  EXPECT_EQ(folded("ConvTranspose", {1, 1, 256, 256}, {1, 1, 256, 256}, {}), 0);
  EXPECT_EQ(folded("MatMul", {300, 300}, {300, 300}, {}), 1);
  EXPECT_EQ(folded("MatMul", {10, 1000, 1000}, {1000, 1000}, {}), 0);
  EXPECT_EQ(folded("Einsum", {500, 500}, {500, 500}, {{"equation", std::string("ij,kl->jl")}}), 0);
  EXPECT_EQ(folded("MaxPool", {1, 1, 400, 400}, {}, {{"kernel_shape", Ints(2, 100)}, {"pads", Ints(4, 50)}}), 0);

  // One room for all turns, and what is read counts too.
  Net net({1});
  net.graph.outputs = {net.add("Mul", {net.x, net.add("ReduceMax", {net.numbers({250000})})})};
  infer(net.graph);
  FoldingRoom room = folding_room(net.graph);
  const double before = room.work;
  Graph copy = net.graph;
  EXPECT_EQ(fold_constants_within(copy, room), 1);
  EXPECT_LE(room.work, before - 1e6);
  room.work = 1e6 - 1;
  EXPECT_EQ(fold_constants_within(net.graph, room), 0);
}

TEST(Passes, RemovesNoOps) {
  Net net({2, 3, 4, 4});
  const ValueId a = net.add("Identity", {net.x}), b = net.add("Relu", {a}), c = net.add("Dropout", {b});
  const ValueId d = net.add("Transpose", {c}, {{"perm", std::vector<int64_t>{0, 2, 3, 1}}});
  const ValueId e = net.add("Transpose", {d}, {{"perm", std::vector<int64_t>{0, 3, 1, 2}}});
  const ValueId f = net.add("Pad", {e, net.integers(std::vector<int64_t>(8, 0))});
  const ValueId g = net.add("Reshape", {f, net.integers({2, 3, 16})}), h = net.add("Reshape", {g, net.integers({2, 3, 4, 4})});
  const ValueId y = net.add("Sigmoid", {h});
  const Outcome on = same_numbers(net, {y});
  EXPECT_EQ(on.ops, (std::multiset<std::string>{"Relu", "Sigmoid"}));
  EXPECT_EQ(same_numbers(net, {y}, {"no_ops", "channels_first"}).ops.size(), 9u);
}

TEST(Passes, AnOutputKeepsItsNameWhenWhatMadeItGoes) {
  Net net({1, 2, 3, 3});
  const ValueId y = net.add("Identity", {net.add("Relu", {net.x})}), z = net.add("Identity", {net.x});
  const Outcome on = same_numbers(net, {y, z});  // compares by name
  EXPECT_EQ(on.ops.count("Relu"), 1u);
}

TEST(Passes, FoldsShapes) {
  Net net({2, 6, 4, 4});
  const ValueId shape = net.add("Shape", {net.x});
  const ValueId channels = net.add("Gather", {shape, net.integers({1})}, {{"axis", int64_t{0}}});
  const ValueId half = net.add("Div", {channels, net.integers({2})});
  const ValueId y = net.add("Slice", {net.x, net.integers({0}), half, net.integers({1})});
  const Outcome on = same_numbers(net, {y});
  EXPECT_EQ(on.ops, (std::multiset<std::string>{"Slice"}));
}

TEST(Passes, BatchNormGoesIntoTheConvolutionBefore) {
  Net net({3, 4, 6, 6});
  const ValueId y = net.batch_norm(net.conv(net.x, 4, 6, 3, 1, 2, false), 6);
  EXPECT_EQ(same_numbers(net, {y}).ops, (std::multiset<std::string>{"Conv"}));
  EXPECT_EQ(same_numbers(net, {y}, {"channel_affine"}).ops, (std::multiset<std::string>{"Conv", "ChannelAffine"}));
  EXPECT_EQ(same_numbers(net, {y}, {"batch_norm"}).ops, (std::multiset<std::string>{"BatchNormalization", "Conv"}));
}

TEST(Passes, InfiniteFactorsStayBehindTheSum) {
  for (const auto& [op, number] : {std::pair("Div", 0.0), std::pair("Mul", double{INFINITY}), std::pair("Div", 1e-40)}) {
    Net net({1, 4, 3, 3});
    const ValueId y = net.add("Tanh", {net.add(op, {net.conv(net.x, 4, 6, 1), net.number(number)})});
    EXPECT_EQ(same_numbers(net, {y}).ops.size(), 3u) << op << " " << number;
  }
}

TEST(Passes, BatchNormGoesIntoTheConvolutionBehindUnlessThatPads) {
  for (const int64_t pad : {0, 1}) {
    Net net({2, 4, 6, 6});
    const ValueId y = net.conv(net.batch_norm(net.x, 4), 4, 6, 3, pad);
    EXPECT_EQ(same_numbers(net, {y}).ops.size(), pad == 0 ? 1u : 2u);
  }
}

TEST(Passes, BatchNormGoesIntoTransposedConvolutions) {
  Net net({2, 4, 5, 5});
  const ValueId up = net.add("ConvTranspose", {net.x, net.numbers({4, 3, 2, 2})},
                             {{"strides", std::vector<int64_t>{2, 2}}, {"group", int64_t{2}}});
  const ValueId y = net.add("Relu", {net.batch_norm(up, 6)});
  EXPECT_EQ(same_numbers(net, {y}).ops, (std::multiset<std::string>{"FusedConvTranspose"}));
}

TEST(Passes, BatchNormStaysWhereSomebodyElseReads) {
  Net net({2, 4, 6, 6});
  const ValueId c = net.conv(net.x, 4, 4, 1);
  const ValueId y = net.batch_norm(c, 4);
  EXPECT_EQ(same_numbers(net, {y, c}).ops.size(), 2u);
}

TEST(Passes, NumbersPerChannelGoIntoConvolutions) {
  Net net({2, 4, 6, 6});
  ValueId y = net.conv(net.x, 4, 6, 1);
  y = net.add("Mul", {net.numbers({6, 1, 1}), y});
  y = net.add("Sub", {net.numbers({1, 6, 1, 1}), y});
  y = net.add("Div", {y, net.number(3)});
  EXPECT_EQ(same_numbers(net, {y}).ops, (std::multiset<std::string>{"Conv"}));
  Net other({2, 4, 6, 6});  // per column: not per channel
  const ValueId z = other.add("Mul", {other.conv(other.x, 4, 6, 1), other.numbers({6})});
  EXPECT_EQ(same_numbers(other, {z}).ops.size(), 2u);
}

TEST(Passes, LinearLayers) {
  Net net({3, 8});
  ValueId y = net.add("Gemm", {net.x, net.numbers({8, 5}), net.numbers({5})}, {{"alpha", 0.5}, {"beta", 2.0}});
  y = net.add("Add", {net.numbers({7}), net.add("MatMul", {y, net.numbers({5, 7})})});
  y = net.add("Relu", {y});
  EXPECT_EQ(same_numbers(net, {y}).ops, (std::multiset<std::string>{"Linear", "Linear"}));
  EXPECT_EQ(same_numbers(net, {y}, {"linear"}).ops.count("Gemm"), 1u);
}

TEST(Passes, ActivationsGoIntoWhatMakesTheirInput) {
  for (const std::string op : {"Relu", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "Gelu", "Mish"}) {
    Net net({2, 4, 5, 5});
    const ValueId y = net.add(op, {net.conv(net.x, 4, 6, 3, 1)});
    EXPECT_EQ(same_numbers(net, {y}).ops, (std::multiset<std::string>{"FusedConv"})) << op;
    EXPECT_EQ(same_numbers(net, {y}, {"activation"}).ops.count("Conv"), 1u) << op;
  }
  Net net({2, 4, 5, 5});
  const ValueId y = net.add("Clip", {net.conv(net.x, 4, 6, 3, 1), net.number(0), net.number(6)});
  EXPECT_EQ(same_numbers(net, {y}).ops, (std::multiset<std::string>{"FusedConv"}));
}

TEST(Passes, ActivationsSpelledOut) {
  const auto one = [](const auto& build, Activation expected) {
    Net net({2, 4, 5, 5});
    const ValueId x = net.add("Mul", {net.x, net.number(3)});
    const ValueId y = build(net, x);
    const Outcome on = same_numbers(net, {y});
    EXPECT_EQ(on.ops, (std::multiset<std::string>{"Activation", "Mul"}));
    for (const Node& node : on.graph.nodes) {
      if (node.op != "Activation") continue;
      EXPECT_EQ(node.attributes.integer("activation", -1), static_cast<int64_t>(expected));
    }
    EXPECT_GT(same_numbers(net, {y}, {"activation_patterns"}).ops.size(), 2u);
  };
  const auto plus = [](Net& n, ValueId x, double c) { return n.add("Add", {x, n.number(c)}); };
  const auto times = [](Net& n, ValueId x, double c) { return n.add("Mul", {x, n.number(c)}); };
  const auto clip6 = [](Net& n, ValueId x) { return n.add("Clip", {x, n.number(0), n.number(6)}); };
  const auto erf = [&](Net& n, ValueId x) { return plus(n, n.add("Erf", {n.add("Div", {x, n.number(std::sqrt(2.0))})}), 1); };
  one([](Net& n, ValueId x) { return n.add("Mul", {n.add("Sigmoid", {x}), x}); }, Activation::kSilu);
  one(
      [](Net& n, ValueId x) {
        return n.add("Mul", {x, n.add("HardSigmoid", {x}, {{"alpha", 0.1666666716337204}, {"beta", 0.5}})});
      },
      Activation::kHardswish);
  one(
      [&](Net& n, ValueId x) {
        return n.add("Mul", {x, n.add("Div", {clip6(n, plus(n, x, 3)), n.number(6)})});
      },
      Activation::kHardswish);
  one([&](Net& n, ValueId x) { return times(n, n.add("Mul", {x, clip6(n, plus(n, x, 3))}), 1.0 / 6); }, Activation::kHardswish);
  one([&](Net& n, ValueId x) { return n.add("Div", {clip6(n, plus(n, x, 3)), n.number(6)}); }, Activation::kHardsigmoid);
  one([](Net& n, ValueId x) { return n.add("Mul", {x, n.add("Tanh", {n.add("Softplus", {x})})}); }, Activation::kMish);
  one([&](Net& n, ValueId x) { return times(n, n.add("Mul", {x, erf(n, x)}), 0.5); }, Activation::kGelu);
  one([&](Net& n, ValueId x) { return n.add("Mul", {times(n, x, 0.5), erf(n, x)}); }, Activation::kGelu);
  one([&](Net& n, ValueId x) { return n.add("Mul", {x, times(n, erf(n, x), 0.5)}); }, Activation::kGelu);
}

TEST(Passes, SumsGoIntoTheConvolution) {
  Net net({2, 4, 5, 5});
  const ValueId a = net.conv(net.x, 4, 4, 3, 1), b = net.conv(net.add("Relu", {a}), 4, 4, 1);
  const ValueId y = net.add("Relu", {net.add("Add", {a, b})});
  EXPECT_EQ(same_numbers(net, {y}).ops, (std::multiset<std::string>{"Conv", "FusedConv", "Relu"}));
  EXPECT_EQ(same_numbers(net, {y}, {"residual"}).ops.count("Add"), 1u);
  Net broad({2, 4, 5, 5});  // a sum that broadcasts is another thing
  const ValueId z = broad.add("Add", {broad.conv(broad.x, 4, 4, 5), broad.conv(broad.x, 4, 4, 1)});
  EXPECT_EQ(same_numbers(broad, {z}).ops.count("Add"), 1u);
}

TEST(Passes, PadGoesIntoConvolutionsAndPools) {
  Net net({2, 3, 6, 6});
  const ValueId padded = net.add("Pad", {net.x, net.integers({0, 0, 1, 0, 0, 0, 2, 1})});
  const ValueId y = net.conv(padded, 3, 4, 3, 1),
                z = net.add("AveragePool", {padded}, {{"kernel_shape", std::vector<int64_t>{3, 3}}});
  EXPECT_EQ(same_numbers(net, {y, z}).ops, (std::multiset<std::string>{"AveragePool", "Conv"}));
  EXPECT_EQ(same_numbers(net, {y, z}, {"pad"}).ops.count("Pad"), 1u);
  Net empty({2, 3, 0, 6});  // padded it is a picture, but convolutions refuse what has no size
  const ValueId from = empty.add("Pad", {empty.x, empty.integers({0, 0, 2, 0, 0, 0, 1, 0})});
  EXPECT_EQ(same_numbers(empty, {empty.conv(from, 3, 4, 3)}).ops.count("Pad"), 1u);
}

TEST(Passes, AveragePoolsGoInFrontOfPointwiseConvolutions) {
  const auto pool = [](Net& net, ValueId v, int64_t stride, int64_t pad) {
    return net.add("AveragePool", {v},
                   {{"kernel_shape", std::vector<int64_t>{3, 2}},
                    {"strides", std::vector<int64_t>{stride, stride}},
                    {"pads", std::vector<int64_t>(4, pad)}});
  };
  const auto order = [](const Outcome& outcome) {
    std::vector<std::string> ops;
    for (const Node& node : outcome.graph.nodes) ops.push_back(node.op);
    return ops;
  };
  const std::vector<std::string> moved{"AveragePool", "FusedConv"}, kept{"Conv", "AveragePool", "Relu"};
  for (const int64_t groups : {1, 3}) {
    Net net({3, 6, 7, 9});
    const ValueId y = net.add("Relu", {pool(net, net.conv(net.x, 6, 36, 1, 0, groups), 2, 0)});
    EXPECT_EQ(order(same_numbers(net, {y})), moved);
    EXPECT_EQ(order(same_numbers(net, {y}, {"average_pool_first"})), kept);
  }
  const auto stays = [&](int64_t channels, int64_t kernel, int64_t stride, int64_t pad) {
    Net net({2, 6, 7, 9});
    const ValueId y = net.add("Relu", {pool(net, net.conv(net.x, 6, channels, kernel), stride, pad)});
    return order(same_numbers(net, {y})) == kept;
  };
  EXPECT_TRUE(stays(36, 3, 2, 0));  // the kernel sees more than one position
  EXPECT_TRUE(stays(36, 1, 1, 0));  // as many positions as before
  EXPECT_TRUE(stays(36, 1, 2, 1));  // windows at the border average fewer values
  EXPECT_TRUE(stays(8, 1, 2, 0));   // too few multiplications to save
  Net net({1, 6, 7, 9});
  const ValueId conv = net.conv(net.x, 6, 36, 1), y = pool(net, conv, 2, 0);
  EXPECT_EQ(order(same_numbers(net, {y, conv})).front(), "Conv");  // somebody else wants what lies between
  EXPECT_EQ(order(same_numbers(net, {net.add("GlobalAveragePool", {conv})})).front(), "GlobalAveragePool");
}

TEST(Passes, LayerNormSpelledOutBetweenTransposes) {
  Net net({2, 6, 4, 5});
  const ValueId last = net.add("Transpose", {net.x}, {{"perm", std::vector<int64_t>{0, 2, 3, 1}}});
  const auto mean = [&](ValueId v) { return net.add("ReduceMean", {v, net.integers({-1})}); };
  const ValueId d = net.add("Sub", {last, mean(last)});
  const ValueId root = net.add("Sqrt", {net.add("Add", {mean(net.add("Pow", {d, net.number(2)})), net.number(1e-6)})});
  ValueId v = net.add("Add", {net.add("Mul", {net.add("Div", {d, root}), net.numbers({6})}), net.numbers({6})});
  v = net.add("Add", {net.numbers({9}), net.add("MatMul", {v, net.numbers({6, 9})})});
  v = net.add("MatMul", {net.add("Relu", {v}), net.numbers({9, 6})});
  const ValueId y = net.add("Transpose", {v}, {{"perm", std::vector<int64_t>{0, 3, 1, 2}}});
  const ValueId z = net.add("Add", {y, net.x});
  EXPECT_EQ(same_numbers(net, {z}).ops, (std::multiset<std::string>{"ChannelLayerNorm", "FusedConv", "FusedConv"}));
  EXPECT_EQ(same_numbers(net, {z}, {"channels_first"}).ops.count("LayerNormalization"), 1u);
  EXPECT_EQ(same_numbers(net, {z}, {"layer_norm_pattern"}).ops.count("Sqrt"), 1u);
}

// Of three axes the transpose there is the transpose back.
TEST(Passes, ChannelsOfSequencesAreMovedAndMovedBack) {
  const auto moved = [](Net& net, ValueId v) { return net.add("Transpose", {v}, {{"perm", std::vector<int64_t>{0, 2, 1}}}); };
  Net net({2, 6, 5});
  ValueId v = net.add("LayerNormalization", {moved(net, net.x), net.numbers({6}), net.numbers({6})});
  v = net.add("Relu", {net.add("MatMul", {v, net.numbers({6, 4})})});
  const ValueId between = net.add("Add", {moved(net, v), net.numbers({4, 1})});
  const ValueId y = moved(net, net.add("MatMul", {moved(net, between), net.numbers({4, 7})}));
  EXPECT_EQ(same_numbers(net, {y}).ops, (std::multiset<std::string>{"ChannelLayerNorm", "FusedConv", "Conv"}));
  EXPECT_EQ(same_numbers(net, {moved(net, between)}).ops.count("Transpose"), 1u);
  EXPECT_EQ(same_numbers(net, {moved(net, moved(net, between))}).ops.count("Transpose"), 0u);
  Net empty({2, 6, 0});  // nothing, but not for convolutions
  EXPECT_EQ(same_numbers(empty, {moved(empty, empty.add("MatMul", {moved(empty, empty.x), empty.numbers({6, 4})}))}).ops.size(),
            3u);
}

TEST(Passes, ExpansionsGoIntoTheDepthwiseConvolution) {
  if (!kernels::has_vectors()) GTEST_SKIP() << "needs vectors";
  for (const int64_t stride : {1, 2}) {
    Net net({2, 8, 15, 13});
    const ValueId expanded = net.add("Clip", {net.conv(net.x, 8, 40, 1), net.number(0), net.number(6)});
    const ValueId depthwise =
        net.add("Conv", {expanded, net.numbers({40, 1, 3, 3})},
                {{"pads", std::vector<int64_t>(4, 1)}, {"group", int64_t{40}}, {"strides", std::vector<int64_t>(2, stride)}});
    const ValueId y = net.conv(net.add("HardSwish", {depthwise}), 40, 8, 1);
    EXPECT_EQ(same_numbers(net, {y}, {"inverted_residual"}).ops, (std::multiset<std::string>{"ExpandDepthwise", "Conv"}));
    EXPECT_EQ(same_numbers(net, {y}, {"expand_depthwise", "inverted_residual"}).ops,
              (std::multiset<std::string>{"FusedConv", "FusedConv", "Conv"}));
    EXPECT_EQ(same_numbers(net, {y, expanded}).ops.count("ExpandDepthwise"), 0u);  // somebody else wants what lies between
  }
}

// The values of a graph's only output, planned.
std::vector<float> values_of(const Graph& graph, const Shape& input) {
  Generator generator;
  const Values got = Executor(graph).run({{"x", randn(input, DType::kFloat32, &generator)}});
  return got.begin()->second.tensor().to_vector<float>();
}

TEST(Passes, PoolsByTwoGoIntoTheConvolutionInFront) {
  if (!kernels::has_vectors()) GTEST_SKIP() << "needs vectors";
  const Shape shape{3, 16, 30, 23};
  const std::map<std::string, Attribute> by_two{{"kernel_shape", std::vector<int64_t>{2, 2}},
                                                {"strides", std::vector<int64_t>{2, 2}}};
  for (const std::string op : {"MaxPool", "AveragePool"}) {
    for (const std::string activation : {"", "Relu", "Clip"}) {
      Net net(shape);
      ValueId map = net.batch_norm(net.conv(net.x, 16, 20, 3, 1), 20);
      if (activation == "Relu") map = net.add("Relu", {map});
      if (activation == "Clip") map = net.add("Clip", {map, net.number(-0.5), net.number(0.5)});
      const ValueId y = net.add(op, {map}, by_two);
      const Outcome on = same_numbers(net, {y}, {}, 1e-4);
      EXPECT_EQ(on.ops, (std::multiset<std::string>{"PooledConv"}));
      EXPECT_EQ(on.graph.value(on.graph.outputs[0]).type.shape(), (Shape{3, 20, 15, 11}));
      const Outcome off = same_numbers(net, {y}, {"pool"}, 1e-4);
      EXPECT_EQ(off.ops, (std::multiset<std::string>{activation.empty() ? "Conv" : "FusedConv", op}));
      EXPECT_EQ(values_of(on.graph, shape), values_of(off.graph, shape));
      EXPECT_EQ(same_numbers(net, {y, map}, {}, 1e-4).ops, on.ops);  // somebody else wants what is pooled
      EXPECT_EQ(same_numbers(net, {y, net.add("Exp", {map})}, {}, 1e-4).ops, (std::multiset<std::string>{"PooledConv", "Exp"}));
      // A plan made later for another accuracy has an algorithm that does not pool.
      const Accuracy before = accuracy();
      set_accuracy(Accuracy::kStrict);
      EXPECT_EQ(values_of(on.graph, shape), values_of(off.graph, shape));
      EXPECT_EQ(same_numbers(net, {y}, {}, 1e-4).ops, off.ops);
      set_accuracy(before);
    }
  }
}

TEST(Passes, APooledConvolutionMayHaveNoBias) {
  if (!kernels::has_vectors()) GTEST_SKIP() << "needs vectors";
  const Shape shape{2, 16, 20, 33};
  Net net(shape);
  const ValueId pooled = net.add("MaxPool", {net.conv(net.x, 16, 32, 3, 1, 1, false)},
                                 {{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}});
  const ValueId y = net.conv(pooled, 32, 8, 1);
  const Outcome on = same_numbers(net, {y}, {}, 1e-4), off = same_numbers(net, {y}, {"pool"}, 1e-4);
  EXPECT_EQ(on.ops, (std::multiset<std::string>{"PooledConv", "Conv"}));
  EXPECT_EQ(values_of(on.graph, shape), values_of(off.graph, shape));
}

TEST(Passes, APooledConvolutionCountsTheSameWorkAndSeesAsFar) {
  if (!kernels::has_vectors()) GTEST_SKIP() << "needs vectors";
  Net net({1, 16, 30, 23});
  const ValueId map = net.conv(net.x, 16, 20, 3, 1);
  const ValueId pooled =
      net.add("MaxPool", {map}, {{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}});
  net.graph.outputs = {net.conv(pooled, 20, 8, 3, 1)};
  infer(net.graph);
  const auto total = [](const Graph& graph) {
    double macs = 0;
    const std::vector<LayerSummary> layers = summarize(graph, infer_types(graph, {}));
    for (const LayerSummary& layer : layers) macs += layer.macs.value();
    return std::pair(macs, layers.back().receptive_field);
  };
  Graph rewritten = net.graph;
  run_passes(rewritten);
  ASSERT_EQ(rewritten.nodes.size(), 2u);
  EXPECT_EQ(total(rewritten), total(net.graph));
}

TEST(Summary, AScalarBesideAMapIsNoMap) {  // its last axis was read
  Net net({1, 3, 8, 8});
  net.graph.outputs = {net.add("CastLike", {net.number(1), net.x})};
  infer(net.graph);
  EXPECT_EQ(summarize(net.graph, infer_types(net.graph, {})).at(0).receptive_field, 0);
}

TEST(Passes, OtherPoolsStay) {
  if (!kernels::has_vectors()) GTEST_SKIP() << "needs vectors";
  const auto pooled = [](const std::string& between, std::map<std::string, Attribute> windows, int64_t kernel = 3) {
    Net net({1, 16, 22, 21});
    ValueId map = net.conv(net.x, 16, 16, kernel, kernel / 2);
    if (between == "Add") map = net.add("Relu", {net.add("Add", {map, net.add("Exp", {net.x})})});
    if (between == "Sigmoid") map = net.add("Sigmoid", {map});
    windows.insert({{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}});
    return same_numbers(net, {net.add("MaxPool", {map}, windows)}).ops.count("PooledConv");
  };
  EXPECT_EQ(pooled("", {}), 1u);
  EXPECT_EQ(pooled("", {}, 1), 0u);      // an algorithm without tiles of whole windows
  EXPECT_EQ(pooled("Add", {}), 0u);      // a residual
  EXPECT_EQ(pooled("Sigmoid", {}), 0u);  // more than a clamp
  EXPECT_EQ(pooled("", {{"ceil_mode", int64_t{1}}}), 0u);
  EXPECT_EQ(pooled("", {{"kernel_shape", std::vector<int64_t>{3, 3}}}), 0u);
  EXPECT_EQ(pooled("", {{"strides", std::vector<int64_t>{2, 1}}}), 0u);
  EXPECT_EQ(pooled("", {{"pads", std::vector<int64_t>{0, 1, 0, 0}}}), 0u);
}

TEST(Passes, InvertedResidualsWithSqueezeAndExcitationRunAsOne) {
  kernels::InvertedResidualShape shape;
  shape.expand = *shape::parse_descriptor("ic9 oc40 ih15 iw23 k1");
  shape.depthwise = *shape::parse_descriptor("ic40 oc40 g40 ih15 iw23 k3 p1");
  shape.project = *shape::parse_descriptor("ic40 oc11 ih15 iw23 k1");
  shape.squeezed = 7;
  if (!kernels::prefers_inverted_residual(shape)) GTEST_SKIP() << "not on this machine";
  Net net({2, 9, 15, 23});
  const ValueId expanded = net.add("HardSwish", {net.conv(net.x, 9, 40, 1)});
  const ValueId depthwise = net.add("HardSwish", {net.conv(expanded, 40, 40, 3, 1, 40)});
  const ValueId narrow = net.add("Relu", {net.conv(net.add("GlobalAveragePool", {depthwise}), 40, 7, 1)});
  const ValueId gated = net.add("Mul", {depthwise, net.add("HardSigmoid", {net.conv(narrow, 7, 40, 1)})});
  const ValueId y = net.conv(gated, 40, 11, 1);
  EXPECT_EQ(same_numbers(net, {y}).ops, (std::multiset<std::string>{"InvertedResidual"}));
  EXPECT_EQ(same_numbers(net, {y}, {"inverted_residual"}).ops,
            (std::multiset<std::string>{"ExpandDepthwise", "SqueezeExcite", "Conv"}));
  EXPECT_EQ(same_numbers(net, {y}, {"squeeze_excite"}).ops.count("InvertedResidual"), 0u);
}

TEST(Passes, InvertedResidualsRunAsOne) {
  kernels::InvertedResidualShape shape;
  shape.expand = *shape::parse_descriptor("ic9 oc40 ih15 iw23 k1");
  for (const int64_t stride : {1, 2}) {
    shape.depthwise = *shape::parse_descriptor("ic40 oc40 g40 ih15 iw23 k5 p2 s" + std::to_string(stride));
    shape.project.in_channels = 40;
    shape.project.out_channels = 9;
    shape.project.input = shape.depthwise.output;
    shape.project = *shape::complete(shape.project);
    if (!kernels::prefers_inverted_residual(shape)) GTEST_SKIP() << "not on this machine";
    Net net({2, 9, 15, 23});
    const ValueId expanded = net.add("Clip", {net.conv(net.x, 9, 40, 1), net.number(0), net.number(6)});
    const ValueId depthwise = net.add(
        "HardSwish",
        {net.add("Conv", {expanded, net.numbers({40, 1, 5, 5}), net.numbers({40})},
                 {{"pads", std::vector<int64_t>(4, 2)}, {"group", int64_t{40}}, {"strides", std::vector<int64_t>(2, stride)}})});
    const ValueId projected = net.conv(depthwise, 40, 9, 1, 0, 1, false);
    const ValueId y = net.add("Relu", {stride == 1 ? net.add("Add", {net.x, projected}) : projected});
    EXPECT_EQ(same_numbers(net, {y}).ops, (std::multiset<std::string>{"InvertedResidual"}));
    EXPECT_EQ(same_numbers(net, {y}, {"inverted_residual"}).ops, (std::multiset<std::string>{"ExpandDepthwise", "FusedConv"}));
    EXPECT_EQ(same_numbers(net, {y, depthwise}).ops.count("InvertedResidual"), 0u);  // somebody else wants what lies between
    const ValueId wider = net.conv(depthwise, 40, 9, 3, 1);
    EXPECT_EQ(same_numbers(net, {wider}).ops.count("InvertedResidual"), 0u);
  }
}

TEST(Passes, FirstLayersRunWithTheDepthwiseLayerAndTheProjectionBehindThem) {
  kernels::InvertedResidualShape shape;
  shape.expand = *shape::parse_descriptor("ic3 oc8 ih41 iw60 k3 s2 p1");
  shape.depthwise = *shape::parse_descriptor("ic8 oc8 g8 ih21 iw30 k3 p1");
  shape.project = *shape::parse_descriptor("ic8 oc8 ih21 iw30 k1");
  shape.shortcut = true;
  if (!kernels::prefers_inverted_residual(shape)) GTEST_SKIP() << "not on this machine";
  for (const std::string pad : {"NOTSET", "SAME_UPPER"}) {
    Net net({2, 3, 41, 60});
    const auto padded = [&](ValueId x, const Shape& weight, int64_t stride, int64_t groups) {
      std::map<std::string, Attribute> attributes{
          {"strides", std::vector<int64_t>(2, stride)}, {"group", groups}, {"auto_pad", pad}};
      if (pad == "NOTSET") attributes["pads"] = std::vector<int64_t>(4, 1);
      return net.add("Conv", {x, net.numbers(weight), net.numbers({weight[0]})}, attributes);
    };
    const ValueId first = net.add("HardSwish", {padded(net.x, {8, 3, 3, 3}, 2, 1)});
    const ValueId depthwise = net.add("Relu", {padded(first, {8, 1, 3, 3}, 1, 8)});
    const ValueId projected = net.conv(depthwise, 8, 8, 1);
    const ValueId shortcut = net.add("Add", {projected, first});
    const std::multiset<std::string> one{"InvertedResidual"};
    const Outcome plain = same_numbers(net, {projected}), added = same_numbers(net, {shortcut});
    EXPECT_EQ(plain.ops, one);
    EXPECT_EQ(added.ops, one);
    EXPECT_EQ(added.graph.nodes[0].attributes.integer("shortcut", 0), 1);
    EXPECT_EQ(same_numbers(net, {projected}, {"inverted_residual"}).ops,
              (std::multiset<std::string>{"FusedConv", "FusedConv", "Conv"}));
    // The layers' arithmetic, and what they see of the input: 3 + 2 x 2 of its columns.
    std::vector<Type> types;
    for (const ValueInfo& info : plain.graph.values) types.push_back(info.type);
    const LayerSummary summary = summarize(plain.graph, types)[0];
    EXPECT_EQ(summary.kernel, "3x3 /2 3x3 g8 1x1");
    EXPECT_EQ(summary.macs, 2.0 * 21 * 30 * 8 * (27 + 9 + 8));
    EXPECT_EQ(summary.receptive_field, 7);
    // Somebody else reads what lies between.
    for (const std::vector<ValueId>& outputs :
         {std::vector<ValueId>{projected, first}, {shortcut, first}, {shortcut, net.add("Exp", {first})}, {projected, depthwise}}) {
      EXPECT_EQ(same_numbers(net, outputs).ops.count("InvertedResidual"), 0u);
    }
  }
}

TEST(Passes, NormalisationsInFrontOfPointwiseConvolutions) {
  if (!kernels::has_vectors()) GTEST_SKIP() << "needs vectors";
  for (const int64_t size : {4, 15, 40}) {
    Net net({3, 40, size, size});
    const ValueId rectified = net.add("Relu", {net.batch_norm(net.x, 40)});
    const ValueId y = net.add("Relu", {net.conv(rectified, 40, 19, 1)});
    EXPECT_EQ(same_numbers(net, {y}).ops, (std::multiset<std::string>{"AffineConv"}));
    EXPECT_EQ(same_numbers(net, {y}, {"affine_prologue"}).ops, (std::multiset<std::string>{"ChannelAffine", "FusedConv"}));
    EXPECT_EQ(same_numbers(net, {y, rectified}).ops.count("AffineConv"), 0u);                      // somebody else reads it
    EXPECT_EQ(same_numbers(net, {net.conv(rectified, 40, 8, 3, 1)}).ops.count("AffineConv"), 0u);  // more than one tap
  }
}

TEST(Passes, SqueezeAndExcitation) {
  for (const bool pool : {true, false}) {
    Net net({2, 20, 5, 3});
    const ValueId x = net.add("Relu", {net.x});
    const ValueId mean = pool ? net.add("GlobalAveragePool", {x}) : net.add("ReduceMean", {x, net.integers({-1, 2})});
    const ValueId narrow = net.add("HardSwish", {net.conv(mean, 20, 6, 1)});
    const ValueId gate = net.add("Sigmoid", {net.conv(narrow, 6, 20, 1)});
    const ValueId y = net.add("Mul", pool ? std::vector<ValueId>{x, gate} : std::vector<ValueId>{gate, x});
    EXPECT_EQ(same_numbers(net, {y}).ops, (std::multiset<std::string>{"Relu", "SqueezeExcite"}));
    EXPECT_EQ(same_numbers(net, {y}, {"squeeze_excite"}).ops.count("FusedConv"), 2u);
    EXPECT_EQ(same_numbers(net, {y, gate}).ops.count("SqueezeExcite"), 0u);  // somebody else wants what lies between
    const ValueId other = net.add("Mul", {net.add("Neg", {x}), gate});       // the means of another value
    EXPECT_EQ(same_numbers(net, {other}).ops.count("SqueezeExcite"), 0u);
  }
}

TEST(Passes, ChannelShuffle) {
  for (const bool concat : {false, true}) {
    Net net({2, 6, 3, 3});
    ValueId v = concat ? net.add("Concat", {net.conv(net.x, 6, 3, 1), net.conv(net.x, 6, 3, 1)}, {{"axis", int64_t{1}}})
                       : net.add("Relu", {net.x});
    v = net.add("Reshape", {v, net.integers({2, 2, 3, 3, 3})});
    v = net.add("Transpose", {v}, {{"perm", std::vector<int64_t>{0, 2, 1, 3, 4}}});
    v = net.add("Reshape", {v, net.integers({2, -1, 3, 3})});
    const Outcome on = same_numbers(net, {v});
    EXPECT_EQ(on.ops.count(concat ? "Interleave" : "ChannelShuffle"), 1u);
    EXPECT_EQ(on.ops.count("Transpose"), 0u);
    EXPECT_EQ(same_numbers(net, {v}, {"channel_shuffle"}).ops.count("Transpose"), 1u);
  }
}

TEST(Schedule, ConcatenationsAreMadeInPlaceAndNestedOnesInside) {
  for (const int64_t batch : {1, 3}) {
    for (const int64_t size : {6, 12}) {  // 12: the samples of a batch one after the other
      Net net({batch, 4, size, size});
      const ValueId a = net.conv(net.x, 4, 8, 1), b = net.conv(a, 8, 5, 3, 1);
      const ValueId ab = net.add("Concat", {a, b}, {{"axis", int64_t{1}}});
      const ValueId c = net.conv(ab, 13, 7, 1), abc = net.add("Concat", {a, b, c}, {{"axis", int64_t{1}}});
      const ValueId y = net.conv(net.add("Relu", {abc}), 20, 3, 1), z = net.add("Concat", {a, a, net.x}, {{"axis", int64_t{1}}});
      same_numbers(net, {y, z});
      same_numbers(net, {y, z, abc, b});
    }
  }
}

TEST(Schedule, ABatchRunsSampleBySampleUpToItsLastConcatenation) {
  const auto arena = [](int64_t batch, bool last) {
    Net net({batch, 8, 16, 16});
    const ValueId a = net.conv(net.x, 8, 24, 3, 1), b = net.conv(a, 24, 8, 3, 1);
    const ValueId ab = net.add("Concat", {a, b}, {{"axis", int64_t{1}}});
    const ValueId c = net.conv(ab, 32, 16, 1), d = net.add("Concat", {c, net.conv(c, 16, 4, 1)}, {{"axis", int64_t{1}}});
    const ValueId pooled = net.add("GlobalAveragePool", {d});
    const ValueId softmax = net.add("Softmax", {net.add("Flatten", {pooled})}, {{"axis", int64_t{last ? 1 : 0}}});
    same_numbers(net, {softmax});
    net.graph.outputs = {softmax};
    infer(net.graph);
    run_passes(net.graph);
    return Executor(net.graph).memory()->arena_bytes;
  };
  constexpr int64_t kPlanes = 20 * 16 * 16 * 4;  // of one sample, that the concatenation hands on
  EXPECT_EQ(arena(5, true) - arena(3, true), 2 * kPlanes);
  EXPECT_LE(arena(3, true), arena(1, true) + 3 * kPlanes);
  EXPECT_EQ(arena(3, false), arena(3, true));  // what mixes samples sees all of them
}

TEST(Schedule, SplitsAndReshapesAreViews) {
  for (const int64_t batch : {1, 2}) {
    Net net({batch, 6, 4, 4});
    const ValueId r = net.add("Relu", {net.x});
    Node split{"Split", "", {r, net.integers({2, 4})}, {net.graph.add_value("p"), net.graph.add_value("q")}};
    split.attributes.set("axis", int64_t{1});
    net.graph.nodes.push_back(split);
    const ValueId p = net.add("Sigmoid", {split.outputs[0]}),
                  q = net.add("Reshape", {split.outputs[1], net.integers({batch, 4, 16})});
    const ValueId s = net.add("Tanh", {q}), back = net.add("Reshape", {s, net.integers({batch, 4, 4, 4})});
    same_numbers(net, {net.add("Concat", {p, back, split.outputs[0]}, {{"axis", int64_t{1}}}), r});
  }
}

TEST(Schedule, InPlaceArithmeticLeavesWhatIsReadLaterAlone) {
  Net net({2, 3, 4, 4});
  const ValueId a = net.add("Exp", {net.x}), b = net.add("Relu", {a}), c = net.add("Mul", {b, b}), d = net.add("Add", {c, a});
  const ValueId e = net.add("Sub", {d, b});
  same_numbers(net, {e, d}, {"activation"});
  same_numbers(net, {e});
}

// By the depthwise kernel where all windows have as many values, and otherwise not: the same means.
TEST(Schedule, MeansOfSmallWindows) {
  for (const int64_t size : {7, 17, 35}) {
    for (const int64_t kernel : {2, 3, 5}) {
      for (const int64_t stride : {1, 2}) {
        for (const int64_t pad : {int64_t{0}, kernel / 2}) {
          for (const int64_t options : {0, 1, 2, 3}) {
            Net net({2, 5, size, size + 1});
            const std::map<std::string, Attribute> attributes{{"kernel_shape", std::vector<int64_t>{kernel, kernel}},
                                                              {"strides", std::vector<int64_t>{stride, stride}},
                                                              {"pads", std::vector<int64_t>{pad, pad, pad, 0}},
                                                              {"count_include_pad", options % 2},
                                                              {"ceil_mode", options / 2}};
            same_numbers(net, {net.add("AveragePool", {net.x}, attributes)});
          }
        }
      }
    }
  }
}

TEST(Schedule, AResidualThatNobodyReadsAgainIsWhereItsSumIsMade) {
  constexpr int64_t kPlane = 12 * 12;
  const auto arena = [](bool again) {
    Net net({1, 32, 12, 12});
    const ValueId a = net.conv(net.x, 32, 64, 1), residual = net.conv(net.x, 32, 256, 1);
    const ValueId sum = net.add("Add", {net.conv(a, 64, 256, 1), residual});
    const ValueId y = net.conv(again ? net.add("Mul", {sum, residual}) : sum, 256, 8, 1);
    same_numbers(net, {y});
    net.graph.outputs = {y};
    infer(net.graph);
    run_passes(net.graph);
    return Executor(net.graph).memory()->arena_bytes;
  };
  if (!kernels::has_vectors()) GTEST_SKIP() << "plain C++ adds the residual to sums that it has stored";
  EXPECT_EQ(arena(false), (256 + 64) * kPlane * 4);
  EXPECT_EQ(arena(true), (256 * 2 + 64) * kPlane * 4);
}

TEST(Schedule, TellsItsMemoryAndKeepsToTheBudget) {
  constexpr int64_t kChannels = 64;  // enough that weights are packed
  Net net({1, kChannels, 32, 32});
  ValueId v = net.x;
  for (int i = 0; i < 6; ++i) v = net.add("Relu", {net.conv(v, kChannels, kChannels, 3, 1)});
  net.graph.outputs = {net.conv(v, kChannels, 1, 1)};
  infer(net.graph);
  run_passes(net.graph);
  const Executor executor(net.graph);
  const auto use = executor.memory();
  ASSERT_TRUE(use);
  const int64_t one = kChannels * 32 * 32 * 4;
  EXPECT_EQ(use->largest_live_bytes, 2 * one);
  EXPECT_EQ(use->arena_bytes, 2 * one);
  EXPECT_GT(use->packed_bytes, 0);
  const Executor small(net.graph, {.memory_budget = one});
  EXPECT_THROW(small.run({{"x", Tensor::zeros({1, kChannels, 32, 32})}}), Error);
}

}  // namespace
}  // namespace convoy::graph
