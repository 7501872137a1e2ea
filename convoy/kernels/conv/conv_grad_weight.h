// The weight gradient of dense convolutions (and of groups of many channels): a register tile of weights, summed along the pixels.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvGradWeight;
extern const ConvKernel kConvWinogradGradWeight;  // 3x3 with stride 1, F(4,3)

}  // namespace convoy::kernels
