#include "convoy/check/case_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>

#include "convoy/check/op_table.h"
#include "convoy/core/error.h"
#include "convoy/io/safetensors.h"

namespace convoy::check {
namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
#define EXPECT_CONTAINS(text, part) EXPECT_TRUE(contains(text, part)) << (text)

/// A case file in the test's folder, removed at the end.
class File {
 public:
  File(const std::string& cases, std::vector<std::pair<std::string, Tensor>> tensors)
      : path_(testing::TempDir() + std::to_string(getpid()) + "_case_file_test.safetensors") {
    io::write_safetensors(path_, {.tensors = std::move(tensors), .metadata = {{"cases", cases}}});
  }
  ~File() { std::remove(path_.c_str()); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  std::vector<CaseResult> run() const { return run_case_file(path_); }
  CaseResult only() const { return run().at(0); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string relu_case(const std::string& rest) {
  return R"([{"name": "t/relu/0", "op": "relu", "args": {}, "inputs": {"input": "x"}, "outputs": {"output": "y"})" + rest + "}]";
}

const float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(CaseFile, APassedCase) {
  const File file(
      relu_case(R"(, "grad_outputs": {"output": "g"}, "grads": {"input": "dx"}, "atol": {"output": 0.0, "grad.input": 1e-6})"),
      {{"x", Tensor::from({-1, 2, 3}, {3})},
       {"y", Tensor::from({0, 2, 3}, {3})},
       {"g", Tensor::from({5, 6, 7}, {3})},
       {"dx", Tensor::from({0, 6, 7}, {3})}});
  const CaseResult result = file.only();
  EXPECT_EQ(result.outcome, Outcome::kPassed) << result.reason;
  EXPECT_EQ(result.error_ratio, 0);
}

TEST(CaseFile, AValueIsJudgedByItsTolerance) {
  const std::vector<std::pair<std::string, Tensor>> tensors{{"x", Tensor::from({1, 2}, {2})}, {"y", Tensor::from({1, 2.5F}, {2})}};
  const CaseResult near = File(relu_case(R"(, "atol": {"output": 1.0})"), tensors).only();
  EXPECT_EQ(near.outcome, Outcome::kPassed);
  EXPECT_DOUBLE_EQ(near.error_ratio, 0.5);
  EXPECT_DOUBLE_EQ(near.largest_error, 0.5);
  const CaseResult far = File(relu_case(R"(, "atol": {"output": 0.25})"), tensors).only();
  EXPECT_EQ(far.outcome, Outcome::kFailed);
  EXPECT_CONTAINS(far.reason, "output: element 1 is 2, stored 2.5, off by 0.5 where 0.25 is allowed");
  // No tolerance at all means bit for bit, and so does 0.
  EXPECT_EQ(File(relu_case(""), tensors).only().outcome, Outcome::kFailed);
  EXPECT_EQ(File(relu_case(R"(, "atol": {"output": 0})"), tensors).only().outcome, Outcome::kFailed);
}

TEST(CaseFile, NaNAndInfinityEqualOnlyThemselves) {
  const auto outcome = [](float x, float stored) {
    return File(relu_case(R"(, "atol": {"output": 1e30})"), {{"x", Tensor::from({x}, {1})}, {"y", Tensor::from({stored}, {1})}})
        .only()
        .outcome;
  };
  EXPECT_EQ(outcome(kNaN, kNaN), Outcome::kPassed);
  EXPECT_EQ(outcome(kNaN, 1), Outcome::kFailed);
  EXPECT_EQ(outcome(1, kNaN), Outcome::kFailed);
  EXPECT_EQ(outcome(INFINITY, INFINITY), Outcome::kPassed);
  EXPECT_EQ(outcome(1, INFINITY), Outcome::kFailed);
}

TEST(CaseFile, ShapeAndTypeMustBeEqual) {
  EXPECT_CONTAINS(File(relu_case(""), {{"x", Tensor::ones({2, 1})}, {"y", Tensor::ones({2})}}).only().reason,
                  "shape [2, 1], stored [2]");
  EXPECT_CONTAINS(File(relu_case(""), {{"x", Tensor::ones({2})}, {"y", Tensor::ones({2}, DType::kInt64)}}).only().reason,
                  "float32, stored int64");
}

TEST(CaseFile, AGradientIsCompared) {
  const File file(relu_case(R"(, "grad_outputs": {"output": "y"}, "grads": {"input": "x"}, "atol": {"output": 0.0})"),
                  {{"x", Tensor::from({1, 2}, {2})}, {"y", Tensor::from({1, 2}, {2})}});
  EXPECT_EQ(file.only().outcome, Outcome::kPassed);
  const File wrong(relu_case(R"(, "grad_outputs": {"output": "g"}, "grads": {"input": "x"}, "atol": {"output": 0.0})"),
                   {{"x", Tensor::from({1, 2}, {2})}, {"y", Tensor::from({1, 2}, {2})}, {"g", Tensor::ones({2})}});
  EXPECT_CONTAINS(wrong.only().reason, "grad.input: element 1");
}

std::string pool_error(const std::string& error, const std::string& key) {
  return R"([{"name": "t/max_pool2d/0", "op": "max_pool2d", "args": {"kernel_size": [3, 3], "padding": [2, 2]}, "inputs": {"input": "x"}, "error": ")" +
         error + R"(", "error_key": ")" + key + R"("}])";
}

