#include "convoy/core/storage.h"

#include <gtest/gtest.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/workspace.h"
#include "tests/sanitized.h"

namespace convoy {
namespace {

bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % kAlignment == 0; }

TEST(Storage, BlocksAreAlignedAndWritable) {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{4096}, (size_t{64} << 10) - 1,
                             size_t{64} << 10, (size_t{64} << 10) + 1, size_t{1} << 20, (size_t{3} << 20) + 17}) {
    const std::shared_ptr<void> block = allocate(bytes);
    ASSERT_NE(block, nullptr) << bytes;
    EXPECT_TRUE(aligned(block.get())) << bytes;
    std::memset(block.get(), 0xa5, bytes);
  }
}

TEST(Storage, LivingBlocksNeverOverlap) {
  std::mt19937 random(1);
  struct Block {
    std::shared_ptr<void> memory;
    size_t bytes;
    unsigned char mark;
  };
  std::vector<Block> blocks;
  for (int step = 0; step < 3000; ++step) {
    if (blocks.size() > 20 || (!blocks.empty() && random() % 3 == 0)) {
      const size_t at = random() % blocks.size();
      const auto* p = static_cast<const unsigned char*>(blocks[at].memory.get());
      ASSERT_EQ(p[0], blocks[at].mark);
      ASSERT_EQ(p[blocks[at].bytes / 2], blocks[at].mark);
      ASSERT_EQ(p[blocks[at].bytes - 1], blocks[at].mark);
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(at));
    } else {
      const size_t bytes = 1 + random() % (size_t{200} << 10);
      blocks.push_back({allocate(bytes), bytes, static_cast<unsigned char>(random())});
      auto* p = static_cast<unsigned char*>(blocks.back().memory.get());
      p[0] = p[bytes / 2] = p[bytes - 1] = blocks.back().mark;
    }
  }
}

TEST(Storage, OneBlockOfTheSizeIsMadeInTheResultsPlace) {
  alignas(kAlignment) unsigned char place[256];
  {
    const ResultPlace wanted(place, sizeof(place));
    const std::shared_ptr<void> other = allocate(sizeof(place) - 1), first = allocate(sizeof(place)),
                                second = allocate(sizeof(place));
    EXPECT_NE(other.get(), place);
    EXPECT_EQ(first.get(), place);
    EXPECT_EQ(first.use_count(), 1);
    EXPECT_NE(second.get(), place);
  }
  { const ResultPlace unused(place, sizeof(place)); }
  EXPECT_NE(allocate(sizeof(place)).get(), place);
}

TEST(Storage, TooMuchMemoryIsAnErrorWithTheNumber) {
  for (const uint64_t bytes : {uint64_t{1} << 60, uint64_t{SIZE_MAX}, uint64_t{SIZE_MAX} - 63}) {
    try {
      (void)allocate(bytes);
      FAIL() << bytes;
    } catch (const OutOfMemory& error) {
      EXPECT_EQ(error.reason(), "not enough memory: tried to allocate " + std::to_string(bytes) + " bytes");
    }
  }
}

TEST(Storage, SeveralThreadsAllocateAndFree) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([t, &wrong] {
      std::mt19937 random(t);
      for (int step = 0; step < 500; ++step) {
        const size_t bytes = (size_t{64} << 10) * (1 + random() % 4);
        const std::shared_ptr<void> block = allocate(bytes);
        auto* p = static_cast<unsigned char*>(block.get());
        p[0] = p[bytes - 1] = static_cast<unsigned char>(t);
        std::this_thread::yield();
        if (p[0] != t || p[bytes - 1] != t) ++wrong;
        if (step % 100 == 0) release_cached_memory();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Storage, AForkedChildMayAllocate) {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) (void)allocate(size_t{128} << 10);
  });
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      (void)allocate(size_t{128} << 10);
      _exit(0);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
  }
  stop = true;
  busy.join();
}

