#include "convoy/core/suggest.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "convoy/core/formatted.h"

namespace convoy {

namespace {

std::string lower(std::string_view word) {
  std::string result(word);
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string_view without_dashes(std::string_view word) {
  word.remove_prefix(std::min(word.find_first_not_of('-'), word.size()));
  return word;
}

}  // namespace

int edit_distance(std::string_view first, std::string_view second) {
  constexpr size_t kLongest = 200;  // nobody mistypes a word of this length; keeps the table small
  const std::string a = lower(first.substr(0, kLongest)), b = lower(second.substr(0, kLongest));
  std::vector<std::vector<int>> d(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = static_cast<int>(i);
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string_view bare = without_dashes(word);
  if (bare.empty()) return {};
  const std::string* best = nullptr;
  int best_distance = 0;
  for (const std::string& candidate : candidates) {
    const std::string_view name = without_dashes(candidate);
    if (name.size() < 2 && name != bare) continue;  // every letter is one edit away from every other
    const int distance = edit_distance(bare, name);
    const int allowed = std::max(1, static_cast<int>(std::min(bare.size(), name.size())) / 3);
    if (distance <= allowed && (best == nullptr || distance < best_distance)) {
      best_distance = distance;
      best = &candidate;
    }
  }
  if (best != nullptr) return *best;
  if (bare.size() < 2) return {};
  const std::string* only = nullptr;
  for (const std::string& candidate : candidates) {
    if (!without_dashes(candidate).starts_with(bare)) continue;
    if (only != nullptr) return {};
    only = &candidate;
  }
  return only != nullptr ? *only : std::string{};
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string best = suggestion(word, candidates);
  return best.empty() ? best : formatted("; did you mean '{}'?", best);
}

}  // namespace convoy
