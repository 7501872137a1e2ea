// 1x1 convolutions with four of six products by pairs (conv_pairs-inl.h): a third fewer cycles than multiply-adds, where the
// processor adds beside them.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvPairedForward;
extern const ConvKernel kConvPairedGradInput;

/// What the algorithm refuses in all directions (conv_paired_grad_weight.h as well): null, or the reason.
const char* conv_paired_refusal(const ConvShape& s);

}  // namespace convoy::kernels
