// Results that go past the caches have the bits of those that do not, and what floats do not hold is infinite. (What results should
// be: ops/norm_test.cc, tests/robustness.)
#include "convoy/kernels/norm/batch_norm.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "convoy/core/storage.h"

namespace convoy::kernels {
namespace {

// Room for `count` floats, at the begin of a line of the cache or one float behind: there nothing is streamed.
class Room {
 public:
  Room(int64_t count, bool aligned)
      : memory_(allocate(static_cast<uint64_t>(count + 1) * sizeof(float))), count_(count), offset_(aligned ? 0 : 1) {}
  float* data() const { return static_cast<float*>(memory_.get()) + offset_; }
  std::vector<float> values() const { return {data(), data() + count_}; }

 private:
  std::shared_ptr<void> memory_;
  int64_t count_, offset_;
};

struct Results {
  std::vector<float> output, grad_input, grad_residual;
  std::vector<double> mean, inv_std, grad_weight, grad_bias;
  bool operator==(const Results&) const = default;
};

Results run(const BatchNormShape& s, bool aligned, bool with_residual, float low) {
  const int64_t count = s.batch * s.channels * s.length;
  const auto channels = static_cast<size_t>(s.channels);
  std::minstd_rand engine(1);
  const auto draw = [&](const Room& room) {
    for (int64_t i = 0; i < count; ++i) room.data()[i] = static_cast<float>(static_cast<int>(engine() >> 8 & 0xfff) - 2048) / 512;
  };
  const Room input(count, true), residual(count, true), grad(count, true);
  for (const Room* room : {&input, &residual, &grad}) draw(*room);
  const Room output(count, aligned), grad_input(count, aligned), grad_residual(count, aligned);
  const auto parts = static_cast<size_t>(batch_norm_parts(s)) * channels;
  std::vector<Moments> moments(parts);
  std::vector<GradSums> sums(parts);
  std::vector<double> squares(channels);
  Results r{{}, {}, {}, squares, squares, squares, squares};
  const float high = std::numeric_limits<float>::infinity();
  batch_norm(s, {.input = input.data(),
                 .weight = nullptr,
                 .bias = nullptr,
                 .residual = with_residual ? residual.data() : nullptr,
                 .eps = 1e-5,
                 .low = low,
                 .high = high,
                 .output = output.data(),
                 .mean = r.mean.data(),
                 .inv_std = r.inv_std.data(),
                 .squares = squares.data(),
                 .partial = moments.data()});
  batch_norm_backward(s, {.grad_output = grad.data(),
                          .input = input.data(),
                          .output = with_residual ? output.data() : nullptr,
                          .weight = nullptr,
                          .bias = nullptr,
                          .mean = r.mean.data(),
                          .inv_std = r.inv_std.data(),
                          .low = low,
                          .high = high,
                          .grad_input = grad_input.data(),
                          .grad_residual = with_residual ? grad_residual.data() : nullptr,
                          .grad_weight = r.grad_weight.data(),
                          .grad_bias = r.grad_bias.data(),
                          .partial = sums.data()});
  r.output = output.values();
  r.grad_input = grad_input.values();
  if (with_residual) r.grad_residual = grad_residual.values();
  return r;
}

TEST(BatchNormKernel, StreamedResultsHaveTheSameBits) {
  const float none = -std::numeric_limits<float>::infinity();
  const struct {
    BatchNormShape shape;
    bool with_residual;
    float low;
  } cases[] = {{{4, 33, 16384}, true, 0}, {{4, 33, 16384}, false, 0}, {{4, 33, 16384}, false, none}, {{3, 2, 400000}, true, 0}};
  for (const auto& [shape, with_residual, low] : cases) {
    const Results streamed = run(shape, true, with_residual, low), stored = run(shape, false, with_residual, low);
    EXPECT_TRUE(streamed == stored) << shape.channels << " channels, residual " << with_residual << ", from " << low;
  }
}

TEST(BatchNormKernel, GradientsTooLargeAreInfinite) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (int64_t length = 4; length < 24; ++length) {
    std::vector<float> input(static_cast<size_t>(length)), grad(input), grad_input(input);
    for (size_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(i % 2);
    grad[0] = 3e38F;
    const float weight = 100;
    const double mean = static_cast<double>(length / 2) / static_cast<double>(length), inv_std = 2;
    double grad_weight = 0, grad_bias = 0;
    GradSums sums;
    batch_norm_backward({1, 1, length}, {.grad_output = grad.data(),
                                         .input = input.data(),
                                         .output = nullptr,
                                         .weight = &weight,
                                         .bias = nullptr,
                                         .mean = &mean,
                                         .inv_std = &inv_std,
                                         .low = -kInf,
                                         .high = kInf,
                                         .grad_input = grad_input.data(),
                                         .grad_residual = nullptr,
                                         .grad_weight = &grad_weight,
                                         .grad_bias = &grad_bias,
                                         .partial = &sums});
    EXPECT_EQ(grad_input[0], kInf) << length;
    EXPECT_EQ(grad_input[2], -kInf) << length;
  }
}

}  // namespace
}  // namespace convoy::kernels
