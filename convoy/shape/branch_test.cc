#include "convoy/shape/branch.h"

#include <gtest/gtest.h>

#include <limits>

namespace convoy::shape {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max(), kMin = std::numeric_limits<int64_t>::min();

TEST(BranchPadding, TheNarrowKernelReadsWhatItsTapsOfTheWideOneRead) {
  for (int64_t K = 1; K <= 5; ++K) {
    for (int64_t k = 1; k <= K; ++k) {
      for (int64_t first = 0; first <= K - k; ++first) {
        for (const Axis wide : {Axis{K, 1, 1, 0, 0}, Axis{K, 2, 1, 3, 1}, Axis{K, 3, 2, 1, 4}}) {
          const auto own = branch_padding(wide, k, first);
          ASSERT_TRUE(own);
          const Axis narrow{k, wide.stride, wide.dilation, own->begin, own->end};
          for (int64_t n = 9; n < 13; ++n) EXPECT_EQ(*output_size(n, wide), *output_size(n, narrow));
          for (int64_t o = 0; o < 4; ++o) {
            EXPECT_EQ(o * wide.stride - wide.pad_begin + first * wide.dilation, o * narrow.stride - narrow.pad_begin);
          }
        }
      }
    }
  }
  EXPECT_FALSE(branch_padding(Axis{3, 1, 1, 0, 0}, 4, 0));
  EXPECT_FALSE(branch_padding(Axis{3, 1, 1, 0, 0}, 2, 2));
  EXPECT_FALSE(branch_padding(Axis{3, 1, 1, 0, 0}, 1, -1));
  EXPECT_FALSE(branch_padding(Axis{3, 1, 0, 0, 0}, 1, 0));
  EXPECT_FALSE(branch_padding(Axis{3, 1, kMax, 0, 0}, 1, 0));
  EXPECT_FALSE(branch_padding(Axis{3, 1, kMax / 4, kMin, 0}, 1, 1));
}

static_assert(*branch_padding(Axis{3, 1, 1, 1, 1}, 1, 1) == PadPair{0, 0});
static_assert(*branch_padding(Axis{5, 2, 2, 1, 0}, 1, 2) == PadPair{-3, -4});
static_assert(*branch_padding(Axis{4, 1, 1, 2, 2}, 1, 2) == PadPair{0, 1}, "the middle of an even kernel is not its centre");

}  // namespace
}  // namespace convoy::shape
