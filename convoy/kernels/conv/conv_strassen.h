// 1x1 convolutions of many channels as a product by Strassen's algorithm, one level deep: 7 multiplications for 8, at the price of a
// larger rounding error (docs/accuracy.md).
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvStrassenForward;
extern const ConvKernel kConvStrassenGradInput;

}  // namespace convoy::kernels
