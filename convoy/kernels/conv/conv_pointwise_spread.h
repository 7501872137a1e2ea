// The input gradient of a strided convolution with one tap (a transposed convolution's forward pass): what the same layer without a
// stride gives, with zeros between.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvPointwiseSpreadGradInput;

}  // namespace convoy::kernels
