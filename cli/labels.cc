#include "cli/labels.h"

#include <fstream>

#include "convoy/core/error.h"

namespace convoy::cli {

std::vector<std::string> read_labels(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw FileError(path + ": cannot be opened", "--labels needs a text file with one class name a line");
  std::vector<std::string> labels;
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    labels.push_back(line);
  }
  while (!labels.empty() && labels.back().empty()) labels.pop_back();
  if (labels.empty()) throw FileError(path + ": holds no names", "--labels needs a text file with one class name a line");
  return labels;
}

}  // namespace convoy::cli
