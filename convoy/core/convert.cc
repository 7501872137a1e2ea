#include "convoy/core/convert.h"

#include <algorithm>
#include <cstring>

#include "convoy/core/parallel.h"

namespace convoy {

namespace {

constexpr int64_t kGrain = 1 << 16;  // values per task
constexpr int64_t kRun = 1024;       // values that go through a wide type at a time

using Loop = void (*)(const void* input, void* output, int64_t count);

template <class From, class To>
void convert_all(const void* input, void* output, int64_t count) {
  const auto* in = static_cast<const From*>(input);
  auto* out = static_cast<To*>(output);
  for (int64_t i = 0; i < count; ++i) out[i] = convert_element<To>(in[i]);
}

template <class From>
Loop from_type(DType to) {
  return with_dtype(to, [](auto zero) -> Loop { return convert_all<From, decltype(zero)>; });
}
template <class To>
Loop to_type(DType from) {
  return with_dtype(from, [](auto zero) -> Loop { return convert_all<decltype(zero), To>; });
}

// float and the widest types have a loop for each other type. The rest goes through the wide type that holds all its values, which
// is rounded or cut but once: a loop for each of 169 pairs would be the largest object of the library.
struct Conversion {
  Loop first = nullptr, second = nullptr;  // second: from the wide type, where there are two steps
  DType wide = DType::kFloat32;
};

Conversion conversion(DType from, DType to) {
  switch (from) {
    case DType::kFloat32:
      return {from_type<float>(to)};
    case DType::kFloat64:
      return {from_type<double>(to)};
    case DType::kInt64:
      return {from_type<int64_t>(to)};
    case DType::kUInt64:
      if (!is_floating(to)) return {from_type<int64_t>(to)};  // the same bits
      return {from_type<uint64_t>(to)};
    default:
      break;
  }
  if (to == DType::kFloat32) return {to_type<float>(from)};
  if (is_16_bit_float(from)) return {to_type<float>(from), from_type<float>(to), DType::kFloat32};
  return {to_type<int64_t>(from), from_type<int64_t>(to), DType::kInt64};
}

}  // namespace

void convert(const void* input, DType from, void* output, DType to, int64_t count) noexcept {
  const auto in_size = static_cast<int64_t>(element_size(from)), out_size = static_cast<int64_t>(element_size(to));
  if (from == to) {
    if (count > 0) std::memcpy(output, input, static_cast<size_t>(count * in_size));
    return;
  }
  const Conversion steps = conversion(from, to);
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    const char* in = static_cast<const char*>(input) + begin * in_size;
    char* out = static_cast<char*>(output) + begin * out_size;
    if (steps.second == nullptr) return steps.first(in, out, end - begin);
    int64_t wide[kRun];
    for (int64_t i = begin; i < end; i += kRun) {
      const int64_t n = std::min(kRun, end - i);
      steps.first(in, wide, n);
      steps.second(wide, out, n);
      in += n * in_size;
      out += n * out_size;
    }
  });
}

}  // namespace convoy
