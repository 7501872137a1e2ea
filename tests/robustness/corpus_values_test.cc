// Known failures of other engines: values of pooling, padding and resizing (R089 to R105), normalisation (R106 to R110), silently
// wrong results and reproducibility (R112 to R123). Each test names its row; the comment names the issues where it was met (PT:
// PyTorch, TF: TensorFlow).
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "convoy/autograd/functions.h"
#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "convoy/ops/conv.h"
#include "convoy/ops/norm.h"
#include "convoy/ops/pad.h"
#include "convoy/ops/pool.h"
#include "convoy/ops/rearrange.h"
#include "convoy/ops/reduce.h"
#include "tests/robustness/refusal.h"

namespace convoy::robustness {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

Tensor small_integers(Shape shape, Generator& generator) {
  Tensor t = Tensor::empty(std::move(shape));
  for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(generator.below(9) - 4);
  return t;
}

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.numel(); ++i) sum += a.at(i) * b.at(i);
  return sum;
}

// PT #7670, #39846: -3.4e38 instead of NaN.
TEST(Corpus, R089_MaxPoolOfNaN) {
  const MaxPoolResult y = ops::max_pool(2, Tensor::from({kNaN, 1, kNaN, 2}, {1, 1, 2, 2}), {.kernel_size = 2});
  EXPECT_TRUE(std::isnan(y.output.item()));
  EXPECT_EQ(y.indices.item(), 2);
}

// TF #125965, #125968: the vector part gives NaN, its tail does not.
TEST(Corpus, R090_MaxPoolOfNaNInEveryLane) {
  for (int64_t channels = 1; channels <= 8; ++channels) {
    for (int64_t width = 1; width <= 40; ++width) {
      Tensor x = ones({1, channels, 2, 2 * width});
      for (int64_t i = 0; i < x.numel(); i += 2) x.data<float>()[i] = kNaN;
      const MaxPoolResult y = ops::max_pool(2, x, {.kernel_size = 2});
      for (int64_t i = 0; i < y.output.numel(); ++i) {
        ASSERT_TRUE(std::isnan(y.output.at(i))) << "channels " << channels << " width " << width << " at " << i;
        ASSERT_EQ(y.indices.at(i), static_cast<double>(2 * (i % width) + 2 * width));
      }
    }
  }
}

// PT #40131: index -1.
TEST(Corpus, R091_MaxPoolOfMinusInfinity) {
  const MaxPoolResult y = ops::max_pool(2, Tensor::full({1, 1, 4, 4}, -INFINITY), {.kernel_size = 3, .stride = 2, .padding = 1});
  EXPECT_EQ(y.output.to_vector<float>(), std::vector<float>(4, -kInf));
  EXPECT_EQ(y.indices.to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 4, 5}));
  const MaxPoolResult adaptive = ops::adaptive_max_pool(2, Tensor::full({1, 1, 4, 4}, -INFINITY), {2, 2});
  EXPECT_EQ(adaptive.indices.to_vector<int64_t>(), (std::vector<int64_t>{0, 2, 8, 10}));
}

// PT #36977, #41368: rows of NaN.
TEST(Corpus, R092_AvgPoolCeilMode) {
  const Tensor y =
      ops::avg_pool(2, ones({1, 16, 4, 4}), {.kernel_size = {1, 2}, .stride = {2, 2}, .padding = {0, 1}, .ceil_mode = true});
  EXPECT_EQ(y.shape(), (Shape{1, 16, 2, 3}));
  EXPECT_EQ(dot(y, ones(y.shape())), 64);
}

// coremltools #2844, xla #6409: the overhang of ceil_mode is not counted.
TEST(Corpus, R093_AvgPoolCeilOverhang) {
  const Tensor y = ops::avg_pool(2, Tensor::arange(49).reshape({1, 1, 7, 7}), {.kernel_size = 2, .stride = 3, .ceil_mode = true});
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{4, 7, 9.5F, 25, 28, 30.5F, 42.5F, 45.5F, 48}));
}

