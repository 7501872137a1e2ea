#include "convoy/core/suggest.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

TEST(Suggest, CountsEdits) {
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("demo", "demo"), 0);
  EXPECT_EQ(edit_distance("dmeo", "demo"), 1);
  EXPECT_EQ(edit_distance("pading", "padding"), 1);
  EXPECT_EQ(edit_distance("Train", "train"), 0);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
}

TEST(Suggest, NamesTheNearestOrNothing) {
  const std::vector<std::string> commands{"demo", "train", "predict", "check", "bench", "help"};
  EXPECT_EQ(suggestion("dmeo", commands), "demo");
  EXPECT_EQ(suggestion("trian", commands), "train");
  EXPECT_EQ(suggestion("pred", commands), "predict");
  EXPECT_EQ(suggestion("xyzzy", commands), "");
  EXPECT_EQ(suggestion("", commands), "");
  EXPECT_EQ(suggestion("--pading", {"--padding", "--stride"}), "--padding");
  EXPECT_EQ(suggestion("--x", {"-k", "-s"}), "");
  EXPECT_EQ(did_you_mean("chek", commands), "; did you mean 'check'?");
  EXPECT_EQ(did_you_mean("frobnicate", commands), "");
  EXPECT_EQ(suggestion(std::string(100000, 'a'), commands), "");
}

}  // namespace
}  // namespace convoy
