// Kernels of 2, 3 or 5 taps an axis, and of 3 to 8 at a stride of 2, with 1.7 to 4 times fewer multiplications, by Winograd's
// minimal filtering, at the price of a larger rounding error (docs/accuracy.md).
#pragma once

#include "convoy/kernels/conv/conv_kernel.h"

namespace convoy::kernels {

extern const ConvKernel kConvWinogradF2Forward, kConvWinogradF2GradInput;  // F(2,3): 16 products for 2x2 outputs of a 3x3 kernel
extern const ConvKernel kConvWinogradF3Forward, kConvWinogradF3GradInput;  // F(3,2): 16 for 3x3 of a 2x2 kernel; 1x2 and 2x1
extern const ConvKernel kConvWinogradF4Forward, kConvWinogradF4GradInput;  // F(4,3): 36 for 4x4; 1x3 and 3x1: 6 for 4
extern const ConvKernel kConvWinogradF5Forward, kConvWinogradF5GradInput;  // F(2,5): 36 for 2x2 of a 5x5 kernel; 1x5 and 5x1
// At a stride of 2: F(3,2) for 3x3 and 4x4, 64 products for 3x3 outputs (6x6 results backward; 49 for 3x3); for 5x5 and 6x6
// F(4,3), 144 for 4x4, and backward F(2,3), 64 for 4x4 results (49 for 5x5); for 7x7 and 8x8 F(3,4), forward only, 144 for 3x3.
extern const ConvKernel kConvWinogradStride2Forward, kConvWinogradStride2GradInput;

}  // namespace convoy::kernels
