// What emscripten 3.1.6's C++ library (libc++ 13) lacks of C++20, in the forms that Convoy uses; included before every source
// there.
#pragma once

#include <version>

#if defined(_LIBCPP_VERSION) && _LIBCPP_VERSION < 14000

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>
#include <type_traits>

namespace std {

template <class To, class From>
constexpr To bit_cast(const From& from) noexcept {
  static_assert(sizeof(To) == sizeof(From) && is_trivially_copyable_v<To> && is_trivially_copyable_v<From>);
  return __builtin_bit_cast(To, from);
}

namespace convoy_missing {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Where the number that starts at `first` ends, as std::from_chars reads it: no spaces, no sign but minus, no hexadecimal prefix.
inline const char* number_end(const char* first, const char* last) {
  const char* at = first;
  if (at != last && *at == '-') ++at;
  for (const char* word : {"infinity", "inf", "nan"}) {
    const size_t length = strlen(word);
    if (static_cast<size_t>(last - at) < length) continue;
    size_t same = 0;
    while (same < length && (at[same] | 0x20) == word[same]) ++same;
    if (same == length) return at + length;
  }
  bool digits = false;
  for (; at != last && is_digit(*at); ++at) digits = true;
  if (at != last && *at == '.') {
    const char* const point = at++;
    for (; at != last && is_digit(*at); ++at) digits = true;
    if (at == point + 1 && !digits) return first;
  }
  if (!digits) return first;
  if (at != last && (*at | 0x20) == 'e') {
    const char* exponent = at + 1;
    if (exponent != last && (*exponent == '+' || *exponent == '-')) ++exponent;
    if (exponent != last && is_digit(*exponent)) {
      while (exponent != last && is_digit(*exponent)) ++exponent;
      at = exponent;
    }
  }
  return at;
}

template <class T>
from_chars_result read(const char* first, const char* last, T& value) {
  const char* const end = number_end(first, last);
  if (end == first) return {first, errc::invalid_argument};
  const string text(first, end);
  T parsed;
  if constexpr (is_same_v<T, float>) {
    parsed = strtof(text.c_str(), nullptr);
  } else {
    parsed = strtod(text.c_str(), nullptr);
  }
  const bool named = text.find_first_of("nN") != string::npos;  // inf, nan
  const bool zero = text.find_first_of("123456789") >= text.find_first_of("eE");
  if (!named && (isinf(parsed) || (parsed == 0 && !zero))) return {end, errc::result_out_of_range};
  value = parsed;
  return {end, errc{}};
}

// The fewest digits that read back as `value`.
template <class T>
int shortest_precision(T value) {
  char text[64];
  for (int precision = 0; precision < 17; ++precision) {
    snprintf(text, sizeof text, "%.*e", precision, static_cast<double>(value));
    const bool same = is_same_v<T, float> ? strtof(text, nullptr) == static_cast<float>(value)
                                          : strtod(text, nullptr) == static_cast<double>(value);
    if (same) return precision;
  }
  return 17;
}

inline to_chars_result put(char* first, char* last, const string& text) {
  if (static_cast<size_t>(last - first) < text.size()) return {last, errc::value_too_large};
  memcpy(first, text.data(), text.size());
  return {first + text.size(), errc{}};
}

template <class T>
to_chars_result write(char* first, char* last, T value, chars_format format) {
  if (!isfinite(value)) return put(first, last, string(signbit(value) ? "-" : "") + (isnan(value) ? "nan" : "inf"));
  const int precision = shortest_precision(value);
  char text[400];
  snprintf(text, sizeof text, "%.*e", precision, static_cast<double>(value));
  const string scientific = text;
  if (format == chars_format::scientific) return put(first, last, scientific);
  const int exponent = atoi(strchr(text, 'e') + 1);
  snprintf(text, sizeof text, "%.*f", exponent > precision ? 0 : precision - exponent, static_cast<double>(value));
  const string fixed = text;
  if (format == chars_format::fixed) return put(first, last, fixed);
  const bool general = format == chars_format::general;
  const bool plain = general ? exponent >= -4 && exponent < max(precision + 1, 6) : fixed.size() <= scientific.size();
  return put(first, last, plain ? fixed : scientific);
}

}  // namespace convoy_missing

inline from_chars_result from_chars(const char* first, const char* last, float& value) {
  return convoy_missing::read(first, last, value);
}
inline from_chars_result from_chars(const char* first, const char* last, double& value) {
  return convoy_missing::read(first, last, value);
}
inline to_chars_result to_chars(char* first, char* last, float value) {
  return convoy_missing::write(first, last, value, chars_format{});
}
inline to_chars_result to_chars(char* first, char* last, double value) {
  return convoy_missing::write(first, last, value, chars_format{});
}
inline to_chars_result to_chars(char* first, char* last, float value, chars_format format) {
  return convoy_missing::write(first, last, value, format);
}
inline to_chars_result to_chars(char* first, char* last, double value, chars_format format) {
  return convoy_missing::write(first, last, value, format);
}

}  // namespace std

#endif
