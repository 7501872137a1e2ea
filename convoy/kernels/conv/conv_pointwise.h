// Convolution with one tap: a product of the weight and the pixels where they lie, nothing is unfolded.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvPointwiseForward;
extern const ConvKernel kConvPointwiseGradInput;

// The forward pass in pieces, for who shares out the work in another way (conv_expand_depthwise). The shape must be one that the
// kernel does not refuse.
namespace pointwise {

/// Result channels are computed in tiles, pixels in panels of `step`.
struct Pieces {
  int64_t tiles = 0, height = 0, extra = 0, rows = 0, step = 1;
  /// The first channel of a tile.
  int64_t begin(int64_t tile) const {
    const int64_t row = tile * height + (tile < extra ? tile : extra);
    return row < rows ? row : rows;
  }
};

struct Piece {
  int64_t image;                 // sample and group
  int64_t tile_begin, tile_end;  // of result channels
  int64_t begin, end;            // of pixels; `begin` at the beginning of a panel
};

struct Arrays {
  const float *source, *bias, *packed;
  float* result;
  // From channel to channel, if planes are parts of larger ones or only partly there.
  int64_t result_plane = 0, source_plane = 0;
  bool gather = false;  // pixels first where planes share few sets of the cache: for pieces of many rows
};

Pieces pieces(const ConvShape& shape);
/// Scratch floats for pieces of so many pixels.
int64_t piece_scratch_floats(const ConvShape& shape, int64_t pixels, bool gather = false);
/// One piece, on the calling thread.
void run_piece(const ConvShape& shape, const Arrays& arrays, const SplitEpilogue& epilogue, const Piece& piece, float* scratch);

}  // namespace pointwise

}  // namespace convoy::kernels
