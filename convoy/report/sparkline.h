// A curve in one line of text.
#pragma once

#include <string>
#include <vector>

namespace convoy::report {

/// One block per value, "▁" for the smallest and "█" for the largest; more values than `width` are averaged in groups. Values that
/// are not finite show as a space.
std::string sparkline(const std::vector<double>& values, int width = 40);

}  // namespace convoy::report
