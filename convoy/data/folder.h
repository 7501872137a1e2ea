// What is in a folder.
#pragma once

#include <string>
#include <vector>

#include "convoy/io/file.h"

namespace convoy::data {

/// Throws FileError "FOLDER: ..." if there is no such folder.
void check_folder(const std::string& folder);

/// The names in a folder, sorted by their bytes; hidden ones (with a leading dot) are left out.
/// Errors: FileError if it cannot be read.
std::vector<std::string> list_folder(const std::string& folder);

}  // namespace convoy::data
