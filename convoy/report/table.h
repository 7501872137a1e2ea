// Rows as aligned text.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "convoy/report/terminal.h"

namespace convoy::report {

enum class Align { kLeft, kRight };

/// A column, and what becomes of it on a terminal that is too narrow for the table.
struct Column {
  std::string title;
  Align align = Align::kLeft;
  int least = 0;                                       // its cells may be cut to this width; 0: they stay whole
  int leaves = 0;                                      // when it is left out: 1 first; 0: it stays
  std::string (*brief)(const std::string&) = nullptr;  // a shorter form of its cells
  std::string brief_title = {};                        // its title over those; empty: `title`
};

/// Columns two spaces apart under their titles; the widths follow from the cells. Cells may be marked by a Style and hold UTF-8. A
/// terminal that is too narrow gets what is most readable: names of the first column lose their front (report/name.h), then columns
/// take their brief form, are cut, are left out, and a line below says which. A last column of words goes on in further lines.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// Missing cells are empty; cells beyond the last column are dropped.
  void add_row(std::vector<std::string> cells);
  /// A line across, for instance in front of the totals.
  void add_rule();
  size_t rows() const { return rows_.size(); }

  /// The lines, each indented by `indent` spaces and ended by a newline, without blanks at line ends.
  std::string text(const Style& style, int indent = 0) const;

 private:
  struct Row {
    std::vector<std::string> cells;
    bool rule = false;
  };
  // How the columns are drawn.
  struct Layout {
    bool brief = false;
    int left_out = 0;         // columns up to this place in the order of leaving
    std::vector<int> widths;  // -1: left out
  };
  std::string title(size_t column, const Layout& layout, const Style& style) const;
  std::string cell(const Row& row, size_t column, const Layout& layout, const Style& style) const;
  std::vector<std::string> names(int width, const Layout& layout, const Style& style) const;
  int needed_by_names(int most, const Layout& layout, const Style& style) const;
  bool fit(Layout& layout, const Style& style, int indent) const;
  Layout layout(const Style& style, int indent) const;

  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

}  // namespace convoy::report
