// Class names from a file.
#pragma once

#include <string>
#include <vector>

namespace convoy::cli {

/// One name a line; blank lines at the end do not count. Errors: FileError.
std::vector<std::string> read_labels(const std::string& path);

/// A name from a file of others: as it is if a screen shows it so, else quoted with escapes.
std::string shown_name(const std::string& name);

}  // namespace convoy::cli
