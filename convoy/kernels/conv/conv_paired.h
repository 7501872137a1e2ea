// 1x1 convolutions, and those of patches, with four of six products by pairs (conv_pairs-inl.h): a third fewer cycles than
// multiply-adds, where the processor adds beside them.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvPairedForward;
extern const ConvKernel kConvPairedGradInput;

}  // namespace convoy::kernels
