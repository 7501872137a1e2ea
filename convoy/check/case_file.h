// Case files: stored results of PyTorch to check the engine against (docs/case_files.md).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace convoy::check {

/// What became of one case.
enum class Outcome : uint8_t { kPassed, kRefusedAsExpected, kFailed };

struct CaseResult {
  std::string name, op;
  Outcome outcome = Outcome::kFailed;
  bool exact_text = false;   // refused with PyTorch's complete message
  double error_ratio = 0;    // largest |got - stored| / atol over all tensors of the case (0 when bit for bit)
  double largest_error = 0;  // largest |got - stored|
  std::string reason;        // why it failed, empty otherwise
};

/// Every case either passed or failed; of those that passed, `refused` were refused as they should be.
struct OpSummary {
  int64_t passed = 0, failed = 0, refused = 0, refused_exact_text = 0;
  double worst_ratio = 0, largest_error = 0;
};

struct Summary {
  OpSummary total;
  std::map<std::string, OpSummary> per_op;
  std::vector<CaseResult> failures;
};

/// Runs every case of a file. An op that the engine does not know counts as failed. Errors: FileError.
std::vector<CaseResult> run_case_file(const std::string& path);

Summary summarize(const std::vector<CaseResult>& results);

}  // namespace convoy::check
