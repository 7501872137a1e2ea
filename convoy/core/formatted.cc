#include "convoy/core/formatted.h"

#include <bit>
#include <cstdarg>

#include "convoy/core/raise.h"

namespace convoy::detail {

namespace {

/// The values that were passed.
struct Passed {
  uint64_t kinds;
  va_list words;
};

/// What a pointer became in value_word.
template <class Value>
const Value* pointer(uint64_t word) {
  return reinterpret_cast<const Value*>(static_cast<uintptr_t>(word));
}

void append(std::string& text, ValueKind kind, uint64_t word) {
  switch (kind) {
    case ValueKind::kSigned:
      text += std::to_string(static_cast<int64_t>(word));
      return;
    case ValueKind::kUnsigned:
      text += std::to_string(word);
      return;
    case ValueKind::kDouble:
      text += std::to_string(std::bit_cast<double>(word));
      return;
    case ValueKind::kCharacter:
      text += static_cast<char>(word);
      return;
    case ValueKind::kDType:
      text += dtype_name(static_cast<DType>(word));
      return;
    case ValueKind::kChars:
      text += pointer<char>(word);
      return;
    case ValueKind::kString:
      text += *pointer<std::string>(word);
      return;
    case ValueKind::kView:
      text += *pointer<std::string_view>(word);
      return;
    case ValueKind::kShape:
      text += to_string(*pointer<Shape>(word));
      return;
    case ValueKind::kStated:
      text += pointer<Stated>(word)->to_string(pointer<Stated>(word)->value);
      return;
  }
}

/// Fills in the pattern up to `end`, and moves it there.
std::string fill(const char*& pattern, char end, Passed& values) {
  std::string text;
  const char* written = pattern;
  for (; *pattern != end && *pattern != '\0'; ++pattern) {
    if (pattern[0] != '{' || pattern[1] != '}') continue;
    text.append(written, pattern);
    append(text, static_cast<ValueKind>(values.kinds & 15), va_arg(values.words, uint64_t));
    values.kinds >>= 4;
    written = ++pattern + 1;
  }
  return text.append(written, pattern);
}

}  // namespace

std::string formatted(const char* pattern, uint64_t kinds, ...) {
  Passed values{kinds, {}};
  va_start(values.words, kinds);
  std::string text = fill(pattern, '\0', values);
  va_end(values.words);
  return text;
}

template <class Kind>
void raise(const char* pattern, uint64_t kinds, ...) {
  Passed values{kinds, {}};
  va_start(values.words, kinds);
  const std::string reason = fill(pattern, '\n', values);
  if (*pattern == '\n') ++pattern;
  const std::string fix = fill(pattern, '\0', values);
  va_end(values.words);
  throw Kind(reason, fix);
}

template void raise<Error>(const char*, uint64_t, ...);
template void raise<ValueError>(const char*, uint64_t, ...);
template void raise<ShapeMismatch>(const char*, uint64_t, ...);
template void raise<OutOfMemory>(const char*, uint64_t, ...);
template void raise<FileError>(const char*, uint64_t, ...);

}  // namespace convoy::detail
