// Work from several threads at once, nested work, and a thread count that changes between calls.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "convoy/autograd/functions.h"
#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "convoy/ops/conv.h"
#include "convoy/ops/pool.h"

namespace convoy::robustness {
namespace {

TEST(Threads, EveryTaskRunsOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    for (int64_t tasks = 0; tasks < 200; tasks = tasks * 2 + 1) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(tasks));
      parallel_for(tasks, [&](int64_t task, int thread) {
        EXPECT_LT(thread, threads);
        ++runs[static_cast<size_t>(task)];
      });
      for (const auto& run : runs) ASSERT_EQ(run, 1);
    }
  }
  set_num_threads(0);
}

TEST(Threads, WorkInsideWorkStaysOnItsThread) {
  set_num_threads(4);
  std::vector<std::atomic<int>> runs(64);
  parallel_for(8, [&](int64_t outer) {
    const std::thread::id here = std::this_thread::get_id();
    parallel_for(8, [&](int64_t inner) {
      EXPECT_EQ(std::this_thread::get_id(), here);
      ++runs[static_cast<size_t>(outer * 8 + inner)];
    });
  });
  for (const auto& run : runs) EXPECT_EQ(run, 1);
  set_num_threads(0);
}

// PyTorch #116369: a result that depends on the calling thread.
TEST(Threads, CallersFromSeveralThreadsGetTheSameBits) {
  set_num_threads(3);
  Generator generator(3);
  const Tensor x = rand({2, 6, 19, 17}, DType::kFloat32, &generator), w = rand({8, 6, 3, 3}, DType::kFloat32, &generator);
  const auto work = [&] {
    Variable weight(w, true);
    Variable loss = sum(max_pool(2, relu(conv2d(x, weight, {}, {.stride = 2, .padding = 1})), {.kernel_size = 2}));
    loss.backward();
    return weight.grad();
  };
  const Tensor expected = work();
  std::atomic<int> different{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int k = 0; k < 25; ++k) different += !identical(work(), expected);
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(different, 0);
  set_num_threads(0);
}

// A refusal thrown on a thread of the caller's reaches the caller, and the engine works on.
TEST(Threads, RefusalsStayOnTheirThread) {
  std::atomic<int> refused{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int k = 0; k < 50; ++k) {
        try {
          ops::max_unpool(2, Tensor::ones({1, 1, 2, 2}), Tensor::full({1, 1, 2, 2}, 16, DType::kInt64), {.kernel_size = 2});
        } catch (const std::exception&) {
          ++refused;
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(refused, 200);
}

}  // namespace
}  // namespace convoy::robustness
