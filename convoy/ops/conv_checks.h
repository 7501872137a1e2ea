// PyTorch 1.13's checks of a convolution's arguments, in its order and words, each followed by what would work.
#pragma once

#include <string>

#include "convoy/core/tensor.h"
#include "convoy/ops/conv.h"
#include "convoy/shape/conv.h"

namespace convoy::ops {

/// A checked call: the completed shape, and whether the input had a batch axis.
struct CheckedConv {
  shape::ConvShape shape;
  bool batched = true;
};

/// Throws Error or ShapeMismatch at the first check that fails. `bias` may be null (none). Where the padding mode is not zeros the
/// shape's padding is that of the mode, still to be applied.
CheckedConv check_conv(int rank, const Shape& input, const Shape& weight, const Shape* bias, const ConvOptions& options);
CheckedConv check_conv_transpose(int rank, const Shape& input, const Shape& weight, const Shape* bias,
                                 const ConvTransposeOptions& options);

/// Types: floating and equal.
void check_conv_types(int rank, const Tensor& input, const Tensor& weight, const Tensor& bias);

}  // namespace convoy::ops
