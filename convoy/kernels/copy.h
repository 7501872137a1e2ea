// Copies of bytes that do not overlap: the rows of small planes take less time than the C library's memcpy needs to find out how.
#pragma once

#include <cstdint>
#include <cstring>

namespace convoy::kernels {

inline void copy_bytes(const void* from, void* to, int64_t bytes) {
  const auto* in = static_cast<const char*>(from);
  auto* out = static_cast<char*>(to);
  // The last piece of a size overlaps the one before it.
  const auto pieces = [&]<size_t kSize>() {
    constexpr auto size = static_cast<int64_t>(kSize);
    for (int64_t i = 0; i + size < bytes; i += size) std::memcpy(out + i, in + i, kSize);
    std::memcpy(out + bytes - size, in + bytes - size, kSize);
  };
  if (bytes >= 128) {
    std::memcpy(to, from, static_cast<size_t>(bytes));
  } else if (bytes >= 16) {
    pieces.operator()<16>();
  } else if (bytes >= 4) {
    pieces.operator()<4>();
  } else {
    for (int64_t i = 0; i < bytes; ++i) out[i] = in[i];
  }
}

}  // namespace convoy::kernels
