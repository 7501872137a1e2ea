// The shape of a convolution: what every kernel, plan, layer and file agrees on.
#pragma once

#include <array>
#include <cstdint>

#include "convoy/shape/axis.h"
#include "convoy/shape/checked.h"
#include "convoy/shape/result.h"

namespace convoy::shape {

inline constexpr int kMaxSpatialRank = 3;

/// Sizes of the spatial axes d, h, w. A layer of rank r uses the last r; the others are 1.
using Spatial = std::array<int64_t, kMaxSpatialRank>;

constexpr Result<int64_t> product(const Spatial& s) {
  const Checked p = Checked(s[0]) * s[1] * s[2];
  if (!p.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  return p.value();
}

/// A convolution or transposed convolution of rank 1 to 3, as the layer's user sees it: input is what the layer is given.
///
/// Shapes: input (batch, in_channels, *input), output (batch, out_channels, *output), weight (out_channels, in_channels / groups,
/// *kernel_size), transposed: (in_channels, out_channels / groups, *kernel_size).
/// The axes that a lower rank does not use have input 1, output 1 and a default Axis, so kernels may always loop over three.
struct ConvShape {
  int rank = 2;
  bool transposed = false;
  int64_t batch = 1;
  int64_t in_channels = 1;
  int64_t out_channels = 1;
  int64_t groups = 1;
  Spatial input{1, 1, 1};
  Spatial output{1, 1, 1};
  std::array<Axis, kMaxSpatialRank> axes;  // GCC 12 may zero these for `axes{}` after a chained braced assignment in a lambda
  Spatial output_padding{0, 0, 0};

  constexpr int first_axis() const { return kMaxSpatialRank - rank; }
  constexpr int64_t input_positions() const { return input[0] * input[1] * input[2]; }
  constexpr int64_t output_positions() const { return output[0] * output[1] * output[2]; }
  constexpr int64_t taps() const { return axes[0].kernel_size * axes[1].kernel_size * axes[2].kernel_size; }
  constexpr int64_t in_channels_per_group() const { return in_channels / groups; }
  constexpr int64_t out_channels_per_group() const { return out_channels / groups; }
  constexpr int64_t input_count() const { return batch * in_channels * input_positions(); }
  constexpr int64_t output_count() const { return batch * out_channels * output_positions(); }
  constexpr int64_t weight_count() const {
    return (transposed ? in_channels * out_channels_per_group() : out_channels * in_channels_per_group()) * taps();
  }
  constexpr bool depthwise() const { return groups > 1 && in_channels == groups; }

  friend constexpr bool operator==(const ConvShape&, const ConvShape&) = default;
};

/// Checks a shape and fills in `output`; after it every count of the result is exact (nothing overflows, bytes included) and the
/// axes that the rank does not use are 1.
///
/// Errors: those of output_size / transposed_output_size with the axis named, groups below 1 or not dividing the channels, negative
/// channels or batch, kOutputTooSmall for a transposed output below 1 (as PyTorch and ONNX Runtime have it), kOverflow.
constexpr Result<ConvShape> complete(ConvShape s) {
  if (s.rank < 1 || s.rank > kMaxSpatialRank) return ShapeError{ShapeErrorCode::kBadRank, -1, s.rank, kMaxSpatialRank};
  if (s.groups < 1) return ShapeError{ShapeErrorCode::kNonPositiveGroups, -1, s.groups, 1};
  if (s.batch < 0) return ShapeError{ShapeErrorCode::kNegativeInput, -1, s.batch, 0};
  if (s.in_channels < 0) return ShapeError{ShapeErrorCode::kNegativeChannels, -1, s.in_channels, 0};
  if (s.out_channels < 0) return ShapeError{ShapeErrorCode::kNegativeChannels, -1, s.out_channels, 0};
  if (s.in_channels % s.groups != 0) return ShapeError{ShapeErrorCode::kChannelsNotDivisible, -1, s.in_channels, s.groups};
  if (s.out_channels % s.groups != 0) return ShapeError{ShapeErrorCode::kOutChannelsNotDivisible, -1, s.out_channels, s.groups};
  for (int a = s.first_axis(); a < kMaxSpatialRank; ++a) {
    const Result<int64_t> o =
        s.transposed ? transposed_output_size(s.input[a], s.axes[a], s.output_padding[a]) : output_size(s.input[a], s.axes[a]);
    if (!o) {
      ShapeError e = o.error();
      e.axis = a;
      return e;
    }
    if (s.transposed && *o < 1) return ShapeError{ShapeErrorCode::kOutputTooSmall, a, *o, 1};
    s.output[a] = *o;
  }
  for (int a = 0; a < s.first_axis(); ++a) {
    s.input[a] = s.output[a] = 1;
    s.axes[a] = Axis{};
    s.output_padding[a] = 0;
  }
  constexpr int64_t kLargestElement = 16;  // complex<double>, the widest element a kernel is run on
  const Checked taps = Checked(s.axes[0].kernel_size) * s.axes[1].kernel_size * s.axes[2].kernel_size;
  const Checked in = Checked(s.batch) * s.in_channels * s.input[0] * s.input[1] * s.input[2] * kLargestElement;
  const Checked out = Checked(s.batch) * s.out_channels * s.output[0] * s.output[1] * s.output[2] * kLargestElement;
  const Checked weight = Checked(s.in_channels / s.groups) * s.out_channels * taps * kLargestElement;
  // Positions are counted on their own, since an empty batch or channel hides them in the products above.
  const Checked in_positions = Checked(s.input[0]) * s.input[1] * s.input[2] * kLargestElement;
  const Checked out_positions = Checked(s.output[0]) * s.output[1] * s.output[2] * kLargestElement;
  const Checked column = Checked(s.in_channels) * taps * kLargestElement;
  if (!in.ok() || !out.ok() || !weight.ok() || !in_positions.ok() || !out_positions.ok() || !column.ok()) {
    return ShapeError{ShapeErrorCode::kOverflow};
  }
  return s;
}

/// The plain convolution whose input gradient a transposed convolution computes: input and output change places. The weight is
/// the same array. `output` is set, not recomputed: with output_padding >= stride the formula would give more outputs.
constexpr ConvShape adjoint(const ConvShape& transposed) {
  ConvShape plain = transposed;
  plain.transposed = false;
  plain.in_channels = transposed.out_channels;
  plain.out_channels = transposed.in_channels;
  plain.input = transposed.output;
  plain.output = transposed.input;
  plain.output_padding = {0, 0, 0};
  return plain;
}

/// The same computation without arguments that nothing depends on: the stride of an axis with one output and the dilation of a
/// kernel of one tap become 1. Such values may be as large as int64_t; kernels multiply by them.
constexpr ConvShape essential(ConvShape s) {
  for (int a = s.first_axis(); a < kMaxSpatialRank; ++a) {
    if (s.output[a] <= 1) s.axes[a].stride = 1;
    if (s.axes[a].kernel_size == 1) s.axes[a].dilation = 1;
  }
  return s;
}

}  // namespace convoy::shape
