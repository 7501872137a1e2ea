// The weight gradient of dense convolutions (and of groups of many channels): a register tile of weights, summed along the pixels.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvGradWeight;
extern const ConvKernel kConvPixelLanesGradWeight;                             // few channels on one side: lanes of pixels
extern const ConvKernel kConvWinogradF2GradWeight, kConvWinogradF4GradWeight;  // 3x3 at stride 1, F(2,3) and F(4,3)
extern const ConvKernel kConvWinogradF5GradWeight;                             // 5x5 at stride 1, F(2,5)
extern const ConvKernel kConvWinogradStride2GradWeight;  // 4x4 at a stride of 2 by F(3,2), 5x5 and 6x6 by F(4,3)

}  // namespace convoy::kernels
