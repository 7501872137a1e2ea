#include "convoy/io/text.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "convoy/core/utf8.h"

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
  const auto [code, length] = front_character(text);
  if (code < 0x20 || code == 0x7F) return 0;
  const bool hidden = std::any_of(std::begin(kHidden), std::end(kHidden),
                                  [code = code](Range range) { return code >= range.first && code <= range.last; });
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
