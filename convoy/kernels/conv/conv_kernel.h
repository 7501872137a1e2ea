// What a convolution algorithm is: the interface, and the list of all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "convoy/core/accuracy.h"
#include "convoy/core/workspace.h"
#include "convoy/kernels/conv/epilogue.h"
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
/// A kernel with packed_bytes reads `packed` and not `weight`, which may then be null.
template <class T>
struct ConvForward {
  const T* input;
  const T* weight;
  const T* bias;
  T* output;
  Epilogue<T> epilogue{};
  const T* packed = nullptr;
};
template <class T>
struct ConvGradInput {
  const T* grad_output;
  const T* weight;
  const T* bias;  // per input channel; null: none
  T* grad_input;
  Epilogue<T> epilogue{};
  const T* packed = nullptr;
};
template <class T>
struct ConvGradWeight {
  const T* input;
  const T* grad_output;
  T* grad_weight;
};

/// One algorithm in one direction for float32. All functions are noexcept and expect a completed, essential, non-transposed shape
/// that `refuse` accepts.
struct ConvKernel {
  const char* name;
  Direction direction;
  /// The strictest setting that admits it. kStrict: exact on small integers. Others: the error bound of the setting holds.
  Accuracy accuracy = Accuracy::kStrict;
  /// Null if the algorithm can run this shape, else the reason it cannot, in words.
  const char* (*refuse)(const ConvShape&);
  /// Predicted seconds with the weight already packed; the planner takes the least.
  double (*seconds)(const ConvShape&, const Machine&);
  /// Scratch memory of one call with this many threads, exact, without the packed weight.
  size_t (*workspace_bytes)(const ConvShape&, int threads);
  /// The weight in the algorithm's own order: its size (of the batch independent) and how it is made, in parallel, with the
  /// seconds that takes. Null: it reads the weight as it is.
  size_t (*packed_bytes)(const ConvShape&) = nullptr;
  void (*pack)(const ConvShape&, const float* weight, float* packed) = nullptr;
  double (*pack_seconds)(const ConvShape&, const Machine&) = nullptr;
  /// Whether a call on this shape can pool its results (epilogue.h). Null: it cannot.
  bool (*pools)(const ConvShape&) = nullptr;
  /// Whether the residual may be the result's own array: every result is written once, behind the last read of its residual. Null:
  /// it may not.
  bool (*residual_in_place)(const ConvShape&) = nullptr;
  /// Exactly one of these is set, by direction.
  void (*forward)(const ConvShape&, const ConvForward<float>&, Workspace&) = nullptr;
  void (*grad_input)(const ConvShape&, const ConvGradInput<float>&, Workspace&) = nullptr;
  void (*grad_weight)(const ConvShape&, const ConvGradWeight<float>&, Workspace&) = nullptr;
};

/// All algorithms for a direction, fastest first, the reference last: it refuses nothing.
std::span<const ConvKernel* const> conv_kernels(Direction direction);

}  // namespace convoy::kernels
