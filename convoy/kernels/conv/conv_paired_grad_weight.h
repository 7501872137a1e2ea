// Weight gradients of 1x1 convolutions with four of six products by pairs (conv_pairs-inl.h), where the processor adds beside them.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvPairedGradWeight;

}  // namespace convoy::kernels
