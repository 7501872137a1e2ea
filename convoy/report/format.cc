#include "convoy/report/format.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

namespace convoy::report {

std::string grouped(int64_t value) {
  std::string digits = fmt::format("{}", value);
  const size_t first = value < 0 ? 1 : 0;
  for (size_t i = digits.size(); i > first + 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "--";
  if (seconds < 1e-6) return fmt::format("{:.0f} ns", seconds * 1e9);
  if (seconds < 1e-4) return fmt::format("{:.1f} µs", seconds * 1e6);
  if (seconds < 1e-2) return fmt::format("{:.2f} ms", seconds * 1e3);
  if (seconds < 0.09995) return fmt::format("{:.1f} ms", seconds * 1e3);
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 9.995) return fmt::format("{:.2f} s", seconds);
  if (seconds < 99.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", grouped(whole / 3600), whole % 3600 / 60);
}

std::string percent(double fraction) {
  if (!std::isfinite(fraction)) return "--";
  return fmt::format("{:.1f} %", std::trunc(fraction * 1000 + 1e-9) / 10);
}

std::string large(double count, int digits) {
  for (const auto& [unit, letter] : {std::pair(1e12, 'T'), std::pair(1e9, 'G'), std::pair(1e6, 'M'), std::pair(1e3, 'k')}) {
    if (count >= unit) return fmt::format("{:.{}f} {}", count / unit, digits, letter);
  }
  return fmt::format("{:.0f}", count);
}

std::string large_of_grouped(const std::string& text) {
  if (text.empty() || text.find_first_not_of("0123456789,") != std::string::npos) return text;
  std::string digits = text;
  std::erase(digits, ',');
  return large(std::stod(digits), 1);
}

std::string scientific(double value) {
  if (value == 0) return "0";
  return fmt::format("{:.1e}", value);
}

std::string fixed(double value, int digits) { return fmt::format("{:.{}f}", value, digits); }

std::string shortest(double value) {
  return fmt::format("{}", value == std::trunc(value) && std::abs(value) < 1e15 ? std::trunc(value) : value);
}

std::string bytes(int64_t count) {
  if (count < 1000) return fmt::format("{} B", count);
  double value = static_cast<double>(count);
  const char* unit = "B";
  for (const char* larger : {"kB", "MB", "GB", "TB", "PB"}) {
    if (value < 999.95) break;
    value /= 1000;
    unit = larger;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

std::string counted(int64_t count, std::string_view singular, std::string_view plural) {
  if (count == 1) return fmt::format("1 {}", singular);
  if (!plural.empty()) return fmt::format("{} {}", grouped(count), plural);
  return fmt::format("{} {}s", grouped(count), singular);
}

std::string joined(const std::vector<std::string>& words, std::string_view separator, std::string_view last) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text.append(i + 1 == words.size() && !last.empty() ? last : separator);
    text += words[i];
  }
  return text;
}

}  // namespace convoy::report
