// How an axis is resized: names for the kernels and the public functions.
#pragma once

#include <cstdint>

namespace convoy {

enum class ResizeMode : uint8_t { kNearest, kLinear, kCubic };

/// Where output position o of an axis lies in the input; scale is what the sizes were multiplied with, n the input's size and
/// n scale, which need not be whole, the output's. The centre of position i is i + 0.5 in the half-pixel kinds.
///   kHalfPixel           (o + 0.5) / scale - 0.5
///   kPytorchHalfPixel    the same, 0 if the output has one position
///   kHalfPixelSymmetric  the same, moved so that input and whole output share their middle
///   kAlignCorners        o (n - 1) / (n scale - 1), 0 if the output has one position
///   kAsymmetric          o / scale
///   kTfCropAndResize     from roi_begin to roi_end of the axis, each in parts of n - 1; what lies outside the input is
///   extrapolated
enum class ResizeCoordinates : uint8_t {
  kHalfPixel,
  kPytorchHalfPixel,
  kHalfPixelSymmetric,
  kAlignCorners,
  kAsymmetric,
  kTfCropAndResize
};

/// Which neighbour is the nearest; the first two differ where both are equally near.
enum class ResizeNearest : uint8_t { kRoundPreferFloor, kRoundPreferCeil, kFloor, kCeil };

/// The rest of what decides an axis' weights. antialias widens the filter where the axis shrinks; exclude_outside leaves out the
/// neighbours that are not in the input and shares their weight among the others, where otherwise the border is repeated.
struct ResizeRule {
  ResizeMode mode = ResizeMode::kNearest;
  ResizeCoordinates coordinates = ResizeCoordinates::kHalfPixel;
  ResizeNearest nearest = ResizeNearest::kRoundPreferFloor;
  double cubic_coeff_a = -0.75;
  bool exclude_outside = false;
  bool antialias = false;
};

}  // namespace convoy
