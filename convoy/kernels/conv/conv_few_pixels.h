// Layers with few result pixels: matrices that meet few vectors. The weight is read as it is, once.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvFewPixelsForward;
extern const ConvKernel kConvFewPixelsGradInput;

}  // namespace convoy::kernels
