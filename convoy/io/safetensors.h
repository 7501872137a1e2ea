// safetensors files: named tensors, as Python's safetensors library writes them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy::io {

/// The contents of a safetensors file.
struct SafeTensors {
  std::vector<std::pair<std::string, Tensor>> tensors;  // in the order of the file
  std::map<std::string, std::string> metadata;          // "__metadata__"

  /// The named tensor, or nullptr.
  const Tensor* find(const std::string& name) const;
};

/// Reads F32, F64 and I64 (also F16, BF16, I32, U8, BOOL, converted to float32 or int64). The header is checked completely before anything
/// is allocated: length, JSON, known types, shapes that match their bytes, offsets that tile the buffer.
/// Errors: FileError naming path, tensor and values.
SafeTensors read_safetensors(const std::string& path);
SafeTensors parse_safetensors(const void* bytes, size_t size, const std::string& name);

/// Writes to a temporary file beside `path` and renames it, so that a failure or an interruption never leaves half a file.
void write_safetensors(const std::string& path, const SafeTensors& contents);

}  // namespace convoy::io
