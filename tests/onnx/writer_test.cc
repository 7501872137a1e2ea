// Nodes that are brought to another form on writing, so that ONNX's checker and other runtimes read in them what the graph means.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <tuple>
#include <vector>

#include "convoy/io/npy.h"
#include "convoy/onnx/model.h"
#include "convoy/onnx/writer.h"
#include "tests/onnx/model_bytes.h"

namespace convoy {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the builders

constexpr int64_t kDouble = 11;

Message cast(const std::string& from, const std::string& to, int64_t type) {
  return node("Cast", {from}, {to}, {attribute_int("to", type)});
}

double difference(const Tensor& got, const Tensor& want) {
  if (got.shape() != want.shape()) return INFINITY;
  double most = 0;
  for (int64_t i = 0; i < want.numel(); ++i) most = std::max(most, std::abs(got.at(i) - want.at(i)));
  return most;
}

// The model written and read again, which gives the same numbers with passes and without; `shape`: of x where `declared` leaves it
// open. Leaves files for other programs: checker_test.py, onnxruntime_test.py.
graph::Graph written(const std::string& name, const std::vector<Message>& nodes, const std::vector<int64_t>& declared,
                     const std::vector<Message>& initializers = {}, uint64_t opset = 17, Shape shape = {}) {
  SCOPED_TRACE(name);
  if (shape.empty()) shape = declared;
  const std::string file = model_of(nodes, declared, initializers, opset);
  Tensor x = Tensor::empty(shape);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] = static_cast<float>(i % 7 + 1);
  const Tensor want = Model::load_bytes(file, {.optimise = false}).run({{"x", x}}).at("y");
  const graph::Graph graph = onnx::read_bytes(file);
  const std::string bytes = onnx::write_bytes(graph);
  for (const bool optimise : {false, true})
    EXPECT_LE(difference(Model::load_bytes(bytes, {.optimise = optimise}).run({{"x", x}}).at("y"), want), 1e-5) << optimise;
  if (const char* keep = std::getenv("CONVOY_ONNX_WRITTEN")) {
    const std::string stem = std::string(keep) + "/" + name;
    onnx::save(graph, stem + ".onnx");
    io::write_npy(stem + ".x.npy", x);
    io::write_npy(stem + ".y.npy", want);
  }
  return onnx::read_bytes(bytes);
}

// SAME beside output_padding or dilation, and output_shape, mean different things to different programs: pads do not.
TEST(OnnxWriter, PaddingIsSpelledOut) {
  const Message stride2 = attribute_ints("strides", {2, 2}), lower = attribute_text("auto_pad", "SAME_LOWER"),
                upper = attribute_text("auto_pad", "SAME_UPPER"), dilated = attribute_ints("dilations", {1, 2}),
                more = attribute_ints("output_padding", {1, 0}), window = attribute_ints("kernel_shape", {2, 3}),
                smaller = attribute_ints("output_shape", {3, 4}), larger = attribute_ints("output_shape", {12, 15}),
                ceil = attribute_int("ceil_mode", 1), valid = attribute_text("auto_pad", "VALID");
  const std::vector<Message> weight = {float_tensor("w", {2, 2, 3, 4})};
  const Shape known{1, 2, 5, 6};
  const std::vector<int64_t> open{1, 2, -2, -3};
  const struct {
    const char* op;
    std::vector<Message> attributes;
    bool open_too;  // what pads are follows from the attributes
  } rows[] = {{"ConvTranspose", {lower, stride2, more}, true},
              {"ConvTranspose", {upper, stride2, more}, true},
              {"ConvTranspose", {smaller}, false},
              {"ConvTranspose", {larger, stride2, upper}, false},
              {"ConvTranspose", {valid, stride2}, true},
              {"Conv", {lower, dilated}, true},
              {"MaxPool", {upper, window, dilated}, false},
              {"MaxPool", {lower, window, stride2, ceil}, false},
              {"LpPool", {upper, window}, false},
              {"AveragePool", {lower, window, stride2}, false},
              {"AveragePool", {valid, window, stride2, ceil}, true}};
  int number = 0;
  for (const auto& row : rows) {
    const std::string name = std::string("padding_") + row.op + std::to_string(number++);
    const bool pool = std::string(row.op).ends_with("Pool");
    const std::vector<Message> nodes = {
        node(row.op, pool ? std::vector<std::string>{"x"} : std::vector<std::string>{"x", "w"}, {"y"}, row.attributes)};
    for (const bool some : {false, true}) {
      if (some && !row.open_too) continue;
      const graph::Graph graph = written(name + (some ? "_open" : ""), nodes, some ? open : known, weight, 17, known);
      const graph::Attributes& attributes = graph.nodes[0].attributes;
      EXPECT_TRUE(attributes.has("pads")) << name;
      EXPECT_FALSE(attributes.has("auto_pad") || attributes.has("output_shape")) << name;
    }
  }
}

