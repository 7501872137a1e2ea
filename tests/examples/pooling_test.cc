// Pooling: windows that look instead of weigh.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "convoy/convoy.h"
#include "tests/refusal.h"

namespace {

using convoy::Shape;
using convoy::Tensor;
using convoy::Variable;
using convoy::testing::reason;
namespace nn = convoy::nn;

TEST(MaxPooling, StrideIsTheKernelUnlessGiven) {
  // [max-pool]
  nn::MaxPool2d net({.kernel_size = 2});
  const Tensor X = Tensor::arange(16).reshape({1, 4, 4});
  const Tensor Y = net(X).data();  // [[5, 7], [13, 15]]
  // [/max-pool]
  EXPECT_EQ(Y.shape(), (Shape{1, 2, 2}));
  EXPECT_EQ(Y.to_vector<float>(), (std::vector<float>{5, 7, 13, 15}));
  nn::MaxPool2d spelled_out({.kernel_size = 2, .stride = 2, .padding = 0});
  EXPECT_TRUE(identical(spelled_out(X).data(), Y));
}

TEST(MaxPooling, OverlappingWindows) {
  nn::MaxPool2d net({.kernel_size = 2, .stride = 1});
  const Tensor X = Tensor::arange(9).reshape({1, 3, 3});
  EXPECT_EQ(net(X).data().to_vector<float>(), (std::vector<float>{4, 5, 7, 8}));
}

TEST(MaxPooling, PaddingNeverWins) {
  nn::MaxPool2d net({.kernel_size = {2, 3}, .stride = 1, .padding = {1, 0}});
  const Tensor X = Tensor::arange(8).reshape({1, -1, 4});
  const Tensor Y = net(X).data();
  EXPECT_EQ(Y.shape(), (Shape{1, 3, 2}));
  EXPECT_EQ(Y.to_vector<float>(), (std::vector<float>{2, 3, 6, 7, 6, 7}));
  // The padding is minus infinity, not zero: negative inputs stay negative.
  for (const float y : net(-1.0 * X - 1.0).data().to_vector<float>()) EXPECT_LT(y, 0);
}

TEST(MaxPooling, EveryChannelByItself) {
  nn::MaxPool2d net({.kernel_size = 2, .stride = 1});
  const Tensor X = Tensor::arange(12).reshape({2, -1, 3});
  const Tensor Y = net(X).data();
  EXPECT_EQ(Y.shape(), (Shape{2, 1, 2}));
  EXPECT_EQ(Y.to_vector<float>(), (std::vector<float>{4, 5, 10, 11}));
  EXPECT_TRUE(net.parameters().empty());
}

TEST(MaxPooling, PaddingIsAtMostHalfTheKernel) {
  // A padding of 2 beside a kernel of 3 columns: some notes print it, PyTorch refuses it.
  EXPECT_EQ(reason([] {
              nn::MaxPool2d pool2d({.kernel_size = {2, 3}, .stride = {2, 3}, .padding = {1, 2}});
              (void)pool2d(convoy::rand({1, 8, 8}));
            }),
            "pad should be at most half of kernel size, but got pad=2 and kernel_size=3");
  nn::MaxPool2d pool2d({.kernel_size = {2, 3}, .stride = {2, 3}, .padding = {1, 1}});
  EXPECT_EQ(pool2d(convoy::rand({1, 8, 8})).shape(), (Shape{1, 5, 3}));
}

TEST(AveragePooling, TheMeanOfEachWindow) {
  nn::AvgPool2d net({.kernel_size = 2, .stride = 1});
  const Tensor X = Tensor::arange(9).reshape({1, 3, 3});
  EXPECT_EQ(net(X).data().to_vector<float>(), (std::vector<float>{2, 3, 5, 6}));
}

TEST(AveragePooling, GloballyByOutputSize) {
  // [global-average]
  nn::AdaptiveAvgPool2d net({.output_size = {1, 1}});
  // [/global-average]
  const Tensor one = net(Tensor::arange(16).reshape({1, 4, 4})).data();
  EXPECT_EQ(one.shape(), (Shape{1, 1, 1}));
  EXPECT_EQ(one.item(), 7.5);
  // 1 sample, 3 channels, 4 x 4: each channel's mean.
  const Tensor three = net(Tensor::arange(48).reshape({1, 3, 4, 4})).data();
  EXPECT_EQ(three.shape(), (Shape{1, 3, 1, 1}));
  EXPECT_EQ(three.to_vector<float>(), (std::vector<float>{7.5, 23.5, 39.5}));
}

TEST(Dimensions, Pooling) {
  nn::MaxPool1d pool1d({.kernel_size = 3, .stride = 1, .padding = 1});
  EXPECT_EQ(pool1d.repr(), "MaxPool1d(kernel_size=3, stride=1, padding=1, dilation=1, ceil_mode=False)");
  EXPECT_EQ(pool1d(convoy::randn({10, 3, 224})).shape(), (Shape{10, 3, 224}));
  nn::MaxPool1d by_three({.kernel_size = 3, .stride = 3, .padding = 1});
  EXPECT_EQ(by_three(convoy::randn({10, 3, 224})).shape(), (Shape{10, 3, 75}));

  nn::MaxPool2d pool2d({.kernel_size = 3, .stride = 1, .padding = 1});
  EXPECT_EQ(pool2d.repr(), "MaxPool2d(kernel_size=3, stride=1, padding=1, dilation=1, ceil_mode=False)");
  EXPECT_EQ(pool2d(convoy::randn({2, 3, 224, 224})).shape(), (Shape{2, 3, 224, 224}));

  nn::MaxPool3d pool3d({.kernel_size = 3, .stride = 1, .padding = 1});
  EXPECT_EQ(pool3d.repr(), "MaxPool3d(kernel_size=3, stride=1, padding=1, dilation=1, ceil_mode=False)");
  EXPECT_EQ(pool3d(convoy::randn({2, 3, 8, 8, 8})).shape(), (Shape{2, 3, 8, 8, 8}));
}

}  // namespace
