// The input gradient (a transposed convolution's forward pass) of a strided convolution with one tap, or of one with few input
// channels: what every result pixel gives back through every tap, put or added to its place.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvPointwiseSpreadGradInput;
/// The same from conv_paired's products.
extern const ConvKernel kConvPairedSpreadGradInput;

}  // namespace convoy::kernels
