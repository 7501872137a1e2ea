#include "convoy/ops/conv.h"

#include <gtest/gtest.h>

#include <limits>

#include "convoy/core/error.h"
#include "convoy/ops/linear.h"
#include "convoy/ops/pad.h"
#include "tests/refusal.h"

namespace convoy::ops {
namespace {

using testing::reason;

Tensor z(Shape shape) { return Tensor::zeros(std::move(shape)); }

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();

TEST(Conv2d, ComputesTheHandExample) {
  const Tensor x = Tensor::from({3, 3, 2, 1, 0, 0, 0, 1, 3, 1, 3, 1, 2, 2, 3, 2, 0, 0, 2, 2, 2, 0, 0, 0, 1}, {1, 1, 5, 5});
  const Tensor w = Tensor::from({0, 1, 2, 2, 2, 0, 0, 1, 2}, {1, 1, 3, 3});
  EXPECT_EQ(conv2d(x, w).to_vector<int64_t>(), (std::vector<int64_t>{12, 12, 17, 10, 17, 19, 9, 6, 14}));
  EXPECT_EQ(conv2d(x, w, {}, {.stride = 2, .padding = 1}).to_vector<int64_t>(),
            (std::vector<int64_t>{6, 17, 3, 8, 17, 13, 6, 4, 4}));
}

// The texts of PyTorch 1.13, as it prints them for the same calls.
TEST(Conv2d, RefusesInPyTorchsWords) {
  const Tensor x = z({1, 4, 5, 5}), w = z({8, 4, 3, 3});
  const auto with = [&](ConvOptions options) { return reason([&] { conv2d(x, w, {}, options); }); };
  EXPECT_EQ(with({.groups = 0}), "non-positive groups is not supported");
  EXPECT_EQ(with({.stride = 0, .groups = 0}), "non-positive groups is not supported");
  EXPECT_EQ(with({.stride = 0}), "non-positive stride is not supported");
  EXPECT_EQ(with({.stride = -1, .padding = -1}), "negative padding is not supported");
  EXPECT_EQ(with({.dilation = 0}), "dilation should be greater than zero, but got [0, 0]");
  EXPECT_EQ(with({.dilation = {1, -1}}), "dilation should be greater than zero, but got [1, -1]");
  EXPECT_EQ(with({.stride = {1, 1, 1}, .padding = {1, 1, 1}}),
            "expected stride to be a single integer value or a list of 2 values to match the convolution dimensions, but got "
            "stride=[1, 1, 1]");
  EXPECT_EQ(with({.padding = {1, 1, 1, 1}}),
            "expected padding to be a single integer value or a list of 2 values to match the convolution dimensions, but got "
            "padding=[1, 1, 1, 1]");
  EXPECT_EQ(with({.stride = 2, .padding = "same"}), "padding='same' is not supported for strided convolutions");
  EXPECT_EQ(with({.padding = "foo"}), "Invalid padding string: 'foo'");
  EXPECT_EQ(reason([&] {
              conv2d(z({4, 5}), w);
            }),
            "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [4, 5]");
  EXPECT_EQ(reason([&] {
              conv1d(z({1, 3, 8, 8}), z({8, 3, 3}));
            }),
            "Expected 2D (unbatched) or 3D (batched) input to conv1d, but got input of size: [1, 3, 8, 8]");
  EXPECT_EQ(
      reason([&] {
        conv2d(z({1, 4, 8, 8}), z({8, 3, 3, 3}));
      }),
      "Given groups=1, weight of size [8, 3, 3, 3], expected input[1, 4, 8, 8] to have 3 channels, but got 4 channels instead");
  EXPECT_EQ(reason([&] {
              conv2d(z({4, 5, 5}), z({3, 2, 3, 3}), {}, {.groups = 2});
            }),
            "Given groups=2, expected weight to be divisible by 2 at dimension 0, but got weight of size [[3, 2, 3, 3]] instead");
  EXPECT_EQ(reason([&] {
              conv2d(z({2, 2, 4, 3}), z({2, 2, 1, 3}), {}, {.groups = 3});
            }),
            "Given groups=3, expected weight to be at least 3 at dimension 0, but got weight of size [2, 2, 1, 3] instead");
  EXPECT_EQ(
      reason([&] { conv2d(x, w, z({1})); }),
      "Given weight of size [8, 4, 3, 3], expected bias to be 1-dimensional with 8 elements, but got bias of size [1] instead");
  EXPECT_EQ(reason([&] {
              conv2d(z({1, 4, 2, 9}), w, {}, {.padding = {1, 0}, .dilation = {3, 1}});
            }),
            "Calculated padded input size per channel: (4 x 9). Kernel size: (7 x 3). Kernel size can't be greater than actual "
            "input size");
  EXPECT_EQ(reason([&] {
              conv2d(x, z({8, 4, 3, 0}));
            }),
            "kernel size should be greater than zero, but got kernel_height: 3 kernel_width: 0");
  EXPECT_EQ(reason([&] {
              conv1d(z({1, 4, 5}), z({8, 4, 0}));
            }),
            "kernel size should be greater than zero, but got kernel_height: 1 kernel_width: 0");
  EXPECT_EQ(reason([&] {
              conv3d(z({1, 4, 5, 5, 5}), z({8, 4, 0, 1, 1}));
            }),
            "kernel size should be greater than zero, but got: 0 x 1 x 1 (TxHxW)");
  EXPECT_EQ(reason([&] {
              conv2d(z({1, 4, 0, 5}), w, {}, {.padding = 2});
            }),
            "Only zero batch or zero channel inputs are supported, but got input shape: [1, 4, 0, 5]");
  EXPECT_EQ(reason([&] { conv2d(x, w.to(DType::kFloat64)); }), "expected scalar type Float but found Double");
  EXPECT_EQ(reason([&] { conv2d(x, w, z({8}).to(DType::kFloat64)); }),
            "Input type (float) and bias type (double) should be the same");
  EXPECT_EQ(reason([&] { conv2d(x, z({8, 4})); }), "weight should have at least three dimensions");
}

TEST(Conv2d, NamesTheWayOut) {
  try {
    conv2d(z({1, 3, 2, 8}), z({1, 3, 3, 3}));
    FAIL();
  } catch (const ShapeMismatch& e) {
    EXPECT_EQ(e.fix(), "height is 1 short: padding=1 or an input of at least 3");
  }
  try {
    conv2d(z({8, 8}), z({1, 1, 3, 3}));
    FAIL();
  } catch (const ShapeMismatch& e) {
    EXPECT_NE(e.fix().find("reshape it to (1, 1, 8, 8)"), std::string::npos) << e.fix();
  }
}

TEST(Conv2d, SurvivesExtremeArguments) {
  const Tensor x = z({1, 4, 5, 5}), w = z({8, 4, 3, 3});
  for (const int64_t v : {kMost, kLeast, kMost / 2, int64_t{-1}}) {
    EXPECT_THROW(conv2d(x, w, {}, {.padding = v}), Error) << v;
    EXPECT_THROW(conv2d(x, w, {}, {.dilation = v}), Error) << v;
    EXPECT_THROW(conv2d(x, w, {}, {.groups = v}), Error) << v;
    EXPECT_THROW(conv_transpose2d(x, z({4, 2, 3, 3}), {}, {.padding = v}), Error) << v;
    EXPECT_THROW(conv_transpose2d(x, z({4, 2, 3, 3}), {}, {.output_padding = v}), Error) << v;
    EXPECT_THROW(conv_transpose2d(x, z({4, 2, 3, 3}), {}, {.dilation = v}), Error) << v;
    EXPECT_THROW(conv_transpose2d(x, z({4, 2, 3, 3}), {}, {.stride = v}), Error) << v;
  }
  EXPECT_THROW(conv2d(x, w, {}, {.stride = kLeast}), Error);
  EXPECT_EQ(conv2d(x, w, {}, {.stride = kMost}).shape(), (Shape{1, 8, 1, 1}));
  EXPECT_EQ(conv2d(z({1, 8, 5, 5}), z({8, 1, 3, 3}), {}, {.stride = kMost, .groups = 8}).shape(), (Shape{1, 8, 1, 1}));
  // A 1-wide kernel may have any dilation.
  EXPECT_EQ(conv2d(x, z({8, 4, 1, 1}), {}, {.dilation = kMost}).shape(), (Shape{1, 8, 5, 5}));
}

TEST(Conv2d, AcceptsEmptyBatches) {
  EXPECT_EQ(conv2d(z({0, 3, 5, 5}), z({4, 3, 3, 3})).shape(), (Shape{0, 4, 3, 3}));
  const ConvGradients g = conv_backward(2, z({0, 4, 3, 3}), z({0, 3, 5, 5}), z({4, 3, 3, 3}));
  EXPECT_EQ(g.input.shape(), (Shape{0, 3, 5, 5}));
  EXPECT_EQ(g.weight.to_vector<float>(), std::vector<float>(108, 0.0f));
  EXPECT_EQ(g.bias.to_vector<float>(), std::vector<float>(4, 0.0f));
}

TEST(Conv2d, PadsSameAsPyTorchWithTheOddOneAtTheEnd) {
  const Tensor y = conv2d(Tensor::arange(5).reshape({1, 1, 5}).reshape({1, 1, 1, 5}), Tensor::from({1, 0, 0, 0}, {1, 1, 1, 4}), {},
                          {.padding = "same"});
  EXPECT_EQ(y.to_vector<int64_t>(), (std::vector<int64_t>{0, 0, 1, 2, 3}));
}

TEST(Conv2d, TakesAsymmetricPaddingAndItsGradients) {
  const Tensor x = Tensor::arange(12).reshape({1, 1, 3, 4}), w = Tensor::arange(6).reshape({1, 1, 2, 3});
  const ConvOptions uneven{.padding = {{1, 0}, {0, 2}}};
  const Tensor padded = pad(x, {0, 2, 1, 0});
  EXPECT_TRUE(identical(conv2d(x, w, {}, uneven), conv2d(padded, w)));
  const Tensor g = Tensor::arange(12).reshape({1, 1, 3, 4});
  const ConvGradients got = conv_backward(2, g, x, w, uneven), expected = conv_backward(2, g, padded, w);
  EXPECT_TRUE(identical(got.weight, expected.weight));
  EXPECT_TRUE(identical(got.input, pad(expected.input, {0, -2, -1, 0})));
}

TEST(ConvTranspose2d, RefusesInPyTorchsWords) {
  const Tensor x = z({1, 3, 4, 4}), w = z({3, 8, 3, 3});
  const auto with = [&](ConvTransposeOptions options) { return reason([&] { conv_transpose2d(x, w, {}, options); }); };
  EXPECT_EQ(with({.stride = 2, .output_padding = 2}),
            "output padding must be smaller than either stride or dilation, but got output_padding_height: 2 output_padding_width: "
            "2 stride_height: 2 stride_width: 2 "
            "dilation_height: 1 dilation_width: 1");
  EXPECT_EQ(with({.output_padding = -1}), "negative output_padding is not supported");
  EXPECT_EQ(with({.dilation = 0}), "dilation should be greater than zero, but got dilation_height: 0, dilation_width: 0");
  EXPECT_EQ(
      with({.stride = 2, .output_size = {12, 12}}),
      "requested an output size of (12, 12), but valid sizes range from [9, 9] to [10, 10] (for an input of torch.Size([4, 4]))");
  EXPECT_EQ(with({.stride = 2, .output_size = {12}}),
            "ConvTranspose2D: for 4D input, output_size must have 2 or 4 elements (got 1)");
  EXPECT_EQ(
      reason([&] {
        conv_transpose2d(z({1, 4, 4, 4}), w);
      }),
      "Given transposed=1, weight of size [3, 8, 3, 3], expected input[1, 4, 4, 4] to have 3 channels, but got 4 channels instead");
  EXPECT_EQ(reason([&] {
              conv_transpose1d(z({1, 3, 1}), z({3, 8, 1}), {}, {.padding = 1});
            }),
            "Given input size per channel: (1 x 1). Calculated output size per channel: (1 x -1). Output size is too small");
  EXPECT_EQ(reason([&] {
              conv_transpose1d(z({1, 3, 4}), z({3, 8, 3}), {}, {.stride = 2, .output_padding = 2});
            }),
            "output padding must be smaller than either stride or dilation, but got output_padding_height: 0 output_padding_width: "
            "2 stride_height: 1 stride_width: 2 "
            "dilation_height: 1 dilation_width: 1");
}

TEST(ConvTranspose2d, ReachesOutputSizes) {
  const Tensor x = z({1, 3, 4, 4}), w = z({3, 8, 3, 3});
  EXPECT_EQ(conv_transpose2d(x, w, {}, {.stride = 2, .output_size = {10, 9}}).shape(), (Shape{1, 8, 10, 9}));
  EXPECT_EQ(conv_transpose2d(x, w, {}, {.stride = 2, .output_size = {1, 8, 10, 10}}).shape(), (Shape{1, 8, 10, 10}));
  // Legal because of the dilation, although output_padding = stride.
  EXPECT_EQ(conv_transpose2d(x, w, {}, {.stride = 1, .output_padding = 1, .dilation = 2}).shape(), (Shape{1, 8, 9, 9}));
}

TEST(Linear, RefusesInPyTorchsWords) {
  EXPECT_EQ(reason([&] { linear(z({3, 4}), z({6, 5})); }), "mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)");
  EXPECT_EQ(reason([&] {
              linear(z({3, 5}), z({6, 5}), z({7}));
            }),
            "The expanded size of the tensor (6) must match the existing size (7) at non-singleton dimension 1.  Target sizes: [3, "
            "6].  Tensor sizes: [7]");
}

TEST(Linear, MultipliesAndAddsTheBias) {
  const Tensor y =
      linear(Tensor::from({1, 2, 3, 4}, {2, 2}), Tensor::from({1, 0, 0, 1, 1, 1}, {3, 2}), Tensor::from({10, 20, 30}, {3}));
  EXPECT_EQ(y.to_vector<int64_t>(), (std::vector<int64_t>{11, 22, 33, 13, 24, 37}));
  EXPECT_EQ(linear(z({0, 5}), z({6, 5})).shape(), (Shape{0, 6}));
  EXPECT_EQ(linear(z({2, 0}), z({3, 0}), Tensor::from({1, 2, 3}, {3})).to_vector<int64_t>(),
            (std::vector<int64_t>{1, 2, 3, 1, 2, 3}));
}

TEST(Matmul, FollowsPyTorchsRulesForAxes) {
  const Tensor a = Tensor::arange(6).reshape({2, 3}), b = Tensor::arange(12).reshape({3, 4});
  EXPECT_EQ(matmul(a, b).to_vector<int64_t>(), (std::vector<int64_t>{20, 23, 26, 29, 56, 68, 80, 92}));
  EXPECT_EQ(matmul(Tensor::arange(3), b).shape(), (Shape{4}));
  EXPECT_EQ(matmul(a, Tensor::arange(3)).shape(), (Shape{2}));
  EXPECT_EQ(matmul(Tensor::arange(3), Tensor::arange(3)).item(), 5);
  EXPECT_EQ(matmul(z({7, 1, 2, 3}), z({5, 3, 4})).shape(), (Shape{7, 5, 2, 4}));
  EXPECT_THROW(matmul(a, a), ShapeMismatch);
  EXPECT_THROW(matmul(z({2, 2, 3}), z({3, 3, 4})), ShapeMismatch);
}

}  // namespace
}  // namespace convoy::ops
