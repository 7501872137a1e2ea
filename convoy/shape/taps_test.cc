#include "convoy/shape/taps.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "convoy/shape/conv.h"

namespace convoy::shape {
namespace {

// Calls f(n, outputs, axis) for every small convolution.
template <class F>
void for_each_axis(F&& f) {
  for (int64_t n = 1; n <= 8; ++n) {
    for (int64_t k = 1; k <= 4; ++k) {
      for (int64_t s = 1; s <= 4; ++s) {
        for (int64_t d = 1; d <= 3; ++d) {
          for (int64_t pb = -1; pb <= 4; ++pb) {
            for (int64_t pe = -1; pe <= 4; ++pe) {
              const Axis axis{k, s, d, pb, pe};
              const Result<int64_t> o = output_size(n, axis);
              if (o) f(n, *o, axis);
            }
          }
        }
      }
    }
  }
}

TEST(Taps, ValidTapsAreThoseInsideTheInput) {
  for_each_axis([](int64_t n, int64_t outputs, const Axis& axis) {
    for (int64_t o = 0; o < outputs; ++o) {
      const Range taps = valid_taps(o, n, axis);
      ASSERT_LE(taps.begin, taps.end);
      for (int64_t k = 0; k < axis.kernel_size; ++k) {
        const int64_t i = input_index(o, k, axis);
        ASSERT_EQ(i, o * axis.stride - axis.pad_begin + k * axis.dilation);
        ASSERT_EQ(i >= 0 && i < n, k >= taps.begin && k < taps.end);
      }
    }
  });
}

TEST(Taps, ValidOutputsAreTheSameSeenFromTheTap) {
  for_each_axis([](int64_t n, int64_t outputs, const Axis& axis) {
    int64_t inside = 0;
    for (int64_t o = 0; o < outputs; ++o) inside += valid_taps(o, n, axis).size();
    ASSERT_EQ(taps_inside(n, outputs, axis), inside);
    for (int64_t k = 0; k < axis.kernel_size; ++k) {
      const Range valid = valid_outputs(k, n, outputs, axis);
      ASSERT_LE(valid.begin, valid.end);
      ASSERT_LE(valid.end, outputs);
      for (int64_t o = 0; o < outputs; ++o) {
        const int64_t i = input_index(o, k, axis);
        ASSERT_EQ(i >= 0 && i < n, o >= valid.begin && o < valid.end);
      }
    }
  });
}

TEST(Taps, OutputIndexInvertsInputIndex) {
  for_each_axis([](int64_t n, int64_t outputs, const Axis& axis) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t k = 0; k < axis.kernel_size; ++k) {
        int64_t expected = -1;
        for (int64_t o = 0; o < outputs; ++o) {
          if (input_index(o, k, axis) == i) expected = o;
        }
        ASSERT_EQ(output_index(i, k, outputs, axis), expected);
      }
    }
  });
}

TEST(Taps, AWindowInThePaddingReadsNothing) {
  const Axis axis{2, 2, 1, 4, 4};
  EXPECT_TRUE(valid_taps(0, 3, axis).empty());
  EXPECT_TRUE(valid_taps(1, 3, axis).empty());
  EXPECT_EQ(valid_taps(2, 3, axis), (Range{0, 2}));
  EXPECT_EQ(valid_taps(3, 3, axis), (Range{0, 1}));
  EXPECT_EQ(valid_taps(4, 3, axis).size(), 0);
}

TEST(Taps, TheWholeRangeIsExactAtTheEdgeOf64Bits) {
  // The largest sizes that complete() lets through on one axis.
  const int64_t n = int64_t{1} << 58;
  const Axis axis{int64_t{1} << 58, 3, 1, int64_t{1} << 57, int64_t{1} << 57};
  const Result<int64_t> outputs = output_size(n, axis);
  ASSERT_TRUE(outputs.ok());
  const int64_t last = *outputs - 1;
  EXPECT_EQ(valid_taps(0, n, axis), (Range{int64_t{1} << 57, axis.kernel_size}));
  EXPECT_EQ(valid_taps(last, n, axis), (Range{0, n - (last * 3 - axis.pad_begin)}));
  EXPECT_EQ(valid_outputs(axis.kernel_size - 1, n, *outputs, axis).begin, 0);
}

TEST(AdaptiveWindow, CoversTheInputInOrder) {
  for (int64_t n = 1; n <= 12; ++n) {
    for (int64_t outputs = 1; outputs <= 15; ++outputs) {
      int64_t previous_begin = 0;
      for (int64_t o = 0; o < outputs; ++o) {
        const Range w = adaptive_window(o, n, outputs);
        EXPECT_EQ(w.begin, o * n / outputs);
        EXPECT_EQ(w.end, ((o + 1) * n + outputs - 1) / outputs);
        EXPECT_GE(w.size(), 1);
        EXPECT_GE(w.begin, previous_begin);
        previous_begin = w.begin;
        if (n % outputs == 0) {
          EXPECT_EQ(w, (Range{o * (n / outputs), (o + 1) * (n / outputs)}));
        }
      }
      EXPECT_EQ(adaptive_window(0, n, outputs).begin, 0);
      EXPECT_EQ(adaptive_window(outputs - 1, n, outputs).end, n);
    }
  }
}

}  // namespace
}  // namespace convoy::shape
