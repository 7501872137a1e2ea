// 1x1 convolutions, and those of patches, with four of six products by pairs (conv_pairs-inl.h): a third fewer cycles than
// multiply-adds, where the processor adds beside them.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvPairedForward;
extern const ConvKernel kConvPairedGradInput;

// The input gradient in pieces, for who puts results elsewhere (conv_pointwise_spread). The shape must be one that the kernel does
// not refuse, with one group.
namespace paired {

/// Pixels are computed in panels: the first pixel of one, of the last one's successor that behind all.
int64_t panels(const ConvShape& shape);
int64_t panel_begin(const ConvShape& shape, int64_t panel);
int64_t piece_scratch_floats(const ConvShape& shape);
/// The panels [begin, end) of a sample, on the calling thread: result[row * result_plane + i], i counted from the first one's
/// pixel.
void run_piece(const ConvShape& shape, const float* source, const float* packed, int64_t begin, int64_t end, float* result,
               int64_t result_plane, float* scratch);

}  // namespace paired

}  // namespace convoy::kernels
