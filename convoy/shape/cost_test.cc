#include "convoy/shape/cost.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>

#include "convoy/shape/descriptor.h"

namespace convoy::shape {
namespace {

ConvShape of(std::string_view text) {
  const Result<ConvShape> s = parse_descriptor(text);
  EXPECT_TRUE(s.ok()) << text;
  return s.ok() ? *s : ConvShape{};
}

// The loops of a convolution, counted.
void count(const ConvShape& s, int64_t* all, int64_t* inside) {
  const ConvShape plain = s.transposed ? adjoint(s) : s;
  *all = *inside = 0;
  for (int64_t od = 0; od < plain.output[0]; ++od) {
    for (int64_t oh = 0; oh < plain.output[1]; ++oh) {
      for (int64_t ow = 0; ow < plain.output[2]; ++ow) {
        for (int64_t kd = 0; kd < plain.axes[0].kernel_size; ++kd) {
          for (int64_t kh = 0; kh < plain.axes[1].kernel_size; ++kh) {
            for (int64_t kw = 0; kw < plain.axes[2].kernel_size; ++kw) {
              const int64_t id = input_index(od, kd, plain.axes[0]), ih = input_index(oh, kh, plain.axes[1]),
                            iw = input_index(ow, kw, plain.axes[2]);
              const bool hit = id >= 0 && id < plain.input[0] && ih >= 0 && ih < plain.input[1] && iw >= 0 && iw < plain.input[2];
              *all += 1;
              *inside += hit ? 1 : 0;
            }
          }
        }
      }
    }
  }
  const int64_t channels = s.batch * s.out_channels * (s.in_channels / s.groups);
  *all *= channels;
  *inside *= channels;
}

TEST(Cost, NamedLayers) {
  const ConvShape stem = of("ic3 oc64 i224 k7 s2 p3");
  EXPECT_EQ(*macs(stem), 118013952);
  EXPECT_EQ(parameters(stem, false), 9408);
  EXPECT_EQ(parameters(stem, true), 9472);
  EXPECT_EQ(*macs(of("ic3 oc256 i12 k5")), 3 * 256 * 25 * 64);
  // Depthwise 5x5 and pointwise instead: 1/out + 1/k^2 of the multiplications.
  const int64_t separable = *macs(of("ic3 oc3 g3 i12 k5")) + *macs(of("ic3 oc256 i8 k1"));
  EXPECT_EQ(separable, 3 * 25 * 64 + 3 * 256 * 64);
  EXPECT_EQ(separable * 256 * 25, *macs(of("ic3 oc256 i12 k5")) * (25 + 256));
  EXPECT_EQ(parameters(of("ic3 oc256 i12 k5"), true), 19456);
  EXPECT_EQ(parameters(of("ic3 oc3 g3 i12 k5"), true) + parameters(of("ic3 oc256 i8 k1"), true), 78 + 1024);
  EXPECT_EQ(*macs(of("n0 ic3 oc64 i224 k7")), 0);
}

TEST(Cost, TransposedCountsInputPositions) {
  const ConvShape up = of("transposed ic64 oc32 i16 k2 s2");
  EXPECT_EQ(*macs(up), 64 * 32 * 4 * 16 * 16);
  EXPECT_EQ(parameters(up, true), 64 * 32 * 4 + 32);
  EXPECT_EQ(*macs(of("transposed ic4 oc6 g2 i5 k3 s2 p1")), 4 * 3 * 9 * 25);
}

TEST(Cost, CountsAreThoseOfTheLoops) {
  std::mt19937 random(5);
  const auto below = [&random](int n) { return static_cast<int64_t>(random() % static_cast<unsigned>(n)); };
  int counted = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    ConvShape s;
    s.rank = 1 + static_cast<int>(below(3));
    s.transposed = below(2) == 1;
    s.batch = below(3);
    s.groups = 1 + below(2);
    s.in_channels = s.groups * (1 + below(2));
    s.out_channels = s.groups * (1 + below(2));
    for (int a = s.first_axis(); a < kMaxSpatialRank; ++a) {
      const auto axis = static_cast<size_t>(a);
      s.input[axis] = 1 + below(6);
      s.axes[axis] = {1 + below(4), 1 + below(3), 1 + below(3), below(5), below(5)};
      s.output_padding[axis] = s.transposed ? below(static_cast<int>(std::max(s.axes[axis].stride, s.axes[axis].dilation))) : 0;
    }
    const Result<ConvShape> whole = complete(s);
    if (!whole) continue;
    int64_t all = 0, inside = 0;
    count(*whole, &all, &inside);
    ASSERT_EQ(*macs(*whole), all) << descriptor(*whole).view();
    ASSERT_EQ(*macs_inside(*whole), inside) << descriptor(*whole).view();
    ++counted;
  }
  EXPECT_GT(counted, 1000);
}

TEST(Cost, Bytes) {
  const ConvBytes b = *bytes(of("n2 ic3 oc64 i224 k7 s2 p3"), true);
  EXPECT_EQ(b.input, 2 * 3 * 224 * 224 * 4);
  EXPECT_EQ(b.weight, 9408 * 4);
  EXPECT_EQ(b.bias, 64 * 4);
  EXPECT_EQ(b.output, 2 * 64 * 112 * 112 * 4);
  EXPECT_EQ(b.total, b.input + b.weight + b.bias + b.output);
  EXPECT_EQ(bytes(of("iw3 kw3"), false, 8)->total, (3 + 3 + 1) * 8);
}

TEST(Cost, OverflowIsSaid) {
  const ConvShape huge = of("n1000 ic100000 oc100000 i10000 k3 p1");
  EXPECT_EQ(macs(huge).error().code, ShapeErrorCode::kOverflow);
  EXPECT_EQ(macs_inside(huge).error().code, ShapeErrorCode::kOverflow);
  EXPECT_EQ(bytes(huge, true, std::numeric_limits<int64_t>::max()).error().code, ShapeErrorCode::kOverflow);
}

}  // namespace
}  // namespace convoy::shape
