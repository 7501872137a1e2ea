#include "convoy/ops/pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "tests/refusal.h"

namespace convoy {
namespace {

using testing::reason;

using Floats = std::vector<float>;
using Ints = std::vector<int64_t>;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Tensor counting(Shape shape) {
  const int64_t n = numel(shape);
  return Tensor::arange(n).reshape(std::move(shape));
}

std::string max_refusal(int rank, const Shape& shape, const MaxPoolOptions& options) {
  return reason([&] { ops::max_pool(rank, Tensor::zeros(shape), options); });
}

std::string avg_refusal(int rank, const Shape& shape, const AvgPoolOptions& options) {
  return reason([&] { ops::avg_pool(rank, Tensor::zeros(shape), options); });
}

int64_t length(int64_t n, int64_t k, int64_t s, int64_t p, bool ceil_mode) {
  return ops::max_pool(1, Tensor::zeros({1, 1, n}), {.kernel_size = k, .stride = s, .padding = p, .ceil_mode = ceil_mode})
      .output.size(2);
}

TEST(MaxPool, CeilModeDropsWindowsThatStartBeyondTheInput) {
  EXPECT_EQ(length(6, 1, 3, 0, true), 2);
  EXPECT_EQ(length(5, 1, 3, 0, true), 2);
  EXPECT_EQ(length(5, 2, 3, 1, true), 2);
  EXPECT_EQ(length(3, 2, 2, 1, true), 2);
  EXPECT_EQ(length(2, 2, 4, 1, true), 1);
  EXPECT_EQ(length(4, 1, 5, 0, true), 1);
  EXPECT_EQ(length(7, 2, 3, 0, true), 3);
  EXPECT_EQ(length(4, 2, 2, 1, true), 3);
  EXPECT_EQ(length(5, 3, 4, 0, true), 2);
}

TEST(MaxPool, ValuesAndIndices) {
  const auto r = ops::max_pool(2, counting({1, 1, 4, 4}), {.kernel_size = 3, .stride = 2, .padding = 1});
  EXPECT_EQ(r.output.to_vector<float>(), (Floats{5, 7, 13, 15}));
  EXPECT_EQ(r.indices.to_vector<int64_t>(), (Ints{5, 7, 13, 15}));
  // Padding is -inf, the first of equal values wins.
  const auto ties = ops::max_pool(1, Tensor::full({1, 1, 5}, -2), {.kernel_size = 3, .stride = 1, .padding = 1});
  EXPECT_EQ(ties.output.to_vector<float>(), Floats(5, -2.0f));
  EXPECT_EQ(ties.indices.to_vector<int64_t>(), (Ints{0, 0, 1, 2, 3}));
  // The third index counts through depth, height and width.
  EXPECT_EQ(ops::max_pool(3, counting({2, 2, 2, 2}), {.kernel_size = 2}).indices.to_vector<int64_t>(), (Ints{7, 7}));
}

TEST(MaxPool, NanAndInfinity) {
  const auto r = ops::max_pool(1, Tensor::from({1, kNan, 3, kNan, 2, -kInf, -kInf, -kInf}, {1, 1, 8}), {.kernel_size = 4});
  EXPECT_TRUE(std::isnan(r.output.at(0)));
  EXPECT_EQ(r.indices.at(0), 3);
  EXPECT_EQ(r.output.at(1), 2);
  const auto low = ops::max_pool(1, Tensor::full({1, 1, 4}, -INFINITY), {.kernel_size = 2});
  EXPECT_EQ(low.indices.to_vector<int64_t>(), (Ints{0, 2}));
}

// Whoever wants no indices gets the same values: in every rank and type, for kernels that the values' own code takes and for larger
// ones.
TEST(MaxPool, ValuesAloneAreTheSame) {
  Generator generator(3);
  const Shape sizes{3, 2, 9, 11, 700};
  for (int rank = 1; rank <= 3; ++rank) {
    Shape shape(sizes.begin(), sizes.begin() + 2);
    shape.insert(shape.end(), sizes.end() - rank, sizes.end());
    Tensor x = randn(shape, DType::kFloat32, &generator);
    x.data<float>()[5] = kNan;
    for (const MaxPoolOptions& options :
         std::vector<MaxPoolOptions>{{.kernel_size = 3, .stride = 2, .padding = 1},
                                     {.kernel_size = 9, .stride = 1, .padding = 4},
                                     {.kernel_size = 2, .stride = 3, .dilation = 4, .ceil_mode = true}}) {
      for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
        const MaxPoolResult both = ops::max_pool(rank, x.to(dtype), options),
                            values = ops::max_pool(rank, x.to(dtype), options, false);
        EXPECT_TRUE(identical(values.output, both.output)) << rank;
        EXPECT_FALSE(values.indices.defined());
      }
    }
  }
  const Tensor line = randn({1, 1, 1400}, DType::kFloat32, &generator);
  const MaxPoolOptions longer{.kernel_size = 600, .stride = 7};
  EXPECT_TRUE(identical(ops::max_pool(1, line, longer, false).output, ops::max_pool(1, line, longer).output));
}

// Dilation can step over a small input: PyTorch gives -inf and the tap behind it, which the backward then refuses.
TEST(MaxPool, WindowsThatSeeNothing) {
  const auto r = ops::max_pool(1, Tensor::zeros({1, 1, 1}), {.kernel_size = 2, .stride = 1, .padding = 1, .dilation = 2});
  EXPECT_EQ(r.output.at(0), -kInf);
  EXPECT_EQ(r.indices.at(0), 1);
  EXPECT_THROW(ops::max_pool_backward(1, Tensor::ones({1, 1, 1}), r.indices, {1, 1, 1}), Error);
}

// The dilation of a kernel of one never matters.
TEST(MaxPool, KernelOneIsTheIdentity) {
  const Tensor x = counting({5, 10, 24, 24});
  for (const int64_t dilation : {int64_t{2147483647}, kMax}) {
    const auto r = ops::max_pool(2, x, {.kernel_size = 1, .dilation = dilation, .ceil_mode = true});
    EXPECT_TRUE(identical(r.output, x));
    for (int64_t i = 0; i < r.indices.numel(); ++i) ASSERT_EQ(r.indices.data<int64_t>()[i], i % 576);
  }
}

TEST(MaxPool, BackwardFollowsTheIndices) {
  const Tensor ones = Tensor::ones({4, 3, 5, 5});
  const Tensor indices = Tensor::full({4, 3, 5, 5}, 1, DType::kInt64);
  const Tensor dx = ops::max_pool_backward(2, ones, indices, {4, 3, 10, 10});
  for (int64_t i = 0; i < dx.numel(); ++i) ASSERT_EQ(dx.at(i), i % 100 == 1 ? 25 : 0);
  // An untouched input has gradient 0, also in float64.
  const auto r = ops::max_pool(1, counting({1, 1, 7}).to(DType::kFloat64), {.kernel_size = 1, .stride = 3});
  EXPECT_EQ(ops::max_pool_backward(1, Tensor::ones({1, 1, 3}, DType::kFloat64), r.indices, {1, 1, 7}).to_vector<double>(),
            (std::vector<double>{1, 0, 0, 1, 0, 0, 1}));
}

TEST(MaxPool, BackwardRefusesForeignShapesAndIndices) {
  const auto backward = [](const Shape& grad, const Shape& indices, const Shape& input, int64_t index = 0) {
    return reason([&] {
      ops::max_pool_backward(2, Tensor::ones(grad), Tensor::full(indices, static_cast<double>(index), DType::kInt64), input);
    });
  };
  EXPECT_EQ(backward({1, 1, 2, 2}, {1, 1, 2, 2}, {1, 1, 4, 4}), "accepted");
  EXPECT_EQ(backward({1, 1, 2, 2}, {1, 1, 2, 2}, {1, 1, 4, 4}, 16),
            "Found an invalid max index: 16 (input volumes are of size 16)");
  EXPECT_EQ(backward({1, 1, 2, 2}, {1, 1, 2, 2}, {1, 1, 4, 4}, -1),
            "Found an invalid max index: -1 (input volumes are of size 16)");
  EXPECT_NE(backward({1, 1, 2, 2}, {1, 1, 2, 3}, {1, 1, 4, 4}), "accepted");
  EXPECT_NE(backward({1, 1, 2, 2}, {1, 1, 2, 2}, {1, 2, 4, 4}), "accepted");
  EXPECT_NE(backward({1, 1, 2, 2}, {1, 1, 2, 2}, {1, 4, 4}), "accepted");
  EXPECT_NE(backward({2, 1, 5, 2}, {2, 1, 5, 2}, Shape(4, -536870912)), "accepted");
  EXPECT_NE(backward({0, 0, 0, 0}, {0, 0, 0, 0}, {1, 1, 1, 1}), "accepted");
  EXPECT_EQ(backward({0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}), "accepted");
}

TEST(AvgPool, DivisorRules) {
  const Tensor ones = Tensor::ones({1, 1, 6});
  const auto pool = [&](const AvgPoolOptions& o) { return ops::avg_pool(1, ones, o).to_vector<float>(); };
  EXPECT_EQ(pool({.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true}), (Floats{2.0f / 3, 1, 1, 0.5f}));
  EXPECT_EQ(pool({.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false}),
            (Floats{1, 1, 1, 1}));
  // The override beats everything, also when the padding does not count, and may be negative.
  const Tensor plane = Tensor::ones({1, 1, 3, 3});
  EXPECT_EQ(ops::avg_pool(2, plane, {.kernel_size = 2, .count_include_pad = false, .divisor_override = 2}).to_vector<float>(),
            (Floats{2}));
  EXPECT_EQ(ops::avg_pool(2, plane, {.kernel_size = 2, .divisor_override = -1}).to_vector<float>(), (Floats{-4}));
}

TEST(AvgPool, CeilModeCountsNothingBehindThePadding) {
  EXPECT_EQ(ops::avg_pool(2, counting({1, 1, 7, 7}), {.kernel_size = 2, .stride = 3, .ceil_mode = true}).to_vector<float>(),
            (Floats{4, 7, 9.5f, 25, 28, 30.5f, 42.5f, 45.5f, 48}));
  const Tensor y =
      ops::avg_pool(2, counting({1, 16, 4, 4}), {.kernel_size = {1, 2}, .stride = {2, 2}, .padding = {0, 1}, .ceil_mode = true});
  EXPECT_EQ(y.shape(), (Shape{1, 16, 2, 3}));
  for (int64_t i = 0; i < y.numel(); ++i) EXPECT_TRUE(std::isfinite(y.at(i)));
}

TEST(AvgPool, BackwardSharesTheGradient) {
  EXPECT_EQ(ops::avg_pool_backward(1, Tensor::from({4, 8}, {1, 1, 2}), {1, 1, 5}, {.kernel_size = 2}).to_vector<float>(),
            (Floats{2, 2, 4, 4, 0}));
  EXPECT_EQ(ops::avg_pool_backward(2, Tensor::ones({0, 2, 2, 2}), {0, 2, 4, 4}, {.kernel_size = 2}).shape(), (Shape{0, 2, 4, 4}));
  EXPECT_NE(reason([] { ops::avg_pool_backward(1, Tensor::ones({1, 1, 3}), {1, 1, 5}, {.kernel_size = 2}); }), "accepted");
  EXPECT_NE(reason([] {
              ops::avg_pool_backward(2, Tensor::ones({2, 1, 5, 2}), Shape(4, -536870912), {.kernel_size = 2});
            }),
            "accepted");
}

TEST(AdaptivePool, Windows) {
  const Tensor x = counting({1, 1, 5});
  EXPECT_EQ(ops::adaptive_avg_pool(1, x, {3}).to_vector<float>(), (Floats{0.5f, 2, 3.5f}));
  // More windows than inputs repeat them.
  EXPECT_EQ(ops::adaptive_max_pool(1, counting({1, 1, 2}), {4}).output.to_vector<float>(), (Floats{0, 0, 1, 1}));
  EXPECT_EQ(ops::adaptive_avg_pool(2, counting({1, 1, 2, 3}), {std::nullopt, 1}).to_vector<float>(), (Floats{1, 4}));
  EXPECT_EQ(ops::adaptive_avg_pool(2, counting({2, 4, 4}), {1}).to_vector<float>(), (Floats{7.5f, 23.5f}));
  EXPECT_EQ(ops::adaptive_max_pool(2, counting({2, 4, 4}), {1}).indices.to_vector<int64_t>(), (Ints{15, 15}));
  EXPECT_EQ(ops::adaptive_avg_pool_backward(1, Tensor::from({6, 6}, {1, 1, 2}), {1, 1, 3}).to_vector<float>(), (Floats{3, 6, 3}));
}

// No windows: an empty output, and gradient 0.
TEST(AdaptivePool, OutputOfZero) {
  const Tensor x = Tensor::ones({1, 64, 10, 9, 8});
  EXPECT_EQ(ops::adaptive_avg_pool(3, x, {0}).shape(), (Shape{1, 64, 0, 0, 0}));
  EXPECT_EQ(ops::adaptive_max_pool(3, x, {0}).indices.shape(), (Shape{1, 64, 0, 0, 0}));
  const Tensor dx = ops::adaptive_avg_pool_backward(3, Tensor::ones({1, 64, 0, 0, 0}), x.shape());
  EXPECT_TRUE(identical(dx, Tensor::zeros(x.shape())));
  EXPECT_TRUE(identical(
      ops::max_pool_backward(3, Tensor::ones({1, 64, 0, 0, 0}), Tensor::zeros({1, 64, 0, 0, 0}, DType::kInt64), x.shape()), dx));
}

TEST(Pooling, EmptyBatch) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const Tensor x = Tensor::zeros({0, 3, 8, 8}, dtype);
    EXPECT_EQ(ops::max_pool(2, x, {.kernel_size = 2}).output.shape(), (Shape{0, 3, 4, 4}));
    EXPECT_EQ(ops::avg_pool(2, x, {.kernel_size = 2}).shape(), (Shape{0, 3, 4, 4}));
    EXPECT_EQ(ops::adaptive_avg_pool(2, x, {2}).shape(), (Shape{0, 3, 2, 2}));
    EXPECT_EQ(ops::adaptive_max_pool(2, x, {2}).output.shape(), (Shape{0, 3, 2, 2}));
    EXPECT_EQ(ops::max_pool_backward(2, Tensor::zeros({0, 3, 4, 4}, dtype), Tensor::zeros({0, 3, 4, 4}, DType::kInt64), x.shape())
                  .shape(),
              x.shape());
  }
}

