// One input channel per group: bandwidth, not arithmetic, so planes are walked row by row without packing.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvDepthwiseForward;
extern const ConvKernel kConvDepthwiseGradInput;
extern const ConvKernel kConvDepthwiseGradWeight;

}  // namespace convoy::kernels
