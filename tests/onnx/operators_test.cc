// Single operators where the ONNX project's conformance cases of today say nothing: old forms, constants in place of inputs, one
// value alone, no values at all.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/onnx/model.h"
#include "tests/onnx/model_bytes.h"

namespace convoy {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the builders

using Values = std::vector<double>;

Message floats(const std::string& name, const std::vector<float>& values) {
  std::string raw(reinterpret_cast<const char*>(values.data()), values.size() * 4);
  return tensor_header(name, {static_cast<int64_t>(values.size())}, kFloat).bytes(9, raw);
}

// The outputs "y" of the model with rewrites and without, which must be the same; x is 1, 2, 3, ...
Tensor result(const std::vector<Message>& nodes, const Shape& shape, const std::vector<Message>& initializers, uint64_t opset) {
  const std::string bytes = model_of(nodes, shape, initializers, opset);
  Tensor x = Tensor::empty(shape);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] = static_cast<float>(i + 1);
  const Tensor plain = Model::load_bytes(bytes, {.optimise = false}).run({{"x", x}}).at("y");
  const Tensor optimised = Model::load_bytes(bytes).run({{"x", x}}).at("y");
  EXPECT_TRUE(identical(plain, optimised));
  return plain;
}

void expect_values(const Tensor& y, const Shape& shape, const Values& values) {
  ASSERT_EQ(y.shape(), shape);
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(y.at(static_cast<int64_t>(i)), values[i], 1e-5) << "element " << i;
}

// Opset 10's cases, which later versions of the suite left out: nearest takes the next value where an axis shrinks.
TEST(OnnxResize, OfOpset10) {
  const std::vector<Message> nodes = {node("Resize", {"x", "s"}, {"y"})};
  expect_values(result(nodes, {1, 1, 2, 4}, {floats("s", {1, 1, 0.6f, 0.6f})}, 10), {1, 1, 1, 2}, {1, 3});
  expect_values(result(nodes, {1, 1, 1, 2}, {floats("s", {1, 1, 2, 1.5f})}, 10), {1, 1, 2, 3}, {1, 1, 2, 1, 1, 2});
  const Values both = {1, 3, 1, 3, 5, 7, 5, 7};
  expect_values(result(nodes, {1, 1, 2, 4}, {floats("s", {1, 1, 2, 0.6f})}, 10), {1, 1, 4, 2}, both);
  const std::vector<Message> computed = {node("Identity", {"s"}, {"t"}), node("Resize", {"x", "t"}, {"y"})};
  expect_values(result(computed, {1, 1, 2, 4}, {floats("s", {1, 1, 2, 0.6f})}, 10), {1, 1, 4, 2}, both);
  const std::vector<Message> linear = {node("Resize", {"x", "s"}, {"y"}, {attribute_text("mode", "linear")})};
  expect_values(result(linear, {1, 1, 2, 4}, {floats("s", {1, 1, 0.6f, 0.6f})}, 10), {1, 1, 1, 2}, {1, 2.66666651});
}

// In float32, rounded once: in halves 1 + 2048 is 2048, and so is 2048 + 1.
TEST(OnnxScatter, ReducesHalves) {
  constexpr int64_t kHalf = 10;
  const auto cast = [](const std::string& from, const std::string& to, int64_t type) {
    return node("Cast", {from}, {to}, {attribute_int("to", type)});
  };
  for (const auto& [op, shape] : {std::pair("ScatterElements", Shape{2}), std::pair("ScatterND", Shape{2, 1})}) {
    const Message index = tensor_header("i", shape, kInt64).bytes(9, std::string(16, '\0'));
    const std::vector<Message> nodes = {cast("x", "a", kHalf), cast("u", "b", kHalf),
                                        node(op, {"a", "i", "b"}, {"c"}, {attribute_text("reduction", "add")}),
                                        cast("c", "y", kFloat)};
    expect_values(result(nodes, {1}, {index, floats("u", {2048, 1})}, 18), {1}, {2050});
  }
}