TEST(MemoryBudget, BoundsWhatItsThreadHolds) {
  {
    const MemoryBudget outer(1024);
    EXPECT_NO_THROW(allocate(1000));
    EXPECT_THROW(allocate(1025), Error);
    {
      const MemoryBudget inner(128), wider(5000);
      EXPECT_THROW(allocate(129), Error);
      const auto held = allocate(64);
      EXPECT_THROW(allocate(65), Error);
      EXPECT_NO_THROW(allocate(64));
      EXPECT_EQ(outer.used_bytes(), 64);
      EXPECT_EQ(inner.peak_bytes(), 128);
    }
    EXPECT_EQ(outer.used_bytes(), 0);
    EXPECT_EQ(outer.peak_bytes(), 1024);
    EXPECT_NO_THROW(allocate(1000));
    std::thread([] { EXPECT_NO_THROW(allocate(5000)); }).join();
  }
  EXPECT_NO_THROW(allocate(5000));
}

TEST(MemoryBudget, BlocksMayOutliveItAndGoOnOtherThreads) {
  std::shared_ptr<void> first, second;
  {
    const MemoryBudget budget(1 << 20);
    first = allocate(100000);
    second = allocate_once(100000);
    EXPECT_EQ(budget.used_bytes(), static_cast<int64_t>(2 * block_bytes(100000)));
    std::thread([&] { first.reset(); }).join();
    EXPECT_EQ(budget.used_bytes(), static_cast<int64_t>(block_bytes(100000)));
  }
  second.reset();
}

#ifdef __GLIBC__
TEST(MemoryBudget, WhatIsKeptForReuseGivesWayToIt) {
#ifdef CONVOY_SANITIZED
  GTEST_SKIP() << "nothing is kept for reuse";
#endif
  release_cached_memory();
  const auto in_use = [] {
    const struct mallinfo2 info = ::mallinfo2();
    return static_cast<int64_t>(info.uordblks + info.hblkhd);
  };
  const int64_t before = in_use();
  constexpr int64_t kMegabyte = 1 << 20;
  for (const int64_t budget : {64 * kMegabyte, 14 * kMegabyte}) {
    const MemoryBudget limit(budget);
    for (int64_t i = 1; i <= 8; ++i) allocate(static_cast<uint64_t>(i * kMegabyte));  // each of another size, given back at once
    const std::shared_ptr<void> last = allocate(static_cast<uint64_t>(9 * kMegabyte));
    EXPECT_LE(in_use() - before, budget);
    EXPECT_EQ(in_use() - before > 14 * kMegabyte, budget > 14 * kMegabyte) << in_use() - before;
  }
  release_cached_memory();
}
#endif

TEST(Workspace, PartsAreAlignedAndApart) {
  Workspace scratch(padded_bytes(3 * sizeof(float)) + padded_bytes(5 * sizeof(double)) + padded_bytes(1));
  float* a = scratch.take<float>(3);
  double* b = scratch.take<double>(5);
  char* c = scratch.take<char>(1);
  EXPECT_TRUE(aligned(a));
  EXPECT_TRUE(aligned(b));
  EXPECT_TRUE(aligned(c));
  EXPECT_EQ(reinterpret_cast<char*>(b) - reinterpret_cast<char*>(a), 64);
  EXPECT_EQ(c - reinterpret_cast<char*>(b), 64);
  EXPECT_EQ(scratch.bytes(), 192u);
}

TEST(Workspace, ZeroBytesAreLegal) {
  Workspace scratch(0);
  EXPECT_EQ(scratch.bytes(), 0u);
  EXPECT_EQ(padded_bytes(0), 0u);
  EXPECT_EQ(padded_bytes(1), 64u);
  EXPECT_EQ(padded_bytes(64), 64u);
  EXPECT_EQ(padded_bytes(65), 128u);
}

TEST(Workspace, TooMuchMemoryIsAnError) { EXPECT_THROW(Workspace(SIZE_MAX / 2), Error); }

}  // namespace
}  // namespace convoy
