// The shape of a pooling layer.
#pragma once

#include <array>
#include <cstdint>

#include "convoy/shape/axis.h"
#include "convoy/shape/conv.h"

namespace convoy::shape {

/// Max, average or Lp pooling of rank 1 to 3. Unused leading axes have input 1, output 1 and a default Axis.
///
/// Shapes: input (batch, channels, *input), output (batch, channels, *output).
struct PoolShape {
  int rank = 2;
  int64_t batch = 1;
  int64_t channels = 1;
  Spatial input{1, 1, 1};
  Spatial output{1, 1, 1};
  std::array<Axis, kMaxSpatialRank> axes;  // GCC 12 may zero these for `axes{}` after a chained braced assignment in a lambda
  bool ceil_mode = false;

  constexpr int first_axis() const { return kMaxSpatialRank - rank; }
  constexpr int64_t planes() const { return batch * channels; }
  constexpr int64_t input_positions() const { return input[0] * input[1] * input[2]; }
  constexpr int64_t output_positions() const { return output[0] * output[1] * output[2]; }

  friend constexpr bool operator==(const PoolShape&, const PoolShape&) = default;
};

/// Whether planes x positions elements of any type (up to 16 bytes) can be counted and addressed.
constexpr bool counts_fit(int64_t batch, int64_t channels, const Spatial& size) {
  constexpr int64_t kLargestElement = 16;  // complex<double>
  // Positions are counted on their own, since an empty batch or channel hides them in the product.
  const Checked planes = Checked(batch) * channels;
  const Checked positions = Checked(size[0]) * size[1] * size[2] * kLargestElement;
  return planes.ok() && positions.ok() && (planes * positions).ok();
}

/// Fills in `output`, which may come out zero or negative on an axis (the layer words that refusal), and checks that all counts
/// and byte sizes fit. Errors: those of pool_output_size with the axis named; kOverflow.
constexpr Result<PoolShape> complete(PoolShape s) {
  if (s.rank < 1 || s.rank > kMaxSpatialRank) return ShapeError{ShapeErrorCode::kBadRank, -1, s.rank, kMaxSpatialRank};
  if (s.batch < 0) return ShapeError{ShapeErrorCode::kNegativeInput, -1, s.batch, 0};
  if (s.channels < 0) return ShapeError{ShapeErrorCode::kNegativeChannels, -1, s.channels, 0};
  for (int a = s.first_axis(); a < kMaxSpatialRank; ++a) {
    const Result<int64_t> o = pool_output_size(s.input[a], s.axes[a], s.ceil_mode);
    if (!o) {
      ShapeError e = o.error();
      e.axis = a;
      return e;
    }
    s.output[a] = *o;
  }
  for (int a = 0; a < s.first_axis(); ++a) {
    s.input[a] = s.output[a] = 1;
    s.axes[a] = Axis{};
  }
  if (!counts_fit(s.batch, s.channels, s.input) || !counts_fit(s.batch, s.channels, s.output)) {
    return ShapeError{ShapeErrorCode::kOverflow};
  }
  return s;
}

/// Adaptive pooling: window o of an axis is adaptive_window(o, input, output).
struct AdaptivePoolShape {
  int rank = 2;
  int64_t batch = 1;
  int64_t channels = 1;
  Spatial input{1, 1, 1};
  Spatial output{1, 1, 1};

  constexpr int first_axis() const { return kMaxSpatialRank - rank; }
  constexpr int64_t planes() const { return batch * channels; }
  constexpr int64_t input_positions() const { return input[0] * input[1] * input[2]; }
  constexpr int64_t output_positions() const { return output[0] * output[1] * output[2]; }

  friend constexpr bool operator==(const AdaptivePoolShape&, const AdaptivePoolShape&) = default;
};

/// Checks an adaptive pooling shape, whose `output` is given: after it all counts fit, and so does the arithmetic of
/// adaptive_window. Errors: kNegativeInput (an input or the batch), kNegativeChannels, kOutputTooSmall (output below 0),
/// kBadRank, kOverflow.
constexpr Result<AdaptivePoolShape> complete(AdaptivePoolShape s) {
  if (s.rank < 1 || s.rank > kMaxSpatialRank) return ShapeError{ShapeErrorCode::kBadRank, -1, s.rank, kMaxSpatialRank};
  if (s.batch < 0) return ShapeError{ShapeErrorCode::kNegativeInput, -1, s.batch, 0};
  if (s.channels < 0) return ShapeError{ShapeErrorCode::kNegativeChannels, -1, s.channels, 0};
  for (int a = s.first_axis(); a < kMaxSpatialRank; ++a) {
    if (s.input[a] < 0) return ShapeError{ShapeErrorCode::kNegativeInput, a, s.input[a], 0};
    if (s.output[a] < 0) return ShapeError{ShapeErrorCode::kOutputTooSmall, a, s.output[a], 0};
    if (!(Checked(s.input[a]) * s.output[a]).ok()) return ShapeError{ShapeErrorCode::kOverflow, a};
  }
  for (int a = 0; a < s.first_axis(); ++a) s.input[a] = s.output[a] = 1;
  if (!counts_fit(s.batch, s.channels, s.input) || !counts_fit(s.batch, s.channels, s.output)) {
    return ShapeError{ShapeErrorCode::kOverflow};
  }
  return s;
}

}  // namespace convoy::shape
