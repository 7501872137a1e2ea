// Local response normalisation across channels, in parallel.
#pragma once

#include <cstdint>

namespace convoy::kernels {

/// A window of `size` channels, of which (size - 1) / 2 (cut) lie before the channel itself.
struct LrnShape {
  int64_t batch, channels, length, size;
  double alpha, beta, bias;
};

/// output = input / (bias + alpha / size * sum of input^2 over the window)^beta. float runs in SIMD, double the reference.
/// Shapes: (batch, channels, length).
template <class T>
void lrn(const LrnShape& shape, const T* input, T* output) noexcept;

}  // namespace convoy::kernels
