// What a convolution algorithm is: the interface, and the list of all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "convoy/core/workspace.h"
#include "convoy/kernels/machine.h"
#include "convoy/shape/conv.h"

namespace convoy::kernels {

using shape::ConvShape;

/// Which of the three computations of a (plain, not transposed) convolution.
enum class Direction : uint8_t { kForward, kGradInput, kGradWeight };

/// "forward", "grad_input", "grad_weight".
const char* direction_name(Direction direction);

/// The arrays of one call, dense and row-major with ConvShape's shapes. Nothing is allocated, overlapped or kept.
///   forward      input, weight, bias (null: none)            -> output
///   grad_input   output (its gradient), weight, bias (null)  -> input (its gradient; with bias this is a transposed convolution)
///   grad_weight  input, output (its gradient)                -> weight (its gradient)
template <class T>
struct ConvForward {
  const T* input;
  const T* weight;
  const T* bias;
  T* output;
};
template <class T>
struct ConvGradInput {
  const T* grad_output;
  const T* weight;
  const T* bias;  // per input channel; null: none
  T* grad_input;
};
template <class T>
struct ConvGradWeight {
  const T* input;
  const T* grad_output;
  T* grad_weight;
};

/// One algorithm in one direction for float32. All functions are noexcept and expect a completed, non-transposed shape that
/// `refuse` accepts.
struct ConvKernel {
  const char* name;
  Direction direction;
  /// Null if the algorithm can run this shape, else the reason it cannot, in words.
  const char* (*refuse)(const ConvShape&);
  /// Predicted seconds; the planner takes the least.
  double (*seconds)(const ConvShape&, const Machine&);
  /// Scratch memory of one call with this many threads, exact.
  size_t (*workspace_bytes)(const ConvShape&, int threads);
  /// Exactly one of these is set, by direction.
  void (*forward)(const ConvShape&, const ConvForward<float>&, Workspace&) = nullptr;
  void (*grad_input)(const ConvShape&, const ConvGradInput<float>&, Workspace&) = nullptr;
  void (*grad_weight)(const ConvShape&, const ConvGradWeight<float>&, Workspace&) = nullptr;
};

/// All algorithms for a direction, fastest first, the reference last: it refuses nothing.
std::span<const ConvKernel* const> conv_kernels(Direction direction);

}  // namespace convoy::kernels
