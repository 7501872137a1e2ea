#include "tests/robustness/guarded_memory.h"

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

extern "C" {
void __libc_free(void* block);
void* __libc_memalign(size_t alignment, size_t bytes);
void* __libc_malloc(size_t bytes);
}

namespace convoy::robustness {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kArena = size_t{1} << 37;  // address space, not memory

std::atomic<Guard> guard_mode{Guard::kNone};
std::atomic<int64_t> blocks_guarded{0};
std::atomic<int64_t> live{0};
std::atomic<int64_t> countdown{-1};  // below 0: nothing fails
std::atomic<bool> later_fail{false};
std::atomic<bool> failed{false};

bool fails() {
  if (countdown.load(std::memory_order_relaxed) < 0) return false;
  const int64_t left = countdown.fetch_sub(1, std::memory_order_relaxed);
  if (left > 0) return false;
  if (left < 0) {
    countdown.store(-1, std::memory_order_relaxed);
    return false;
  }
  failed = true;
  if (later_fail) countdown.store(0, std::memory_order_relaxed);
  return true;
}

/// Blocks one after the other in a reserved range; a block's pages are opened when it is taken and closed for good when it is given
/// back.
class Arena {
 public:
  bool owns(const void* block) const {
    const auto* p = static_cast<const char*>(block);
    return base_ != nullptr && p >= base_ && p < base_ + kArena;
  }

  void* take(size_t bytes, bool at_end) {
    if (base_ == nullptr) {
      void* range = mmap(nullptr, kArena, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (range == MAP_FAILED) return nullptr;
      void* sizes =
          mmap(nullptr, kSizes * sizeof(size_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (sizes == MAP_FAILED) return nullptr;
      sizes_ = static_cast<size_t*>(sizes);
      base_ = static_cast<char*>(range);
    }
    const size_t pages = (bytes + kPage - 1) / kPage;
    const size_t at = next_.fetch_add((pages + 2) * kPage);
    if (at + (pages + 2) * kPage > kArena) return nullptr;
    char* first = base_ + at + kPage;
    if (mprotect(first, pages * kPage, PROT_READ | PROT_WRITE) != 0) return nullptr;
    sizes_[at / kPage] = pages;
    ++blocks_guarded;
    return at_end ? first + pages * kPage - bytes : first;
  }

  void give(void* block) {
    const size_t page = static_cast<size_t>(static_cast<char*>(block) - base_) / kPage;
    const size_t pages = sizes_[page - 1];
    char* first = base_ + page * kPage;
    madvise(first, pages * kPage, MADV_DONTNEED);
    mprotect(first, pages * kPage, PROT_NONE);
  }

 private:
  static constexpr size_t kSizes = kArena / kPage;
  char* base_ = nullptr;
  std::atomic<size_t> next_{0};
  size_t* sizes_ = nullptr;  // pages of each block, by the number of the guard page in front
};

constinit Arena arena;

void release(void* block) noexcept {
  if (block == nullptr) return;
  --live;
  if (arena.owns(block)) {
    arena.give(block);
  } else {
    __libc_free(block);
  }
}

void* counted_new(size_t bytes, size_t alignment) {
  void* block = fails() ? nullptr : alignment == 0 ? __libc_malloc(bytes) : __libc_memalign(alignment, bytes);
  if (block == nullptr) throw std::bad_alloc();
  ++live;
  return block;
}

}  // namespace

void set_guard(Guard guard) { guard_mode = guard; }
int64_t guarded_blocks() { return blocks_guarded; }
int64_t live_blocks() { return live; }

FailingAllocations::FailingAllocations(int64_t first, bool all_later) {
  failed = false;
  later_fail = all_later;
  countdown = first;
}
FailingAllocations::~FailingAllocations() { countdown = -1; }
bool FailingAllocations::happened() const { return failed; }

}  // namespace convoy::robustness

using convoy::robustness::Guard;

extern "C" void* aligned_alloc(size_t alignment, size_t bytes) {
  using namespace convoy::robustness;
  if (fails()) {
    errno = ENOMEM;
    return nullptr;
  }
  const Guard guard = guard_mode;
  void* block = guard == Guard::kNone ? nullptr : arena.take(bytes, guard == Guard::kAtEnd);
  if (block == nullptr) return __libc_memalign(alignment, bytes);
  ++live;
  return block;
}

extern "C" void free(void* block) {
  using namespace convoy::robustness;
  if (arena.owns(block)) {
    release(block);
  } else {
    __libc_free(block);
  }
}

void* operator new(size_t bytes) { return convoy::robustness::counted_new(bytes, 0); }
void* operator new[](size_t bytes) { return convoy::robustness::counted_new(bytes, 0); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return convoy::robustness::counted_new(bytes, static_cast<size_t>(alignment));
}
void* operator new[](size_t bytes, std::align_val_t alignment) {
  return convoy::robustness::counted_new(bytes, static_cast<size_t>(alignment));
}
void operator delete(void* block) noexcept { convoy::robustness::release(block); }
void operator delete[](void* block) noexcept { convoy::robustness::release(block); }
void operator delete(void* block, size_t) noexcept { convoy::robustness::release(block); }
void operator delete[](void* block, size_t) noexcept { convoy::robustness::release(block); }
void operator delete(void* block, std::align_val_t) noexcept { convoy::robustness::release(block); }
void operator delete[](void* block, std::align_val_t) noexcept { convoy::robustness::release(block); }
void operator delete(void* block, size_t, std::align_val_t) noexcept { convoy::robustness::release(block); }
void operator delete[](void* block, size_t, std::align_val_t) noexcept { convoy::robustness::release(block); }
