// Transposed convolution: the way back, in shape.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "convoy/convoy.h"

namespace {

using convoy::Shape;
using convoy::Tensor;
using convoy::Variable;
namespace nn = convoy::nn;

TEST(Transposed, BringsTheShapeBack) {
  // Down with kernel 4 and padding 2 from 5 to 6; back with the same numbers.
  nn::Conv2d down({.in_channels = 1, .out_channels = 1, .kernel_size = 4, .padding = 2});
  nn::ConvTranspose2d back({.in_channels = 1, .out_channels = 1, .kernel_size = 4, .padding = 2});
  const Variable I = convoy::rand({1, 1, 5, 5});
  const Variable O = down(I);
  EXPECT_EQ(O.shape(), (Shape{1, 1, 6, 6}));
  EXPECT_EQ(back(O).shape(), I.shape());
  // As a plain convolution the way back has padding k - p - 1 = 1, and the kernel turned by 180 degrees.
  nn::Conv2d plain({.in_channels = 1, .out_channels = 1, .kernel_size = 4, .padding = 1});
  for (int64_t tap = 0; tap < 16; ++tap) {
    plain.weight().data().data<float>()[tap] = back.weight().data().data<float>()[15 - tap];
  }
  plain.bias().data().copy_(back.bias().data());
  const Tensor a = back(O).data(), b = plain(O).data();
  ASSERT_EQ(a.shape(), b.shape());
  for (int64_t i = 0; i < a.numel(); ++i) EXPECT_NEAR(a.at(i), b.at(i), 1e-6);
}

TEST(Transposed, OutputPaddingChoosesAmongTheSizes) {
  // [output-padding]
  nn::Conv2d net({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 2, .padding = 1});
  const Variable I = convoy::rand({1, 1, 4, 4});
  const Variable O = net(I);  // [1, 1, 2, 2]

  nn::ConvTranspose2d net_reverse(
      {.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 2, .padding = 1, .output_padding = 1});
  const Variable O_prime = net_reverse(O);  // 2 * (2 - 1) + 3 - 2 * 1 + 1 = 4
  // [/output-padding]
  EXPECT_EQ(O.shape(), (Shape{1, 1, 2, 2}));
  EXPECT_EQ(O_prime.shape(), (Shape{1, 1, 4, 4}));
}

TEST(Transposed, OutputSizeFindsTheOutputPadding) {
  nn::Conv2d net({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 2, .padding = 1});
  nn::ConvTranspose2d net_reverse({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 2, .padding = 1});
  for (const int64_t n : {3, 4}) {
    const Variable I = convoy::rand({1, 1, n, n});
    const Variable O = net(I);
    EXPECT_EQ(O.shape(), (Shape{1, 1, 2, 2})) << "3 and 4 both become 2";
    EXPECT_EQ(net_reverse(O, I.shape()).shape(), I.shape());
    EXPECT_EQ(net_reverse(O, {n, n}).shape(), I.shape());
  }
}

TEST(Transposed, TheUpConvolutionOfTheUNet) {
  const int64_t c = 8;
  // [up-convolution]
  nn::ConvTranspose2d up({.in_channels = c, .out_channels = c / 2, .kernel_size = 2, .stride = 2});
  // [/up-convolution]
  convoy::manual_seed(0);
  const Variable x = convoy::rand({1, c, 5, 7});
  const Tensor y = up(x).data();
  EXPECT_EQ(y.shape(), (Shape{1, c / 2, 10, 14}));
  // Windows do not overlap: each output cell is one input pixel's channels times one tap.
  for (int64_t oc = 0; oc < c / 2; ++oc) {
    for (int64_t i = 0; i < 10; ++i) {
      for (int64_t j = 0; j < 14; ++j) {
        double expected = up.bias().data().at(oc);
        for (int64_t ic = 0; ic < c; ++ic) {
          expected +=
              x.data().at((ic * 5 + i / 2) * 7 + j / 2) * up.weight().data().at(((ic * (c / 2) + oc) * 2 + i % 2) * 2 + j % 2);
        }
        EXPECT_NEAR(y.at((oc * 10 + i) * 14 + j), expected, 1e-5);
      }
    }
  }
  // Down again by pooling, as on the other side of the U.
  EXPECT_EQ(nn::MaxPool2d({.kernel_size = 2})(y).shape(), (Shape{1, c / 2, 5, 7}));
}

TEST(Transposed, AKernelOfOneLeavesGaps) {
  const int64_t c = 4;
  nn::ConvTranspose2d up(
      {.in_channels = c, .out_channels = c / 2, .kernel_size = 1, .stride = 2, .padding = 0, .output_padding = 1});
  const Tensor y = up(convoy::rand({1, c, 3, 3})).data();
  EXPECT_EQ(y.shape(), (Shape{1, c / 2, 6, 6}));
  // Rows and columns of odd number, output padding included, see no input: they hold the bias.
  for (int64_t i = 0; i < 6; ++i) {
    for (int64_t j = 0; j < 6; ++j) {
      if (i % 2 == 1 || j % 2 == 1) {
        EXPECT_EQ(y.at(i * 6 + j), up.bias().data().at(0));
      }
    }
  }
  try {
    nn::ConvTranspose2d too_much(
        {.in_channels = c, .out_channels = c / 2, .kernel_size = 1, .stride = 2, .padding = 0, .output_padding = 2});
    (void)too_much(convoy::rand({1, c, 3, 3}));
    FAIL();
  } catch (const convoy::Error& error) {
    EXPECT_EQ(error.reason(),
              "output padding must be smaller than either stride or dilation, but got output_padding_height: 2 "
              "output_padding_width: 2 stride_height: 2 stride_width: 2 dilation_height: 1 dilation_width: 1");
  }
}

TEST(Transposed, IsTheGradientOfAConvolution) {
  convoy::manual_seed(5);
  nn::Conv2d net({.in_channels = 2, .out_channels = 3, .kernel_size = 3, .stride = 2, .padding = 1, .bias = false});
  Variable x(convoy::rand({1, 2, 7, 7}), true);
  const Tensor dy = convoy::rand({1, 3, 4, 4});
  net(x).backward(dy);
  nn::ConvTranspose2d transposed({.in_channels = 3, .out_channels = 2, .kernel_size = 3, .stride = 2, .padding = 1, .bias = false});
  transposed.weight().data() =
      net.weight().data();  // the same array: (out, in, kh, kw) of the one is (in, out, kh, kw) of the other
  const Tensor dx = transposed(dy).data();
  ASSERT_EQ(dx.shape(), (Shape{1, 2, 7, 7}));
  for (int64_t i = 0; i < dx.numel(); ++i) EXPECT_NEAR(dx.at(i), x.grad().at(i), 1e-5);
}

}  // namespace
