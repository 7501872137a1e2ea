// fuse() on networks, and what verify() says of fused ones that differ.
#include "convoy/nn/reparam/fuse.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/nn/composed.h"
#include "convoy/nn/conv.h"
#include "convoy/nn/norm.h"
#include "convoy/nn/parse.h"
#include "convoy/nn/reparam/ac_block.h"
#include "convoy/nn/reparam/verify.h"

namespace convoy::nn {
namespace {

using Network = std::shared_ptr<Module>;

// A network with the statistics that training leaves, in evaluation mode.
Network trained(const std::string& text, DType dtype = DType::kFloat64) {
  manual_seed(11);
  const Network network = parse(text);
  for (auto& [name, value] : network->state_dict()) {
    Tensor values = value;
    if (name.ends_with("running_mean")) normal_(values, 0.3, 1);
    if (name.ends_with("running_var")) uniform_(values, 0.1, 3);
    if (name.ends_with("weight") && values.dim() == 1) uniform_(values, 0.3, 1.7);
    if (name.ends_with("bias")) normal_(values, 0, 0.5);
  }
  network->to(dtype);
  network->eval();
  return network;
}

double difference(const Network& a, const Network& b, const Shape& shape) {
  const NoGradGuard no_grad;
  const Variable x(randn(shape, a->parameters().at(0).dtype()));
  const Tensor y = (*a)(x).data(), z = (*b)(x).data();
  EXPECT_EQ(y.shape(), z.shape());
  double largest = 0, scale = 1;
  for (int64_t i = 0; i < y.numel() && y.shape() == z.shape(); ++i) {
    largest = std::max(largest, std::abs(y.at(i) - z.at(i)));
    scale = std::max(scale, std::abs(y.at(i)));
  }
  return largest / scale;
}

std::vector<std::string> types(const Network& network) {
  std::vector<std::string> all;
  for (const auto& [name, child] : network->children()) all.push_back(name + " " + child->type());
  return all;
}

using Names = std::vector<std::string>;

struct Case {
  const char* text;
  Shape input;
  Names layers;
};

TEST(Fuse, FoldsWhatCanBeFolded) {
  const std::vector<Case> cases = {
      {"Sequential(Conv2d(3, 4, 3, padding=1, bias=False), BatchNorm2d(4), ReLU())", {2, 3, 6, 5}, {"0 Conv2d", "1 ReLU"}},
      {"Sequential(Conv2d(4, 4, 3, padding=1, groups=2, padding_mode='reflect'), BatchNorm2d(4), BatchNorm2d(4))",
       {2, 4, 6, 5},
       {"0 Conv2d"}},
      {"Sequential(ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), BatchNorm2d(6))",
       {2, 4, 4, 3},
       {"0 ConvTranspose2d"}},
      {"Sequential(Linear(5, 4), BatchNorm1d(4), ReLU(), BatchNorm1d(4), Linear(4, 3))",
       {3, 5},
       {"0 Linear", "1 ReLU", "2 Linear"}},
      {"Sequential(BatchNorm2d(3), Conv2d(3, 4, 3))", {2, 3, 6, 5}, {"0 Conv2d"}},
      {"Sequential(BatchNorm2d(3), Conv2d(3, 4, 3, padding=1, padding_mode='circular'), ReLU(), BatchNorm2d(4), ConvTranspose2d(4, "
       "2, 1))",
       {2, 3, 6, 5},
       {"0 Conv2d", "1 ReLU", "2 ConvTranspose2d"}},
      {"Sequential(BNAndPadLayer(1, 3), Conv2d(3, 4, 3, stride=2))", {2, 3, 6, 5}, {"0 Conv2d"}},
      {"Sequential(BatchNorm2d(3), BatchNorm2d(3), Conv2d(3, 4, 3), BatchNorm2d(4))", {2, 3, 6, 5}, {"0 Conv2d"}},
      {"Sequential(Conv2d(4, 6, 1, bias=False, groups=2), BNAndPadLayer(2, 6), Conv2d(6, 4, 5, groups=2), BatchNorm2d(4))",
       {2, 4, 6, 7},
       {"0 Conv2d"}},
      {"Sequential(Conv2d(4, 6, 1), BNAndPadLayer(1, 6), Conv2d(6, 4, 3))", {2, 4, 6, 7}, {"0 Conv2d", "1 Conv2d"}},
      {"Sequential(Conv1d(3, 4, 3), BatchNorm1d(4), BNAndPadLayer1d(2, 4), Conv1d(4, 3, 3))", {2, 3, 9}, {"0 Conv1d", "1 Conv1d"}},
      {"Sequential(Conv3d(2, 3, 2), BatchNorm3d(3))", {1, 2, 3, 4, 3}, {"0 Conv3d"}},
      {"Sequential(ACBlock(2, 3, 3, padding=1), BatchNorm2d(3), ReLU())", {2, 2, 6, 5}, {"0 Conv2d", "1 ReLU"}},
      {"Sequential(RepVGGBlock(3, 3, 3, padding=1), BatchNorm2d(3), Conv2d(3, 2, 1))",
       {2, 3, 6, 5},
       {"0 Conv2d", "1 ReLU", "2 Conv2d"}},
      {"Net(\n(stem): RepVGGBlock(2, 3, 3, stride=2, padding=1)\n(stage): Sequential(\n(0): RepVGGBlock(3, 3, 3, padding=1)\n(1): "
       "Dropout(p=0.5)\n)\n(head): "
       "Conv2d(3, 2, 1)\n(bn): BatchNorm2d(2)\n)",
       {2, 2, 8, 9},
       {"stem Conv2d", "stem_activation ReLU", "stage Sequential", "head Conv2d"}},
      {"Sequential(DiverseBranchBlock(2, 4, 3, padding=1, nonlinear=ReLU), MaxPool2d(2), DiverseBranchBlock(4, 4, 3, padding=1, "
       "groups=4))",
       {2, 2, 8, 9},
       {"0 Conv2d", "1 ReLU", "2 MaxPool2d", "3 Conv2d"}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    const Network network = trained(c.text);
    const std::string before = network->definition();
    const Fused fused = fuse(network);
    EXPECT_EQ(types(fused.module), c.layers);
    EXPECT_LT(difference(network, fused.module, c.input), 1e-12);
    EXPECT_TRUE(fused.kept.empty());
    EXPECT_EQ(network->definition(), before) << "the network itself must stay as it is";
    EXPECT_FALSE(fused.module->is_training());
    EXPECT_EQ(parse(fused.module->definition())->definition(), fused.module->definition());
    const Agreement agreement = verify(*network, fused, Shape(c.input.begin() + 1, c.input.end()), 3);
    EXPECT_TRUE(agreement.agrees);
  }
}

TEST(Fuse, SqueezeAndExcitationStaysBehindTheConvolution) {
  const Network network = trained("Net(\n(stage0): RepVGGBlock(3, 16, 3, padding=1, use_se=True)\n(head): Conv2d(16, 2, 1)\n)");
  const Fused fused = fuse(network);
  EXPECT_EQ(types(fused.module), (Names{"stage0 Conv2d", "stage0_se SEBlock", "stage0_activation ReLU", "head Conv2d"}));
  EXPECT_TRUE(fused.kept.empty());
  EXPECT_LT(difference(network, fused.module, {2, 3, 5, 7}), 1e-12);
  EXPECT_EQ(parse(fused.module->definition())->definition(), fused.module->definition());
  EXPECT_TRUE(verify(*network, fused, {3, 5, 7}, 3).agrees);
  EXPECT_EQ(types(fuse(trained("RepVGGBlock(2, 32, 3, padding=1, use_se=True)")).module),
            (Names{"0 Conv2d", "1 SEBlock", "2 ReLU"}));
}

// A class that a user might write.
class Shortcut : public Composed {
 public:
  Shortcut(const Conv2d& conv, const BatchNorm2d& norm, std::vector<std::vector<size_t>> chains) : chains_(std::move(chains)) {
    register_child("conv", conv);
    register_child("bn", norm);
  }
  std::string type() const override { return "Shortcut"; }
  Variable forward(const Variable& x) override { return x + child(1)(child(0)(x)); }
  std::vector<std::vector<size_t>> chains() const override { return chains_; }

 private:
  std::shared_ptr<Composed> copy() const override { return std::make_shared<Shortcut>(*this); }

  std::vector<std::vector<size_t>> chains_;
};

TEST(Fuse, AClassThatSaysHowItsLayersAreConnectedIsLookedInto) {
  manual_seed(12);
  const auto shortcut = [](std::vector<std::vector<size_t>> chains) {
    const auto made = std::make_shared<Shortcut>(Conv2d({.in_channels = 3, .out_channels = 3, .kernel_size = 3, .padding = 1}),
                                                 BatchNorm2d({.num_features = 3}), std::move(chains));
    for (auto& [name, value] : made->state_dict()) {
      Tensor values = value;
      if (name.starts_with("bn.running")) uniform_(values, 0.5, 2);
    }
    made->to(DType::kFloat64);
    made->eval();
    return made;
  };
  const Network network = shortcut({{0, 1}});
  const Fused fused = fuse(network);
  EXPECT_EQ(types(fused.module), (Names{"conv Conv2d", "bn Identity"}));
  EXPECT_EQ(types(network), (Names{"conv Conv2d", "bn BatchNorm2d"})) << "the network itself must stay as it is";
  EXPECT_EQ(fused.module->type(), "Shortcut");
  EXPECT_LT(difference(network, fused.module, {2, 3, 6, 5}), 1e-12);
  EXPECT_TRUE(verify(*network, fused, {3, 6, 5}, 3).agrees);
  // What is not said to follow one another is left alone.
  const Fused none = fuse(shortcut({}));
  EXPECT_EQ(types(none.module), (Names{"conv Conv2d", "bn BatchNorm2d"}));
  ASSERT_EQ(none.kept.size(), 1U);
  EXPECT_EQ(none.kept[0].name, "bn");
}

TEST(Fuse, ABlockAloneIsALayerOrTwo) {
  const Fused one = fuse(trained("ACBlock(2, 3, 3, padding=1)"));
  EXPECT_EQ(one.module->type(), "Conv2d");
  EXPECT_EQ(types(fuse(trained("RepVGGBlock(2, 3, 3, padding=1)")).module), (Names{"0 Conv2d", "1 ReLU"}));
  const Network plain = trained("Conv2d(2, 3, 3)");
  EXPECT_EQ(fuse(plain).module, plain);
}

TEST(Fuse, SaysWhatItLeavesAndWhy) {
  const auto kept = [](const std::string& text) {
    const Fused fused = fuse(trained(text));
    return fused.kept.size() == 1 ? fused.kept[0].name + ": " + fused.kept[0].reason + " / " + fused.kept[0].remedy
                                  : std::to_string(fused.kept.size()) + " kept";
  };
  const std::string zeros = kept("Sequential(ReLU(), BatchNorm2d(3), Conv2d(3, 4, 3, padding=1))");
  EXPECT_NE(zeros.find("1: the Conv2d that follows pads with zeros"), std::string::npos) << zeros;
  EXPECT_NE(zeros.find("BNAndPad"), std::string::npos) << zeros;
  EXPECT_NE(zeros.find("without padding"), std::string::npos) << zeros;
  EXPECT_NE(kept("Sequential(BatchNorm2d(3), ConvTranspose2d(3, 4, 3))").find("kernels overlap"), std::string::npos);
  EXPECT_NE(kept("Sequential(Conv2d(3, 4, 3), BatchNorm2d(4, track_running_stats=False))").find("no running statistics"),
            std::string::npos);
  const std::string pad = kept("Sequential(BatchNorm2d(3), ZeroPad2d(1), Conv2d(3, 4, 3))");
  EXPECT_NE(pad.find("0: the ZeroPad2d that follows puts numbers beside"), std::string::npos) << pad;
  EXPECT_NE(pad.find("BNAndPad"), std::string::npos) << pad;
  EXPECT_NE(kept("Sequential(BatchNorm2d(3), ReLU())").find("no layer beside it"), std::string::npos);
  EXPECT_NE(kept("Sequential(BNAndPadLayer(1, 3), ReLU(), Conv2d(3, 4, 3))").find("no convolution without padding"),
            std::string::npos);
  // Without shift, zero stays zero.
  const Network still = trained("Sequential(BatchNorm2d(3), Conv2d(3, 4, 3, padding=1))");
  for (auto& [name, value] : still->state_dict()) {
    Tensor values = value;
    if (name == "0.bias" || name == "0.running_mean") values.zero_();
  }
  EXPECT_EQ(types(fuse(still).module), (Names{"0 Conv2d"}));
}

TEST(Fuse, TrainingModeIsRefused) {
  const Network network = trained("Sequential(Conv2d(3, 4, 3), BatchNorm2d(4))");
  network->children()[1].second->train();
  try {
    fuse(network);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.reason(), "Fusion only for eval!");
    EXPECT_NE(error.fix().find("layer 1, BatchNorm2d"), std::string::npos) << error.fix();
  }
}

TEST(Fuse, DamagedStatisticsNameTheLayer) {
  const Network network = trained("Sequential(ReLU(), ACBlock(2, 2, 3))");
  for (auto& [name, value] : network->state_dict()) {
    Tensor values = value;
    if (name == "1.ver_bn.running_var") values.fill_(-1);
  }
  try {
    fuse(network);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(error.reason().find("running_var + eps is -0.99999"), std::string::npos) << error.reason();
    EXPECT_NE(error.fix().find("in layer 1"), std::string::npos) << error.fix();
  }
}

TEST(Verify, ZeroPaddingAfterBatchNormDiffersAtTheBorderOnly) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const Network network = trained("Sequential(ReLU(), BatchNorm2d(3), Conv2d(3, 4, 3, padding=1))", dtype);
    const Fused fused = fuse(network, {.inexact = true});
    ASSERT_EQ(fused.places.size(), 1U);
    EXPECT_FALSE(fused.places[0].exact);
    const Agreement agreement = verify(*network, fused, {3, 6, 7}, 5);
    EXPECT_FALSE(agreement.agrees);
    const PlaceAgreement& place = agreement.places.at(0);
    EXPECT_EQ(place.border_outputs, 6 * 7 - 4 * 5);
    EXPECT_EQ(place.outputs, 6 * 7);
    EXPECT_GT(place.border, 1e-3);
    EXPECT_LT(place.interior, agreement.limit * place.scale);
    EXPECT_NE(place.cause.find("zeros after the batch normalisation"), std::string::npos) << place.cause;
    EXPECT_NE(place.remedy.find("BNAndPad"), std::string::npos);
  }
}

