#include "convoy/nn/printed.h"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "convoy/core/formatted.h"

namespace convoy::nn {

std::string python_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const std::to_chars_result end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  // Shortest digits d.ddde[+-]xx; Python writes them plainly for exponents from -4 to 15.
  std::string text(buffer, end.ptr);
  const size_t e = text.find('e');
  const int exponent = std::atoi(text.c_str() + e + 1);
  if (exponent < -4 || exponent >= 16) return text;
  const bool negative = text[0] == '-';
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c != '-' && c != '.') digits.push_back(c);
  }
  std::string plain;
  if (exponent < 0) {
    plain = formatted("0.{}{}", std::string(static_cast<size_t>(-exponent - 1), '0'), digits);
  } else {
    const size_t whole = static_cast<size_t>(exponent) + 1;
    if (digits.size() < whole) digits.append(whole - digits.size(), '0');
    plain = formatted("{}.{}", digits.substr(0, whole), digits.size() > whole ? digits.substr(whole) : "0");
  }
  return negative ? "-" + plain : plain;
}

std::string python_text(const Number& value) {
  return value.integer() ? std::to_string(value.whole()) : python_text(value.value());
}

std::string python_text(const std::optional<Number>& value) { return value ? python_text(*value) : "None"; }

std::string python_bool(bool value) { return value ? "True" : "False"; }

std::string python_tuple(const std::vector<int64_t>& values) {
  std::string text = "(";
  for (size_t i = 0; i < values.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(values[i]);
  return text + (values.size() == 1 ? ",)" : ")");
}

std::string python_text(const IntList& values) {
  return values.single() ? std::to_string(values.values()[0]) : python_tuple(values.values());
}

std::string ranked(const char* name, int rank) { return formatted("{}{}d", name, rank); }

}  // namespace convoy::nn
