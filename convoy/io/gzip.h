// Files packed by gzip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "convoy/io/file.h"

namespace convoy::io {

/// True if the source begins as gzip files do.
inline bool is_gzip(const ByteSource& source) {
  uint8_t start[2] = {};
  if (source.size() >= sizeof start) source.read(0, start, sizeof start);
  return start[0] == 0x1f && start[1] == 0x8b;
}

/// Unpacks a gzip file piece by piece.
/// Errors: FileError "PATH: ..." for a truncated or broken stream, a wrong checksum included.
class GzipReader {
 public:
  /// `source` must outlive the reader.
  explicit GzipReader(const ByteSource& source);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  /// Up to `count` bytes; fewer only at the end.
  size_t read(void* to, size_t count);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convoy::io
