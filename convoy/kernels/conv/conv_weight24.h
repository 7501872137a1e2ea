// Linear layers whose weight comes from memory: it is kept in 24 bits a value, three quarters of the bytes.
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvWeight24Forward;

}  // namespace convoy::kernels
