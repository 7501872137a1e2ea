#include "convoy/report/table.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace convoy::report {

void Table::add_row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back({std::move(cells), false});
}

void Table::add_rule() { rows_.push_back({{}, true}); }

std::string Table::text(const Style& style, int indent) const {
  const size_t count = columns_.size();
  std::vector<int> widths(count);
  for (size_t c = 0; c < count; ++c) {
    widths[c] = display_width(style.shown(columns_[c].title));
    for (const Row& row : rows_) {
      if (!row.rule) widths[c] = std::max(widths[c], display_width(style.shown(row.cells[c])));
    }
  }
  if (style.terminal().is_terminal && count > 0) {
    constexpr int kLeastName = 16;
    const int total = std::accumulate(widths.begin(), widths.end(), indent + 2 * static_cast<int>(count - 1));
    const int excess = std::max(0, total - style.terminal().columns);
    widths[0] = std::max(std::min(widths[0], kLeastName), widths[0] - excess);
  }
  const std::string gap = style.shown("…");
  const std::string margin(static_cast<size_t>(indent), ' ');
  const auto line = [&](const auto& cell) {
    std::string text = margin;
    for (size_t c = 0; c < count; ++c) {
      if (c > 0) text += "  ";
      const std::string shown = without_middle(style.shown(cell(c)), widths[c], gap);
      text += columns_[c].align == Align::kRight ? pad_left(shown, widths[c]) : pad_right(shown, widths[c]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text + "\n";
  };
  std::string result = line([&](size_t c) { return style.dim(columns_[c].title); });
  for (const Row& row : rows_) {
    if (!row.rule) {
      result += line([&](size_t c) { return row.cells[c]; });
      continue;
    }
    result += line([&](size_t c) {
      std::string dashes;
      for (int i = 0; i < widths[c]; ++i) dashes += "─";
      return dashes;
    });
  }
  return result;
}

}  // namespace convoy::report