// ONNX's checker wants the rank of each output: how many numbers a shape or axes have says it, whatever they are.
TEST(OnnxWriter, RanksFollowFromTheCountOfNumbers) {
  constexpr int64_t kInt = 7;
  const Message one = float_tensor("v", {1, 1, 2}), keep = attribute_int("keepdims", 0);
  const struct {
    const char* name;
    std::vector<Message> nodes;
    size_t rank;
  } rows[] = {{"Expand", {node("Expand", {"v", "n"}, {"y"})}, 3},
              {"Expand_scalar", {node("Expand", {"w", "n"}, {"y"})}, 3},
              {"ConstantOfShape", {node("ConstantOfShape", {"n"}, {"y"})}, 3},
              {"Unsqueeze", {node("Unsqueeze", {"w", "n"}, {"y"})}, 3},
              {"Squeeze", {node("Squeeze", {"u", "n"}, {"y"})}, 1},
              {"ReduceSum", {node("ReduceSum", {"u", "n"}, {"y"}, {keep})}, 1},
              {"ReduceMax", {node("ReduceMax", {"u", "n"}, {"y"}, {keep})}, 1}};
  for (const auto& row : rows) {
    std::vector<Message> nodes = {node("Sub", {"x", "o"}, {"d"}), cast("d", "n", kInt)};
    nodes.insert(nodes.end(), row.nodes.begin(), row.nodes.end());
    // n is 0, 1, 2; or 3, 1, 2 as a shape
    const bool shape = std::string(row.name).starts_with("Expand") || row.name == std::string("ConstantOfShape");
    std::vector<Message> constants = {tensor_header("o", {3}, kFloat).bytes(9, ""), one, float_tensor("w", {}),
                                      float_tensor("u", {1, 1, 1, 5})};
    const float less[] = {shape ? -2.0f : 1.0f, 1, 1};
    constants[0] = tensor_header("o", {3}, kFloat).bytes(9, std::string(reinterpret_cast<const char*>(less), sizeof less));
    const graph::Graph graph = written(std::string("rank_") + row.name, nodes, {3}, constants, 18);
    const auto& dims = graph.value(graph.outputs[0]).type.dims;
    ASSERT_TRUE(dims) << row.name;
    EXPECT_EQ(dims->size(), row.rank) << row.name;
  }
  // Of Col2Im both the image's shape and the block's say it.
  const std::vector<Message> nodes = {node("Add", {"x", "c"}, {"s"}), cast("s", "n", kInt),
                                      node("Col2Im", {"col", "n", "b"}, {"y"})};
  const graph::Graph graph = written("rank_Col2Im", nodes, {2},
                                     {float_tensor("c", {2}, 2), float_tensor("col", {1, 8, 6}), int64_tensor("b", {2, 2})}, 18);
  const auto& dims = graph.value(graph.outputs[0]).type.dims;
  ASSERT_TRUE(dims);
  EXPECT_EQ(to_string(*dims), "[1, 2, ?, ?]");
}

// ONNX Runtime has HardSwish for float32 alone.
TEST(OnnxWriter, HardSwishOfDoublesIsSpelledOut) {
  const graph::Graph graph =
      written("hard_swish",
              {node("Sub", {"x", "four"}, {"d"}), cast("d", "a", kDouble), node("HardSwish", {"a"}, {"b"}), cast("b", "y", kFloat)},
              {2, 5}, {float_tensor("four", {}, 4)});
  for (const graph::Node& node : graph.nodes) EXPECT_NE(node.op, "HardSwish");
  const graph::Graph plain = written("hard_swish_float", {node("HardSwish", {"x"}, {"y"})}, {2, 5});
  EXPECT_EQ(plain.nodes[0].op, "HardSwish");
}

// What ONNX's checker reads of an operator's function or of a constant is less than what the operator has.
TEST(OnnxWriter, DefaultsAndTypesThatTheCheckerLacks) {
  const graph::Graph graph = written("mean_variance", {node("MeanVarianceNormalization", {"x"}, {"y"})}, {2, 3, 4, 5});
  EXPECT_EQ(graph.nodes[0].attributes.integers("axes"), (std::vector<int64_t>{0, 2, 3}));
  constexpr uint64_t kInt32 = 6;
  const Message axes = tensor_header("a", {1}, kInt32).bytes(9, std::string("\1\0\0\0", 4));
  const graph::Graph padded =
      written("pad_axes", {node("Pad", {"x", "p", "", "a"}, {"y"})}, {2, 3}, {int64_tensor("p", {1, 2}), axes}, 18);
  EXPECT_EQ(padded.value(padded.nodes[0].inputs[3]).type.dtype, DType::kInt64);
}

// ONNX Runtime falls over outputs without a name that are not optional, such as dead code leaves.
TEST(OnnxWriter, OutputsThatNobodyReadsHaveNames) {
  const graph::Graph graph =
      written("spare_split", {node("Split", {"x"}, {"", "a", ""}), node("TopK", {"a", "k"}, {"", "i"}), cast("i", "y", kFloat)},
              {6, 4}, {int64_tensor("k", {2})});
  EXPECT_EQ(graph.nodes[0].outputs.size(), 3u);
  for (const graph::Node& node : graph.nodes)
    EXPECT_EQ(std::count(node.outputs.begin(), node.outputs.end(), graph::kNoValue), 0) << node.op;
}

}  // namespace
}  // namespace convoy
