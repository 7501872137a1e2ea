#include "convoy/io/elements.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <vector>

namespace convoy::io {

static_assert(std::endian::native == std::endian::little, "the readers and writers keep little-endian values as they are");

namespace {

float from_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

float from_f16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 31u;
  const uint32_t fraction = bits & 1023u;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
  return sign != 0 ? -magnitude : magnitude;
}

template <class Stored, class Value, class Convert>
void convert(const uint8_t* from, int64_t count, Value* to, Convert&& value) {
  for (int64_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, from + static_cast<size_t>(i) * sizeof stored, sizeof stored);
    to[i] = value(stored);
  }
}

void convert(Element element, const uint8_t* from, int64_t count, int64_t at, Tensor& to) {
  const auto integer = [](auto v) { return static_cast<int64_t>(v); };
  float* floats = to.dtype() == DType::kFloat32 ? to.data<float>() + at : nullptr;
  int64_t* integers = to.dtype() == DType::kInt64 ? to.data<int64_t>() + at : nullptr;
  switch (element) {
    case Element::kF16:
      return convert<uint16_t>(from, count, floats, from_f16);
    case Element::kBF16:
      return convert<uint16_t>(from, count, floats, from_bf16);
    case Element::kI8:
      return convert<int8_t>(from, count, integers, integer);
    case Element::kI16:
      return convert<int16_t>(from, count, integers, integer);
    case Element::kI32:
      return convert<int32_t>(from, count, integers, integer);
    case Element::kU8:
      return convert<uint8_t>(from, count, integers, integer);
    case Element::kU16:
      return convert<uint16_t>(from, count, integers, integer);
    case Element::kU32:
      return convert<uint32_t>(from, count, integers, integer);
    case Element::kBool:
      return convert<uint8_t>(from, count, integers, [](uint8_t v) { return int64_t{v != 0}; });
    case Element::kF32:
    case Element::kF64:
    case Element::kI64:
      break;
  }
  assert(false);
}

void reverse_bytes(uint8_t* bytes, int64_t count, size_t width) {
  for (int64_t i = 0; i < count; ++i)
    std::reverse(bytes + static_cast<size_t>(i) * width, bytes + static_cast<size_t>(i + 1) * width);
}

}  // namespace

void read_elements(const ByteSource& source, uint64_t offset, Element element, bool big_endian, Tensor& to) {
  assert(to.dtype() == dtype_of_element(element));
  const size_t width = bytes_of(element);
  const int64_t count = to.numel();
  if (count == 0) return;
  if (element == Element::kF32 || element == Element::kF64 || element == Element::kI64) {
    source.read(offset, to.raw_data(), static_cast<size_t>(count) * width);
    if (big_endian) reverse_bytes(static_cast<uint8_t*>(to.raw_data()), count, width);
    return;
  }
  constexpr int64_t kBlock = 1 << 16;
  std::vector<uint8_t> block(static_cast<size_t>(std::min(count, kBlock)) * width);
  for (int64_t at = 0; at < count; at += kBlock) {
    const int64_t here = std::min(kBlock, count - at);
    source.read(offset + static_cast<uint64_t>(at) * width, block.data(), static_cast<size_t>(here) * width);
    if (big_endian && width > 1) reverse_bytes(block.data(), here, width);
    convert(element, block.data(), here, at, to);
  }
}

}  // namespace convoy::io
