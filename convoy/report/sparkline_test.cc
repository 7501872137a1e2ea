#include "convoy/report/sparkline.h"

#include <gtest/gtest.h>

#include <cmath>

namespace convoy::report {
namespace {

TEST(Sparkline, SpansFromSmallestToLargest) {
  EXPECT_EQ(sparkline({0, 1, 2, 3, 4, 5, 6, 7}), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(sparkline({2, 1, 0}), "█▅▁");
  EXPECT_EQ(sparkline({5, 5}), "▁▁");
  EXPECT_EQ(sparkline({}), "");
}

TEST(Sparkline, AveragesWhatDoesNotFitAndSkipsWhatIsNotANumber) {
  EXPECT_EQ(sparkline({0, 0, 1, 1}, 2), "▁█");
  EXPECT_EQ(sparkline({0, std::nan(""), 1}), "▁ █");
  EXPECT_EQ(sparkline({1, 2}, 0), "");
}

}  // namespace
}  // namespace convoy::report
