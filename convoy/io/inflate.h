// Bytes packed by deflate: gzip files, and the entries of zip archives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "convoy/io/file.h"

namespace convoy::io {

/// True if the source begins as gzip files do.
inline bool is_gzip(const ByteSource& source) {
  uint8_t start[2] = {};
  if (source.size() >= sizeof start) source.read(0, start, sizeof start);
  return start[0] == 0x1f && start[1] == 0x8b;
}

/// Unpacks piece by piece.
/// Errors: FileError "NAME: ..." for a truncated or broken stream, with gzip a wrong checksum included.
class InflateReader {
 public:
  /// A gzip file. `source` must outlive the reader.
  explicit InflateReader(const ByteSource& source);
  /// The bare stream in the `size` bytes from `begin`; `name` stands for it in messages.
  InflateReader(const ByteSource& source, uint64_t begin, uint64_t size, std::string name);
  ~InflateReader();
  InflateReader(const InflateReader&) = delete;
  InflateReader& operator=(const InflateReader&) = delete;

  /// Up to `count` bytes; fewer only at the end.
  size_t read(void* to, size_t count);
  /// Packed bytes that it has not come to.
  uint64_t left() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convoy::io
