#include "convoy/report/name.h"

#include <gtest/gtest.h>

#include "convoy/report/terminal.h"

namespace convoy::report {
namespace {

std::string short_name(const std::string& name, const std::string& type, int width, const std::string& gap = "…") {
  return short_names({name}, {type}, width, gap)[0];
}

TEST(Name, WhatSaysLeastGoesFirst) {
  const std::string name = "/layer1/layer1.0/conv1/Conv";
  EXPECT_EQ(short_name(name, "Conv", 27), name);
  EXPECT_EQ(short_name(name, "Conv", 26), "/layer1/layer1.0/conv1");
  EXPECT_EQ(short_name(name, "Conv", 21), "…layer1.0/conv1");
  EXPECT_EQ(short_name(name, "Conv", 14), "…ayer1.0/conv1");
  EXPECT_EQ(short_name(name, "", 26), "…layer1.0/conv1/Conv");
  EXPECT_EQ(short_name(name, "Relu", 26, "..."), "...layer1.0/conv1/Conv");
  EXPECT_EQ(short_name("/Conv", "Conv", 4), "…onv");
}

TEST(Name, TheLongestDecidesForAll) {
  EXPECT_EQ(short_names({"/a/a.1/Conv", "/a/a.1/block/Relu"}, {"Conv", "Relu"}, 13, "…"),
            (std::vector<std::string>{"/a/a.1", "/a/a.1/block"}));
  EXPECT_EQ(short_names({"/a/a.1/Conv", "/a/a.1/block/Relu"}, {"Conv", "Relu"}, 10, "…"),
            (std::vector<std::string>{"…a.1", "…a.1/block"}));
}

TEST(Name, PartsThatTheNextOneBeginsWith) {
  EXPECT_EQ(short_name("/features/features.1/features.1.0/block/block.0/Conv", "", 40), "…features.1.0/…block.0/Conv");
  EXPECT_EQ(short_name("/features/features.1/block/block.0/Conv", "", 14), "…block.0/Conv");  // one gap, not two
  EXPECT_EQ(short_name("/features/features2/conv", "", 20), "…ures/features2/conv");          // another name, no repeat
  EXPECT_EQ(short_name("node/", "", 4), "…de/");
}

TEST(Name, OtherTexts) {
  EXPECT_EQ(short_name("n1 ic64 oc64 i56 k3 p1", "", 11), "n1 ic…k3 p1");
  EXPECT_EQ(short_name("\x1b[31mred/and/red\x1b[0m", "", 5), "\x1b[31mred/and/red\x1b[0m");
  EXPECT_EQ(short_name("日本日本日本", "", 6), "…日本");
  for (int width = 2; width < 60; ++width)
    EXPECT_LE(display_width(short_name("/a/a.1/a.1.0/日本/日本.3/norm/BatchNormalization", "BatchNormalization", width)), width);
}

}  // namespace
}  // namespace convoy::report
