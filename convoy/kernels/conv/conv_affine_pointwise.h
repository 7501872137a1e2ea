// A 1x1 convolution of activation(input * scale[c] + shift[c]): the planes between never leave the cache. DenseNet's layers.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

/// Shapes: input (N, C, *), scale and shift (C), bias (K) or null, output (N, K, *). packed: of affine_pointwise_packed.
struct AffinePointwiseArrays {
  const float* input;
  const float *scale, *shift;
  const float* packed;
  const float* bias;
  float* output;
};

/// Null if it can run, else why not.
const char* refuse_affine_pointwise(const ConvShape& shape);
/// The layer whose weight conv_pointwise is to pack.
ConvShape affine_pointwise_packed(const ConvShape& shape);
size_t affine_pointwise_workspace_bytes(const ConvShape& shape, int threads);
/// The same bits as channel_affine with `between` and conv_pointwise with `after` one after the other. after.residual is null.
void affine_pointwise(const ConvShape& shape, const AffinePointwiseArrays& arrays, const Epilogue<float>& between,
                      const Epilogue<float>& after, Workspace& workspace) noexcept;

}  // namespace convoy::kernels
