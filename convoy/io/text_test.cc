#include "convoy/io/text.h"

#include <gtest/gtest.h>

#include "convoy/io/file.h"

namespace convoy::io {
namespace {

TEST(Text, WhatIsShownAsItself) {
  for (const char* text : {"", "conv1", "layer 1/weight:0", "Gewicht_\xc3\xa4", "\xe9\x87\x8d\xe3\x81\xbf", "\xf0\x9f\x9a\x82"})
    EXPECT_TRUE(is_shown(text)) << text;
}

TEST(Text, WhatIsNot) {
  const std::string_view texts[] = {
      "a\nb",
      "\x1b[2J",
      "\x7f",
      std::string_view("a\0b", 3),
      "\xc2\x9b"
      "2J",  // the control sequence introducer as one character
      "a\xe2\x80\xae"
      "b",  // U+202E turns the direction of writing
      "a\xe2\x81\xa6"
      "b",  // U+2066 isolates a direction
      "a\xe2\x80\x8b"
      "b",              // U+200B has no width
      "\xef\xbb\xbfx",  // the byte order mark
      "\xff",
      "\xc3",
      "\xe9\x87",
      "\x80",
      "\xc0\xaf",
      "\xe0\x80\xaf",  // '/' in longer forms
      "\xed\xa0\x80",
      "\xf4\x90\x80\x80",  // a surrogate; beyond the last character
      "\xf3\xa0\x81\x81"   // a tag
  };
  for (const std::string_view text : texts) EXPECT_FALSE(is_shown(text)) << quote(text);
}

TEST(Text, QuotesEscapeIt) {
  EXPECT_EQ(quote("a\xe2\x80\xae"
                  "b\xc3\xa4\xff"),
            "\"a\\xe2\\x80\\xaeb\xc3\xa4\\xff\"");
  EXPECT_EQ(quote("a\x1b[2J"), "\"a\\x1b[2J\"");
  // Cut between two characters.
  const std::string umlauts = [] {
    std::string text = "x";
    for (int i = 0; i < 100; ++i) text += "\xc3\xa4";
    return text;
  }();
  EXPECT_EQ(quote(umlauts), '"' + umlauts.substr(0, 119) + "...\"");
}

}  // namespace
}  // namespace convoy::io
