// Convolution as it is written, without a matrix of columns: source rows copied once, padded, into the cache, and register tiles
// over channels and taps. Forward, grad_input and, through it, transposed layers.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvDirectForward;
extern const ConvKernel kConvDirectGradInput;

}  // namespace convoy::kernels
