// The input gradient of depthwise layers with stride 2 and a kernel of 3x3, 5x5 or 7x7.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvDepthwiseStride2GradInput;

}  // namespace convoy::kernels
