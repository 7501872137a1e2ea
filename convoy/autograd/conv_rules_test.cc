#include "convoy/autograd/rule_check_test.h"

namespace convoy {
namespace {

const char* const kModes[] = {"zeros", "reflect", "replicate", "circular"};

std::string text(const std::vector<int64_t>& values) { return to_string(values); }

struct ConvProblem {
  Shape input, weight;
  ConvOptions options;
  bool bias;
  std::string name;
};

void check_conv(int rank, const ConvProblem& problem) {
  Inputs inputs{checked(problem.input, 1), checked(problem.weight, 2)};
  if (problem.bias) inputs.push_back(checked({problem.weight[0]}, 3));
  expect_gradients(
      problem.name, [&](const Inputs& in) { return conv(rank, in[0], in[1], in.size() > 2 ? in[2] : Variable(), problem.options); },
      inputs);
}

// Sizes differ per axis, so that swapped axes are seen. Reflection needs padding below the input size, wrapping at most the size.
Shape spatial(int rank) {
  if (rank == 1) return {7};
  return rank == 2 ? Shape{5, 4} : Shape{4, 3, 3};
}

Shape kernel(int rank) {
  if (rank == 1) return {3};
  return rank == 2 ? Shape{2, 3} : Shape{2, 1, 2};
}

void check_all_convs(int rank) {
  for (const int64_t stride : {1, 2}) {
    for (const int64_t dilation : {1, 2}) {
      for (const int64_t groups : {1, 2}) {
        for (const int padding_kind : {0, 1, 2, 3}) {
          if (padding_kind == 3 && stride != 1) continue;  // "same" is for stride 1
          for (int mode = 0; mode < 4; ++mode) {
            if (padding_kind == 0 && mode != 0) continue;
            const bool bias = (stride + dilation + groups + mode) % 2 == 0;
            ConvOptions options{
                .stride = stride, .dilation = dilation, .groups = groups, .padding_mode = static_cast<PaddingMode>(mode)};
            std::string padding = "0";
            if (padding_kind == 1) {
              options.padding = 1;
              padding = "1";
            } else if (padding_kind == 2) {
              options.padding = std::vector<shape::PadPair>(static_cast<size_t>(rank), {1, 2});
              padding = "(1, 2)";
            } else if (padding_kind == 3) {
              options.padding = "same";
              padding = "same";
            }
            if (padding_kind == 0 && dilation == 2 && rank == 2) options.dilation = IntList{2, 1};
            ConvProblem problem{.input = {2, 2 * groups}, .weight = {2 * groups, 2}, .options = options, .bias = bias};
            if (rank == 3) problem.input[0] = 1;
            for (const int64_t n : spatial(rank)) problem.input.push_back(n);
            for (const int64_t k : kernel(rank)) problem.weight.push_back(k);
            problem.name = "conv" + std::to_string(rank) + "d stride " + std::to_string(stride) + " padding " + padding +
                           " dilation " + std::to_string(dilation) + " groups " + std::to_string(groups) + " bias " +
                           std::to_string(bias) + " " + kModes[mode];
            check_conv(rank, problem);
          }
        }
      }
    }
  }
}

TEST(ConvRules, OneAxis) { check_all_convs(1); }
TEST(ConvRules, TwoAxes) { check_all_convs(2); }
TEST(ConvRules, ThreeAxes) { check_all_convs(3); }

TEST(ConvRules, CornersOfTheProblem) {
  check_conv(2, {.input = {3, 5, 4}, .weight = {2, 3, 3, 3}, .options = {.padding = 1}, .bias = true, .name = "unbatched"});
  check_conv(2, {.input = {2, 3, 6, 3}, .weight = {2, 3, 1, 1}, .options = {}, .bias = true, .name = "pointwise"});
  check_conv(
      2, {.input = {2, 3, 6, 3}, .weight = {2, 3, 1, 1}, .options = {.stride = 3}, .bias = false, .name = "pointwise, stride 3"});
  check_conv(
      2,
      {.input = {1, 4, 5, 5}, .weight = {4, 1, 3, 3}, .options = {.padding = 1, .groups = 4}, .bias = true, .name = "depthwise"});
  check_conv(
      2, {.input = {1, 3, 5, 5}, .weight = {6, 1, 3, 3}, .options = {.groups = 3}, .bias = false, .name = "depth multiplier 2"});
  check_conv(2,
             {.input = {2, 2, 3, 3}, .weight = {2, 2, 3, 3}, .options = {}, .bias = true, .name = "kernel as large as the input"});
  check_conv(
      2, {.input = {1, 1, 6, 6}, .weight = {1, 1, 3, 3}, .options = {.stride = 2}, .bias = false, .name = "positions never read"});
  check_conv(2, {.input = {1, 1, 2, 2}, .weight = {1, 1, 2, 2}, .options = {.padding = 4}, .bias = true, .name = "mostly padding"});
}

TEST(ConvRules, EmptyBatchGivesZeroGradients) {
  const Variable x(Tensor::zeros({0, 2, 4, 4}), true), w(Tensor::ones({3, 2, 3, 3}), true), b(Tensor::ones({3}), true);
  Variable y = conv2d(x, w, b);
  EXPECT_EQ(y.shape(), (Shape{0, 3, 2, 2}));
  y.backward(Tensor::zeros(y.shape()));
  EXPECT_EQ(x.grad().shape(), x.shape());
  EXPECT_TRUE(identical(w.grad(), Tensor::zeros(w.shape())));
  EXPECT_TRUE(identical(b.grad(), Tensor::zeros(b.shape())));
}

void check_all_transposed(int rank) {
  for (const int64_t stride : {1, 2}) {
    for (const int64_t dilation : {1, 2}) {
      for (const int64_t groups : {1, 2}) {
        for (const int64_t padding : {0, 1}) {
          for (const int64_t output_padding : {0, 1}) {
            if (output_padding >= std::max(stride, dilation)) continue;
            const bool bias = (stride + dilation + groups + padding + output_padding) % 2 == 0;
            Shape input{rank == 3 ? 1 : 2, 2 * groups}, weight{2 * groups, 2};
            for (const int64_t n : rank == 1 ? Shape{4} : rank == 2 ? Shape{3, 2} : Shape{2, 2, 3}) input.push_back(n);
            for (const int64_t k : rank == 1 ? Shape{3} : rank == 2 ? Shape{2, 3} : Shape{2, 2, 1}) weight.push_back(k);
            const ConvTransposeOptions options{
                .stride = stride, .padding = padding, .output_padding = output_padding, .groups = groups, .dilation = dilation};
            Inputs inputs{checked(input, 1), checked(weight, 2)};
            if (bias) inputs.push_back(checked({2 * groups}, 3));
            expect_gradients(
                "conv_transpose" + std::to_string(rank) + "d stride " + std::to_string(stride) + " padding " +
                    std::to_string(padding) + " output_padding " + std::to_string(output_padding) + " dilation " +
                    std::to_string(dilation) + " groups " + std::to_string(groups) + " bias " + std::to_string(bias) + " input " +
                    text(input),
                [&](const Inputs& in) { return conv_transpose(rank, in[0], in[1], in.size() > 2 ? in[2] : Variable(), options); },
                inputs);
          }
        }
      }
    }
  }
}

TEST(ConvTransposeRules, OneAxis) { check_all_transposed(1); }
TEST(ConvTransposeRules, TwoAxes) { check_all_transposed(2); }
TEST(ConvTransposeRules, ThreeAxes) { check_all_transposed(3); }

TEST(ConvTransposeRules, CornersOfTheProblem) {
  const auto check = [](const char* name, const Shape& input, const Shape& weight, const ConvTransposeOptions& options) {
    expect_gradients(name, [&](const Inputs& in) { return conv_transpose2d(in[0], in[1], {}, options); },
                     {checked(input, 1), checked(weight, 2)});
  };
  check("unbatched", {2, 3, 2}, {2, 2, 3, 3}, {.stride = 2});
  check("output_size", {1, 2, 3, 2}, {2, 2, 3, 3}, {.stride = 2, .padding = 1, .output_size = {6, 4}});
  check("depthwise", {1, 3, 3, 2}, {3, 1, 2, 2}, {.stride = 2, .groups = 3});
  check("stride above the kernel", {1, 1, 3, 2}, {1, 2, 2, 2}, {.stride = 3, .output_padding = 2});
}

TEST(LinearRules, Linear) {
  for (const Shape& leading : {Shape{}, Shape{3}, Shape{2, 3}}) {
    Shape input = leading;
    input.push_back(4);
    const auto function = [](const Inputs& in) { return linear(in[0], in[1], in.size() > 2 ? in[2] : Variable()); };
    expect_gradients("linear " + text(input), function, {checked(input, 1), checked({5, 4}, 2)});
    expect_gradients("linear with bias " + text(input), function, {checked(input, 1), checked({5, 4}, 2), checked({5}, 3)});
  }
}

TEST(LinearRules, Matmul) {
  const std::pair<Shape, Shape> shapes[] = {
      {{4}, {4}},          {{3, 4}, {4}},       {{4}, {4, 5}},          {{3, 4}, {4, 5}},
      {{2, 3, 4}, {4, 5}}, {{3, 4}, {2, 4, 5}}, {{2, 3, 4}, {2, 4, 5}}, {{2, 1, 3, 4}, {3, 4, 2}},
      {{2, 3, 4}, {4}},    {{4}, {2, 4, 3}},    {{1, 3, 4}, {2, 4, 5}}};
  for (const auto& [a, b] : shapes) {
    expect_gradients("matmul " + text(a) + " " + text(b), [](const Inputs& in) { return matmul(in[0], in[1]); },
                     {checked(a, 1), checked(b, 2)});
  }
}

}  // namespace
}  // namespace convoy