TEST(Pooling, RefusesInPyTorchsWords) {
  EXPECT_EQ(max_refusal(1, {2, 3, 8}, {.kernel_size = 3, .stride = 2, .padding = 2}),
            "pad should be at most half of kernel size, but got pad=2 and kernel_size=3");
  EXPECT_EQ(max_refusal(2, {2, 3, 8, 8}, {.kernel_size = {2, 3}, .stride = 1, .padding = {1, 2}}),
            "pad should be at most half of kernel size, but got pad=2 and kernel_size=3");
  EXPECT_EQ(avg_refusal(1, {2, 3, 8}, {.kernel_size = 2, .stride = 50, .padding = -1}),
            "pad must be non-negative, but got pad: -1");
  EXPECT_EQ(avg_refusal(1, {2, 3, 8}, {.kernel_size = 2, .stride = 50, .padding = 4}),
            "pad should be at most half of kernel size, but got pad=4 and kernel_size=2");
  EXPECT_EQ(max_refusal(2, {2, 64, 32, 32}, {.kernel_size = 3, .stride = 0}), "stride should not be zero");
  EXPECT_EQ(avg_refusal(2, {10, 3, 20, 20}, {.kernel_size = 4, .stride = 0}), "stride should not be zero");
  EXPECT_EQ(max_refusal(2, {2, 3, 8, 8}, {.kernel_size = 2, .stride = -1}),
            "stride should be greater than zero, but got dH: -1 dW: -1");
  EXPECT_EQ(max_refusal(1, {2, 3, 8}, {.kernel_size = 2, .stride = -1}),
            "stride should be greater than zero, but got dH: 1 dW: -1");
  EXPECT_EQ(max_refusal(3, {3, 4, 10, 11, 12}, {.kernel_size = {2, 2, 0}, .stride = 1}),
            "kernel size should be greater than zero, but got kT: 2 kH: 2 kW: 0");
  EXPECT_EQ(max_refusal(3, {3, 4, 10, 11, 12}, {.kernel_size = {2, 2, 0}}), "stride should not be zero");
  EXPECT_EQ(max_refusal(2, {2, 3, 8, 8}, {.kernel_size = {-1, 2}, .stride = 1}),
            "kernel size should be greater than zero, but got kH: -1 kW: 2");
  EXPECT_EQ(max_refusal(2, {2, 3, 8, 8}, {.kernel_size = 2, .dilation = 0}),
            "dilation should be greater than zero, but got dilationH: 0 dilationW: 0");
  EXPECT_EQ(max_refusal(2, {1, 3, 4, 4}, {.kernel_size = 5}),
            "Given input size: (3x4x4). Calculated output size: (3x0x0). Output size is too small");
  EXPECT_EQ(max_refusal(1, {1, 1, 1}, {.kernel_size = 2}),
            "Given input size: (1x1x1). Calculated output size: (1x1x0). Output size is too small");
  EXPECT_EQ(avg_refusal(3, {1, 1, 2, 8, 8}, {.kernel_size = 3, .padding = 1}),
            "input image (T: 2 H: 8 W: 8) smaller than kernel size (kT: 3 kH: 3 kW: 3)");
  EXPECT_EQ(avg_refusal(2, {1, 1, 2, 8}, {.kernel_size = 3, .padding = 1}), "accepted");
  EXPECT_EQ(avg_refusal(2, {2, 3, 8, 8}, {.kernel_size = 2, .divisor_override = 0}), "divisor must be not zero");
  EXPECT_EQ(avg_refusal(3, {2, 3, 8, 8, 8}, {.kernel_size = 2, .divisor_override = 0}), "divisor must be not zero");
  EXPECT_EQ(max_refusal(2, {2, 3, 8, 8}, {.kernel_size = {2, 2, 2}}),
            "max_pool2d: kernel_size must either be a single int, or a tuple of two ints");
  EXPECT_EQ(max_refusal(2, {2, 3, 8, 8}, {.kernel_size = 2, .padding = {0, 0, 0}}),
            "max_pool2d: padding must be either be a single int, or a tuple of two ints");
  EXPECT_EQ(avg_refusal(3, {2, 3, 8, 8, 8}, {.kernel_size = {2, 2}}),
            "avg_pool3d: kernel_size must be a single int, or a tuple of three ints");
  EXPECT_EQ(max_refusal(1, {2, 3, 8}, {.kernel_size = {2, 2}}),
            "max_pool1d() argument 'kernel_size' should contain one int (got 2)");
  EXPECT_EQ(max_refusal(2, {8, 8}, {.kernel_size = 2}), "non-empty 3D or 4D (batch mode) tensor expected for input");
  EXPECT_EQ(avg_refusal(2, {8, 8}, {.kernel_size = 2}), "Dimension out of range (expected to be in range of [-2, 1], but got -3)");
  EXPECT_EQ(max_refusal(2, {2, 0, 8, 8}, {.kernel_size = 2}),
            "Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but got:[2, 0, 8, 8]");
  EXPECT_EQ(
      max_refusal(1, {12, 2, 2, 2, 0, 4}, {.kernel_size = 2}),
      "Expected 2 to 3 dimensions, but got 6-dimensional tensor for argument #1 'self' (while checking arguments for max_pool1d)");
  EXPECT_EQ(reason([] {
              ops::max_pool(2, Tensor::zeros({1, 1, 4, 4}, DType::kInt64), {.kernel_size = 2});
            }),
            "\"max_pool2d\" not implemented for 'Long'");
}

