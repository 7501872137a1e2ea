// Rows and channels beside the tile's and the chain's, batches beside the register tile's and what is computed together, the error
// that 24 bits make, values of every size.
#include "convoy/kernels/conv/conv_weight24.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "convoy/kernels/conv/conv_direct.h"
#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

ConvShape linear(int64_t batch, int64_t channels, int64_t rows) {
  return shape::essential(*shape::parse_descriptor("n" + std::to_string(batch) + " ic" + std::to_string(channels) + " oc" +
                                                   std::to_string(rows) + " i1 k1"));
}

class ConvWeight24 : public NeedsVectors {};

TEST_F(ConvWeight24, MatchesTheReference) {
  const ConvKernel* const kernel = &kConvWeight24Forward;
  Random random(13);
  for (const auto [batch, channels, rows] : {std::array<int64_t, 3>{1, 256, 2048},
                                             {2, 257, 2049},
                                             {3, 1023, 527},
                                             {5, 511, 1100},
                                             {6, 2100, 256},
                                             {9, 300, 1751},
                                             {65, 767, 700},
                                             {255, 520, 1031}}) {
    const ConvShape s = linear(batch, channels, rows);
    ASSERT_EQ(kernel->refuse(s), nullptr) << describe(s);
    for (int round = 0; round < 3; ++round) {  // with and without bias, residual and activation
      check_kernels(std::span(&kernel, 1), Direction::kForward, s, false, random);
      if (HasFatalFailure()) return;
    }
  }
}

std::vector<float> multiply(const ConvShape& s, const std::vector<float>& x, const std::vector<float>& w) {
  std::vector<float> y(static_cast<size_t>(s.output_count()));
  run_kernel(kConvWeight24Forward, s, x.data(), w.data(), nullptr, y.data());
  return y;
}

TEST_F(ConvWeight24, IsExactOnIntegersAndOnWeightsOfOneSize) {
  Random random(5);
  const ConvShape s = linear(2, 1000, 600);
  std::vector<float> x = values(random, s.input_count(), true), w = values(random, s.weight_count(), true);
  std::vector<float> expected(static_cast<size_t>(s.output_count()));
  run_reference(s, Direction::kForward, x.data(), w.data(), static_cast<const float*>(nullptr), expected.data());
  EXPECT_EQ(multiply(s, x, w), expected);
  // 16 bits and more of every weight are kept, whatever the size, if those of a chain are of one size.
  for (const float size : {0x1p-100F, 0x1p-30F, 1.0F, 0x1p100F}) {
    std::fill(x.begin(), x.end(), 0.0F);
    x[3] = 1;
    for (float& v : w) v = size * (1 + static_cast<float>(random() % 65536) / 65536);
    const std::vector<float> y = multiply(s, x, w);
    for (int64_t row = 0; row < 600; ++row) ASSERT_EQ(y[static_cast<size_t>(row)], w[static_cast<size_t>(row * 1000 + 3)]) << size;
  }
}

TEST_F(ConvWeight24, LargeValuesStayFiniteAndOthersReachTheirRowAlone) {
  Random random(6);
  const ConvShape s = linear(1, 512, 1100);
  std::vector<float> x(512, 0.0F), w = values(random, s.weight_count(), false);
  x[0] = 1e34F;
  w[0] = 0.5F;
  w[512 * 7 + 300] = std::numeric_limits<float>::infinity();
  w[512 * 9] = std::nanf("");
  w[512 * 11] = 0;
  std::fill(w.begin() + 512 * 13, w.begin() + 512 * 14, 0x1p-149F);
  const std::vector<float> y = multiply(s, x, w);
  EXPECT_EQ(y[0], 0.5F * 1e34F);
  EXPECT_FALSE(std::isfinite(y[7]));
  EXPECT_TRUE(std::isnan(y[9]));
  EXPECT_EQ(y[11], 0);
  EXPECT_NEAR(y[13], 0, 1e-3);
  for (size_t i = 14; i < y.size(); ++i) ASSERT_TRUE(std::isfinite(y[i])) << i;
}

// docs/accuracy.md says what E and R are.
TEST_F(ConvWeight24, ErrorsStayInTheirTable) {
  double worst_e = 0, worst_r = 0, worst_strict = 0;
  for (const int64_t channels : {256, 1024, 9216}) {
    for (const bool rectified : {false, true}) {
      const ConvShape s = linear(1, channels, 2048);
      Random random(static_cast<unsigned>(channels) + (rectified ? 1 : 0));
      std::vector<float> x = values(random, s.input_count(), false), w = values(random, s.weight_count(), false);
      for (float& v : x) v = rectified ? std::max(v, 0.0F) : v;
      for (float& v : w) v *= static_cast<float>(std::sqrt(2.0 / static_cast<double>(channels)));
      const std::vector<float> got = multiply(s, x, w);
      std::vector<float> strict(got.size());
      run_kernel(kConvDirectForward, s, x.data(), w.data(), nullptr, strict.data());
      double sum = 0, chain_sum = 0, strict_sum = 0;
      for (size_t row = 0; row < got.size(); ++row) {
        double exact = 0, magnitude = 0;
        float chain = 0;
        for (size_t c = 0; c < x.size(); ++c) {
          const float weight = w[row * x.size() + c];
          exact += static_cast<double>(weight) * x[c];
          magnitude += std::abs(static_cast<double>(weight) * x[c]);
          chain = std::fma(weight, x[c], chain);
        }
        worst_e = std::max(worst_e, std::abs(got[row] - exact) / (0x1p-24 * magnitude));
        sum += (got[row] - exact) * (got[row] - exact);
        chain_sum += (chain - exact) * (chain - exact);
        strict_sum += (strict[row] - exact) * (strict[row] - exact);
      }
      worst_r = std::max(worst_r, std::sqrt(sum / chain_sum));
      worst_strict = std::max(worst_strict, std::sqrt(sum / strict_sum));
    }
  }
  std::printf("  conv_weight24: E %.2f, R %.2f, to the strict kernel %.2f\n", worst_e, worst_r, worst_strict);
  EXPECT_LE(worst_e, 4.5);  // 16 is admitted
  EXPECT_LE(worst_r, 1.6);  // and 3.5
}

TEST_F(ConvWeight24, RefusesTheRest) {
  const auto reason = [](const char* text) {
    return kConvWeight24Forward.refuse(shape::essential(*shape::parse_descriptor(text)));
  };
  EXPECT_STREQ(reason("ic1024 oc1024 i2 k1"), "needs one pixel and one group");
  EXPECT_STREQ(reason("ic1024 oc1024 i1 k1 p1"), "needs one pixel and one group");
  EXPECT_STREQ(reason("ic1024 oc1024 i1 k1 p-1:1"), "needs no padding");
  EXPECT_STREQ(reason("ic255 oc65536 i1 k1"), "needs at least 256 input channels");
  EXPECT_STREQ(reason("ic512 oc1000 i1 k1"), "needs a weight of 2 MB");
}

}  // namespace
}  // namespace convoy::kernels