TEST(CaseFile, ARefusalIsJudgedByItsKeyAndItsText) {
  const std::vector<std::pair<std::string, Tensor>> tensors{{"x", Tensor::ones({1, 1, 8, 8})}};
  const std::string text = "pad should be at most half of kernel size, but got pad=2 and kernel_size=3";
  const CaseResult exact = File(pool_error(text, "should be at most half of"), tensors).only();
  EXPECT_EQ(exact.outcome, Outcome::kRefusedAsExpected) << exact.reason;
  EXPECT_TRUE(exact.exact_text);
  const CaseResult worded = File(pool_error("pad is wrong", "should be at most half of"), tensors).only();
  EXPECT_EQ(worded.outcome, Outcome::kRefusedAsExpected);
  EXPECT_FALSE(worded.exact_text);
  const CaseResult other = File(pool_error("stride is wrong", "stride"), tensors).only();
  EXPECT_EQ(other.outcome, Outcome::kFailed);
  EXPECT_CONTAINS(other.reason, "refused as it should be but with");
}

TEST(CaseFile, AcceptingWhatPyTorchRefusesFails) {
  const File file(R"([{"name": "t/relu/0", "op": "relu", "inputs": {"input": "x"}, "error": "no", "error_key": "no"}])",
                  {{"x", Tensor::ones({1})}});
  EXPECT_EQ(file.only().outcome, Outcome::kFailed);
  EXPECT_CONTAINS(file.only().reason, "accepted, PyTorch refuses: no");
}

TEST(CaseFile, WhatTheEngineDoesNotKnowFails) {
  const std::vector<std::pair<std::string, Tensor>> tensors{{"x", Tensor::ones({1})}, {"y", Tensor::ones({1})}};
  const auto reason = [&](const std::string& item) {
    const CaseResult result = File("[" + item + "]", tensors).only();
    EXPECT_EQ(result.outcome, Outcome::kFailed);
    return result.reason;
  };
  EXPECT_EQ(reason(R"({"name": "a", "op": "frobnicate", "inputs": {"input": "x"}, "outputs": {"output": "y"}})"),
            "the engine has no op 'frobnicate'");
  EXPECT_EQ(reason(R"({"name": "a", "op": "relu", "args": {"slope": 1}, "inputs": {"input": "x"}, "outputs": {"output": "y"}})"),
            "arguments that relu does not have: 'slope'");
  EXPECT_EQ(reason(R"({"name": "a", "op": "relu", "inputs": {"input": "x", "weight": "y"}, "outputs": {"output": "y"}})"),
            "inputs that relu does not have: 'weight'");
  EXPECT_EQ(reason(R"({"name": "a", "op": "relu", "inputs": {"x": "x"}, "outputs": {"output": "y"}})"), "input 'input' is missing");
  EXPECT_EQ(reason(R"({"name": "a", "op": "softmax", "inputs": {"input": "x"}, "outputs": {"output": "y"}})"),
            "argument 'dim' is missing");
  EXPECT_EQ(reason(R"({"name": "a", "op": "softmax", "args": {"dim": "x"}, "inputs": {"input": "x"}, "outputs": {"output": "y"}})"),
            "argument 'dim' is 'x', not an integer");
  EXPECT_EQ(reason(R"({"name": "a", "op": "relu", "inputs": {"input": "x"}, "outputs": {"indices": "y"}})"),
            "indices: not computed");
  EXPECT_EQ(reason(R"({"name": "a", "op": "module", "args": {"type": "Transformer"}, "outputs": {"weight": "y"}})"),
            "the engine has no module 'Transformer'");
  // A missing argument is no refusal by the engine, so it must not count as one.
  EXPECT_EQ(reason(R"({"name": "a", "op": "softmax", "inputs": {"input": "x"}, "error": "argument 'dim' is missing"})"),
            "argument 'dim' is missing");
}

