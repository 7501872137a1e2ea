// The blocks as mathematics: one convolution with trained statistics, gradients, and the alignment rule of the notes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "convoy/autograd/functions.h"
#include "convoy/autograd/grad_check.h"
#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "convoy/nn/parse.h"
#include "convoy/nn/reparam/ac_block.h"
#include "convoy/nn/reparam/bn_and_pad.h"
#include "convoy/nn/reparam/diverse_branch_block.h"
#include "convoy/nn/reparam/fuse.h"
#include "convoy/nn/reparam/rep_vgg_block.h"

namespace convoy::nn {
namespace {

using BlockPointer = std::shared_ptr<ReparamBlock>;

// What training leaves behind, and nothing that is 0 or 1 by chance.
void pretend_training(Module& module) {
  for (auto& [name, value] : module.state_dict()) {
    Tensor values = value;
    if (name.ends_with("running_mean")) normal_(values, 0.3, 1);
    if (name.ends_with("running_var")) uniform_(values, 0.1, 3);
    if (name.find("bn") == std::string::npos && name.find("identity") == std::string::npos) continue;
    if (name.ends_with(".weight") && values.dim() == 1) uniform_(values, 0.3, 1.7);
    if (name.ends_with(".bias")) normal_(values, 0, 0.5);
  }
}

// The largest difference over the largest value, or over 1.
double relative_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  if (a.shape() != b.shape()) return INFINITY;
  double largest = 0, difference = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    largest = std::max(largest, std::abs(a.at(i)));
    const double d = std::abs(a.at(i) - b.at(i));
    difference = std::isnan(d) ? INFINITY : std::max(difference, d);
  }
  return difference / std::max(largest, 1.0);
}

struct Draw {
  std::mt19937 engine;
  int64_t operator()(int64_t first, int64_t last) {
    return first + static_cast<int64_t>(engine() % static_cast<unsigned>(last - first + 1));
  }
};

struct Problem {
  int rank;
  int64_t in, out, groups;
  std::vector<int64_t> kernel, stride, padding, dilation;
  Shape input;
  std::string text;

  Problem(Draw& draw, int least_rank, bool square_channels) : rank(static_cast<int>(draw(least_rank, 3))) {
    groups = draw(1, 3);
    in = groups * draw(1, 2);
    out = square_channels ? in : groups * draw(1, 3);
    const int64_t s = draw(1, 3);
    input = {2, in};
    for (int a = 0; a < rank; ++a) {
      kernel.push_back(draw(1, rank == 3 ? 3 : 5));
      stride.push_back(square_channels ? 1 : s);
      padding.push_back(draw(0, kernel.back()));
      dilation.push_back(draw(1, 2));
      input.push_back(std::max<int64_t>(dilation.back() * (kernel.back() - 1) + 1 - 2 * padding.back(), 0) + draw(1, 6));
    }
    text = "in " + std::to_string(in) + " out " + std::to_string(out) + " g " + std::to_string(groups) + " k " +
           convoy::to_string(Shape(kernel)) + " s " + convoy::to_string(Shape(stride)) + " p " + convoy::to_string(Shape(padding)) +
           " d " + convoy::to_string(Shape(dilation)) + " x " + convoy::to_string(Shape(input));
  }
};

// In both types: the block, its one convolution, and the block made anew from its printed form.
void expect_one_convolution(const BlockPointer& block, const Problem& p) {
  SCOPED_TRACE(block->type() + " " + p.text);
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    block->to(dtype);
    block->eval();
    const Variable x(randn(p.input, dtype));
    const Fused fused = fuse(block);
    EXPECT_LT(relative_difference((*block)(x).data(), (*fused.module)(x).data()), dtype == DType::kFloat32 ? 5e-6 : 1e-12);
    ASSERT_EQ(fused.places.size(), 1U);
    EXPECT_TRUE(fused.places[0].exact);
  }
  // The printed form says everything, and a file keeps it.
  const std::shared_ptr<Module> again = parse(block->definition());
  EXPECT_EQ(again->definition(), block->definition());
  again->load_state_dict(block->state_dict());
}

