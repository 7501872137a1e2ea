// Known failures of other engines: empty batches and outputs (R049 to R064), indices and gradients of foreign shapes, argument
// lists of the wrong length (R065 to R088). Each test names its row; the comment names the issues where it was met (PT: PyTorch).
#include <gtest/gtest.h>

#include <limits>

#include "convoy/autograd/functions.h"
#include "convoy/nn/conv.h"
#include "convoy/ops/conv.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/norm.h"
#include "convoy/ops/pad.h"
#include "convoy/ops/pool.h"
#include "convoy/ops/rearrange.h"
#include "convoy/ops/reduce.h"
#include "tests/robustness/refusal.h"

namespace convoy::robustness {
namespace {

bool all_zero(const Tensor& t) {
  for (int64_t i = 0; i < t.numel(); ++i) {
    if (t.at(i) != 0) return false;
  }
  return true;
}

// PT #12013, #26214, #38115; NNlib.jl #763 (weight gradient left uninitialised).
TEST(Corpus, R049_R050_EmptyBatch) {
  const Tensor x = zeros({0, 3, 8, 8});
  EXPECT_EQ(ops::max_pool(2, x, {.kernel_size = 2}).output.shape(), (Shape{0, 3, 4, 4}));
  EXPECT_EQ(ops::max_pool(2, x, {.kernel_size = 2}).indices.shape(), (Shape{0, 3, 4, 4}));
  EXPECT_EQ(ops::avg_pool(2, x, {.kernel_size = 2}).shape(), (Shape{0, 3, 4, 4}));
  EXPECT_EQ(ops::adaptive_avg_pool(2, x, {2, 2}).shape(), (Shape{0, 3, 2, 2}));
  EXPECT_EQ(ops::adaptive_max_pool(2, x, {2, 2}).output.shape(), (Shape{0, 3, 2, 2}));
  EXPECT_EQ(ops::avg_pool_backward(2, zeros({0, 3, 4, 4}), x.shape(), {.kernel_size = 2}).shape(), x.shape());

  const Tensor w = ones({4, 3, 3, 3});
  EXPECT_EQ(ops::conv2d(x, w).shape(), (Shape{0, 4, 6, 6}));
  const ConvGradients g = ops::conv_backward(2, zeros({0, 4, 6, 6}), x, w);
  EXPECT_EQ(g.input.shape(), x.shape());
  ASSERT_EQ(g.weight.shape(), w.shape());
  ASSERT_EQ(g.bias.shape(), (Shape{4}));
  EXPECT_TRUE(all_zero(g.weight));
  EXPECT_TRUE(all_zero(g.bias));
}

// PT #24341.
TEST(Corpus, R051_ConvTransposeEmptyBatch) {
  const Tensor x = zeros({0, 3, 8, 8}), w = ones({3, 4, 3, 3});
  EXPECT_EQ(ops::conv_transpose2d(x, w).shape(), (Shape{0, 4, 10, 10}));
  const ConvGradients g = ops::conv_transpose_backward(2, zeros({0, 4, 10, 10}), x, w);
  EXPECT_EQ(g.input.shape(), x.shape());
  EXPECT_TRUE(all_zero(g.weight));
  EXPECT_TRUE(all_zero(g.bias));
}

// PT #29578.
TEST(Corpus, R052_BatchNormEmptyBatch) {
  const Tensor x = zeros({0, 64, 112, 112});
  EXPECT_EQ(ops::batch_norm(x, zeros({64}), ones({64}), {}, {}, {}).output.shape(), x.shape());
  EXPECT_EQ(ops::group_norm(zeros({0, 4, 3}), 2, {}, {}).output.shape(), (Shape{0, 4, 3}));
  EXPECT_EQ(ops::layer_norm(zeros({0, 4}), {4}, {}, {}).output.shape(), (Shape{0, 4}));
}

// PT #56998.
TEST(Corpus, R054_ConvZeroChannelsAndGroups) {
  EXPECT_REFUSED(ops::conv1d(zeros({1, 0, 4}), zeros({0, 8, 1}), {}, {.groups = 0}), "non-positive groups is not supported");
}

// PT #142466.
TEST(Corpus, R055_ConvTransposeZeroOutChannels) {
  EXPECT_REFUSED(ops::conv_transpose2d(zeros({1, 3, 8, 8}), zeros({3, 0, 3, 3})),
                 "non-empty 2D or 4D weight tensor expected, but got: [3, 0, 3, 3]");
  EXPECT_REFUSED(ops::conv2d(zeros({1, 3, 8, 8}), zeros({0, 3, 3, 3})), "expected weight to be at least 1 at dimension 0");
}

// PT #127734. PyTorch 1.13 on CPUs refuses an empty output already.
TEST(Corpus, R056_ConvTransposeEmptyOutput) {
  const Tensor x = zeros({1, 8, 14, 14}), w = zeros({8, 1, 3, 3});
  EXPECT_REFUSED(ops::conv_transpose2d(x, w, {}, {.padding = {8, 0}, .groups = 8}),
                 "Given input size per channel: (14 x 14). Calculated output size per channel: (0 x 16). Output size is too small");
  EXPECT_REFUSED(ops::conv_transpose2d(x, w, {}, {.padding = {9, 0}, .groups = 8}),
                 "Calculated output size per channel: (-2 x 16)");
  EXPECT_EQ(ops::conv_transpose2d(x, w, {}, {.padding = {7, 0}, .groups = 8}).shape(), (Shape{1, 8, 2, 16}));
}

// CVE-2021-41209, -29527, -29538, -29526.
TEST(Corpus, R057_ConvEmptyFilter) {
  EXPECT_REFUSED(ops::conv2d(zeros({1, 1, 1, 1}), zeros({1, 0, 1, 1})), "to have 0 channels, but got 1 channels instead");
  EXPECT_REFUSED(ops::conv2d(zeros({1, 3, 8, 8}), zeros({4, 3, 3, 0})), "kernel size should be greater than zero");
}

// CVE-2021-29522.
TEST(Corpus, R058_Conv3dGradientOfNothing) {
  const Tensor x = zeros({0, 0, 0, 0, 0}), w = zeros({0, 0, 0, 1, 0});
  EXPECT_REFUSED(ops::conv3d(x, w), "");
  EXPECT_REFUSED(ops::conv_backward(3, zeros({0, 0, 0, 0, 0}), x, w), "");
}

// CVE-2021-29573.
TEST(Corpus, R059_MaxPoolGradientOfNothing) {
  const Refusal said = refusal([] { return ops::max_pool_backward(2, zeros({0, 0, 0, 0}), indices({0, 0, 0, 0}), {0, 0, 0, 0}); });
  if (!said.refused) SUCCEED();
  EXPECT_REFUSED(ops::max_pool(2, zeros({0, 0, 0, 0}), {.kernel_size = 1}), "Expected 3D or 4D");
}

// PT #78868.
TEST(Corpus, R060_AdaptivePoolToNothing) {
  const Tensor x = ones({1, 64, 10, 9, 8});
  EXPECT_EQ(ops::adaptive_avg_pool(3, x, {0, 0, 0}).shape(), (Shape{1, 64, 0, 0, 0}));
  EXPECT_EQ(ops::adaptive_max_pool(3, x, {0, 0, 0}).output.shape(), (Shape{1, 64, 0, 0, 0}));
  const Tensor average = ops::adaptive_avg_pool_backward(3, zeros({1, 64, 0, 0, 0}), x.shape());
  EXPECT_EQ(average.shape(), x.shape());
  EXPECT_TRUE(all_zero(average));
  const Tensor maximum = ops::max_pool_backward(3, zeros({1, 64, 0, 0, 0}), indices({1, 64, 0, 0, 0}), x.shape());
  EXPECT_EQ(maximum.shape(), x.shape());
  EXPECT_TRUE(all_zero(maximum));
}

// PT #92798, #85155, #91595, #77894.
TEST(Corpus, R061_PixelShuffleOfNothing) {
  EXPECT_EQ(ops::pixel_shuffle(zeros({1, 1, 1, 0}), 1).shape(), (Shape{1, 1, 1, 0}));
  EXPECT_EQ(ops::pixel_unshuffle(zeros({1, 1, 1, 0}), 1).shape(), (Shape{1, 1, 1, 0}));
  EXPECT_EQ(ops::pixel_shuffle(zeros({0, 8, 0, 6}), 2).shape(), (Shape{0, 2, 0, 12}));
}

// PT #162335.
TEST(Corpus, R062_ResizeOfNothing) {
  EXPECT_REFUSED(ops::interpolate(zeros({8, 6, 0, 7}), {.size = {202, 202}}),
                 "Input and output sizes should be greater than 0, but got input (H: 0, W: 7) output (H: 202, W: 202)");
  EXPECT_REFUSED(ops::interpolate(zeros({8, 6, 3, 7}), {.size = {0, 2}}), "Input and output sizes should be greater than 0");
  EXPECT_EQ(ops::interpolate(zeros({0, 6, 3, 7}), {.size = {2, 2}}).shape(), (Shape{0, 6, 2, 2}));
}

// PT #4986: heap corruption; 1.13 refuses (or, without a gradient, gives length 0).
TEST(Corpus, R063_MaxPoolOfOneValue) {
  const Tensor x = zeros({1, 1, 1});
  const Refusal said = refusal([&] { return ops::max_pool(1, x, {.kernel_size = 2}); });
  if (said.refused) {
    EXPECT_NE(said.reason.find("Output size is too small"), std::string::npos) << said.reason;
  }
  EXPECT_REFUSED(max_pool_with_indices(1, Variable(x, true), {.kernel_size = 2}),
                 "Given input size: (1x1x1). Calculated output size: (1x1x0). Output size is too small");
}

// PT #144836.
TEST(Corpus, R064_MaxUnpoolToNothing) {
  EXPECT_EQ(ops::max_unpool(1, zeros({1, 1, 1}), indices({1, 1, 1}), {.kernel_size = 2, .stride = 2, .padding = 1}).shape(),
            (Shape{1, 1, 0}));
}

// PT #91555: thrown from a worker thread; #197409: narrowed to 32 bits before the check; ORT #27432, #27903: not checked at all.
TEST(Corpus, R065_R068_MaxUnpoolIndices) {
  const Tensor x = ones({1, 1, 2, 2});
  const MaxPoolOptions window{.kernel_size = 2};
  for (const int64_t index : {int64_t{-1}, int64_t{16}, (int64_t{1} << 32) + 3, int64_t{1000000000},
                              std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()}) {
    Tensor at = indices({1, 1, 2, 2});
    at.data<int64_t>()[3] = index;
    EXPECT_REFUSED(ops::max_unpool(2, x, at, window),
                   "Found an invalid max index: " + std::to_string(index) + " (output volumes are of size 4x4");
    EXPECT_REFUSED(ops::max_pool_backward(2, x, at, {1, 1, 4, 4}), "");
    EXPECT_REFUSED(ops::max_unpool_backward(2, ones({1, 1, 4, 4}), at), "");
  }
  Tensor many = indices({1, 2, 4, 6, 3});
  for (int64_t i = 0; i < many.numel(); ++i) many.data<int64_t>()[i] = i % 33 - 1;
  EXPECT_REFUSED(ops::max_unpool(3, ones({1, 2, 4, 6, 3}), many, {.kernel_size = 2}, {8, 12, 5}),
                 "Found an invalid max index: -1 (output volumes are of size 8x12x5");
  EXPECT_REFUSED(ops::max_unpool(2, x, zeros({1, 1, 2, 2}), window), "elements in indices should be type int64 but got: Float");
  EXPECT_REFUSED(ops::max_unpool(2, x, indices({1, 1, 2, 1}), window),
                 "Expected shape of indices to be same as that of the input tensor");
}

// PT #122024.
TEST(Corpus, R069_MaxPoolGradientFollowsTheIndices) {
  const Tensor dx = ops::max_pool_backward(2, ones({4, 8, 14, 14}), indices({4, 8, 14, 14}, 1), {4, 8, 28, 28});
  for (int64_t i = 0; i < dx.numel(); ++i) ASSERT_EQ(dx.at(i), i % (28 * 28) == 1 ? 196 : 0) << i;
}

// CVE-2021-29579.
TEST(Corpus, R071_MaxPoolGradientOfAnotherShape) {
  EXPECT_REFUSED(ops::max_pool_backward(2, zeros({1, 1, 1, 1}), indices({0, 0, 0, 0}), {1, 1, 1, 1}), "");
  EXPECT_REFUSED(ops::max_pool_backward(2, zeros({1, 2, 1, 1}), indices({1, 2, 1, 1}), {1, 1, 1, 1}), "");
  EXPECT_REFUSED(ops::max_pool_backward(2, zeros({1, 1, 1}), indices({1, 1, 1}), {1, 1, 1, 1}), "");
  EXPECT_REFUSED(ops::avg_pool_backward(2, zeros({1, 1, 3, 4}), {1, 1, 8, 8}, {.kernel_size = 2}), "");
  EXPECT_REFUSED(ops::adaptive_avg_pool_backward(2, zeros({1, 2, 3, 4}), {1, 1, 8, 8}), "");
  EXPECT_REFUSED(ops::max_unpool_backward(2, zeros({1, 1, 4, 4}), indices({1, 2, 2, 2})), "");
  EXPECT_REFUSED(ops::lp_pool_backward(2, zeros({1, 1, 3, 4}), zeros({1, 1, 8, 8}), 2, 2), "");
}

// CVE-2021-29520.
TEST(Corpus, R072_ConvGradientOfAnotherShape) {
  EXPECT_REFUSED(ops::conv_backward(3, zeros({1, 1, 1, 1, 1}), zeros({1, 1, 1, 1, 2}), zeros({4, 1, 6, 1, 1})), "");
  EXPECT_REFUSED(ops::conv_backward(2, zeros({1, 4, 6, 5}), zeros({1, 3, 8, 8}), zeros({4, 3, 3, 3})), "");
  EXPECT_REFUSED(ops::conv_backward(2, zeros({2, 4, 6, 6}), zeros({1, 3, 8, 8}), zeros({4, 3, 3, 3})), "");
  EXPECT_REFUSED(ops::conv_transpose_backward(2, zeros({1, 4, 9, 10}), zeros({1, 3, 8, 8}), zeros({3, 4, 3, 3})), "");
}

// CVE-2021-29540: a stride beyond the input is legal, a wrong channel count is not.
TEST(Corpus, R073_ConvStrideBeyondTheInput) {
  const Tensor x = ones({1, 1, 1, 2}), w = ones({1, 1, 1, 1});
  const ConvOptions options{.stride = {66, 49}};
  EXPECT_EQ(ops::conv2d(x, w, {}, options).shape(), (Shape{1, 1, 1, 1}));
  const ConvGradients g = ops::conv_backward(2, ones({1, 1, 1, 1}), x, w, options);
  EXPECT_EQ(g.input.to_vector<float>(), (std::vector<float>{1, 0}));
  EXPECT_EQ(g.weight.item(), 1);
  EXPECT_REFUSED(ops::conv2d(x, ones({1, 2, 1, 1}), {}, options), "to have 2 channels, but got 1 channels instead");
}

// PT #142834.
TEST(Corpus, R074_PadGradientOfAnotherShape) {
  EXPECT_REFUSED(ops::pad_backward(zeros({2, 0, 6, 8}), {2, 2, 4, 4}, {2, 2, 1, 1}, PadMode::kReplicate), "");
  for (const PadMode mode : {PadMode::kConstant, PadMode::kReflect, PadMode::kReplicate, PadMode::kCircular}) {
    EXPECT_REFUSED(ops::pad_backward(zeros({2, 2, 6, 7}), {2, 2, 4, 4}, {2, 2, 1, 1}, mode), "");
  }
}

// PT #42509, #42578, #50967.
TEST(Corpus, R075_AdaptivePoolOutputSizeLength) {
  EXPECT_REFUSED(ops::adaptive_avg_pool(2, zeros({1, 1, 4, 4}), {}), "adaptive_avg_pool2d: output_size must be 2");
  EXPECT_REFUSED(ops::adaptive_avg_pool(2, zeros({1, 1, 4, 4}), {2, 2, 2}), "adaptive_avg_pool2d: output_size must be 2");
  EXPECT_REFUSED(ops::adaptive_max_pool(2, zeros({1, 1, 4, 4}), {}), "output_size.size() must be 2");
  EXPECT_REFUSED(ops::max_pool(2, zeros({1, 1, 4, 4}), {}), "kernel_size must either be a single int, or a tuple of two ints");
}

// PT #121093, #78127, #143490, #142455.
TEST(Corpus, R076_PadListLength) {
  for (const PadMode mode : {PadMode::kReflect, PadMode::kReplicate, PadMode::kCircular}) {
    EXPECT_REFUSED(ops::pad(zeros({1, 1, 4, 4}), {}, mode),
                   "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now");
    EXPECT_REFUSED(ops::pad(zeros({1, 1, 4, 4, 4}), {1, 1, 1, 1}, mode),
                   "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now");
    EXPECT_REFUSED(ops::pad(zeros({1, 1, 4, 4}), {1}, mode), "Padding length must be divisible by 2");
    EXPECT_REFUSED(ops::pad(zeros({1, 1, 4, 4, 4}), std::vector<int64_t>(6, -3), mode), "");
  }
  EXPECT_REFUSED(ops::pad(zeros({1, 1, 4, 4}), std::vector<int64_t>(10, 1)), "Padding length too large");
}

// ORT #29579.
TEST(Corpus, R079_PoolListLengths) {
  const Tensor x = zeros({1, 3, 8, 8});
  EXPECT_REFUSED(ops::max_pool(2, x, {.kernel_size = {2, 2, 2}}),
                 "kernel_size must either be a single int, or a tuple of two ints");
  EXPECT_REFUSED(ops::max_pool(2, x, {.kernel_size = 2, .padding = {1, 1, 1}}),
                 "padding must be either be a single int, or a tuple of two ints");
  EXPECT_REFUSED(ops::avg_pool(2, x, {.kernel_size = {2, 2, 2}}),
                 "kernel_size must either be a single int, or a tuple of two ints");
  EXPECT_REFUSED(ops::avg_pool(2, x, {.kernel_size = 2, .padding = {1, 1, 1}}),
                 "padding must either be a single int, or a tuple of two ints");
  EXPECT_REFUSED(ops::max_pool(2, zeros({3}), {.kernel_size = 2}), "non-empty 3D or 4D (batch mode) tensor expected for input");
}

// ORT #28731, #21507.
TEST(Corpus, R080_ConvWeightRank) {
  EXPECT_REFUSED(ops::conv2d(zeros({7, 6, 1, 5}), zeros({7, 2, 3, 2, 1})), "");
  EXPECT_REFUSED(ops::conv2d(zeros({7, 6, 1, 5}), zeros({7, 2, 3})), "");
  EXPECT_REFUSED(ops::conv2d(zeros({7, 6, 1, 5}), zeros({7})), "");
  EXPECT_REFUSED(ops::conv2d(zeros({7, 6, 1, 5}), Tensor::scalar(1)), "");
}

// ORT #29446, #28524; PT #43793, #14272 (dilation forgotten).
TEST(Corpus, R081_R083_ConvTransposeOutputSize) {
  const Tensor x = ones({1, 3, 4, 4}), w = ones({3, 8, 3, 3});
  EXPECT_REFUSED(
      ops::conv_transpose2d(x, w, {}, {.stride = 2, .output_size = {12, 12}}),
      "requested an output size of (12, 12), but valid sizes range from [9, 9] to [10, 10] (for an input of torch.Size([4, 4]))");
  EXPECT_REFUSED(ops::conv_transpose2d(x, w, {}, {.stride = 2, .output_size = {12}}),
                 "output_size must have 2 or 4 elements (got 1)");
  EXPECT_EQ(ops::conv_transpose2d(x, w, {}, {.stride = 2, .dilation = 2, .output_size = {11, 12}}).shape(), (Shape{1, 8, 11, 12}));
}

// rten #1398: a tap that meets no input column.
TEST(Corpus, R082_ConvTransposeTapsOutsideTheInput) {
  EXPECT_EQ(ops::conv_transpose1d(ones({1, 1, 1}), Tensor::from({1, 2, 3, 4, 5}, {1, 1, 5}), {}, {.padding = 2}).to_vector<float>(),
            (std::vector<float>{3}));
  EXPECT_EQ(ops::conv_transpose1d(ones({1, 1, 2}), Tensor::from({1, 2}, {1, 1, 2}), {}, {.stride = 5}).to_vector<float>(),
            (std::vector<float>{1, 2, 0, 0, 0, 1, 2}));
}

// PT #56328.
TEST(Corpus, R084_OutputPaddingLimit) {
  const Tensor x = ones({1, 1, 4, 4}), w = ones({1, 1, 3, 3});
  EXPECT_REFUSED(
      ops::conv_transpose2d(x, w, {}, {.output_padding = 1}),
      "output padding must be smaller than either stride or dilation, but got output_padding_height: 1 output_padding_width: 1 "
      "stride_height: 1 stride_width: 1 dilation_height: 1 dilation_width: 1");
  EXPECT_EQ(ops::conv_transpose2d(x, w, {}, {.output_padding = 2, .dilation = 3}).shape(), (Shape{1, 1, 12, 12}));
}

// ORT #28706.
TEST(Corpus, R085_FoldColumns) {
  EXPECT_REFUSED(
      ops::fold(zeros({1, 12, 7}), {4, 5}, {.kernel_size = 2}),
      "expected size of input's dimension 2 to match the calculated number of sliding blocks 3 * 4 = 12, but got input.size(2)=7.");
  EXPECT_REFUSED(ops::fold(zeros({1, 11, 12}), {4, 5}, {.kernel_size = 2}), "to be divisible by the product of kernel_size");
}

// OpenCV #28272.
TEST(Corpus, R087_BroadcastMismatch) {
  EXPECT_REFUSED(ops::add(zeros({3, 4}), zeros({3, 5})),
                 "The size of tensor a (4) must match the size of tensor b (5) at non-singleton dimension 1");
  EXPECT_REFUSED(ops::add(zeros({3, 4}), zeros({2, 3, 5})),
                 "The size of tensor a (4) must match the size of tensor b (5) at non-singleton dimension 2");
}

// XNNPACK 6062dc08.
TEST(Corpus, R088_ConcatSizes) {
  EXPECT_REFUSED(
      ops::concat({zeros({2, 3}), zeros({2, 4})}, 0),
      "Sizes of tensors must match except in dimension 0. Expected size 3 but got size 4 for tensor number 1 in the list.");
  EXPECT_REFUSED(ops::concat({zeros({2, 3}), zeros({3})}, 0), "Tensors must have same number of dimensions: got 2 and 1");
  EXPECT_REFUSED(ops::concat({}, 0), "expected a non-empty list of Tensors");
}

}  // namespace
}  // namespace convoy::robustness
