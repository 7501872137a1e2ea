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

/// Reads F16, BF16, F32, F64, BOOL, I8 to I64 and U8 to U64 as they are. The header is checked completely before memory for values
/// is asked for: length (at most 100 MB), UTF-8, JSON, names, types, shapes that match their bytes, offsets that tile the rest of
/// the file without gap or overlap. Errors: FileError "PATH: ..." naming the tensor and the values that do not fit. Source: the
/// format of the safetensors library, https://github.com/huggingface/safetensors#format.
SafeTensors read_safetensors(const std::string& path);
/// The same for bytes in memory; `name` stands for the path in messages.
SafeTensors parse_safetensors(const void* bytes, size_t size, const std::string& name);

/// Writes to a temporary file beside `path` and renames it, so that a failure or an interruption never leaves half a file. The
/// header lists the tensors in their order; the values of the 8-byte types come first in the file, so that every tensor is aligned
/// to its element size and Python's library can map the file. Errors: ValueError for a name that is used twice, is not UTF-8 or is
/// "__metadata__", and for an undefined tensor; FileError if the file cannot be written.
void write_safetensors(const std::string& path, const SafeTensors& contents);

}  // namespace convoy::io
