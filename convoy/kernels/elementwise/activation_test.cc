#include "convoy/kernels/elementwise/activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/kernels/elementwise/activation_reference.h"

namespace convoy::kernels {
namespace {

struct Row {
  Activation kind;
  ActivationOptions options;
  const char* name;
};

const Row kRows[] = {
    {Activation::kRelu, {}, "relu"},
    {Activation::kRelu6, {}, "relu6"},
    {Activation::kLeakyRelu, {0.1, 0}, "leaky_relu"},
    {Activation::kElu, {1.5, 0}, "elu"},
    {Activation::kSilu, {}, "silu"},
    {Activation::kGelu, {}, "gelu"},
    {Activation::kHardswish, {}, "hardswish"},
    {Activation::kHardsigmoid, {}, "hardsigmoid"},
    {Activation::kSigmoid, {}, "sigmoid"},
    {Activation::kTanh, {}, "tanh"},
    {Activation::kSoftplus, {2, 15}, "softplus"},
    {Activation::kMish, {}, "mish"},
    {Activation::kHardtanh, {-0.5, 0.7}, "hardtanh"},
    {Activation::kSelu, {1.6732632423543772, 1.0507009873554805}, "selu"},
    {Activation::kCelu, {0.7, 0}, "celu"},
    {Activation::kSoftsign, {}, "softsign"},
    {Activation::kGeluTanh, {}, "gelu_tanh"},
    {Activation::kThreshold, {0.25, -2}, "threshold"},
    {Activation::kShrink, {0.5, 0.25}, "shrink"},
    {Activation::kHardsigmoidOf, {0.25, 0.5}, "hardsigmoid_of"},
};

class ActivationTest : public ::testing::TestWithParam<Row> {};

std::vector<float> normal(size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> draw(0.0f, 3.0f);
  std::vector<float> values(count);
  for (float& v : values) v = draw(engine);
  return values;
}

TEST_P(ActivationTest, AgreesWithTheReferenceInDouble) {
  std::vector<float> x = normal(4000, 1);
  for (float edge : {0.0f, -0.0f, 3.0f, -3.0f, 6.0f, 1e-30f, -1e-30f, 88.0f, -88.0f, 20.0f, 1e30f, -1e30f}) x.push_back(edge);
  const std::vector<float> g = normal(x.size(), 2);
  std::vector<float> y(x.size()), grad(x.size());
  const Row& row = GetParam();
  activation(row.kind, row.options, x.data(), y.data(), static_cast<int64_t>(x.size()));
  activation_backward(row.kind, row.options, g.data(), x.data(), grad.data(), static_cast<int64_t>(x.size()));
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = reference::activation(row.kind, row.options, static_cast<double>(x[i]));
    const double want_grad =
        reference::activation_backward(row.kind, row.options, static_cast<double>(g[i]), static_cast<double>(x[i]));
    ASSERT_NEAR(y[i], want, 8 * 0x1p-24 * std::max(std::abs(want), 1e-1)) << "x = " << x[i];
    ASSERT_NEAR(grad[i], want_grad, 16 * 0x1p-24 * std::max(std::abs(want_grad), 1.0)) << "x = " << x[i];
  }
}

TEST(ActivationFromOutput, GivesTheBitsOfTheInputs) {
  const std::vector<float> x = normal(1003, 3), g = normal(x.size(), 4);
  const std::vector<double> wide_g(g.begin(), g.end());
  const auto count = static_cast<int64_t>(x.size());
  for (const Activation kind : {Activation::kSigmoid, Activation::kTanh}) {
    std::vector<float> y(x.size()), want(x.size()), got(x.size());
    activation(kind, {}, x.data(), y.data(), count);
    activation_backward(kind, {}, g.data(), x.data(), want.data(), count);
    activation_backward_from_output(kind, g.data(), y.data(), got.data(), count);
    ASSERT_EQ(want, got);
    const std::vector<double> wide_y(y.begin(), y.end());
    std::vector<double> wide(x.size());
    activation_backward_from_output(kind, wide_g.data(), wide_y.data(), wide.data(), count);
    for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(got[i], wide[i], 4 * 0x1p-24 * std::abs(wide_g[i]));
  }
}

TEST_P(ActivationTest, BackwardIsTheComplexStepDerivative) {
  const Row& row = GetParam();
  constexpr double kStep = 1e-50;
  for (double x = -6.03; x < 8; x += 0.11) {
    if (std::abs(std::abs(x) - 3) < 0.02 || std::abs(x - 6) < 0.02) continue;  // kinks
    const std::complex<double> y = reference::activation(row.kind, row.options, std::complex<double>(x, kStep));
    const double slope = reference::activation_backward(row.kind, row.options, 2.0, x) / 2.0;
    EXPECT_NEAR(y.imag() / kStep, slope, 1e-13 * std::max(1.0, std::abs(slope))) << "x = " << x;
    EXPECT_NEAR(y.real(), reference::activation(row.kind, row.options, x), 1e-13 * std::max(1.0, std::abs(x)));
  }
}

TEST_P(ActivationTest, BitsDoNotDependOnPlaceOrThreads) {
  const Row& row = GetParam();
  const std::vector<float> x = normal(100000, 3), g = normal(100000, 4);
  std::vector<float> y(x.size()), grad(x.size());
  set_num_threads(1);
  activation(row.kind, row.options, x.data(), y.data(), static_cast<int64_t>(x.size()));
  activation_backward(row.kind, row.options, g.data(), x.data(), grad.data(), static_cast<int64_t>(x.size()));
  set_num_threads(4);
  std::vector<float> again(x.size());
  activation(row.kind, row.options, x.data(), again.data(), static_cast<int64_t>(x.size()));
  EXPECT_EQ(0, std::memcmp(y.data(), again.data(), y.size() * sizeof(float)));
  activation_backward(row.kind, row.options, g.data(), x.data(), again.data(), static_cast<int64_t>(x.size()));
  EXPECT_EQ(0, std::memcmp(grad.data(), again.data(), y.size() * sizeof(float)));
  set_num_threads(0);
  for (int64_t count = 0; count <= 40; ++count) {
    for (int64_t begin : {0, 1, 7}) {
      std::vector<float> part(static_cast<size_t>(count) + 1, 1234.5f);
      activation(row.kind, row.options, x.data() + begin, part.data(), count);
      ASSERT_EQ(0, std::memcmp(part.data(), y.data() + begin, static_cast<size_t>(count) * sizeof(float))) << count;
      ASSERT_EQ(part.back(), 1234.5f);
      activation_backward(row.kind, row.options, g.data() + begin, x.data() + begin, part.data(), count);
      ASSERT_EQ(0, std::memcmp(part.data(), grad.data() + begin, static_cast<size_t>(count) * sizeof(float))) << count;
      ASSERT_EQ(part.back(), 1234.5f);
    }
  }
}

TEST_P(ActivationTest, NanStaysInEveryLane) {
  const Row& row = GetParam();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (size_t count = 1; count <= 40; ++count) {
    const std::vector<float> x(count, nan);
    std::vector<float> y(count);
    activation(row.kind, row.options, x.data(), y.data(), static_cast<int64_t>(count));
    for (float v : y) ASSERT_TRUE(std::isnan(v)) << row.name << " of " << count;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ActivationTest, ::testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

std::vector<float> forward(Activation kind, std::vector<float> x, ActivationOptions options = {}) {
  activation(kind, options, x.data(), x.data(), static_cast<int64_t>(x.size()));
  return x;
}
std::vector<float> slopes(Activation kind, std::vector<float> x, ActivationOptions options = {}) {
  const std::vector<float> ones(x.size(), 1.0f);
  activation_backward(kind, options, ones.data(), x.data(), x.data(), static_cast<int64_t>(x.size()));
  return x;
}

// Values and slopes that PyTorch 1.13 gives at kinks, NaN and infinities.
TEST(ActivationEdges, MatchPyTorch) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(slopes(Activation::kRelu, {nan, inf, -inf, 0}), (std::vector<float>{1, 1, 0, 0}));
  EXPECT_EQ(slopes(Activation::kRelu6, {nan, inf, 0, 6, 5}), (std::vector<float>{1, 0, 0, 0, 1}));
  EXPECT_EQ(slopes(Activation::kHardtanh, {nan, -1, 1, 0}, {-1, 1}), (std::vector<float>{1, 0, 0, 1}));
  EXPECT_EQ(slopes(Activation::kLeakyRelu, {nan, 0, 1}, {0.25, 0}), (std::vector<float>{0.25, 0.25, 1}));
  EXPECT_EQ(slopes(Activation::kElu, {nan, -inf, 0, 1}, {1, 0}), (std::vector<float>{1, 0, 1, 1}));
  EXPECT_EQ(slopes(Activation::kHardswish, {nan, -3, 3, -3.5, inf}), (std::vector<float>{1, -0.5, 1.5, 0, 1}));
  EXPECT_EQ(slopes(Activation::kHardsigmoid, {nan, -3, 3, 0}), (std::vector<float>{0, 0, 0, 1.0f / 6}));
  EXPECT_EQ(slopes(Activation::kSigmoid, {inf, -inf, 0}), (std::vector<float>{0, 0, 0.25}));
  EXPECT_EQ(slopes(Activation::kTanh, {inf, -inf, 0}), (std::vector<float>{0, 0, 1}));
  EXPECT_EQ(forward(Activation::kHardtanh, {-3, 0, 3}, {2, 1}), (std::vector<float>{1, 1, 1}));
  EXPECT_EQ(forward(Activation::kSigmoid, {inf, -inf, 0}), (std::vector<float>{1, 0, 0.5}));
  EXPECT_EQ(forward(Activation::kTanh, {inf, -inf, 0}), (std::vector<float>{1, -1, 0}));
  EXPECT_EQ(forward(Activation::kElu, {inf, -inf}, {1, 0}), (std::vector<float>{inf, -1}));
  EXPECT_EQ(forward(Activation::kSoftplus, {inf, -inf, 20.5}, {1, 20}), (std::vector<float>{inf, 0, 20.5}));
  EXPECT_TRUE(std::signbit(forward(Activation::kRelu, {-0.0f})[0]));
  for (Activation kind : {Activation::kSilu, Activation::kGelu, Activation::kMish}) {
    const std::vector<float> y = forward(kind, {inf, -inf});
    EXPECT_EQ(y[0], inf);
    EXPECT_TRUE(std::isnan(y[1]));
    for (float slope : slopes(kind, {inf, -inf, nan})) EXPECT_TRUE(std::isnan(slope));
  }
}

}  // namespace
}  // namespace convoy::kernels
