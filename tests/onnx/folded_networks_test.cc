// A network of every kind of block learns to tell drawn shapes, is folded, and gives the same answers folded, in both types, and as
// an ONNX file; onnxruntime_test.py asks ONNX Runtime for them too.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "convoy/autograd/functions.h"
#include "convoy/core/random.h"
#include "convoy/data/dataset.h"
#include "convoy/io/npy.h"
#include "convoy/nn/parse.h"
#include "convoy/nn/reparam/fuse.h"
#include "convoy/nn/reparam/verify.h"
#include "convoy/nn/to_graph.h"
#include "convoy/onnx/model.h"
#include "convoy/onnx/writer.h"
#include "convoy/optim/optimizer.h"

namespace convoy {
namespace {

struct FoldedNetwork {
  const char* name;
  const char* layers;  // from (N, 1, 16, 16) to (N, 8, *)
  size_t places;       // that fuse() folds
};

std::ostream& operator<<(std::ostream& out, const FoldedNetwork& network) { return out << network.name; }

const FoldedNetwork kNetworks[] = {
    {"ac", "ACBlock(1, 8, 3, padding=1), ReLU(), MaxPool2d(2), ACBlock(8, 8, 3, padding=1)", 2},
    {"ac_cropped", "ACBlock(1, 8, 5, stride=2, padding=1), ReLU(), ACBlock(8, 8, 3)", 2},
    {"ac_even_dilated", "ACBlock(1, 8, 4, padding=2, dilation=2), ReLU(), ACBlock(8, 8, 2, stride=3)", 2},
    {"ac_grouped", "ACBlock(1, 8, 3, padding=1), ReLU(), MaxPool2d(2), ACBlock(8, 8, 3, padding=1, groups=4)", 2},
    {"ac_depthwise", "ACBlock(1, 8, 3, padding=2), ReLU(), MaxPool2d(2), ACBlock(8, 8, 3, padding=1, groups=8)", 2},
    {"ac_3d", "Unflatten(2, (4, 4)), ACBlock3d(1, 8, 3, padding=1)", 1},
    {"repvgg", "RepVGGBlock(1, 8, 3, stride=2, padding=1), RepVGGBlock(8, 8, 3, padding=1)", 2},
    {"repvgg_grouped", "RepVGGBlock(1, 8, 3, stride=2, padding=1), RepVGGBlock(8, 8, 3, padding=1, groups=2)", 2},
    {"repvgg_depthwise", "RepVGGBlock(1, 8, 3, stride=2, padding=1), RepVGGBlock(8, 8, 3, padding=1, groups=8)", 2},
    {"repvgg_se",
     "RepVGGBlock(1, 32, 3, stride=2, padding=1, use_se=True), RepVGGBlock(32, 32, 3, padding=1, use_se=True), Conv2d(32, 8, 1)",
     2},
    {"repvgg_1d", "Flatten(2), RepVGGBlock1d(1, 8, 5, stride=4, padding=2), RepVGGBlock1d(8, 8, 3, padding=1)", 2},
    {"diverse", "DiverseBranchBlock(1, 8, 3, stride=2, padding=1, nonlinear=ReLU), DiverseBranchBlock(8, 8, 3, padding=1)", 2},
    {"diverse_grouped",
     "DiverseBranchBlock(1, 8, 5, stride=2, padding=2, nonlinear=ReLU), DiverseBranchBlock(8, 8, 3, padding=1, groups=4)", 2},
    {"diverse_depthwise",
     "DiverseBranchBlock(1, 8, 3, stride=2, padding=1, nonlinear=ReLU), DiverseBranchBlock(8, 8, 3, padding=1, groups=8)", 2},
    {"diverse_3d", "Unflatten(2, (4, 4)), DiverseBranchBlock3d(1, 8, 3, padding=1)", 1},
    {"bn_and_pad",
     "BNAndPadLayer(1, 1), Conv2d(1, 8, 3, stride=2), ReLU(), Conv2d(8, 12, 1, groups=2, bias=False), BNAndPadLayer(2, 12), "
     "Conv2d(12, "
     "8, 5, groups=2)",
     2},
    {"separable",
     "Conv2d(1, 8, 3, stride=2, padding=1, bias=False), BatchNorm2d(8), ReLU6(), Conv2d(8, 8, 3, padding=1, groups=8, bias=False), "
     "BatchNorm2d(8), ReLU6(), Conv2d(8, 8, 1, bias=False), BatchNorm2d(8)",
     3},
    {"both_sides",
     "BatchNorm2d(1), Conv2d(1, 8, 3, padding=1, padding_mode=reflect), ReLU(), BatchNorm2d(8), Conv2d(8, 8, 3, stride=2), ReLU(), "
     "ConvTranspose2d(8, 8, 2, stride=2, groups=2), BatchNorm2d(8)",
     3},
    {"resnet_block",
     "Conv2d(1, 8, 3, stride=2, padding=1), BatchNorm2d(8), ReLU(), BasicBlock(\n(conv1): Conv2d(8, 8, 3, stride=2, "
     "padding=1)\n(bn1): "
     "BatchNorm2d(8)\n(relu): ReLU()\n(conv2): Conv2d(8, 8, 3, padding=1)\n(bn2): BatchNorm2d(8)\n(downsample): "
     "Sequential(Conv2d(8, "
     "8, 1, stride=2), BatchNorm2d(8))\n)",
     4},
    {"bottleneck_block",
     "Conv2d(1, 8, 3, stride=2, padding=1), Bottleneck(\n(conv1): Conv2d(8, 4, 1)\n(bn1): BatchNorm2d(4)\n(conv2): Conv2d(4, 4, 3, "
     "padding=1, groups=2)\n(bn2): BatchNorm2d(4)\n(conv3): Conv2d(4, 8, 1)\n(bn3): BatchNorm2d(8)\n(relu): ReLU()\n)",
     3},
    {"mobilenet_block",
     "Conv2d(1, 8, 3, stride=2, padding=1), InvertedResidual(\n(conv): Sequential(Conv2dNormActivation(Conv2d(8, 16, 1), "
     "BatchNorm2d(16), "
     "ReLU6()), Conv2dNormActivation(Conv2d(16, 16, 3, padding=1, groups=16), BatchNorm2d(16), ReLU6()), Conv2d(16, 8, 1), "
     "BatchNorm2d(8))\n)",
     3},
};

double relative_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  if (a.shape() != b.shape()) return INFINITY;
  double difference = 0, largest = 1e-6;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double d = std::abs(a.at(i) - b.at(i));
    difference = std::isnan(d) ? INFINITY : std::max(difference, d);
    largest = std::max(largest, std::abs(b.at(i)));
  }
  return difference / largest;
}

