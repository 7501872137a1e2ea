#include "convoy/kernels/elementwise/select.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <functional>
#include <type_traits>

namespace convoy::kernels {

namespace {

// output[i] = (a[i] (op) b[i]) != negated.
using Row = void (*)(const void* a, const void* b, bool* output, int64_t n, bool negated);

template <class T, class Op>
void row(const void* a, const void* b, bool* output, int64_t n, bool negated) {
  const T *u = static_cast<const T*>(a), *v = static_cast<const T*>(b);
  for (int64_t i = 0; i < n; ++i) output[i] = static_cast<bool>(Op()(u[i], v[i])) != negated;
}

// One of few loops: a > b is b < a.
struct Loop {
  Row row;
  bool swapped = false, negated = false;
};

// Rows have strides of 0 or 1. A repeated operand is written out, for as many elements as one turn takes.
void run(const Broadcast<2>& loop, size_t element_size, const void* a, const void* b, bool* output, const Loop& what) noexcept {
  constexpr int64_t kTurn = 256;
  const int64_t size = static_cast<int64_t>(element_size);
  const bool repeats_a = loop.strides[0].back() == 0, repeats_b = loop.strides[1].back() == 0;
  for_each_row(loop, [&](const auto& at, int64_t to, int64_t n) {
    const char *u = static_cast<const char*>(a) + at[0] * size, *v = static_cast<const char*>(b) + at[1] * size;
    alignas(64) char repeated[kTurn * sizeof(uint64_t)];
    const int64_t turn = repeats_a || repeats_b ? std::min(n, kTurn) : n;
    if (repeats_a || repeats_b) {
      const char* const value = repeats_a ? u : v;
      for (int64_t i = 0; i < turn; ++i) std::memcpy(repeated + i * size, value, element_size);
    }
    for (int64_t i = 0; i < n; i += turn) {
      const char *const x = repeats_a ? repeated : u + i * size, *const y = repeats_b ? repeated : v + i * size;
      what.row(what.swapped ? y : x, what.swapped ? x : y, output + to + i, std::min(turn, n - i), what.negated);
    }
  });
}

// Equal integers have the same bits, whatever their sign.
Row equal_bits(size_t element_size) {
  switch (element_size) {
    case 1:
      return row<uint8_t, std::equal_to<>>;
    case 2:
      return row<uint16_t, std::equal_to<>>;
    case 4:
      return row<uint32_t, std::equal_to<>>;
    default:
      return row<uint64_t, std::equal_to<>>;
  }
}

template <class T>
Loop compared(Comparison kind) {
  constexpr bool kFloat = std::is_floating_point_v<T>;
  switch (kind) {
    case Comparison::kEqual:
    case Comparison::kNotEqual: {
      const bool negated = kind == Comparison::kNotEqual;
      if constexpr (kFloat) return {row<T, std::equal_to<>>, false, negated};
      return {equal_bits(sizeof(T)), false, negated};
    }
    case Comparison::kLess:
    case Comparison::kGreater:
      return {row<T, std::less<>>, kind == Comparison::kGreater};
    case Comparison::kLessEqual:
    case Comparison::kGreaterEqual:
      break;
  }
  const bool greater = kind == Comparison::kGreaterEqual;
  if constexpr (kFloat) return {row<T, std::less_equal<>>, greater};  // a NaN is neither
  return {row<T, std::less<>>, !greater, true};
}

template <class T>
void select_typed(const Broadcast<3>& loop, const bool* condition, const T* a, const T* b, T* output) {
  const int64_t c_stride = loop.strides[0].back(), a_stride = loop.strides[1].back(), b_stride = loop.strides[2].back();
  for_each_row(loop, [&](const auto& at, int64_t to, int64_t n) {
    const bool* c = condition + at[0];
    const T *u = a + at[1], *v = b + at[2];
    T* out = output + to;
    if (c_stride == 1 && a_stride == 1 && b_stride == 1) {
      for (int64_t i = 0; i < n; ++i) {  // by masks: branches would guess
        const T mask = static_cast<T>(0 - static_cast<T>(c[i]));
        out[i] = static_cast<T>((u[i] & mask) | (v[i] & ~mask));
      }
    } else {
      for (int64_t i = 0; i < n; ++i) {
        const T mask = static_cast<T>(0 - static_cast<T>(c[i * c_stride]));
        out[i] = static_cast<T>((u[i * a_stride] & mask) | (v[i * b_stride] & ~mask));
      }
    }
  });
}

}  // namespace

void compare(Comparison kind, DType dtype, const Broadcast<2>& loop, const void* a, const void* b, bool* output) noexcept {
  const Loop what = with_dtype(dtype, [&](auto zero) -> Loop {
    using T = decltype(zero);
    if constexpr (std::is_class_v<T>) {
      return {};
    } else {
      return compared<std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>>(kind);
    }
  });
  assert(what.row != nullptr);
  run(loop, element_size(dtype), a, b, output, what);
}

void logical(Logical kind, const Broadcast<2>& loop, const bool* a, const bool* b, bool* output) noexcept {
  const auto what = [&]() -> Loop {
    switch (kind) {
      case Logical::kAnd:
        return {row<uint8_t, std::bit_and<>>};
      case Logical::kOr:
        return {row<uint8_t, std::bit_or<>>};
      case Logical::kXor:
        break;
    }
    return {equal_bits(1), false, true};
  };
  run(loop, 1, a, b, output, what());
}

void select(const Broadcast<3>& loop, const bool* condition, size_t element_size, const void* a, const void* b,
            void* output) noexcept {
  const auto run = [&](auto bits) {
    using T = decltype(bits);
    select_typed(loop, condition, static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(output));
  };
  switch (element_size) {
    case 1:
      return run(uint8_t{});
    case 2:
      return run(uint16_t{});
    case 4:
      return run(uint32_t{});
    default:
      return run(uint64_t{});
  }
}

}  // namespace convoy::kernels
