// Rows as aligned text.
#pragma once

#include <string>
#include <vector>

#include "convoy/report/terminal.h"

namespace convoy::report {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

/// Columns two spaces apart under their titles; the widths follow from the cells. Cells may be marked by a Style and hold UTF-8. On
/// a terminal that is too narrow long texts of the first column, names that exporters make up, lose their middle.
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
  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

}  // namespace convoy::report
