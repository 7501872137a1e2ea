#include "convoy/core/float16.h"

#include <cmath>
#include <cstdint>

#include "convoy/core/dtype.h"
#include "convoy/core/tensor.h"
#include "gtest/gtest.h"

namespace convoy {
namespace {

float value_of(uint16_t bits) {
  Float16 x;
  x.bits = bits;
  return static_cast<float>(x);
}

TEST(Float16, EveryValueIsItsFormula) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
    const double sign = bits & 0x8000 ? -1 : 1;
    const float got = value_of(static_cast<uint16_t>(bits));
    if (exponent == 31 && fraction != 0) {
      EXPECT_TRUE(std::isnan(got));
      EXPECT_TRUE(std::isnan(static_cast<float>(Float16(got))));
      continue;
    }
    const double expected = exponent == 31  ? sign * INFINITY
                            : exponent == 0 ? sign * std::ldexp(fraction, -24)
                                            : sign * std::ldexp(1024 + fraction, exponent - 25);
    EXPECT_EQ(got, static_cast<float>(expected));
    EXPECT_EQ(Float16(got).bits, bits);
    EXPECT_EQ(Float16(static_cast<double>(got)).bits, bits);
  }
}

// Between each pair of neighbours: the middle goes to the even one, what lies next to it to the nearer one.
TEST(Float16, RoundsToNearestTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const double low = value_of(static_cast<uint16_t>(bits));
    const double high = bits + 1 == 0x7c00 ? 65536.0 : value_of(static_cast<uint16_t>(bits + 1));
    const double middle = (low + high) / 2;
    const uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    for (const uint32_t sign : {0u, 0x8000u}) {
      const double s = sign != 0 ? -1 : 1;
      EXPECT_EQ(Float16(static_cast<float>(s * middle)).bits, sign | even);
      EXPECT_EQ(Float16(std::nextafter(static_cast<float>(s * middle), static_cast<float>(s * low))).bits, sign | bits);
      EXPECT_EQ(Float16(std::nextafter(static_cast<float>(s * middle), static_cast<float>(s * high))).bits, sign | (bits + 1));
      // A double so near to the middle that it would become the middle as a float.
      EXPECT_EQ(Float16(std::nextafter(s * middle, s * low)).bits, sign | bits);
      EXPECT_EQ(Float16(std::nextafter(s * middle, s * high)).bits, sign | (bits + 1));
    }
  }
  EXPECT_EQ(Float16(1e300).bits, 0x7c00);
  EXPECT_EQ(Float16(-1e-300).bits, 0x8000);
}

TEST(BFloat16, RoundsToNearestTiesToEven) {
  EXPECT_EQ(BFloat16(1.0f).bits, 0x3f80);
  EXPECT_EQ(BFloat16(1.0f + 0x1p-8f).bits, 0x3f80);
  EXPECT_EQ(BFloat16(1.0f + 3 * 0x1p-8f).bits, 0x3f82);
  EXPECT_EQ(BFloat16(1.0 + 0x1p-8 + 0x1p-40).bits, 0x3f81);
  EXPECT_EQ(BFloat16(3.4e38f).bits, 0x7f80);
  EXPECT_TRUE(std::isnan(static_cast<float>(BFloat16(NAN))));
  EXPECT_EQ(static_cast<float>(BFloat16(-0.15625f)), -0.15625f);
}

TEST(DType, ConvertsBetweenAllTypes) {
  const Tensor values = Tensor::from({0, 1, 2, 100}, {4});
  for (int a = 0; a <= static_cast<int>(DType::kBool); ++a) {
    for (int b = 0; b <= static_cast<int>(DType::kBool); ++b) {
      const auto from = static_cast<DType>(a), to = static_cast<DType>(b);
      const Tensor x = values.to(from), y = x.to(to);
      EXPECT_EQ(y.dtype(), to);
      EXPECT_EQ(y.nbytes(), 4 * element_size(to));
      for (int i = 0; i < 4; ++i) {
        const bool truth = from == DType::kBool || to == DType::kBool;
        EXPECT_EQ(y.at(i), truth && values.at(i) != 0 ? 1 : values.at(i)) << dtype_name(from) << " to " << dtype_name(to);
      }
    }
  }
}

TEST(DType, ConvertsTheExtremes) {
  const auto f = [](float x, DType to) { return Tensor::from({x}, {1}).to(to).item(); };
  EXPECT_EQ(f(-3.9f, DType::kInt64), -3);
  EXPECT_EQ(f(-3.9f, DType::kInt8), -3);
  EXPECT_EQ(f(300.0f, DType::kUInt8), 44);
  EXPECT_EQ(f(-1.0f, DType::kUInt8), 255);
  EXPECT_EQ(f(NAN, DType::kBool), 1);
  EXPECT_EQ(f(0.25f, DType::kBool), 1);
  EXPECT_EQ(f(-0.0f, DType::kBool), 0);
  EXPECT_EQ(f(1e30f, DType::kInt64), -0x1p63);
  EXPECT_EQ(f(NAN, DType::kInt64), -0x1p63);
  EXPECT_EQ(f(0x1p63f, DType::kUInt64), 0x1p63);
  EXPECT_EQ(f(70000.0f, DType::kFloat16), INFINITY);
  EXPECT_EQ(Tensor::from(std::vector<int64_t>{-1}, {1}).to(DType::kUInt32).item(), 4294967295.0);
}

}  // namespace
}  // namespace convoy
