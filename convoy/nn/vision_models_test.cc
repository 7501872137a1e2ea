// torchvision 0.14's networks are the oracle: their printed forms (print(torchvision.models.resnet18()), stored), and values,
// losses and gradients computed with PyTorch 1.13 after the same torch.manual_seed.
#include "convoy/nn/vision_models.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "convoy/autograd/functions.h"
#include "convoy/core/accuracy.h"
#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/nn/parse.h"
#include "convoy/nn/reparam/fuse.h"
#include "convoy/nn/reparam/verify.h"
#include "convoy/nn/to_graph.h"

namespace convoy::nn {
namespace {

std::string stored(const std::string& name) {
  std::ifstream file(std::filesystem::path(CONVOY_NN_TESTDATA) / (name + ".txt"));
  std::stringstream text;
  text << file.rdbuf();
  std::string all = text.str();
  if (!all.empty() && all.back() == '\n') all.pop_back();
  return all;
}

int64_t parameter_count(const Module& module) {
  int64_t count = 0;
  for (const Variable& p : module.parameters()) count += p.numel();
  return count;
}

void expect_close(const Tensor& values, const std::vector<double>& expected, double tolerance) {
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(values.at(static_cast<int64_t>(i)), expected[i], tolerance) << "at " << i;
  }
}

TEST(VisionModels, PrintAndCountAsTorchvision) {
  for (const auto& [name, parameters] : {std::pair{"resnet18", 11689512}, {"resnet50", 25557032}, {"mobilenet_v2", 3504872}}) {
    const std::shared_ptr<Module> net = make_vision_model(name);
    EXPECT_EQ(net->repr(), stored(name));
    EXPECT_EQ(parameter_count(*net), parameters);
  }
}

// In strict accuracy: a rounding error turns a rectified value's sign here and there, and with it a hundredth of these gradients.
TEST(VisionModels, ResNetTrainsAsInPyTorch) {
  const Accuracy before = accuracy();
  set_accuracy(Accuracy::kStrict);
  manual_seed(0);
  ResNet net = resnet18(10);
  const Variable output = net(randn({4, 3, 64, 64}));
  expect_close(output.data(), {0.33671244978904724, 0.27267661690711975, -0.17034515738487244}, 2e-5);
  Variable loss = cross_entropy(output, Tensor::arange(4, DType::kInt64));
  EXPECT_NEAR(loss.item(), 2.4180781841278076, 2e-5);
  loss.backward();
  for (const auto& [name, parameter] : net.named_parameters()) {
    if (name == "conv1.weight")
      expect_close(parameter.grad(), {0.1351223737001419, 0.40923193097114563, 0.06200064346194267}, 2e-4);
    if (name == "layer2.0.downsample.0.weight") expect_close(parameter.grad(), {0.009186632931232452, 0.034849539399147034}, 2e-5);
  }
  EXPECT_EQ(net.state_dict().size(), 122U);
  set_accuracy(before);
}

TEST(VisionModels, MobileNetComputesAsInPyTorch) {
  manual_seed(0);
  MobileNetV2 net = mobilenet_v2();
  const Variable input = randn({4, 3, 64, 64});
  net.children()[1].second->eval();  // no dropout
  const Variable output = net(input);
  expect_close(output.data(), {-0.15103787183761597, 0.15926359593868256, 0.017097799107432365}, 2e-5);
  EXPECT_EQ(net.state_dict().size(), 314U);
}

TEST(VisionModels, VggAppliesItsLayersInOrder) {
  VGG net({8, 0, 16, 0}, 10);
  EXPECT_EQ(parameter_count(net), 3 * 9 * 8 + 8 + 8 * 9 * 16 + 16 + (16 * 49 + 1) * 4096 + 4097 * 4096 + 4097 * 10);
  const std::string text = net.repr();
  EXPECT_EQ(text.substr(0, text.find("(classifier)")), R"(VGG(
  (features): Sequential(
    (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    (1): ReLU(inplace=True)
    (2): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    (3): Conv2d(8, 16, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    (4): ReLU(inplace=True)
    (5): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
  )
  (avgpool): AdaptiveAvgPool2d(output_size=(7, 7))
  )");
  EXPECT_EQ(net(randn({2, 3, 20, 20})).shape(), (Shape{2, 10}));
}

// Every convolution takes up the normalisation behind it, whatever the block.
TEST(VisionModels, Fold) {
  struct Case {
    const char* name;
    size_t norms;
  };
  for (const Case& c : {Case{"resnet18", 20}, Case{"mobilenet_v2", 52}}) {
    SCOPED_TRACE(c.name);
    manual_seed(2);
    const std::shared_ptr<Module> net = make_vision_model(c.name, 10);
    for (auto& [key, value] : net->state_dict()) {
      Tensor values = value;
      if (key.ends_with("running_mean")) normal_(values, 0, 0.1);
      if (key.ends_with("running_var")) uniform_(values, 0.5, 2);
    }
    net->eval();
    const Fused fused = fuse(net);
    EXPECT_EQ(fused.places.size(), c.norms);
    EXPECT_TRUE(fused.kept.empty());
    EXPECT_EQ(fused.module->repr().find("BatchNorm2d"), std::string::npos);
    const Agreement agreement = verify(*net, fused, {3, 32, 32}, 2);
    EXPECT_TRUE(agreement.agrees) << agreement.difference << " of " << agreement.scale;
    EXPECT_LT(agreement.difference, 5e-6 * agreement.scale);
    const std::shared_ptr<Module> again = parse(fused.module->definition());
    EXPECT_EQ(again->definition(), fused.module->definition());
    again->load_state_dict(fused.module->state_dict());
    again->eval();
    const Variable x(randn({1, 3, 32, 32}));
    EXPECT_TRUE(identical((*again)(x).data(), (*fused.module)(x).data()));
  }
}

// What Python prints is a network file: the same network, drawn to the bit as torchvision draws it.
TEST(VisionModels, AreBuiltFromTheirPrintedForms) {
  for (const char* name : {"resnet18", "mobilenet_v2"}) {
    SCOPED_TRACE(name);
    manual_seed(0);
    const std::shared_ptr<Module> built = make_vision_model(name);
    manual_seed(0);
    const std::shared_ptr<Module> parsed = parse(stored(name));
    EXPECT_EQ(parsed->repr(), stored(name));
    const StateDict a = built->state_dict(), b = parsed->state_dict();
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].first, b[i].first);
      ASSERT_TRUE(identical(a[i].second, b[i].second)) << a[i].first;
    }
    built->eval();
    parsed->eval();
    const Variable x(randn({1, 3, 32, 32}));
    EXPECT_TRUE(identical((*built)(x).data(), (*parsed)(x).data()));
  }
  VGG vgg({8, 0, 16, 0}, 10);
  EXPECT_EQ(parse(vgg.repr())->repr(), vgg.repr());
  EXPECT_THROW(parse("Sequential(BasicBlock(\n(conv1): Conv2d(3, 3, 3)\n(bn1): BatchNorm2d(3)\n))"), ValueError);
  EXPECT_THROW(make_vision_module("ResNet", {}), ValueError);
  // A file may hold anything: no layers to add a shortcut to.
  const std::shared_ptr<Module> empty = parse("InvertedResidual(\n(conv): Sequential()\n)");
  EXPECT_EQ((*empty)(Variable(Tensor::ones({1, 2, 3, 3}))).data().at(0), 2);
}

