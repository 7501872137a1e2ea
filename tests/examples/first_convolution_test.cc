// From a loop over windows to a convolution that learns its kernel ("Dive into Deep Learning", 7.2).
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "convoy/convoy.h"

namespace {

using convoy::Shape;
using convoy::Tensor;
using convoy::Variable;
namespace nn = convoy::nn;

// [corr2d]
/// Computes 2D cross-correlation.
Tensor corr2d(const Tensor& X, const Tensor& K) {
  const int64_t h = K.size(0), w = K.size(1);
  Tensor Y = Tensor::zeros({X.size(0) - h + 1, X.size(1) - w + 1});
  for (int64_t i = 0; i < Y.size(0); ++i) {
    for (int64_t j = 0; j < Y.size(1); ++j) {
      float sum = 0;
      for (int64_t a = 0; a < h; ++a) {
        for (int64_t b = 0; b < w; ++b) sum += X.data<float>()[(i + a) * X.size(1) + j + b] * K.data<float>()[a * w + b];
      }
      Y.data<float>()[i * Y.size(1) + j] = sum;
    }
  }
  return Y;
}
// [/corr2d]

// [corr2d-recorded]
/// The same on Variables: every step is recorded, so its gradient comes by itself.
Variable corr2d(const Variable& X, const Variable& K) {
  const int64_t h = K.size(0), w = K.size(1), rows = X.size(0) - h + 1, columns = X.size(1) - w + 1;
  std::vector<Variable> Y;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      Y.push_back(reshape(sum(narrow(narrow(X, 0, i, h), 1, j, w) * K), {1}));
    }
  }
  return reshape(concat(Y), {rows, columns});
}
// [/corr2d-recorded]

// [conv2d-layer]
/// There is only one number as bias: the layer has one output channel.
class Conv2D : public nn::Module {
 public:
  explicit Conv2D(const Shape& kernel_size) {
    register_parameter("weight", convoy::rand(kernel_size));
    register_parameter("bias", Tensor::zeros({1}));
  }
  std::string type() const override { return "Conv2D"; }
  Variable forward(const Variable& x) override { return corr2d(x, parameter(0)) + parameter(1); }

  Variable& weight() { return parameter(0); }
  Variable& bias() { return parameter(1); }
};
// [/conv2d-layer]

// A picture, black where columns 2 to 5 are.
Tensor edges() {
  Tensor X = Tensor::ones({6, 8});
  for (int64_t row = 0; row < 6; ++row) {
    for (int64_t column = 2; column < 6; ++column) X.data<float>()[row * 8 + column] = 0;
  }
  return X;
}

TEST(FirstConvolution, CrossCorrelation) {
  const Tensor X = Tensor::arange(9).reshape({3, 3});
  const Tensor K = Tensor::arange(4).reshape({2, 2});
  const Tensor Y = corr2d(X, K);
  EXPECT_EQ(Y.shape(), (Shape{2, 2}));
  EXPECT_EQ(Y.to_vector<float>(), (std::vector<float>{19, 25, 37, 43}));
  EXPECT_TRUE(identical(corr2d(Variable(X), Variable(K)).data(), Y));
  EXPECT_TRUE(identical(convoy::ops::conv2d(X.reshape({1, 3, 3}), K.reshape({1, 1, 2, 2})).reshape({2, 2}), Y));
}

TEST(FirstConvolution, DetectsEdges) {
  const Tensor X = edges();
  const Tensor K = Tensor::from({1, -1}, {1, 2});
  const Tensor Y = corr2d(X, K);
  EXPECT_EQ(Y.shape(), (Shape{6, 7}));
  for (int64_t row = 0; row < 6; ++row) {
    EXPECT_EQ(Y.select(row).to_vector<float>(), (std::vector<float>{0, 1, 0, 0, 0, -1, 0}));
  }
  // Turned by 90 degrees there is nothing left to see for this kernel.
  const Tensor turned = convoy::permute(Variable(X), {1, 0}).data();
  for (const float y : corr2d(turned, K).to_vector<float>()) EXPECT_EQ(y, 0);
}

TEST(FirstConvolution, ALayerOfOnesOwnLearns) {
  const Tensor X = edges(), Y = corr2d(X, Tensor::from({1, -1}, {1, 2}));
  convoy::manual_seed(0);
  Conv2D conv2d({1, 2});
  EXPECT_EQ(conv2d.weight().data().to_vector<float>(), (std::vector<float>{0.49625659f, 0.768221796f}));
  EXPECT_EQ(conv2d.named_parameters()[1].first, "bias");
  std::vector<double> losses;
  for (int i = 0; i < 10; ++i) {
    Variable l = square(conv2d(X) - Y);
    conv2d.zero_grad();
    sum(l).backward();
    for (Variable& p : std::vector<Variable>{conv2d.weight(), conv2d.bias()}) p.data() -= 1e-2 * p.grad();
    if ((i + 1) % 2 == 0) losses.push_back(sum(l).item());
  }
  const double expected[] = {16.2437649, 8.4934292, 4.8525820, 2.8108518, 1.6443912};  // PyTorch 1.13
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(losses[i], expected[i], 2e-5);
  EXPECT_NEAR(conv2d.weight().data().at(0), 0.7269862, 1e-5);
  EXPECT_NEAR(conv2d.weight().data().at(1), -0.6402692, 1e-5);
  EXPECT_NEAR(conv2d.bias().data().item(), -0.0485451, 1e-5);
}

TEST(FirstConvolution, LearnsTheKernelInTenSteps) {
  Tensor X = edges();
  Tensor Y = corr2d(X, Tensor::from({1, -1}, {1, 2}));
  convoy::manual_seed(0);
  std::vector<double> losses;
  // [training-loop]
  // A layer with 1 output channel and a kernel of shape (1, 2); no bias, for simplicity.
  nn::Conv2d conv2d({.in_channels = 1, .out_channels = 1, .kernel_size = {1, 2}, .bias = false});

  // The layer wants (example, channel, height, width).
  X = X.reshape({1, 1, 6, 8});
  Y = Y.reshape({1, 1, 6, 7});
  const double lr = 3e-2;  // Learning rate

  for (int i = 0; i < 10; ++i) {
    Variable Y_hat = conv2d(X);
    Variable l = square(Y_hat - Y);
    conv2d.zero_grad();
    sum(l).backward();
    // Update the kernel
    conv2d.weight().data() -= lr * conv2d.weight().grad();
    if ((i + 1) % 2 == 0) losses.push_back(sum(l).item());
  }
  // [/training-loop]
  const double expected[] = {8.3304634, 1.7223988, 0.4220001, 0.1252887, 0.0433386};
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(losses[i], expected[i], 2e-6) << "step " << 2 * (i + 1);
  EXPECT_NEAR(conv2d.weight().data().at(0), 1.0063342, 1e-6);
  EXPECT_NEAR(conv2d.weight().data().at(1), -0.9661731, 1e-6);
}

TEST(FirstConvolution, AMatrixLacksTheChannelAxis) {
  nn::Conv2d conv2d({.in_channels = 1, .out_channels = 1, .kernel_size = 1});
  try {
    (void)conv2d(edges());
    FAIL();
  } catch (const convoy::Error& error) {
    EXPECT_EQ(error.reason(), "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [6, 8]");
  }
}

}  // namespace
