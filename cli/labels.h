// Class names from a file.
#pragma once

#include <string>
#include <vector>

namespace convoy::cli {

/// One name a line; blank lines at the end do not count. Errors: FileError.
std::vector<std::string> read_labels(const std::string& path);

}  // namespace convoy::cli
