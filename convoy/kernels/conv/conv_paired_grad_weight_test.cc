// Blocks, panels and tiles beside their sizes, samples, strides, values that are not finite, sizes far apart, few terms, the error.
#include "convoy/kernels/conv/conv_paired_grad_weight.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "convoy/kernels/conv/conv_grad_weight.h"
#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

ConvShape shape_of(const std::string& text) { return shape::essential(*shape::parse_descriptor(text)); }

std::vector<float> gradient(const ConvKernel& kernel, const ConvShape& s, const std::vector<float>& x,
                            const std::vector<float>& y) {
  std::vector<float> w(static_cast<size_t>(s.weight_count()));
  run_kernel(kernel, s, x.data(), y.data(), nullptr, w.data());
  return w;
}

class ConvPairedGradWeight : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string_view(simd_name()) != "AVX-512") GTEST_SKIP() << "needs vectors of 512 bits";
  }
};

TEST_F(ConvPairedGradWeight, MatchesTheReference) {
  const ConvKernel* const kernel = &kConvPairedGradWeight;
  Random random(19);
  for (const char* text : {"ic16 oc8 i10 k1",
                           "ic17 oc26 i11 k1",
                           "n2 ic31 oc27 i12 k1",
                           "n5 ic33 oc53 i7 k1",
                           "ic70 oc53 i7 k1",
                           "ic16 oc64 i6 k1",
                           "n3 ic65 oc29 i20 k1",
                           "ic9 oc40 i17 k1",
                           "n2 ic8 oc9 i9 k1",
                           "g3 ic99 oc96 i13 k1",
                           "n3 g2 ic50 oc96 i13 k1",
                           "n2 ic24 oc64 i40 k1",
                           "ic40 oc25 iw997 k1",
                           "n2 ic35 oc32 id5 ih6 iw7 k1",
                           "n4 ic400 oc17 i6 k1",
                           "n2 ic330 oc80 i13 k1",
                           "n4 ic20 oc600 i7 k1",
                           "n2 ic66 oc48 i27 k1 s2",
                           "n3 ic20 oc64 i13 k1 s2",
                           "g2 ic80 oc64 i15 k1 sh1 sw2",
                           "ic40 oc30 iw1299 k1 s3",
                           "n2 ic44 oc64 id5 ih9 iw8 k1 s1 sh2",
                           "ic28 oc64 i15 k1 ph-1 pw-1:-2",
                           "n3 ic30 oc20 i34 k1",
                           "ic20 oc24 ih600 iw1 k1 sh2 sw1"}) {
    const ConvShape s = shape_of(text);
    ASSERT_EQ(kernel->refuse(s), nullptr) << text;
    for (const bool integers : {true, false}) {
      check_kernels(std::span(&kernel, 1), Direction::kGradWeight, s, integers, random);
      if (HasFatalFailure()) return;
    }
  }
}

// Vectors of input channels in the first and the last, whose blocks are of one sample and of several, of output channels in the
// second.
constexpr const char* kKinds[] = {"n2 ic64 oc50 i16 k1", "n2 ic40 oc64 i20 k1", "n6 ic48 oc40 i7 k1"};

TEST_F(ConvPairedGradWeight, IsExactOnSmallIntegers) {
  Random random(3);
  for (const char* text : kKinds) {
    const ConvShape s = shape_of(text);
    const std::vector<float> x = values(random, s.input_count(), true), y = values(random, s.output_count(), true);
    EXPECT_EQ(gradient(kConvPairedGradWeight, s, x, y), gradient(kConvGradWeight, s, x, y));
  }
}

TEST_F(ConvPairedGradWeight, WhatIsNotFiniteReachesItsOwnChannelsAlone) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const char* text : kKinds) {
    const ConvShape s = shape_of(text);
    const auto pixels = static_cast<size_t>(s.output_positions()), ins = static_cast<size_t>(s.in_channels),
               outs = static_cast<size_t>(s.out_channels);
    Random random(4);
    std::vector<float> x = values(random, s.input_count(), false), y = values(random, s.output_count(), false);
    x[(ins + 5) * pixels + 20] = inf;
    x[17 * pixels + pixels - 1] = std::nanf("");
    y[3 * pixels] = -inf;
    const std::vector<float> got = gradient(kConvPairedGradWeight, s, x, y), expected = gradient(kConvGradWeight, s, x, y);
    size_t count = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      if (std::isfinite(expected[i])) {
        ASSERT_NEAR(got[i], expected[i], 1e-4) << text << " " << i;
      } else {
        ASSERT_FALSE(std::isfinite(got[i])) << text << " " << i;
        ++count;
      }
    }
    EXPECT_EQ(count, 2 * outs + ins - 2) << text;
  }
}

// One channel of either side is as large or as small as floats are, or one sample: nothing is lost, and no other result changes.
TEST_F(ConvPairedGradWeight, ChannelsOfAnySize) {
  for (const char* text : kKinds) {
    const ConvShape s = shape_of(text);
    const auto pixels = static_cast<size_t>(s.output_positions()), ins = static_cast<size_t>(s.in_channels),
               outs = static_cast<size_t>(s.out_channels);
    Random random(6);
    const std::vector<float> x = values(random, s.input_count(), false), y = values(random, s.output_count(), false);
    const std::vector<float> plain = gradient(kConvPairedGradWeight, s, x, y);
    for (const float size : {0x1p110F, 0x1p60F, 0x1p30F, 0x1p-30F, 0x1p-70F, 0x1p-100F, 0.0F}) {
      std::vector<float> in = x, out = y;
      for (size_t n = 0; n < static_cast<size_t>(s.batch); ++n) {
        for (size_t k = 0; k < pixels; ++k) {
          in[(n * ins + 9) * pixels + k] *= size;
          out[(n * outs + 2) * pixels + k] *= size;
        }
      }
      const std::vector<float> got = gradient(kConvPairedGradWeight, s, in, y), other = gradient(kConvPairedGradWeight, s, x, out);
      for (size_t i = 0; i < got.size(); ++i) {
        const double in_size = i % ins == 9 ? size : 1.0F, out_size = i / ins == 2 ? size : 1.0F;
        ASSERT_NEAR(got[i], plain[i] * in_size, 2e-4 * in_size) << text << " " << i << " times " << size;
        ASSERT_NEAR(other[i], plain[i] * out_size, 2e-4 * out_size) << text << " " << i << " times " << size;
      }
    }
  }
}