TEST(Verify, NamesTheBranchThatLiesElsewhere) {
  const Network network = trained("Sequential(ACBlock(2, 3, 3, padding=1), ReLU())", DType::kFloat32);
  const auto block = std::dynamic_pointer_cast<ACBlock>(network->children()[0].second);
  const auto tampered = [&](const std::function<void(std::vector<FoldedBranch>&)>& change) {
    std::vector<FoldedBranch> branches = block->folded_branches();
    change(branches);
    std::vector<ConvParameters> placed;
    for (const FoldedBranch& b : branches)
      placed.push_back({ops::place_kernel(b.parameters.weight, {3, 3}, b.first_tap), b.parameters.bias});
    const ConvParameters sum = ops::add_branches(placed);
    Fused fused = fuse(network);
    auto* conv = dynamic_cast<Conv*>(fused.places[0].after.get());
    conv->weight().data().copy_(sum.weight.to(DType::kFloat32));
    conv->bias().data().copy_(sum.bias.to(DType::kFloat32));
    const Agreement agreement = verify(*network, fused, {2, 7, 6}, 4);
    EXPECT_EQ(agreement.agrees, agreement.places[0].cause.empty());
    return agreement.places[0].cause;
  };
  EXPECT_EQ(tampered([](std::vector<FoldedBranch>&) {}), "");
  const std::string elsewhere = tampered([](std::vector<FoldedBranch>& branches) { branches[2].first_tap = {0, 0}; });
  EXPECT_EQ(elsewhere, "misaligned branches: hor_conv was added at tap [0, 0] of the kernel instead of [1, 0]");
  EXPECT_EQ(tampered([](std::vector<FoldedBranch>& branches) { branches.erase(branches.begin() + 1); }),
            "branch ver_conv is missing in the convolution's weights");
  EXPECT_NE(tampered([](std::vector<FoldedBranch>& branches) {
              branches[0].parameters.bias.data<double>()[1] += 0.5;
            }).find("the bias does not"),
            std::string::npos);
  EXPECT_NE(tampered([](std::vector<FoldedBranch>& branches) {
              branches[0].parameters.weight.data<double>()[5] += 0.5;
            }).find("not those that these layers"),
            std::string::npos);
}

