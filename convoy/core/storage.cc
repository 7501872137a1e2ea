#include "convoy/core/storage.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

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
  if (bytes < kHugePage) return std::aligned_alloc(kAlignment, bytes);
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

  size_t kept() const { return kept_; }

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
  std::atomic<size_t> kept_{0};
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

// Made when the library is loaded: so would a child forked while another thread's first allocation makes it.
[[maybe_unused]] const Cache& made_at_load = cache();

}  // namespace

// Rounds up so that nearby sizes share blocks: eighths of a power of two above the small sizes.
size_t block_bytes(size_t bytes) {
  bytes = std::max<size_t>(bytes, 1);
  if (bytes < kSmallestKept) return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  size_t step = size_t{4} << 10;
  while (step * 16 < bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

struct MemoryBudget::Account {
  Account(int64_t most, std::shared_ptr<Account> around) : limit(most), outer(std::move(around)) {}

  const int64_t limit;
  const std::shared_ptr<Account> outer;
  std::atomic<int64_t> used{0}, peak{0};
};

namespace {

using Account = std::shared_ptr<MemoryBudget::Account>;

thread_local Account current_account;

}  // namespace

int64_t memory_room() {
  int64_t room = INT64_MAX;
  for (const Account* at = &current_account; *at != nullptr; at = &(*at)->outer)
    room = std::min(room, std::max<int64_t>((*at)->limit - (*at)->used, 0));
  return room;
}

namespace {

// Of ResultPlace; null once it is taken.
thread_local void* result_place = nullptr;
thread_local uint64_t result_bytes = 0;

void give_back(const Account& account, int64_t bytes) noexcept {
  for (const Account* at = &account; *at != nullptr; at = &(*at)->outer) (*at)->used -= bytes;
}

void charge(const Account& account, int64_t bytes) {
  for (const Account* at = &account; *at != nullptr; at = &(*at)->outer) {
    MemoryBudget::Account& one = **at;
    const int64_t before = one.used.load();
    // Only the thread that owns the budget adds to it; others may give back.
    if (bytes <= one.limit && before <= one.limit - bytes) continue;
    raise<OutOfMemory>(
        "{} bytes more than the {} in use would pass the memory budget of {}\n"
        "use smaller inputs, fewer at a time, or a larger memory budget",
        bytes, before, one.limit);
  }
  for (const Account* at = &account; *at != nullptr; at = &(*at)->outer) {
    MemoryBudget::Account& one = **at;
    one.peak = std::max(one.peak.load(), one.used += bytes);
  }
}

std::shared_ptr<void> allocate_block(uint64_t bytes, bool for_reuse) {
  const auto fail = [bytes] {
    raise<OutOfMemory>(
        "not enough memory: tried to allocate {} bytes\n"
        "use smaller sizes, fewer at a time, or a smaller batch",
        bytes);
  };
  if (bytes > (SIZE_MAX >> 2)) fail();
  const size_t size = block_bytes(static_cast<size_t>(bytes));
  const auto charged = static_cast<int64_t>(size);
  charge(current_account, charged);
  bool kept = CONVOY_CACHE_MEMORY && for_reuse && size >= kSmallestKept && size <= kLargestKept;
  void* block = kept ? cache().take(size) : nullptr;
  if (current_account != nullptr && cache().kept() > static_cast<uint64_t>(memory_room())) cache().clear();
  if (block == nullptr) block = aligned_malloc(size);
  if (block == nullptr) {
    cache().clear();
    block = aligned_malloc(size);
  }
  if (block == nullptr) {
    give_back(current_account, charged);
    fail();
  }
  return {block, [size, kept, account = current_account](void* p) {
            if (account != nullptr) give_back(account, static_cast<int64_t>(size));
            if (!kept || !cache().give(p, size)) std::free(p);
          }};
}

}  // namespace

MemoryBudget::MemoryBudget(int64_t bytes) : account_(std::make_shared<Account>(bytes, current_account)) {
  current_account = account_;
}
MemoryBudget::~MemoryBudget() { current_account = account_->outer; }
int64_t MemoryBudget::used_bytes() const { return account_->used; }
int64_t MemoryBudget::peak_bytes() const { return account_->peak; }

ResultPlace::ResultPlace(void* data, uint64_t bytes) {
  result_place = data;
  result_bytes = bytes;
}
ResultPlace::~ResultPlace() { result_place = nullptr; }

std::shared_ptr<void> allocate(uint64_t bytes) {
  if (result_place != nullptr && bytes == result_bytes) return {std::exchange(result_place, nullptr), [](void*) {}};
  return allocate_block(bytes, true);
}
std::shared_ptr<void> allocate_once(uint64_t bytes) { return allocate_block(bytes, false); }

void release_cached_memory() {
  cache().clear();
#ifdef __GLIBC__
  malloc_trim(0);  // free() keeps the pages of small blocks
#endif
}

}  // namespace convoy
