// Sizes and limits of sums by pairs (conv_pairs-inl.h).
#pragma once

#include <cstdint>

namespace convoy::kernels::conv_pairs {

inline constexpr int64_t kSix = 6;  // channels of a turn, of which four are two pairs
// Sums, vectors, of a tile: with operands and both sums of a pair 31 of 32 registers. There are tiles of every second size from the
// least on.
inline constexpr int64_t kTile = 26, kLeastTile = 8;
// What stands in front of a panel's values: for each pixel what its pairs add too much and the factor of its sums, and whether all
// may go by pairs.
inline constexpr int64_t kUndo = 32, kGood = 64, kHeader = 80;

// Sums of squares outside of these, which may have lost digits, go without pairs, scaled by 2^64 or 2^-64.
inline constexpr float kLeastSquares = 1e-30F, kMostSquares = 1e30F;

/// How many of so many terms should count. In some two million drawn results with fewer E passed 16 now and then (from 24 channels
/// on: 9.4 of 48, 12.4 of 128, 25 of 256, 33 of 960), with more none did.
constexpr float least_terms(int64_t channels) { return 6.0F + static_cast<float>(channels) / 14; }

}  // namespace convoy::kernels::conv_pairs
