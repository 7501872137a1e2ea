// Where the outputs of a layer with few channels per group take from: one description for the forward pass, for the input gradient,
// and for any stride and dilation, so that one set of register tiles computes them all.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <numeric>

#include "convoy/kernels/conv/conv_kernel.h"
#include "convoy/shape/taps.h"

namespace convoy::kernels::depthwise {

constexpr int kRows = 7;         // output rows of a tile: 7, 14, 28, 56 and 112 divide by it
constexpr int64_t kLanes = 16;   // the most lanes of any target
constexpr int64_t kChain = 256;  // a longer chain of sums is cut, since it drifts

constexpr int64_t round_up(int64_t count, int64_t to) { return (count + to - 1) / to * to; }

/// Some taps of an axis: tap, tap + tap_step, ..., count of them.
struct Taps {
  int64_t tap = 0, count = 0;
  int64_t input = 0;  // position that the first reads; the others read on, input_step apart
};

/// One axis. In the forward pass output o takes from input o stride + k dilation - pad for every tap k, in the gradient of a
/// layer's input from (o + pad - k dilation) / stride where that is whole.
///
/// Taps `apart` from each other form a class: they read inputs input_step() apart. Outputs spacing() apart share them: output o + j
/// spacing() takes from tap number t of the class what output o takes from number j + t. So with respect to a class of taps and a
/// class of outputs every axis is dense and of stride 1, which is all that the kernels know.
struct AxisGeometry {
  int64_t input = 1, output = 1, kernel = 1, stride = 1, dilation = 1, pad = 0;
  bool gradient = false;
  int64_t common = 1, apart = 1;  // gcd(stride, dilation); taps apart from each other in a class

  AxisGeometry(const ConvShape& s, size_t axis, bool of_gradient)
      : input(of_gradient ? s.output[axis] : s.input[axis]),
        output(of_gradient ? s.input[axis] : s.output[axis]),
        kernel(s.axes[axis].kernel_size),
        stride(s.axes[axis].stride),
        dilation(s.axes[axis].dilation),
        pad(s.axes[axis].pad_begin),
        gradient(of_gradient),
        common(std::gcd(stride, dilation)),
        apart(stride / common) {}

  int64_t tap_classes() const { return std::min(apart, kernel); }
  int64_t tap_step() const { return gradient ? -apart : apart; }
  int64_t most_taps() const { return (kernel + apart - 1) / apart; }  // of a class
  int64_t input_step() const { return gradient ? dilation / common : dilation * apart; }
  int64_t spacing() const { return gradient ? dilation * apart : dilation / common; }
  int64_t output_classes() const { return std::min(spacing(), output); }
  int64_t most_outputs() const { return (output + spacing() - 1) / spacing(); }  // of a class

  /// The taps of a class that output o takes from: all or none.
  Taps taps(int64_t o, int64_t tap_class) const {
    const int64_t count = apart == 1 ? kernel : (kernel - tap_class + apart - 1) / apart;
    if (!gradient) return {tap_class, count, o * stride + tap_class * dilation - pad};
    const int64_t last = tap_class + (count - 1) * apart, at = o + pad - last * dilation;  // inputs ascend as taps descend
    if (at % stride != 0) return {};
    return {last, count, at / stride};
  }
  /// What output o takes from one tap; negative: nothing.
  int64_t input_of(int64_t o, int64_t tap) const {
    const int64_t at = gradient ? o + pad - tap * dilation : o * stride + tap * dilation - pad;
    if (gradient && at % stride != 0) return -1;
    const int64_t i = gradient ? at / stride : at;
    return i < input ? i : -1;
  }
  /// How many outputs and taps meet inside the input.
  double pairs() const {
    const shape::Axis axis{.kernel_size = kernel, .stride = stride, .dilation = dilation, .pad_begin = pad};
    return static_cast<double>(shape::taps_inside(gradient ? output : input, gradient ? input : output, axis));
  }
};

/// All axes. Outputs along w are phases() interleaved rows, phase q holding columns q, q + phases(), ..., up to phase_columns() of
/// them. Where inputs are strided() along w, rows are sorted into their phases first, after which neighbours are neighbours.
struct Geometry {
  AxisGeometry d, h, w;
  int64_t sources = 1;  // input planes that an output plane sums over

  int64_t taps() const { return d.kernel * h.kernel * w.kernel; }
  int64_t input_positions() const { return d.input * h.input * w.input; }
  int64_t output_positions() const { return d.output * h.output * w.output; }
  bool strided() const { return !w.gradient && w.stride > 1; }
  int64_t phases() const { return w.gradient ? w.stride : 1; }
  int64_t phase_columns() const { return (w.output + phases() - 1) / phases(); }

  /// Column taps of an output phase: offsets are relative to the column of the output in its phase. In sorted rows input column
  /// c - pad is found at [c % stride][c / stride].
  int64_t column_step() const { return strided() ? w.input_step() / w.stride : w.input_step(); }
  int64_t first_offset(const Taps& taps, int64_t sorted_phase_floats) const {
    if (!strided()) return taps.input;
    const int64_t column = taps.input + w.pad;
    return column % w.stride * sorted_phase_floats + column / w.stride;
  }
  int64_t sorted_phases() const { return std::min(w.stride, (w.kernel - 1) * w.dilation + 1); }
};

inline Geometry geometry(const ConvShape& s, Direction direction) {
  const bool gradient = direction == Direction::kGradInput;
  return {{s, 0, gradient}, {s, 1, gradient}, {s, 2, gradient}, gradient ? s.out_channels_per_group() : s.in_channels_per_group()};
}

/// One call. The output planes of a group sum over the same input planes.
struct Job {
  Geometry g;
  const float* input;
  const float* weight;
  const float* bias;
  float* output;
  int64_t planes;                                       // output planes
  int64_t channels;                                     // of them in a sample
  int64_t group_channels;                               // and in a group
  int64_t weight_group, weight_channel, weight_source;  // steps of the weight from group to group, and so on
};

/// What a tile reads and writes of one plane.
struct PlaneOfTile {
  const float* in;
  const float* weight;
  float* out;
  const float* residual;
  float start;  // the bias
};

/// Beyond this reach offsets and the sizes of sorted rows might overflow.
inline bool reaches_too_far(const ConvShape& s) {
  constexpr int64_t kReach = 1 << 20;
  for (const shape::Axis& axis : s.axes) {
    if (axis.kernel_size > kReach || axis.stride > kReach || axis.dilation > kReach || std::abs(axis.pad_begin) > kReach)
      return true;
  }
  return s.taps() > kReach;
}

}  // namespace convoy::kernels::depthwise
