// Small pictures as text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace convoy::report {

/// One Braille character, or a space, for 2 x 4 pixels: a dot for each that stands out from the background (which is taken from the
/// border). `values` are height x width brightnesses, row by row. Returns the lines, all (width + 1) / 2 columns wide.
std::vector<std::string> dotted(const std::vector<float>& values, int64_t height, int64_t width);

/// Blocks of lines side by side, `gap` columns apart, each as wide as its widest line.
std::vector<std::string> side_by_side(const std::vector<std::vector<std::string>>& blocks, int gap);

}  // namespace convoy::report
