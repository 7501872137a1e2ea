// Functions of one number, comparisons, choices: elementwise, of any shape, broadcast where there are several operands.
#pragma once

#include "convoy/core/elementwise.h"
#include "convoy/core/tensor.h"
#include "convoy/ops/elementwise.h"

namespace convoy::ops {

/// f of every value. Types: any but bool. Integers stay what they are under kAbs, kNeg, kSign and the roundings, and become float32
/// under the other functions; float16 and bfloat16 are computed in float32 and rounded once.
/// Source: torch.abs, neg, sign, floor, ceil, round, reciprocal, sqrt, rsqrt, exp, log, erf, sin, ..., atanh.
Tensor unary(Unary kind, const Tensor& input);

/// The ternary clip: max(min, ...) first, so that max wins where min > max. min and max hold one value of the input's type each, or
/// are undefined. NaN stays NaN. Any type but bool. Source: torch.clamp, ONNX Clip.
Tensor clamp(const Tensor& input, const Tensor& min, const Tensor& max);

/// Bool tensors. Source: torch.isnan; torch.isinf, of which either sign can be left out; torch.logical_not (0 is false).
Tensor isnan(const Tensor& input);
Tensor isinf(const Tensor& input, bool positive = true, bool negative = true);
Tensor logical_not(const Tensor& input);

/// Bool tensors of the broadcast shape; equal types. Source: torch.eq, ne, lt, le, gt, ge; logical_and, or, xor (0 is false).
Tensor compare(Comparison kind, const Tensor& a, const Tensor& b);
Tensor logical(Logical kind, const Tensor& a, const Tensor& b);

/// condition ? a : b, all three broadcast; condition is bool, a and b have equal types, any. Source: torch.where.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);

}  // namespace convoy::ops
