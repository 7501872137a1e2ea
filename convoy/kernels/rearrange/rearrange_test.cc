#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/kernels/rearrange/pixel_shuffle.h"
#include "convoy/kernels/rearrange/unfold_reference.h"

namespace convoy::kernels {
namespace {

TEST(Unfold, AndFoldEqualTheReference) {
  std::mt19937 rng(7);
  const auto pick = [&](int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(rng); };
  for (int round = 0; round < 400; ++round) {
    UnfoldShape s;
    s.batch = pick(0, 2);
    s.channels = pick(1, 3);
    for (size_t a = 1; a < 3; ++a) {
      const int64_t padding = pick(0, 4);
      s.axes[a] = {
          .kernel_size = pick(1, 4), .stride = pick(1, 3), .dilation = pick(1, 3), .pad_begin = padding, .pad_end = padding};
      s.input[a] = pick(1, 9);
    }
    const auto completed = shape::complete(s);
    ASSERT_TRUE(completed.ok());
    s = *completed;
    if (s.output[1] < 1 || s.output[2] < 1) continue;
    set_num_threads(1 + round % 3);
    std::vector<float> input(static_cast<size_t>(s.planes() * s.input_positions()));
    for (float& v : input) v = static_cast<float>(pick(-9, 9));
    std::vector<float> columns(
        static_cast<size_t>(s.planes() * s.axes[1].kernel_size * s.axes[2].kernel_size * s.output_positions()));
    std::vector<float> got(columns.size(), -77);
    unfold_reference(s, input.data(), columns.data());
    unfold(s, input.data(), got.data());
    ASSERT_EQ(columns, got);
    std::vector<float> image(input.size(), -77), want(input.size());
    fold_reference(s, columns.data(), want.data());
    fold(s, columns.data(), image.data());
    ASSERT_EQ(want, image);
  }
  set_num_threads(0);
}

TEST(PixelShuffle, MovesChannelsIntoSpaceAndBack) {
  // Two channels of 2 x 1 for each of 1 plane: r = 2, so 4 input channels of height 1 and width 2.
  const PixelShuffleShape s{1, 2, 1, 2};
  const std::vector<float> input{0, 1, 2, 3, 4, 5, 6, 7};
  std::vector<float> output(8), back(8);
  pixel_shuffle<4>(s, input.data(), output.data());
  EXPECT_EQ(output, (std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7}));
  pixel_unshuffle<4>(s, output.data(), back.data());
  EXPECT_EQ(back, input);
}

TEST(PixelShuffle, UnshuffleIsTheInverse) {
  for (const PixelShuffleShape& s : {PixelShuffleShape{3, 3, 4, 5}, {2, 1, 3, 3}, {5, 4, 1, 1}, {1, 2, 70, 90}, {0, 2, 3, 3}}) {
    std::vector<double> input(static_cast<size_t>(s.planes * s.factor * s.factor * s.height * s.width));
    std::iota(input.begin(), input.end(), 0.0);
    std::vector<double> output(input.size()), back(input.size());
    pixel_shuffle<8>(s, input.data(), output.data());
    for (int64_t p = 0; p < s.planes; ++p) {
      for (int64_t y = 0; y < s.height * s.factor; ++y) {
        for (int64_t x = 0; x < s.width * s.factor; ++x) {
          const int64_t channel = (p * s.factor + y % s.factor) * s.factor + x % s.factor;
          ASSERT_EQ(output[static_cast<size_t>((p * s.height * s.factor + y) * s.width * s.factor + x)],
                    input[static_cast<size_t>((channel * s.height + y / s.factor) * s.width + x / s.factor)]);
        }
      }
    }
    pixel_unshuffle<8>(s, output.data(), back.data());
    EXPECT_EQ(back, input);
  }
}

}  // namespace
}  // namespace convoy::kernels
