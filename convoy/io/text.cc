#include "convoy/io/text.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace convoy::io {
namespace {

struct Range {
  uint32_t first, last;
};

// Unicode's category Cf (format) and its separators of lines, as far as names could use them to look like others.
constexpr Range kHidden[] = {{0x80, 0x9F},     {0xAD, 0xAD},     {0x34F, 0x34F},   {0x61C, 0x61C},
                             {0x115F, 0x1160}, {0x17B4, 0x17B5}, {0x180B, 0x180F}, {0x200B, 0x200F},
                             {0x2028, 0x202E}, {0x2060, 0x206F}, {0x3164, 0x3164}, {0xFE00, 0xFE0F},
                             {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB}, {0xE0000, 0xE0FFF}};

}  // namespace

size_t shown_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7F ? 1 : 0;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};  // longer forms of smaller numbers are not UTF-8
  if (first < 0xC2 || first > 0xF4 || length > text.size()) return 0;
  uint32_t code = first & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3F);
  }
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < kLeast[length] || code > 0x10FFFF || surrogate) return 0;
  const bool hidden =
      std::any_of(std::begin(kHidden), std::end(kHidden), [&](Range range) { return code >= range.first && code <= range.last; });
  return hidden ? 0 : length;
}

bool is_shown(std::string_view text) {
  while (!text.empty()) {
    const size_t length = shown_character(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace convoy::io
