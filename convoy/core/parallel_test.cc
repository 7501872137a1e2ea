#include "convoy/core/parallel.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/keep_num_threads.h"

namespace convoy {
namespace {

class Parallel : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_num_threads(GetParam()); }
  void TearDown() override { set_num_threads(0); }
};

INSTANTIATE_TEST_SUITE_P(Threads, Parallel, ::testing::Values(1, 2, 7));

TEST_P(Parallel, EveryTaskRunsOnce) {
  for (const int64_t tasks : {int64_t{0}, int64_t{1}, int64_t{2}, int64_t{3}, int64_t{7}, int64_t{8}, int64_t{1000}}) {
    std::vector<std::atomic<int>> runs(static_cast<size_t>(tasks));
    std::atomic<int> bad_thread{0};
    parallel_for(tasks, [&](int64_t task, int thread) {
      ++runs[static_cast<size_t>(task)];
      if (thread < 0 || thread >= GetParam()) ++bad_thread;
    });
    for (const auto& count : runs) EXPECT_EQ(count, 1);
    EXPECT_EQ(bad_thread, 0);
  }
}

TEST_P(Parallel, NegativeCountsAreNoTasks) {
  parallel_for(-1, [](int64_t) { ADD_FAILURE(); });
  parallel_ranges(-5, 2, [](int64_t, int64_t) { ADD_FAILURE(); });
  parallel_ranges(0, 2, [](int64_t, int64_t) { ADD_FAILURE(); });
}

TEST_P(Parallel, TwoTasksNeverRunUnderOneThreadNumberAtOnce) {
  std::vector<std::atomic<int>> inside(static_cast<size_t>(GetParam()));
  std::atomic<int> clashes{0};
  parallel_for(200, [&](int64_t, int thread) {
    if (++inside[static_cast<size_t>(thread)] != 1) ++clashes;
    std::this_thread::yield();
    --inside[static_cast<size_t>(thread)];
  });
  EXPECT_EQ(clashes, 0);
}

TEST_P(Parallel, WritesAreSeenAfterwards) {
  std::vector<int64_t> values(10000, -1);
  for (int round = 0; round < 50; ++round) {
    parallel_for(static_cast<int64_t>(values.size()), [&](int64_t i) { values[static_cast<size_t>(i)] = i * round; });
    for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], static_cast<int64_t>(i) * round);
  }
}

TEST_P(Parallel, NestedLoopsRunToTheEnd) {
  std::atomic<int64_t> sum{0};
  parallel_for(8, [&](int64_t i) { parallel_for(8, [&](int64_t j) { parallel_for(3, [&](int64_t) { sum += i * 8 + j; }); }); });
  EXPECT_EQ(sum, 3 * 63 * 64 / 2);
}

