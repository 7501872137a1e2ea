// Sizes and limits of sums by pairs (conv_pairs-inl.h).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace convoy::kernels::conv_pairs {

inline constexpr int64_t kSix = 6;  // channels of a turn, of which four are two pairs
// Sums, vectors, of a tile: with operands and both sums of a pair 31 of 32 registers. There are tiles of every second size from the
// least on.
inline constexpr int64_t kTile = 26, kLeastTile = 8;
// From row to row of pixels that are copied before they are made a panel: in place its masked stores would stop the loads behind.
inline constexpr int64_t kTurned = 32;

inline constexpr int64_t kAheadChannels = 24;  // whose pixels are asked for while a panel is made

inline constexpr int64_t kLeastTerms = 24;  // with fewer E is near 8, and few tiles may go by pairs

// What stands in front of a panel's values: for each pixel what its pairs add too much and the factor of its sums, and which
// should not go by pairs.
inline constexpr int64_t kUndo = 32, kDirect = 64, kHeader = 80;

// Sums of squares outside of these, which may have lost digits, go without pairs, scaled by 2^63 or 2^-63, so that the
// product of what undoes it on both sides is finite.
inline constexpr float kLeastSquares = 1e-30F, kMostSquares = 1e30F;

/// `total` in as few tiles as can be, as equal as can be, all but the last of an even size.
struct Parts {
  int64_t total, count, least, extra;

  explicit Parts(int64_t size, int64_t most_each = kTile)
      : total(size),
        count((total + most_each - 1) / most_each),
        least((total + 1) / 2 / std::max<int64_t>(count, 1)),
        extra((total + 1) / 2 % std::max<int64_t>(count, 1)) {}
  int64_t most() const { return 2 * (least + (extra > 0 ? 1 : 0)); }
  int64_t begin(int64_t i) const { return std::min(2 * (i * least + std::min(i, extra)), total); }
};
constexpr int64_t even(int64_t size) { return (size + 1) / 2 * 2; }

/// How many of so many terms should count. With fewer E (docs/accuracy.md) passed 16 now and then in some millions of drawn results
/// (of 48 terms with 9, 128 with 12, 256 with 17, 960 with 61).
inline float least_terms(int64_t channels) {
  const auto count = static_cast<float>(channels);
  return std::max(1.5F * std::sqrt(count), count / 16);
}

}  // namespace convoy::kernels::conv_pairs
