// Squeeze-and-excitation (Hu et al., https://arxiv.org/abs/1709.01507) in two sweeps: five layers as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "convoy/core/workspace.h"
#include "convoy/kernels/elementwise/activation.h"

namespace convoy::kernels {

/// Planes of `positions` values, batch x channels of them, and the numbers between the two linear layers.
struct SqueezeExciteShape {
  int64_t batch = 0, channels = 0, positions = 0, squeezed = 0;
};

/// Activations, none where left out.
struct SqueezeExciteActivations {
  std::optional<Activation> squeeze, gate;
  ActivationOptions squeeze_options, gate_options;
};

/// The two weights in the order in which they are read: squeeze (squeezed, channels) and excite (channels, squeezed).
int64_t squeeze_excite_packed_floats(const SqueezeExciteShape& shape);
void squeeze_excite_pack(const SqueezeExciteShape& shape, const float* squeeze, const float* excite, float* packed) noexcept;

size_t squeeze_excite_workspace_bytes(const SqueezeExciteShape& shape, int threads);

/// output[c] = input[c] * gate(excite squeeze_activation(squeeze mean(input) + squeeze_bias) + excite_bias)[c], in parallel; the
/// biases may be null, positions not 0. Output and input may be the same array. A sample's bits depend on that sample alone.
void squeeze_excite(const SqueezeExciteShape& shape, const SqueezeExciteActivations& activations, const float* input,
                    const float* packed, const float* squeeze_bias, const float* excite_bias, float* output,
                    Workspace& workspace) noexcept;

}  // namespace convoy::kernels
