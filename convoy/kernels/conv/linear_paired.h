// A linear layer over many rows with four of six products by pairs (conv_pairs-inl.h): the layers of transformers. How many rows
// there are decides whether it pays, so this is no convolution of a batch, whose plan depends on one sample alone.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

struct PairedLinearShape {
  int64_t rows, channels, results;
};

/// Shapes: input (R, C), packed of paired_linear_pack, bias (K) or null, output (R, K).
struct PairedLinearArrays {
  const float *input, *packed, *bias;
  float* output;
};

/// Whether the processor has the vectors, and there are rows, channels and results enough to be faster.
bool prefers_paired_linear(const PairedLinearShape& shape);
/// The weight (K, C) in the order in which it is read.
int64_t paired_linear_packed_floats(const PairedLinearShape& shape);
void paired_linear_pack(const PairedLinearShape& shape, const float* weight, float* packed) noexcept;
size_t paired_linear_workspace_bytes(const PairedLinearShape& shape, int threads);
/// A row's bits depend on that row alone. epilogue.residual may be the output.
void paired_linear(const PairedLinearShape& shape, const PairedLinearArrays& arrays, const Epilogue<float>& epilogue,
                   Workspace& workspace) noexcept;

}  // namespace convoy::kernels
