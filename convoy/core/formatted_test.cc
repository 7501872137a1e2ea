#include "convoy/core/formatted.h"

#include <gtest/gtest.h>

#include <limits>

#include "convoy/core/raise.h"

namespace convoy {
namespace {

TEST(Formatted, ValuesOfEveryKindInTheirPlaces) {
  const std::string string = "str{}ing";
  const char* chars = "chars";
  const Shape shape = {2, -3};
  EXPECT_EQ(formatted(""), "");
  EXPECT_EQ(formatted("nothing"), "nothing");
  EXPECT_EQ(formatted("{}{}", 'a', "b"), "ab");
  EXPECT_EQ(formatted("{} {{}} {1} {}", 1, 2u, string), "1 {2} {1} str{}ing");
  EXPECT_EQ(formatted("<{}, {}, {}>", chars, std::string_view("view of").substr(0, 4), shape), "<chars, view, [2, -3]>");
  EXPECT_EQ(formatted("{} is {}", DType::kInt64, "64 bits"), "int64 is 64 bits");
}

TEST(Formatted, IntegersOfEveryWidth) {
  EXPECT_EQ(formatted("{} {} {}", int8_t{-1}, short{-2}, -3), "-1 -2 -3");
  EXPECT_EQ(formatted("{} {}", std::numeric_limits<int64_t>::min(), std::numeric_limits<uint64_t>::max()),
            "-9223372036854775808 18446744073709551615");
}

struct Pair {
  int a, b;
};
std::string to_string(const Pair& pair) { return formatted("{}:{}", pair.a, pair.b); }

TEST(Formatted, NumbersWithFractionsAndWhatStatesItself) {
  EXPECT_EQ(formatted("{} {} {}", 0.5, -2.0f, 1e15), "0.500000 -2.000000 1000000000000000.000000");
  EXPECT_EQ(formatted("{} and {}", Pair{1, 2}, Pair{3, 4}), "1:2 and 3:4");
}

TEST(Formatted, MoreValuesThanRegisters) {
  EXPECT_EQ(formatted("{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}", 1, "2", 3, '4', 5, 6, 7, std::string("8"), 9, 10, 11, 12, 13, 14, 15, 16),
            "12345678910111213141516");
}

TEST(Raise, FirstLineIsTheReasonTheRestTheFix) {
  try {
    raise<ShapeMismatch>("got {} of {}\nuse {}\nor {}", 3, std::string("a\nb"), Shape{4}, "none");
  } catch (const ShapeMismatch& e) {
    EXPECT_EQ(e.reason(), "got 3 of a\nb");
    EXPECT_EQ(e.fix(), "use [4]\nor none");
    EXPECT_STREQ(e.what(), "got 3 of a\nb\nuse [4]\nor none");
  }
  try {
    raise<ValueError>("no {}", "fix");
  } catch (const ValueError& e) {
    EXPECT_STREQ(e.what(), "no fix");
    EXPECT_EQ(e.fix(), "");
  }
}

TEST(Raise, KindsAreThemselves) {
  EXPECT_THROW(raise<FileError>("{}", 1), FileError);
  EXPECT_THROW(raise<OutOfMemory>("{}", 1), OutOfMemory);
  try {
    raise<Error>("plain");
  } catch (const ValueError&) {
    FAIL();
  } catch (const Error&) {
  }
}

}  // namespace
}  // namespace convoy
