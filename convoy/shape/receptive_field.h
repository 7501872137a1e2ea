// What one output cell sees of the input, through a chain of layers, along one axis.
#pragma once

#include <cstdint>
#include <span>

#include "convoy/shape/axis.h"
#include "convoy/shape/result.h"
#include "convoy/shape/taps.h"

namespace convoy::shape {

enum class LayerKind : uint8_t { kConv, kPool, kTransposed };

/// One layer of a chain, along one axis.
struct ChainLayer {
  LayerKind kind = LayerKind::kConv;
  Axis axis;
  int64_t output_padding = 0;  // of a transposed convolution
  bool ceil_mode = false;      // of a pooling layer

  friend constexpr bool operator==(const ChainLayer&, const ChainLayer&) = default;
};

/// The size behind one layer, at least 1. Errors: those of the layer's formula; kOutputTooSmall.
Result<int64_t> layer_output_size(int64_t n, const ChainLayer& layer);

/// The size behind the whole chain.
Result<int64_t> chain_output_size(int64_t n, std::span<const ChainLayer> chain);

/// The recurrence over a chain: neighbouring outputs are jump / jump_divisor input cells apart (in lowest terms), output 0 sees the
/// cells from `start` on, and no output sees a stretch longer than `size`.
///
///   convolution, pooling:  size += d (k - 1) jump,  start -= pad_begin jump,  jump *= s
///   transposed:            jump /= s, and a stretch of L cells reads at most floor((L + d (k - 1) - 1) / s) + 1
///
/// Without transposed layers output o sees from start + o jump to start + o jump + size - 1, both included, padding counted as
/// cells. With them neighbouring outputs see stretches of different lengths: `size` is an upper and `start` a lower bound, and
/// field_of() gives the cells of each output. Padding never changes size, only start. Source: Araujo, Norris, Sim, "Computing
/// receptive fields of convolutional neural networks" (2019).
struct ReceptiveField {
  int64_t size = 1;
  int64_t jump = 1;
  int64_t jump_divisor = 1;
  int64_t start = 0;

  friend constexpr bool operator==(const ReceptiveField&, const ReceptiveField&) = default;
};

/// Errors: a kernel, stride or dilation below 1, kOverflow.
Result<ReceptiveField> receptive_field(std::span<const ChainLayer> chain);

/// The cells that one output depends on: from the first to the last of them.
struct Field {
  Range padded;       // as if every layer went on beyond its edges: may reach below 0 and above the input size
  Range inside;       // the cells of the input itself; layers in between end where they end
  int64_t cells = 0;  // how many cells of `inside` are read: fewer than its size where dilation or strides leave holes
  bool exact = true;  // false if more than kFieldCells cells were in play: then the ranges may be too wide, and cells is their size
};

/// The longest stretch of a layer's cells that field_of() follows one by one.
inline constexpr int64_t kFieldCells = int64_t{1} << 16;

/// The cells of an input of size n that output o of the chain depends on, found by following every tap. Empty ranges are {0, 0}.
/// Errors: those of chain_output_size; kNoSolution if there is no output o; kOverflow.
Result<Field> field_of(int64_t o, int64_t n, std::span<const ChainLayer> chain);

}  // namespace convoy::shape
