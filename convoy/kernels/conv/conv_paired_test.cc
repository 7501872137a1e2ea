// Panels and tiles beside their sizes, strides, values that are not finite, sizes far apart, few terms, the error.
#include "convoy/kernels/conv/conv_paired.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "convoy/kernels/conv/conv_direct.h"
#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

ConvShape shape_of(const std::string& text) { return shape::essential(*shape::parse_descriptor(text)); }

class ConvPaired : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string_view(simd_name()) != "AVX-512") GTEST_SKIP() << "needs vectors of 512 bits";
  }
};

TEST_F(ConvPaired, MatchesTheReference) {
  Random random(17);
  for (const char* text :
       {"ic24 oc8 i6 k1", "ic30 oc26 i7 k1", "ic31 oc27 i8 k1", "n3 ic65 oc53 i12 k1", "g3 ic96 oc99 i13 k1", "ic29 oc16 i9 k1",
        "ic64 oc64 iw53 k1", "n2 ic35 oc32 id3 ih4 iw5 k1", "ic600 oc17 i14 k1", "ic1500 oc64 i7 k1", "ic100 oc100 i57 k1",
        "n2 ic66 oc48 i27 k1 s2", "g2 ic80 oc64 i13 k1 sh1 sw2", "ic40 oc30 iw299 k1 s3", "ic44 oc64 id5 ih9 iw8 k1 s1 sh2",
        "ic28 oc64 i15 k1 ph-1 pw-1:-2", "ic700 oc80 i25 k1", "ic26 oc300 i16 k1",
        // small maps
        "n3 ic30 oc40 i3 k1", "n2 ic64 oc100 i5 k1", "g2 ic140 oc64 ih2 iw4 k1", "n2 ic96 oc17 ih5 iw6 k1",
        // patches
        "n2 ic3 oc33 i44 k4 s4", "g2 ic34 oc60 i21 k2 s2", "n2 ic6 oc64 i21 k3 s3", "ic3 oc80 i96 k16 s16",
        "n2 ic2 oc20 ih30 iw47 k5 s5", "ic9 oc32 id8 ih10 iw10 k2 s2", "ic20 oc17 ih30 iw20 kh2 kw1 sh2 sw1",
        "n2 ic30 oc9 ih7 iw40 kh1 kw4 sh1 sw4"}) {
    const ConvShape s = shape_of(text);
    for (const Direction direction : {Direction::kForward, Direction::kGradInput}) {
      const ConvKernel* const kernel = direction == Direction::kForward ? &kConvPairedForward : &kConvPairedGradInput;
      if (kernel->refuse(s) != nullptr) {
        ASSERT_EQ(direction, Direction::kGradInput) << text << ": " << kernel->refuse(s);
        continue;
      }
      for (const bool integers : {true, false}) {
        check_kernels(std::span(&kernel, 1), direction, s, integers, random);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_F(ConvPaired, SourcesFromMemoryAndResultsPastTheCaches) {
  Random random(18);
  const ConvKernel* const kernel = &kConvPairedForward;
  check_kernels(std::span(&kernel, 1), Direction::kForward, shape_of("n9 ic96 oc97 i52 k1"), false, random);
}

// Lanes are pixels in the first, channels in the second.
constexpr const char* kBoth[] = {"ic64 oc50 i16 k1", "ic64 oc64 i7 k1"};

TEST_F(ConvPaired, IsExactOnSmallIntegers) {
  Random random(3);
  for (const char* text : kBoth) {
    const ConvShape s = shape_of(text);
    const std::vector<float> x = values(random, s.input_count(), true), w = values(random, s.weight_count(), true);
    EXPECT_EQ(multiply(kConvPairedForward, s, x, w), multiply(kConvDirectForward, s, x, w));
  }
}

TEST_F(ConvPaired, WhatIsNotFiniteReachesItsOwnPixelAndRowAlone) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const char* text : kBoth) {
    const ConvShape s = shape_of(text);
    const auto pixels = static_cast<size_t>(s.output_positions()), rows = static_cast<size_t>(s.out_channels);
    Random random(4);
    std::vector<float> x = values(random, s.input_count(), false), w = values(random, s.weight_count(), false);
    const auto compare = [&](size_t others) {
      const std::vector<float> got = multiply(kConvPairedForward, s, x, w), expected = multiply(kConvDirectForward, s, x, w);
      size_t count = 0;
      for (size_t i = 0; i < got.size(); ++i) {
        if (std::isfinite(expected[i])) {
          ASSERT_NEAR(got[i], expected[i], 1e-5 * (1 + std::abs(expected[i]))) << text << " " << i;
        } else {
          ASSERT_FALSE(std::isfinite(got[i])) << text << " " << i;
          ++count;
        }
      }
      EXPECT_EQ(count, others) << text;
    };
    x[5 * pixels + 20] = inf;
    x[63 * pixels + pixels - 1] = std::nanf("");
    compare(2 * rows);
    x[5 * pixels + 20] = x[63 * pixels + pixels - 1] = 1;
    w[3 * 64 + 7] = -inf;
    w[40 * 64 + 60] = std::nanf("");
    compare(2 * pixels);
  }
}

// One pixel is as large or as small as floats are, and one row: nothing is lost, and no other result changes.
TEST_F(ConvPaired, PixelsAndRowsOfAnySize) {
  for (const char* text : kBoth) {
    const ConvShape s = shape_of(text);
    const auto pixels = static_cast<size_t>(s.output_positions()), channels = static_cast<size_t>(s.in_channels);
    Random random(6);
    const std::vector<float> x = values(random, s.input_count(), false), w = values(random, s.weight_count(), false);
    const std::vector<float> plain = multiply(kConvPairedForward, s, x, w);
    for (const float size : {0x1p120F, 0x1p60F, 0x1p30F, 0x1p-30F, 0x1p-70F, 0x1p-100F, 0.0F}) {
      std::vector<float> large = x, rows = w;
      for (size_t c = 0; c < channels; ++c) {
        large[c * pixels + 9] *= size;
        rows[2 * channels + c] *= size;
      }
      const std::vector<float> got = multiply(kConvPairedForward, s, large, w), other = multiply(kConvPairedForward, s, x, rows);
      for (size_t i = 0; i < got.size(); ++i) {
        const double expected = static_cast<double>(plain[i]) * (i % pixels == 9 ? size : 1.0F);
        ASSERT_NEAR(got[i], expected, 5e-5 * std::abs(i % pixels == 9 ? size : 1.0F)) << text << " " << i << " times " << size;
        const double expected_row = static_cast<double>(plain[i]) * (i / pixels == 2 ? size : 1.0F);
        ASSERT_NEAR(other[i], expected_row, 5e-5 * std::abs(i / pixels == 2 ? size : 1.0F))
            << text << " " << i << " times " << size;
      }
    }
  }
}

TEST_F(ConvPaired, WeightsWhoseSquaresVanish) {
  Random random(8);
  for (const char* text : kBoth) {
    const ConvShape s = shape_of(text);
    const std::vector<float> x = values(random, s.input_count(), false);
    std::vector<float> w = values(random, s.weight_count(), false);
    const std::vector<float> plain = multiply(kConvPairedForward, s, x, w);
    for (float& v : w) v *= 0x1p-90F;
    const std::vector<float> tiny = multiply(kConvPairedForward, s, x, w);
    for (size_t i = 0; i < plain.size(); ++i) ASSERT_NEAR(tiny[i] * 0x1p90, plain[i], 5e-5) << text << " " << i;
  }
}

// As pruning leaves them.
TEST_F(ConvPaired, RowsAndChannelsOfZerosAreLeftOut) {
  Random random(5);
  for (const char* text : kBoth) {
    const ConvShape s = shape_of(text);
    const auto pixels = static_cast<size_t>(s.output_positions());
    std::vector<float> x = values(random, s.input_count(), false), w = values(random, s.weight_count(), false);
    for (size_t k = 0; k < 64; ++k) w[3 * 64 + k] = 0;
    for (size_t row = 0; row < w.size() / 64; ++row) w[row * 64 + 20] = 0;
    const std::vector<float> before = multiply(kConvPairedForward, s, x, w);
    for (size_t k = 0; k < pixels; ++k) {
      EXPECT_EQ(before[3 * pixels + k], 0);
      x[20 * pixels + k] = 1e20F;
    }
    EXPECT_EQ(multiply(kConvPairedForward, s, x, w), before);
    for (size_t c = 0; c < 64; ++c) x[c * pixels + 11] = 0;  // a pixel of zeros
    const std::vector<float> after = multiply(kConvPairedForward, s, x, w);
    for (size_t row = 0; row < w.size() / 64; ++row) EXPECT_EQ(after[row * pixels + 11], 0);
  }
}

TEST_F(ConvPaired, ErrorsStayInTheirTable) {
  Errors dense, few;
  const auto take = [](Errors& all, const Errors& one) {
    all = {std::max(all.e, one.e), std::max(all.r, one.r), std::max(all.strict, one.strict)};
  };
  for (const int64_t channels : {24, 32, 64, 128, 256, 512, 960, 2048}) {
    for (const char* rest : {" oc64 k1 i32", " oc128 k1 i13"}) {  // lanes of pixels, and of channels
      const ConvShape s = shape_of("ic" + std::to_string(channels) + rest);
      Random random(static_cast<unsigned>(channels));
      std::uniform_real_distribution<float> some(0, 1);
      const std::vector<float> normal = values(random, s.input_count(), false), w = values(random, s.weight_count(), false);
      for (const float left :
           {2.0F, 0.5F, 0.3F, 0.2F, 0.15F, 0.1F, 0.08F, 0.06F, 0.05F, 0.02F}) {  // of all values, rectified; 2: normal
        std::vector<float> x = normal;
        for (float& v : x) v = left > 1 ? v : some(random) < left ? std::abs(v) : 0;
        take(left >= 0.5F ? dense : few, errors(kConvPairedForward, s, x, w));
      }
    }
  }
  std::printf("  conv_paired: E %.2f, R %.2f, to the strict kernel %.2f; 2 to 30 %% of the values: E %.2f, R %.2f\n", dense.e,
              dense.r, dense.strict, few.e, few.r);
  EXPECT_LE(dense.e, 9);    // 16 is admitted
  EXPECT_LE(dense.r, 1.9);  // and 3.5
  EXPECT_LE(few.e, 15.5);
  EXPECT_LE(few.r, 2.7);
}

TEST_F(ConvPaired, PatchesErrAs1x1LayersDo) {
  Random random(10);
  for (const char* text : {"ic6 oc64 i32 k2 s2", "ic3 oc32 i64 k4 s4", "ic3 oc32 i112 k16 s16", "ic128 oc48 i24 k2 s2"}) {
    for (const bool rectified : {false, true})
      EXPECT_LE(worst_error(kConvPairedForward, shape_of(text), rectified, random), 9) << text;
  }
}

TEST_F(ConvPaired, RefusesTheRest) {
  const auto reason = [](const char* text) { return kConvPairedForward.refuse(shape_of(text)); };
  EXPECT_STREQ(reason("ic64 oc64 i14 k3"), "needs a kernel of one tap, or of the stride's size");
  EXPECT_STREQ(kConvPairedGradInput.refuse(shape_of("ic64 oc64 i14 k2 s2")), "needs a kernel of one tap");
  EXPECT_STREQ(reason("ic64 oc64 i14 k1 p1"), "needs no padding");
  EXPECT_STREQ(kConvPairedGradInput.refuse(shape_of("ic128 oc128 i28 k1 s2")), "needs stride 1");
  EXPECT_STREQ(reason("ic23 oc64 i14 k1"), "needs 24 to 16384 channels, taps counted");
  EXPECT_STREQ(reason("ic16385 oc64 i14 k1"), "needs 24 to 16384 channels, taps counted");
  EXPECT_EQ(reason("ic6 oc64 i14 k2 s2"), nullptr);
  EXPECT_STREQ(reason("ic64 oc7 i14 k1"), "needs 8 result channels");
  EXPECT_STREQ(reason("ic64 oc64 ih1 iw7 k1"), "needs maps of at least 8 pixels");
}

}  // namespace
}  // namespace convoy::kernels
