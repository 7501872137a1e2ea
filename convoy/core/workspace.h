// Scratch memory for kernels, sized before the work starts.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace convoy {

/// Rounds a byte count up to whole cache lines, so that parts of a workspace never share one.
constexpr size_t padded_bytes(size_t bytes) { return (bytes + 63) / 64 * 64; }

/// A block of scratch memory that a kernel divides as it likes. Kernels say how much they need (workspace_bytes) and never
/// allocate. Blocks are reused (core/storage.h).
class Workspace {
 public:
  /// Room for `bytes`; throws OutOfMemory if there is not enough memory.
  explicit Workspace(size_t bytes);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  size_t bytes() const { return bytes_; }
  /// Forgets everything taken: the memory can be divided anew.
  void clear() noexcept { used_ = 0; }
  /// How much is taken, and back to a state in which so much was: for a kernel that calls another one several times.
  size_t taken() const { return used_; }
  void rewind(size_t taken) noexcept {
    assert(taken <= used_);
    used_ = taken;
  }

  /// The next `count` elements, aligned to 64 bytes, uninitialised. Taking more than the size asked for is a bug.
  template <class T>
  T* take(int64_t count) noexcept {
    const size_t at = used_;
    used_ += padded_bytes(static_cast<size_t>(count) * sizeof(T));
    assert(used_ <= bytes_);
    return reinterpret_cast<T*>(base_ + at);
  }

 private:
  std::shared_ptr<void> memory_;
  char* base_ = nullptr;
  size_t bytes_ = 0;
  size_t used_ = 0;
};

}  // namespace convoy
