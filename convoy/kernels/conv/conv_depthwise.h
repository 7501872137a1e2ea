// Few input channels per group, read as the planes they are: lanes are pixels, and nothing is packed. conv_depthwise has one input
// channel per group, conv_grouped a few.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvDepthwiseForward;
extern const ConvKernel kConvDepthwiseGradInput;
extern const ConvKernel kConvDepthwiseGradWeight;
extern const ConvKernel kConvGroupedForward;
extern const ConvKernel kConvGroupedGradInput;
extern const ConvKernel kConvGroupedGradWeight;

}  // namespace convoy::kernels