// PT #98485.
TEST(Corpus, R094_CeilModeKernelBeyondInput) {
  EXPECT_REFUSED(ops::max_pool(2, zeros({1, 1, 3, 3}), {.kernel_size = 5, .stride = 2, .ceil_mode = true}),
                 "Given input size: (1x3x3). Calculated output size: (1x0x0). Output size is too small");
  EXPECT_REFUSED(ops::avg_pool(2, zeros({1, 1, 3, 3}), {.kernel_size = 5, .stride = 2, .ceil_mode = true}),
                 "Output size is too small");
}

// The last window must start inside the input or its left padding: (n, k, s, p) and what PyTorch gives.
TEST(Corpus, R095_CeilModeDropsWindowsInTheEndPadding) {
  struct Row {
    int64_t n, k, s, p, want;
  };
  for (const Row& r : {Row{6, 1, 3, 0, 2},
                       {5, 1, 3, 0, 2},
                       {5, 2, 3, 1, 2},
                       {3, 2, 2, 1, 2},
                       {2, 2, 4, 1, 1},
                       {4, 1, 5, 0, 1},
                       {7, 2, 3, 0, 3},
                       {4, 2, 2, 1, 3},
                       {5, 3, 4, 0, 2}}) {
    const Tensor x = ones({1, 1, r.n});
    const MaxPoolResult y = ops::max_pool(1, x, {.kernel_size = r.k, .stride = r.s, .padding = r.p, .ceil_mode = true});
    EXPECT_EQ(y.output.to_vector<float>(), std::vector<float>(static_cast<size_t>(r.want), 1.0F))
        << r.n << " " << r.k << " " << r.s << " " << r.p;
    EXPECT_EQ(ops::avg_pool(1, x, {.kernel_size = r.k, .stride = r.s, .padding = r.p, .ceil_mode = true}).shape(),
              (Shape{1, 1, r.want}));
  }
}

// FastNN #5.
TEST(Corpus, R096_PaddingAboveHalfTheKernel) {
  EXPECT_REFUSED(ops::max_pool(2, zeros({1, 1, 1, 1}), {.kernel_size = 3, .stride = 3, .padding = 3}),
                 "pad should be at most half of kernel size, but got pad=3 and kernel_size=3");
}

// executorch #18616.
TEST(Corpus, R097_DivisorOverrideWins) {
  const Tensor y = ops::avg_pool(2, ones({1, 1, 3, 3}),
                                 {.kernel_size = 2, .stride = 2, .padding = 1, .count_include_pad = false, .divisor_override = 3});
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{1.0F / 3, 2.0F / 3, 2.0F / 3, 4.0F / 3}));
}

// PT #184037, #187207: PyTorch's own rule for negative sums.
TEST(Corpus, R098_LpPoolOfNegatives) {
  for (const double p : {2.3, 3.0}) {
    const Tensor y = ops::lp_pool(1, Tensor::from({-1, -2, -3, -4}, {1, 1, 4}), p, 2);
    EXPECT_TRUE(std::isnan(y.at(0)) && std::isnan(y.at(1))) << p;
  }
}

// PT #6765.
TEST(Corpus, R099_LpPoolGradientOfZeros) {
  const Tensor dx = ops::lp_pool_backward(1, ones({1, 1, 2}), zeros({1, 1, 4}), 2, 2);
  EXPECT_EQ(dx.to_vector<float>(), std::vector<float>(4, 0.0F));
}

// PT #2563, #6432.
TEST(Corpus, R100_ReflectionBeyondTheInput) {
  EXPECT_REFUSED(ops::pad(zeros({1, 1, 2, 2}), {5, 5, 5, 5}, PadMode::kReflect),
                 "Padding size should be less than the corresponding input dimension");
  EXPECT_REFUSED(ops::pad(zeros({1, 1, 2, 2}), {2, 2, 2, 2}, PadMode::kReflect),
                 "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding (2, 2) at "
                 "dimension 3 of input 4");
}

