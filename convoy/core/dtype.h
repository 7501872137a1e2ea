// Element types.
#pragma once

#include <cstddef>
#include <cstdint>

namespace convoy {

enum class DType : uint8_t { kFloat32, kFloat64, kInt64 };

constexpr size_t element_size(DType dtype) { return dtype == DType::kFloat32 ? 4 : 8; }

constexpr bool is_floating(DType dtype) { return dtype != DType::kInt64; }

/// "float32", "float64", "int64": the names of torch.dtype.
constexpr const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kFloat64:
      return "float64";
    case DType::kInt64:
      return "int64";
  }
  return "?";
}

/// "float", "double", "long int": the words of PyTorch's messages.
constexpr const char* scalar_type_name(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float";
    case DType::kFloat64:
      return "double";
    case DType::kInt64:
      return "long int";
  }
  return "?";
}

template <class T>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr DType value = DType::kFloat32;
};
template <>
struct dtype_of<double> {
  static constexpr DType value = DType::kFloat64;
};
template <>
struct dtype_of<int64_t> {
  static constexpr DType value = DType::kInt64;
};

/// Calls f with a value of a floating type: float for kFloat32, double otherwise.
template <class F>
void with_floating(DType dtype, F&& f) {
  if (dtype == DType::kFloat32) {
    f(float{});
  } else {
    f(double{});
  }
}

}  // namespace convoy
