// Padding and cropping: every output position reads one input position or a constant.
#pragma once

#include <cstdint>
#include <span>

namespace convoy::kernels {

/// The most axes a padding may have after its neighbouring unpadded axes are merged.
inline constexpr int kMaxPadAxes = 64;

/// One axis: output position i reads input position source[i], or the constant where source[i] is -1. The positions
/// [run_begin, run_end) read consecutive inputs, so that they can be copied as one run; it may be empty. Only the last axis needs
/// runs; the first of several axes may have no `source`, its positions being the input's: batches are long.
struct PadAxis {
  int64_t input = 1;
  int64_t output = 1;
  const int64_t* source = nullptr;
  int64_t run_begin = 0;
  int64_t run_end = 0;
};

/// output[i, j, ...] = input[source_0[i], source_1[j], ...], or `value` if any source is -1.
///
/// Shapes: input and output have the axes' sizes, outermost first, at most kMaxPadAxes of them, at least one. T is an unsigned
/// integer as wide as an element: the values are moved, whatever they are.
template <class T>
void pad(std::span<const PadAxis> axes, const T* input, T value, T* output) noexcept;

/// The adjoint: grad_input[source_0[i], source_1[j], ...] += grad_output[i, j, ...], from zero. The first axis must be unpadded
/// (source[i] = i): its entries are independent of each other.
template <class T>
void pad_backward(std::span<const PadAxis> axes, const T* grad_output, T* grad_input) noexcept;

}  // namespace convoy::kernels
