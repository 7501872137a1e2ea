#include "cli/labels.h"

#include <algorithm>
#include <string_view>

#include "convoy/core/error.h"
#include "convoy/io/file.h"
#include "convoy/io/text.h"

namespace convoy::cli {

std::vector<std::string> read_labels(const std::string& path) {
  constexpr uint64_t kMostBytes = uint64_t{1} << 26;
  constexpr const char* kFix = "--labels needs a text file with one class name a line";
  const std::vector<uint8_t> bytes = io::ByteSource::open(path).read_all(kMostBytes);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  std::vector<std::string> labels;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string label(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (label.ends_with('\r')) label.pop_back();
    std::replace(label.begin(), label.end(), '\t', ' ');
    if (!io::is_shown(label)) {
      throw FileError(path + ": line " + std::to_string(labels.size() + 1) + " is no name: " + io::quote(label), kFix);
    }
    labels.push_back(std::move(label));
  }
  while (!labels.empty() && labels.back().empty()) labels.pop_back();
  if (labels.empty()) throw FileError(path + ": holds no names", kFix);
  return labels;
}

std::string shown_name(const std::string& name) { return io::is_shown(name) ? name : io::quote(name); }

}  // namespace convoy::cli
