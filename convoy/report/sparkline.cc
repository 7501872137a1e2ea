#include "convoy/report/sparkline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace convoy::report {

std::string sparkline(const std::vector<double>& values, int width) {
  constexpr std::array<const char*, 8> kBlocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const size_t count = std::min(values.size(), static_cast<size_t>(std::max(width, 0)));
  std::vector<double> shown(count);
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = i * values.size() / count, end = (i + 1) * values.size() / count;
    double sum = 0;
    for (size_t j = begin; j < end; ++j) sum += values[j];
    shown[i] = sum / static_cast<double>(end - begin);
    if (!std::isfinite(shown[i])) continue;
    low = std::min(low, shown[i]);
    high = std::max(high, shown[i]);
  }
  std::string line;
  for (const double value : shown) {
    if (!std::isfinite(value)) {
      line += ' ';
      continue;
    }
    const double height = high > low ? (value - low) / (high - low) : 0;
    line += kBlocks[static_cast<size_t>(std::min(7.0, std::floor(height * 8)))];
  }
  return line;
}

}  // namespace convoy::report
