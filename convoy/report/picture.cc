#include "convoy/report/picture.h"

#include <algorithm>
#include <cassert>

#include "convoy/report/terminal.h"

namespace convoy::report {

std::vector<std::string> dotted(const std::vector<float>& values, int64_t height, int64_t width) {
  assert(static_cast<int64_t>(values.size()) == height * width);
  if (values.empty()) return {};
  const auto at = [&](int64_t y, int64_t x) { return values[static_cast<size_t>(y * width + x)]; };
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const float middle = (*low + *high) / 2;
  double border = 0;
  for (int64_t x = 0; x < width; ++x) border += at(0, x) + at(height - 1, x);
  for (int64_t y = 0; y < height; ++y) border += at(y, 0) + at(y, width - 1);
  const bool light_ground = border / static_cast<double>(2 * (width + height)) > middle;

  // Unicode numbers the dots of a cell column by column, the lowest row last.
  constexpr int kDots[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
  std::vector<std::string> lines;
  for (int64_t top = 0; top < height; top += 4) {
    std::string line;
    for (int64_t left = 0; left < width; left += 2) {
      int dots = 0;
      for (int64_t y = top; y < std::min(top + 4, height); ++y) {
        for (int64_t x = left; x < std::min(left + 2, width); ++x) {
          if ((at(y, x) > middle) != light_ground) dots |= kDots[y - top][x - left];
        }
      }
      if (dots == 0) {
        line += ' ';
        continue;
      }
      line += '\xE2';
      line += static_cast<char>(0xA0 | dots >> 6);
      line += static_cast<char>(0x80 | (dots & 0x3F));
    }
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> side_by_side(const std::vector<std::vector<std::string>>& blocks, int gap) {
  size_t height = 0;
  for (const auto& block : blocks) height = std::max(height, block.size());
  std::vector<std::string> lines(height);
  for (const auto& block : blocks) {
    int width = 0;
    for (const std::string& line : block) width = std::max(width, display_width(line));
    for (size_t i = 0; i < height; ++i) lines[i] += pad_right(i < block.size() ? block[i] : "", width + gap);
  }
  for (std::string& line : lines) line.erase(line.find_last_not_of(' ') + 1);
  return lines;
}

}  // namespace convoy::report
