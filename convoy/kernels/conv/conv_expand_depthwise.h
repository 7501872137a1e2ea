// A 1x1 convolution and the depthwise convolution behind it in one: the values between them never leave the cache.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

/// Both layers; what the first gives is what the second takes, so depthwise.batch, in_channels and input are those of its result.
struct ExpandDepthwiseShape {
  ConvShape expand, depthwise;
};

/// Shapes: input (N, C, *), bias (E), depthwise_weight (E, 1, *), depthwise_bias (E), output (N, E, *). Biases may be null.
struct ExpandDepthwiseArrays {
  const float* input;
  const float* packed;  // the 1x1 weight as conv_pointwise packs it
  const float* bias;
  const float* depthwise_weight;
  const float* depthwise_bias;
  float* output;
};

/// Null if it can run, else why not.
const char* refuse_expand_depthwise(const ExpandDepthwiseShape& shape);
size_t expand_depthwise_workspace_bytes(const ExpandDepthwiseShape& shape, int threads);
/// The same bits as conv_pointwise and conv_depthwise one after the other.
void expand_depthwise(const ExpandDepthwiseShape& shape, const ExpandDepthwiseArrays& arrays,
                      const Epilogue<float>& expand_epilogue, const Epilogue<float>& epilogue, Workspace& workspace) noexcept;

}  // namespace convoy::kernels