// Opset 11's test_resize_downsample_sizes_nearest_tf_half_pixel_for_nn, and the same rounded down.
TEST(OnnxResize, TfHalfPixelForNearest) {
  const Message sizes = int64_tensor("z", {1, 1, 3, 2}), none = floats("e", {});
  const Message half = attribute_text("coordinate_transformation_mode", "tf_half_pixel_for_nn");
  const auto with = [&](const std::vector<Message>& more) {
    std::vector<Message> attributes = {half};
    attributes.insert(attributes.end(), more.begin(), more.end());
    return std::vector<Message>{node("Resize", {"x", "e", "e", "z"}, {"y"}, attributes)};
  };
  expect_values(result(with({}), {1, 1, 4, 4}, {none, sizes}, 11), {1, 1, 3, 2}, {6, 8, 10, 12, 14, 16});
  expect_values(result(with({attribute_text("nearest_mode", "floor")}), {1, 1, 4, 4}, {none, sizes}, 11), {1, 1, 3, 2},
                {2, 4, 10, 12, 14, 16});
  EXPECT_THROW(result(with({attribute_text("mode", "linear")}), {1, 1, 4, 4}, {none, sizes}, 11), Error);
}

// The shape is inferred before anything says where the crop lies.
TEST(OnnxResize, CropThatIsConstant) {
  const std::vector<Message> nodes = {
      node("Resize", {"x", "roi", "", "sizes"}, {"y"},
           {attribute_text("mode", "linear"), attribute_text("coordinate_transformation_mode", "tf_crop_and_resize")})};
  expect_values(
      result(nodes, {1, 1, 4, 4}, {floats("roi", {0, 0, 0.4f, 0.6f, 1, 1, 0.6f, 0.8f}), int64_tensor("sizes", {1, 1, 3, 3})}, 13),
      {1, 1, 3, 3}, {7.6, 7.9, 8.2, 8.8, 9.1, 9.4, 10.0, 10.3, 10.6});
}

TEST(OnnxSoftmax, OfNothingInOldForm) {
  for (const char* op : {"Softmax", "LogSoftmax", "Hardmax"}) {
    EXPECT_EQ(result({node(op, {"x"}, {"y"})}, {4, 1, 0}, {}, 11).shape(), (Shape{4, 1, 0})) << op;
    EXPECT_EQ(result({node(op, {"x"}, {"y"}, {attribute_int("axis", 1)})}, {0, 3, 2}, {}, 11).shape(), (Shape{0, 3, 2})) << op;
  }
}

// One value is its own mean: what is left is the bias. PyTorch refuses it.
TEST(OnnxNormalization, OfOneValuePerChannel) {
  const std::vector<Message> vectors = {floats("w", {2, 3}), floats("b", {0.5f, -1})};
  for (const Shape& shape : {Shape{1, 2, 1, 1}, Shape{1, 2, 1}}) {
    expect_values(result({node("InstanceNormalization", {"x", "w", "b"}, {"y"})}, shape, vectors, 17), shape, {0.5, -1});
    expect_values(
        result({node("GroupNormalization", {"x", "w", "b"}, {"y"}, {attribute_int("num_groups", 2)})}, shape, vectors, 21), shape,
        {0.5, -1});
  }
  const std::vector<Message> training = {attribute_int("training_mode", 1), attribute_float("momentum", 0.75f)};
  for (const char* output : {"y", "mean", "variance"}) {
    const auto name = [&](const char* it) { return std::string(it) == output ? "y" : std::string(it) + "_"; };
    const Message norm =
        node("BatchNormalization", {"x", "w", "b", "b", "w"}, {name("y"), name("mean"), name("variance")}, training);
    const Values values = std::string(output) == "y"      ? Values{0.5, -1}
                          : std::string(output) == "mean" ? Values{0.5 * 0.75 + 0.25, -0.75 + 2 * 0.25}
                                                          : Values{1.5, 2.25};
    expect_values(result({norm}, {1, 2}, vectors, 15), std::string(output) == "y" ? Shape{1, 2} : Shape{2}, values);
  }
}

// Before opset 12 nothing could be in training, and programs leave the mask at 0.
TEST(OnnxDropout, MaskOfOldForms) {
  for (const uint64_t opset : {7u, 10u}) {
    const Tensor mask = result({node("Dropout", {"x"}, {"kept", "y"}, {attribute_float("ratio", 0.25f)})}, {2, 3}, {}, opset);
    EXPECT_EQ(mask.dtype(), opset < 10 ? DType::kFloat32 : DType::kBool);
    expect_values(mask, {2, 3}, Values(6, 0.0));
  }
  expect_values(result({node("Dropout", {"x"}, {"kept", "y"})}, {2, 3}, {}, 13), {2, 3}, Values(6, 1.0));
}