TEST(AdaptivePool, RefusesInPyTorchsWords) {
  const auto avg = [](int rank, const Shape& shape, const AdaptiveSize& size) {
    return reason([&] { ops::adaptive_avg_pool(rank, Tensor::zeros(shape), size); });
  };
  const auto max = [](int rank, const Shape& shape, const AdaptiveSize& size) {
    return reason([&] { ops::adaptive_max_pool(rank, Tensor::zeros(shape), size); });
  };
  EXPECT_EQ(avg(2, {2, 3, 8, 9}, {-1, 2}),
            "adaptive_avg_pool2d: elements of output_size must be greater than or equal to 0 but received {-1, 2}");
  EXPECT_EQ(avg(2, {16, 960, 4, 4}, {576460752303423488, -274877906944}),
            "adaptive_avg_pool2d: elements of output_size must be greater than or equal to 0 but received {576460752303423488, "
            "-274877906944}");
  EXPECT_EQ(avg(2, {2, 3, 8, 9}, {}), "adaptive_avg_pool2d: output_size must be 2");
  EXPECT_EQ(max(2, {2, 3, 8, 9}, {1, 2, 3}), "adaptive_max_pool2d(): internal error: output_size.size() must be 2");
  EXPECT_EQ(max(1, {2, 3, 8}, {-1}), "Trying to create tensor with negative dimension -1: [2, 3, 1, -1]");
  EXPECT_EQ(avg(2, {2, 3, 8, 9}, {9132760301568586890}), "numel: integer multiplication overflow");
  EXPECT_EQ(avg(3, {2, 3, 8, 9, 9}, {1879048192}), "numel: integer multiplication overflow");
  EXPECT_EQ(max(1, {2, 3, 8}, {4799942556533499770}),
            "Storage size calculation overflowed with sizes=[2, 3, 1, 4799942556533499770]");
  EXPECT_NE(max(2, {2, 3, 8, 8}, {125091515651}), "accepted");
  EXPECT_EQ(
      avg(2, {2, 3, 8, 0}, {2}),
      "adaptive_avg_pool2d(): Expected input to have non-zero size for non-batch dimensions, but input has sizes [2, 3, 8, 0] with "
      "dimension 3 being empty");
  EXPECT_EQ(avg(2, {8, 8}, {2}), "adaptive_avg_pool2d(): Expected 3D or 4D tensor, but got [8, 8]");
  EXPECT_EQ(max(2, {8, 8}, {2}), "adaptive_max_pool2d(): Expected 3D or 4D tensor, but got: [8, 8]");
  EXPECT_NE(reason([] { ops::adaptive_avg_pool_backward(2, Tensor::zeros({1, 2, 2, 2}), {1, 3, 4, 4}); }), "accepted");
}

