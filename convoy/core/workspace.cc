#include "convoy/core/workspace.h"

#include "convoy/core/storage.h"

namespace convoy {

// allocate() keeps freed blocks for reuse, so a workspace of the same size costs no system call the second time.
Workspace::Workspace(size_t bytes) : bytes_(padded_bytes(bytes)) {
  if (bytes_ == 0) return;
  memory_ = allocate(bytes_);
  base_ = static_cast<char*>(memory_.get());
}

Workspace::~Workspace() = default;

}  // namespace convoy