class FoldedNetworks : public testing::TestWithParam<FoldedNetwork> {};

TEST_P(FoldedNetworks, AnswerAsTheTrainedOnes) {
  const FoldedNetwork& spec = GetParam();
  manual_seed(5);
  const char* pool = std::string(spec.name).ends_with("_3d")   ? "AdaptiveAvgPool3d(1)"
                     : std::string(spec.name).ends_with("_1d") ? "AdaptiveAvgPool1d(1)"
                                                               : "AdaptiveAvgPool2d(1)";
  const std::shared_ptr<nn::Module> network =
      nn::parse(std::string("Sequential(") + spec.layers + ", ReLU(), " + pool + ", Flatten(), Linear(8, 10))");

  const data::Split shapes = data::drawn_shapes({.train = 320, .test = 64, .image_size = 16});
  const data::Loader loader(shapes.train, 32);
  optim::Adam adam(network->parameters(), {.lr = 1e-2});
  double first = 0, last = 0;
  constexpr int kEpochs = 3;
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    double sum = 0;
    for (int64_t b = 0; b < loader.batches(); ++b) {
      const data::Batch batch = loader.batch(b);
      adam.zero_grad();
      Variable loss = cross_entropy((*network)(Variable(batch.images)), batch.labels);
      loss.backward();
      adam.step();
      sum += loss.item();
    }
    (epoch == 0 ? first : last) = sum;
  }
  EXPECT_LT(last, first);
  network->eval();

  const Tensor x = shapes.test.images, want = (*network)(Variable(x)).data();
  const nn::Fused fused = nn::fuse(network);
  EXPECT_EQ(fused.places.size(), spec.places);
  EXPECT_TRUE(fused.kept.empty());
  EXPECT_LE(relative_difference((*fused.module)(Variable(x)).data(), want), 5e-6);
  const nn::Agreement agreement = nn::verify(*network, fused, {1, 16, 16}, 20);
  EXPECT_TRUE(agreement.agrees);

  const graph::Graph graph = nn::to_graph(*fused.module, {-1, 1, 16, 16});
  EXPECT_LE(relative_difference(Model::load_bytes(onnx::write_bytes(graph)).run({{"x", x}}).at("y"), want), 5e-6);
  if (const char* keep = std::getenv("CONVOY_ONNX_WRITTEN")) {
    const std::string stem = std::string(keep) + "/folded_" + spec.name;
    onnx::save(graph, stem + ".onnx");
    io::write_npy(stem + ".x.npy", x);
    io::write_npy(stem + ".y.npy", want);
  }

  network->to(DType::kFloat64);
  const Variable exact(x.to(DType::kFloat64));
  EXPECT_LE(relative_difference((*nn::fuse(network).module)(exact).data(), (*network)(exact).data()), 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Blocks, FoldedNetworks, testing::ValuesIn(kNetworks), [](const auto& named) { return named.param.name; });

}  // namespace
}  // namespace convoy
