// Texts with values in them. One call, however many values: a chain of + takes a call for each piece, and code that frees what it
// has so far, at each place that says something. Messages are what most of the code outside of kernels does.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "convoy/core/dtype.h"
#include "convoy/core/tensor.h"

namespace convoy {
namespace detail {

/// How a value is read, which travels as one 64-bit word: a number, or the address of what is larger.
enum class ValueKind : uint8_t { kSigned, kUnsigned, kDouble, kCharacter, kDType, kChars, kString, kView, kShape, kStated };

/// A value of a type that has its own to_string.
struct Stated {
  const void* value;
  std::string (*to_string)(const void* value);
};

template <class Value>
consteval ValueKind value_kind() {
  if constexpr (std::same_as<Value, char>) return ValueKind::kCharacter;
  if constexpr (std::signed_integral<Value>) return ValueKind::kSigned;
  if constexpr (std::unsigned_integral<Value>) return ValueKind::kUnsigned;
  if constexpr (std::floating_point<Value>) return ValueKind::kDouble;
  if constexpr (std::same_as<Value, DType>) return ValueKind::kDType;
  if constexpr (std::same_as<std::decay_t<Value>, char*> || std::same_as<std::decay_t<Value>, const char*>)
    return ValueKind::kChars;
  if constexpr (std::same_as<Value, std::string>) return ValueKind::kString;
  if constexpr (std::same_as<Value, std::string_view>) return ValueKind::kView;
  if constexpr (std::same_as<Value, Shape>) return ValueKind::kShape;
  return ValueKind::kStated;
}

/// The kinds of values, four bits each, the first one's lowest.
template <class... Values>
consteval uint64_t value_kinds() {
  static_assert(sizeof...(Values) <= 16);
  static_assert((!std::same_as<Values, bool> && ...), "say what true means");
  uint64_t kinds = 0;
  int bits = 0;
  ((kinds |= static_cast<uint64_t>(value_kind<Values>()) << bits, bits += 4), ...);
  return kinds;
}

/// The value, or where it is and what states it.
template <class Value>
[[gnu::always_inline]] inline decltype(auto) travelling(const Value& value) {
  if constexpr (value_kind<Value>() == ValueKind::kStated) {
    return Stated{&value, [](const void* stated) { return to_string(*static_cast<const Value*>(stated)); }};
  } else {
    return (value);
  }
}

template <class Value>
[[gnu::always_inline]] inline uint64_t value_word(const Value& value) {
  if constexpr (std::floating_point<Value>) {
    return std::bit_cast<uint64_t>(static_cast<double>(value));
  } else if constexpr (std::signed_integral<Value>) {
    return static_cast<uint64_t>(static_cast<int64_t>(value));
  } else if constexpr (std::unsigned_integral<Value> || std::is_enum_v<Value>) {
    return static_cast<uint64_t>(value);
  } else if constexpr (value_kind<Value>() == ValueKind::kChars) {
    return reinterpret_cast<uintptr_t>(static_cast<const char*>(value));
  } else {
    return reinterpret_cast<uintptr_t>(&value);
  }
}

/// A text that has `count` times "{}", or it does not compile.
template <size_t count>
struct Pattern {
  consteval Pattern(const char* pattern) : text(pattern) {  // NOLINT: a literal stands for it
    size_t places = 0;
    for (const char* at = pattern; *at != '\0'; ++at) places += at[0] == '{' && at[1] == '}';
    if (places != count) throw "as many values as places";
  }

  const char* text;
};

std::string formatted(const char* pattern, uint64_t kinds, ...);

}  // namespace detail

/// The pattern with a value for each "{}" ("{{}}" is a value in braces): numbers as std::to_string writes them, characters,
/// strings, shapes as "[2, 3]", element types by their names, and what has a to_string of its own.
template <class... Values>
[[gnu::always_inline]] inline std::string formatted(detail::Pattern<sizeof...(Values)> pattern, const Values&... values) {
  return detail::formatted(pattern.text, detail::value_kinds<Values...>(), detail::value_word(detail::travelling(values))...);
}

}  // namespace convoy
