#include "convoy/report/format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>

namespace convoy::report {
namespace {

TEST(Format, GroupsDigitsByThree) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(-123456), "-123,456");
  EXPECT_EQ(grouped(std::numeric_limits<int64_t>::min()), "-9,223,372,036,854,775,808");
}

TEST(Format, DurationsChangeUnit) {
  EXPECT_EQ(duration(3e-9), "3 ns");
  EXPECT_EQ(duration(1.5e-5), "15.0 µs");
  EXPECT_EQ(duration(0.00031), "0.31 ms");
  EXPECT_EQ(duration(0.0421), "42.1 ms");
  EXPECT_EQ(duration(0.1447), "145 ms");  // not "0.1 s": two networks must not look alike
  EXPECT_EQ(duration(0.9996), "1.00 s");
  EXPECT_EQ(duration(9.998), "10.0 s");
  EXPECT_EQ(duration(10.34), "10.3 s");
  EXPECT_EQ(duration(99.96), "1 min 40 s");
  EXPECT_EQ(duration(125), "2 min 05 s");
  EXPECT_EQ(duration(3720), "1 h 02 min");
  EXPECT_EQ(duration(-1), "--");
  EXPECT_EQ(duration(std::nan("")), "--");
}

TEST(Format, PercentNeverRoundsUpToAll) {
  EXPECT_EQ(percent(0.978), "97.8 %");
  EXPECT_EQ(percent(0.99999), "99.9 %");
  EXPECT_EQ(percent(1), "100.0 %");
  EXPECT_EQ(percent(0), "0.0 %");
  EXPECT_EQ(percent(0.29), "29.0 %");
}

TEST(Format, NumbersAndBytes) {
  EXPECT_EQ(scientific(9.5e-7), "9.5e-07");
  EXPECT_EQ(scientific(0), "0");
  EXPECT_EQ(fixed(1.3116, 3), "1.312");
  EXPECT_EQ(shortest(0.1), "0.1");
  EXPECT_EQ(shortest(3), "3");
  EXPECT_EQ(shortest(1e-5), "1e-05");
  EXPECT_EQ(bytes(999), "999 B");
  EXPECT_EQ(bytes(1400000), "1.4 MB");
  EXPECT_EQ(bytes(999999), "1.0 MB");
  EXPECT_EQ(counted(1, "file"), "1 file");
  EXPECT_EQ(counted(1234, "file"), "1,234 files");
  EXPECT_EQ(counted(2, "class", "classes"), "2 classes");
  EXPECT_EQ(joined({"a", "b", "c"}, ", ", " or "), "a, b or c");
  EXPECT_EQ(joined({}), "");
}

TEST(Format, LettersForLargeNumbers) {
  EXPECT_EQ(large(4.09e9), "4.09 G");
  EXPECT_EQ(large(12), "12");
  EXPECT_EQ(large(1.5e15), "1500.00 T");
  EXPECT_EQ(large_of_grouped("118,013,952"), "118.0 M");
  EXPECT_EQ(large_of_grouped("999"), "999");
  EXPECT_EQ(large_of_grouped("--"), "--");
  EXPECT_EQ(large_of_grouped("1.5e+19"), "1.5e+19");
}

}  // namespace
}  // namespace convoy::report
