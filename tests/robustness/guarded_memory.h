// Memory under test: this program's aligned_alloc, free and operator new, so that tensors can end at an unreadable page and any
// allocation can fail.
#pragma once

#include <cstdint>

namespace convoy::robustness {

/// Where the blocks of aligned_alloc (tensors, workspaces) lie from now on: at the end or at the begin of their pages, with
/// unreadable pages on both sides. Freed blocks become unreadable.
enum class Guard : uint8_t { kNone, kAtEnd, kAtBegin };
void set_guard(Guard guard);

/// Blocks that were placed between guard pages so far.
int64_t guarded_blocks();

/// Makes allocation number `first` from now on fail, counted from 0, and with `all_later` every one after it. Returns to normal
/// when destroyed.
class FailingAllocations {
 public:
  FailingAllocations(int64_t first, bool all_later);
  ~FailingAllocations();
  FailingAllocations(const FailingAllocations&) = delete;
  FailingAllocations& operator=(const FailingAllocations&) = delete;
  /// Whether an allocation was refused.
  bool happened() const;
};

/// Blocks of operator new, and of aligned_alloc between guard pages, that are not freed yet.
int64_t live_blocks();

}  // namespace convoy::robustness
