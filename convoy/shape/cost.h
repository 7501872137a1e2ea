// What a convolution costs. Exact counts; one MAC is one multiplication and one addition.
#pragma once

#include <cstdint>

#include "convoy/shape/checked.h"
#include "convoy/shape/conv.h"
#include "convoy/shape/result.h"
#include "convoy/shape/taps.h"

namespace convoy::shape {

/// Multiplications with padding counted as work, as every published count does: each output position (transposed: each INPUT
/// position) meets every tap, batch n oc (ic / g) prod(k) positions. Expects a complete shape. Errors: kOverflow.
constexpr Result<int64_t> macs(const ConvShape& s) {
  const int64_t positions = s.transposed ? s.input_positions() : s.output_positions();
  const Checked count = Checked(s.batch) * positions * s.weight_count();
  if (!count.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  return count.value();
}

/// Multiplications that read the input rather than its padding (transposed: that land in the output): what a kernel that skips
/// padding does. Expects a complete shape. Errors: kOverflow.
constexpr Result<int64_t> macs_inside(const ConvShape& s) {
  const ConvShape plain = s.transposed ? adjoint(s) : s;
  Checked count = Checked(s.batch) * s.out_channels * s.in_channels_per_group();
  for (int a = s.first_axis(); a < kMaxSpatialRank; ++a) {
    const auto axis = static_cast<size_t>(a);
    const Axis& window = plain.axes[axis];
    // Taps that meet the input form a range for each output and the other way round: walk along the shorter of the two.
    Checked pairs(0);
    if (window.kernel_size < plain.output[axis]) {
      for (int64_t k = 0; k < window.kernel_size; ++k) {
        pairs = pairs + valid_outputs(k, plain.input[axis], plain.output[axis], window).size();
      }
    } else {
      for (int64_t o = 0; o < plain.output[axis]; ++o) pairs = pairs + valid_taps(o, plain.input[axis], window).size();
    }
    count = count * pairs;
  }
  if (!count.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  return count.value();
}

/// Weights, and out_channels biases if there is a bias. Expects a complete shape.
constexpr int64_t parameters(const ConvShape& s, bool bias) { return s.weight_count() + (bias ? s.out_channels : 0); }

/// The bytes of a layer's arrays. Expects a complete shape, whose sums cannot overflow for elements of up to 4 bytes, and are
/// checked for larger ones.
struct ConvBytes {
  int64_t input = 0;
  int64_t weight = 0;
  int64_t bias = 0;
  int64_t output = 0;
  int64_t total = 0;
};

constexpr Result<ConvBytes> bytes(const ConvShape& s, bool bias, int64_t element_size = 4) {
  const Checked input = Checked(s.input_count()) * element_size;
  const Checked weight = Checked(s.weight_count()) * element_size;
  const Checked biases = Checked(bias ? s.out_channels : 0) * element_size;
  const Checked output = Checked(s.output_count()) * element_size;
  const Checked total = input + weight + biases + output;
  if (!total.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  return ConvBytes{input.value(), weight.value(), biases.value(), output.value(), total.value()};
}

}  // namespace convoy::shape