// Every argument with extreme values: refused or run, never undefined.
TEST(Pooling, ExtremeArguments) {
  const Tensor x = Tensor::ones({1, 1, 6, 6});
  for (const int64_t v : {kMin, kMin + 1, int64_t{-2147483648}, int64_t{-1}, int64_t{0}, int64_t{2147483648},
                          int64_t{3134755050008138495}, kMax / 2, kMax - 1, kMax}) {
    for (const bool ceil_mode : {false, true}) {
      const auto max = [&](const MaxPoolOptions& o) { return reason([&] { ops::max_pool(2, x, o); }); };
      // With ceil_mode one window may hang over, however far.
      EXPECT_EQ(max({.kernel_size = v, .ceil_mode = ceil_mode}) == "accepted", ceil_mode && v > 0) << v;
      EXPECT_NE(max({.kernel_size = {2, v}, .stride = 1, .ceil_mode = ceil_mode}), "accepted") << v;
      EXPECT_EQ(max({.kernel_size = 2, .stride = v, .ceil_mode = ceil_mode}) == "accepted", v > 0) << v;
      EXPECT_EQ(max({.kernel_size = 2, .stride = {v, 100}, .ceil_mode = ceil_mode}) == "accepted", v > 0) << v;
      EXPECT_EQ(max({.kernel_size = 2, .padding = v, .ceil_mode = ceil_mode}) == "accepted", v == 0) << v;
      EXPECT_NE(max({.kernel_size = 2, .dilation = v, .ceil_mode = ceil_mode}), "accepted") << v;
      const auto avg = [&](const AvgPoolOptions& o) { return reason([&] { ops::avg_pool(2, x, o); }); };
      EXPECT_EQ(avg({.kernel_size = v, .ceil_mode = ceil_mode}) == "accepted", ceil_mode && v > 0) << v;
      EXPECT_EQ(avg({.kernel_size = 2, .stride = v, .ceil_mode = ceil_mode}) == "accepted", v > 0) << v;
      EXPECT_EQ(avg({.kernel_size = 2, .divisor_override = v}) == "accepted", v != 0) << v;
      if (v == 2147483648) continue;  // an output of some gigabytes is legal
      EXPECT_EQ(reason([&] { ops::adaptive_avg_pool(2, x, {v}); }) == "accepted", v == 0) << v;
      EXPECT_EQ(reason([&] { ops::adaptive_max_pool(2, x, {1, v}); }) == "accepted", v == 0) << v;
    }
  }
  // A window of 2^40 over an input and as much padding is legal, and sees the whole input.
  const int64_t huge = int64_t{1} << 40;
  const auto r = ops::max_pool(2, counting({1, 1, 6, 6}), {.kernel_size = huge, .stride = huge, .padding = huge / 2});
  EXPECT_EQ(r.output.to_vector<float>(), (Floats{35}));
  EXPECT_EQ(ops::avg_pool(2, Tensor::ones({1, 1, 6, 6}),
                          {.kernel_size = huge, .stride = huge, .padding = huge / 2, .count_include_pad = false})
                .at(0),
            1);
}

