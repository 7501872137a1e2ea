#include "cli/brief.h"

#include <set>
#include <sstream>
#include <vector>

#include "convoy/shape/descriptor.h"

namespace convoy::cli {

std::string brief_shape(const std::string& shape) {
  std::string result = shape;
  std::erase(result, ' ');
  return result;
}

std::string brief_algorithm(const std::string& name) { return name.starts_with("conv_") ? name.substr(5) : name; }

std::string brief_layer(const std::string& name) {
  std::istringstream text(name);
  std::vector<std::string> words;
  for (std::string word; text >> word; words.push_back(word)) {
    // "kh3 kw3" is "k3"; with an axis d, the letters say how many axes there are.
    const size_t w = word.find('w');
    if (words.empty() || w == std::string::npos || name.find("id") != std::string::npos) continue;
    const std::string front = word.substr(0, w), value = word.substr(w + 1);
    if (words.back() != front + "h" + value) continue;
    words.pop_back();
    word = front + value;
  }
  std::string result;
  for (const std::string& word : words) {
    static const std::set<std::string> plain{"n1", "g1", "s1", "p0", "d1"};
    if (!plain.contains(word)) result += (result.empty() ? "" : " ") + word;
  }
  const auto layer = shape::parse_descriptor(name), same = shape::parse_descriptor(result);
  return layer && same && *layer == *same ? result : name;
}

}  // namespace convoy::cli
