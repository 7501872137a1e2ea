// Known failures of other engines: zero, negative and extreme arguments (R001 to R048). Each test names its row; the comment names
// the issues where it was met (PT: PyTorch, TF: TensorFlow).
#include <gtest/gtest.h>

#include <limits>

#include "convoy/core/accuracy.h"
#include "convoy/nn/conv.h"
#include "convoy/ops/conv.h"
#include "convoy/ops/norm.h"
#include "convoy/ops/pad.h"
#include "convoy/ops/pool.h"
#include "convoy/ops/rearrange.h"
#include "convoy/ops/reduce.h"
#include "tests/robustness/refusal.h"

namespace convoy::robustness {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

/// `leading` sizes, then `size` on each of `rank` axes.
Shape cube(int rank, Shape leading, int64_t size) {
  leading.insert(leading.end(), static_cast<size_t>(rank), size);
  return leading;
}

// PT #71080, #91558, #85111: division by zero.
TEST(Corpus, R001_ConvGroupsZero) {
  for (int rank = 1; rank <= 3; ++rank) {
    EXPECT_REFUSED(ops::conv(rank, zeros(cube(rank, {1, 4}, 5)), zeros(cube(rank, {8, 4}, 3)), {}, {.groups = 0}),
                   "non-positive groups is not supported");
    EXPECT_REFUSED(ops::conv_transpose(rank, zeros(cube(rank, {1, 4}, 5)), zeros(cube(rank, {8, 4}, 3)), {}, {.groups = 0}),
                   "non-positive groups is not supported");
  }
}

// PT #49523: INT64_MIN / -1.
TEST(Corpus, R002_ConvGroupsSmallest) {
  for (int rank = 1; rank <= 3; ++rank) {
    const Tensor one = ones(cube(rank, {1, 1}, 1));
    EXPECT_REFUSED(ops::conv(rank, one, one, {}, {.groups = kMin}), "non-positive groups is not supported");
    EXPECT_REFUSED(ops::conv_transpose(rank, one, one, {}, {.groups = kMin}), "non-positive groups is not supported");
    EXPECT_REFUSED(ops::conv(rank, one, one, {}, {.groups = kMax}), "");
    EXPECT_REFUSED(ops::conv_transpose(rank, one, one, {}, {.groups = kMax}), "");
  }
}

// PT #108219: the constructor divides before it checks.
TEST(Corpus, R003_ConvModuleGroupsZero) {
  EXPECT_REFUSED(nn::Conv2d({.in_channels = 4, .out_channels = 8, .kernel_size = 3, .groups = 0}),
                 "groups must be a positive integer");
  EXPECT_REFUSED(nn::Conv2d({.in_channels = 4, .out_channels = 8, .kernel_size = 3, .groups = kMin}),
                 "groups must be a positive integer");
  EXPECT_REFUSED(nn::ConvTranspose2d({.in_channels = 4, .out_channels = 8, .kernel_size = 3, .groups = -1}),
                 "groups must be a positive integer");
}

// PT #73193.
TEST(Corpus, R004_ConvEverythingZero) {
  const Tensor x = zeros({1, 1, 1, 24000});
  EXPECT_REFUSED(ops::conv2d(x, x, {}, {.stride = {0, 0}, .dilation = {0, 0}, .groups = 0}),
                 "non-positive groups is not supported");
  EXPECT_REFUSED(ops::conv2d(x, x, {}, {.stride = {0, 0}, .dilation = {0, 0}}), "non-positive stride is not supported");
}

// PT #136722: PyTorch makes such a layer and refuses it on use.
TEST(Corpus, R005_ConvTransposeStrideZero) {
  EXPECT_REFUSED(nn::ConvTranspose1d({.in_channels = 16, .out_channels = 64, .kernel_size = 3, .stride = 0})(zeros({1, 16, 4})),
                 "non-positive stride is not supported");
  EXPECT_REFUSED(nn::ConvTranspose2d({.in_channels = 16, .out_channels = 64, .kernel_size = 3, .stride = 0})(zeros({1, 16, 4, 4})),
                 "non-positive stride is not supported");
  EXPECT_REFUSED(
      nn::ConvTranspose3d({.in_channels = 16, .out_channels = 64, .kernel_size = 3, .stride = 0})(zeros({1, 16, 4, 4, 4})),
      "non-positive stride is not supported");
}

// PT #91549.
TEST(Corpus, R006_ConvTransposeGroupsZeroWithOutputPadding) {
  EXPECT_REFUSED(ops::conv_transpose2d(zeros({1, 3, 4, 4}), zeros({3, 3, 3, 3}), {},
                                       {.stride = 2, .padding = 2, .output_padding = 1, .groups = 0}),
                 "non-positive groups is not supported");
}

// PT OpInfo conv2d.
TEST(Corpus, R007_ConvNegativeArguments) {
  const Tensor x = zeros({1, 1, 4, 4}), w = zeros({1, 1, 2, 2});
  EXPECT_REFUSED(ops::conv2d(x, w, {}, {.stride = {-1}}), "non-positive stride is not supported");
  EXPECT_REFUSED(ops::conv2d(x, w, {}, {.padding = IntList{-1}}), "negative padding is not supported");
  EXPECT_REFUSED(ops::conv2d(x, w, {}, {.dilation = {-1}}), "dilation should be greater than zero");
  EXPECT_REFUSED(ops::conv_transpose2d(x, w, {}, {.stride = -1}), "non-positive stride is not supported");
  EXPECT_REFUSED(ops::conv_transpose2d(x, w, {}, {.padding = -1}), "negative padding is not supported");
  EXPECT_REFUSED(ops::conv_transpose2d(x, w, {}, {.output_padding = -1}), "negative output_padding is not supported");
  EXPECT_REFUSED(ops::conv_transpose2d(x, w, {}, {.dilation = -1}), "dilation should be greater than zero");
}

// PT OpInfo conv2d.
TEST(Corpus, R008_ConvTooManyGroups) {
  EXPECT_REFUSED(ops::conv2d(zeros({2, 2, 4, 3}), zeros({2, 2, 1, 3}), {}, {.groups = 3}),
                 "Given groups=3, expected weight to be at least 3 at dimension 0, but got weight of size [2, 2, 1, 3] instead");
}

// PT #149274, CVE-2025-2953.
TEST(Corpus, R009_MaxPoolStrideZero) {
  EXPECT_REFUSED(ops::max_pool(2, zeros({2, 64, 32, 32}), {.kernel_size = 3, .stride = 0}), "stride should not be zero");
  EXPECT_REFUSED(ops::max_pool(1, zeros({2, 64, 32}), {.kernel_size = 3, .stride = 0}), "stride");
  EXPECT_REFUSED(ops::max_pool(3, zeros({2, 4, 8, 8, 8}), {.kernel_size = 3, .stride = 0}), "stride should not be zero");
}

// PT #41767.
TEST(Corpus, R010_AvgPoolStrideZero) {
  EXPECT_REFUSED(ops::avg_pool(2, zeros({10, 3, 20, 20}), {.kernel_size = 4, .stride = 0}), "stride should not be zero");
  EXPECT_REFUSED(ops::avg_pool(1, zeros({10, 3, 20}), {.kernel_size = 4, .stride = 0}), "stride should not be zero");
  EXPECT_REFUSED(ops::avg_pool(3, zeros({1, 3, 8, 8, 8}), {.kernel_size = 4, .stride = 0}), "stride should not be zero");
}

// PT #179303, #179362: 0 taken for "not given".
TEST(Corpus, R011_AvgPoolDivisorZero) {
  EXPECT_REFUSED(ops::avg_pool(3, zeros({1, 3, 8, 8, 8}), {.kernel_size = 2, .divisor_override = 0}), "divisor must be not zero");
  EXPECT_REFUSED(ops::avg_pool(2, zeros({1, 3, 8, 8}), {.kernel_size = 2, .divisor_override = 0}), "divisor must be not zero");
  EXPECT_EQ(ops::avg_pool(2, ones({1, 1, 2, 2}), {.kernel_size = 2}).item(), 1);
}

// PT #185361: PyTorch 1.13 divides by -1.
TEST(Corpus, R012_AvgPoolDivisorNegative) {
  EXPECT_EQ(ops::avg_pool(2, ones({1, 1, 2, 2}), {.kernel_size = 2, .divisor_override = -1}).item(), -4);
  EXPECT_EQ(ops::avg_pool(3, ones({1, 1, 2, 2, 2}), {.kernel_size = 2, .divisor_override = -1}).item(), -8);
}

// PT OpInfo avg_pool1d.
TEST(Corpus, R013_AvgPoolPadding) {
  EXPECT_REFUSED(ops::avg_pool(1, zeros({1, 1, 8}), {.kernel_size = 2, .stride = 50, .padding = -1}),
                 "pad must be non-negative, but got pad: -1");
  EXPECT_REFUSED(ops::avg_pool(1, zeros({1, 1, 8}), {.kernel_size = 2, .stride = 50, .padding = 4}),
                 "pad should be at most half of kernel size, but got pad=4 and kernel_size=2");
}

// PT #187743, #134841: Python's ZeroDivisionError.
TEST(Corpus, R014_LpPoolNormZero) {
  EXPECT_REFUSED(ops::lp_pool(1, ones({1, 1, 8}), 0, 2), "norm_type");
  EXPECT_REFUSED(ops::lp_pool(2, ones({1, 1, 8, 8}), 0, 2), "norm_type");
}

// CVE-2021-41196.
TEST(Corpus, R015_MaxPoolKernelZero) {
  EXPECT_REFUSED(ops::max_pool(3, zeros({3, 4, 10, 11, 12}), {.kernel_size = {2, 2, 0}}), "stride should not be zero");
  EXPECT_REFUSED(ops::max_pool(3, zeros({3, 4, 10, 11, 12}), {.kernel_size = {2, 2, 0}, .stride = 1}),
                 "kernel size should be greater than zero");
}

// TF #76722, #59191.
TEST(Corpus, R016_MaxPoolKernelNegative) {
  EXPECT_REFUSED(ops::max_pool(2, zeros({1, 1, 4, 4}), {.kernel_size = {-1, -1}, .stride = 1}),
                 "kernel size should be greater than zero, but got kH: -1 kW: -1");
  EXPECT_REFUSED(ops::max_pool(2, zeros({1, 1, 4, 4}), {.kernel_size = {-1, 2}, .stride = 1}),
                 "kernel size should be greater than zero");
}

// CVE-2021-29595, -29597: block size 0.
TEST(Corpus, R019_PixelShuffleZero) {
  EXPECT_REFUSED(ops::pixel_shuffle(zeros({1, 4, 2, 2}), 0), "pixel_shuffle expects a positive upscale_factor, but got 0");
  EXPECT_REFUSED(ops::pixel_unshuffle(zeros({1, 4, 2, 2}), 0), "pixel_unshuffle expects a positive downscale_factor, but got 0");
}

// PT #73188, #73194.
TEST(Corpus, R021_GroupNormZeroGroups) {
  EXPECT_REFUSED(ops::group_norm(zeros({4, 6, 5}), 0, {}, {}), "Expected num groups to be greater than 0, got 0");
  EXPECT_REFUSED(ops::group_norm(zeros({4, 6, 5}), -1, {}, {}), "Expected num groups to be greater than 0, got -1");
  EXPECT_REFUSED(ops::group_norm(zeros({4, 6, 5}), kMin, {}, {}), "Expected num groups to be greater than 0");
  EXPECT_REFUSED(ops::group_norm(zeros({4, 6, 5}), kMax, {}, {}), "divisible by num_groups");
}

// XNNPACK #11156, cumo #307, MNN #4809: the shape code needs the guards of the kernels.
TEST(Corpus, R022_ShapesRefuseWhatCallsRefuse) {
  EXPECT_REFUSED(ops::conv_shape(2, {1, 3, 8, 8}, {4, 3, 3, 3}, {.stride = 0}), "non-positive stride is not supported");
  EXPECT_REFUSED(ops::conv_shape(2, {1, 3, 8, 8}, {4, 3, 3, 3}, {.groups = 0}), "non-positive groups is not supported");
  EXPECT_REFUSED(ops::conv_transpose_shape(2, {1, 3, 8, 8}, {3, 4, 3, 3}, {.stride = 0}), "non-positive stride is not supported");
}

// PT #9404: im2col of 2 149 249 600 values, beyond 2^31. One output channel keeps the work small.
TEST(CorpusSlow, R023_ConvBeyond31Bits) {
  EXPECT_EQ(ops::conv_shape(2, {1, 64, 1167, 1167}, {64, 64, 5, 5}, {.dilation = 2}).output, (shape::Spatial{1, 1159, 1159}));
  const Accuracy before = accuracy();
  set_accuracy(Accuracy::kStrict);  // exact on integers
  const Tensor y = ops::conv2d(ones({1, 64, 1167, 1167}), ones({1, 64, 5, 5}), {}, {.dilation = 2});
  set_accuracy(before);
  ASSERT_EQ(y.shape(), (Shape{1, 1, 1159, 1159}));
  const float* values = y.data<float>();
  int64_t wrong = 0;
  for (int64_t i = 0; i < y.numel(); ++i) wrong += values[i] != 1600;
  EXPECT_EQ(wrong, 0);
}

// PT #9264, #84488: sizes whose byte counts pass 2^32, by arithmetic alone.
TEST(Corpus, R024_R025_LargeConv3dShapes) {
  const shape::ConvShape large = ops::conv_shape(3, {1, 28, 514, 514, 256}, {12, 28, 1, 1, 1});
  EXPECT_EQ(large.output, (shape::Spatial{514, 514, 256}));
  EXPECT_EQ(large.input_count(), 28LL * 514 * 514 * 256);
  EXPECT_EQ(ops::conv_shape(3, {1, 64, 600, 600, 600}, {64, 64, 3, 3, 3}, {.dilation = 2}).output_count(), 64LL * 596 * 596 * 596);
}

// PT #148275: 12 884 901 888 values per row.
TEST(Corpus, R026_ConvTransposeStride31Bits) {
  EXPECT_EQ(ops::conv_transpose_shape(1, {3, 5, 7}, {5, 2, 2}, {.stride = int64_t{1} << 31, .padding = 1}).output[2], 12884901888);
}

// A stride between one position and no other, a dilation of one tap: legal at any size, in every direction.
TEST(Corpus, R026_StridesThatMeanNothing) {
  const int64_t huge = int64_t{1} << 62;
  const Tensor x = ones({1, 2, 1, 4}), w = ones({2, 3, 1, 2});
  const ConvTransposeOptions options{.stride = {huge, 1}, .dilation = {huge, 1}};
  EXPECT_TRUE(identical(ops::conv_transpose2d(x, w, {}, options), ops::conv_transpose2d(x, w)));
  const Tensor g = ones({1, 3, 1, 5});
  EXPECT_TRUE(identical(ops::conv_transpose_backward(2, g, x, w, options).weight, ops::conv_transpose_backward(2, g, x, w).weight));
  const ConvOptions plain{.stride = {huge, 1}, .dilation = {huge, 1}};
  const Tensor v = ones({3, 2, 1, 2});
  EXPECT_TRUE(identical(ops::conv2d(x, v, {}, plain), ops::conv2d(x, v)));
  EXPECT_TRUE(identical(ops::conv_backward(2, ones({1, 3, 1, 3}), x, v, plain).input,
                        ops::conv_backward(2, ones({1, 3, 1, 3}), x, v).input));
}

// PT #189664: (k - 1) d = 0, whatever d is.
TEST(Corpus, R027_MaxPoolHugeDilationOfOneTap) {
  const Tensor x = Tensor::arange(5 * 2 * 24 * 24).reshape({5, 2, 24, 24});
  const MaxPoolResult y = ops::max_pool(2, x, {.kernel_size = 1, .dilation = (int64_t{1} << 31) - 1, .ceil_mode = true});
  EXPECT_TRUE(identical(y.output, x));
  for (int64_t i = 0; i < y.indices.numel(); ++i) ASSERT_EQ(y.indices.at(i), static_cast<double>(i % (24 * 24)));
}

// PT #189667, #189697, #73189.
TEST(Corpus, R028_R030_UnfoldOverflow) {
  EXPECT_REFUSED(
      ops::unfold(zeros({1, 1, 4, 4}),
                  {.kernel_size = kMax - 1, .dilation = int64_t{1} << 40, .padding = int64_t{1} << 40, .stride = int64_t{1} << 40}),
      "");
  EXPECT_REFUSED(ops::unfold(zeros({2, 4, 3, 3}), {.kernel_size = 1879048192, .padding = 1250999896764, .stride = 1250999896764}),
                 "");
}

// PT #188959, #73184.
TEST(Corpus, R029_R031_FoldOverflow) {
  EXPECT_REFUSED(ops::fold(zeros({1, 1, 1}), {100, 100}, {.kernel_size = 1, .dilation = 100, .padding = kMax - 1, .stride = kMax}),
                 "");
  EXPECT_REFUSED(ops::fold(zeros({2, 16, 4}), {536870912, 536870912}, {.kernel_size = 2, .dilation = 536870912}), "");
}

// PT #142209.
TEST(Corpus, R032_ConvTransposeRankSeven) {
  EXPECT_REFUSED(
      ops::conv_transpose2d(zeros({3, 10, 6, 1, 1, 9, 1}), zeros({10, 2, 8, 1, 0, 7, 8}), {},
                            {.stride = 498444555, .padding = 1610637938}),
      "Expected 3D (unbatched) or 4D (batched) input to conv_transpose2d, but got input of size: [3, 10, 6, 1, 1, 9, 1]");
}

// PT #50960, #91553, #42582, #73183.
TEST(Corpus, R033_R034_AdaptivePoolHugeOutput) {
  EXPECT_REFUSED(ops::adaptive_max_pool(2, zeros({1, 1, 4, 4}), {4799942556533499770, 4799942556533499770}), "overflow");
  EXPECT_REFUSED(ops::adaptive_max_pool(2, zeros({1, 1, 4, 4}), {125091515651, 125091515651}), "overflow");
  EXPECT_REFUSED(ops::adaptive_avg_pool(2, zeros({1, 1, 4, 4}), {9132760301568586890, 9132760301568586890}), "overflow");
  EXPECT_REFUSED(ops::adaptive_avg_pool(3, zeros({1, 1, 4, 4, 4}), {1879048192, 1879048192, 1879048192}), "overflow");
}

// PT #83062: no answer in two minutes.
TEST(Corpus, R035_AdaptivePoolNegativeOutput) {
  EXPECT_REFUSED(ops::adaptive_avg_pool(2, zeros({16, 960, 4, 4}), {576460752303423488, -274877906944}),
                 "elements of output_size must be greater than or equal to 0");
  EXPECT_REFUSED(ops::adaptive_max_pool(2, zeros({16, 96, 4, 4}), {5, -2}), "");
}

// PT #146795, #171838, #153327, #83232: the square wraps to 0, and must not be printed wrapped either.
TEST(Corpus, R036_R037_PixelShuffleSquareOverflow) {
  for (const int64_t factor : {8070450532247928832, 4323455642275676160, int64_t{10000000000}, kMax}) {
    const Refusal said = refusal([&] { return ops::pixel_shuffle(zeros({1, 4, 2, 2}), factor); });
    EXPECT_TRUE(said.refused);
    EXPECT_EQ((said.reason + said.fix).find("7766279631452241920"), std::string::npos);
    EXPECT_REFUSED(ops::pixel_unshuffle(zeros({1, 4, 2, 2}), factor), "");
  }
}

// PT #51134, #50961.
TEST(Corpus, R038_PadHuge) {
  EXPECT_REFUSED(ops::pad(zeros({1, 1, 1, 1, 1}), std::vector<int64_t>(6, 498444555), PadMode::kReplicate), "");
  EXPECT_REFUSED(ops::pad(zeros({1, 1, 4, 4}), std::vector<int64_t>(4, -8353862602220610428), PadMode::kReflect), "");
  EXPECT_REFUSED(ops::pad(zeros({1, 1, 4, 4}), std::vector<int64_t>(4, int64_t{1} << 62)), "");
}

// PT #94696: a rank no pool takes, with a size no memory holds.
TEST(Corpus, R039_MaxPoolRank) {
  EXPECT_REFUSED(ops::max_pool(1, zeros({12, 2, 2, 2, 0, 4634247}), {.kernel_size = 1}), "Expected 2");
  EXPECT_REFUSED(zeros({12, 2, 2, 2, 4634247417719957497}), "overflow");
}

// TF #89848, #85251.
TEST(Corpus, R040_MaxPoolHugeArguments) {
  const Tensor x = zeros({1, 3, 4, 4});
  for (const int64_t huge : {kMax, int64_t{3134755050008138495}}) {
    EXPECT_REFUSED(ops::max_pool(2, x, {.kernel_size = huge}), "");
    EXPECT_REFUSED(ops::max_pool(2, x, {.kernel_size = 2, .padding = huge}), "");
    EXPECT_REFUSED(ops::max_pool(2, x, {.kernel_size = 2, .dilation = huge}), "");
    EXPECT_REFUSED(ops::avg_pool(2, x, {.kernel_size = huge}), "");
  }
  EXPECT_REFUSED(ops::max_pool(2, x, {.kernel_size = 1, .stride = {-1, 100}}),
                 "stride should be greater than zero, but got dH: -1 dW: 100");
}

// A gradient for an input whose sizes are negative (a TensorFlow crash corpus).
TEST(Corpus, R041_PoolGradientOfANegativeShape) {
  const Shape negative(4, -536870912);
  EXPECT_REFUSED(ops::avg_pool_backward(2, zeros({2, 1, 5, 2}), negative, {.kernel_size = 1}), "");
  EXPECT_REFUSED(ops::max_pool_backward(2, zeros({2, 1, 5, 2}), indices({2, 1, 5, 2}), negative), "");
  EXPECT_REFUSED(ops::adaptive_avg_pool_backward(2, zeros({2, 1, 5, 2}), negative), "");
  EXPECT_REFUSED(ops::pad_backward(zeros({2, 1, 5, 2}), negative, {0, 0, 0, 0}), "");
}

// CVE-2022-41907.
TEST(Corpus, R042_ResizeHuge) {
  const InterpolateOptions huge{.size = {1879048192, 1879048192}};
  EXPECT_REFUSED(ops::interpolate_backward(zeros({1, 1, 2, 2}), {1, 1, 4, 4}, huge), "");
  EXPECT_REFUSED(ops::interpolate(zeros({1, 6, 3, 3}), {.size = {kMax, kMax}}), "overflow");
}

// XNNPACK: block sizes whose square wraps in 32 bits.
TEST(Corpus, R043_R044_ShuffleBlocks32Bits) {
  EXPECT_REFUSED(ops::pixel_shuffle(zeros({1, 4, 2, 2}), 65536), "not divisible by 4294967296");
  EXPECT_REFUSED(ops::pixel_unshuffle(zeros({1, 4, 2, 2}), int64_t{1} << 32), "");
}

// XNNPACK #10102.
TEST(Corpus, R045_TensorByteCount) {
  EXPECT_REFUSED(Tensor::empty({(int64_t{1} << 59) + 1, 64}), "overflow");
  EXPECT_REFUSED(Tensor::empty({int64_t{1} << 62, 4}), "overflow");
  EXPECT_REFUSED(Tensor::empty({kMax, kMax, 0}), "overflow");
}

// XNNPACK #10646, #10710, #10616, #10782, #10834: scratch sizes count as well.
TEST(Corpus, R046_ConvShapesThatOverflow) {
  EXPECT_REFUSED(ops::conv_shape(2, {1, 1, 4, 4}, {1, 1, 1, 1}, {.padding = int64_t{1} << 40}), "");
  EXPECT_REFUSED(ops::conv_transpose_shape(2, {1, 1, 1 << 20, 1 << 20}, {1, 1, 2, 2}, {.stride = int64_t{1} << 31}), "");
  EXPECT_REFUSED(ops::conv_shape(2, {int64_t{1} << 40, 1 << 20, 4, 4}, {1, 1 << 20, 1, 1}), "");
}

// ONNX #8277.
TEST(Corpus, R047_LargestArguments) {
  EXPECT_REFUSED(ops::conv1d(zeros({1, 1, 5}), zeros({1, 1, 2}), {}, {.dilation = kMax}), "");
  EXPECT_REFUSED(ops::conv_transpose1d(zeros({1, 1, 5}), zeros({1, 1, 2}), {}, {.dilation = kMax}), "");
  EXPECT_REFUSED(ops::conv_transpose_shape(1, {1, 2, 5}, {2, kMax, 1}, {.groups = 2}), "");
  EXPECT_REFUSED(ops::pad(zeros({2}), {kMax, 1}), "");
  EXPECT_REFUSED(ops::fold(zeros({1, 4, 4}), {4, 4}, {.kernel_size = {kMax, 2}}), "");
  EXPECT_REFUSED(ops::interpolate(zeros({1, 1, 2}), {.size = {kMax}}), "");
}

}  // namespace
}  // namespace convoy::robustness