TEST_P(Parallel, SeveralCallersAtOnce) {
  constexpr int kCallers = 4;
  std::vector<int64_t> sums(kCallers, 0);
  std::vector<std::thread> callers;
  for (size_t c = 0; c < kCallers; ++c) {
    callers.emplace_back([c, &sums] {
      for (int round = 0; round < 100; ++round) {
        std::vector<int64_t> part(64, 0);
        parallel_for(64, [&](int64_t i) { part[static_cast<size_t>(i)] += i + static_cast<int64_t>(c); });
        sums[c] += std::accumulate(part.begin(), part.end(), int64_t{0});
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (size_t c = 0; c < kCallers; ++c) EXPECT_EQ(sums[c], 100 * (63 * 32 + 64 * static_cast<int64_t>(c)));
}

TEST_P(Parallel, TheCountMayChangeWhileRunning) {
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    for (int threads = 1; !stop; threads = threads % 5 + 1) set_num_threads(threads);
  });
  for (int round = 0; round < 300; ++round) {
    std::atomic<int64_t> sum{0};
    parallel_for(100, [&](int64_t i) { sum += i; });
    ASSERT_EQ(sum, 4950);
  }
  stop = true;
  changer.join();
}

TEST_P(Parallel, AForkedChildRunsItsTasks) {
  parallel_for(16, [](int64_t) {});  // the parent has its workers
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<int64_t> sum{0};
    for (int round = 0; round < 10; ++round) parallel_for(100, [&](int64_t i) { sum += i; });
    _exit(sum == 49500 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  std::atomic<int64_t> sum{0};
  parallel_for(100, [&](int64_t i) { sum += i; });
  EXPECT_EQ(sum, 4950) << "and the parent goes on";
}

TEST_P(Parallel, AChildForkedWhileThePoolIsBusyRunsAlone) {
  std::atomic<bool> done{false};
  int status = -1;
  std::thread forker([&] {
    const pid_t child = fork();
    if (child == 0) {  // the pool's lock stays taken here, and nobody will give it back
      std::atomic<int64_t> sum{0};
      parallel_for(10, [&](int64_t i) { sum += i; });
      _exit(sum == 45 ? 0 : 1);
    }
    waitpid(child, &status, 0);
    done = true;
  });
  while (!done) parallel_for(GetParam() * 4, [](int64_t) { std::this_thread::yield(); });
  forker.join();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_P(Parallel, RangesCoverTheCountOnce) {
  for (const int64_t count : {int64_t{1}, int64_t{2}, int64_t{15}, int64_t{16}, int64_t{17}, int64_t{100}}) {
    for (const int64_t grain : {int64_t{-3}, int64_t{0}, int64_t{1}, int64_t{4}, int64_t{16}, int64_t{1000}}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
      std::atomic<int> too_long{0};
      parallel_ranges(count, grain, [&](int64_t begin, int64_t end) {
        if (begin >= end || end - begin > std::max<int64_t>(grain, 1)) ++too_long;
        for (int64_t i = begin; i < end; ++i) ++runs[static_cast<size_t>(i)];
      });
      for (const auto& n : runs) EXPECT_EQ(n, 1) << count << " by " << grain;
      EXPECT_EQ(too_long, 0);
    }
  }
}

TEST(ParallelSettings, TheCountIsWhatWasSet) {
  EXPECT_GE(available_threads(), 1);
  set_num_threads(3);
  EXPECT_EQ(num_threads(), 3);
  EXPECT_THROW(set_num_threads(-1), ValueError);
  EXPECT_THROW(set_num_threads(1025), ValueError);
  EXPECT_EQ(num_threads(), 3) << "a refused count changes nothing";
  set_num_threads(1024);
  EXPECT_EQ(num_threads(), 1024);
  set_num_threads(0);
  EXPECT_GE(num_threads(), 1);
  try {
    set_num_threads(-4);
    FAIL();
  } catch (const ValueError& error) {
    EXPECT_EQ(error.reason(), "set_num_threads expects a positive integer");
    EXPECT_NE(error.fix().find("-4"), std::string::npos);
  }
}

TEST(ParallelSettings, TheCountCanBeKept) {
  set_num_threads(3);
  {
    const KeepNumThreads kept;
    set_num_threads(5);
    EXPECT_EQ(num_threads(), 3);
    {
      const KeepNumThreads again;
      EXPECT_EQ(num_threads(), 3);
    }
    EXPECT_EQ(num_threads(), 3);
    int elsewhere = 0;
    std::thread([&] { elsewhere = num_threads(); }).join();
    EXPECT_EQ(elsewhere, 5);
  }
  EXPECT_EQ(num_threads(), 5);
  set_num_threads(0);
}

TEST(ParallelSettings, TheEnvironmentGivesTheDefault) {
  setenv("CONVOY_NUM_THREADS", "5", 1);
  set_num_threads(0);
  EXPECT_EQ(num_threads(), 5);
  for (const char* nonsense : {"", "0", "-2", "many", "3x", "5000"}) {
    setenv("CONVOY_NUM_THREADS", nonsense, 1);
    set_num_threads(0);
    EXPECT_EQ(num_threads(), available_threads()) << nonsense;
  }
  unsetenv("CONVOY_NUM_THREADS");
  set_num_threads(0);
}

TEST(ParallelDeathTest, ATaskThatThrowsEndsTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH_IF_SUPPORTED(parallel_for(4, [](int64_t) { throw Error("never"); }), "");
}

}  // namespace
}  // namespace convoy
