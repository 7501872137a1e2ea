#include "convoy/report/table.h"

#include <algorithm>
#include <utility>

#include "convoy/report/format.h"
#include "convoy/report/name.h"

namespace convoy::report {

namespace {

constexpr const char* kGap = "…";
constexpr int kLeastName = 16;   // where nothing else helps
constexpr int kLeastWords = 20;  // of a last column that goes on in further lines

}  // namespace

void Table::add_row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back({std::move(cells), false});
}

void Table::add_rule() { rows_.push_back({{}, true}); }

std::string Table::title(size_t column, const Layout& layout, const Style& style) const {
  const Column& c = columns_[column];
  return style.shown(layout.brief && !c.brief_title.empty() ? c.brief_title : c.title);
}

std::string Table::cell(const Row& row, size_t column, const Layout& layout, const Style& style) const {
  const Column& c = columns_[column];
  return style.shown(layout.brief && c.brief != nullptr ? c.brief(row.cells[column]) : row.cells[column]);
}

// The first column's cells in `width` columns or fewer.
std::vector<std::string> Table::names(int width, const Layout& layout, const Style& style) const {
  std::vector<std::string> names, types;
  for (const Row& row : rows_) {
    names.push_back(row.rule ? "" : cell(row, 0, layout, style));
    if (layout.widths.size() > 1 && layout.widths[1] >= 0) types.push_back(row.rule ? "" : row.cells[1]);
  }
  return short_names(std::move(names), types, width, style.shown(kGap));
}

int Table::needed_by_names(int most, const Layout& layout, const Style& style) const {
  int width = display_width(title(0, layout, style));
  for (const std::string& name : names(most, layout, style)) width = std::max(width, display_width(name));
  return width;
}

// Sets the widths; false if it takes more than the terminal has.
bool Table::fit(Layout& layout, const Style& style, int indent) const {
  const size_t count = columns_.size();
  layout.widths.assign(count, -1);
  int excess = indent - 2 - style.terminal().columns;
  for (size_t c = 0; c < count; ++c) {
    if (columns_[c].leaves > 0 && columns_[c].leaves <= layout.left_out) continue;
    int& width = layout.widths[c];
    width = display_width(title(c, layout, style));
    for (const Row& row : rows_) {
      if (!row.rule) width = std::max(width, display_width(cell(row, c, layout, style)));
    }
    excess += width + 2;
  }
  if (!style.terminal().is_terminal) return true;
  const auto cut = [&](size_t c, int least) {
    const int less = std::clamp(layout.widths[c] - least, 0, std::max(0, excess));
    layout.widths[c] -= less;
    excess -= less;
  };
  cut(0, needed_by_names(columns_[0].least > 0 ? columns_[0].least : kLeastName, layout, style));
  for (size_t c = count; layout.brief && c-- > 1;) {
    if (columns_[c].least > 0 && layout.widths[c] >= 0) cut(c, columns_[c].least);
  }
  const Column& last = columns_.back();
  if (last.align == Align::kLeft && last.least == 0 && layout.widths.back() >= 0 && count > 1) cut(count - 1, kLeastWords);
  return excess <= 0;
}

Table::Layout Table::layout(const Style& style, int indent) const {
  Layout layout;
  if (columns_.empty()) return layout;
  if (!fit(layout, style, indent)) {
    int most = 0;
    for (const Column& column : columns_) most = std::max(most, column.leaves);
    layout.brief = true;
    while (!fit(layout, style, indent) && layout.left_out < most) ++layout.left_out;
  }
  layout.widths[0] = needed_by_names(layout.widths[0], layout, style);
  return layout;
}

std::string Table::text(const Style& style, int indent) const {
  const size_t count = columns_.size();
  const Layout layout = this->layout(style, indent);
  const std::string margin(static_cast<size_t>(indent), ' ');
  const auto line = [&](const auto& cell) {
    std::string text = margin;
    for (size_t c = 0; c < count; ++c) {
      const int width = layout.widths[c];
      if (width < 0) continue;
      if (c > 0) text += "  ";
      text += columns_[c].align == Align::kRight ? pad_left(cell(c), width) : pad_right(cell(c), width);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text + "\n";
  };
  std::string result = line([&](size_t c) { return style.dim(title(c, layout, style)); });
  const std::vector<std::string> first =
      count > 0 ? names(layout.widths[0], layout, style) : std::vector<std::string>(rows_.size());
  for (size_t r = 0; r < rows_.size(); ++r) {
    const Row& row = rows_[r];
    if (row.rule) {
      result += line([&](size_t c) {
        std::string dashes;
        for (int i = 0; i < layout.widths[c]; ++i) dashes += style.shown("─");
        return dashes;
      });
      continue;
    }
    std::vector<std::string> more;
    result += line([&](size_t c) {
      if (c == 0) return first[r];
      const std::string full = cell(row, c, layout, style);
      const int width = layout.widths[c];
      if (display_width(full) <= width) return full;
      if (columns_[c].least > 0) return truncated(full, width - display_width(style.shown(kGap))) + style.shown(kGap);
      more = wrapped(full, width);
      return more[0];
    });
    for (size_t i = 1; i < more.size(); ++i) result += line([&](size_t c) { return c + 1 == count ? more[i] : ""; });
  }
  std::vector<std::string> left_out;
  for (size_t c = 0; c < count; ++c) {
    if (layout.widths[c] < 0) left_out.push_back(columns_[c].title);
  }
  if (!left_out.empty()) result += margin + style.dim("no room for: " + joined(left_out)) + "\n";
  return result;
}

}  // namespace convoy::report
