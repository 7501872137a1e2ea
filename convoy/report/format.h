// Numbers as people read them. Independent of the locale.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace convoy::report {

/// "1,234,567".
std::string grouped(int64_t value);

/// "0.31 ms", "0.6 s", "12.3 s", "2 min 05 s", "1 h 02 min". Negative and not finite: "--".
std::string duration(double seconds);

/// 0.978 is "97.8 %". Rounded toward zero, so that "100.0 %" means all.
std::string percent(double fraction);

/// "4.09 G", "118.01 M", "12": `digits` after the point where there is a letter.
std::string large(double count, int digits = 2);

/// grouped()'s text with a letter: "118,013,952" is "118.0 M". Other texts stay as they are.
std::string large_of_grouped(const std::string& text);

/// "9.5e-07", "0" for zero, "inf" and "nan" for what they are.
std::string scientific(double value);

/// `digits` after the point: fixed(1.312, 3) is "1.312"; "nan" and "inf" for what they are.
std::string fixed(double value, int digits);

/// The shortest text that reads back as the same number: "0.1", "1e-05", "3".
std::string shortest(double value);

/// "1.4 MB" (1 MB = 10^6 bytes).
std::string bytes(int64_t count);

/// "1 file", "3 files", "1,234 images".
std::string counted(int64_t count, std::string_view singular, std::string_view plural = {});

/// {"a", "b", "c"} is "a, b or c" with `last` = " or ".
std::string joined(const std::vector<std::string>& words, std::string_view separator = ", ", std::string_view last = {});

}  // namespace convoy::report
