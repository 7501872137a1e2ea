// The weight gradient of dense convolutions (and of groups of many channels): a register tile of weights, summed along the pixels.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvGradWeight;

}  // namespace convoy::kernels
