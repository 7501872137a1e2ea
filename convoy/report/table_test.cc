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

TEST(Table, NarrowTerminalsShortenTheFirstColumn) {
  Table table({{"layer"}, {"type"}});
  table.add_row({"/features/features.0/features.0.0/Conv", "Conv"});
  table.add_row({"/classifier/Gemm", "Gemm"});
  const Terminal narrow{.is_terminal = true, .utf8 = true, .columns = 30};
  EXPECT_EQ(table.text(Style(narrow)),
            "layer                     type\n"
            "/features/f…res.0.0/Conv  Conv\n"
            "/classifier/Gemm          Gemm\n");
  EXPECT_EQ(table.text(Style(Terminal{.utf8 = true, .columns = 30})),  // no terminal: all of it
            "layer                                   type\n"
            "/features/features.0/features.0.0/Conv  Conv\n"
            "/classifier/Gemm                        Gemm\n");
  const Terminal tiny{.is_terminal = true, .columns = 5};
  EXPECT_EQ(table.text(Style(tiny)), "layer             type\n/featu....0/Conv  Conv\n/classifier/Gemm  Gemm\n");
}

}  // namespace
}  // namespace convoy::report
