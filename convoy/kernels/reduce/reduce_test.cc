// Every SIMD tail length of the reductions against the plain loops in double. The arrays are of exactly the size that the kernels
// may touch, so that a sanitizer sees every access beside them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "convoy/kernels/elementwise/gather.h"
#include "convoy/kernels/reduce/extremes.h"
#include "convoy/kernels/reduce/softmax.h"
#include "convoy/kernels/reduce/softmax_reference.h"
#include "convoy/kernels/reduce/sum.h"
#include "convoy/kernels/reduce/sum_reference.h"

namespace convoy::kernels {
namespace {

std::vector<float> normal(int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> draw(0.0f, 2.0f);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = draw(engine);
  return values;
}

TEST(SumKernel, EveryTailLength) {
  for (int64_t inner : {1, 2, 7, 8, 9, 15, 16, 17, 33}) {
    for (int64_t n = 0; n <= 70; ++n) {
      const std::vector<float> x = normal(2 * n * inner, static_cast<unsigned>(n));
      const std::vector<double> wide(x.begin(), x.end());
      const SumBlocks blocks = sum_blocks(n, inner);
      const size_t outputs = static_cast<size_t>(2 * inner);
      std::vector<double> got(outputs), got_wide(outputs), partial(outputs * static_cast<size_t>(blocks.count));
      sum_axis(x.data(), 2, n, inner, got.data(), partial.data());
      sum_axis(wide.data(), 2, n, inner, got_wide.data(), partial.data());
      for (int64_t i = 0; i < 2 * inner; ++i) {
        // Of no values there is no first one to point at.
        const double* first = n == 0 ? nullptr : wide.data() + i / inner * n * inner + i % inner;
        const double want = reference::sum_strided<double>(first, n, inner);
        ASSERT_NEAR(got[static_cast<size_t>(i)], want, 1e-12) << n << " x " << inner;
        ASSERT_NEAR(got_wide[static_cast<size_t>(i)], want, 1e-12) << n << " x " << inner;
      }
    }
  }
}

TEST(SumKernel, ManyBlocksAreExactForIntegers) {
  for (int64_t inner : {1, 3, 600, 1500}) {
    const int64_t n = inner == 1 ? 100001 : 7001;
    std::vector<float> x(static_cast<size_t>(n * inner));
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 101) - 50;
    const SumBlocks blocks = sum_blocks(n, inner);
    ASSERT_GT(blocks.count, 1);
    std::vector<double> got(static_cast<size_t>(inner)), partial(static_cast<size_t>(blocks.count * inner));
    sum_axis(x.data(), 1, n, inner, got.data(), partial.data());
    for (int64_t c = 0; c < inner; ++c)
      ASSERT_EQ(got[static_cast<size_t>(c)], reference::sum_strided<double>(x.data() + c, n, inner));
  }
}

TEST(SoftmaxKernel, EveryTailLength) {
  for (int64_t inner = 1; inner <= 40; ++inner) {
    for (int64_t n : {1, 2, 5, 31, 33, 64, 67}) {
      if (inner > 3 && n > 5 && inner % 5 != 0) continue;
      const SoftmaxAxis axis{2, n, inner};
      const std::vector<float> x = normal(2 * n * inner, 1), g = normal(2 * n * inner, 2);
      const std::vector<double> wide_x(x.begin(), x.end()), wide_g(g.begin(), g.end());
      std::vector<float> y(x.size()), grad(x.size());
      std::vector<double> wide_y(x.size()), wide_grad(x.size());
      for (bool logarithm : {false, true}) {
        softmax(axis, logarithm, x.data(), y.data());
        softmax(axis, logarithm, wide_x.data(), wide_y.data());
        softmax_backward(axis, logarithm, g.data(), y.data(), grad.data());
        softmax_backward(axis, logarithm, wide_g.data(), wide_y.data(), wide_grad.data());
        for (size_t i = 0; i < x.size(); ++i) {
          ASSERT_NEAR(y[i], wide_y[i], 6e-7 * std::max(1.0, std::abs(wide_y[i]))) << n << " x " << inner;
          ASSERT_NEAR(grad[i], wide_grad[i], 4e-6 * std::max(1.0, std::abs(wide_grad[i]))) << n << " x " << inner;
        }
      }
    }
  }
}

TEST(SoftmaxKernel, BackwardIsTheComplexStepDerivative) {
  constexpr int64_t kCount = 6;
  constexpr double kStep = 1e-50;
  using Complex = std::complex<double>;
  const double x[kCount] = {0.3, -1.2, 2.5, 0, 0.7, -0.4}, g[kCount] = {1, -2, 0.5, 0.25, -1, 3};
  for (bool logarithm : {false, true}) {
    double y[kCount], grad[kCount];
    reference::softmax(logarithm, x, y, kCount, 1);
    reference::softmax_backward(logarithm, g, y, grad, kCount, 1);
    for (int64_t i = 0; i < kCount; ++i) {
      Complex stepped[kCount], result[kCount];
      std::copy(x, x + kCount, stepped);
      stepped[i] += Complex(0, kStep);
      reference::softmax(logarithm, stepped, result, kCount, 1);
      double slope = 0;
      for (int64_t k = 0; k < kCount; ++k) slope += g[k] * result[k].imag() / kStep;
      EXPECT_NEAR(grad[i], slope, 1e-15);
    }
  }
}

TEST(ArgmaxKernel, TilesAgreeWithTheReference) {
  for (int64_t inner : {1, 2, 255, 256, 300}) {
    std::vector<float> x = normal(3 * 9 * inner, 4);
    for (size_t i = 0; i < x.size(); i += 13) x[i] = std::nanf("");
    for (size_t i = 0; i < x.size(); i += 5) x[i] = 3.0f;  // equals
    std::vector<int64_t> got(static_cast<size_t>(3 * inner));
    argmax_axis(x.data(), 3, 9, inner, got.data());
    for (int64_t i = 0; i < 3 * inner; ++i) {
      ASSERT_EQ(got[static_cast<size_t>(i)], reference::argmax_strided(x.data() + i / inner * 9 * inner + i % inner, 9, inner));
    }
  }
}

TEST(LargestKernel, EveryRowAndColumnLength) {
  for (int64_t n : {0, 1, 2, 3, 5, 7, 8, 9, 16, 31, 33, 63, 64, 65, 100, 300}) {
    for (int64_t inner : {1, 2, 7, 8, 31, 33, 65, 600}) {
      for (int64_t outer : {1, 3, 40}) {
        if (outer * n * inner > 100000) continue;
        for (bool nan : {false, true}) {
          std::vector<float> x = normal(outer * n * inner, 4), got(static_cast<size_t>(outer * inner));
          for (size_t i = 0; nan && i < x.size(); i += 41) x[i] = std::nanf("");
          largest_axis(x.data(), outer, n, inner, got.data());
          for (int64_t i = 0; i < outer * inner; ++i) {
            float want = -INFINITY;
            for (int64_t r = 0; r < n; ++r) {
              const float v = x[static_cast<size_t>((i / inner * n + r) * inner + i % inner)];
              if (std::isnan(v) || v > want) want = v;
              if (std::isnan(v)) break;
            }
            if (std::isnan(want)) {
              ASSERT_TRUE(std::isnan(got[static_cast<size_t>(i)])) << outer << " " << n << " " << inner;
            } else {
              ASSERT_EQ(got[static_cast<size_t>(i)], want) << outer << " " << n << " " << inner;
            }
          }
        }
      }
    }
  }
}

TEST(GatherKernel, TransposesOfEverySize) {
  for (int64_t rows = 1; rows <= 70; rows += 3) {
    for (int64_t columns = 1; columns <= 70; columns += 3) {
      std::vector<float> x(static_cast<size_t>(rows * columns)), y(x.size());
      for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
      gather({columns, rows}, {1, columns}, sizeof(float), x.data(), y.data());
      for (int64_t c = 0; c < columns; ++c) {
        for (int64_t r = 0; r < rows; ++r) ASSERT_EQ(y[static_cast<size_t>(c * rows + r)], x[static_cast<size_t>(r * columns + c)]);
      }
    }
  }
}

}  // namespace
}  // namespace convoy::kernels
