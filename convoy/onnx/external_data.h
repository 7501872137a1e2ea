// Tensors in files beside the model: only inside its folder, never through links.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace convoy::onnx {

/// How many bytes were asked for of each file, by device and number.
using ExternalReads = std::map<std::pair<uint64_t, uint64_t>, uint64_t>;

/// A file of values beside a model. Errors: Error (the caller names the tensor) for a location that is absolute, leaves the folder,
/// or goes through a symbolic link; for what is no plain file, or has a second name (a hard link).
class ExternalData {
 public:
  ExternalData(const std::string& folder, const std::string& location);
  ~ExternalData();
  ExternalData(const ExternalData&) = delete;
  ExternalData& operator=(const ExternalData&) = delete;

  /// Throws Error unless [offset, offset + length) lies in the file; also where all `reads` together make far more of it than it
  /// holds. Tied weights may share bytes.
  void check(uint64_t offset, uint64_t length, ExternalReads& reads) const;
  void read(uint64_t offset, void* to, uint64_t length) const;

 private:
  std::string location_;
  int file_ = -1;
  uint64_t size_ = 0, device_ = 0, number_ = 0;
};

/// A number as external_data holds it; `otherwise` if there is none. Errors: Error for what is no number of 0 or more.
uint64_t external_number(const std::string& text, const char* key, uint64_t otherwise);

}  // namespace convoy::onnx
