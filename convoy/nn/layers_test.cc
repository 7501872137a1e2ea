// What layers add to the functions they call: values and messages are PyTorch 1.13's.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/nn/activation.h"
#include "convoy/nn/conv.h"
#include "convoy/nn/dropout.h"
#include "convoy/nn/init.h"
#include "convoy/nn/linear.h"
#include "convoy/nn/norm.h"
#include "convoy/nn/pad.h"
#include "convoy/nn/pool.h"
#include "convoy/nn/resize.h"
#include "tests/refusal.h"

namespace convoy::nn {
namespace {

using testing::reason;

std::string value_error_of(const std::function<void()>& call) {
  EXPECT_THROW(call(), ValueError);
  return reason(call);
}

void expect_near(const Tensor& got, const std::vector<double>& expected, double tolerance = 2e-6) {
  ASSERT_GE(got.numel(), static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(got.at(static_cast<int64_t>(i)), expected[i], tolerance * std::max(1.0, std::abs(expected[i]))) << i;
  }
}

// (i * factor mod modulus - shift) as float32.
Tensor sawtooth(const Shape& shape, int64_t factor, int64_t modulus, float shift, float divisor = 1) {
  Tensor t = Tensor::empty(shape);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(i * factor % modulus) / divisor - shift;
  return t;
}

TEST(ConvLayer, RefusesAtConstructionInPyTorchsWords) {
  const auto conv = [](const ConvLayerOptions& o) { return [o] { Conv2d{o}; }; };
  EXPECT_EQ(value_error_of(conv({.in_channels = 3, .out_channels = 8, .kernel_size = 3, .groups = 0})),
            "groups must be a positive integer");
  EXPECT_EQ(value_error_of(conv({.in_channels = 3, .out_channels = 8, .kernel_size = 3, .groups = -1})),
            "groups must be a positive integer");
  EXPECT_EQ(value_error_of(conv({.in_channels = 3, .out_channels = 8, .kernel_size = 3, .groups = 2})),
            "in_channels must be divisible by groups");
  EXPECT_EQ(value_error_of(conv({.in_channels = 4, .out_channels = 9, .kernel_size = 3, .groups = 2})),
            "out_channels must be divisible by groups");
  EXPECT_EQ(value_error_of(conv({.in_channels = 3, .out_channels = 8, .kernel_size = 3, .padding = "foo"})),
            "Invalid padding string 'foo', should be one of {'same', 'valid'}");
  EXPECT_EQ(value_error_of(conv({.in_channels = 3, .out_channels = 8, .kernel_size = 3, .stride = {1, 2}, .padding = "same"})),
            "padding='same' is not supported for strided convolutions");
  EXPECT_EQ(value_error_of(conv({.in_channels = 3, .out_channels = 8})),
            "Conv2d.__init__() missing 1 required positional argument: 'kernel_size'");
  EXPECT_EQ(value_error_of(conv({.out_channels = 8, .kernel_size = 3})),
            "Conv2d.__init__() missing 1 required positional argument: 'in_channels'");
}

TEST(ConvLayer, RefusesAtConstructionWhatPyTorchNoticesLater) {
  const auto conv = [](const ConvLayerOptions& o) { return [o] { Conv2d{o}; }; };
  EXPECT_EQ(reason(conv({.in_channels = -3, .out_channels = 8, .kernel_size = 3})),
            "Trying to create tensor with negative dimension -3: [8, -3, 3, 3]");
  EXPECT_EQ(reason(conv({.in_channels = 3, .out_channels = 8, .kernel_size = -1})),
            "Trying to create tensor with negative dimension -1: [8, 3, -1, -1]");
  EXPECT_EQ(reason(conv({.in_channels = 3, .out_channels = 8, .kernel_size = {3, 0}})),
            "kernel size should be greater than zero, but got kernel_height: 3 kernel_width: 0");
  EXPECT_EQ(reason(conv({.in_channels = 3, .out_channels = 8, .kernel_size = {3, 3, 3}})),
            "expected kernel_size to be a single integer value or a list of 2 values to match the convolution dimensions, but got "
            "kernel_size=[3, 3, 3]");
  EXPECT_EQ(reason(conv({.in_channels = 3, .out_channels = 8, .kernel_size = 3, .stride = {1, 1, 1}})),
            "expected stride to be a single integer value or a list of 2 values to match the convolution dimensions, but got "
            "stride=[1, 1, 1]");
  EXPECT_EQ(reason(conv({.in_channels = 3, .out_channels = 8, .kernel_size = 3, .stride = 0})),
            "non-positive stride is not supported");
  EXPECT_EQ(reason(conv({.in_channels = 3, .out_channels = 8, .kernel_size = 3, .padding = -1})),
            "negative padding is not supported");
  EXPECT_EQ(reason(conv({.in_channels = 3, .out_channels = 8, .kernel_size = 3, .dilation = 0})),
            "dilation should be greater than zero, but got [0, 0]");
  EXPECT_EQ(reason(conv({.in_channels = 3, .out_channels = 0, .kernel_size = 3})),
            "Given groups=1, expected weight to be at least 1 at dimension 0, but got weight of size [0, 3, 3, 3] instead");
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min() + 1, kMax = std::numeric_limits<int64_t>::max();
  for (const int64_t n : {kMin, kMax}) {
    EXPECT_THROW(conv({.in_channels = n, .out_channels = 8, .kernel_size = 3})(), Error);
    EXPECT_THROW(conv({.in_channels = 3, .out_channels = n, .kernel_size = 3})(), Error);
    EXPECT_THROW(conv({.in_channels = 3, .out_channels = 8, .kernel_size = n})(), Error);
    EXPECT_THROW(conv({.in_channels = 3, .out_channels = 8, .kernel_size = 3, .groups = n})(), Error);
  }
}

TEST(ConvTransposeLayer, RefusesAtConstruction) {
  const auto conv = [](const ConvTransposeLayerOptions& o) { return [o] { ConvTranspose2d{o}; }; };
  EXPECT_EQ(value_error_of(conv({.in_channels = 3, .out_channels = 8, .kernel_size = 3, .padding_mode = PaddingMode::kCircular})),
            "Only \"zeros\" padding mode is supported for ConvTranspose2d");
  EXPECT_EQ(value_error_of(conv({.in_channels = 3, .out_channels = 8, .kernel_size = 3, .padding = "same"})),
            "padding='same' is not supported for ConvTranspose2d");
  EXPECT_EQ(value_error_of(conv({.in_channels = 4, .out_channels = 6, .kernel_size = 3, .groups = 4})),
            "out_channels must be divisible by groups");
  EXPECT_EQ(
      reason(conv({.in_channels = 4, .out_channels = 6, .kernel_size = 3, .stride = 2, .output_padding = 2})),
      "output padding must be smaller than either stride or dilation, but got output_padding_height: 2 output_padding_width: 2 "
      "stride_height: 2 stride_width: 2 dilation_height: 1 dilation_width: 1");
  EXPECT_EQ(
      reason([] { ConvTranspose1d({.in_channels = 2, .out_channels = 2, .kernel_size = 2, .output_padding = 1}); }),
      "output padding must be smaller than either stride or dilation, but got output_padding_height: 0 output_padding_width: 1 "
      "stride_height: 1 stride_width: 1 dilation_height: 1 dilation_width: 1");
  EXPECT_EQ(reason(conv({.in_channels = 4, .out_channels = 6, .kernel_size = 3, .output_padding = -1})),
            "negative output_padding is not supported");
  ConvTranspose2d({.in_channels = 3, .out_channels = 8, .kernel_size = 3, .output_padding = 1, .dilation = 2});
}

TEST(ConvTransposeLayer, ReachesAnOutputSize) {
  ConvTranspose2d layer({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 2, .padding = 1});
  const Variable x = Tensor::ones({1, 1, 4, 4});
  EXPECT_EQ(layer(x).shape(), (Shape{1, 1, 7, 7}));
  EXPECT_EQ(layer(x, {8, 7}).shape(), (Shape{1, 1, 8, 7}));
  EXPECT_EQ(layer.forward(x, {1, 1, 8, 8}).shape(), (Shape{1, 1, 8, 8}));
  EXPECT_EQ(value_error_of([&] {
              layer(x, {6, 7});
            }),
            "requested an output size of (6, 7), but valid sizes range from [7, 7] to [8, 8] (for an input of torch.Size([4, 4]))");
  EXPECT_EQ(value_error_of([&] { layer(x, {8}); }), "ConvTranspose2D: for 4D input, output_size must have 2 or 4 elements (got 1)");
}

TEST(ConvLayer, PassesEveryOptionOn) {
  manual_seed(4);
  const Variable x = randn({2, 4, 9, 8});
  Conv2d layer({.in_channels = 4,
                .out_channels = 6,
                .kernel_size = {3, 2},
                .stride = {2, 1},
                .padding = {1, 2},
                .dilation = {1, 2},
                .groups = 2,
                .padding_mode = PaddingMode::kReflect});
  EXPECT_TRUE(identical(
      layer(x).data(),
      ops::conv2d(x.data(), layer.weight().data(), layer.bias().data(),
                  {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2, .padding_mode = PaddingMode::kReflect})));
  Conv2d uneven({.in_channels = 4, .out_channels = 1, .kernel_size = 2, .padding = {{1, 0}, {0, 2}}, .bias = false});
  EXPECT_EQ(uneven(x).shape(), (Shape{2, 1, 9, 9}));
  EXPECT_EQ(uneven.repr(), "Conv2d(4, 1, kernel_size=(2, 2), stride=(1, 1), padding=((1, 0), (0, 2)), bias=False)");
  EXPECT_FALSE(uneven.bias().defined());
  Conv1d same({.in_channels = 1, .out_channels = 1, .kernel_size = 4, .padding = "same", .dilation = 3});
  EXPECT_EQ(same(Tensor::ones({1, 1, 5})).shape(), (Shape{1, 1, 5}));
}

// The training loop of "Dive into Deep Learning", section 7.2: learns an edge detector.
TEST(ConvLayer, LearnsAnEdgeDetectorInTenSteps) {
  Tensor image = Tensor::ones({1, 1, 6, 8});
  for (int64_t row = 0; row < 6; ++row) {
    for (int64_t column = 2; column < 6; ++column) image.data<float>()[row * 8 + column] = 0;
  }
  const Variable X = image;
  const Tensor Y = ops::conv2d(image, Tensor::from({1, -1}, {1, 1, 1, 2}));
  manual_seed(0);
  Conv2d conv({.in_channels = 1, .out_channels = 1, .kernel_size = {1, 2}, .bias = false});
  std::vector<double> losses;
  for (int i = 0; i < 10; ++i) {
    auto loss = sum(square(conv(X) - Y));
    conv.zero_grad();
    loss.backward();
    conv.weight().data() -= 3e-2f * conv.weight().grad();
    if (i % 2 == 1) losses.push_back(loss.item());
  }
  const std::vector<double> expected = {8.330463, 1.722399, 0.422000, 0.125289, 0.043339};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(losses[i], expected[i], 2e-5);
  expect_near(conv.weight().data(), {1.0063342, -0.9661731});
}

TEST(PoolLayer, RefusesAtConstructionInPyTorchsWords) {
  const auto max2 = [](const MaxPoolOptions& o) { return reason([&] { MaxPool2d{o}; }); };
  EXPECT_EQ(max2({}), "MaxPool2d.__init__() missing 1 required positional argument: 'kernel_size'");
  EXPECT_EQ(max2({.kernel_size = {3, 3, 3}}), "max_pool2d: kernel_size must either be a single int, or a tuple of two ints");
  EXPECT_EQ(max2({.kernel_size = 3, .stride = {2, 2, 2}}),
            "max_pool2d: stride must either be omitted, a single int, or a tuple of two ints");
  EXPECT_EQ(max2({.kernel_size = 3, .padding = {1, 1, 1}}),
            "max_pool2d: padding must be either be a single int, or a tuple of two ints");
  EXPECT_EQ(max2({.kernel_size = 3, .dilation = {1, 1, 1}}),
            "max_pool2d: dilation must be either a single int, or a tuple of two ints");
  EXPECT_EQ(max2({.kernel_size = -1, .stride = 1}), "kernel size should be greater than zero, but got kH: -1 kW: -1");
  EXPECT_EQ(max2({.kernel_size = 3, .stride = 0}), "stride should not be zero");
  EXPECT_EQ(max2({.kernel_size = 3, .stride = -1}), "stride should be greater than zero, but got dH: -1 dW: -1");
  EXPECT_EQ(max2({.kernel_size = 3, .dilation = 0}), "dilation should be greater than zero, but got dilationH: 0 dilationW: 0");
  EXPECT_EQ(max2({.kernel_size = 3, .padding = -1}), "pad must be non-negative, but got pad: -1");
  EXPECT_EQ(max2({.kernel_size = {2, 3}, .padding = {1, 2}}),
            "pad should be at most half of kernel size, but got pad=2 and kernel_size=3");
  EXPECT_EQ(reason([] {
              AvgPool3d({.kernel_size = {3, 3}});
            }),
            "avg_pool3d: kernel_size must be a single int, or a tuple of three ints");
  EXPECT_EQ(reason([] { AvgPool2d({.kernel_size = 2, .divisor_override = 0}); }), "divisor must be not zero");
  EXPECT_EQ(value_error_of([] { LPPool2d({.norm_type = 0, .kernel_size = 2}); }), "norm_type must be non-zero");
  EXPECT_EQ(reason([] {
              AdaptiveAvgPool2d({.output_size = {-1, 2}});
            }),
            "adaptive_avg_pool2d: elements of output_size must be greater than or equal to 0 but received {-1, 2}");
  EXPECT_EQ(reason([] { AdaptiveAvgPool2d({.output_size = {1, 2, 3}}); }), "adaptive_avg_pool2d: output_size must be 2");
}

TEST(PoolLayer, PassesEveryOptionOn) {
  manual_seed(4);
  const Variable x = randn({2, 3, 9, 8});
  const MaxPoolOptions max = {.kernel_size = {3, 2}, .stride = 2, .padding = 1, .dilation = {2, 1}, .ceil_mode = true};
  EXPECT_TRUE(identical(MaxPool2d(max)(x).data(), ops::max_pool(2, x.data(), max).output));
  EXPECT_TRUE(identical(MaxPool2d(max).forward_with_indices(x).second, ops::max_pool(2, x.data(), max).indices));
  const AvgPoolOptions avg = {
      .kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false, .divisor_override = 5};
  EXPECT_TRUE(identical(AvgPool2d(avg)(x).data(), ops::avg_pool(2, x.data(), avg)));
  EXPECT_TRUE(identical(LPPool2d({.norm_type = 3.0, .kernel_size = 2, .stride = 3, .ceil_mode = true})(x).data(),
                        ops::lp_pool(2, x.data(), 3, 2, 3, true)));
  EXPECT_EQ(AdaptiveAvgPool2d({.output_size = {1, std::nullopt}})(x).shape(), (Shape{2, 3, 1, 8}));
  EXPECT_EQ(AdaptiveMaxPool2d({.output_size = 4})(x).shape(), (Shape{2, 3, 4, 4}));
  EXPECT_EQ(AdaptiveAvgPool2d({.output_size = std::nullopt})(x).shape(), (Shape{2, 3, 9, 8}));
}

TEST(BatchNormLayer, MovesItsStatisticsAsPyTorch) {
  const Tensor x = sawtooth({2, 3, 2, 2}, 7, 11, 5);
  const std::vector<double> normalised = {-1.73863578, 0.377964318,  -0.831521451, 1.28507864, 0.389103711, -0.994376123,
                                          1.42671359,  0.0432337448, -0.937042117, 1.24938953, 0.0,         -1.24938953};
  BatchNorm2d norm({.num_features = 3});
  expect_near(norm(x).data(), normalised);
  norm(x * 2.0 + 1.0);
  expect_near(norm.running_mean(), {0.317499995, 0.0637500063, -0.189999998});
  expect_near(norm.running_var(), {6.93499994, 5.49125004, 6.55000019});
  EXPECT_EQ(norm.num_batches_tracked().item(), 2);
  norm.eval();
  expect_near(norm(x).data(), {-2.01922154, 0.638898015, -0.880027413, 1.77809203, 0.399535924, -1.30742669});
  EXPECT_EQ(norm.num_batches_tracked().item(), 2);

  BatchNorm2d average({.num_features = 3, .momentum = std::nullopt});
  expect_near(average(x).data(), normalised);
  average(x * 2.0 + 1.0);
  expect_near(average.running_mean(), {1.625, 0.3125, -1.0});
  expect_near(average.running_var(), {31.25, 23.8839302, 29.2857151});

  BatchNorm2d forgetful({.num_features = 3, .track_running_stats = false});
  forgetful.eval();
  expect_near(forgetful(x).data(), normalised);
  EXPECT_EQ(forgetful.state_dict().size(), 2U);
}

TEST(BatchNormLayer, ChangesNothingOnAnError) {
  BatchNorm2d norm({.num_features = 3});
  EXPECT_EQ(value_error_of([&] { norm(Tensor::ones({2, 3, 4})); }), "expected 4D input (got 3D input)");
  EXPECT_EQ(reason([&] { norm(Tensor::ones({2, 4, 5, 5})); }), "running_mean should contain 4 elements not 3");
  EXPECT_EQ(value_error_of([&] {
              norm(Tensor::ones({1, 3, 1, 1}));
            }),
            "Expected more than 1 value per channel when training, got input size torch.Size([1, 3, 1, 1])");
  EXPECT_EQ(norm.num_batches_tracked().item(), 0);
  EXPECT_EQ(norm.running_mean().at(0), 0);
  BatchNorm1d flat({.num_features = 3});
  EXPECT_EQ(value_error_of([&] { flat(Tensor::ones({2, 3, 4, 5})); }), "expected 2D or 3D input (got 4D input)");
  EXPECT_EQ(flat(Tensor::ones({2, 3})).shape(), (Shape{2, 3}));
}

TEST(InstanceNormLayer, MovesItsStatisticsAsPyTorch) {
  const Tensor x = sawtooth({2, 3, 2, 2}, 7, 11, 5);
  InstanceNorm2d norm({.num_features = 3, .affine = true, .track_running_stats = true});
  expect_near(norm(x).data().select(1), {0.199999809, -1.3999989, 1.3999989, -0.199999869, -0.722897053, 1.52611601});
  expect_near(norm.running_mean(), {0.075000003, -0.0125000011, -0.100000001});
  expect_near(norm.running_var(), {2.2833333, 1.96249998, 2.1916666});
  norm.eval();
  expect_near(norm(x).data().select(1), {1.27392864, -1.37319589, 3.2592721, 0.61214757, -2.13256335, 2.86423779});
  EXPECT_EQ(reason([&] { norm(Tensor::ones({2, 4, 5, 5})); }), "running_mean should contain 8 elements not 6");
  InstanceNorm2d plain({.num_features = 3});
  EXPECT_EQ(plain(x.select(0)).shape(), (Shape{3, 2, 2}));
  EXPECT_EQ(plain(Tensor::ones({2, 4, 5, 5})).shape(), (Shape{2, 4, 5, 5}));  // PyTorch does not check num_features here
  EXPECT_EQ(value_error_of([&] { plain(Tensor::ones({2, 3})); }), "expected 3D or 4D input (got 2D input)");
}

TEST(NormLayer, RefusesAtConstruction) {
  EXPECT_EQ(value_error_of([] { GroupNorm({.num_groups = 3, .num_channels = 8}); }),
            "num_channels must be divisible by num_groups");
  EXPECT_EQ(reason([] { GroupNorm({.num_groups = 0, .num_channels = 8}); }), "Expected num groups to be greater than 0, got 0");
  EXPECT_EQ(reason([] { BatchNorm2d({.num_features = -1}); }), "Trying to create tensor with negative dimension -1: [-1]");
  EXPECT_EQ(reason([] { LayerNorm({.normalized_shape = {}}); }).substr(0, 60),
            "Expected normalized_shape to be at least 1-dimensional, i.e.");
  EXPECT_EQ(GroupNorm({.num_groups = 2, .num_channels = 4})(randn({2, 4, 3})).shape(), (Shape{2, 4, 3}));
  EXPECT_EQ(LayerNorm({.normalized_shape = {4, 3}})(randn({2, 4, 3})).shape(), (Shape{2, 4, 3}));
}

TEST(LinearLayer, RefusesAtConstruction) {
  EXPECT_EQ(reason([] { Linear({.in_features = -1, .out_features = 4}); }),
            "Trying to create tensor with negative dimension -1: [4, -1]");
  EXPECT_EQ(reason([] { Linear({.in_features = 1}); }), "Linear.__init__() missing 1 required positional argument: 'out_features'");
}

TEST(FlattenLayer, GoesBackAndForth) {
  const Variable x = randn({2, 3, 4, 5});
  EXPECT_EQ(Flatten()(x).shape(), (Shape{2, 60}));
  EXPECT_EQ(Flatten({.start_dim = 0, .end_dim = 1})(x).shape(), (Shape{6, 4, 5}));
  EXPECT_EQ(Unflatten({.dim = 1, .unflattened_size = {3, -1, 5}})(Flatten()(x)).shape(), (Shape{2, 3, 4, 5}));
  const Variable y = Tensor::ones({2, 8});
  EXPECT_EQ(Unflatten({.dim = -1, .unflattened_size = {2, 4}})(y).shape(), (Shape{2, 2, 4}));
  EXPECT_EQ(reason([&] {
              Unflatten({.dim = 1, .unflattened_size = {3, -1}})(y);
            }),
            "unflatten: Provided sizes [3, -1] don't multiply up to the size of dim 1 (8) in the input tensor");
  EXPECT_EQ(reason([&] {
              Unflatten({.dim = 1, .unflattened_size = {0, -1}})(y);
            }),
            "unflatten: Provided sizes [0, -1] don't multiply up to the size of dim 1 (8) in the input tensor");
  EXPECT_EQ(reason([&] {
              Unflatten({.dim = 3, .unflattened_size = {2, 4}})(y);
            }),
            "Dimension out of range (expected to be in range of [-2, 1], but got 3)");
}

TEST(ActivationLayer, PassesItsNumbersOn) {
  const Variable x = Tensor::from({-3, -2, -1, 0, 1, 2, 3}, {1, 7});
  const auto same = [&](const Variable& got, const Tensor& expected) { EXPECT_TRUE(identical(got.data(), expected)); };
  same(ReLU()(x), ops::relu(x.data()));
  same(ReLU6()(x), ops::relu6(x.data()));
  same(LeakyReLU({.negative_slope = 0.2})(x), ops::leaky_relu(x.data(), 0.2));
  same(ELU({.alpha = 2})(x), ops::elu(x.data(), 2));
  same(SiLU()(x), ops::silu(x.data()));
  same(Mish()(x), ops::mish(x.data()));
  same(Hardswish()(x), ops::hardswish(x.data()));
  same(Hardsigmoid()(x), ops::hardsigmoid(x.data()));
  same(Sigmoid()(x), ops::sigmoid(x.data()));
  same(Tanh()(x), ops::tanh(x.data()));
  same(GELU()(x), ops::gelu(x.data()));
  same(Softplus({.beta = 2, .threshold = 3})(x), ops::softplus(x.data(), 2, 3));
  same(Hardtanh({.min_val = -2, .max_val = 0.5})(x), ops::hardtanh(x.data(), -2, 0.5));
  same(Softmax({.dim = 1})(x), ops::softmax(x.data(), 1));
  same(Softmax()(x), ops::softmax(x.data(), 1));
  same(LogSoftmax({.dim = -1})(x), ops::log_softmax(x.data(), 1));
  expect_near(GELU({.approximate = "tanh"})(x).data(),
              {-0.00363743305, -0.0454022884, -0.158807993, 0.0, 0.841192007, 1.95459771, 2.99636269});
  EXPECT_EQ(value_error_of([] { GELU({.approximate = "erf"}); }), "approximate argument must be either none or tanh.");
  EXPECT_THROW(Hardtanh({.min_val = 2, .max_val = 2}), ValueError);
  EXPECT_EQ(Hardswish({.inplace = true}).repr(), "Hardswish()");
}

TEST(DropoutLayer, DropsWhatPyTorchDrops) {
  manual_seed(5);
  Dropout drop({.p = 0.3});
  const float k = 1.4285714626312256F;
  EXPECT_EQ(drop(Tensor::ones({12})).data().to_vector<float>(), (std::vector<float>{k, k, k, k, k, 0, k, 0, 0, k, k, k}));
  manual_seed(5);
  Dropout2d channels({.p = 0.3});
  EXPECT_EQ(channels(Tensor::ones({2, 6, 2, 1})).data().to_vector<float>(),
            (std::vector<float>{k, k, k, k, k, k, k, k, k, k, 0, 0, k, k, 0, 0, 0, 0, k, k, k, k, k, k}));
  drop.eval();
  EXPECT_EQ(drop(Tensor::ones({3})).data().to_vector<float>(), (std::vector<float>{1, 1, 1}));
  EXPECT_EQ(Dropout({.p = 1})(Tensor::ones({2})).data().to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(Dropout({.p = 0})(Tensor::ones({2})).data().to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_EQ(value_error_of([] { Dropout({.p = 1.5}); }), "dropout probability has to be between 0 and 1, but got 1.5");
  EXPECT_THROW(Dropout({.p = std::nan("")}), ValueError);
  EXPECT_EQ(reason([&] { channels(Tensor::ones({3})); }), "Feature dropout requires at least 2 dimensions in the input");
}

TEST(DropoutLayer, PassesGradientsWhereItPassesValues) {
  manual_seed(5);
  const Variable x(Tensor::ones({12}), true);
  sum(Dropout({.p = 0.3})(x)).backward();
  const float k = 1.4285714626312256F;
  EXPECT_EQ(Variable(x).grad().to_vector<float>(), (std::vector<float>{k, k, k, k, k, 0, k, 0, 0, k, k, k}));
}

TEST(PadLayer, PadsAndRefuses) {
  const Variable x = Tensor::from({1, 2, 3, 4}, {1, 1, 4});
  EXPECT_EQ(ConstantPad1d({.padding = {1, 2}, .value = 0.5})(x).data().to_vector<float>(),
            (std::vector<float>{0.5, 1, 2, 3, 4, 0.5, 0.5}));
  EXPECT_EQ(ReflectionPad1d({.padding = 2})(x).data().to_vector<float>(), (std::vector<float>{3, 2, 1, 2, 3, 4, 3, 2}));
  EXPECT_EQ(ReplicationPad1d({.padding = {0, 1}})(x).data().to_vector<float>(), (std::vector<float>{1, 2, 3, 4, 4}));
  EXPECT_EQ(ZeroPad2d({.padding = {1, 2, 3, 4}})(Tensor::ones({1, 1, 2, 2})).shape(), (Shape{1, 1, 9, 5}));
  EXPECT_EQ(reason([] { ZeroPad2d({.padding = {1, 2, 3}}); }), "Padding length must be divisible by 2");
  EXPECT_EQ(reason([] { ReflectionPad2d({.padding = {1, 2}}); }), "padding should have 4 values, but got 2");
  EXPECT_EQ(reason([] { ZeroPad2d(PadLayerOptions{}); }), "ZeroPad2d.__init__() missing 1 required positional argument: 'padding'");
}

TEST(ResizeLayer, ResizesAndRefuses) {
  const Variable x = sawtooth({1, 4, 2, 3}, 1, 24, 0);
  EXPECT_EQ(PixelShuffle({.upscale_factor = 2})(x).shape(), (Shape{1, 1, 4, 6}));
  EXPECT_EQ(PixelUnshuffle({.downscale_factor = 1})(x).shape(), (Shape{1, 4, 2, 3}));
  EXPECT_EQ(Upsample({.scale_factor = 2})(x).shape(), (Shape{1, 4, 4, 6}));
  EXPECT_EQ(Upsample({.scale_factor = {1.5, 1}, .mode = InterpolateMode::kBilinear})(x).shape(), (Shape{1, 4, 3, 3}));
  EXPECT_EQ(Upsample({.size = {5, 7}, .mode = InterpolateMode::kBicubic})(x).shape(), (Shape{1, 4, 5, 7}));
  EXPECT_TRUE(identical(UpsamplingBilinear2d({.scale_factor = 2})(x).data(),
                        ops::interpolate(x.data(), {.size = {4, 6}, .mode = InterpolateMode::kBilinear, .align_corners = true})));
  const Variable wide = sawtooth({1, 2, 2, 3}, 1, 12, 0);
  EXPECT_EQ(Upsample({.scale_factor = 1.5})(wide).shape(), (Shape{1, 2, 3, 4}));
  expect_near(Upsample({.scale_factor = 1.5})(wide).data(), {0, 0, 1, 2, 0, 0});
  expect_near(Upsample({.scale_factor = {1.3, 2.7}, .mode = InterpolateMode::kBilinear})(wide).data(),
              {0, 0.0555555373, 0.42592591, 0.796296239, 1.16666663, 1.5370369});
  expect_near(Upsample({.scale_factor = 1.7, .mode = InterpolateMode::kBilinear, .align_corners = true})(wide).data(),
              {0, 0.5, 1, 1.5, 2, 1.5});
  EXPECT_EQ(reason([&] { Upsample({.scale_factor = 0.4, .mode = InterpolateMode::kBicubic})(wide); }),
            "Input and output sizes should be greater than 0, but got input (H: 2, W: 3) output (H: 0, W: 1)");
  EXPECT_EQ(value_error_of([] { Upsample({.size = 2, .scale_factor = 2}); }), "only one of size or scale_factor should be defined");
  EXPECT_EQ(value_error_of([] { Upsample(UpsampleOptions{}); }), "either size or scale_factor should be defined");
  EXPECT_EQ(
      value_error_of([&] {
        Upsample({.size = {2, 2, 2}})(x);
      }),
      "Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of [2, 3] and "
      "output size "
      "of (2, 2, 2). Please provide input tensor in (N, C, d1, d2, ...,dK) format and output size in (o1, o2, ...,oK) format.");
  EXPECT_EQ(reason([] { PixelShuffle({.upscale_factor = 0}); }), "pixel_shuffle expects a positive upscale_factor, but got 0");
}

TEST(Init, KnowsGainsAndFans) {
  EXPECT_EQ(init::gain("linear"), 1);
  EXPECT_EQ(init::gain("tanh"), 5.0 / 3);
  EXPECT_EQ(init::gain("relu"), std::sqrt(2.0));
  EXPECT_EQ(init::gain("leaky_relu", 1.0), 1);
  EXPECT_EQ(value_error_of([] { init::gain("foo"); }), "Unsupported nonlinearity foo");
  const init::Fan fan = init::fan(Tensor::empty({8, 3, 5, 2}));
  EXPECT_EQ(fan.in, 30);
  EXPECT_EQ(fan.out, 80);
  EXPECT_EQ(value_error_of([] { init::fan(Tensor::empty({8})); }),
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions");
  const Tensor t = init::constant_(Tensor::empty({2}), 3);
  EXPECT_EQ(t.at(1), 3);
  Generator a(3), b(3);
  EXPECT_TRUE(identical(
      init::kaiming_uniform_(Tensor::empty({4, 4}), 0, init::FanMode::kFanOut, "relu", &a),
      init::uniform_(Tensor::empty({4, 4}), -std::sqrt(3.0) * std::sqrt(2.0) / 2, std::sqrt(3.0) * std::sqrt(2.0) / 2, &b)));
}

}  // namespace
}  // namespace convoy::nn