// CVE-2022-41895.
TEST(Corpus, R101_PadGradientHuge) {
  EXPECT_REFUSED(ops::pad_backward(zeros({1, 1, 4}), {1, 1, 1}, {0x77f00000, 0xa000000}, PadMode::kReflect), "");
}

// ONNX #7735.
TEST(Corpus, R102_NarrowOfNothing) { EXPECT_EQ(ops::narrow(zeros({0, 3}), 0, 0, 0).shape(), (Shape{0, 3})); }

// PT #32918: zeros from the second sample on.
TEST(Corpus, R103_BicubicToTheSameSize) {
  Generator generator(1);
  const Tensor x = rand({3, 2, 5, 7}, DType::kFloat32, &generator);
  for (const bool align_corners : {false, true}) {
    for (const InterpolateMode mode : {InterpolateMode::kBilinear, InterpolateMode::kBicubic}) {
      EXPECT_TRUE(identical(ops::interpolate(x, {.size = {5, 7}, .mode = mode, .align_corners = align_corners}), x));
    }
  }
  EXPECT_TRUE(identical(ops::interpolate(x, {.size = {5, 7}}), x));
}

// FlagGems #5217: the ratio of the sizes, 4/3, used for the factor that was asked for, 1.5.
TEST(Corpus, R104_BicubicByAFactor) {
  const Tensor y =
      ops::interpolate(Tensor::arange(9).reshape({1, 1, 3, 3}), {.mode = InterpolateMode::kBicubic, .scale_factor = {1.5}});
  ASSERT_EQ(y.shape(), (Shape{1, 1, 4, 4}));
  EXPECT_NEAR(y.at(0), -0.347222, 1e-5);
  EXPECT_NEAR(y.at(5), 1.625, 1e-5);
  EXPECT_NEAR(y.at(15), 7.495372, 1e-5);
}

// ncnn #116, TF #2066: a stride beyond the kernel.
TEST(Corpus, R105_StrideBeyondTheKernel) {
  const ConvGradients g = ops::conv_backward(1, ones({1, 1, 3}), ones({1, 1, 6}), ones({1, 1, 1}), {.stride = 2});
  EXPECT_EQ(g.input.to_vector<float>(), (std::vector<float>{1, 0, 1, 0, 1, 0}));
}

// PT #85217, #169208.
TEST(Corpus, R106_BatchNormRunningSizes) {
  EXPECT_REFUSED(ops::batch_norm(zeros({10, 8}), zeros({8}), zeros({0}), {}, {}, {.training = true}),
                 "running_var should contain 8 elements not 0");
  EXPECT_REFUSED(ops::batch_norm(zeros({10, 8}), zeros({7}), zeros({8}), {}, {}, {}),
                 "running_mean should contain 8 elements not 7");
}

// PT #141203, #194014.
TEST(Corpus, R107_BatchNormWithoutStatistics) {
  EXPECT_REFUSED(ops::batch_norm(zeros({10, 8}), {}, {}, {}, {}, {}), "running_mean must be defined in evaluation mode");
  EXPECT_REFUSED(ops::batch_norm(zeros({10, 8}), zeros({8}), {}, {}, {}, {}), "running_var must be defined in evaluation mode");
}

// PT #189831, #188958.
TEST(Corpus, R108_NormGradientsOfAnotherShape) {
  const Tensor x = zeros({4, 2, 0, 3});
  EXPECT_REFUSED(ops::batch_norm_backward(x, x, {}, {.output = x, .mean = zeros({2}), .inv_std = zeros({0})}, true), "");
  const Tensor y = ones({2, 2});
  EXPECT_REFUSED(ops::batch_norm_backward(zeros({0, 128}), y, {}, {.output = y, .mean = zeros({2}), .inv_std = zeros({2})}, true),
                 "");
  EXPECT_REFUSED(ops::group_norm_backward(zeros({0, 128}), y, 1, {}, {.output = y, .mean = zeros({2}), .inv_std = zeros({2})}), "");
  EXPECT_REFUSED(ops::layer_norm_backward(zeros({0, 128}), y, {2}, {}, {.output = y, .mean = zeros({2}), .inv_std = zeros({2})}),
                 "");
}

