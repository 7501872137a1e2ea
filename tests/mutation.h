// Random damage to files, to hold readers against: whatever the bytes, a reader gives values or its own error, and never anything
// else.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "convoy/core/error.h"

namespace convoy::testing {

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  size_t below(size_t n) { return static_cast<size_t>(random_() % std::max<size_t>(n, 1)); }

  /// One of the files with one to eight kinds of damage.
  std::string damaged(const std::vector<std::string>& files) {
    std::string bytes = files[below(files.size())];
    for (size_t times = 1 + below(below(4) == 0 ? 8 : 2); times > 0; --times) damage(bytes, files);
    return bytes;
  }

 private:
  void damage(std::string& bytes, const std::vector<std::string>& files) {
    const size_t at = below(bytes.size() + 1), length = 1 + below(below(3) == 0 ? 64 : 4);
    switch (below(9)) {
      case 0:
        bytes.erase(at, length);
        break;
      case 1:
        bytes.insert(at, length, static_cast<char>(random_()));
        break;
      case 2:
        bytes.insert(at, bytes.substr(below(bytes.size()), length));
        break;
      case 3:
        bytes.resize(at);
        break;
      case 4:
        put_number(bytes, at);
        break;
      case 5:
        put_digits(bytes, at);
        break;
      case 6: {
        const std::string& other = files[below(files.size())];
        bytes = bytes.substr(0, at) + other.substr(below(other.size()));
        break;
      }
      default:
        if (at < bytes.size())
          bytes[at] = static_cast<char>(below(2) == 0 ? bytes[at] ^ (1 << below(8)) : static_cast<int>(random_()));
    }
  }

  // A binary number that is likely to matter, in either byte order.
  void put_number(std::string& bytes, size_t at) {
    constexpr uint64_t kNumbers[] = {
        0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000u, 0xffffffffu, uint64_t{1} << 40, INT64_MAX, UINT64_MAX};
    uint64_t value = kNumbers[below(std::size(kNumbers))] + below(3) - 1;
    const size_t width = size_t{1} << below(4);
    const bool big_endian = below(2) == 0;
    for (size_t i = 0; i < width && at + i < bytes.size(); ++i, value >>= 8) {
      const size_t place = big_endian ? at + width - 1 - i : at + i;
      if (place < bytes.size()) bytes[place] = static_cast<char>(value);
    }
  }

  // Another number in place of one that is written in digits.
  void put_digits(std::string& bytes, size_t at) {
    constexpr const char* kNumbers[] = {
        "0", "1", "-1", "4", "255", "4294967296", "9223372036854775807", "18446744073709551616", "1e400", "0.5"};
    const size_t begin = bytes.find_first_of("0123456789", at);
    if (begin == std::string::npos) return;
    const size_t end = std::min(bytes.find_first_not_of("0123456789", begin), bytes.size());
    bytes.replace(begin, end - begin, kNumbers[below(std::size(kNumbers))]);
  }

  std::mt19937_64 random_;
};

/// Calls `read` with damaged files for CONVOY_FUZZ_SECONDS (1 unless set). It may throw FileError that begins with `name`.
/// CONVOY_FUZZ_SEED repeats a run.
inline void expect_values_or_file_error(const std::string& name, const std::vector<std::string>& files,
                                        const std::function<void(const std::string&)>& read,
                                        const std::function<void(std::string&, Mutator&)>& repair = {}) {
  for (const std::string& whole : files) ASSERT_NO_THROW(read(whole));
  const char* seconds = std::getenv("CONVOY_FUZZ_SECONDS");
  const char* given = std::getenv("CONVOY_FUZZ_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;  // the same in every run of the tests
  std::printf("CONVOY_FUZZ_SEED=%llu\n", static_cast<unsigned long long>(seed));  // NOLINT(google-runtime-int): for %llu
  std::fflush(stdout);

  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds != nullptr ? std::strtod(seconds, nullptr) : 1.0);
  Mutator mutator(seed);
  int64_t count = 0, refused = 0;
  for (; Clock::now() < end; ++count) {
    std::string bytes = mutator.damaged(files);
    if (repair) repair(bytes, mutator);
    const std::clock_t begin = std::clock();
    try {
      read(bytes);
    } catch (const FileError& e) {
      ++refused;
      ASSERT_EQ(e.reason().substr(0, name.size() + 2), name + ": ") << "seed " << seed << ", file " << count;
    } catch (const std::exception& e) {
      FAIL() << "seed " << seed << ", file " << count << ": " << e.what();
    }
    ASSERT_LT(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC, 5.0) << "seed " << seed << ", file " << count;
  }
  EXPECT_GT(refused, 0);
  std::printf("%lld files, %lld refused\n", static_cast<long long>(count),
              static_cast<long long>(refused));  // NOLINT(google-runtime-int)
}

}  // namespace convoy::testing
