// Files: bytes read by offset, and files written whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace convoy::io {

/// `text` in double quotes for a message: what is not shown as itself (text.h) escaped byte by byte, cut after 120 bytes, so that
/// names from a hostile file can neither move the cursor nor fill the screen.
std::string quote(std::string_view text);

/// Up to `limit` names as "a, b, c and 4 more"; "nothing" if there are none.
std::string listed(const std::vector<std::string>& names, size_t limit = 6);

/// Refuses what a file says it holds, before memory is asked for it. `what`: "PATH: the image takes".
/// Errors: OutOfMemory "WHAT N bytes, and M are available" if memory_room() is less.
void need_room(const std::string& what, uint64_t bytes);

/// The next `count` bytes of what is read from its beginning to its end; throws FileError if there are fewer.
using ReadBytes = std::function<void(void* to, size_t count)>;

/// A file (or memory that stands for one) whose bytes are read by offset. A pipe or device is read into memory first (up to 1 GiB).
/// Errors: FileError "PATH: ..." if there is no such file, it is a folder, or it cannot be read.
class ByteSource {
 public:
  static ByteSource open(const std::string& path);
  /// Bytes that must outlive the source; `name` stands for the path in messages.
  static ByteSource memory(const void* bytes, size_t size, std::string name);
  ~ByteSource();
  ByteSource(ByteSource&& other) noexcept;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }
  /// Bytes [offset, offset + count). Throws FileError if the file ends before.
  void read(uint64_t offset, void* to, size_t count) const;
  /// The bytes from `offset` on, one after the other; the source must outlive it.
  ReadBytes from(uint64_t offset) const;
  /// The whole file; refuses files of more than `limit` bytes.
  std::vector<uint8_t> read_all(uint64_t limit) const;

 private:
  ByteSource() = default;

  std::string name_;
  uint64_t size_ = 0;
  int file_ = -1;
  const uint8_t* bytes_ = nullptr;
  std::vector<uint8_t> buffer_;
};

/// A file that appears complete or not at all: the bytes go to a file without a name (where the system has none: a temporary file,
/// .convoy-*.tmp) in the same folder, which commit() gives the name `path`. Without commit() nothing is left of it, and a file that
/// was there before stays as it was. Devices and pipes are written directly.
///
/// Errors: FileError "PATH: cannot write: ..." if the folder does not exist or is not writable, the path is a folder, the disk is
/// full, and so on.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const void* bytes, size_t count);
  void commit();

 private:
  void name_temporary();

  std::string path_;       // as given, for messages
  std::string target_;     // links followed
  std::string temporary_;  // its name before commit(), if it has one
  bool direct_ = false;
  int file_ = -1;
};

}  // namespace convoy::io
