// The 16-bit floats: storage and conversion. Arithmetic is done in float.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace convoy {

/// float to the next representable neighbour of x that has an odd last bit, or x if it is one: rounding that once more, to fewer
/// bits, gives what rounding x itself would.
inline float round_to_odd(double x) noexcept {
  const float nearest = static_cast<float>(x);
  if (static_cast<double>(nearest) == x || std::isnan(x)) return nearest;
  auto bits = std::bit_cast<uint32_t>(nearest);
  if (std::abs(static_cast<double>(nearest)) > std::abs(x)) --bits;  // towards zero
  return std::bit_cast<float>(bits | 1u);
}

/// IEEE binary16: 5 bits of exponent, 10 of fraction. Conversions to it round to nearest, ties to even.
struct Float16 {
  uint16_t bits = 0;

  Float16() = default;
  explicit Float16(float x) noexcept {
    const auto u = std::bit_cast<uint32_t>(x);
    const auto sign = static_cast<uint16_t>((u >> 16) & 0x8000u);
    const uint32_t magnitude = u & 0x7fffffffu;
    if (magnitude >= 0x7f800000u) {  // infinity, and NaN, which stays one
      bits = static_cast<uint16_t>(sign | 0x7c00u | (magnitude > 0x7f800000u ? 0x200u | ((magnitude >> 13) & 0x3ffu) : 0u));
    } else if (magnitude < 0x38800000u) {
      // Below 2^-14: adding 0.5 lets the float unit round to multiples of 2^-24.
      const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
      bits = static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
    } else if (magnitude >= 0x477ff000u) {  // 65520 and above
      bits = sign | 0x7c00u;
    } else {
      const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
      bits = static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
    }
  }
  explicit Float16(double x) noexcept : Float16(round_to_odd(x)) {}

  explicit operator float() const noexcept {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
    const uint32_t magnitude = bits & 0x7fffu;
    if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    if (magnitude >= 0x400u) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24f));
  }
  explicit operator double() const noexcept { return static_cast<double>(static_cast<float>(*this)); }
};

/// The upper half of a float. Conversions to it round to nearest, ties to even.
struct BFloat16 {
  uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(float x) noexcept {
    const auto u = std::bit_cast<uint32_t>(x);
    bits = static_cast<uint16_t>(std::isnan(x) ? (u >> 16) | 0x40u : (u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  explicit BFloat16(double x) noexcept : BFloat16(round_to_odd(x)) {}

  explicit operator float() const noexcept { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
  explicit operator double() const noexcept { return static_cast<double>(static_cast<float>(*this)); }
};

}  // namespace convoy