// FusedBatchNormGradV3 with a scale of length 0.
TEST(Corpus, R109_BatchNormWeightSizes) {
  EXPECT_REFUSED(ops::batch_norm(zeros({10, 6}), zeros({6}), ones({6}), zeros({0}), {}, {}),
                 "weight should contain 6 elements not 0");
  EXPECT_REFUSED(ops::batch_norm(zeros({10, 8}), zeros({8}), zeros({8}), ones({8}), ones({9}), {}),
                 "bias should contain 8 elements not 9");
}

// ncnn c0822fa3: variance 0 and eps 0 divide by zero as floats do, without a trap.
TEST(Corpus, R110_NormOfAConstant) {
  const Tensor x = ones({4, 1, 2});
  const Tensor y = ops::batch_norm(x, ones({1}), zeros({1}), {}, {}, {.eps = 0}).output;
  for (int64_t i = 0; i < y.numel(); ++i) EXPECT_TRUE(std::isnan(y.at(i)));
  EXPECT_EQ(ops::batch_norm(x, {}, {}, {}, {}, {.training = true}).output.to_vector<float>(), std::vector<float>(8, 0.0F));
}

// PT #18948, #55781.
TEST(Corpus, R112_ConvOfThreeValues) {
  EXPECT_EQ(ops::conv1d(Tensor::from({2, 1, 0}, {1, 1, 3}), Tensor::from({0, 3, 1}, {1, 1, 3})).item(), 3);
}

// PT #25101.
TEST(Corpus, R113_ConvStrideThreeGradient) {
  const Tensor x = ones({1, 9, 32, 32}), w = ones({3, 9, 5, 5});
  const ConvOptions options{.stride = 3, .padding = 1};
  const Tensor y = ops::conv2d(x, w, {}, options);
  ASSERT_EQ(y.shape(), (Shape{1, 3, 10, 10}));
  for (int64_t i = 0; i < y.numel(); ++i) {
    const int64_t row = i / 10 % 10, column = i % 10;
    ASSERT_EQ(y.at(i), row + column == 0 ? 144 : row == 0 || column == 0 ? 180 : 225) << i;
  }
  const Tensor dx = ops::conv_backward(2, ones(y.shape()), x, w, options).input;
  EXPECT_EQ(dot(dx, ones(dx.shape())), 9 * 7203);
  for (int64_t c = 0; c < 9; ++c) {
    for (int64_t i = 0; i < 32; ++i) {
      EXPECT_EQ(dx.at((c * 32 + 31) * 32 + i), 0);
      EXPECT_EQ(dx.at((c * 32 + i) * 32 + 31), 0);
    }
  }
}

// PT #68868: grouped, strided, three axes.
TEST(Corpus, R114_GroupedStridedConv3dGradient) {
  Generator generator(7);
  const Tensor x = small_integers({1, 720, 4, 5, 2}, generator), w = small_integers({720, 240, 2, 2, 2}, generator);
  const ConvOptions options{.stride = {4, 4, 1}, .padding = 1, .groups = 3};
  const Tensor g = small_integers(ops::conv3d(x, w, {}, options).shape(), generator);
  const ConvGradients fast = ops::conv_backward(3, g, x, w, options);
  const ConvGradients exact = ops::conv_backward(3, g.to(DType::kFloat64), x.to(DType::kFloat64), w.to(DType::kFloat64), options);
  EXPECT_TRUE(identical(fast.weight, exact.weight.to(DType::kFloat32)));
  EXPECT_TRUE(identical(fast.input, exact.input.to(DType::kFloat32)));
}

