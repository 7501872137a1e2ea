// A convolution, the depthwise one behind it, perhaps squeeze-and-excitation, and the 1x1 convolution behind that in one: the block
// that MobileNets and EfficientNets are made of, whose first layer is a 1x1 one, and how they begin, with a layer of few channels
// and a stride. What lies between never leaves the caches, and never takes the order of planes.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

/// The three layers; what one gives is what the next takes. squeezed: values between the linear layers of squeeze-and-excitation
/// in front of the last (elementwise/squeeze_excite.h); 0: none. shortcut: what the first gives is added to what the last gives.
struct InvertedResidualShape {
  ConvShape expand, depthwise, project;
  int64_t squeezed = 0;
  bool shortcut = false;
  bool pairs = false;  // sums may go by pairs (conv_pairs-inl.h), if the accuracy allows it and they are faster here
};

/// Shapes: input (N, C, H, W), biases (E), (E), (O), (squeezed), (E), output (N, O, *). Biases may be null.
struct InvertedResidualArrays {
  const float* input;
  const float* packed;
  const float* expand_bias;
  const float* depthwise_bias;
  const float* project_bias;
  float* output;
  const float* squeeze_bias = nullptr;
  const float* excite_bias = nullptr;
};

struct InvertedResidualEpilogues {
  Epilogue<float> expand, depthwise, project, squeeze = {}, gate = {};  // a residual behind the projection alone
};

/// Null if it can run, else why not.
const char* refuse_inverted_residual(const InvertedResidualShape& shape);
/// Whether it can, and is faster than one layer after the other.
bool prefers_inverted_residual(const InvertedResidualShape& shape);

/// The weights in the order in which they are read. weights (E, T + taps + O + 2 squeezed): of each expanded channel the T that
/// make it,
/// its taps, what the results and what the squeezed values take of it, and what its gate takes of these.
int64_t inverted_residual_packed_floats(const InvertedResidualShape& shape);
void inverted_residual_pack(const InvertedResidualShape& shape, const float* weights, float* packed) noexcept;

size_t inverted_residual_workspace_bytes(const InvertedResidualShape& shape, int threads);
/// The layers one after the other, within rounding; a sample's bits depend on that sample alone.
void inverted_residual(const InvertedResidualShape& shape, const InvertedResidualArrays& arrays,
                       const InvertedResidualEpilogues& epilogues, Workspace& workspace) noexcept;

}  // namespace convoy::kernels