TEST(MaxUnpool, PutsValuesBack) {
  const Tensor x = counting({1, 1, 4, 4});
  const auto pooled = ops::max_pool(2, x, {.kernel_size = 2});
  const Tensor y = ops::max_unpool(2, pooled.output, pooled.indices, {.kernel_size = 2});
  EXPECT_EQ(y.to_vector<float>(), (Floats{0, 0, 0, 0, 0, 5, 0, 7, 0, 0, 0, 0, 0, 13, 0, 15}));
  EXPECT_TRUE(identical(ops::max_unpool_backward(2, x, pooled.indices), pooled.output));
  EXPECT_EQ(ops::max_unpool(1, Tensor::ones({1, 2, 3}), Tensor::zeros({1, 2, 3}, DType::kInt64), {.kernel_size = 2}, {7}).shape(),
            (Shape{1, 2, 7}));
  // Length 0 is legal: nothing is put anywhere, so no index can be valid unless there is none.
  EXPECT_EQ(ops::max_unpool(1, Tensor::zeros({0, 1, 1}), Tensor::zeros({0, 1, 1}, DType::kInt64),
                            {.kernel_size = 2, .stride = 2, .padding = 1})
                .shape(),
            (Shape{0, 1, 0}));
}

TEST(MaxUnpool, RefusesInPyTorchsWords) {
  const auto unpool = [](int rank, const Shape& shape, int64_t index, const MaxPoolOptions& o, const Ints& size = {}) {
    Tensor indices = Tensor::zeros(shape, DType::kInt64);
    if (indices.numel() > 0) indices.data<int64_t>()[indices.numel() - 1] = index;
    return reason([&] { ops::max_unpool(rank, Tensor::ones(shape), indices, o, size); });
  };
  EXPECT_EQ(unpool(2, {1, 1, 2, 2}, 18, {.kernel_size = 2}), "Found an invalid max index: 18 (output volumes are of size 4x4");
  EXPECT_EQ(unpool(2, {1, 1, 2, 2}, -1, {.kernel_size = 2}), "Found an invalid max index: -1 (output volumes are of size 4x4");
  EXPECT_EQ(unpool(2, {1, 1, 2, 2}, 4294967299, {.kernel_size = 2}),
            "Found an invalid max index: 4294967299 (output volumes are of size 4x4");
  EXPECT_EQ(unpool(1, {1, 2, 3}, 1000000, {.kernel_size = 2}),
            "Found an invalid max index: 1000000 (output volumes are of size 6x1");
  EXPECT_EQ(unpool(3, {1, 2, 2, 2, 2}, -2, {.kernel_size = 2}), "Found an invalid max index: -2 (output volumes are of size 4x4x4");
  EXPECT_EQ(unpool(2, {1, 1, 2, 2}, 0, {.kernel_size = 2}, {8, 8}),
            "invalid output_size \"(8, 8)\" (dim 0 must be between 2 and 6)");
  EXPECT_EQ(unpool(2, {1, 1, 2, 2}, 0, {.kernel_size = 2}, {4, 4, 4}),
            "output_size should be a sequence containing 2 or 4 elements, but it has a length of '3'");
  EXPECT_EQ(unpool(2, {2, 2}, 0, {.kernel_size = 2}),
            "Input to max_unpooling2d should be a 3d or 4d Tensor, but got a tensor with 2 dimensions.");
  EXPECT_EQ(unpool(2, {1, 0, 2, 2}, 0, {.kernel_size = 2}),
            "max_unpooling2d_forward_out_cpu(): Expected input to have non-zero size for non-batch dimensions, but got [1, 0, 2, "
            "2] with dimension 1 "
            "being empty.");
  EXPECT_EQ(unpool(2, {1, 1, 2, 2}, 0, {.kernel_size = 2, .padding = 9}), "numel: integer multiplication overflow");
  EXPECT_EQ(unpool(3, {1, 1, 2, 2, 2}, 0, {.kernel_size = 2, .stride = 0}),
            "strides should be greater than zero, but got stride: [0, 0, 0]");
  EXPECT_EQ(reason([] {
              ops::max_unpool(2, Tensor::ones({1, 1, 2, 2}), Tensor::zeros({1, 1, 2, 3}, DType::kInt64), {.kernel_size = 2});
            }),
            "Expected shape of indices to be same as that of the input tensor ([1, 1, 2, 2]) but got indices tensor with shape: "
            "[1, 1, 2, 3]");
  EXPECT_EQ(reason([] {
              ops::max_unpool(2, Tensor::ones({1, 1, 2, 2}), Tensor::zeros({1, 1, 2, 2}), {.kernel_size = 2});
            }),
            "elements in indices should be type int64 but got: Float");
  EXPECT_NE(reason([] {
              ops::max_unpool_backward(2, Tensor::ones({1, 1, 2, 2}), Tensor::full({1, 1, 1, 1}, 4, DType::kInt64));
            }),
            "accepted");
  EXPECT_NE(reason([] {
              ops::max_unpool_backward(2, Tensor::ones({1, 2, 2, 2}), Tensor::zeros({1, 1, 1, 1}, DType::kInt64));
            }),
            "accepted");
  for (const int64_t v : {kMin, kMax}) {
    EXPECT_NE(unpool(2, {1, 1, 2, 2}, 0, {.kernel_size = 2, .stride = v}), "accepted");
    EXPECT_NE(unpool(2, {1, 1, 2, 2}, 0, {.kernel_size = v}), "accepted");
    EXPECT_NE(unpool(2, {1, 1, 2, 2}, 0, {.kernel_size = 2, .padding = v}), "accepted");
    EXPECT_NE(unpool(2, {1, 1, 2, 2}, v, {.kernel_size = 2}), "accepted");
  }
}