TEST(Verify, WhatTheUnfoldedLayersLoseByRoundingIsNoDifference) {
  const Network network = trained("Sequential(Conv2d(2, 3, 3, padding=1), BatchNorm2d(3), ReLU())", DType::kFloat32);
  for (auto& [name, value] : network->state_dict()) {
    Tensor values = value;
    if (name == "0.bias" || name == "1.running_mean") values.fill_(10000);
  }
  Fused fused = fuse(network);
  const Agreement agreement = verify(*network, fused, {2, 7, 6}, 4);
  EXPECT_TRUE(agreement.agrees);
  EXPECT_GT(agreement.places.at(0).interior, agreement.limit * agreement.places[0].scale);
  EXPECT_NE(agreement.places[0].note.find("rounding"), std::string::npos);
  EXPECT_TRUE(agreement.places[0].cause.empty());
  // Weights that are wrong by as little are still found.
  Tensor weight = dynamic_cast<Conv&>(*fused.places[0].after).weight().data();
  weight.data<float>()[3] += 0.01F;
  EXPECT_FALSE(verify(*network, fused, {2, 7, 6}, 4).agrees);
}

TEST(Verify, NamesTheLayerInTrainingMode) {
  const Network network = trained("Sequential(ACBlock(2, 3, 3, padding=1), ReLU())", DType::kFloat32);
  const Fused fused = fuse(network);
  network->train();
  const StateDict state = network->state_dict();
  StateDict before;
  for (const auto& [name, value] : state) before.emplace_back(name, value.clone());
  const Agreement agreement = verify(*network, fused, {2, 7, 6}, 4);
  EXPECT_FALSE(agreement.agrees);
  EXPECT_NE(agreement.cause.find("layer 0.square_bn is in training mode"), std::string::npos) << agreement.cause;
  EXPECT_NE(agreement.remedy.find("eval()"), std::string::npos);
  for (size_t i = 0; i < state.size(); ++i)
    EXPECT_TRUE(identical(network->state_dict()[i].second, before[i].second)) << state[i].first;
}