// PT #24172: a plain sequential sum of 3844 equal terms drifts to 15.2355. Chains of at most 512 terms stay 8 times closer.
TEST(Corpus, R115_ConvOfEqualTerms) {
  const float value = 15.23517F / 3844;
  const Tensor y = ops::conv2d(Tensor::full({1, 1, 62, 62}, value), ones({1, 1, 62, 62}));
  const double exact = 3844.0 * static_cast<double>(value);
  EXPECT_LE(std::abs(y.item() - exact), 48 * std::ldexp(exact, -24));
  const Tensor deep = ops::conv2d(Tensor::full({1, 3844, 1, 1}, value), ones({1, 3844, 1, 1}));
  EXPECT_LE(std::abs(deep.item() - exact), 48 * std::ldexp(exact, -24));
}

// PT #49268.
TEST(Corpus, R116_GroupedConvIsItsGroups) {
  Generator generator(8);
  const Tensor x = small_integers({2, 12, 9, 9}, generator), w = small_integers({8, 3, 3, 3}, generator);
  const Tensor whole = ops::conv2d(x, w, {}, {.padding = 1, .groups = 4});
  for (int64_t g = 0; g < 4; ++g) {
    const Tensor part = ops::conv2d(ops::narrow(x, 1, 3 * g, 3), ops::narrow(w, 0, 2 * g, 2), {}, {.padding = 1});
    EXPECT_TRUE(identical(part, ops::narrow(whole, 1, 2 * g, 2)));
  }
}

// PT #20583, #32507; ncnn eced9c81: a padding of 3, a kernel of 769, a dilated 7x7 crash a fast path.
TEST(Corpus, R117_EveryPaddingAndKernelSize) {
  Generator generator(9);
  const auto exact = [](const Tensor& x, const Tensor& w, const ConvOptions& options) {
    const Tensor y = ops::conv1d(x, w, {}, options);
    return identical(y, ops::conv1d(x.to(DType::kFloat64), w.to(DType::kFloat64), {}, options).to(DType::kFloat32));
  };
  const Tensor x = small_integers({1, 2, 37}, generator), w = small_integers({3, 2, 5}, generator);
  for (int64_t padding = 0; padding < 100; ++padding) ASSERT_TRUE(exact(x, w, {.padding = padding})) << padding;
  const Tensor longer = small_integers({1, 1, 1100}, generator);
  for (int64_t kernel = 1; kernel <= 1024; kernel += kernel < 40 ? 1 : 41) {
    ASSERT_TRUE(exact(longer, small_integers({2, 1, kernel}, generator), {})) << kernel;
  }
  ASSERT_TRUE(exact(longer, small_integers({2, 1, 769}, generator), {}));
  const Tensor image = small_integers({1, 3, 30, 30}, generator), seven = small_integers({4, 3, 7, 7}, generator);
  for (const int64_t dilation : {1, 2, 3, 4}) {
    const Tensor y = ops::conv2d(image, seven, {}, {.padding = 3, .dilation = dilation});
    ASSERT_TRUE(
        identical(y, ops::conv2d(image.to(DType::kFloat64), seven.to(DType::kFloat64), {}, {.padding = 3, .dilation = dilation})
                         .to(DType::kFloat32)));
  }
}

// PT #23069.
TEST(Corpus, R118_DilationTwo) {
  const Tensor y = ops::conv2d(ones({1, 3, 16, 16}), ones({8, 3, 3, 3}), {}, {.padding = 2, .dilation = 2});
  ASSERT_EQ(y.shape(), (Shape{1, 8, 16, 16}));
  for (int64_t i = 0; i < y.numel(); ++i) {
    const auto taps = [](int64_t at) { return at < 2 || at > 13 ? 2 : 3; };
    ASSERT_EQ(y.at(i), 3 * taps(i / 16 % 16) * taps(i % 16)) << i;
  }
}

// PT #47054.
TEST(Corpus, R119_MaxPoolOfOneTap) {
  Generator generator(10);
  const Tensor x = small_integers({50, 4, 100}, generator);
  EXPECT_TRUE(identical(ops::max_pool(1, x, {.kernel_size = 1}).output, x));
}