TEST(LpPool, PyTorchsRules) {
  const Tensor ones = Tensor::ones({1, 1, 5});
  // ceil_mode scales a cut window by the full kernel, though only one value is in it.
  for (const double v : ops::lp_pool(1, ones, 2, 2, 2, true).to_vector<double>()) EXPECT_NEAR(v, std::sqrt(2.0), 1e-7);
  EXPECT_EQ(ops::lp_pool(2, Tensor::ones({1, 1, 2, 2}), 1, 2).to_vector<float>(), (Floats{4}));
  // A negative sum has no root of odd or fractional order in PyTorch: NaN. A norm of 1 is the plain sum.
  const Tensor negative = Tensor::full({1, 1, 2}, -1);
  EXPECT_TRUE(std::isnan(ops::lp_pool(1, negative, 3, 2).at(0)));
  EXPECT_TRUE(std::isnan(ops::lp_pool(1, negative, 2.3, 2).at(0)));
  EXPECT_EQ(ops::lp_pool(1, negative, 1, 2).at(0), -2);
}

TEST(LpPool, GradientIsZeroWhereTheWindowIs) {
  const Tensor zeros = Tensor::zeros({1, 1, 4});
  for (const double p : {1.0, 2.0, 3.0, 2.3}) {
    EXPECT_EQ(ops::lp_pool_backward(1, Tensor::ones({1, 1, 2}), zeros, p, 2).to_vector<float>(), Floats(4, 0.0f)) << p;
  }
}

