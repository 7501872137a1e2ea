// What peak_bytes() says of operators without a step of the plan: never less than they take, for every operator and type.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/storage.h"
#include "convoy/graph/operator.h"
#include "convoy/onnx/model.h"
#include "tests/onnx/model_bytes.h"
#include "tests/refusal.h"

namespace convoy {
namespace {

using testing::attribute_float;
using testing::attribute_int;
using testing::attribute_ints;
using testing::attribute_text;
using testing::Message;
using testing::node;
using testing::Part;

// A value that a node reads: of the type that is tried, or of its own; given in a run, or held by the file.
struct In {
  Shape shape;
  bool given = true;
  std::optional<DType> dtype = std::nullopt;
  std::vector<int64_t> numbers = {};  // of a constant; else 1, or 0 of an index
};

In x(Shape shape) { return {std::move(shape)}; }
In constant(Shape shape, std::optional<DType> dtype = std::nullopt) { return {std::move(shape), false, dtype}; }
In indices(Shape shape) { return {std::move(shape), true, DType::kInt64}; }
In mask(Shape shape) { return {std::move(shape), true, DType::kBool}; }
In bytes(Shape shape) { return {std::move(shape), true, DType::kUInt8}; }
In list(const std::vector<int64_t>& numbers) { return {{static_cast<int64_t>(numbers.size())}, false, DType::kInt64, numbers}; }
In absent() { return {{-1}}; }

struct Row {
  std::string op;
  std::vector<In> inputs;
  std::vector<Message> attributes = {};
  int outputs = 1;
};

uint64_t number_of(DType dtype) {
  static const std::map<DType, uint64_t> kNumbers = {
      {DType::kFloat32, 1}, {DType::kUInt8, 2},    {DType::kInt8, 3},     {DType::kInt32, 6},   {DType::kInt64, 7},
      {DType::kBool, 9},    {DType::kFloat16, 10}, {DType::kFloat64, 11}, {DType::kUInt64, 13}, {DType::kBFloat16, 16}};
  return kNumbers.at(dtype);
}

Tensor values_of(const In& in, DType tried) {
  const DType dtype = in.dtype.value_or(tried);
  if (!in.numbers.empty()) return Tensor::from(in.numbers, in.shape).to(dtype);
  return dtype == DType::kInt64 && in.dtype ? Tensor::zeros(in.shape, dtype) : Tensor::ones(in.shape).to(dtype);
}

// The model of one node, and what it is run with.
std::string model_of(const Row& row, DType tried, std::map<std::string, Tensor>& inputs) {
  std::vector<Part> parts;
  std::vector<std::string> names, outputs;
  for (const In& in : row.inputs) {
    const std::string name = in.shape == Shape{-1} ? "" : "x" + std::to_string(names.size());
    names.push_back(name);
    if (name.empty()) continue;
    const Tensor values = values_of(in, tried);
    if (in.given) {
      inputs[name] = values;
      parts.push_back({11, testing::value_info(name, in.shape, number_of(values.dtype()))});
    } else {
      parts.push_back({5, testing::tensor_header(name, in.shape, number_of(values.dtype()))
                              .bytes(9, {static_cast<const char*>(values.raw_data()), values.nbytes()})});
    }
  }
  for (int i = 0; i < row.outputs; ++i) {
    outputs.push_back("y" + std::to_string(i));
    parts.push_back({12, Message().bytes(1, outputs.back())});
  }
  parts.push_back({1, node(row.op, names, outputs, row.attributes)});
  return testing::model(parts, row.op == "Swish" || row.op == "RMSNormalization" ? 24 : 22);
}

const Shape kMap{2, 16, 24, 40};

std::vector<Row> rows() {
  std::vector<Row> rows;
  for (const char* op : {"Abs",
                         "Neg",
                         "Sign",
                         "Floor",
                         "Ceil",
                         "Round",
                         "Reciprocal",
                         "Sqrt",
                         "Exp",
                         "Log",
                         "Erf",
                         "Sin",
                         "Cos",
                         "Tan",
                         "Asin",
                         "Acos",
                         "Atan",
                         "Sinh",
                         "Cosh",
                         "Asinh",
                         "Acosh",
                         "Atanh",
                         "Not",
                         "IsNaN",
                         "IsInf",
                         "Relu",
                         "LeakyRelu",
                         "Elu",
                         "Celu",
                         "Selu",
                         "Sigmoid",
                         "Tanh",
                         "HardSigmoid",
                         "HardSwish",
                         "Softplus",
                         "Softsign",
                         "Mish",
                         "Gelu",
                         "ThresholdedRelu",
                         "Shrink",
                         "Identity",
                         "Flatten",
                         "Shape",
                         "Size",
                         "GlobalMaxPool",
                         "GlobalAveragePool",
                         "GlobalLpPool",
                         "MeanVarianceNormalization",
                         "Swish",
                         "Dropout"})
    rows.push_back({op, {x(kMap)}});
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Pow", "PRelu", "Sum", "Min", "Max", "Mean", "Equal", "Less", "LessOrEqual",
                         "Greater", "GreaterOrEqual", "And", "Or", "Xor"}) {
    rows.push_back({op, {x(kMap), x(kMap)}});
    rows.push_back({op, {x(kMap), x({16, 1, 1})}});
  }
  for (const char* op : {"Sum", "Min", "Max", "Mean"}) rows.push_back({op, {x(kMap), x(kMap), x({40}), x(kMap)}});
  rows.push_back({"Mod", {x(kMap), x(kMap)}, {attribute_int("fmod", 1)}});
  rows.push_back({"Where", {mask(kMap), x(kMap), x(kMap)}});
  rows.push_back({"Clip", {x(kMap), constant({}), constant({})}});
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
                         "ReduceLogSumExp", "ReduceSumSquare"}) {
    rows.push_back({op, {x(kMap)}});
    for (const std::vector<int64_t>& axes : {std::vector<int64_t>{1}, {3}, {0, 2, 3}, {0, 1}}) {
      rows.push_back({op, {x(kMap), list(axes)}});
      rows.push_back({op, {x(kMap), list(axes)}, {attribute_int("keepdims", 0)}});
    }
    rows.push_back({op, {x({4, 1, 9000}), list({1})}});
  }
  for (const char* op : {"ArgMax", "ArgMin"}) {
    for (const int64_t axis : {0, 1, 3}) rows.push_back({op, {x(kMap)}, {attribute_int("axis", axis)}});
    rows.push_back({op, {x(kMap)}, {attribute_int("axis", 2), attribute_int("select_last_index", 1)}});
  }
  for (const char* op : {"Softmax", "LogSoftmax", "Hardmax", "LpNormalization"}) {
    for (const int64_t axis : {1, 3}) rows.push_back({op, {x(kMap)}, {attribute_int("axis", axis)}});
  }
  for (const std::vector<int64_t>& order : {std::vector<int64_t>{0, 2, 3, 1}, {3, 2, 1, 0}})
    rows.push_back({"Transpose", {x(kMap)}, {attribute_ints("perm", order)}});
  rows.push_back({"Reshape", {x(kMap), list({32, -1})}});
  rows.push_back({"Squeeze", {x({1, 40000}), list({0})}});
  rows.push_back({"Unsqueeze", {x(kMap), list({0})}});
  rows.push_back({"Expand", {x({2, 16, 1, 40}), list({2, 16, 24, 40})}});
  rows.push_back({"Tile", {x(kMap), list({1, 2, 1, 2})}});
  rows.push_back({"Concat", {x(kMap), x(kMap)}, {attribute_int("axis", 1)}});
  rows.push_back({"Split", {x(kMap), list({4, 12})}, {attribute_int("axis", 1)}, 2});
  rows.push_back({"Slice", {x(kMap), list({20}), list({3}), list({2}), list({-2})}});
  for (const int64_t to : {1, 2, 6, 7, 9, 10, 11, 16}) rows.push_back({"Cast", {x(kMap)}, {attribute_int("to", to)}});
  rows.push_back({"CastLike", {x(kMap), constant({1}, DType::kFloat16)}});
  for (const char* mode : {"DCR", "CRD"})
    rows.push_back({"DepthToSpace", {x(kMap)}, {attribute_int("blocksize", 2), attribute_text("mode", mode)}});
  rows.push_back({"SpaceToDepth", {x(kMap)}, {attribute_int("blocksize", 4)}});
  for (const char* mode : {"constant", "reflect", "edge", "wrap"})
    rows.push_back({"Pad", {x(kMap), list({0, 0, 3, 2, 0, 0, 1, 5})}, {attribute_text("mode", mode)}});
  rows.push_back({"Gather", {x(kMap), indices({7, 50})}, {attribute_int("axis", 2)}});
  rows.push_back({"GatherElements", {x(kMap), indices(kMap)}, {attribute_int("axis", 1)}});
  rows.push_back({"GatherND", {x(kMap), indices({300, 2})}});
  rows.push_back({"ScatterElements", {x(kMap), indices({2, 8, 24, 40}), x({2, 8, 24, 40})}, {attribute_int("axis", 1)}});
  for (const char* reduction : {"none", "add", "max"})
    rows.push_back({"ScatterND", {x(kMap), indices({40, 2}), x({40, 24, 40})}, {attribute_text("reduction", reduction)}});
  rows.push_back({"OneHot", {indices({30, 40}), constant({}, DType::kInt64), constant({2})}, {attribute_int("axis", 1)}});
  rows.push_back({"OneHot", {indices({30, 40}), list({30}), constant({2})}, {attribute_int("axis", 1)}});
  rows.push_back({"Range", {constant({}), constant({}), constant({})}});
  rows.push_back({"EyeLike", {x({200, 200})}});
  for (const char* name : {"exclusive", "reverse"})
    rows.push_back({"CumSum", {x(kMap), constant({}, DType::kInt64)}, {attribute_int(name, 1)}});
  for (const int64_t k : {3, 16}) rows.push_back({"TopK", {x(kMap), list({k})}, {attribute_int("axis", 1)}, 2});
  rows.push_back({"Trilu", {x(kMap)}});

  for (const auto& [a, b] : {std::pair(Shape{100, 80}, Shape{80, 120}),
                             {Shape{4, 60, 80}, Shape{4, 80, 70}},
                             {Shape{4, 60, 80}, Shape{80, 70}},
                             {Shape{8, 1, 30, 40}, Shape{1, 8, 40, 20}},
                             {Shape{300}, Shape{300, 200}},
                             {Shape{200, 300}, Shape{300}},
                             {Shape{1, 4}, Shape{4, 9000}}})
    rows.push_back({"MatMul", {x(a), x(b)}});
  rows.push_back({"Gemm", {x({100, 150}), x({120, 150}), x({120})}, {attribute_int("transB", 1)}});
  rows.push_back({"Gemm", {x({100, 150}), constant({120, 150}), constant({120})}, {attribute_int("transB", 1)}});
  rows.push_back({"Gemm",
                  {x({150, 100}), x({150, 120}), x({100, 1})},
                  {attribute_int("transA", 1), attribute_float("alpha", 0.5f), attribute_float("beta", 2)}});
  const auto einsum = [&](const char* equation, const std::vector<In>& inputs) {
    rows.push_back({"Einsum", inputs, {attribute_text("equation", equation)}});
  };
  einsum("bij,bjk->bik", {x({4, 50, 60}), x({4, 60, 70})});
  einsum("bij,cjk->bcik", {x({4, 30, 40}), x({5, 40, 20})});
  einsum("ij,jk,kl->il", {x({90, 80}), x({80, 70}), x({70, 60})});
  einsum("ij,kl,jl->ik", {x({40, 30}), x({50, 20}), x({30, 20})});
  einsum("ijk->kj", {x({30, 40, 20})});
  einsum("iij->j", {x({60, 60, 20})});
  einsum("i,j->ij", {x({200}), x({300})});
  einsum("...ij,...jk->...ik", {x({3, 1, 40, 50}), x({1, 4, 50, 30})});
  const DType kByte = DType::kUInt8, kFloat = DType::kFloat32;
  rows.push_back({"MatMulInteger", {bytes({150, 120}), bytes({120, 130}), constant({}, kByte), constant({}, kByte)}});
  rows.push_back({"QLinearMatMul",
                  {bytes({150, 120}), constant({}, kFloat), constant({}, kByte), bytes({120, 130}), constant({}, kFloat),
                   constant({}, kByte), constant({}, kFloat), constant({}, kByte)}});

  const auto conv = [&](const Shape& input, const Shape& weight, const std::vector<Message>& attributes) {
    rows.push_back({"Conv", {x(input), x(weight)}, attributes});
    rows.push_back({"Conv", {x(input), constant(weight), constant({weight[0]})}, attributes});
  };
  conv({2, 32, 20, 20}, {48, 32, 3, 3}, {attribute_ints("pads", {1, 1, 1, 1})});
  conv({2, 32, 20, 20}, {64, 32, 1, 1}, {});
  conv({2, 32, 20, 20}, {32, 1, 3, 3}, {attribute_int("group", 32), attribute_ints("strides", {2, 2})});
  conv({1, 3, 56, 56}, {32, 3, 7, 7}, {attribute_ints("pads", {3, 3, 3, 3}), attribute_ints("strides", {2, 2})});
  conv({2, 4, 10, 10, 10}, {8, 4, 3, 3, 3}, {});
  conv({2, 16, 300}, {16, 16, 5}, {attribute_text("auto_pad", "SAME_LOWER")});
  const auto transposed = [&](const Shape& weight, const std::vector<Message>& attributes) {
    rows.push_back({"ConvTranspose", {x({2, 32, 14, 14}), x(weight)}, attributes});
    rows.push_back({"ConvTranspose", {x({2, 32, 14, 14}), constant(weight), constant({weight[1]})}, attributes});
  };
  transposed({32, 16, 4, 4}, {attribute_ints("strides", {2, 2}), attribute_ints("pads", {1, 1, 1, 1})});
  transposed({32, 16, 2, 2}, {attribute_ints("strides", {2, 2})});
  transposed({32, 16, 5, 5}, {attribute_ints("strides", {3, 3}), attribute_ints("pads", {0, 2, 3, 1})});
  transposed({32, 16, 3, 3}, {attribute_ints("strides", {2, 2}), attribute_text("auto_pad", "SAME_UPPER")});
  rows.push_back(
      {"ConvInteger", {bytes({2, 16, 24, 24}), constant({24, 16, 3, 3}, kByte), constant({}, kByte), constant({}, kByte)}});
  rows.push_back(
      {"QLinearConv",
       {bytes({2, 16, 24, 24}), constant({}, kFloat), constant({}, kByte), constant({24, 16, 3, 3}, kByte), constant({}, kFloat),
        constant({}, kByte), constant({}, kFloat), constant({}, kByte), constant({24}, DType::kInt32)}});
  rows.push_back({"DeformConv", {x({2, 8, 20, 20}), x({12, 8, 3, 3}), x({2, 18, 18, 18})}});
  rows.push_back({"DeformConv",
                  {x({2, 8, 20, 20}), constant({12, 4, 3, 3}), x({2, 18, 18, 18}), constant({12}), x({2, 9, 18, 18})},
                  {attribute_int("group", 2)}});
  rows.push_back({"Col2Im", {x({2, 8 * 9, 22 * 22}), list({24, 24}), list({3, 3})}});

  for (const char* op : {"MaxPool", "AveragePool", "LpPool"}) {
    rows.push_back(
        {op,
         {x(kMap)},
         {attribute_ints("kernel_shape", {3, 3}), attribute_ints("strides", {2, 2}), attribute_ints("pads", {1, 1, 1, 1})}});
    rows.push_back({op, {x(kMap)}, {attribute_ints("kernel_shape", {5, 2})}});
    rows.push_back({op, {x({2, 8, 10, 10, 10})}, {attribute_ints("kernel_shape", {3, 3, 3})}});
    rows.push_back({op, {x({2, 8, 2000})}, {attribute_ints("kernel_shape", {4})}});
  }
  rows.push_back({"MaxPool", {x(kMap)}, {attribute_ints("kernel_shape", {2, 2}), attribute_ints("strides", {2, 2})}, 2});
  rows.push_back({"MaxUnpool",
                  {x({2, 16, 12, 20}), indices({2, 16, 12, 20})},
                  {attribute_ints("kernel_shape", {2, 2}), attribute_ints("strides", {2, 2})}});
  const std::vector<In> statistics(4, constant({16}));
  rows.push_back({"BatchNormalization", {x(kMap), statistics[0], statistics[1], statistics[2], statistics[3]}});
  rows.push_back({"BatchNormalization",
                  {x(kMap), statistics[0], statistics[1], statistics[2], statistics[3]},
                  {attribute_int("training_mode", 1)},
                  3});
  rows.push_back({"InstanceNormalization", {x(kMap), statistics[0], statistics[1]}});
  rows.push_back({"GroupNormalization", {x(kMap), statistics[0], statistics[1]}, {attribute_int("num_groups", 4)}});
  rows.push_back({"LayerNormalization", {x(kMap), constant({40}), constant({40})}});
  rows.push_back({"LayerNormalization", {x(kMap), constant({16, 1, 1})}, {attribute_int("axis", 1)}, 3});
  rows.push_back({"LayerNormalization", {x({1, 30000}), constant({1})}, {attribute_int("axis", 1)}});
  rows.push_back({"RMSNormalization", {x(kMap), constant({40})}});
  rows.push_back({"LRN", {x(kMap)}, {attribute_int("size", 5)}});
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const std::vector<int64_t>& sizes :
         {std::vector<int64_t>{2, 16, 48, 80}, {2, 16, 100, 3}, {2, 16, 3, 100}, {2, 16, 10, 13}, {4, 16, 24, 60}})
      rows.push_back({"Resize", {x(kMap), absent(), absent(), list(sizes)}, {attribute_text("mode", mode)}});
    rows.push_back({"Resize",
                    {x(kMap), absent(), absent(), list({2, 16, 9, 11})},
                    {attribute_text("mode", mode), attribute_int("antialias", mode[0] == 'n' ? 0 : 1)}});
  }
  for (const char* op : {"QuantizeLinear"}) {
    rows.push_back({op, {x(kMap), constant({}), constant({}, kByte)}});
    rows.push_back({op, {x(kMap), constant({16}), constant({16}, DType::kInt8)}, {attribute_int("axis", 1)}});
  }
  rows.push_back({"DequantizeLinear", {bytes(kMap), constant({}), constant({}, kByte)}});
  rows.push_back({"DynamicQuantizeLinear", {x(kMap)}, {}, 3});
  rows.push_back({"Dropout", {x(kMap)}, {}, 2});
  return rows;
}