TEST_F(ConvPairedGradWeight, ChannelsOfZerosGiveZeros) {
  Random random(5);
  for (const char* text : kKinds) {
    const ConvShape s = shape_of(text);
    const auto pixels = static_cast<size_t>(s.output_positions()), ins = static_cast<size_t>(s.in_channels);
    std::vector<float> x = values(random, s.input_count(), false);
    const std::vector<float> y = values(random, s.output_count(), false);
    for (size_t n = 0; n < static_cast<size_t>(s.batch); ++n) std::fill_n(x.data() + (n * ins + 30) * pixels, pixels, 0.0F);
    const std::vector<float> got = gradient(kConvPairedGradWeight, s, x, y);
    for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i] == 0, i % ins == 30) << text << " " << i;
  }
}

TEST_F(ConvPairedGradWeight, ErrorsStayInTheirTable) {
  Errors dense, few, both;
  const auto take = [](Errors& all, const Errors& one) {
    all = {std::max(all.e, one.e), std::max(all.r, one.r), std::max(all.strict, one.strict)};
  };
  for (const char* text : {"n2 ic64 oc64 i7 k1", "n8 ic64 oc64 i7 k1", "ic64 oc64 i12 k1", "ic64 oc64 i14 k1",
                           "n3 ic64 oc64 i14 k1", "n2 ic64 oc64 i28 k1", "n2 ic64 oc64 i56 k1"}) {
    const ConvShape s = shape_of(text);
    const auto pixels = static_cast<size_t>(s.output_positions()), ins = static_cast<size_t>(s.in_channels),
               outs = static_cast<size_t>(s.out_channels);
    Random random(static_cast<unsigned>(s.batch * s.output_positions()));
    std::uniform_real_distribution<float> some(0, 1);
    const std::vector<float> normal = values(random, s.input_count(), false);
    const auto measure = [&](const std::vector<float>& x, const std::vector<float>& y) {
      return errors(gradient(kConvPairedGradWeight, s, x, y), gradient(kConvGradWeight, s, x, y),
                    static_cast<size_t>(s.batch) * pixels, [&](size_t i, size_t k) {
                      const size_t n = k / pixels, pixel = k % pixels;
                      return std::pair(y[(n * outs + i / ins) * pixels + pixel], x[(n * ins + i % ins) * pixels + pixel]);
                    });
    };
    const std::vector<float> y = values(random, s.output_count(), false);
    std::vector<float> falling = y;  // from sample to sample
    for (size_t i = 0; i < y.size(); ++i) falling[i] = std::ldexp(y[i], -3 * static_cast<int>(i / (outs * pixels)));
    for (const float left : {2.0F, 0.5F, 0.3F, 0.2F, 0.15F, 0.1F, 0.05F, 0.02F}) {  // of all values, rectified; 2: normal
      std::vector<float> x = normal, others = y;
      for (float& v : x) v = left > 1 ? v : some(random) < left ? std::abs(v) : 0;
      for (float& v : others) v = some(random) < left ? v : 0;
      take(left >= 0.5F ? dense : few, measure(x, y));
      for (const std::vector<float>& other : {others, falling}) take(both, measure(x, other));
    }
  }
  std::printf(
      "  conv_paired grad_weight: E %.2f, R %.2f, to the strict kernel %.2f; 2 to 30 %% of the values: E %.2f, R %.2f; of both: E "
      "%.2f, R %.2f\n",
      dense.e, dense.r, dense.strict, few.e, few.r, both.e, both.r);
  EXPECT_LE(dense.e, 9);    // 16 is admitted
  EXPECT_LE(dense.r, 1.9);  // and 3.5
  EXPECT_LE(few.e, 9);
  EXPECT_LE(few.r, 1.9);
  EXPECT_LE(both.e, 14.5);
  EXPECT_LE(both.r, 1.9);
}

TEST_F(ConvPairedGradWeight, RefusesTheRest) {
  const auto reason = [](const char* text) { return kConvPairedGradWeight.refuse(shape_of(text)); };
  EXPECT_STREQ(reason("ic64 oc64 i14 k3"), "needs a kernel of one tap");
  EXPECT_STREQ(reason("ic64 oc64 i14 k1 p1"), "needs no padding");
  EXPECT_STREQ(reason("ic7 oc64 i14 k1"), "needs 8 channels of input and output");
  EXPECT_STREQ(reason("ic64 oc7 i14 k1"), "needs 8 channels of input and output");
  EXPECT_STREQ(reason("n9 ic64 oc64 i5 k1"), "needs maps of at least 32 pixels");
  EXPECT_STREQ(reason("ic64 oc64 ih5 iw7 k1"), "needs 36 pixels");
}

}  // namespace
}  // namespace convoy::kernels