TEST(Blocks, ACBlockIsOneConvolution) {
  manual_seed(1);
  Draw draw{std::mt19937(1)};
  for (int n = 0; n < 150; ++n) {
    const Problem p(draw, 2, false);
    ACBlockOptions options{.in_channels = p.in, .out_channels = p.out, .kernel_size = p.kernel, .groups = p.groups};
    options.stride = p.stride;
    options.padding = IntList(p.padding);
    options.dilation = p.dilation;
    options.use_affine = n % 5 != 0;
    const auto block = std::make_shared<ACBlock>(options, p.rank);
    pretend_training(*block);
    expect_one_convolution(block, p);
  }
}

TEST(Blocks, RepVGGBlockIsOneConvolution) {
  manual_seed(2);
  Draw draw{std::mt19937(2)};
  for (int n = 0; n < 150; ++n) {
    const Problem p(draw, 1, n % 2 == 0);
    RepVGGBlockOptions options{.in_channels = p.in, .out_channels = p.out, .kernel_size = p.kernel, .groups = p.groups};
    options.stride = p.stride;
    options.padding = IntList(p.padding);
    options.dilation = p.dilation;
    if (n % 5 == 0) {  // with squeeze and excitation, which has a sixteenth as many neurons
      options.use_se = true;
      options.out_channels = 16 * p.groups;
    }
    const auto block = std::make_shared<RepVGGBlock>(options, p.rank);
    pretend_training(*block);
    expect_one_convolution(block, p);
  }
}

TEST(Blocks, DiverseBranchBlockIsOneConvolution) {
  manual_seed(3);
  Draw draw{std::mt19937(3)};
  for (int n = 0; n < 150; ++n) {
    Problem p(draw, 1, n % 2 == 0);
    if (n % 4 == 0) p.groups = p.in;  // depthwise
    DiverseBranchBlockOptions options{.in_channels = p.in, .out_channels = p.out, .kernel_size = p.kernel, .groups = p.groups};
    options.stride = p.stride;
    options.padding = IntList(p.padding);
    options.dilation = p.dilation;
    if (n % 3 == 0) options.internal_channels_1x1_3x3 = p.groups * draw(1, 4);
    const auto block = std::make_shared<DiverseBranchBlock>(options, p.rank);
    pretend_training(*block);
    expect_one_convolution(block, p);
  }
}

TEST(Blocks, AWindowMayNeedThePadding) {
  const auto block = std::make_shared<DiverseBranchBlock>(
      DiverseBranchBlockOptions{.in_channels = 2, .out_channels = 2, .kernel_size = {3, 2, 2}, .padding = {0, 1, 0}, .groups = 2},
      3);
  pretend_training(*block);
  block->eval();
  const Variable x(randn({1, 2, 7, 1, 7}));
  EXPECT_LT(relative_difference((*block)(x).data(), (*block->fused())(x).data()), 5e-6);
}

TEST(Blocks, PaddingModesAndUnevenPaddingToo) {
  manual_seed(4);
  Draw draw{std::mt19937(4)};
  for (const PaddingMode mode : {PaddingMode::kReflect, PaddingMode::kReplicate, PaddingMode::kCircular}) {
    for (int64_t k = 2; k <= 5; ++k) {
      for (int64_t p = 0; p <= 3; ++p) {
        Problem problem(draw, 2, false);
        problem.rank = 2;
        problem.input = {2, 2, 9, 8};
        problem.text = "k " + std::to_string(k) + " p " + std::to_string(p) + " " + padding_mode_name(mode);
        const auto ac = std::make_shared<ACBlock>(ACBlockOptions{
            .in_channels = 2, .out_channels = 3, .kernel_size = k, .stride = 1 + p % 2, .padding = p, .padding_mode = mode});
        const auto rep = std::make_shared<RepVGGBlock>(
            RepVGGBlockOptions{.in_channels = 2, .out_channels = 3, .kernel_size = k, .padding = p, .padding_mode = mode});
        pretend_training(*ac);
        pretend_training(*rep);
        expect_one_convolution(ac, problem);
        expect_one_convolution(rep, problem);
      }
    }
  }
  Problem problem(draw, 2, false);
  problem.rank = 2;
  problem.input = {2, 2, 7, 8};
  for (const Padding& padding : {Padding("same"), Padding("valid"), Padding{{0, 2}, {3, 1}}}) {
    const BlockPointer blocks[] = {
        std::make_shared<ACBlock>(ACBlockOptions{.in_channels = 2, .out_channels = 3, .kernel_size = {4, 3}, .padding = padding}),
        std::make_shared<RepVGGBlock>(
            RepVGGBlockOptions{.in_channels = 2, .out_channels = 2, .kernel_size = {4, 3}, .padding = padding}),
        std::make_shared<DiverseBranchBlock>(
            DiverseBranchBlockOptions{.in_channels = 2, .out_channels = 3, .kernel_size = {4, 3}, .padding = padding})};
    for (const BlockPointer& block : blocks) {
      pretend_training(*block);
      expect_one_convolution(block, problem);
    }
  }
}

