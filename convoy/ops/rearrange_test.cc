#include "convoy/ops/rearrange.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "convoy/core/error.h"
#include "tests/refusal.h"

namespace convoy {
namespace {

using testing::reason;

using Floats = std::vector<float>;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

Tensor counting(Shape shape) {
  const int64_t n = numel(shape);
  return Tensor::arange(n).reshape(std::move(shape));
}

TEST(Unfold, BlocksBecomeColumns) {
  const Tensor y = ops::unfold(counting({1, 1, 3, 3}), {.kernel_size = 2});
  EXPECT_EQ(y.shape(), (Shape{1, 4, 4}));
  EXPECT_EQ(y.to_vector<float>(), (Floats{0, 1, 3, 4, 1, 2, 4, 5, 3, 4, 6, 7, 4, 5, 7, 8}));
  EXPECT_EQ(ops::unfold(Tensor::ones({3, 5, 6}), {.kernel_size = 3}).shape(), (Shape{27, 12}));
  EXPECT_EQ(ops::unfold(Tensor::ones({0, 3, 5, 6}), {.kernel_size = 3}).shape(), (Shape{0, 27, 12}));
  // Overlaps are summed.
  EXPECT_EQ(ops::fold(ops::unfold(Tensor::ones({1, 1, 3, 3}), {.kernel_size = 2}), {3, 3}, {.kernel_size = 2}).to_vector<float>(),
            (Floats{1, 2, 1, 2, 4, 2, 1, 2, 1}));
}

TEST(Unfold, RefusesInPyTorchsWords) {
  const auto unfold = [](const Shape& shape, const UnfoldOptions& o) {
    return reason([&] { ops::unfold(Tensor::zeros(shape), o); });
  };
  EXPECT_EQ(unfold({2, 3, 5, 6}, {.kernel_size = 0}),
            "kernel size should be greater than zero, but got kernel_height: 0 kernel_width: 0");
  EXPECT_EQ(unfold({2, 3, 5, 6}, {.kernel_size = 3, .dilation = 0}),
            "dilation should be greater than zero, but got dilation_height: 0 dilation_width: 0");
  EXPECT_EQ(unfold({2, 3, 5, 6}, {.kernel_size = {3, 3, 3}}), "It is expected kernel_size equals to 2, but got size 3");
  EXPECT_EQ(unfold({2, 3, 5, 6}, {.kernel_size = 9}),
            "Given input with spatial size (5, 5), kernel_size=(9, 9), dilation=(1, 1), padding=(0, 0), calculated shape of the "
            "array of sliding "
            "blocks as (-3, -2), but its components must be at least one.");
  EXPECT_EQ(unfold({2, 0, 5, 6}, {.kernel_size = 3}),
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: "
            "[2, 0, 5, 6]");
}

TEST(Fold, RefusesInPyTorchsWords) {
  const auto fold = [](const Shape& shape, const std::vector<int64_t>& size, const UnfoldOptions& o) {
    return reason([&] { ops::fold(Tensor::zeros(shape), size, o); });
  };
  EXPECT_EQ(fold({2, 26, 12}, {5, 6}, {.kernel_size = 3}),
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)=26 and "
            "kernel_size=(3, 3).");
  EXPECT_EQ(fold({2, 27, 11}, {5, 6}, {.kernel_size = 3}),
            "Given output_size=(5, 6), kernel_size=(3, 3), dilation=(1, 1), padding=(0, 0), stride=(1, 1), expected size of "
            "input's dimension 2 to "
            "match the calculated number of sliding blocks 3 * 4 = 12, but got input.size(2)=11.");
  EXPECT_EQ(fold({2, 27, 12}, {5}, {.kernel_size = 3}), "It is expected output_size equals to 2, but got size 1");
}

TEST(Unfold, ExtremeArgumentsAreRefusedAtOnce) {
  const Tensor x = Tensor::zeros({2, 3, 5, 6});
  const auto overflows = [](const std::string& reason) { return reason.find("overflow") != std::string::npos; };
  EXPECT_TRUE(overflows(
      reason([&] { ops::unfold(x, {.kernel_size = kMax - 1, .dilation = kMax / 2, .padding = kMax / 2, .stride = kMax}); })));
  EXPECT_TRUE(overflows(reason([&] { ops::unfold(x, {.kernel_size = 3, .padding = kMax / 2}); })));
  EXPECT_NE(
      reason([&] {
        ops::unfold(Tensor::zeros({2, 4, 3, 3}), {.kernel_size = 1879048192, .padding = 1250999896764, .stride = 1250999896764});
      }),
      "accepted");
  EXPECT_TRUE(overflows(reason([&] {
    ops::fold(Tensor::zeros({1, 1, 1}), {100, 100}, {.kernel_size = 1, .dilation = 100, .padding = kMax - 1, .stride = kMax});
  })));
  EXPECT_NE(reason([&] {
              ops::fold(Tensor::zeros({2, 16, 4}), {536870912, 536870912}, {.kernel_size = 2, .dilation = 536870912});
            }),
            "accepted");
  for (const int64_t v : {kMin, kMin + 1, int64_t{-1}, kMax - 1, kMax}) {
    EXPECT_NE(reason([&] { ops::unfold(x, {.kernel_size = v}); }), "accepted");
    EXPECT_NE(reason([&] { ops::unfold(x, {.kernel_size = 2, .dilation = v}); }), "accepted");
    EXPECT_NE(reason([&] { ops::unfold(x, {.kernel_size = 2, .padding = v}); }), "accepted");
    EXPECT_EQ(reason([&] { ops::unfold(x, {.kernel_size = 2, .stride = v}); }) == "accepted", v > 0);
    EXPECT_NE(reason([&] { ops::fold(Tensor::zeros({1, 4, 4}), {v, v}, {.kernel_size = 2}); }), "accepted");
    EXPECT_NE(reason([&] { ops::fold(Tensor::zeros({1, 4, 4}), {3, 3}, {.kernel_size = v}); }), "accepted");
  }
}

TEST(PixelShuffle, ShapesAndValues) {
  const Tensor x = counting({1, 4, 1, 2});
  const Tensor y = ops::pixel_shuffle(x, 2);
  EXPECT_EQ(y.shape(), (Shape{1, 1, 2, 4}));
  EXPECT_EQ(y.to_vector<float>(), (Floats{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_TRUE(identical(ops::pixel_unshuffle(y, 2), x));
  const Tensor integers = Tensor::arange(36, DType::kInt64).reshape({9, 2, 2});
  EXPECT_TRUE(identical(ops::pixel_unshuffle(ops::pixel_shuffle(integers, 3), 3), integers));
  // Empty axes are counted through.
  EXPECT_EQ(ops::pixel_shuffle(Tensor::zeros({1, 1, 1, 0}), 1).shape(), (Shape{1, 1, 1, 0}));
  EXPECT_EQ(ops::pixel_shuffle(Tensor::zeros({2, 0, 3, 4}), 2).shape(), (Shape{2, 0, 6, 8}));
  EXPECT_EQ(ops::pixel_unshuffle(Tensor::zeros({0, 3, 4, 6}), 2).shape(), (Shape{0, 12, 2, 3}));
  EXPECT_EQ(ops::pixel_unshuffle(Tensor::zeros({1, 1, 1, 0}), 1).shape(), (Shape{1, 1, 1, 0}));
}

TEST(PixelShuffle, RefusesInPyTorchsWords) {
  const auto shuffle = [](const Shape& shape, int64_t r) { return reason([&] { ops::pixel_shuffle(Tensor::zeros(shape), r); }); };
  const auto unshuffle = [](const Shape& shape, int64_t r) {
    return reason([&] { ops::pixel_unshuffle(Tensor::zeros(shape), r); });
  };
  const std::string divisible =
      "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but input.size(-3)=";
  EXPECT_EQ(shuffle({2, 10, 3, 4}, 2), divisible + "10 is not divisible by 4");
  // The square is printed exactly, however large.
  EXPECT_EQ(shuffle({2, 12, 3, 4}, 10000000000), divisible + "12 is not divisible by 100000000000000000000");
  EXPECT_EQ(shuffle({2, 12, 3, 4}, 4323455642275676160),
            divisible + "12 is not divisible by 18692268690725379462709786785192345600");
  EXPECT_EQ(shuffle({3, 4}, 2), "pixel_shuffle expects input to have at least 3 dimensions, but got input with 2 dimension(s)");
  EXPECT_EQ(shuffle({2, 12, 3, 4}, 0), "pixel_shuffle expects a positive upscale_factor, but got 0");
  EXPECT_EQ(unshuffle({2, 3, 5, 6}, 2),
            "pixel_unshuffle expects height to be divisible by downscale_factor, but input.size(-2)=5 is not divisible by 2");
  EXPECT_EQ(unshuffle({2, 3, 4, 7}, 2),
            "pixel_unshuffle expects width to be divisible by downscale_factor, but input.size(-1)=7 is not divisible by 2");
  for (const int64_t r : {kMin, int64_t{-1}, int64_t{8070450532247928832}, kMax}) {
    EXPECT_NE(shuffle({1, 12, 3, 4}, r), "accepted");
    EXPECT_NE(shuffle({1, 0, 3, 4}, r), "accepted");
    EXPECT_NE(unshuffle({1, 12, 3, 4}, r), "accepted");
    EXPECT_NE(unshuffle({1, 12, 0, 0}, r), "accepted");
  }
}

TEST(Interpolate, KnownValues) {
  const Tensor x = counting({1, 1, 1, 4});
  const auto resize = [&](int64_t w, InterpolateMode mode, bool align = false) {
    return ops::interpolate(x, {.size = {1, w}, .mode = mode, .align_corners = align}).to_vector<float>();
  };
  EXPECT_EQ(resize(8, InterpolateMode::kNearest), (Floats{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(resize(3, InterpolateMode::kNearest), (Floats{0, 1, 2}));
  EXPECT_EQ(resize(8, InterpolateMode::kBilinear), (Floats{0, 0.25f, 0.75f, 1.25f, 1.75f, 2.25f, 2.75f, 3}));
  EXPECT_EQ(resize(7, InterpolateMode::kBilinear, true), (Floats{0, 0.5f, 1, 1.5f, 2, 2.5f, 3}));
  EXPECT_EQ(resize(1, InterpolateMode::kBilinear, true), (Floats{0}));
  EXPECT_EQ(resize(2, InterpolateMode::kBicubic), (Floats{0.40625f, 2.59375f}));
  EXPECT_EQ(ops::interpolate(counting({1, 2, 3}), {.size = {6}}).to_vector<float>(), (Floats{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5}));
  EXPECT_EQ(ops::interpolate(counting({1, 1, 2, 2, 2}), {.size = {2, 1, 1}}).to_vector<float>(), (Floats{0, 4}));
}

// The step between outputs is 1 / scale_factor, not the ratio of the sizes: floor(3 * 1.5) = 4 outputs, 2/3 apart.
TEST(Interpolate, ScaleFactorIsHonoured) {
  const Tensor x = counting({1, 1, 1, 3});
  const Tensor y = ops::interpolate(x, {.mode = InterpolateMode::kBilinear, .scale_factor = {1.0, 1.5}});
  ASSERT_EQ(y.shape(), (Shape{1, 1, 1, 4}));
  const double want[] = {0, 0.5, 7.0 / 6, 11.0 / 6};
  for (int64_t i = 0; i < 4; ++i) EXPECT_NEAR(y.at(i), want[i], 1e-7);
}

// Equal sizes copy every sample.
TEST(Interpolate, SameSizeIsACopy) {
  const Tensor x = counting({3, 2, 4, 5});
  for (const auto mode : {InterpolateMode::kNearest, InterpolateMode::kBilinear, InterpolateMode::kBicubic}) {
    EXPECT_TRUE(identical(ops::interpolate(x, {.size = {4, 5}, .mode = mode}), x));
  }
}

TEST(Interpolate, BackwardIsTheAdjoint) {
  std::mt19937 rng(8);
  const auto normals = [&](const Shape& shape) {
    Tensor t = Tensor::empty(shape, DType::kFloat64);
    for (int64_t i = 0; i < t.numel(); ++i) t.data<double>()[i] = std::normal_distribution<double>()(rng);
    return t;
  };
  const auto dot = [](const Tensor& a, const Tensor& b) {
    double sum = 0;
    for (int64_t i = 0; i < a.numel(); ++i) sum += a.at(i) * b.at(i);
    return sum;
  };
  for (const auto mode : {InterpolateMode::kNearest, InterpolateMode::kBilinear, InterpolateMode::kBicubic}) {
    for (const bool align : {false, true}) {
      if (align && mode == InterpolateMode::kNearest) continue;
      const InterpolateOptions options{.size = {7, 3}, .mode = mode, .align_corners = align};
      const Tensor x = normals({2, 2, 4, 9}), g = normals({2, 2, 7, 3});
      EXPECT_NEAR(dot(ops::interpolate(x, options), g), dot(x, ops::interpolate_backward(g, x.shape(), options)), 1e-12);
    }
  }
  EXPECT_THROW(ops::interpolate_backward(Tensor::zeros({1, 1, 2, 2}), {1, 1, 4, 4}, {.size = {3, 3}}), ShapeMismatch);
}

TEST(Interpolate, RefusesInPyTorchsWords) {
  const auto resize = [](const Shape& shape, const InterpolateOptions& o) {
    return reason([&] { ops::interpolate(Tensor::zeros(shape), o); });
  };
  EXPECT_EQ(resize({8, 6, 0}, {.size = {202}}),
            "Input and output sizes should be greater than 0, but got input (W: 0) and output (W: 202)");
  EXPECT_EQ(resize({2, 3, 5, 6}, {.size = {0, 8}}),
            "Input and output sizes should be greater than 0, but got input (H: 5, W: 6) output (H: 0, W: 8)");
  EXPECT_EQ(resize({2, 0, 5, 6}, {.size = {7, 8}}), "Non-empty 4D data tensor expected but got a tensor with sizes [2, 0, 5, 6]");
  EXPECT_EQ(resize({2, 3, 5, 6}, {.size = {7, 8}, .align_corners = true}),
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear");
  EXPECT_EQ(resize({2, 3, 5}, {.size = {7}, .mode = InterpolateMode::kBilinear}), "Got 3D input, but bilinear mode needs 4D input");
  EXPECT_EQ(resize({2, 3, 5, 6}, {.size = {1879048192, 1879048192}}),
            "Storage size calculation overflowed with sizes=[2, 3, 1879048192, 1879048192]");
  EXPECT_EQ(
      reason([] {
        ops::interpolate_backward(Tensor::zeros({2, 3, 5, 6}), {2, 3, 1879048192, 1879048192}, {.size = {1879048192, 1879048192}});
      }),
      "Storage size calculation overflowed with sizes=[2, 3, 1879048192, 1879048192]");
  EXPECT_EQ(resize({0, 3, 5, 6}, {.size = {7, 8}}), "accepted");
  EXPECT_EQ(resize({2, 3, 5, 6}, {.size = {7, 8}, .scale_factor = {2}}), "only one of size or scale_factor should be defined");
  for (const double factor : {std::nan(""), 1e300, -1.0, 0.0, double(INFINITY)})
    EXPECT_NE(resize({2, 3, 5, 6}, {.scale_factor = {factor}}), "accepted");
}

}  // namespace
}  // namespace convoy
