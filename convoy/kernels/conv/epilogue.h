// What a convolution still does to its results before it stores them.
#pragma once

#include <cstdint>
#include <optional>

#include "convoy/core/elementwise.h"
#include "convoy/kernels/elementwise/activation.h"

namespace convoy::kernels {

/// Pooling over windows of 2x2 at a stride of 2, along the last two axes: an odd row or column at the end has no window.
enum class Pool2x2 : uint8_t { kNone, kMax, kAverage };

/// result = activation(sum + bias + residual), and if asked for pooled = pool(result); then `result` itself may be null: not
/// wanted. A kernel pools where its `pools` says so, without a residual and behind no activation but a clamp, and gives the bits of
/// pool.h's functions.
template <class T>
struct Epilogue {
  const T* residual = nullptr;  // of the result's shape, dense; null: none. The result itself where the kernel allows it
  std::optional<Activation> activation;
  ActivationOptions options;
  Pool2x2 pool = Pool2x2::kNone;
  T* pooled = nullptr;
};

/// An epilogue for kernels: residual and clamp (none, relu, relu6 and hardtanh are clamps) belong where the sums still lie in
/// registers, the other activations are done by finish() on values just stored, while they are in the cache.
struct SplitEpilogue {
  const float* residual = nullptr;
  float low, high;     // infinite where there is nothing to clamp
  bool later = false;  // finish() has something to do
  Activation activation = Activation::kRelu;
  ActivationOptions options;
  ActivationOnRows on_rows = nullptr;

  explicit SplitEpilogue(const Epilogue<float>& epilogue);
  bool empty() const;
  /// The activation over finished values, on the calling thread: `rows` of `count` each, `stride` apart. Best called while they are
  /// in the first cache, for several rows at once.
  void finish(float* values, int64_t count, int64_t rows = 1, int64_t stride = 0) const noexcept {
    if (!later) return;
    on_rows(activation, static_cast<float>(options.a), static_cast<float>(options.b), values, values, stride, rows, count);
  }
  /// Everything over `count` sums: for kernels that add nothing in registers. residual_at: where in the result values[0] lies.
  void apply(float* values, int64_t count, int64_t residual_at) const noexcept;
};

/// The definition, but for pooling.
template <class T>
void apply_epilogue(const Epilogue<T>& epilogue, T* values, int64_t count, int64_t residual_at) noexcept;

}  // namespace convoy::kernels