TEST(CaseFile, HostileFilesAreRefused) {
  const std::vector<std::pair<std::string, Tensor>> tensors{{"x", Tensor::ones({1})}, {"y", Tensor::ones({1})}};
  const auto refused = [&](const std::string& cases) {
    const File file(cases, tensors);
    try {
      file.run();
    } catch (const FileError& e) {
      EXPECT_EQ(e.reason().substr(0, file.path().size()), file.path());
      return e.reason().substr(file.path().size());
    }
    ADD_FAILURE() << "accepted: " << cases.substr(0, 200);
    return std::string();
  };
  EXPECT_EQ(refused("{"), ": \"cases\" is not JSON");
  EXPECT_EQ(refused("{}"), ": \"cases\" is not a JSON array");
  EXPECT_EQ(refused("[1]"), ": case 0: not a JSON object");
  EXPECT_EQ(refused("[{}]"), ": case 0: no \"name\"");
  EXPECT_EQ(refused(R"([{"name": 3}])"), ": case 0: \"name\" is not a string");
  EXPECT_EQ(refused(R"([{"name": "a"}])"), ": case a: no \"op\"");
  EXPECT_EQ(refused(R"([{"name": "a", "op": "relu"}])"), ": case a: neither outputs, nor an error, nor a repr");
  EXPECT_EQ(refused(R"([{"name": "a", "op": "relu", "args": [1]}])"), ": case a: \"args\" is not a JSON object");
  EXPECT_EQ(refused(R"([{"name": "a", "op": "relu", "inputs": {"input": "z"}}])"),
            ": case a: \"input\" of \"inputs\" is the tensor \"z\", which the file does not hold");
  EXPECT_EQ(refused(R"([{"name": "a", "op": "relu", "inputs": {"input": 3}}])"),
            ": case a: \"input\" of \"inputs\" is not the name of a tensor");
  EXPECT_EQ(refused(R"([{"name": "a", "op": "relu", "outputs": {"output": "y"}, "atol": {"output": -1}}])"),
            ": case a: atol of \"output\" is not a number of 0 or more");
  EXPECT_EQ(refused(R"([{"name": "a", "op": "relu", "args": {"n": 18446744073709551615}}])"),
            ": case a: the number 18446744073709551615 does not fit 64 bits");
  EXPECT_EQ(refused(R"([{"name": "a", "op": "relu", "args": {"n": )" + std::string(100, '[') + std::string(100, ']') + "}}]"),
            ": case a: an argument is nested more than 8 deep");
  EXPECT_EQ(refused(std::string(200000, '[')), ": \"cases\" is not JSON");
}

TEST(CaseFile, AFileWithoutCasesIsRefused) {
  const std::string path = testing::TempDir() + std::to_string(getpid()) + "_no_cases.safetensors";
  io::write_safetensors(path, {.tensors = {{"x", Tensor::ones({1})}}, .metadata = {}});
  EXPECT_THROW(run_case_file(path), FileError);
  std::ofstream(path, std::ios::binary) << "not safetensors";
  EXPECT_THROW(run_case_file(path), FileError);
  std::remove(path.c_str());
  EXPECT_THROW(run_case_file(path), FileError);
}

TEST(CaseFile, Summary) {
  const std::vector<CaseResult> results{
      {.name = "1", .op = "a", .outcome = Outcome::kPassed, .error_ratio = 0.5, .largest_error = 2},
      {.name = "2", .op = "a", .outcome = Outcome::kFailed, .error_ratio = 3, .reason = "why"},
      {.name = "3", .op = "b", .outcome = Outcome::kRefusedAsExpected, .exact_text = true},
      {.name = "4", .op = "b", .outcome = Outcome::kRefusedAsExpected}};
  const Summary summary = summarize(results);
  EXPECT_EQ(summary.total.passed, 3);
  EXPECT_EQ(summary.total.failed, 1);
  EXPECT_EQ(summary.total.refused, 2);
  EXPECT_EQ(summary.total.refused_exact_text, 1);
  EXPECT_EQ(summary.per_op.at("a").worst_ratio, 3);
  EXPECT_EQ(summary.per_op.at("a").largest_error, 2);
  EXPECT_EQ(summary.per_op.at("b").refused, 2);
  ASSERT_EQ(summary.failures.size(), 1U);
  EXPECT_EQ(summary.failures[0].reason, "why");
}

TEST(OpTable, EveryOpIsFoundOnce) {
  int rows = 0;
  for (const auto list : {conv_ops(), pool_ops(), norm_ops(), elementwise_ops(), rearrange_ops(), loss_ops()}) {
    for (const OpRow& row : list) {
      EXPECT_EQ(find_op(row.op), &row) << row.op << " is listed twice";
      ++rows;
    }
  }
  EXPECT_GT(rows, 50);
  for (const ModuleRow& row : module_types()) EXPECT_EQ(find_module(row.type), &row) << row.type << " is listed twice";
}

}  // namespace
}  // namespace convoy::check
