#include "convoy/report/name.h"

#include <algorithm>

#include "convoy/report/terminal.h"

namespace convoy::report {

namespace {

// "/a/a.1/a.1.0/b" is "…a.1.0/b".
std::string without_repeats(std::string_view name, std::string_view gap) {
  std::string result;
  bool gone = false;
  while (!name.empty()) {
    const size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (slash != std::string_view::npos && !part.empty() && name.substr(slash + 1).starts_with(std::string(part) + ".")) {
      gone = true;
    } else {
      if (gone) result = (result == "/" ? "" : result) + std::string(gap);
      result += name.substr(0, slash == std::string_view::npos ? slash : slash + 1);
      gone = false;
    }
    name.remove_prefix(slash == std::string_view::npos ? name.size() : slash + 1);
  }
  return result;
}

// Whether it has words or escape sequences, which are no parts of a path.
bool is_text(std::string_view name) { return name.find_first_of(" \x1b") != std::string_view::npos; }

}  // namespace

std::vector<std::string> short_names(std::vector<std::string> names, const std::vector<std::string>& types, int width,
                                     std::string_view gap) {
  const auto fit = [&] {
    return std::all_of(names.begin(), names.end(),
                       [&](const std::string& name) { return is_text(name) || display_width(name) <= width; });
  };
  if (!fit()) {
    for (size_t i = 0; i < types.size(); ++i) {
      const size_t rest = names[i].size() - std::min(names[i].size(), types[i].size() + 1);
      if (rest > 0 && !types[i].empty() && names[i].substr(rest) == "/" + types[i]) names[i].resize(rest);
    }
  }
  if (!fit()) {
    for (std::string& name : names) name = is_text(name) ? name : without_repeats(name, gap);
  }
  for (std::string& name : names) {
    if (is_text(name)) {
      name = without_middle(name, width, gap);
    } else {
      name = without_front(name, width, gap);
      if (name.starts_with(std::string(gap) + std::string(gap))) name.erase(0, gap.size());
    }
  }
  return names;
}

}  // namespace convoy::report
