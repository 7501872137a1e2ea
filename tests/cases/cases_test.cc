// Every stored case of PyTorch passes: those committed here, and further sets where they are: ../shared/cases beside the
// repository, and the folder that the environment variable CONVOY_CASES names.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "convoy/check/case_file.h"

namespace convoy::check {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> case_files() {
  std::vector<std::string> files;
  std::vector<fs::path> folders{CONVOY_CASES_DIR, fs::path(CONVOY_SOURCE_DIR).parent_path() / "shared" / "cases"};
  if (const char* folder = std::getenv("CONVOY_CASES")) folders.emplace_back(folder);
  for (const fs::path& folder : folders) {
    if (!fs::is_directory(folder)) continue;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".safetensors") files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

class StoredCases : public testing::TestWithParam<std::string> {};

TEST_P(StoredCases, Pass) {
  const std::vector<CaseResult> results = run_case_file(GetParam());
  const Summary summary = summarize(results);
  EXPECT_FALSE(results.empty());
  for (const CaseResult& failure : summary.failures) ADD_FAILURE() << failure.name << ": " << failure.reason;
  for (const CaseResult& result : results) {
    if (result.outcome == Outcome::kRefusedAsExpected && !result.exact_text) ADD_FAILURE() << result.name << ": not PyTorch's text";
  }
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  const fs::path path(info.param);
  std::string name = fs::is_directory(CONVOY_CASES_DIR) && fs::equivalent(path.parent_path(), CONVOY_CASES_DIR) ? "" : "further_";
  name += path.stem().string() + "_" + std::to_string(info.index);
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Files, StoredCases, testing::ValuesIn(case_files()), test_name);

TEST(StoredCases, AreCommitted) { EXPECT_GE(case_files().size(), 21U); }

}  // namespace
}  // namespace convoy::check
