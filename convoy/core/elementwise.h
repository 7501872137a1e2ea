// Names of the elementwise functions, for the kernels, the public functions and every fused epilogue.
#pragma once

#include <cstdint>

namespace convoy {

enum class Activation : uint8_t {
  kRelu,
  kRelu6,
  kLeakyRelu,
  kElu,
  kSilu,
  kGelu,
  kHardswish,
  kHardsigmoid,
  kSigmoid,
  kTanh,
  kSoftplus,
  kMish,
  kHardtanh
};

/// Up to two parameters: leaky_relu's negative_slope; elu's alpha; softplus' beta and threshold; hardtanh's min_val and max_val.
struct ActivationOptions {
  double a = 0, b = 0;
};

enum class Arithmetic : uint8_t { kAdd, kSub, kMul, kDiv };

/// Losses between pairs of values.
enum class PairLoss : uint8_t { kMse, kL1, kSmoothL1, kBceWithLogits };

}  // namespace convoy
