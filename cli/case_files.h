// Running stored PyTorch cases, for `convoy check` and the demo.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/session.h"
#include "convoy/check/case_file.h"

namespace convoy::cli {

/// `path` itself, or the *.safetensors files in it if it is a folder, by name. Throws FileError if there is nothing.
std::vector<std::string> case_files(const std::string& path);

/// What the cases of some files gave.
struct CaseRun {
  check::Summary summary;
  int64_t files = 0;
  std::vector<std::pair<std::string, FileError>> unreadable;
};

/// Runs the files one after the other, with progress; a file that cannot be read does not stop the others. Throws Interrupted.
CaseRun run_case_files(const std::vector<std::string>& paths, Session& session);

}  // namespace convoy::cli