// The rule of the notes for a square kernel k, padding p and dilation 1, as docs/howto/fold_a_network.md tabulates it.
TEST(Blocks, TheAlignmentTable) {
  struct Row {
    int64_t k, p, crop;
    std::vector<int64_t> hor, ver;
  };
  const std::vector<Row> table = {
      {3, 0, 1, {0, 0}, {0, 0}}, {3, 1, 0, {0, 1}, {1, 0}}, {3, 2, 0, {1, 2}, {2, 1}},
      {5, 0, 2, {0, 0}, {0, 0}}, {5, 1, 1, {0, 1}, {1, 0}}, {5, 2, 0, {0, 2}, {2, 0}},
      {5, 3, 0, {1, 3}, {3, 1}}, {7, 2, 1, {0, 2}, {2, 0}}, {7, 3, 0, {0, 3}, {3, 0}},
  };
  for (const Row& row : table) {
    SCOPED_TRACE("k " + std::to_string(row.k) + " p " + std::to_string(row.p));
    EXPECT_EQ(row.crop, std::max<int64_t>(0, row.k / 2 - row.p));
    EXPECT_EQ(row.hor, (std::vector<int64_t>{std::max<int64_t>(0, row.p - row.k / 2), row.p}));
    const ACBlock block({.in_channels = 1, .out_channels = 1, .kernel_size = row.k, .padding = row.p});
    for (const auto& [name, child] : block.children()) {
      const auto* conv = dynamic_cast<const BranchConv*>(child.get());
      if (conv == nullptr) continue;
      const std::vector<int64_t> wanted = name == "hor_conv"   ? row.hor
                                          : name == "ver_conv" ? row.ver
                                                               : std::vector<int64_t>{row.p, row.p};
      EXPECT_EQ(conv->options().padding.values().values(), wanted) << name;
    }
  }
}

TEST(Blocks, WhatABranchReadsIsWhatItsTapsOfTheSquareRead) {
  // Ones in a branch alone, folded: the middle row, the middle column.
  for (const auto& [k, p] : std::vector<std::pair<int64_t, int64_t>>{{3, 0}, {3, 1}, {5, 1}, {4, 2}}) {
    auto block =
        std::make_shared<ACBlock>(ACBlockOptions{.in_channels = 1, .out_channels = 1, .kernel_size = k, .padding = p, .eps = 0.0});
    for (auto& [name, parameter] : block->named_parameters()) {
      Variable value = parameter;
      if (name == "square_conv.weight" || name == "ver_conv.weight") value.data().zero_();
      if (name == "hor_conv.weight") value.data().fill_(1);
    }
    const Tensor kernel = block->equivalent_kernel_bias().weight;
    for (int64_t i = 0; i < k * k; ++i) EXPECT_EQ(kernel.at(i), i / k == k / 2 ? 1 : 0) << "k " << k << " tap " << i;
  }
}