TEST(OnnxSwish, IsTheValueTimesItsSigmoid) {
  const Values plain = {1 / (1 + std::exp(-1.0)), 2 / (1 + std::exp(-2.0))},
               steeper = {1 / (1 + std::exp(-1.5)), 2 / (1 + std::exp(-3.0))};
  expect_values(result({node("Swish", {"x"}, {"y"})}, {2}, {}, 24), {2}, plain);
  expect_values(result({node("Swish", {"x"}, {"y"}, {attribute_float("alpha", 1.5f)})}, {2}, {}, 24), {2}, steeper);
}

TEST(OnnxEqual, ComparesTexts) {
  constexpr uint64_t kString = 8;
  const Model model = Model::load_bytes(testing::model({{1, node("Equal", {"x", "z"}, {"y"})},
                                                        {11, value_info("x", {2, 2}, kString)},
                                                        {11, value_info("z", {2}, kString)},
                                                        {12, Message().bytes(1, "y")}},
                                                       19));
  const auto text = [](Shape shape, std::vector<std::string> values) {
    return graph::Value(graph::Strings{std::move(shape), std::move(values)});
  };
  const graph::Values outputs = model.run_values({{"x", text({2, 2}, {"a", "b", "", "a"})}, {"z", text({2}, {"a", "a"})}});
  expect_values(outputs.at("y").tensor(), {2, 2}, {1, 0, 0, 1});
  EXPECT_THROW(model.run_values({{"x", text({2, 2}, {"a", "b", "", "a"})}, {"z", text({3}, {"a", "a", "b"})}}), Error);
}

// The form that opset 6 has is read under older numbers too.
// A slice backwards from before the first entry begins there, other than Python's, which is empty.
TEST(OnnxSlice, BackwardsFromBeforeTheBeginning) {
  const auto slice = [](int64_t start, int64_t end, int64_t step) {
    return std::vector<Message>{int64_tensor("s", {start}), int64_tensor("e", {end}), int64_tensor("a", {0}),
                                int64_tensor("t", {step})};
  };
  const std::vector<Message> nodes = {node("Slice", {"x", "s", "e", "a", "t"}, {"y"})};
  expect_values(result(nodes, {3}, slice(-8, INT64_MIN, -1), 13), {1}, {1});
  expect_values(result(nodes, {3}, slice(-8, -8, -2), 13), {1}, {1});
  expect_values(result(nodes, {3}, slice(-8, -3, -1), 13), {0}, {});
  expect_values(result(nodes, {0}, slice(-8, -8, -1), 13), {0}, {});
}

// As a layer's (PyTorch), and in ONNX Runtime.
TEST(OnnxConvTranspose, HasAnOutput) {
  const std::vector<Message> weight = {float_tensor("w", {1, 1, 2})};
  for (const std::vector<int64_t>& pads : {std::vector<int64_t>{1, 1}, std::vector<int64_t>{0, 2}, std::vector<int64_t>{2, 1}}) {
    const std::vector<Message> nodes = {node("ConvTranspose", {"x", "w"}, {"y"}, {attribute_ints("pads", pads)})};
    for (const bool optimise : {false, true}) {
      EXPECT_THROW((void)Model::load_bytes(model_of(nodes, {1, 1, 1}, weight), {.optimise = optimise}), ShapeMismatch) << optimise;
      const Model open = Model::load_bytes(model_of(nodes, {1, 1, -3}, weight), {.optimise = optimise});
      EXPECT_THROW((void)open.run({{"x", Tensor::zeros({1, 1, 1})}}), ShapeMismatch) << optimise;
      EXPECT_EQ(open.run({{"x", Tensor::zeros({1, 1, 3})}}).at("y").shape()[2], 4 - pads[0] - pads[1]);
    }
  }
}

TEST(OnnxOldOpsets, ReadWhatDidNotChange) {
  expect_values(result({node("Neg", {"x"}, {"y"})}, {2}, {}, 1), {2}, {-1, -2});
  expect_values(result({node("Add", {"x", "b"}, {"y"}, {attribute_int("broadcast", 1), attribute_int("axis", 0)})}, {2, 2},
                       {floats("b", {10, 20})}, 3),
                {2, 2}, {11, 12, 23, 24});
}

}  // namespace
}  // namespace convoy
