#include "convoy/kernels/norm/channel_layer_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/kernel_check_test.h"

namespace convoy::kernels {
namespace {

using kernel_check::GuardedFloats;

// Values far from 0 as well: the variance must not be the difference of two large numbers.
void fill(GuardedFloats& values, size_t count, unsigned seed, float mean) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> draw(mean, 1.0f);
  for (size_t i = 0; i < count; ++i) values.data()[i] = draw(engine);
}

void expect_definition(int64_t channels, int64_t positions, float mean, bool with_bias) {
  constexpr int64_t kBatch = 2;
  constexpr double kEps = 1e-6;
  const auto count = static_cast<size_t>(kBatch * channels * positions), size = static_cast<size_t>(channels);
  std::vector<float> first;
  for (const int threads : {1, 2, 5}) {
    SCOPED_TRACE(std::to_string(channels) + " channels, " + std::to_string(positions) + " positions, mean " + std::to_string(mean) +
                 " on " + std::to_string(threads));
    set_num_threads(threads);
    const bool at_end = threads != 2;
    GuardedFloats x(count, at_end), y(count, at_end), weight(size, at_end), bias(size, at_end);
    fill(x, count, 1, mean);
    fill(weight, size, 2, 1);
    fill(bias, size, 3, 0);
    channel_layer_norm(kBatch, channels, positions, kEps, x.data(), weight.data(), with_bias ? bias.data() : nullptr, y.data());
    for (int64_t n = 0; n < kBatch; ++n) {
      for (int64_t p = 0; p < positions; ++p) {
        const auto at = [&](int64_t c) { return static_cast<size_t>((n * channels + c) * positions + p); };
        double average = 0, var = 0;
        for (int64_t c = 0; c < channels; ++c) average += x.data()[at(c)];
        average /= static_cast<double>(channels);
        for (int64_t c = 0; c < channels; ++c) var += (x.data()[at(c)] - average) * (x.data()[at(c)] - average);
        var /= static_cast<double>(channels);
        for (int64_t c = 0; c < channels; ++c) {
          const auto k = static_cast<size_t>(c);
          const double want =
              (x.data()[at(c)] - average) / std::sqrt(var + kEps) * weight.data()[k] + (with_bias ? bias.data()[k] : 0.0f);
          // What rounding the mean alone may do.
          const double centring = 2e-7 * std::abs(average) / std::sqrt(var + kEps) * std::abs(weight.data()[k]);
          ASSERT_NEAR(y.data()[at(c)], want, 2e-6 * (1 + std::abs(want)) + centring) << n << " " << c << " " << p;
        }
      }
    }
    std::vector<float> bits(y.data(), y.data() + count);
    if (first.empty()) first = bits;
    EXPECT_EQ(std::memcmp(first.data(), bits.data(), count * sizeof(float)), 0) << "other bits";
    const size_t sample = count / 2;
    GuardedFloats alone(sample, at_end);
    channel_layer_norm(1, channels, positions, kEps, x.data() + sample, weight.data(), with_bias ? bias.data() : nullptr,
                       alone.data());
    EXPECT_EQ(std::memcmp(first.data() + sample, alone.data(), sample * sizeof(float)), 0) << "a sample alone";
  }
  set_num_threads(0);
}

TEST(ChannelLayerNorm, IsItsDefinition) {
  for (const int64_t channels : {2, 3, 16, 17, 31, 96, 100}) {
    for (const int64_t positions : {1, 2, 7, 15, 16, 17, 33, 49, 196})
      expect_definition(channels, positions, 0, positions % 2 == 0);
  }
}

TEST(ChannelLayerNorm, FarFromZero) { expect_definition(64, 50, 300, true); }

}  // namespace
}  // namespace convoy::kernels
