// Depthwise layers with lanes of channels: strides, dilations and kernels of any kind, on maps of any size.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvDepthwiseChannelsForward;
extern const ConvKernel kConvDepthwiseChannelsGradInput;
extern const ConvKernel kConvDepthwiseChannelsGradWeight;

}  // namespace convoy::kernels
