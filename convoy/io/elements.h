// The element types of files, and what they become in a Tensor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "convoy/core/dtype.h"
#include "convoy/core/tensor.h"
#include "convoy/io/file.h"

namespace convoy::io {

enum class Element : uint8_t { kF16, kBF16, kF32, kF64, kI8, kI16, kI32, kI64, kU8, kU16, kU32, kBool };

/// Bytes of one element in the file.
constexpr size_t bytes_of(Element element) {
  switch (element) {
    case Element::kI8:
    case Element::kU8:
    case Element::kBool:
      return 1;
    case Element::kF16:
    case Element::kBF16:
    case Element::kI16:
    case Element::kU16:
      return 2;
    case Element::kF32:
    case Element::kI32:
    case Element::kU32:
      return 4;
    case Element::kF64:
    case Element::kI64:
      break;
  }
  return 8;
}

/// The type in memory: the 16-bit floats become float32, all integers and booleans int64. No value changes.
constexpr DType dtype_of_element(Element element) {
  switch (element) {
    case Element::kF16:
    case Element::kBF16:
    case Element::kF32:
      return DType::kFloat32;
    case Element::kF64:
      return DType::kFloat64;
    default:
      return DType::kInt64;
  }
}

/// Fills `to`, whose dtype is dtype_of_element(element), from the source's bytes at `offset`; `big_endian` is the file's byte
/// order.
void read_elements(const ByteSource& source, uint64_t offset, Element element, bool big_endian, Tensor& to);

}  // namespace convoy::io
