#include "cli/places.h"

#include <filesystem>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/report/format.h"

namespace convoy::cli {

namespace fs = std::filesystem;

std::string stored_cases_folder() {
  std::vector<std::string> places;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) places.push_back((program.parent_path().parent_path() / CONVOY_DATA_FOLDER / "cases").string());
  places.emplace_back(CONVOY_SOURCE_CASES);
  for (const std::string& place : places) {
    if (!fs::is_directory(place, error)) continue;
    // The way people would name it from here, if that is shorter.
    const std::string relative = fs::proximate(place, error).string();
    return !error && relative.size() < place.size() ? relative : place;
  }
  throw FileError("the stored PyTorch cases are missing: there is no folder " + report::joined(places, ", ", " and no "),
                  "they come with the sources (tests/cases); --cases DIR names another place");
}

}  // namespace convoy::cli
