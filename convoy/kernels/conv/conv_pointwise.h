// Convolution with one tap: a product of the weight and the pixels where they lie, nothing is unfolded.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvPointwiseForward;
extern const ConvKernel kConvPointwiseGradInput;

}  // namespace convoy::kernels
