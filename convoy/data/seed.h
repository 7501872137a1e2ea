// Seeds for several streams of random numbers from one seed.
#pragma once

#include <cstdint>

namespace convoy::data {

/// A seed for stream number `stream`. Neighbouring seeds and streams give unrelated numbers, also in the low 32 bits, which are all
/// that Generator uses.
/// Source: the finalizer of splitmix64 (Steele, Lea, Flood 2014).
constexpr uint64_t stream_seed(uint64_t seed, uint64_t stream) {
  const auto mixed = [](uint64_t value) {
    value += 0x9e3779b97f4a7c15ull;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
  };
  return mixed(mixed(seed) + stream);
}

}  // namespace convoy::data
