#include "cli/case_files.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "cli/interrupt.h"
#include "convoy/report/format.h"

namespace convoy::cli {

namespace fs = std::filesystem;

std::vector<std::string> case_files(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return {path};
  std::vector<std::string> files;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".safetensors") files.push_back(entry->path().string());
  }
  if (error) throw FileError(path + ": " + error.message());
  if (files.empty())
    throw FileError(path + ": no case files (*.safetensors) in this folder", "name a folder that holds some, or the files");
  std::sort(files.begin(), files.end());
  return files;
}

CaseRun run_case_files(const std::vector<std::string>& paths, Session& session) {
  CaseRun run;
  std::vector<check::CaseResult> results;
  report::Progress progress(session.progress(1), static_cast<int64_t>(paths.size()), "files");
  progress.section("checking", 0, static_cast<int64_t>(paths.size()));
  for (const std::string& path : paths) {
    stop_if_asked(report::grouped(run.files) + " of " + report::counted(static_cast<int64_t>(paths.size()), "file") + " checked");
    try {
      std::vector<check::CaseResult> more = check::run_case_file(path);
      std::move(more.begin(), more.end(), std::back_inserter(results));
    } catch (const FileError& error) {
      run.unreadable.emplace_back(path, error);
    }
    progress.update(++run.files);
  }
  progress.clear();
  run.summary = check::summarize(results);
  return run;
}

}  // namespace convoy::cli