// Central differences in double.
TEST(LpPool, Gradient) {
  const Tensor x = Tensor::from(std::vector<double>{1.5, 0.3, 2.2, 0.9, 1.1, 0.4}, {1, 1, 6});
  const Tensor g = Tensor::from(std::vector<double>{1, -2, 0.5}, {1, 1, 3});
  for (const double p : {1.0, 2.0, 3.0, 2.5}) {
    const Tensor dx = ops::lp_pool_backward(1, g, x, p, 3, 2, true);
    for (int64_t i = 0; i < 6; ++i) {
      const auto value = [&](double step) {
        Tensor moved = x.clone();
        moved.data<double>()[i] += step;
        const Tensor y = ops::lp_pool(1, moved, p, 3, 2, true);
        return y.at(0) * g.at(0) + y.at(1) * g.at(1) + y.at(2) * g.at(2);
      };
      EXPECT_NEAR(dx.at(i), (value(1e-5) - value(-1e-5)) / 2e-5, 1e-8) << p;
    }
  }
}

TEST(LpPool, Refuses) {
  EXPECT_EQ(reason([] { ops::lp_pool(1, Tensor::ones({1, 1, 4}), 0, 2); }), "norm_type must be non-zero");
  EXPECT_EQ(reason([] { ops::lp_pool(2, Tensor::ones({1, 1, 4, 4}), 2, 0); }), "stride should not be zero");
  EXPECT_EQ(reason([] {
              ops::lp_pool(1, Tensor::ones({2, 3}), 2, 9);
            }),
            "Given input size: (2x1x3). Calculated output size: (2x1x0). Output size is too small");
}

}  // namespace
}  // namespace convoy
