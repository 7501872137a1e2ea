#include "convoy/report/table.h"

#include <gtest/gtest.h>

#include "convoy/report/format.h"

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

constexpr Terminal terminal(int columns) { return {.is_terminal = true, .utf8 = true, .columns = columns}; }

TEST(Table, NarrowTerminalsShortenTheFirstColumn) {
  Table table({{"layer"}, {"type"}});
  table.add_row({"/features/features.0/features.0.0/Conv", "Conv"});
  table.add_row({"/classifier/Gemm", "Gemm"});
  EXPECT_EQ(table.text(Style(terminal(30))),
            "layer          type\n"
            "…features.0.0  Conv\n"
            "/classifier    Gemm\n");
  EXPECT_EQ(table.text(Style(Terminal{.utf8 = true, .columns = 30})),  // no terminal: all of it
            "layer                                   type\n"
            "/features/features.0/features.0.0/Conv  Conv\n"
            "/classifier/Gemm                        Gemm\n");
  const Terminal tiny{.is_terminal = true, .columns = 5};
  EXPECT_EQ(table.text(Style(tiny)), "layer            type\n...features.0.0  Conv\n/classifier      Gemm\n");
}

TEST(Table, ThenColumnsTakeTheirBriefFormAreCutAndLeave) {
  Table table({{.title = "layer", .least = 10},
               {.title = "type", .least = 6, .leaves = 2},
               {.title = "parameters", .align = Align::kRight, .brief = large_of_grouped, .brief_title = "params"},
               {.title = "sees", .align = Align::kRight, .leaves = 1}});
  table.add_row({"/layer1/conv1/Conv", "BatchNormalization", "1,234,567", "7"});
  EXPECT_EQ(table.text(Style(terminal(56))),
            "layer               type                parameters  sees\n"
            "/layer1/conv1/Conv  BatchNormalization   1,234,567     7\n");
  EXPECT_EQ(table.text(Style(terminal(50))),
            "layer         type                parameters  sees\n"
            "…/conv1/Conv  BatchNormalization   1,234,567     7\n");
  EXPECT_EQ(table.text(Style(terminal(44))),
            "layer       type                params  sees\n"
            "…onv1/Conv  BatchNormalization   1.2 M     7\n");
  EXPECT_EQ(table.text(Style(terminal(40))),
            "layer       type            params  sees\n"
            "…onv1/Conv  BatchNormaliz…   1.2 M     7\n");
  EXPECT_EQ(table.text(Style(terminal(30))),
            "layer       type        params\n"
            "…onv1/Conv  BatchNorm…   1.2 M\n"
            "no room for: sees\n");
  EXPECT_EQ(table.text(Style(terminal(20)), 2),
            "  layer       params\n"
            "  …onv1/Conv   1.2 M\n"
            "  no room for: type, sees\n");
}

TEST(Table, WordsOfTheLastColumnGoOnBelow) {
  Table table({{""}, {"why"}});
  table.add_row({"conv_pointwise", "needs a kernel of one tap, or of the stride's size"});
  table.add_row({"conv_direct", "slower"});
  EXPECT_EQ(table.text(Style(terminal(44))),
            "                why\n"
            "conv_pointwise  needs a kernel of one tap,\n"
            "                or of the stride's size\n"
            "conv_direct     slower\n");
}

}  // namespace
}  // namespace convoy::report
