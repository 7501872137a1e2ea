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
  kHardtanh,
  kSelu,
  kCelu,
  kSoftsign,
  kGeluTanh,
  kThreshold,
  kShrink,
  kHardsigmoidOf
};

/// Up to two parameters: leaky_relu's negative_slope; elu's and celu's alpha; softplus' beta and threshold; hardtanh's min_val and
/// max_val; selu's alpha and scale; threshold's threshold and value; shrink's lambda and bias (x moves by the bias towards 0, what
/// lies within lambda becomes 0: softshrink has bias lambda, hardshrink 0); hardsigmoid_of's slope and offset: clamp(a x + b, 0,
/// 1).
struct ActivationOptions {
  double a = 0, b = 0;
};

/// Two numbers to one. kDivTrunc and kDivFloor round the quotient; kFmod has the sign of a, kRemainder that of b; kMinimum and
/// kMaximum keep NaN; kPrelu is a >= 0 ? a : a * b.
enum class Arithmetic : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kDivTrunc,
  kDivFloor,
  kRemainder,
  kFmod,
  kPow,
  kMinimum,
  kMaximum,
  kPrelu
};

enum class Comparison : uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };

enum class Logical : uint8_t { kAnd, kOr, kXor };

/// Functions of one number. kRound rounds halves to even; kSign keeps NaN.
enum class Unary : uint8_t {
  kAbs,
  kNeg,
  kSign,
  kFloor,
  kCeil,
  kRound,
  kReciprocal,
  kSqrt,
  kRsqrt,
  kExp,
  kLog,
  kErf,
  kSin,
  kCos,
  kTan,
  kAsin,
  kAcos,
  kAtan,
  kSinh,
  kCosh,
  kAsinh,
  kAcosh,
  kAtanh
};

/// Losses between pairs of values.
enum class PairLoss : uint8_t { kMse, kL1, kSmoothL1, kBceWithLogits };

}  // namespace convoy
