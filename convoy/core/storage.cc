#include "convoy/core/storage.h"

#include <pthread.h>

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

// Blocks from 64 KiB to 256 MiB are kept, up to 1 GiB in all; smaller ones are malloc's business, larger ones are rare.
constexpr size_t kSmallestKept = size_t{64} << 10;
constexpr size_t kLargestKept = size_t{256} << 20;
constexpr size_t kMostKept = size_t{1} << 30;

void* aligned_malloc(size_t bytes) { return std::aligned_alloc(kAlignment, bytes); }

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
    if (kept_ + bytes > kMostKept) return false;
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

}  // namespace

std::shared_ptr<void> allocate(size_t bytes) {
  const auto fail = [bytes] { throw Error("not enough memory: tried to allocate " + std::to_string(bytes) + " bytes"); };
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
