// Damaged models, made from the ones in tests/onnx/cases: whatever the bytes, loading and running gives values or a convoy::Error,
// in time. CONVOY_FUZZ_SECONDS sets how long (60 in Slow, 2 otherwise), CONVOY_FUZZ_SEED repeats a run; a model that fails is left
// in convoy-fuzz-failure.onnx in the temporary folder.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/message_mutation.h"
#include "tests/fuzz/model_fuzz.h"
#include "tests/mutation.h"

namespace convoy::testing {
namespace {

// The models of tests/onnx/cases, and the small ones of ../shared/onnx_cases where that folder is present.
std::vector<std::string> seeds() {
  namespace fs = std::filesystem;
  constexpr uintmax_t kLargest = 64 << 10;
  std::vector<fs::path> paths;
  for (const char* root : {CONVOY_ONNX_CASES, CONVOY_SHARED_ONNX_CASES}) {
    if (!fs::is_directory(root)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (entry.path().filename() == "model.onnx" && entry.file_size() <= kLargest) paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> files;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return files;
}

void fuzz(double seconds) {
  const std::vector<std::string> files = seeds();
  ASSERT_GE(files.size(), 10u);
  for (const std::string& file : files) EXPECT_NE(load_and_run(reinterpret_cast<const uint8_t*>(file.data()), file.size()), 0);

  const char* given = std::getenv("CONVOY_FUZZ_SEED");
  if (const char* text = std::getenv("CONVOY_FUZZ_SECONDS")) seconds = std::strtod(text, nullptr);
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;  // the same in every run of the tests
  std::printf("CONVOY_FUZZ_SEED=%llu\n", static_cast<unsigned long long>(seed));   // NOLINT(google-runtime-int): for %llu
  std::fflush(stdout);
  const std::filesystem::path failure =
      std::filesystem::temp_directory_path() / ("convoy-fuzz-failure-" + std::to_string(seed) + ".onnx");
  Mutator mutator(seed);
  TreeMutator trees(seed + 1);
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  int64_t counts[4] = {}, total = 0;
  const int64_t most = given != nullptr ? INT64_MAX : 100000;
  for (; Clock::now() < end && total < most; ++total) {
    const std::string bytes = total % 4 == 0 ? mutator.damaged(files) : trees.damaged(files);
    std::ofstream(failure, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));  // so that a crash leaves it
    const std::clock_t begin = std::clock();
    try {
      ++counts[load_and_run(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size())];
    } catch (const std::exception& e) {
      FAIL() << failure << ", file " << total << " of seed " << seed << ": " << e.what();
    }
    // A promise of one second; in the processor's time, since tests share the machine.
    ASSERT_LT(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC, 10.0)
        << failure << ", file " << total << " of seed " << seed;
  }
  std::filesystem::remove(failure);
  std::printf("%lld models: %lld refused, %lld too large, %lld failed to run, %lld ran\n", static_cast<long long>(total),
              static_cast<long long>(counts[0]), static_cast<long long>(counts[1]), static_cast<long long>(counts[2]),
              static_cast<long long>(counts[3]));  // NOLINT(google-runtime-int)
  EXPECT_GT(counts[0], 0);
  EXPECT_GT(counts[3], 0);
}

TEST(ModelFuzz, Shortly) { fuzz(2); }
TEST(ModelFuzz, Slow) { fuzz(60); }

}  // namespace
}  // namespace convoy::testing
