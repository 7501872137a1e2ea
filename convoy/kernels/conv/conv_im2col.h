// Convolution as a matrix product with columns gathered tile by tile: never a whole im2col matrix. Runs every shape in all three
// directions.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvIm2colForward;
extern const ConvKernel kConvIm2colGradInput;
extern const ConvKernel kConvIm2colGradWeight;

}  // namespace convoy::kernels
