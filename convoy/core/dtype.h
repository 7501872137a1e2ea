// Element types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>
#include <type_traits>

#include "convoy/core/float16.h"

namespace convoy {

/// float32, float64 and int64 are computed with everywhere; the others are stored, converted, and computed with by the functions
/// that say so. A bool is one byte, 0 or 1.
enum class DType : uint8_t {
  kFloat32,
  kFloat64,
  kInt64,
  kFloat16,
  kBFloat16,
  kInt32,
  kInt16,
  kInt8,
  kUInt8,
  kUInt16,
  kUInt32,
  kUInt64,
  kBool
};

namespace detail {
struct DTypeRow {
  uint8_t size;
  const char* name;         // of torch.dtype
  const char* scalar_type;  // in PyTorch's messages about data()
  const char* word;         // in PyTorch's other messages
};
inline constexpr DTypeRow kDTypes[] = {
    {4, "float32", "float", "Float"},
    {8, "float64", "double", "Double"},
    {8, "int64", "long int", "Long"},
    {2, "float16", "c10::Half", "Half"},
    {2, "bfloat16", "c10::BFloat16", "BFloat16"},
    {4, "int32", "int", "Int"},
    {2, "int16", "short int", "Short"},
    {1, "int8", "signed char", "Char"},
    {1, "uint8", "unsigned char", "Byte"},
    {2, "uint16", "unsigned short int", "UInt16"},
    {4, "uint32", "unsigned int", "UInt32"},
    {8, "uint64", "unsigned long int", "UInt64"},
    {1, "bool", "bool", "Bool"},
};
}  // namespace detail

constexpr size_t element_size(DType dtype) { return detail::kDTypes[static_cast<size_t>(dtype)].size; }

/// "float32", "int64", "bool": the names of torch.dtype.
constexpr const char* dtype_name(DType dtype) { return detail::kDTypes[static_cast<size_t>(dtype)].name; }

/// The type of that name; nullopt if there is none.
constexpr std::optional<DType> dtype_named(std::string_view name) {
  for (size_t i = 0; i < std::size(detail::kDTypes); ++i) {
    if (name == detail::kDTypes[i].name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

/// "float", "double", "long int": the words of PyTorch's messages about values of another type than expected.
constexpr const char* scalar_type_name(DType dtype) { return detail::kDTypes[static_cast<size_t>(dtype)].scalar_type; }

/// "Float", "Double", "Long": the words of PyTorch's other messages.
constexpr const char* type_word(DType dtype) { return detail::kDTypes[static_cast<size_t>(dtype)].word; }

/// Any float, as torch.is_floating_point.
constexpr bool is_floating(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16 || dtype == DType::kBFloat16;
}

/// The floats that with_floating computes in.
constexpr bool is_float_or_double(DType dtype) { return dtype == DType::kFloat32 || dtype == DType::kFloat64; }

/// The floats that are stored and converted, and computed with in float32.
constexpr bool is_16_bit_float(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

template <class T>
struct dtype_of;
#define CONVOY_DTYPE_OF(type, dtype)             \
  template <>                                    \
  struct dtype_of<type> {                        \
    static constexpr DType value = DType::dtype; \
  }
CONVOY_DTYPE_OF(float, kFloat32);
CONVOY_DTYPE_OF(double, kFloat64);
CONVOY_DTYPE_OF(int64_t, kInt64);
CONVOY_DTYPE_OF(Float16, kFloat16);
CONVOY_DTYPE_OF(BFloat16, kBFloat16);
CONVOY_DTYPE_OF(int32_t, kInt32);
CONVOY_DTYPE_OF(int16_t, kInt16);
CONVOY_DTYPE_OF(int8_t, kInt8);
CONVOY_DTYPE_OF(uint8_t, kUInt8);
CONVOY_DTYPE_OF(uint16_t, kUInt16);
CONVOY_DTYPE_OF(uint32_t, kUInt32);
CONVOY_DTYPE_OF(uint64_t, kUInt64);
CONVOY_DTYPE_OF(bool, kBool);
#undef CONVOY_DTYPE_OF

/// Calls f with a value of a floating type: float for kFloat32, double otherwise.
template <class F>
void with_floating(DType dtype, F&& f) {
  if (dtype == DType::kFloat32) {
    f(float{});
  } else {
    f(double{});
  }
}

/// Calls f with a value of the element type.
template <class F>
decltype(auto) with_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat32:
      break;
    case DType::kFloat64:
      return f(double{});
    case DType::kInt64:
      return f(int64_t{});
    case DType::kFloat16:
      return f(Float16{});
    case DType::kBFloat16:
      return f(BFloat16{});
    case DType::kInt32:
      return f(int32_t{});
    case DType::kInt16:
      return f(int16_t{});
    case DType::kInt8:
      return f(int8_t{});
    case DType::kUInt8:
      return f(uint8_t{});
    case DType::kUInt16:
      return f(uint16_t{});
    case DType::kUInt32:
      return f(uint32_t{});
    case DType::kUInt64:
      return f(uint64_t{});
    case DType::kBool:
      return f(bool{});
  }
  return f(float{});
}

/// Calls f with an unsigned integer as wide as an element, for what moves values without looking at them.
template <class F>
decltype(auto) with_element_size(DType dtype, F&& f) {
  switch (element_size(dtype)) {
    case 1:
      return f(uint8_t{});
    case 2:
      return f(uint16_t{});
    case 8:
      return f(uint64_t{});
    default:
      return f(uint32_t{});
  }
}

/// A value in another element type. Floats become integers by truncation, what does not fit becoming the least int64 before it is
/// cut to the type's bits (as x86 does); integers wrap; anything but 0 becomes true; floats round to nearest, ties to even.
template <class To, class From>
To convert_element(From x) noexcept {
  constexpr bool kFromHalf = std::is_same_v<From, Float16> || std::is_same_v<From, BFloat16>;
  constexpr bool kToHalf = std::is_same_v<To, Float16> || std::is_same_v<To, BFloat16>;
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (kFromHalf) {
    return convert_element<To>(static_cast<float>(x));
  } else if constexpr (kToHalf) {
    if constexpr (std::is_same_v<From, float>) {
      return To(x);
    } else {
      return To(static_cast<double>(x));  // beyond 2^53 a 16-bit float has no such bits to lose
    }
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if constexpr (std::is_same_v<To, uint64_t>) {
      if (x >= From(0x1p63) && x < From(0x1p64)) return static_cast<uint64_t>(x);
    }
    const bool fits = x >= From(-0x1p63) && x < From(0x1p63);
    return static_cast<To>(fits ? static_cast<int64_t>(x) : INT64_MIN);
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace convoy
