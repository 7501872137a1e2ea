// "Did you mean ...?"
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace convoy {

/// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other; capitals count as small letters.
int edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, or "" if none is near: at most one edit per three letters (one for short words), or the only
/// one that starts with it.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

/// "; did you mean 'x'?" or "".
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace convoy