TEST(ForwardHook, SeesEveryModuleThatIsCalled) {
  const Network network = trained("Sequential(Conv2d(2, 3, 3), Sequential(ReLU()))");
  Names seen, outer;
  const Variable x(randn({1, 2, 4, 4}, DType::kFloat64));
  {
    const ForwardHook first([&](Module& module, const Variable&, const Variable&) { outer.push_back(module.type()); });
    const ForwardHook second([&](Module& module, const Variable& input, const Variable& output) {
      seen.push_back(module.type() + " " + std::to_string(input.size(1)) + " " + std::to_string(output.size(1)));
      if (module.type() == "ReLU") module(input);  // not seen
    });
    (*network)(x);
  }
  (*network)(x);
  EXPECT_EQ(seen, (Names{"Conv2d 2 3", "ReLU 3 3", "Sequential 3 3", "Sequential 2 3"}));
  EXPECT_EQ(outer, (Names{"Conv2d", "ReLU", "Sequential", "Sequential"}));
}

// The blocks learn, and the folded network answers as the trained one.
TEST(Fuse, ANetworkOfEachBlockTrainsAndFolds) {
  for (const char* block :
       {"ACBlock(1, 4, 3, padding=1)", "RepVGGBlock(1, 4, 3, padding=1)", "DiverseBranchBlock(1, 4, 3, padding=1)"}) {
    SCOPED_TRACE(block);
    manual_seed(3);
    const Network network = parse(std::string("Sequential(") + block + ", ReLU(), AdaptiveAvgPool2d(1), Flatten(), Linear(4, 2))");
    // Is it brighter in the left or in the right half?
    const Tensor x = randn({32, 1, 6, 6});
    Tensor target = Tensor::empty({32}, DType::kInt64);
    Tensor images = x.clone();
    for (int64_t n = 0; n < 32; ++n) {
      target.data<int64_t>()[n] = n % 2;
      for (int64_t i = 0; i < 36; ++i) images.data<float>()[n * 36 + i] += n % 2 == 0 ? static_cast<float>(i % 6) : 0.0F;
    }
    double first = 0, last = 0;
    for (int step = 0; step < 60; ++step) {
      network->zero_grad();
      Variable loss = cross_entropy((*network)(Variable(images)), target);
      loss.backward();
      for (Variable& parameter : network->parameters()) {
        for (int64_t i = 0; i < parameter.numel(); ++i)
          parameter.data().data<float>()[i] -= 0.1F * parameter.grad().data<float>()[i];
      }
      (step == 0 ? first : last) = loss.item();
    }
    EXPECT_LT(last, 0.5 * first);
    network->eval();
    const Fused fused = fuse(network);
    EXPECT_LT(difference(network, fused.module, {8, 1, 6, 6}), 5e-6);
    EXPECT_TRUE(verify(*network, fused, {1, 6, 6}, 20).agrees);
  }
}

}  // namespace
}  // namespace convoy::nn
