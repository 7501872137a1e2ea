// What padding, stride and dilation do to a size, and how layers print themselves.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "convoy/convoy.h"

namespace {

using convoy::Shape;
using convoy::Tensor;
using convoy::Variable;
namespace nn = convoy::nn;

// [comp_conv2d]
/// Adds the batch and channel axes, calculates the convolution, and removes them again.
Shape comp_conv2d(nn::Conv2d conv2d, Tensor X) {
  X = X.reshape({1, 1, X.size(0), X.size(1)});
  const Variable Y = conv2d(X);
  return Shape(Y.shape().begin() + 2, Y.shape().end());
}
// [/comp_conv2d]

TEST(PaddingAndStride, OneOnEveryEdgeKeepsAKernelOfThree) {
  const Tensor X = convoy::rand({8, 8});
  const nn::Conv2d conv2d({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .padding = 1});
  EXPECT_EQ(comp_conv2d(conv2d, X), (Shape{8, 8}));
}

TEST(PaddingAndStride, PaddingMayDifferByAxis) {
  const Tensor X = convoy::rand({8, 8});
  const nn::Conv2d conv2d({.in_channels = 1, .out_channels = 1, .kernel_size = {5, 3}, .padding = {2, 1}});
  EXPECT_EQ(comp_conv2d(conv2d, X), (Shape{8, 8}));
}

TEST(PaddingAndStride, StrideTwoHalves) {
  const Tensor X = convoy::rand({8, 8});
  const nn::Conv2d conv2d({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 2, .padding = 1});
  EXPECT_EQ(comp_conv2d(conv2d, X), (Shape{4, 4}));
}

TEST(PaddingAndStride, AMoreComplicatedExample) {
  const Tensor X = convoy::rand({8, 8});
  const nn::Conv2d conv2d({.in_channels = 1, .out_channels = 1, .kernel_size = {3, 5}, .stride = {3, 4}, .padding = {0, 1}});
  EXPECT_EQ(comp_conv2d(conv2d, X), (Shape{2, 2}));
}

TEST(PaddingAndStride, HalfPadding) {
  nn::Conv2d net({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .padding = 1});
  const Variable X = convoy::rand({1, 1, 4, 4});
  EXPECT_EQ(net(X).shape(), (Shape{1, 1, 4, 4}));
  net = nn::Conv2d({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 2, .padding = 1});
  EXPECT_EQ(net(X).shape(), (Shape{1, 1, 2, 2}));  // (4 - 3 + 2 * 1) // 2 + 1 = 2
}

TEST(PaddingAndStride, FullPadding) {
  nn::Conv2d net({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .padding = 2});
  EXPECT_EQ(net(convoy::rand({1, 1, 5, 5})).shape(), (Shape{1, 1, 7, 7}));
}

TEST(PaddingAndStride, EvenKernels) {
  const Variable X = convoy::rand({1, 1, 6, 6});
  // PyTorch's "same" has the odd cell at the end; notes that put it above and left say so with pairs. Both keep the size.
  nn::Conv2d torch({.in_channels = 1, .out_channels = 1, .kernel_size = 4, .padding = "same"});
  nn::Conv2d notes({.in_channels = 1, .out_channels = 1, .kernel_size = 4, .padding = {{2, 1}, {2, 1}}});
  EXPECT_EQ(torch(X).shape(), (Shape{1, 1, 6, 6}));
  EXPECT_EQ(notes(X).shape(), (Shape{1, 1, 6, 6}));
  // The same windows, one cell further: row and column i of the one are i + 1 of the other.
  notes.load_state_dict(torch.state_dict());
  const Variable a = narrow(narrow(torch(X), 2, 0, 5), 3, 0, 5), b = narrow(narrow(notes(X), 2, 1, 5), 3, 1, 5);
  for (int64_t i = 0; i < a.numel(); ++i) EXPECT_NEAR(a.data().at(i), b.data().at(i), 1e-6);
}

TEST(PaddingAndStride, StrideThinsOutTheResultOfStrideOne) {
  convoy::manual_seed(1);
  const Variable X = convoy::rand({1, 1, 9, 9});
  nn::Conv2d dense({.in_channels = 1, .out_channels = 1, .kernel_size = 3});
  nn::Conv2d strided({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 2});
  strided.load_state_dict(dense.state_dict());
  const Tensor all = dense(X).data(), some = strided(X).data();
  ASSERT_EQ(some.shape(), (Shape{1, 1, 4, 4}));
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t j = 0; j < 4; ++j) EXPECT_NEAR(some.data<float>()[i * 4 + j], all.data<float>()[2 * i * 7 + 2 * j], 1e-6);
  }
}

TEST(PaddingAndStride, DilationSpreadsTheKernel) {
  convoy::manual_seed(2);
  const Variable X = convoy::rand({1, 1, 9, 9});
  nn::Conv2d dilated({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .dilation = 2});
  // k + (k - 1)(d - 1) = 5: a kernel of 5 with zeros between the taps.
  nn::Conv2d spread({.in_channels = 1, .out_channels = 1, .kernel_size = 5});
  spread.weight().data().zero_();
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t j = 0; j < 3; ++j) {
      spread.weight().data().data<float>()[2 * i * 5 + 2 * j] = dilated.weight().data().data<float>()[i * 3 + j];
    }
  }
  spread.bias().data().copy_(dilated.bias().data());
  const Tensor a = dilated(X).data(), b = spread(X).data();
  ASSERT_EQ(a.shape(), (Shape{1, 1, 5, 5}));
  for (int64_t i = 0; i < a.numel(); ++i) EXPECT_NEAR(a.data<float>()[i], b.data<float>()[i], 1e-6);
}

