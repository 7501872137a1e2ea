#include "convoy/autograd/rule_check_test.h"

namespace convoy {
namespace {

TEST(RearrangeRules, Pad) {
  const std::vector<int64_t> paddings[] = {{1, 2}, {0, 1, 2, 0}, {1, 0, 1, 1, 2, 1}};
  for (const PadMode mode : {PadMode::kConstant, PadMode::kReflect, PadMode::kReplicate, PadMode::kCircular}) {
    for (const auto& padding : paddings) {
      const size_t rank = padding.size() / 2;
      for (const bool batched : {false, true}) {
        if (!batched && mode == PadMode::kConstant) continue;
        Shape shape = batched ? Shape{2, 2} : Shape{2};
        for (size_t axis = 0; axis < rank; ++axis) shape.push_back(static_cast<int64_t>(3 + axis));
        expect_gradients(std::string(pad_mode_name(mode)) + " " + to_string(shape) + " by " + to_string(padding),
                         [&](const Inputs& in) { return pad(in[0], padding, mode, mode == PadMode::kConstant ? 0.25 : 0); },
                         {checked(shape)});
      }
    }
  }
  expect_gradients("crop", [](const Inputs& in) { return pad(in[0], {-1, 2, 1, -1}); }, {checked({2, 3, 4})});
  expect_gradients("every axis", [](const Inputs& in) { return pad(in[0], {0, 0, 0, 1, 2, -1}); }, {checked({2, 3, 4})});
}

TEST(RearrangeRules, Concat) {
  expect_gradients("three along 0", [](const Inputs& in) { return concat(in, 0); },
                   {checked({2, 3}, 1), checked({1, 3}, 2), checked({4, 3}, 3)});
  expect_gradients("three along -1", [](const Inputs& in) { return concat(in, -1); },
                   {checked({2, 3}, 1), checked({2, 1}, 2), checked({2, 2}, 3)});
  expect_gradients("a value with itself", [](const Inputs& in) { return concat({in[0], in[0]}, 1); }, {checked({2, 3})});
  expect_gradients("with an empty one", [](const Inputs& in) { return concat(in, 1); }, {checked({2, 0}, 1), checked({2, 3}, 2)});
  expect_gradients("with a constant",
                   [](const Inputs& in) {
                     return concat({in[0], Tensor::ones({2, 2}, DType::kFloat64), in[1]}, 1);
                   },
                   {checked({2, 3}, 1), checked({2, 1}, 2)});
}

TEST(RearrangeRules, Narrow) {
  expect_gradients("first axis", [](const Inputs& in) { return narrow(in[0], 0, 1, 2); }, {checked({4, 3})});
  expect_gradients("last axis", [](const Inputs& in) { return narrow(in[0], -1, 0, 2); }, {checked({2, 3, 4})});
  expect_gradients("middle axis", [](const Inputs& in) { return narrow(in[0], 1, 2, 1); }, {checked({2, 3, 4})});
  expect_gradients("overlapping parts", [](const Inputs& in) { return narrow(in[0], 0, 0, 3) * narrow(in[0], 0, 1, 3); },
                   {checked({4})});
}

TEST(RearrangeRules, ReshapeFlattenPermute) {
  expect_gradients("reshape", [](const Inputs& in) { return square(reshape(in[0], {4, -1})); }, {checked({2, 3, 4})});
  expect_gradients("reshape to a scalar", [](const Inputs& in) { return square(reshape(in[0], {})); }, {checked({1, 1})});
  expect_gradients("flatten", [](const Inputs& in) { return square(flatten(in[0])); }, {checked({2, 3, 2})});
  expect_gradients("flatten from 1", [](const Inputs& in) { return square(flatten(in[0], 1)); }, {checked({2, 3, 2})});
  expect_gradients("flatten a scalar", [](const Inputs& in) { return square(flatten(in[0])); }, {checked({})});
  expect_gradients("permute", [](const Inputs& in) { return square(permute(in[0], {2, 0, 1})); }, {checked({2, 3, 4})});
  expect_gradients("permute, counting from the end",
                   [](const Inputs& in) {
                     return square(permute(in[0], {-1, 0, -2, 1}));
                   },
                   {checked({2, 3, 1, 2})});
}

TEST(RearrangeRules, UnfoldAndFold) {
  const UnfoldOptions options[] = {{.kernel_size = 2},
                                   {.kernel_size = {2, 3}, .padding = {1, 0}, .stride = 2},
                                   {.kernel_size = {3, 1}, .dilation = {1, 2}, .padding = 1},
                                   {.kernel_size = 1, .stride = 3}};
  for (const UnfoldOptions& o : options) {
    const std::string name = "kernel_size " + to_string(o.kernel_size.values());
    expect_gradients("unfold " + name, [&](const Inputs& in) { return unfold(in[0], o); }, {checked({2, 2, 4, 5})});
    expect_gradients("unfold unbatched " + name, [&](const Inputs& in) { return unfold(in[0], o); }, {checked({2, 4, 5})});
    const Shape columns = ops::unfold(Tensor::zeros({2, 2, 4, 5}), o).shape();
    expect_gradients("fold " + name, [&](const Inputs& in) { return fold(in[0], {4, 5}, o); }, {checked(columns)});
    expect_gradients("fold unbatched " + name,
                     [&](const Inputs& in) {
                       return fold(in[0], {4, 5}, o);
                     },
                     {checked({columns[1], columns[2]})});
  }
}

TEST(RearrangeRules, PixelShuffle) {
  expect_gradients("pixel_shuffle", [](const Inputs& in) { return pixel_shuffle(in[0], 2); }, {checked({2, 8, 2, 3})});
  expect_gradients("pixel_shuffle unbatched", [](const Inputs& in) { return pixel_shuffle(in[0], 3); }, {checked({9, 2, 1})});
  expect_gradients("pixel_unshuffle", [](const Inputs& in) { return pixel_unshuffle(in[0], 2); }, {checked({2, 2, 4, 2})});
}

TEST(RearrangeRules, Interpolate) {
  const auto check = [](const std::string& name, const Shape& shape, const InterpolateOptions& options) {
    expect_gradients(name + " " + to_string(shape) + " to " + to_string(options.size),
                     [&](const Inputs& in) { return interpolate(in[0], options); }, {checked(shape)});
  };
  check("nearest", {2, 2, 5}, {.size = {7}});
  check("nearest", {2, 2, 3, 4}, {.size = {7, 2}});
  check("nearest", {1, 2, 2, 3, 2}, {.size = {3, 2, 5}});
  for (const bool align_corners : {false, true}) {
    for (const auto& size : {std::vector<int64_t>{5, 9}, {2, 3}, {1, 4}, {3, 4}}) {
      check(align_corners ? "bilinear, aligned" : "bilinear", {2, 2, 3, 4},
            {.size = size, .mode = InterpolateMode::kBilinear, .align_corners = align_corners});
      check(align_corners ? "bicubic, aligned" : "bicubic", {1, 2, 3, 4},
            {.size = size, .mode = InterpolateMode::kBicubic, .align_corners = align_corners});
    }
  }
}

}  // namespace
}  // namespace convoy
