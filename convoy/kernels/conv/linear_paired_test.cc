// Chains, panels and vectors beside their sizes; a row's bits are its own.
#include "convoy/kernels/conv/linear_paired.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "convoy/kernels/conv/kernel_check_test.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

class LinearPaired : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string_view(simd_name()) != "AVX-512") GTEST_SKIP() << "needs vectors of 512 bits";
  }
};

// With a bias and a residual that lies where the results go, then relu.
std::vector<float> run(const PairedLinearShape& s, const std::vector<float>& x, const std::vector<float>& w,
                       const std::vector<float>& bias, const std::vector<float>& residual, int threads, bool at_end) {
  set_num_threads(threads);
  GuardedFloats input(x.size(), at_end), packed(static_cast<size_t>(paired_linear_packed_floats(s)) + 16, at_end),
      output(residual.size(), at_end), added(bias.size(), at_end);
  std::copy(x.begin(), x.end(), input.data());
  std::copy(bias.begin(), bias.end(), added.data());
  std::copy(residual.begin(), residual.end(), output.data());
  auto* const aligned = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(packed.data()) + 63) / 64 * 64);
  paired_linear_pack(s, w.data(), aligned);
  Workspace workspace(paired_linear_workspace_bytes(s, threads));
  Epilogue<float> epilogue;
  epilogue.residual = output.data();
  epilogue.activation = Activation::kRelu;
  paired_linear(s, {input.data(), aligned, added.data(), output.data()}, epilogue, workspace);
  return {output.data(), output.data() + residual.size()};
}

TEST_F(LinearPaired, IsCloseToTheSumsInDoubleAndTheSameForAnyThreadsAndRows) {
  Random random(3);
  const float inf = std::numeric_limits<float>::infinity();
  for (const auto& [rows, channels, results] :
       {std::array<int64_t, 3>{24, 64, 48}, {197, 96, 130}, {49, 770, 65}, {27, 1600, 50}, {300, 131, 81}, {1000, 64, 64}}) {
    const PairedLinearShape s{rows, channels, results};
    const auto all = static_cast<size_t>(rows * results), row = static_cast<size_t>(channels);
    for (const bool integers : {true, false}) {
      std::vector<float> x = values(random, rows * channels, integers);
      const std::vector<float> w = values(random, results * channels, integers), bias = values(random, results, integers),
                               residual = values(random, rows * results, integers);
      if (!integers) {
        for (size_t i = row; i < 2 * row; ++i) x[i] = i % 40 == 0 ? x[i] : 0;  // few terms
        x[3 * row + 1] = inf;
      }
      const std::vector<float> got = run(s, x, w, bias, residual, 1, true);
      for (size_t i = 0; i < all; ++i) {
        const size_t r = i / static_cast<size_t>(results), o = i % static_cast<size_t>(results);
        double sum = bias[o] + static_cast<double>(residual[i]), magnitude = std::abs(sum);
        for (size_t c = 0; c < row; ++c) {
          sum += static_cast<double>(x[r * row + c]) * w[o * row + c];
          magnitude += std::abs(static_cast<double>(x[r * row + c]) * w[o * row + c]);
        }
        if (std::isinf(sum)) {
          ASSERT_EQ(got[i], sum > 0 ? inf : 0) << i;
        } else if (integers) {
          ASSERT_EQ(got[i], static_cast<float>(std::max(sum, 0.0))) << i;
        } else {
          ASSERT_NEAR(got[i], std::max(sum, 0.0), 16 * 0x1p-24 * magnitude)
              << i << " of " << rows << " x " << channels << " x " << results;
        }
      }
      for (const int threads : {2, 3, 8}) {
        const std::vector<float> other = run(s, x, w, bias, residual, threads, threads == 2);
        ASSERT_EQ(0, std::memcmp(got.data(), other.data(), all * sizeof(float))) << threads << " threads";
      }
      // The first rows alone.
      const PairedLinearShape some{24, channels, results};
      const std::vector<float> few =
          run(some, {x.begin(), x.begin() + 24 * channels}, w, bias, {residual.begin(), residual.begin() + 24 * results}, 2, true);
      ASSERT_EQ(0, std::memcmp(got.data(), few.data(), few.size() * sizeof(float)));
    }
  }
  set_num_threads(1);
}

}  // namespace
}  // namespace convoy::kernels
