// Every SIMD tail length of the parts of normalisation against the plain loops in double, on arrays of exactly their size.
#include "convoy/kernels/norm/norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "convoy/kernels/norm/norm_reference.h"

namespace convoy::kernels {
namespace {

std::vector<float> normal(int64_t count, unsigned seed, float mean = 0) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> draw(mean, 1.0f);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = draw(engine);
  return values;
}

std::vector<double> widened(const std::vector<float>& v) { return {v.begin(), v.end()}; }

// (N, C, L) seen per channel.
NormGroups channels_of(int64_t batch, int64_t channels, int64_t length) {
  return {channels, batch, length, length, channels * length};
}

TEST(NormKernel, MomentsAndGradientSumsOfEveryLength) {
  for (int64_t length = 1; length <= 40; ++length) {
    for (int64_t channels : {1, 3, 17, 300}) {
      if (channels > 17 && length > 2) continue;
      const NormGroups layout = channels_of(3, channels, length);
      const std::vector<float> x = normal(3 * channels * length, 1, 100.0f), g = normal(3 * channels * length, 2);
      const size_t parts = static_cast<size_t>(moments_parts(layout) * channels);
      std::vector<Moments> partial(parts), got(static_cast<size_t>(channels)), want(got);
      moments(layout, x.data(), partial.data(), got.data());
      moments(layout, widened(x).data(), partial.data(), want.data());
      std::vector<double> means;
      for (const Moments& m : want) means.push_back(m.mean());
      std::vector<GradSums> partial_sums(parts), sums(got.size()), want_sums(got.size());
      grad_sums(layout, g.data(), x.data(), means.data(), partial_sums.data(), sums.data());
      grad_sums(layout, widened(g).data(), widened(x).data(), means.data(), partial_sums.data(), want_sums.data());
      for (size_t c = 0; c < got.size(); ++c) {
        ASSERT_EQ(got[c].count, 3 * length);
        ASSERT_NEAR(got[c].sum, want[c].sum, 1e-9) << length << " x " << channels;
        ASSERT_NEAR(got[c].squares, want[c].squares, 1e-9) << length << " x " << channels;
        ASSERT_NEAR(sums[c].grad, want_sums[c].grad, 1e-5);
        ASSERT_NEAR(sums[c].product, want_sums[c].product, 1e-3);
      }
    }
  }
}

TEST(NormKernel, MomentsOfManyPartsJoin) {
  const struct { int64_t batch, channels, length; } cases[] = {{3000, 5, 1}, {2, 2, 70000}, {900, 2, 100}};
  for (const auto& [batch, channels, length] : cases) {
    const NormGroups layout = channels_of(batch, channels, length);
    ASSERT_GT(moments_parts(layout), 1);
    std::vector<float> x(static_cast<size_t>(batch * channels * length));
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 101);
    std::vector<Moments> partial(static_cast<size_t>(moments_parts(layout) * channels)), got(static_cast<size_t>(channels));
    moments(layout, x.data(), partial.data(), got.data());
    for (int64_t c = 0; c < channels; ++c) {
      std::vector<double> values;
      for (int64_t n = 0; n < batch; ++n) {
        for (int64_t i = 0; i < length; ++i)
          values.push_back(static_cast<double>(x[static_cast<size_t>((n * channels + c) * length + i)]));
      }
      double sum = 0, squares = 0;
      reference::moments(values.data(), static_cast<int64_t>(values.size()), sum, squares);
      const Moments& m = got[static_cast<size_t>(c)];
      EXPECT_EQ(m.sum, sum) << "sums of integers are exact";
      EXPECT_NEAR(m.squares, squares, 1e-12 * squares);
    }
  }
}

TEST(NormKernel, PlanesOfEveryLength) {
  for (int64_t length = 1; length <= 40; ++length) {
    for (int64_t period : {1, 3, 17}) {
      const NormPlanes layout{2 * period, length, period};
      const int64_t count = 2 * period * length;
      const std::vector<float> x = normal(count, 1), g = normal(count, 2), center = normal(period, 3), scale = normal(period, 4),
                               shift = normal(period, 5);
      std::vector<float> y(x.size()), grad(x.size());
      normalize_planes(layout, x.data(), center.data(), scale.data(), shift.data(), y.data());
      const std::vector<double> c = widened(center), a = widened(scale), b = widened(shift);
      grad_planes(layout, g.data(), x.data(), c.data(), a.data(), b.data(), c.data(), grad.data());
      for (int64_t i = 0; i < count; ++i) {
        const auto p = static_cast<size_t>(i / length % period), at = static_cast<size_t>(i);
        const double value = static_cast<double>(x[at]);
        ASSERT_NEAR(y[at], (value - c[p]) * a[p] + b[p], 4e-6);
        ASSERT_NEAR(grad[at], static_cast<double>(g[at]) * a[p] + (value - c[p]) * b[p] + c[p], 4e-6);
      }
    }
  }
}

TEST(NormKernel, RowsOfEveryLength) {
  constexpr int64_t kRows = 5;
  for (int64_t length = 1; length <= 40; ++length) {
    const std::vector<float> x = normal(kRows * length, 1), g = normal(kRows * length, 2), center = normal(kRows, 3),
                             scale = normal(kRows, 4), shift = normal(kRows, 5), weight = normal(length, 6),
                             bias = normal(length, 7);
    const std::vector<double> mean = widened(center), inv_std = widened(scale), wide_x = widened(x), wide_g = widened(g),
                              wide_shift = widened(shift), wide_weight = widened(weight), wide_bias = widened(bias);
    std::vector<float> y(x.size());
    std::vector<double> want(x.size());
    const auto compare = [&] {
      for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], want[i], 4e-6 * std::max(1.0, std::abs(want[i]))) << length;
    };
    for (int which = 0; which < 4; ++which) {
      normalize_rows<float>(kRows, length, x.data(), center.data(), scale.data(), shift.data(), which & 1 ? weight.data() : nullptr,
                            which & 2 ? bias.data() : nullptr, y.data());
      normalize_rows<double>(kRows, length, wide_x.data(), mean.data(), inv_std.data(), wide_shift.data(),
                             which & 1 ? wide_weight.data() : nullptr, which & 2 ? wide_bias.data() : nullptr, want.data());
      compare();
    }
    for (bool weighted : {false, true}) {
      grad_rows<float>(kRows, length, g.data(), x.data(), mean.data(), inv_std.data(), weighted ? weight.data() : nullptr,
                       y.data());
      grad_rows<double>(kRows, length, wide_g.data(), wide_x.data(), mean.data(), inv_std.data(),
                        weighted ? wide_weight.data() : nullptr, want.data());
      compare();
    }
    std::vector<double> grad_sum(static_cast<size_t>(3 * length)), product_sum(grad_sum), want_grad(grad_sum),
        want_product(grad_sum);
    column_sums<float>(kRows, length, 2, g.data(), x.data(), mean.data(), inv_std.data(), grad_sum.data(), product_sum.data());
    column_sums<double>(kRows, length, 2, wide_g.data(), wide_x.data(), mean.data(), inv_std.data(), want_grad.data(),
                        want_product.data());
    for (size_t i = 0; i < grad_sum.size(); ++i) {
      ASSERT_NEAR(grad_sum[i], want_grad[i], 1e-6);
      ASSERT_NEAR(product_sum[i], want_product[i], 1e-6);
    }
  }
}

}  // namespace
}  // namespace convoy::kernels