// backward() against differences, with the statistics put back before every call. BNAndPad's padding is a constant to the gradient:
// its parameters are checked by themselves below, and blocks with it need momentum 0, so that the batch does not move its
// statistics.
void expect_gradients(const std::string& name, Module& block, const Shape& shape, bool training) {
  SCOPED_TRACE(name + (training ? " in training" : " in evaluation"));
  set_num_threads(1);
  block.to(DType::kFloat64);
  pretend_training(block);
  block.train(training);
  StateDict buffers;
  for (auto& [key, value] : block.named_buffers()) buffers.emplace_back(key, value.clone());
  std::vector<Variable> inputs = {Variable(randn(shape, DType::kFloat64), true)};
  std::vector<std::string> keys = {"input"};
  for (auto& [key, parameter] : block.named_parameters()) {
    if (key.find("bn.bn.") != std::string::npos || key.find("bn1.bn.") != std::string::npos) continue;
    inputs.push_back(parameter);
    keys.push_back(key);
  }
  const auto put_back = [&] {
    const auto now = block.named_buffers();
    for (size_t i = 0; i < now.size(); ++i) {
      Tensor target = now[i].second;
      target.copy_(buffers[i].second);
    }
  };
  const GradCheckReport report = grad_check(
      [&](const std::vector<Variable>& in) {
        put_back();
        return block.forward(in[0]);
      },
      {inputs[0]}, {.eps = 1e-6, .atol = 1e-6, .rtol = 1e-5});
  EXPECT_TRUE(report) << report.text;

  // Parameters: one directional derivative each, along a random direction.
  const auto loss = [&](bool backward) {
    put_back();
    Variable y = block.forward(inputs[0]);
    Tensor weights = Tensor::empty(y.shape(), DType::kFloat64);
    for (int64_t i = 0; i < weights.numel(); ++i) weights.data<double>()[i] = std::sin(1.0 + 0.7 * static_cast<double>(i));
    Variable total = sum(y * Variable(weights));
    if (backward) total.backward();
    return total.item();
  };
  block.zero_grad();
  loss(true);
  for (size_t i = 1; i < inputs.size(); ++i) {
    SCOPED_TRACE(keys[i]);
    Tensor value = inputs[i].data();
    const Tensor before = value.clone(), direction = randn(value.shape(), DType::kFloat64), gradient = inputs[i].grad();
    const auto moved = [&](double step) {
      for (int64_t e = 0; e < value.numel(); ++e) value.data<double>()[e] = before.at(e) + step * direction.at(e);
      const double result = loss(false);
      value.copy_(before);
      return result;
    };
    constexpr double kStep = 1e-5;
    double expected = (moved(kStep) - moved(-kStep)) / (2 * kStep), found = 0, size = 0;
    for (int64_t e = 0; e < value.numel(); ++e) {
      found += gradient.at(e) * direction.at(e);
      size += std::abs(gradient.at(e) * direction.at(e));
    }
    EXPECT_NEAR(found, expected, 1e-6 * std::max(size, 1.0));
  }
  set_num_threads(0);
}

TEST(Blocks, GradientsOfACBlock) {
  manual_seed(5);
  for (const bool training : {true, false}) {
    ACBlock aligned({.in_channels = 2, .out_channels = 2, .kernel_size = 3, .stride = 2, .padding = 1, .groups = 2});
    expect_gradients("ACBlock", aligned, {2, 2, 5, 4}, training);
    ACBlock cropped({.in_channels = 1, .out_channels = 2, .kernel_size = 3, .padding = 0, .dilation = 2});
    expect_gradients("ACBlock that crops", cropped, {2, 1, 6, 6}, training);
    ACBlock deep({.in_channels = 1, .out_channels = 1, .kernel_size = 2, .padding = 1}, 3);
    expect_gradients("ACBlock3d", deep, {2, 1, 2, 3, 2}, training);
  }
}

TEST(Blocks, GradientsOfRepVGGBlock) {
  manual_seed(6);
  for (const bool training : {true, false}) {
    RepVGGBlock identity({.in_channels = 2, .out_channels = 2, .kernel_size = 3, .padding = 1});
    expect_gradients("RepVGGBlock", identity, {2, 2, 4, 3}, training);
    RepVGGBlock line({.in_channels = 2, .out_channels = 2, .kernel_size = 3, .padding = 2, .groups = 2}, 1);
    expect_gradients("RepVGGBlock1d", line, {3, 2, 5}, training);
    RepVGGBlock excited({.in_channels = 2, .out_channels = 16, .kernel_size = 3, .stride = 2, .padding = 1, .use_se = true});
    expect_gradients("RepVGGBlock with SEBlock", excited, {2, 2, 4, 4}, training);
  }
}

