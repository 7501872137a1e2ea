#include "convoy/kernels/elementwise/squeeze_excite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/kernels/elementwise/activation_reference.h"

namespace convoy::kernels {
namespace {

using kernel_check::GuardedFloats;

struct Case {
  SqueezeExciteShape shape;
  bool biases;
  std::optional<Activation> squeeze, gate;
};

void fill(GuardedFloats& values, int64_t count, float scale, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> draw(0.3f, 1.0f);
  for (int64_t i = 0; i < count; ++i) values.data()[i] = scale * draw(engine);
}

// The definition, in double.
std::vector<double> reference_of(const Case& c, const float* x, const float* squeeze, const float* excite,
                                 const float* squeeze_bias, const float* excite_bias) {
  const SqueezeExciteShape& s = c.shape;
  const auto value = [](const std::optional<Activation>& kind, double v) {
    return kind ? reference::activation(*kind, ActivationOptions{}, v) : v;
  };
  std::vector<double> y;
  for (int64_t sample = 0; sample < s.batch; ++sample, x += s.channels * s.positions) {
    std::vector<double> means(static_cast<size_t>(s.channels)), narrow(static_cast<size_t>(s.squeezed));
    for (int64_t i = 0; i < s.channels * s.positions; ++i)
      means[static_cast<size_t>(i / s.positions)] += x[i] / static_cast<double>(s.positions);
    for (int64_t o = 0; o < s.squeezed; ++o) {
      double sum = squeeze_bias != nullptr ? squeeze_bias[o] : 0;
      for (int64_t i = 0; i < s.channels; ++i) sum += squeeze[o * s.channels + i] * means[static_cast<size_t>(i)];
      narrow[static_cast<size_t>(o)] = value(c.squeeze, sum);
    }
    for (int64_t o = 0; o < s.channels; ++o) {
      double sum = excite_bias != nullptr ? excite_bias[o] : 0;
      for (int64_t i = 0; i < s.squeezed; ++i) sum += excite[o * s.squeezed + i] * narrow[static_cast<size_t>(i)];
      for (int64_t i = 0; i < s.positions; ++i) y.push_back(x[o * s.positions + i] * value(c.gate, sum));
    }
  }
  return y;
}

// Channels and squeezed values on both sides of blocks, planes on both sides of vectors, at both ends of guarded memory, in place
// and not, on 1, 2 and 5 threads, a sample alone and in a batch.
TEST(SqueezeExcite, IsItsDefinition) {
  const Case cases[] = {{{1, 1, 1, 1}, true, {}, {}},
                        {{3, 17, 6, 5}, true, Activation::kRelu, Activation::kSigmoid},
                        {{2, 32, 49, 16}, false, Activation::kSilu, Activation::kSigmoid},
                        {{2, 100, 35, 33}, true, Activation::kRelu, Activation::kHardsigmoid},
                        {{2, 300, 7, 70}, true, {}, Activation::kSigmoid},
                        {{1, 16, 784, 3}, false, Activation::kHardswish, {}}};
  for (const Case& c : cases) {
    const SqueezeExciteShape& s = c.shape;
    const int64_t count = s.batch * s.channels * s.positions, weights = s.channels * s.squeezed;
    std::vector<float> first;
    for (const int threads : {1, 2, 5}) {
      SCOPED_TRACE(std::to_string(s.channels) + " channels on " + std::to_string(threads) + " threads");
      set_num_threads(threads);
      const bool at_end = threads != 2;
      const auto size = [](int64_t n) { return static_cast<size_t>(n); };
      GuardedFloats x(size(count), at_end), y(size(count), at_end), squeeze(size(weights), at_end), excite(size(weights), at_end),
          squeeze_bias(size(s.squeezed), at_end), excite_bias(size(s.channels), at_end);
      fill(x, count, 1.0f, 1);
      fill(squeeze, weights, 1.0f / static_cast<float>(s.channels), 2);
      fill(excite, weights, 1.0f / static_cast<float>(s.squeezed), 3);
      fill(squeeze_bias, s.squeezed, 1.0f, 4);
      fill(excite_bias, s.channels, 1.0f, 5);
      Workspace packed(padded_bytes(size(squeeze_excite_packed_floats(s)) * sizeof(float)));
      auto* const weight = packed.take<float>(squeeze_excite_packed_floats(s));
      squeeze_excite_pack(s, squeeze.data(), excite.data(), weight);
      SqueezeExciteActivations activations;
      activations.squeeze = c.squeeze;
      activations.gate = c.gate;
      const float *const b1 = c.biases ? squeeze_bias.data() : nullptr, *const b2 = c.biases ? excite_bias.data() : nullptr;
      const auto run = [&](int64_t batch, const float* from, float* to) {
        SqueezeExciteShape part = s;
        part.batch = batch;
        Workspace workspace(squeeze_excite_workspace_bytes(part, threads));
        squeeze_excite(part, activations, from, weight, b1, b2, to, workspace);
      };
      run(s.batch, x.data(), y.data());
      const std::vector<double> want = reference_of(c, x.data(), squeeze.data(), excite.data(), b1, b2);
      for (int64_t i = 0; i < count; ++i) ASSERT_NEAR(y.data()[i], want[size(i)], 2e-6 * (1 + std::abs(want[size(i)]))) << i;
      std::vector<float> bits(y.data(), y.data() + count);
      if (first.empty()) first = bits;
      EXPECT_EQ(std::memcmp(first.data(), bits.data(), size(count) * sizeof(float)), 0) << "other bits";
      const int64_t sample = s.channels * s.positions, last = (s.batch - 1) * sample;
      GuardedFloats alone(size(sample), at_end);
      run(1, x.data() + last, alone.data());
      EXPECT_EQ(std::memcmp(first.data() + last, alone.data(), size(sample) * sizeof(float)), 0) << "a sample alone";
      run(s.batch, x.data(), x.data());
      EXPECT_EQ(std::memcmp(first.data(), x.data(), size(count) * sizeof(float)), 0) << "in place";
    }
    set_num_threads(0);
  }
}

}  // namespace
}  // namespace convoy::kernels
