#include "convoy/kernels/elementwise/channel_affine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/kernels/elementwise/activation_reference.h"

namespace convoy::kernels {
namespace {

using kernel_check::GuardedFloats;

void fill(GuardedFloats& values, size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> draw(0.0f, 2.0f);
  for (size_t i = 0; i < count; ++i) values.data()[i] = draw(engine);
}

const struct {
  const char* name;
  std::optional<Activation> activation;
} kEpilogues[] = {{"none", {}},
                  {"relu", Activation::kRelu},
                  {"relu6", Activation::kRelu6},
                  {"silu", Activation::kSilu},
                  {"hardswish", Activation::kHardswish}};

// Every tail, at both ends of guarded memory, in place and not, on 1, 2 and 5 threads, a sample alone and in a batch.
TEST(ChannelAffine, IsItsDefinition) {
  for (const auto& row : kEpilogues) {
    for (int64_t positions = 1; positions <= 70; positions += positions < 35 ? 1 : 7) {
      const ChannelPlanes planes{3, 5, positions};
      const auto count = static_cast<size_t>(planes.batch * planes.channels * positions),
                 channels = static_cast<size_t>(planes.channels);
      std::vector<float> first;
      for (const int threads : {1, 2, 5}) {
        SCOPED_TRACE(std::string(row.name) + " " + std::to_string(positions) + " on " + std::to_string(threads));
        set_num_threads(threads);
        const bool at_end = threads != 2;
        GuardedFloats x(count, at_end), y(count, at_end), scale(channels, at_end), shift(channels, at_end);
        fill(x, count, 1);
        fill(scale, channels, 2);
        fill(shift, channels, 3);
        const Epilogue<float> epilogue{nullptr, row.activation, {}};
        channel_affine(planes, x.data(), scale.data(), shift.data(), epilogue, y.data());
        for (size_t i = 0; i < count; ++i) {
          const size_t c = i / static_cast<size_t>(positions) % channels;
          const double sum = static_cast<double>(x.data()[i]) * scale.data()[c] + shift.data()[c];
          const double want = row.activation ? reference::activation(*row.activation, ActivationOptions{}, sum) : sum;
          const double size = std::abs(static_cast<double>(x.data()[i]) * scale.data()[c]) + std::abs(shift.data()[c]);
          ASSERT_NEAR(y.data()[i], want, 4e-7 * (1 + size)) << i;
        }
        std::vector<float> bits(y.data(), y.data() + count);
        if (first.empty()) first = bits;
        EXPECT_EQ(std::memcmp(first.data(), bits.data(), count * sizeof(float)), 0) << "other bits";
        const auto sample = count / 3;
        GuardedFloats alone(sample, at_end);
        channel_affine({1, planes.channels, positions}, x.data() + sample, scale.data(), shift.data(), epilogue, alone.data());
        EXPECT_EQ(std::memcmp(first.data() + sample, alone.data(), sample * sizeof(float)), 0) << "a sample alone";
        channel_affine(planes, x.data(), scale.data(), shift.data(), epilogue, x.data());
        EXPECT_EQ(std::memcmp(first.data(), x.data(), count * sizeof(float)), 0) << "in place";
      }
      set_num_threads(0);
    }
  }
}

}  // namespace
}  // namespace convoy::kernels
