// Where the files that belong to the program are.
#pragma once

#include <string>

namespace convoy::cli {

/// The folder with the stored PyTorch cases: share/convoy/cases beside the installed program, else tests/cases of the sources it
/// was built from. Throws FileError naming both if there is neither.
std::string stored_cases_folder();

}  // namespace convoy::cli
