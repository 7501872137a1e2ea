// Winograd kernels on the shapes that reach their own code, and their error table.
#include "convoy/kernels/conv/conv_winograd.h"

#include <gtest/gtest.h>

#include "convoy/kernels/conv/kernel_check_test.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

std::vector<const ConvKernel*> winograd_kernels(Direction direction) {
  std::vector<const ConvKernel*> found;
  for (const ConvKernel* kernel : conv_kernels(direction)) {
    if (std::string(kernel->name).starts_with("conv_winograd")) found.push_back(kernel);
  }
  return found;
}

class Winograd : public testing::TestWithParam<Direction> {
 protected:
  void TearDown() override { set_num_threads(0); }
};

// Channels around the vector lengths, sizes around the tiles, blocks over several planes and images, dilations with ragged groups.
TEST_P(Winograd, MatchesTheReference) {
  Random random(7);
  const std::vector<const ConvKernel*> kernels = winograd_kernels(GetParam());
  int ran = 0;
  for (int round = 0; round < 150; ++round) {
    ConvShape s;
    s.rank = static_cast<int>(pick(random, {1, 2, 2, 2, 3}));
    s.batch = pick(random, {1, 1, 2, 3});
    s.groups = pick(random, {1, 1, 1, 2});
    s.in_channels = s.groups * (s.groups == 1 ? pick(random, {1, 3, 8, 15, 16, 17, 30, 33, 64}) : pick(random, {16, 21, 32}));
    s.out_channels = s.groups * (s.groups == 1 ? pick(random, {1, 3, 8, 15, 16, 17, 31, 33, 47, 70}) : pick(random, {16, 21, 34}));
    const int64_t kernel = pick(random, {3, 3, 5}), dilation = pick(random, {1, 1, 1, 2, 3});
    const bool narrow = s.rank > 1 && random() % 4 == 0;
    for (int a = s.first_axis(); a < 3; ++a) {
      const auto at = static_cast<size_t>(a);
      const int64_t most = s.rank == 1 ? 200 : s.rank == 2 ? 40 : 12;
      s.input[at] = a == 0 ? 1 + static_cast<int64_t>(random() % 5) : 1 + static_cast<int64_t>(random()) % most;
      s.axes[at].kernel_size = a == 0 ? pick(random, {1, 2, 3}) : kernel;
      if (narrow && a == static_cast<int>(1 + random() % 2)) s.axes[at].kernel_size = 1;
      s.axes[at].dilation = random() % 5 == 0 ? pick(random, {1, 2, 8}) : dilation;
      s.axes[at].pad_begin = pick(random, {0, 1, 1, 2, 3, 9});
      s.axes[at].pad_end = random() % 3 == 0 ? pick(random, {0, 1, 4}) : s.axes[at].pad_begin;
    }
    const auto complete = shape::complete(s);
    if (!complete || complete->output_count() * complete->in_channels_per_group() * complete->taps() > 20'000'000) continue;
    check_kernels(kernels, GetParam(), shape::essential(*complete), round % 4 == 0, random);
    if (HasFatalFailure()) return;
    for (const ConvKernel* k : kernels) ran += k->refuse(*complete) == nullptr;
  }
  EXPECT_GT(ran, 100);
}

// Chains longer than one cut, and so many channels that the threads share a block.
TEST_P(Winograd, SumsManyChannels) {
  Random random(8);
  for (const int64_t channels : {260, 530}) {
    ConvShape s;
    s.batch = 2;
    s.in_channels = channels;
    s.out_channels = 790 - channels;
    for (size_t a = 1; a < 3; ++a) {
      s.input[a] = 7;
      s.axes[a] = {3, 1, 1, 1, 1};
    }
    check_kernels(winograd_kernels(GetParam()), GetParam(), *shape::complete(s), false, random);
    if (HasFatalFailure()) return;
  }
}

// Padding that the layer takes away from the input instead of adding, which cuts rows and columns off.
TEST_P(Winograd, CropsWithNegativePadding) {
  Random random(9);
  for (const int64_t begin : {-3, -1, 2}) {
    ConvShape s;
    s.in_channels = 5;
    s.out_channels = 6;
    for (size_t a = 1; a < 3; ++a) {
      s.input[a] = 17;
      s.axes[a] = {3, 1, 1, begin, a == 1 ? -2 : 5};
    }
    const auto complete = shape::complete(s);
    if (!complete) continue;
    check_kernels(winograd_kernels(GetParam()), GetParam(), *complete, false, random);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Directions, Winograd, testing::Values(Direction::kForward, Direction::kGradInput),
                         [](const auto& param) { return direction_name(param.param); });

}  // namespace
}  // namespace convoy::kernels
