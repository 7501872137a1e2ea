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
  std::array<Axis, kMaxSpatialRank> axes{};
  bool ceil_mode = false;

  constexpr int first_axis() const { return kMaxSpatialRank - rank; }
  constexpr int64_t planes() const { return batch * channels; }
  constexpr int64_t input_positions() const { return input[0] * input[1] * input[2]; }
  constexpr int64_t output_positions() const { return output[0] * output[1] * output[2]; }

  friend constexpr bool operator==(const PoolShape&, const PoolShape&) = default;
};

/// Fills in `output`, which may come out zero or negative on an axis (the layer words that refusal), and checks that all counts
/// and byte sizes fit. Errors: those of pool_output_size with the axis named; kOverflow.
constexpr Result<PoolShape> complete(PoolShape s) {
  if (s.rank < 1 || s.rank > kMaxSpatialRank) return ShapeError{ShapeErrorCode::kBadRank, -1, s.rank, kMaxSpatialRank};
  for (int a = s.first_axis(); a < kMaxSpatialRank; ++a) {
    const Result<int64_t> o = pool_output_size(s.input[a], s.axes[a], s.ceil_mode);
    if (!o) {
      ShapeError e = o.error();
      e.axis = a;
      return e;
    }
    s.output[a] = *o;
  }
  const Checked in = Checked(s.batch) * s.channels * s.input[0] * s.input[1] * s.input[2] * 16;
  const Checked out = Checked(s.batch) * s.channels * s.output[0] * s.output[1] * s.output[2] * 16;
  if (!in.ok() || !out.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  return s;
}

/// Adaptive pooling: window o of an axis is adaptive_window(o, input, output).
struct AdaptivePoolShape {
  int rank = 2;
  int64_t batch = 1;
  int64_t channels = 1;
  Spatial input{1, 1, 1};
  Spatial output{1, 1, 1};

  constexpr int64_t planes() const { return batch * channels; }
  constexpr int64_t input_positions() const { return input[0] * input[1] * input[2]; }
  constexpr int64_t output_positions() const { return output[0] * output[1] * output[2]; }
};

}  // namespace convoy::shape
