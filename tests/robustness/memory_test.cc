// Every family of calls with its memory between unreadable pages, and with every allocation failing in turn.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <iostream>
#include <new>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/storage.h"
#include "tests/robustness/guarded_memory.h"
#include "tests/robustness/problems.h"

namespace convoy::robustness {
namespace {

constexpr double kSeconds = 0.15;  // per family and guard
constexpr uint64_t kSeed = 20240;

char current_call[1024];

/// Says which call touched a guard page; only functions that a signal handler may use.
void report_fault(int) {
  constexpr char kText[] = "\nread or write outside its memory: ";
  (void)!write(STDERR_FILENO, kText, sizeof kText - 1);
  (void)!write(STDERR_FILENO, current_call, std::strlen(current_call));
  (void)!write(STDERR_FILENO, "\n", 1);
  _exit(1);
}

Problem draw(const Family& family, uint64_t seed) {
  Generator generator(seed);
  Problem problem = family.draw(generator);
  std::snprintf(current_call, sizeof current_call, "%s", problem.text.c_str());
  return problem;
}

/// The same values in memory whose last byte is the last of a page (or, with Guard::kAtBegin, whose first is the first).
Tensor guarded(const Tensor& t, Guard guard) {
  constexpr int64_t kRound = 16;  // 64 bytes of float32
  if (t.numel() == 0 || guard != Guard::kAtEnd) return t.clone();
  const int64_t padded = (t.numel() + kRound - 1) / kRound * kRound;
  Tensor tail = Tensor::empty({padded}, t.dtype()).slice(padded - t.numel(), padded).reshape(t.shape());
  tail.copy_(t);
  return tail;
}

std::string outcome(const Problem& problem, const Tensors& inputs, Tensors& outputs) {
  try {
    outputs = problem.call(inputs);
    return "";
  } catch (const Error& e) {
    return e.reason();
  }
}

TEST(GuardedMemory, GuardsFault) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        set_guard(Guard::kAtEnd);
        const Tensor t = Tensor::ones({16});
        std::cerr << t.data<float>()[16];
      },
      "");
  EXPECT_DEATH(
      {
        set_guard(Guard::kAtBegin);
        const Tensor t = Tensor::ones({16});
        std::cerr << t.data<float>()[-1];
      },
      "");
}

class Memory : public testing::TestWithParam<Family> {
 protected:
  void SetUp() override {
    std::signal(SIGSEGV, report_fault);
    std::signal(SIGBUS, report_fault);
  }
  void TearDown() override {
    set_guard(Guard::kNone);
    set_num_threads(0);
    std::signal(SIGSEGV, SIG_DFL);
    std::signal(SIGBUS, SIG_DFL);
  }
};

TEST_P(Memory, StaysInsideItsPages) {
  for (const Guard guard : {Guard::kAtEnd, Guard::kAtBegin}) {
    const auto start = std::chrono::steady_clock::now();
    const int64_t before = guarded_blocks();
    for (uint64_t i = 0; std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < kSeconds || i < 20;
         ++i) {
      set_guard(Guard::kNone);
      const Problem problem = draw(GetParam(), kSeed + i);
      Tensors plain, between;
      const std::string refusal = outcome(problem, problem.inputs, plain);
      release_cached_memory();
      set_guard(guard);
      Tensors inputs;
      for (const Tensor& t : problem.inputs) inputs.push_back(guarded(t, guard));
      ASSERT_EQ(outcome(problem, inputs, between), refusal);
      ASSERT_EQ(plain.size(), between.size());
      for (size_t k = 0; k < plain.size(); ++k)
        ASSERT_TRUE(identical(plain[k], between[k])) << problem.text << ": output " << k << " depends on alignment";
      set_guard(Guard::kNone);
      release_cached_memory();
    }
    EXPECT_GT(guarded_blocks(), before);
  }
}

/// A legal problem of the family, small enough to be run once per allocation.
Problem legal_problem(const Family& family, uint64_t& seed) {
  for (;; ++seed) {
    Problem problem = draw(family, seed);
    Tensors outputs;
    if (outcome(problem, problem.inputs, outputs).empty() && problem.inputs[0].numel() > 0) return problem;
  }
}

TEST_P(Memory, EveryAllocationMayFail) {
  set_num_threads(2);
  uint64_t seed = kSeed;
  for (int round = 0; round < 4; ++round, ++seed) {
    const Problem problem = legal_problem(GetParam(), seed);
    SCOPED_TRACE(problem.text);
    set_guard(Guard::kAtEnd);  // so that every block counts
    Tensors expected, again;
    ASSERT_EQ(outcome(problem, problem.inputs, expected), "");
    ASSERT_EQ(outcome(problem, problem.inputs, again), "");  // plans and caches are there now
    again.clear();
    release_cached_memory();
    const int64_t live_before = live_blocks();
    for (const bool all_later : {false, true}) {
      int64_t refused = 0;
      for (int64_t n = 0;; ++n) {
        ASSERT_LT(n, 100000);
        bool happened = false;
        try {
          const FailingAllocations failing(n, all_later);
          try {
            problem.call(problem.inputs);
          } catch (...) {
            happened = failing.happened();
            throw;
          }
          happened = failing.happened();
          if (!happened) break;
        } catch (const Error&) {
          ++refused;
          EXPECT_TRUE(happened);
        } catch (const std::bad_alloc&) {
          ++refused;
          EXPECT_TRUE(happened);
        }
        release_cached_memory();
        ASSERT_EQ(live_blocks(), live_before) << "allocation " << n << " failed and something leaked";
      }
      EXPECT_GT(refused, 0);
    }
    ASSERT_EQ(outcome(problem, problem.inputs, again), "");
    ASSERT_EQ(again.size(), expected.size());
    for (size_t k = 0; k < again.size(); ++k) EXPECT_TRUE(identical(again[k], expected[k])) << "output " << k << " after failures";
    set_guard(Guard::kNone);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Memory, testing::ValuesIn(families()), [](const auto& family) { return family.param.name; });

}  // namespace
}  // namespace convoy::robustness
