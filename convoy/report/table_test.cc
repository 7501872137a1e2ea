#include "convoy/report/table.h"

#include <gtest/gtest.h>

namespace convoy::report {
namespace {

TEST(Table, AlignsByColumns) {
  Table table({{"op"}, {"passed", Align::kRight}, {"note"}});
  table.add_row({"conv2d", "40", "✓"});
  table.add_row({"max_pool2d", "1,240"});
  table.add_rule();
  table.add_row({"total", "1,280", "end"});
  EXPECT_EQ(table.text(Style(Terminal{.utf8 = true}), 2),
            "  op          passed  note\n"
            "  conv2d          40  ✓\n"
            "  max_pool2d   1,240\n"
            "  ──────────  ──────  ────\n"
            "  total        1,280  end\n");
}

TEST(Table, AsciiSymbolsCountTheirOwnWidth) {
  Table table({{"a"}, {"b"}});
  table.add_row({"✗", "x"});
  table.add_row({"y", "z"});
  EXPECT_EQ(table.text(Style(Terminal{})), "a       b\nFAILED  x\ny       z\n");
}

TEST(Table, ColorDoesNotMoveColumns) {
  Table table({{"a", Align::kRight}, {"b"}});
  const Style style(Terminal{.color = true, .utf8 = true});
  table.add_row({style.red("1"), "x"});
  table.add_row({"10", "y"});
  EXPECT_EQ(table.text(style), " \x1b[2ma\x1b[0m  \x1b[2mb\x1b[0m\n \x1b[31m1\x1b[0m  x\n10  y\n");
}

}  // namespace
}  // namespace convoy::report
