// What the register tiles of the direct convolutions work on (conv_tile-inl.h).
#pragma once

#include <cstdint>
#include <limits>

#include "convoy/kernels/conv/epilogue.h"

namespace convoy::kernels::conv_tile {

/// One tap: where it reads and where its weight lies, in floats from the pixel's and the channel's place.
struct Tap {
  int64_t source;
  int64_t weight;
};

/// Whether so many result channels are computed by a vector of 512 bits and a half, which takes half the time on Zen 4: 17 to 24
/// need not take as long as 32. (8 and fewer by half a vector would leave 9 twice as slow.)
constexpr bool one_and_a_half(int64_t channels, int64_t lanes) {
  return lanes == 16 && channels > lanes && 2 * channels <= 3 * lanes;
}
/// Whether they fill half a vector at the most, whose multiply-adds take half the time.
constexpr bool half(int64_t channels, int64_t lanes) { return lanes == 16 && 2 * channels <= lanes; }
/// Vectors that result channels take the time of.
constexpr double vectors_of(int64_t channels, int64_t lanes) {
  return one_and_a_half(channels, lanes) ? 1.5 : static_cast<double>((channels + lanes - 1) / lanes);
}

/// Floats of a cache line.
inline constexpr int64_t kLine = 16;
/// So many floats in whole lines.
constexpr int64_t lines(int64_t floats) { return (floats + kLine - 1) / kLine * kLine; }
/// Floats of a source that comes from memory, at least.
inline constexpr int64_t kFarFloats = 2 << 20;
/// Floats of a result that goes past the caches, at least.
inline constexpr int64_t kStreamedFloats = 2 << 20;

/// Sums of a run of pixels over channels and taps.
struct Work {
  const float* source = nullptr;  // of the first pixel and channel
  int64_t pixel_step = 1;         // distance of a channel tile's pixels; a pixel tile's lie side by side
  int64_t source_channel = 0;     // distance of channels
  const float* weight = nullptr;
  int64_t weight_channel = 0;
  int64_t channels = 0;
  const Tap* taps = nullptr;
  int64_t tap_count = 0;
  float* sums = nullptr;
  int64_t sums_stride = 0;  // distance of pixels (channel tiles) or of result channels (pixel tiles)
  bool add = false;         // to the sums that are there
  // Fetched into the outer of the core's own caches meanwhile, so many floats per channel and tap (channel tiles that look taps
  // up); null: nothing.
  const float* ahead = nullptr;
  int64_t ahead_step = 0;
  // Pixel tiles without a list of taps: so many floats from each channel's first pixel a line is asked for.
  int64_t ahead_pixels = 0;
  bool ahead_near = false;  // into the first cache: of requests to the second Zen 4 drops many that go to memory
  bool streamed = false;    // the same: results of the widest tile, on whole lines, go past the caches
};

/// What happens to finished sums on their way to the result: bias, residual, clamp.
struct Finish {
  const float* bias = nullptr;      // of the first channel; null: none
  const float* residual = nullptr;  // null: none
  const float* result = nullptr;    // where the result begins: the residual is read at the same distance
  float low = -std::numeric_limits<float>::infinity(), high = std::numeric_limits<float>::infinity();
  bool clamp = false;

  Finish() = default;
  Finish(const SplitEpilogue& epilogue, const float* result_begin)
      : residual(epilogue.residual),
        result(result_begin),
        low(epilogue.low),
        high(epilogue.high),
        clamp(epilogue.low != -std::numeric_limits<float>::infinity() || epilogue.high != std::numeric_limits<float>::infinity()) {}
};

}  // namespace convoy::kernels::conv_tile