TEST(VisionModels, RepVGGIsBuiltFromWhatThePublishedCodePrints) {
  std::string text = "RepVGG(\n  (stage0): RepVGGBlock(3, 16, 3, stride=2, padding=1, use_se=True)\n";
  for (int64_t stage = 1; stage < 5; ++stage) {
    text +=
        "  (stage" + std::to_string(stage) +
        "): ModuleList(\n    (0): RepVGGBlock(16, 16, 3, stride=2, padding=1)\n    (1): RepVGGBlock(16, 16, 3, padding=1)\n  )\n";
  }
  text += "  (gap): AdaptiveAvgPool2d(output_size=1)\n  (linear): Linear(16, 10)\n)";
  manual_seed(4);
  const std::shared_ptr<Module> net = parse(text);
  EXPECT_EQ(net->type(), "RepVGG");
  EXPECT_NE(net->repr().find("(stage1): ModuleList("), std::string::npos);
  EXPECT_EQ(parse(net->repr())->repr(), net->repr());
  EXPECT_EQ(net->state_dict()[0].first, "stage0.se.down.weight");
  const Variable x(randn({2, 3, 40, 33}));
  (*net)(x);  // moves the statistics
  net->eval();
  EXPECT_EQ((*net)(x).shape(), (Shape{2, 10}));
  const Fused fused = fuse(net);
  EXPECT_EQ(fused.places.size(), 9U);
  EXPECT_TRUE(fused.kept.empty());
  EXPECT_TRUE(verify(*net, fused, {3, 40, 33}, 2).agrees);
  EXPECT_EQ(parse(fused.module->definition())->definition(), fused.module->definition());
  const graph::Graph graph = to_graph(*fused.module, {2, 3, 40, 33});
  EXPECT_EQ(graph.nodes.back().op, "Gemm");
  EXPECT_THROW(parse("Sequential(ModuleList(ReLU()))"), ValueError);
}

TEST(VisionModels, HaveNames) {
  try {
    make_vision_model("resnet17");
    FAIL();
  } catch (const ValueError& e) {
    EXPECT_NE(std::string(e.what()).find("did you mean 'resnet18'"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace convoy::nn
