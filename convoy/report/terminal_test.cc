#include "convoy/report/terminal.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace convoy::report {
namespace {

Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

TEST(Terminal, ColorFollowsModeThenEnvironmentThenTerminal) {
  const auto plain = environment({{"TERM", "xterm"}});
  EXPECT_TRUE(use_color(ColorMode::kAuto, true, plain));
  EXPECT_FALSE(use_color(ColorMode::kAuto, false, plain));
  EXPECT_TRUE(use_color(ColorMode::kAlways, false, environment({{"NO_COLOR", "1"}})));
  EXPECT_FALSE(use_color(ColorMode::kNever, true, environment({{"CLICOLOR_FORCE", "1"}, {"TERM", "xterm"}})));
  EXPECT_FALSE(use_color(ColorMode::kAuto, true, environment({{"TERM", "xterm"}, {"NO_COLOR", "1"}})));
  EXPECT_TRUE(use_color(ColorMode::kAuto, true, environment({{"TERM", "xterm"}, {"NO_COLOR", ""}})));
  EXPECT_FALSE(use_color(ColorMode::kAuto, true, environment({{"NO_COLOR", "1"}, {"CLICOLOR_FORCE", "1"}, {"TERM", "xterm"}})));
  EXPECT_TRUE(use_color(ColorMode::kAuto, false, environment({{"CLICOLOR_FORCE", "1"}})));
  EXPECT_FALSE(use_color(ColorMode::kAuto, false, environment({{"CLICOLOR_FORCE", "0"}, {"TERM", "xterm"}})));
  EXPECT_FALSE(use_color(ColorMode::kAuto, true, environment({{"TERM", "dumb"}})));
  EXPECT_FALSE(use_color(ColorMode::kAuto, true, environment({})));
  EXPECT_FALSE(use_color(ColorMode::kAuto, true, environment({{"TERM", "xterm"}, {"CLICOLOR", "0"}})));
}

TEST(Terminal, AsciiSpellsOutTheToolsSymbolsOnly) {
  EXPECT_EQ(to_ascii("✓ 5×5 → y"), "ok 5x5 -> y");
  EXPECT_EQ(to_ascii("a · b, 2·3"), "a - b, 2*3");
  EXPECT_EQ(to_ascii("⌊(5 − 3)/1⌋"), "floor((5 - 3)/1)");
  EXPECT_EQ(to_ascii("Größe.png"), "Größe.png");
  EXPECT_EQ(to_ascii("bad \xff byte"), "bad \xff byte");
}

TEST(Terminal, WidthCountsColumnsNotBytes) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("✓ ok"), 4);
  EXPECT_EQ(display_width("\x1b[31mred\x1b[0m"), 3);
  EXPECT_EQ(display_width("日本"), 4);
  EXPECT_EQ(display_width("\xff\xfe"), 2);
  EXPECT_EQ(display_width("e\xcc\x81"), 1);
  EXPECT_EQ(pad_left("✓", 3), "  ✓");
  EXPECT_EQ(pad_right("✓", 3), "✓  ");
  EXPECT_EQ(pad_left("long", 2), "long");
}

TEST(Terminal, TruncationKeepsCharactersAndEscapesWhole) {
  EXPECT_EQ(truncated("━━━━", 2), "━━");
  EXPECT_EQ(truncated("\x1b[31mred\x1b[0m", 2), "\x1b[31mre\x1b[0m");
  EXPECT_EQ(truncated("日本", 3), "日");
  EXPECT_EQ(truncated("abc", 10), "abc");
}

TEST(Terminal, TheMiddleGoes) {
  EXPECT_EQ(without_middle("abcdefgh", 5, "…"), "ab…gh");
  EXPECT_EQ(without_middle("abcdefgh", 8, "…"), "abcdefgh");
  EXPECT_EQ(without_middle("abcdefgh", 6, "..."), "a...gh");
  EXPECT_EQ(without_middle("日本日本日本", 6, "…"), "日…本");
  EXPECT_EQ(without_middle("abcdefgh", 2, "…"), "abcdefgh");
  EXPECT_EQ(without_middle("\x1b[31mred and red\x1b[0m", 5, "…"), "\x1b[31mred and red\x1b[0m");
}

TEST(Terminal, TheFrontGoes) {
  EXPECT_EQ(without_front("abcdefgh", 5, "…"), "…efgh");
  EXPECT_EQ(without_front("abcdefgh", 8, "…"), "abcdefgh");
  EXPECT_EQ(without_front("日本日本", 4, "…"), "…本");
}

TEST(Terminal, WordsInLines) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(wrapped("one two three", 7), (Lines{"one two", "three"}));
  EXPECT_EQ(wrapped("one", 2), Lines{"one"});
  EXPECT_EQ(wrapped("a verylongword b", 4), (Lines{"a", "verylongword", "b"}));
  EXPECT_EQ(wrapped("", 7), Lines{""});
}

TEST(Style, MarksOnlyWithColor) {
  EXPECT_EQ(Style(Terminal{}).red("x"), "x");
  const Style colored(Terminal{.color = true, .utf8 = true});
  EXPECT_EQ(colored.red("x"), "\x1b[31mx\x1b[0m");
  EXPECT_EQ(colored.red(""), "");
  EXPECT_EQ(colored.shown("✓"), "✓");
  EXPECT_EQ(Style(Terminal{}).shown(Style(Terminal{}).mark(false)), "FAILED");
}

}  // namespace
}  // namespace convoy::report
