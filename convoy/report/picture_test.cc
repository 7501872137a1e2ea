#include "convoy/report/picture.h"

#include <gtest/gtest.h>

#include "convoy/report/terminal.h"

namespace convoy::report {
namespace {

TEST(Picture, OneDotPerPixelThatStandsOut) {
  // A bright pixel in the middle of a dark ground, and the same the other way round.
  std::vector<float> dark(6 * 4, 0.1f), light(6 * 4, 0.9f);
  dark[2 * 4 + 1] = 1;
  light[2 * 4 + 1] = 0;
  const std::vector<std::string> wanted{"⠠ ", "  "};
  EXPECT_EQ(dotted(dark, 6, 4), wanted);
  EXPECT_EQ(dotted(light, 6, 4), wanted);
  EXPECT_EQ(dotted({0, 0, 0, 0, 1, 1, 1, 1}, 2, 4).size(), 1u);
  EXPECT_TRUE(dotted({}, 0, 0).empty());
}

TEST(Picture, FullCellsAndOddSizes) {
  std::vector<float> values(7 * 5, 0);
  for (int y = 1; y < 6; ++y) {
    for (int x = 1; x < 4; ++x) values[static_cast<size_t>(y * 5 + x)] = 1;
  }
  EXPECT_EQ(dotted(values, 7, 5), (std::vector<std::string>{"⢰⣶ ", "⠘⠛ "}));
}

TEST(Picture, AsciiShowsDensity) { EXPECT_EQ(to_ascii("⠀⠁⠛⣿"), " .+#"); }

TEST(Picture, BlocksSideBySide) {
  EXPECT_EQ(side_by_side({{"ab", "c"}, {"✓"}}, 2), (std::vector<std::string>{"ab  ✓", "c"}));
  EXPECT_TRUE(side_by_side({}, 1).empty());
}

}  // namespace
}  // namespace convoy::report
