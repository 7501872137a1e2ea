#include "convoy/kernels/resize/resize_reference.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "convoy/core/parallel.h"

namespace convoy::kernels {
namespace {

// Runs body once for every instruction set that this machine and build have, with one thread and with three.
void for_each_machine(const std::function<void()>& body) {
  for (const int64_t target : {HWY_AVX3, HWY_AVX2, HWY_SCALAR}) {
    hwy::SetSupportedTargetsForTest(0);
    if ((hwy::SupportedTargets() & target) == 0 && target != HWY_SCALAR) continue;
    hwy::SetSupportedTargetsForTest(target | HWY_SCALAR);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    for (const int threads : {1, 3}) {
      SCOPED_TRACE(testing::Message() << hwy::TargetName(target) << ", " << threads << " threads");
      set_num_threads(threads);
      body();
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  set_num_threads(0);
}

ResizeTaps taps_of(int kind, const ResizeAxis& axis) {
  return kind == 0 ? nearest_taps(axis, true) : kind == 1 ? linear_taps(axis) : cubic_taps(axis);
}

TEST(ResizeTaps, WeightsSumToOneAndStayInside) {
  for (int kind = 0; kind < 3; ++kind) {
    for (int64_t in = 1; in < 30; ++in) {
      for (int64_t out = 1; out < 40; ++out) {
        for (const bool align : {false, true}) {
          const ResizeTaps taps = taps_of(kind, {in, out, {}, align && kind > 0});
          ASSERT_EQ(taps.begin.size(), static_cast<size_t>(out) + 1);
          for (int64_t o = 0; o < out; ++o) {
            double sum = 0;
            for_each_resize_tap(taps, o, [&](int64_t i, double w) {
              ASSERT_TRUE(i >= 0 && i < in);
              sum += w;
            });
            ASSERT_NEAR(sum, 1, 1e-12);
          }
        }
      }
    }
  }
}

TEST(ResizeTaps, EqualSizesCopy) {
  for (int kind = 0; kind < 3; ++kind) {
    const ResizeTaps taps = taps_of(kind, {7, 7, {}, kind == 2});
    EXPECT_EQ(taps.index, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(taps.weight, std::vector<double>(7, 1.0));
  }
}

TEST(ResizeTaps, LinearKeepsStraightLines) {
  const ResizeTaps taps = linear_taps({9, 33, {}, true});
  for (int64_t o = 0; o < 33; ++o) {
    double value = 0;
    for_each_resize_tap(taps, o, [&](int64_t i, double w) { value += w * static_cast<double>(i); });
    EXPECT_NEAR(value, static_cast<double>(o) / 4, 1e-12);
  }
}

// Extreme factors move every output to the border; nothing leaves the input.
TEST(ResizeTaps, ExtremeFactors) {
  for (int kind = 0; kind < 3; ++kind) {
    for (const double factor : {1e-300, 1e300, 5e-324}) {
      const ResizeTaps taps = taps_of(kind, {3, 4, factor, false});
      for (const int64_t i : taps.index) EXPECT_TRUE(i >= 0 && i < 3);
    }
  }
}

TEST(Resize, EqualsTheReferenceOnEveryMachine) {
  for_each_machine([] {
    std::mt19937 rng(5);
    const auto pick = [&](int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(rng); };
    for (int round = 0; round < 200; ++round) {
      ResizeAxes axes;
      const int64_t rank = pick(1, 3);
      for (int64_t a = 3 - rank; a < 3; ++a) {
        const ResizeAxis axis{a == 2 ? 1 + round % 40 : pick(1, 6), a == 2 ? pick(1, 45) : pick(1, 8), {}, pick(0, 1) == 1};
        const int kind = static_cast<int>(pick(0, 2));
        axes[static_cast<size_t>(a)] = taps_of(kind, kind == 0 ? ResizeAxis{axis.input, axis.output, {}, false} : axis);
      }
      if (round % 2 == 1) {
        for (ResizeTaps& taps : axes) taps = transpose(taps);
      }
      if (round % 50 == 49) axes[2] = linear_taps({3000, 50, {}, false});  // wider than a block
      const int64_t planes = pick(1, 3);
      const int64_t inputs = planes * axes[0].input * axes[1].input * axes[2].input;
      const int64_t outputs = planes * axes[0].output * axes[1].output * axes[2].output;
      std::vector<float> input(static_cast<size_t>(inputs));
      for (float& v : input) v = static_cast<float>(pick(-9, 9));
      const std::vector<double> wide(input.begin(), input.end());
      std::vector<double> want(static_cast<size_t>(outputs)), got64(want.size(), -77);
      std::vector<float> got32(want.size(), -77);
      resize_reference(planes, axes, wide.data(), want.data());
      resize(planes, axes, wide.data(), got64.data());
      resize(planes, axes, input.data(), got32.data());
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_NEAR(got64[i], want[i], 1e-11);
        ASSERT_NEAR(got32[i], want[i], 1e-11 + std::abs(want[i]) * 6.1e-8);
      }
    }
  });
}

// <A x, g> = <x, A^T g>, and the transpose of the transpose is the same matrix.
TEST(Resize, TransposedTapsAreTheAdjoint) {
  std::mt19937 rng(6);
  std::normal_distribution<double> normal;
  for (int kind = 0; kind < 3; ++kind) {
    const ResizeAxes axes{ResizeTaps{}, taps_of(kind, {5, 12, {}, false}), taps_of(kind, {9, 4, 0.5, false})};
    ResizeAxes back = axes;
    for (ResizeTaps& taps : back) taps = transpose(taps);
    std::vector<double> x(2 * 45), g(2 * 48), y(g.size()), dx(x.size());
    for (double& v : x) v = normal(rng);
    for (double& v : g) v = normal(rng);
    resize(2, axes, x.data(), y.data());
    resize(2, back, g.data(), dx.data());
    EXPECT_NEAR(std::inner_product(y.begin(), y.end(), g.begin(), 0.0), std::inner_product(x.begin(), x.end(), dx.begin(), 0.0),
                1e-12);
  }
}

TEST(Resize, TwiceAsLargeIsEveryValueTwice) {
  for_each_machine([] {
    for (int64_t width = 1; width < 45; ++width) {
      const ResizeAxes axes{ResizeTaps{}, nearest_taps({3, 6, {}, false}, true), nearest_taps({width, 2 * width, {}, false}, true)};
      std::vector<float> input(static_cast<size_t>(2 * 3 * width));
      std::iota(input.begin(), input.end(), 1.0f);
      std::vector<float> output(4 * input.size(), -7);
      resize(2, axes, input.data(), output.data());
      for (int64_t i = 0; i < static_cast<int64_t>(output.size()); ++i) {
        const int64_t row = i / (2 * width), column = i % (2 * width);
        ASSERT_EQ(output[static_cast<size_t>(i)], input[static_cast<size_t>(row / 2 * width + column / 2)]) << width << " at " << i;
      }
    }
  });
}

TEST(Resize, TooLargeIsInfinite) {
  for_each_machine([] {
    for (int64_t width = 2; width < 45; ++width) {
      const ResizeAxes axes{ResizeTaps{}, cubic_taps({2, 3, {}, false}), cubic_taps({width, 2 * width, {}, false})};
      std::vector<float> input(static_cast<size_t>(2 * width), 3e38F), output(static_cast<size_t>(6 * width));
      for (size_t i = 0; i < input.size(); i += 3) input[i] = -3e38F;
      const std::vector<double> wide(input.begin(), input.end());
      std::vector<double> want(output.size());
      resize_reference(1, axes, wide.data(), want.data());
      resize(1, axes, input.data(), output.data());
      for (size_t i = 0; i < want.size(); ++i) {
        if (std::abs(want[i]) < 3.5e38) continue;
        ASSERT_EQ(output[i], std::copysign(std::numeric_limits<float>::infinity(), want[i])) << width << " at " << i;
      }
    }
  });
}

TEST(Resize, NearestKeepsEveryBit) {
  const ResizeAxes axes{ResizeTaps{}, ResizeTaps{}, nearest_taps({2, 5, {}, false}, true)};
  const std::vector<float> input{-0.0f, std::nanf("")};
  std::vector<float> output(5);
  resize(1, axes, input.data(), output.data());
  EXPECT_TRUE(std::signbit(output[0]) && std::signbit(output[2]));
  EXPECT_TRUE(std::isnan(output[3]) && std::isnan(output[4]));
}

}  // namespace
}  // namespace convoy::kernels