// ncnn #4610, #2125: a tile of size 0.
TEST(Corpus, R121_ConvOfOneByOneByOne) {
  EXPECT_EQ(ops::conv2d(Tensor::full({1, 1, 1, 1}, 3), Tensor::full({1, 1, 1, 1}, 5), Tensor::full({1}, 2)).item(), 17);
  EXPECT_EQ(ops::conv_transpose2d(Tensor::full({1, 1, 1, 1}, 3), Tensor::full({1, 1, 1, 1}, 5), Tensor::full({1}, 2)).item(), 17);
}

// tiny-dnn #295, #143: pooling with threads.
TEST(Corpus, R122_PoolingWithThreads) {
  Generator generator(11);
  const Tensor x = small_integers({3, 5, 33, 31}, generator);
  const MaxPoolOptions maximum{.kernel_size = 3, .stride = 2, .padding = 1};
  const AvgPoolOptions average{.kernel_size = 3, .stride = 2, .padding = 1};
  set_num_threads(1);
  const MaxPoolResult one = ops::max_pool(2, x, maximum);
  const Tensor mean = ops::avg_pool(2, x, average);
  for (const int threads : {2, 5, 16}) {
    set_num_threads(threads);
    const MaxPoolResult many = ops::max_pool(2, x, maximum);
    EXPECT_TRUE(identical(many.output, one.output) && identical(many.indices, one.indices)) << threads;
    EXPECT_TRUE(identical(ops::avg_pool(2, x, average), mean)) << threads;
  }
  set_num_threads(0);
}

// tiny-dnn #415, #298, #326, #300: gradients over the product of options. A convolution is linear in its input and in its weight,
// so <g, conv(v, w)> = <dx, v> and <g, conv(x, u)> = <dw, u> hold exactly for small integers, whatever v and u.
TEST(Corpus, R123_ConvGradientsOverAllOptions) {
  Generator generator(12);
  for (int rank = 1; rank <= 3; ++rank) {
    for (const int64_t padding : {0, 1, 2}) {
      for (const int64_t stride : {1, 2, 3}) {
        for (const int64_t dilation : {1, 2}) {
          for (const int64_t groups : {1, 2, 4}) {
            Shape input{2, 4}, weight{8, 4 / groups}, transposed{4, 8 / groups};
            for (int a = 0; a < rank; ++a) {
              input.push_back(6 + a);
              weight.push_back(3 - a % 2);
              transposed.push_back(3 - a % 2);
            }
            SCOPED_TRACE(testing::Message() << rank << "d padding " << padding << " stride " << stride << " dilation " << dilation
                                            << " groups " << groups);
            const Tensor x = small_integers(input, generator), v = small_integers(input, generator);
            {
              const ConvOptions options{.stride = stride, .padding = padding, .dilation = dilation, .groups = groups};
              const Tensor w = small_integers(weight, generator), u = small_integers(weight, generator);
              const Tensor g = small_integers(ops::conv(rank, x, w, {}, options).shape(), generator);
              const ConvGradients d = ops::conv_backward(rank, g, x, w, options);
              EXPECT_EQ(dot(g, ops::conv(rank, v, w, {}, options)), dot(d.input, v));
              EXPECT_EQ(dot(g, ops::conv(rank, x, u, {}, options)), dot(d.weight, u));
              EXPECT_EQ(dot(g, ones(g.shape())), dot(d.bias, ones({8})));
            }
            {
              const ConvTransposeOptions options{.stride = stride, .padding = padding, .groups = groups, .dilation = dilation};
              const Tensor w = small_integers(transposed, generator), u = small_integers(transposed, generator);
              const Tensor g = small_integers(ops::conv_transpose(rank, x, w, {}, options).shape(), generator);
              const ConvGradients d = ops::conv_transpose_backward(rank, g, x, w, options);
              EXPECT_EQ(dot(g, ops::conv_transpose(rank, v, w, {}, options)), dot(d.input, v));
              EXPECT_EQ(dot(g, ops::conv_transpose(rank, x, u, {}, options)), dot(d.weight, u));
              EXPECT_EQ(dot(g, ones(g.shape())), dot(d.bias, ones({8})));
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace convoy::robustness
