// The sampling rule: which (input, kernel) positions feed output position o. Every kernel, the receptive field and the picture
// of a convolution follow it.
//
// Nothing here is checked: the axis and the sizes must come from a shape that complete() has accepted, and positions must lie
// inside it (0 <= o < outputs, 0 <= k < kernel_size, 0 <= i < n). Then no sum or product leaves 64 bits.
#pragma once

#include <algorithm>
#include <cstdint>

#include "convoy/shape/axis.h"
#include "convoy/shape/checked.h"

namespace convoy::shape {

/// A half-open range [begin, end); begin <= end.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;

  constexpr int64_t size() const { return end - begin; }
  constexpr bool empty() const { return begin >= end; }
  friend constexpr bool operator==(const Range&, const Range&) = default;
};

/// The input position that output position o reads through kernel tap k: o s - pad_begin + k d. It may lie in the padding.
constexpr int64_t input_index(int64_t o, int64_t k, const Axis& axis) {
  return o * axis.stride - axis.pad_begin + k * axis.dilation;
}

/// The taps through which output o reads inside the input [0, n).
constexpr Range valid_taps(int64_t o, int64_t n, const Axis& axis) {
  const int64_t start = o * axis.stride - axis.pad_begin;
  const int64_t begin = std::clamp<int64_t>(ceil_div(-start, axis.dilation), 0, axis.kernel_size);
  const int64_t end = std::clamp<int64_t>(ceil_div(n - start, axis.dilation), begin, axis.kernel_size);
  return {begin, end};
}

/// The outputs in [0, outputs) that read inside the input [0, n) through tap k.
constexpr Range valid_outputs(int64_t k, int64_t n, int64_t outputs, const Axis& axis) {
  const int64_t shift = axis.pad_begin - k * axis.dilation;
  const int64_t begin = std::clamp<int64_t>(ceil_div(shift, axis.stride), 0, outputs);
  const int64_t end = std::clamp<int64_t>(ceil_div(n + shift, axis.stride), begin, outputs);
  return {begin, end};
}

/// Pairs of an output and a tap that reads inside the input, of outputs * kernel_size.
constexpr int64_t taps_inside(int64_t n, int64_t outputs, const Axis& axis) {
  int64_t inside = 0;
  for (int64_t k = 0; k < axis.kernel_size; ++k) inside += valid_outputs(k, n, outputs, axis).size();
  return inside;
}

/// The output that reads input position i through tap k, or -1 if there is none in [0, outputs). The gather view of a transposed
/// convolution: output position i of the transpose sums over the taps for which this is >= 0.
constexpr int64_t output_index(int64_t i, int64_t k, int64_t outputs, const Axis& axis) {
  const int64_t at = i + axis.pad_begin - k * axis.dilation;
  if (at < 0 || at % axis.stride != 0) return -1;
  const int64_t o = at / axis.stride;
  return o < outputs ? o : -1;
}

/// Adaptive pooling: window o of `outputs` over n inputs is [floor(o n / outputs), ceil((o + 1) n / outputs)).
constexpr Range adaptive_window(int64_t o, int64_t n, int64_t outputs) {
  // o * n can exceed int64_t only if n * outputs does, which the layer has refused.
  return {(o * n) / outputs, ceil_div((o + 1) * n, outputs)};
}

}  // namespace convoy::shape
