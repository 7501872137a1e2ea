// Memory for values: aligned, checked, and kept for reuse, since a training step frees and asks for the same sizes again and
// fresh pages cost more than the arithmetic done on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace convoy {

inline constexpr size_t kAlignment = 64;

/// `bytes` of uninitialised memory aligned to kAlignment; released when the last handle goes. Throws OutOfMemory when there is
/// none, or more are asked for than an address can count: "not enough memory: tried to allocate N bytes".
std::shared_ptr<void> allocate(uint64_t bytes);
/// The same, given back to the operating system when the last handle goes: for what lives long and is not asked for again, as the
/// weights of a model.
std::shared_ptr<void> allocate_once(uint64_t bytes);
/// What a block of `bytes` really takes, for sums of memory that are to be true.
size_t block_bytes(size_t bytes);

/// While one lives, the blocks that its thread gets from allocate() may take `bytes` at a time in all, as if there were no more
/// memory: for models from files, whose sizes nobody has looked at. Blocks are counted (block_bytes) until their last handle goes,
/// whoever holds it; what is kept for reuse is given back to the system before both together pass it. Of several that live at one
/// time all must have room.
///
/// Errors: allocate throws OutOfMemory "N bytes more than the M in use would pass the memory budget of B".
class MemoryBudget {
 public:
  explicit MemoryBudget(int64_t bytes);
  ~MemoryBudget();
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// What its blocks take now, and the most they took at a time.
  int64_t used_bytes() const;
  int64_t peak_bytes() const;

  struct Account;

 private:
  std::shared_ptr<Account> account_;
};

/// What the budgets of this thread leave; INT64_MAX without one. For what is large and is not asked of allocate(), and to refuse
/// before the work.
int64_t memory_room();

/// While it lives, the first allocate() of exactly so many bytes on its thread gives `data`, aligned to kAlignment, which must
/// outlive every handle: an operator's result is then made where it is wanted. Whoever takes the result looks whether it lies
/// there, since the operator may have asked for as many bytes for something else.
class ResultPlace {
 public:
  ResultPlace(void* data, uint64_t bytes);
  ~ResultPlace();
  ResultPlace(const ResultPlace&) = delete;
  ResultPlace& operator=(const ResultPlace&) = delete;
};

/// Returns memory that is kept for reuse to the operating system.
void release_cached_memory();

}  // namespace convoy
