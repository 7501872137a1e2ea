// Layers become graphs, graphs become files, and both give what the layers give.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/io/npy.h"
#include "convoy/nn/layer_list.h"
#include "convoy/nn/parse.h"
#include "convoy/nn/to_graph.h"
#include "convoy/nn/vision_models.h"
#include "convoy/onnx/model.h"
#include "convoy/onnx/writer.h"

namespace convoy {
namespace {

struct Row {
  const char* layer;
  Shape input;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> kRows = {
      {"Conv1d(3, 4, kernel_size=(3,), stride=(2,), padding=(1,))", {2, 3, 9}},
      {"Conv2d(4, 6, kernel_size=(3, 2), stride=(1, 2), padding=(1, 0), dilation=(2, 1), groups=2, bias=False)", {2, 4, 7, 8}},
      {"Conv2d(3, 4, kernel_size=(4, 3), stride=(1, 1), padding=same)", {1, 3, 6, 6}},
      {"Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 2), padding_mode=reflect)", {2, 3, 6, 6}},
      {"Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 2), padding_mode=circular)", {2, 3, 6, 6}},
      {"Conv3d(2, 3, kernel_size=(2, 3, 2), stride=(1, 1, 1))", {1, 2, 4, 5, 4}},
      {"ConvTranspose1d(3, 2, kernel_size=(3,), stride=(2,), output_padding=(1,))", {2, 3, 5}},
      {"ConvTranspose2d(4, 4, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), groups=2)", {2, 4, 4, 5}},
      {"ConvTranspose3d(2, 2, kernel_size=(2, 2, 2), stride=(2, 2, 2), bias=False)", {1, 2, 3, 2, 3}},
      {"MaxPool1d(kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=False)", {2, 3, 9}},
      {"MaxPool2d(kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=True)", {2, 3, 8, 9}},
      {"MaxPool3d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)", {1, 2, 4, 4, 4}},
      {"AvgPool1d(kernel_size=(3,), stride=(2,), padding=(1,))", {2, 3, 9}},
      {"AvgPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True, count_include_pad=False)", {2, 3, 8, 9}},
      {"AvgPool2d(kernel_size=2, stride=2, padding=0, divisor_override=3)", {2, 3, 8, 9}},
      {"AvgPool3d(kernel_size=2, stride=2, padding=0)", {1, 2, 4, 4, 4}},
      {"LPPool1d(norm_type=2, kernel_size=2, stride=None, ceil_mode=False)", {2, 3, 8}},
      {"LPPool2d(norm_type=4, kernel_size=2, stride=None, ceil_mode=False)", {2, 3, 8, 8}},
      {"AdaptiveAvgPool1d(output_size=1)", {2, 3, 8}},
      {"AdaptiveAvgPool2d(output_size=(2, 4))", {2, 3, 8, 8}},
      {"AdaptiveAvgPool3d(output_size=1)", {1, 2, 4, 4, 4}},
      {"AdaptiveMaxPool1d(output_size=4)", {2, 3, 8}},
      {"AdaptiveMaxPool2d(output_size=(None, 2))", {2, 3, 8, 8}},
      {"AdaptiveMaxPool3d(output_size=2)", {1, 2, 4, 4, 4}},
      {"BatchNorm1d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)", {3, 4}},
      {"BatchNorm2d(4, eps=0.01, momentum=0.1, affine=False, track_running_stats=True)", {2, 4, 5, 5}},
      {"BatchNorm3d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)", {2, 4, 3, 3, 3}},
      {"InstanceNorm1d(4, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)", {2, 4, 7}},
      {"InstanceNorm2d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)", {2, 4, 5, 5}},
      {"InstanceNorm3d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=False)", {2, 4, 3, 3, 3}},
      {"GroupNorm(2, 4, eps=1e-05, affine=True)", {2, 4, 5, 5}},
      {"LayerNorm((4, 5), eps=1e-05, elementwise_affine=True)", {2, 3, 4, 5}},
      {"Linear(in_features=5, out_features=4, bias=True)", {3, 5}},
      {"Linear(in_features=5, out_features=4, bias=False)", {2, 3, 5}},
      {"Flatten(start_dim=1, end_dim=-1)", {2, 3, 4}},
      {"Flatten(start_dim=1, end_dim=2)", {2, 3, 4, 5}},
      {"Unflatten(dim=1, unflattened_size=(2, 3))", {2, 6, 4}},
      {"Identity()", {2, 3}},
      {"ReLU()", {2, 3}},
      {"ReLU6()", {2, 3}},
      {"LeakyReLU(negative_slope=0.2)", {2, 3}},
      {"ELU(alpha=0.5)", {2, 3}},
      {"SiLU()", {2, 3}},
      {"GELU(approximate='none')", {2, 3}},
      {"Mish()", {2, 3}},
      {"Hardswish()", {2, 3}},
      {"Hardsigmoid()", {2, 3}},
      {"Hardtanh(min_val=-0.5, max_val=0.25)", {2, 3}},
      {"Sigmoid()", {2, 3}},
      {"Tanh()", {2, 3}},
      {"Softplus(beta=2, threshold=20)", {2, 3}},
      {"Softmax(dim=None)", {2, 3, 4}},
      {"LogSoftmax(dim=-1)", {2, 3, 4}},
      {"Dropout(p=0.5, inplace=False)", {2, 3}},
      {"Dropout2d(p=0.5, inplace=False)", {2, 3, 4, 4}},
      {"ZeroPad2d((1, 2, 0, 1))", {2, 3, 4, 5}},
      {"ConstantPad1d(padding=(1, 2), value=0.5)", {2, 3, 4}},
      {"ConstantPad2d(padding=(1, -1, 2, 0), value=-3.0)", {2, 3, 4, 5}},
      {"ConstantPad3d(padding=(1, 0, 0, 1, 1, 1), value=0)", {1, 2, 3, 3, 3}},
      {"ReflectionPad1d((1, 2))", {2, 3, 4}},
      {"ReflectionPad2d((1, 2, 2, 1))", {2, 3, 4, 5}},
      {"ReflectionPad3d((1, 0, 0, 1, 1, 1))", {1, 2, 3, 3, 3}},
      {"ReplicationPad1d((1, 2))", {2, 3, 4}},
      {"ReplicationPad2d((1, 2, 2, 1))", {2, 3, 4, 5}},
      {"ReplicationPad3d((1, 0, 0, 1, 1, 1))", {1, 2, 3, 3, 3}},
      {"PixelShuffle(upscale_factor=2)", {2, 8, 3, 4}},
      {"PixelUnshuffle(downscale_factor=2)", {2, 3, 4, 6}},
      {"Upsample(scale_factor=2.0, mode=nearest)", {2, 3, 4, 5}},
      {"Upsample(size=(7, 9), mode=nearest)", {2, 3, 4, 5}},
      {"Upsample(scale_factor=1.5, mode=bicubic)", {2, 3, 4, 5}},
      {"UpsamplingNearest2d(scale_factor=2.0, mode=nearest)", {2, 3, 4, 5}},
      {"UpsamplingBilinear2d(size=(7, 9), mode=bilinear)", {2, 3, 4, 5}},
      {"BNAndPadLayer1d(2, 4)", {2, 4, 5}},
      {"BNAndPadLayer(1, 4)", {2, 4, 5, 6}},
      {"BNAndPadLayer3d(1, 4)", {1, 4, 3, 3, 3}},
      {"ACBlock(3, 4, 3, padding=1)", {2, 3, 6, 6}},
      {"Sequential(\n  (0): Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n  (1): BatchNorm2d(4, eps=1e-05, "
       "momentum=0.1, affine=True, "
       "track_running_stats=True)\n  (2): ReLU()\n  (3): Flatten(start_dim=1, end_dim=-1)\n  (4): Linear(in_features=64, "
       "out_features=5, bias=True)\n)",
       {2, 3, 4, 4}},
  };
  return kRows;
}

// Parameters and statistics that are not what they start with.
void stir(nn::Module& net) {
  for (auto& [name, parameter] : net.named_parameters()) {
    Tensor values = parameter.data();
    for (int64_t i = 0; i < values.numel(); ++i) values.data<float>()[i] += 0.1f * static_cast<float>(i % 5 - 2);
  }
  for (auto& [name, buffer] : net.named_buffers()) {
    Tensor values = buffer;
    if (values.dtype() != DType::kFloat32) continue;
    for (int64_t i = 0; i < values.numel(); ++i) values.data<float>()[i] += 0.2f * static_cast<float>(i % 3);
  }
  net.eval();
}

double difference(const Tensor& got, const Tensor& want) {
  if (got.shape() != want.shape()) return INFINITY;
  double most = 0, scale = 1e-6;
  for (int64_t i = 0; i < want.numel(); ++i) {
    most = std::max(most, std::abs(got.at(i) - want.at(i)));
    scale = std::max(scale, std::abs(want.at(i)));
  }
  return most / scale;
}

void expect_same(nn::Module& net, const Shape& input, const std::string& name, double tolerance = 1e-5) {
  SCOPED_TRACE(name);
  stir(net);
  const Tensor x = randn(input);
  const Tensor want = net(x).data();
  Shape any = input;
  any[0] = -1;
  const graph::Graph graph = nn::to_graph(net, any);
  EXPECT_LE(difference(graph::Executor(graph).run({{"x", x}}).at("y").tensor(), want), tolerance);
  const Model model = Model::load_bytes(onnx::write_bytes(graph));
  EXPECT_LE(difference(model.run({{"x", x}}).at("y"), want), tolerance);
  EXPECT_EQ(model.inputs()[0].names[0], "N");
  if (const char* keep = std::getenv("CONVOY_ONNX_WRITTEN")) {  // for other programs: checker_test.py, onnxruntime_test.py
    const std::string stem = std::string(keep) + "/" + name;
    onnx::save(graph, stem + ".onnx");
    io::write_npy(stem + ".x.npy", x);
    io::write_npy(stem + ".y.npy", want);
  }
}

TEST(OnnxWriter, LayersComeOutTheSame) {
  std::vector<std::string> seen;
  int number = 0;
  for (const Row& row : rows()) {
    const std::shared_ptr<nn::Module> net = nn::parse(row.layer);
    expect_same(*net, row.input, net->type() + "_" + std::to_string(number++));
    seen.push_back(net->type());
  }
  for (const nn::LayerRow& row : nn::layer_list()) {
    const std::string type(row.type);
    const bool block = type.find("Block") != std::string::npos;  // all by their one convolution
    EXPECT_TRUE(block || std::find(seen.begin(), seen.end(), type) != seen.end()) << "no row for " << type;
  }
}

TEST(OnnxWriter, NetworksComeOutTheSame) {
  for (const char* name : {"resnet18", "mobilenet_v2"}) {
    const std::shared_ptr<nn::Module> net = nn::make_vision_model(name, 10);
    expect_same(*net, {1, 3, 64, 64}, name, 1e-4);
  }
}

// Blocks with several branches: the one convolution of each is what the file holds.
TEST(OnnxWriter, NetworksOfBlocksComeOutTheSame) {
  const char* blocks[] = {"ACBlock(3, 8, 3, padding=1)", "ACBlock(3, 8, 5, padding=1, stride=2)",
                          "RepVGGBlock(3, 8, kernel_size=3, stride=2, padding=1)",
                          "DiverseBranchBlock(3, 8, kernel_size=3, padding=1)"};
  int number = 0;
  for (const char* block : blocks) {
    const std::shared_ptr<nn::Module> net = nn::parse(std::string("Sequential(\n  (0): ") + block +
                                                      "\n  (1): ReLU()\n  (2): AdaptiveAvgPool2d(output_size=1)\n  (3): "
                                                      "Flatten()\n  (4): Linear(in_features=8, out_features=5)\n)");
    expect_same(*net, {2, 3, 16, 16}, "blocks_" + std::to_string(number++), 1e-4);
  }
}

TEST(OnnxWriter, SaysWhichLayerHasNoForm) {
  const std::shared_ptr<nn::Module> net = nn::parse("Sequential(\n  (0): ReLU()\n  (pool): AdaptiveAvgPool2d(output_size=3)\n)");
  try {
    nn::to_graph(*net, {1, 2, 8, 8});
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(),
                 "layer 'pool' (AdaptiveAvgPool2d): ONNX has no windows of different sizes\nthe 8 positions must be a multiple of "
                 "the output's 3");
  }
}

}  // namespace
}  // namespace convoy
