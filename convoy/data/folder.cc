#include "convoy/data/folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::data {

namespace fs = std::filesystem;

void check_folder(const std::string& folder) {
  std::error_code failed;
  const fs::file_status status = fs::status(folder, failed);
  if (fs::is_directory(status)) return;
  if (!fs::exists(status))
    raise<FileError>(
        "{}: no such folder\n"
        "check the path; it is taken from the folder the program runs in",
        folder.empty() ? "\"\"" : folder);
  raise<FileError>("{}: is not a folder\ngive the folder that holds the files", folder);
}

std::vector<std::string> list_folder(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    std::string name = at->path().filename().string();
    if (name[0] != '.') names.push_back(std::move(name));
  }
  if (failed) raise<FileError>("{}: cannot read: {}\ncheck the folder's permissions", folder, failed.message());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace convoy::data
