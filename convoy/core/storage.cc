#include "convoy/core/storage.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "convoy/core/error.h"

#if defined(__has_feature)  // clang's way of saying it
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define CONVOY_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONVOY_SANITIZED 1
#endif
#ifdef CONVOY_SANITIZED
#define CONVOY_CACHE_MEMORY 0  // so that every use after the end is seen
#else
#define CONVOY_CACHE_MEMORY 1
#endif

namespace convoy {

namespace {

// Blocks from 64 KiB to 1 GiB are kept; smaller ones are malloc's business, larger ones are rare.
constexpr size_t kSmallestKept = size_t{64} << 10;
constexpr size_t kLargestKept = size_t{1} << 30;

// A training step of ResNet-50 with 8 images frees 2 GiB and asks for them again: given back to the system, clearing fresh pages
// would take a fifth of the step. A quarter of the machine's memory, at least 1 GiB, is kept.
size_t most_kept() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  const size_t quarter = pages > 0 && page > 0 ? static_cast<size_t>(pages) / 4 * static_cast<size_t>(page) : 0;
  return std::max(quarter, size_t{1} << 30);
}

// Large blocks lie on huge pages where the system has them: a kernel that reads one value of each of many channels touches a page
// per value.
constexpr size_t kHugePage = size_t{2} << 20;

void* aligned_malloc(size_t bytes) {
  if (bytes < 2 * kHugePage) return std::aligned_alloc(kAlignment, bytes);
  void* block = nullptr;
  if (posix_memalign(&block, kHugePage, bytes) != 0) return nullptr;
#ifdef MADV_HUGEPAGE
  madvise(block, bytes, MADV_HUGEPAGE);  // a wish: nothing depends on it
#endif
  return block;
}

class Cache {
 public:
  void* take(size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto it = free_.find(bytes);
    if (it == free_.end() || it->second.empty()) return nullptr;
    void* block = it->second.back();
    it->second.pop_back();
    kept_ -= bytes;
    return block;
  }

  // False if the block is not kept.
  bool give(void* block, size_t bytes) noexcept {
    const std::lock_guard lock(mutex_);
    if (kept_ + bytes > most_kept_) return false;
    try {
      free_[bytes].push_back(block);
    } catch (...) {
      return false;
    }
    kept_ += bytes;
    return true;
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

  void clear() noexcept {
    const std::lock_guard lock(mutex_);
    for (auto& [bytes, blocks] : free_) {
      for (void* block : blocks) std::free(block);
    }
    free_.clear();
    kept_ = 0;
  }

 private:
  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;
  size_t kept_ = 0;
  const size_t most_kept_ = most_kept();
};

Cache& cache() {
  static Cache* const instance = [] {
    // A child forked while another thread holds the lock would wait for it for ever.
    pthread_atfork([] { cache().lock(); }, [] { cache().unlock(); }, [] { cache().unlock(); });
    return new Cache;  // never destroyed: tensors of static storage duration may outlive any order
  }();
  return *instance;
}

// Rounds up so that nearby sizes share blocks: eighths of a power of two above the small sizes.
size_t rounded(size_t bytes) {
  if (bytes < kSmallestKept) return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  size_t step = size_t{4} << 10;
  while (step * 16 < bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

thread_local size_t largest_block = SIZE_MAX;

}  // namespace

LargestBlock::LargestBlock(size_t bytes) noexcept : outer_(largest_block) { largest_block = std::min(outer_, bytes); }
LargestBlock::~LargestBlock() { largest_block = outer_; }

std::shared_ptr<void> allocate(size_t bytes) {
  if (bytes > largest_block) {
    throw Error(std::to_string(bytes) + " bytes are more than the " + std::to_string(largest_block) + " that one value may have",
                "raise the memory budget, or use smaller inputs");
  }
  const auto fail = [bytes] {
    throw Error("not enough memory: tried to allocate " + std::to_string(bytes) + " bytes",
                "use smaller sizes, fewer at a time, or a smaller batch");
  };
  if (bytes > (SIZE_MAX >> 2)) fail();
  const size_t size = rounded(bytes == 0 ? 1 : bytes);
  const bool kept = CONVOY_CACHE_MEMORY && size >= kSmallestKept && size <= kLargestKept;
  void* block = kept ? cache().take(size) : nullptr;
  if (block == nullptr) block = aligned_malloc(size);
  if (block == nullptr) {
    cache().clear();
    block = aligned_malloc(size);
  }
  if (block == nullptr) fail();
  return {block, [size, kept](void* p) {
            if (!kept || !cache().give(p, size)) std::free(p);
          }};
}

void release_cached_memory() { cache().clear(); }

}  // namespace convoy
