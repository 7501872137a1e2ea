#include "convoy/core/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace convoy {
namespace {

constexpr DType kTypes[] = {DType::kFloat32, DType::kFloat64, DType::kInt64, DType::kFloat16, DType::kBFloat16,
                            DType::kInt32,   DType::kInt16,   DType::kInt8,  DType::kUInt8,   DType::kUInt16,
                            DType::kUInt32,  DType::kUInt64,  DType::kBool};

// Values at which types end or round, in type T.
template <class T>
std::vector<T> edges() {
  std::vector<T> values;
  for (const double x : {0.0, 1.0, 0.5, 1.5, 127.5, 255.0, 2049.0, 65519.0, 65520.0, 16777217.0, 1e30, 1e300, 1e-40,
                         0x1p62 + 0x1p37, 0x1p63, 0x1.8p63, 0x1p64}) {
    values.push_back(convert_element<T>(x));
    values.push_back(convert_element<T>(-x));
  }
  for (const double x : {std::numeric_limits<double>::infinity(), std::nan("")}) values.push_back(convert_element<T>(x));
  for (int shift = 0; shift < 64; ++shift) {  // one above and below the powers of two: rounding twice would show
    values.push_back(convert_element<T>((uint64_t{1} << shift) + 1));
    values.push_back(convert_element<T>((uint64_t{1} << shift) - 1));
    values.push_back(convert_element<T>(static_cast<int64_t>((~uint64_t{0} << shift) - 1)));
    values.push_back(convert_element<T>((uint64_t{3} << shift) + (uint64_t{1} << shift / 2)));
  }
  return values;
}

TEST(Convert, IsConvertElementForEveryPair) {
  for (const DType from : kTypes) {
    for (const DType to : kTypes) {
      with_dtype(from, [&](auto x) {
        with_dtype(to, [&](auto y) {
          using From = decltype(x);
          using To = decltype(y);
          const std::vector<From> some = edges<From>();
          for (const size_t count : {some.size(), size_t{1}, size_t{3000}}) {
            std::vector<char> memory(count * sizeof(From)), result((count + 1) * sizeof(To)), expected((count + 1) * sizeof(To));
            for (size_t i = 0; i < count; ++i) {
              const From value = some[i % some.size()];
              const To converted = convert_element<To>(value);
              std::memcpy(memory.data() + i * sizeof(From), &value, sizeof(From));
              std::memcpy(expected.data() + i * sizeof(To), &converted, sizeof(To));
            }
            convert(memory.data(), from, result.data(), to, static_cast<int64_t>(count));
            for (size_t i = 0; i <= count; ++i) {  // and nothing behind them
              ASSERT_EQ(std::memcmp(result.data() + i * sizeof(To), expected.data() + i * sizeof(To), sizeof(To)), 0)
                  << dtype_name(from) << " to " << dtype_name(to) << ", value " << i << ": "
                  << static_cast<double>(some[i % some.size()]);
            }
          }
        });
      });
    }
  }
}

}  // namespace
}  // namespace convoy
