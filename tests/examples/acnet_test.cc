// The three branches of an ACNet block, k x k + k x 1 + 1 x k, and the one convolution that they are.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "convoy/convoy.h"

namespace {

using convoy::Tensor;
using convoy::Variable;
namespace nn = convoy::nn;

// [acnet]
/// The branches see the same windows: where the padding is too small for the narrow kernels, they see a cropped input.
class ACBlock : public nn::Module {
 public:
  ACBlock(int64_t channels, int64_t out_channels, int64_t kernel_size, int64_t stride, int64_t padding)
      : crop_(padding - kernel_size / 2 >= 0 ? 0 : kernel_size / 2 - padding),
        square({.in_channels = channels,
                .out_channels = out_channels,
                .kernel_size = kernel_size,
                .stride = stride,
                .padding = padding}),
        ver({.in_channels = channels,
             .out_channels = out_channels,
             .kernel_size = {kernel_size, 1},
             .stride = stride,
             .padding = {padding, crop_ == 0 ? padding - kernel_size / 2 : 0},
             .bias = false}),
        hor({.in_channels = channels,
             .out_channels = out_channels,
             .kernel_size = {1, kernel_size},
             .stride = stride,
             .padding = {crop_ == 0 ? padding - kernel_size / 2 : 0, padding},
             .bias = false}) {
    register_child("square", square);
    register_child("ver", ver);
    register_child("hor", hor);
  }

  std::string type() const override { return "ACBlock"; }
  Variable forward(const Variable& x) override {
    const Variable ver_input = narrow(x, 3, crop_, x.size(3) - 2 * crop_);  // columns the k x 1 kernel may not start on
    const Variable hor_input = narrow(x, 2, crop_, x.size(2) - 2 * crop_);
    return square(x) + ver(ver_input) + hor(hor_input);
  }

 private:
  int64_t crop_;

 public:
  nn::Conv2d square, ver, hor;
};
// [/acnet]

/// The narrow kernels added onto the middle column and row of the square one.
Tensor folded(const ACBlock& block, int64_t k) {
  Tensor weight = block.square.weight().data().clone();
  const Tensor &ver = block.ver.weight().data(), &hor = block.hor.weight().data();
  for (int64_t pair = 0; pair < weight.numel() / (k * k); ++pair) {
    for (int64_t i = 0; i < k; ++i) {
      weight.data<float>()[pair * k * k + i * k + k / 2] += ver.data<float>()[pair * k + i];
      weight.data<float>()[pair * k * k + k / 2 * k + i] += hor.data<float>()[pair * k + i];
    }
  }
  return weight;
}

TEST(ACNet, ThreeBranchesAreOneConvolution) {
  for (const int64_t k : {3, 5}) {
    for (const int64_t stride : {1, 2}) {
      for (int64_t padding = 0; padding <= 3; ++padding) {
        convoy::manual_seed(9);
        ACBlock block(3, 4, k, stride, padding);
        const Variable x = convoy::randn({2, 3, 11, 9});
        const Tensor branches = block(x).data();
        nn::Conv2d one({.in_channels = 3, .out_channels = 4, .kernel_size = k, .stride = stride, .padding = padding});
        one.weight().data() = folded(block, k);
        one.bias().data() = block.square.bias().data();
        const Tensor fused = one(x).data();
        ASSERT_EQ(branches.shape(), fused.shape()) << "k " << k << " stride " << stride << " padding " << padding;
        for (int64_t i = 0; i < fused.numel(); ++i) ASSERT_NEAR(branches.at(i), fused.at(i), 2e-5);
      }
    }
  }
}

TEST(ACNet, ItsParametersHaveTheNamesOfThePaper) {
  const ACBlock block(3, 4, 3, 1, 1);
  std::vector<std::string> names;
  for (const auto& [name, parameter] : block.named_parameters()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"square.weight", "square.bias", "ver.weight", "hor.weight"}));
}

}  // namespace