// Not of tensors, made by passes, or of sizes that only values tell.
const std::set<std::string_view> kElsewhere = {
    "StringNormalizer",   "SequenceConstruct",  "SequenceEmpty",   "SequenceAt",         "SequenceInsert",
    "SequenceErase",      "SequenceLength",     "SplitToSequence", "ConcatFromSequence", "Optional",
    "OptionalHasElement", "OptionalGetElement", "NonZero",         "ConstantOfShape",    "Compress"};

int64_t taken(const Model& model, const std::map<std::string, Tensor>& inputs) {
  const MemoryBudget counter(int64_t{1} << 40);
  model.run(inputs);
  int64_t bytes = counter.peak_bytes();
  for (const auto& [name, tensor] : inputs) bytes += static_cast<int64_t>(block_bytes(tensor.nbytes()));
  return bytes;
}

TEST(ModelMemory, PeakBytesBoundsEveryOperator) {
  std::set<std::string> seen;
  int checked = 0;
  for (const Row& row : rows()) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16, DType::kInt64, DType::kInt32,
                              DType::kUInt8, DType::kUInt64, DType::kBool}) {
      for (const bool optimise : {true, false}) {
        std::map<std::string, Tensor> inputs;
        const std::string file = model_of(row, dtype, inputs);
        int64_t told = 0, took = 0;
        try {
          const Model model = Model::load_bytes(file, {.optimise = optimise});
          told = model.peak_bytes();
          took = taken(model, inputs);
        } catch (const Error&) {
          continue;  // the operator does not take the type
        }
        seen.insert(row.op);
        ++checked;
        std::string text = row.op + " of " + dtype_name(dtype) + (optimise ? "" : ", not planned");
        for (const In& in : row.inputs) text += " " + to_string(in.shape);
        EXPECT_GE(told, took) << text;
        EXPECT_LE(told, 32 * took + (int64_t{1} << 20) * num_threads()) << text;  // no bound without end
        const Model tight = Model::load_bytes(file, {.memory_budget = told - 1, .optimise = optimise});
        EXPECT_EQ(testing::reason([&] { tight.run(inputs); }), "a run with these inputs needs " + std::to_string(told) +
                                                                   " bytes, the memory budget is " + std::to_string(told - 1))
            << text;
        const Model enough = Model::load_bytes(file, {.memory_budget = told, .optimise = optimise});
        EXPECT_NO_THROW(enough.run(inputs)) << text;
      }
    }
  }
  EXPECT_GT(checked, 2000);
  for (const graph::Operator* op : graph::all_operators()) {
    bool made = false;  // by a pass
    for (const graph::Operator& fused : graph::fused_operators()) made = made || &fused == op;
    EXPECT_TRUE(made || kElsewhere.count(op->name) != 0 || seen.count(std::string(op->name)) != 0) << op->name << " has no row";
  }
}

}  // namespace
}  // namespace convoy