TEST(PaddingAndStride, AKernelOfOneMixesChannelsAtEveryPixel) {
  convoy::manual_seed(3);
  const Variable X = convoy::rand({1, 3, 4, 4});
  nn::Conv2d pointwise({.in_channels = 3, .out_channels = 2, .kernel_size = 1});
  // A fully connected layer on the channels of each pixel.
  nn::Linear linear({.in_features = 3, .out_features = 2});
  linear.weight().data() = pointwise.weight().data().reshape({2, 3});
  linear.bias().data() = pointwise.bias().data();
  const Tensor a = permute(pointwise(X), {0, 2, 3, 1}).data();
  const Tensor b = linear(reshape(permute(X, {0, 2, 3, 1}), {16, 3})).data();
  for (int64_t i = 0; i < a.numel(); ++i) EXPECT_NEAR(a.data<float>()[i], b.data<float>()[i], 1e-6);
}

TEST(PaddingAndStride, LayersPrintThemselves) {
  const nn::Conv2d conv2({.in_channels = 4, .out_channels = 5, .kernel_size = 3, .stride = 1, .padding = 1});
  EXPECT_EQ(conv2.repr(), "Conv2d(4, 5, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))");
  EXPECT_EQ(conv2.options().in_channels, 4);
  EXPECT_EQ(conv2.options().kernel_size.expand(2), (std::vector<int64_t>{3, 3}));
  // One number per pair of an input and an output channel and tap, and one bias per output channel.
  EXPECT_EQ(conv2.weight().shape(), (Shape{5, 4, 3, 3}));
  EXPECT_EQ(conv2.bias().shape(), (Shape{5}));
}

TEST(Dimensions, Convolutions) {
  nn::Conv1d conv1d({.in_channels = 3, .out_channels = 3, .kernel_size = 3, .stride = 1, .padding = 1});
  EXPECT_EQ(conv1d.repr(), "Conv1d(3, 3, kernel_size=(3,), stride=(1,), padding=(1,))");
  EXPECT_EQ(conv1d(convoy::randn({10, 3, 224})).shape(), (Shape{10, 3, 224}));

  nn::Conv2d conv2d({.in_channels = 3, .out_channels = 3, .kernel_size = 3, .stride = 1, .padding = 1});
  EXPECT_EQ(conv2d.repr(), "Conv2d(3, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))");
  EXPECT_EQ(conv2d(convoy::randn({2, 3, 224, 224})).shape(), (Shape{2, 3, 224, 224}));

  nn::Conv3d conv3d({.in_channels = 3, .out_channels = 3, .kernel_size = 3, .stride = 1, .padding = 1});
  EXPECT_EQ(conv3d.repr(), "Conv3d(3, 3, kernel_size=(3, 3, 3), stride=(1, 1, 1), padding=(1, 1, 1))");
  EXPECT_EQ(conv3d(convoy::randn({2, 3, 8, 8, 8})).shape(), (Shape{2, 3, 8, 8, 8}));
  // 10 volumes of 224 x 224 x 224 take 27 GB in and out; their shape takes nothing.
  const convoy::ConvOptions options{.padding = 1};
  EXPECT_EQ(convoy::ops::conv_shape(3, {10, 3, 224, 224, 224}, {3, 3, 3, 3, 3}, options).output,
            (convoy::shape::Spatial{224, 224, 224}));
}

TEST(Dimensions, ImagesAreNotForConv1d) {
  nn::Conv1d conv1d({.in_channels = 3, .out_channels = 3, .kernel_size = 3, .stride = 1, .padding = 1});
  try {
    (void)conv1d(convoy::randn({10, 3, 8, 8}));
    FAIL();
  } catch (const convoy::Error& error) {
    EXPECT_EQ(error.reason(), "Expected 2D (unbatched) or 3D (batched) input to conv1d, but got input of size: [10, 3, 8, 8]");
  }
}

TEST(DepthwiseSeparable, DepthwiseAndPointwiseInsteadOfOneLayer) {
  convoy::manual_seed(0);
  // [separable]
  const Variable x = Tensor::ones({1, 3, 12, 12});
  nn::Conv2d conv1({.in_channels = 3, .out_channels = 256, .kernel_size = 5});
  nn::Conv2d dw({.in_channels = 3, .out_channels = 3, .kernel_size = 5, .groups = 3});
  nn::Conv2d pw({.in_channels = 3, .out_channels = 256, .kernel_size = 1});
  const Variable y = conv1(x);
  const Variable z = pw(dw(x));
  // [/separable]
  EXPECT_EQ(y.shape(), (Shape{1, 256, 8, 8}));
  EXPECT_EQ(dw(x).shape(), (Shape{1, 3, 8, 8}));
  EXPECT_EQ(z.shape(), (Shape{1, 256, 8, 8}));
  EXPECT_NEAR(y.data().at(0), 0.0337238609790802, 1e-5);  // PyTorch 1.13, seed 0
  EXPECT_NEAR(z.data().at(255 * 64 + 63), 1.2053630352020264, 1e-5);
  EXPECT_NEAR(sum(y).item(), 598.831523835659, 0.02);
  EXPECT_NEAR(sum(z).item(), -480.76515251398087, 0.02);
  const auto count = [](const nn::Module& m) {
    int64_t n = 0;
    for (const Variable& p : m.parameters()) n += p.numel();
    return n;
  };
  EXPECT_EQ(count(conv1), 19456);
  EXPECT_EQ(count(dw) + count(pw), 1102);
}

}  // namespace
