// Panels, blocks and chains beside their sizes, odd maps, values that are not finite, channels and rows of every magnitude, the
// error.
#include "convoy/kernels/conv/conv_strassen.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string_view>

#include "convoy/kernels/conv/conv_direct.h"
#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

ConvShape shape_of(const std::string& text) { return shape::essential(*shape::parse_descriptor(text)); }

class ConvStrassen : public NeedsVectors {};

TEST_F(ConvStrassen, MatchesTheReference) {
  Random random(17);
  for (const char* text :
       {"ic128 oc128 i12 k1", "ic130 oc128 i13 k1", "n3 ic130 oc64 i7 k1", "g2 ic256 oc128 i14 k1", "ic600 oc192 i12 k1",
        "ic1026 oc192 i11 k1", "ic192 oc320 iw999 k1", "ic128 oc128 id5 ih6 iw7 k1", "ic128 oc64 i57 k1", "ic2050 oc64 iw129 k1",
        "n2 ic130 oc128 i27 k1 s2", "g2 ic520 oc128 i13 k1 sh1 sw2", "ic128 oc128 iw299 k1 s3", "ic144 oc64 id5 ih9 iw8 k1 s1 sh2",
        "ic128 oc64 i15 k1 ph-1 pw-1:-2", "ic128 oc64 ih5 iw64 k1 sh4",
        // Lanes are pixels: tails of panels and of rows of tiles.
        "ic96 oc32 i28 k1", "ic130 oc30 i29 k1", "n3 ic98 oc98 i30 k1", "g2 ic256 oc220 ih28 iw31 k1", "ic256 oc2 id9 ih10 iw11 k1",
        "ic512 oc36 i46 k1", "ic100 oc50 iw2500 k1", "n2 ic130 oc40 i91 k1 s2", "ic102 oc18 ih201 iw31 k1 sh3"}) {
    const ConvShape s = shape_of(text);
    for (const Direction direction : {Direction::kForward, Direction::kGradInput}) {
      const ConvKernel* const kernel = direction == Direction::kForward ? &kConvStrassenForward : &kConvStrassenGradInput;
      if (kernel->refuse(s) != nullptr) {
        ASSERT_EQ(direction, Direction::kGradInput) << text;
        continue;
      }
      for (const bool integers : {true, false}) {
        check_kernels(std::span(&kernel, 1), direction, s, integers, random);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_F(ConvStrassen, SourcesFromMemoryAndResultsPastTheCaches) {
  Random random(18);
  const ConvKernel* const kernel = &kConvStrassenForward;
  check_kernels(std::span(&kernel, 1), Direction::kForward, shape_of("n9 ic96 oc96 i52 k1"), false, random);
}

TEST_F(ConvStrassen, IsExactOnSmallIntegers) {
  Random random(3);
  for (const char* text : {"ic256 oc128 i13 k1", "ic256 oc128 i29 k1"}) {
    const ConvShape s = shape_of(text);
    const std::vector<float> x = values(random, s.input_count(), true), w = values(random, s.weight_count(), true);
    EXPECT_EQ(multiply(kConvStrassenForward, s, x, w), multiply(kConvDirectForward, s, x, w));
  }
}

void check_values_that_are_not_finite(const ConvShape& s) {
  const float inf = std::numeric_limits<float>::infinity();
  const auto pixels = static_cast<size_t>(s.output_positions()), rows = static_cast<size_t>(s.out_channels);
  const auto at = [&](int64_t channel, int64_t pixel) {  // what the pixel of the results reads
    const int64_t step = s.axes[2].stride, h = pixel / s.output[2] * step, w = pixel % s.output[2] * step;
    return static_cast<size_t>((channel * s.input[1] + h) * s.input[2] + w);
  };
  const int64_t last = s.output_positions() - 1;
  Random random(4);
  std::vector<float> x = values(random, s.input_count(), false), w = values(random, s.weight_count(), false);
  const auto compare = [&](const std::vector<float>& got, const std::vector<float>& expected) {
    for (size_t i = 0; i < got.size(); ++i) {
      if (!std::isfinite(expected[i])) {  // an infinity may have become a NaN
        ASSERT_FALSE(std::isfinite(got[i])) << i;
      } else {
        ASSERT_NEAR(got[i], expected[i], 1e-4) << i;
      }
    }
  };
  const auto count_of_others = [](const std::vector<float>& y) {
    return std::count_if(y.begin(), y.end(), [](float v) { return !std::isfinite(v); });
  };
  x[at(5, 20)] = inf;
  x[at(6, 36)] = inf;
  x[at(100, 63)] = std::nanf("");
  x[at(127, last)] = -inf;
  std::vector<float> y = multiply(kConvStrassenForward, s, x, w);
  compare(y, multiply(kConvDirectForward, s, x, w));
  EXPECT_EQ(count_of_others(y), static_cast<std::ptrdiff_t>(4 * rows));
  for (const size_t i : {at(5, 20), at(6, 36), at(100, 63), at(127, last)}) x[i] = 1;
  // Beyond the largest float together, not alone: neighbours, and pixels a vector apart.
  for (const int64_t pixel : {32, 40, 41, 56}) x[at(0, pixel)] = 2e38F;
  for (float& v : w) v *= 0x1p-10F;
  y = multiply(kConvStrassenForward, s, x, w);
  EXPECT_EQ(count_of_others(y), 0);
  for (size_t row = 0; row < rows; ++row) EXPECT_NEAR(y[row * pixels + 40] / 2e38F, w[row * 128], 0x1p-27) << row;
  for (const int64_t pixel : {32, 40, 41, 56}) x[at(0, pixel)] = 1;
  for (float& v : w) v *= 0x1p10F;
  w[3 * 128 + 7] = inf;
  w[40 * 128 + 100] = std::nanf("");
  y = multiply(kConvStrassenForward, s, x, w);
  compare(y, multiply(kConvDirectForward, s, x, w));
  EXPECT_EQ(count_of_others(y), static_cast<std::ptrdiff_t>(2 * pixels));
}

TEST_F(ConvStrassen, WhatIsNotFiniteReachesItsOwnPixelAndRowAlone) {
  check_values_that_are_not_finite(shape_of("ic128 oc64 i13 k1"));
  check_values_that_are_not_finite(shape_of("ic128 oc64 i25 k1 s2"));
  check_values_that_are_not_finite(shape_of("ic128 oc64 i29 k1"));
  check_values_that_are_not_finite(shape_of("ic128 oc64 i92 k1 s2"));
}

// As pruning leaves them.
TEST_F(ConvStrassen, RowsAndChannelsOfZerosAreLeftOut) {
  Random random(5);
  for (const int i : {0, 1, 2, 3}) {
    const bool forward = i % 2 == 0;
    const ConvKernel& kernel = forward ? kConvStrassenForward : kConvStrassenGradInput;
    const ConvShape s = shape_of(i < 2 ? "ic128 oc128 i13 k1" : "ic128 oc128 i29 k1");
    const auto pixels = static_cast<size_t>(s.output_positions());
    const size_t row = 3, channel = 70, row_step = forward ? 128 : 1, channel_step = forward ? 1 : 128;
    std::vector<float> x = values(random, s.input_count(), false), w = values(random, s.weight_count(), false);
    for (float& v : w) v *= 1024;
    for (size_t k = 0; k < 128; ++k) w[row * row_step + k * channel_step] = w[k * row_step + channel * channel_step] = 0;
    const auto run = [&] {
      std::vector<float> y(x.size());
      run_kernel(kernel, s, x.data(), w.data(), nullptr, y.data());
      return y;
    };
    const std::vector<float> before = run();
    for (size_t k = 0; k < pixels; ++k) {
      EXPECT_EQ(before[row * pixels + k], 0);
      x[channel * pixels + k] = 1e20F;
    }
    EXPECT_EQ(run(), before);
    x[channel * pixels + 8] = std::numeric_limits<float>::infinity();
    const std::vector<float> after = run();
    for (size_t k = 0; k < after.size(); ++k) ASSERT_EQ(std::isnan(after[k]), k % pixels == 8) << k;
  }
}

TEST_F(ConvStrassen, ErrorsStayInTheirTable) {
  Errors worst, scaled;
  for (const int64_t channels : {128, 512, 2048}) {
    for (const bool rectified : {false, true}) {
      for (const int64_t side : {13, 29}) {  // lanes of channels and, if not too many, of pixels
        const ConvShape s = shape_of("ic" + std::to_string(channels) + " oc128 k1 i" + std::to_string(side));
        Random random(static_cast<unsigned>(channels) + (rectified ? 1 : 0));
        std::vector<float> x = values(random, s.input_count(), false), w = values(random, s.weight_count(), false);
        for (float& v : x) v = rectified ? std::max(v, 0.0F) : v;
        const auto take = [](Errors& all, const Errors& one) {
          all = {std::max(all.e, one.e), std::max(all.r, one.r), std::max(all.strict, one.strict)};
        };
        take(worst, errors(kConvStrassenForward, s, x, w));
        // Rows of any size; channels that are large where their weights are small, and the other way round.
        std::uniform_real_distribution<float> decades(-4, 4);
        const auto pixels = static_cast<size_t>(s.output_positions()), count = static_cast<size_t>(channels);
        for (size_t row = 0; row < w.size() / count; ++row) {
          const float size = std::pow(10.0F, decades(random));
          for (size_t c = 0; c < count; ++c) w[row * count + c] *= size;
        }
        for (size_t c = 0; c < count; ++c) {
          const float size = std::pow(10.0F, decades(random));
          for (size_t row = 0; row < w.size() / count; ++row) w[row * count + c] *= size;
          for (size_t i = 0; i < pixels; ++i) x[c * pixels + i] /= size;
        }
        take(scaled, errors(kConvStrassenForward, s, x, w));
      }
    }
  }
  std::printf("  conv_strassen: E %.2f, R %.2f, to the strict kernel %.2f; rows and channels of 8 decades: E %.2f, R %.2f\n",
              worst.e, worst.r, worst.strict, scaled.e, scaled.r);
  // 16 is admitted; sums of WebAssembly round twice a step.
  EXPECT_LE(worst.e, std::string_view(simd_name()) == "WASM" ? 11 : 10);
  EXPECT_LE(worst.r, 2.1);  // and 3.5
  EXPECT_LE(scaled.e, 24);
  EXPECT_LE(scaled.r, 2.7);
}

TEST_F(ConvStrassen, RefusesTheRest) {
  const auto reason = [](const char* text) { return kConvStrassenForward.refuse(shape_of(text)); };
  EXPECT_STREQ(reason("ic64 oc64 i14 k3"), "needs a kernel of one tap");
  for (const char* text : {"ic64 oc64 i14 k1 p1", "ic128 oc64 i14 k1 ph-1:1 pw0", "ic128 oc64 i14 k1 ph-1:1 pw1:-1",
                           "ic128 oc64 iw200 k1 s2 p0:199"}) {
    EXPECT_STREQ(reason(text), "needs no padding") << text;
  }
  EXPECT_STREQ(kConvStrassenGradInput.refuse(shape_of("ic128 oc128 i28 k1 s2")), "needs stride 1");
  for (const char* text : {"ic129 oc64 i14 k1", "ic126 oc64 i14 k1", "ic94 oc64 i28 k1", "ic97 oc64 i28 k1"}) {
    EXPECT_STREQ(reason(text), "needs an even number of channels, at least 128, or 96 of a large map");
  }
  EXPECT_STREQ(reason("ic96 oc65 i28 k1"), "needs an even number of result channels");
  EXPECT_STREQ(reason("ic128 oc64 i6 k1"), "needs maps of at least 48 pixels");
  EXPECT_STREQ(reason("ic128 oc65 i14 k1"), "needs result channels that fill four vectors");
}

}  // namespace
}  // namespace convoy::kernels
