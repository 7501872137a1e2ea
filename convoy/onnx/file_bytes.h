// The bytes of a model file as one view, without the values of its large tensors: those are read from the file when there is a
// place for them, so that nothing is in memory twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/io/file.h"

namespace convoy::onnx {

class FileBytes {
 public:
  /// Reads everything but the values of large initializers. Errors: FileError for a file that cannot be read, or has more than
  /// `limit` bytes.
  FileBytes(const std::string& path, int64_t limit);
  ~FileBytes();
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;

  /// The whole file. What was not read is zeros.
  std::string_view view() const { return {bytes_, size_}; }
  /// Copies a part of view(), from the file where it was not read. Any number of threads at once.
  void copy(std::string_view part, void* to) const;

 private:
  struct Gap {
    size_t begin, end;
  };

  // Reads on, so that bytes before `end` are there.
  void need(size_t end);
  // A field's number, kind of wire and value or length; false at the end and where the message is damaged.
  struct Head {
    uint64_t number = 0;
    int wire = 0;
    uint64_t length = 0;
  };
  bool number(size_t& at, size_t end, uint64_t& value);
  bool head(size_t& at, size_t end, Head& field);
  bool skim(size_t begin, size_t end, int level);

  io::ByteSource file_;
  char* bytes_ = nullptr;
  size_t size_ = 0, reserved_ = 0;
  size_t read_ = 0;  // all before is there, or in a gap
  std::vector<Gap> gaps_;
};

}  // namespace convoy::onnx