TEST(Blocks, GradientsOfDiverseBranchBlock) {
  manual_seed(7);
  for (const bool training : {true, false}) {
    DiverseBranchBlock block({.in_channels = 2, .out_channels = 3, .kernel_size = 3, .padding = 1, .momentum = 0.0});
    expect_gradients("DiverseBranchBlock", block, {2, 2, 4, 3}, training);
    DiverseBranchBlock depthwise({.in_channels = 2,
                                  .out_channels = 2,
                                  .kernel_size = 3,
                                  .stride = 2,
                                  .padding = 1,
                                  .dilation = 2,
                                  .groups = 2,
                                  .momentum = 0.0});
    expect_gradients("depthwise DiverseBranchBlock", depthwise, {2, 2, 6, 5}, training);
  }
}

TEST(Blocks, GradientsOfBNAndPadTakeThePaddingForAConstant) {
  manual_seed(8);
  for (const bool training : {true, false}) {
    BNAndPad block({.pad_pixels = Padding{{1, 0}, {2, 1}}, .num_features = 2});
    block.to(DType::kFloat64);
    pretend_training(block);
    block.train(training);
    const Variable x(randn({3, 2, 3, 2}, DType::kFloat64), true);
    const Tensor mean = block.norm().running_mean().clone(), var = block.norm().running_var().clone();
    Variable y = block(x);
    ASSERT_EQ(y.shape(), (Shape{3, 2, 4, 5}));
    // The values around, and what lies inside.
    const Tensor around = affine_of(block.norm()).shift;
    for (int64_t n = 0; n < 3; ++n) {
      for (int64_t c = 0; c < 2; ++c) EXPECT_EQ(y.data().at((n * 2 + c) * 20), around.at(c));
    }
    y.backward(Tensor::ones(y.shape(), DType::kFloat64));
    // The same with the batch normalisation alone: padding adds nothing to any gradient.
    const Variable x2(x.data().clone(), true), weight(block.norm().weight().data().clone(), true),
        bias(block.norm().bias().data().clone(), true);
    Variable plain = batch_norm(x2, mean, var, weight, bias, {.training = training});
    plain.backward(Tensor::ones(plain.shape(), DType::kFloat64));
    EXPECT_TRUE(identical(x.grad(), x2.grad()));
    EXPECT_TRUE(identical(block.norm().weight().grad(), weight.grad()));
    EXPECT_TRUE(identical(block.norm().bias().grad(), bias.grad()));
  }
}

TEST(Blocks, RefuseWhatTheyCannotBe) {
  EXPECT_THROW(ACBlock({.in_channels = 2, .out_channels = 2, .kernel_size = 3}, 1), ValueError);
  EXPECT_THROW(ACBlock({.in_channels = 2, .out_channels = 2, .kernel_size = 3, .use_affine = false, .gamma_init = 0.3}),
               ValueError);
  EXPECT_THROW(ACBlock({.in_channels = 2, .kernel_size = 3}), ValueError);
  EXPECT_THROW(ACBlock({.in_channels = 2, .out_channels = 2, .kernel_size = 3, .stride = 2, .padding = "same"}), ValueError);
  EXPECT_THROW(
      RepVGGBlock({.in_channels = 2, .out_channels = 2, .kernel_size = 3, .padding = 1, .padding_mode = PaddingMode::kReflect}),
      ValueError);
  EXPECT_THROW(
      DiverseBranchBlock({.in_channels = 4, .out_channels = 4, .kernel_size = 3, .groups = 2, .internal_channels_1x1_3x3 = 3}),
      ValueError);
  EXPECT_THROW(RepVGGBlock({.in_channels = 2, .out_channels = 15, .kernel_size = 3, .padding = 1, .use_se = true}), ValueError);
  EXPECT_THROW(BNAndPad({.num_features = 2}), ValueError);
  EXPECT_THROW(BNAndPad({.pad_pixels = -1, .num_features = 2}), ValueError);
}

}  // namespace
}  // namespace convoy::nn
