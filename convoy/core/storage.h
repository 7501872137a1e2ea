// Memory for values: aligned, checked, and kept for reuse, since a training step frees and asks for the same sizes again and
// fresh pages cost more than the arithmetic done on them.
#pragma once

#include <cstddef>
#include <memory>

namespace convoy {

inline constexpr size_t kAlignment = 64;

/// `bytes` of uninitialised memory aligned to kAlignment; released when the last handle goes. Throws Error when there is none:
/// "not enough memory: tried to allocate N bytes".
std::shared_ptr<void> allocate(size_t bytes);

/// While one lives, allocate() on its thread refuses blocks of more than `bytes`, as if there were no more memory: for models from
/// files, whose sizes nobody has looked at. The narrowest of several counts.
///
/// Errors: allocate throws Error "N bytes are more than the M that one value may have".
class LargestBlock {
 public:
  explicit LargestBlock(size_t bytes) noexcept;
  ~LargestBlock();
  LargestBlock(const LargestBlock&) = delete;
  LargestBlock& operator=(const LargestBlock&) = delete;

 private:
  size_t outer_;
};

/// Returns memory that is kept for reuse to the operating system.
void release_cached_memory();

}  // namespace convoy
