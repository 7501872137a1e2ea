// THE LIST: every convolution algorithm, by direction, fastest first, the reference last. The planner, the tests, the benches and
// `convoy bench --explain` all read it.
#include <array>

#include "convoy/kernels/conv/conv_depthwise.h"
#include "convoy/kernels/conv/conv_depthwise_channels.h"
#include "convoy/kernels/conv/conv_depthwise_stride2.h"
#include "convoy/kernels/conv/conv_direct.h"
#include "convoy/kernels/conv/conv_few_pixels.h"
#include "convoy/kernels/conv/conv_grad_weight.h"
#include "convoy/kernels/conv/conv_im2col.h"
#include "convoy/kernels/conv/conv_kernel.h"
#include "convoy/kernels/conv/conv_paired.h"
#include "convoy/kernels/conv/conv_paired_grad_weight.h"
#include "convoy/kernels/conv/conv_pointwise.h"
#include "convoy/kernels/conv/conv_pointwise_spread.h"
#include "convoy/kernels/conv/conv_reference.h"
#include "convoy/kernels/conv/conv_strassen.h"
#include "convoy/kernels/conv/conv_weight24.h"
#include "convoy/kernels/conv/conv_winograd.h"

namespace convoy::kernels {

const char* direction_name(Direction direction) {
  switch (direction) {
    case Direction::kForward:
      return "forward";
    case Direction::kGradInput:
      return "grad_input";
    case Direction::kGradWeight:
      return "grad_weight";
  }
  return "?";
}

std::span<const ConvKernel* const> conv_kernels(Direction direction) {
  static constexpr std::array kForward{
      &kConvDepthwiseForward,          //
      &kConvDepthwiseChannelsForward,  //
      &kConvGroupedForward,            //
      &kConvWinogradF2Forward,         //
      &kConvWinogradF3Forward,         //
      &kConvWinogradF4Forward,         //
      &kConvWinogradF5Forward,         //
      &kConvWinogradStride2Forward,    //
      &kConvWeight24Forward,           //
      &kConvPairedForward,             //
      &kConvStrassenForward,           //
      &kConvPointwiseForward,          //
      &kConvDirectForward,             //
      &kConvFewPixelsForward,          //
      &kConvIm2colForward,             //
      &kConvReferenceForward,
  };
  static constexpr std::array kGradInput{
      &kConvDepthwiseStride2GradInput,   //
      &kConvDepthwiseGradInput,          //
      &kConvDepthwiseChannelsGradInput,  //
      &kConvGroupedGradInput,            //
      &kConvWinogradF2GradInput,         //
      &kConvWinogradF3GradInput,         //
      &kConvWinogradF4GradInput,         //
      &kConvWinogradF5GradInput,         //
      &kConvWinogradStride2GradInput,    //
      &kConvPairedGradInput,             //
      &kConvStrassenGradInput,           //
      &kConvPointwiseGradInput,          //
      &kConvPairedSpreadGradInput,       //
      &kConvPointwiseSpreadGradInput,    //
      &kConvDirectGradInput,             //
      &kConvFewPixelsGradInput,          //
      &kConvIm2colGradInput,             //
      &kConvReferenceGradInput,
  };
  static constexpr std::array kGradWeight{
      &kConvDepthwiseGradWeight,          //
      &kConvDepthwiseChannelsGradWeight,  //
      &kConvGroupedGradWeight,            //
      &kConvWinogradF2GradWeight,         //
      &kConvWinogradF4GradWeight,         //
      &kConvWinogradF5GradWeight,         //
      &kConvWinogradStride2GradWeight,    //
      &kConvPairedGradWeight,             //
      &kConvPixelLanesGradWeight,         //
      &kConvGradWeight,                   //
      &kConvIm2colGradWeight,             //
      &kConvReferenceGradWeight,
  };
  switch (direction) {
    case Direction::kForward:
      return kForward;
    case Direction::kGradInput:
      return kGradInput;
    case Direction::kGradWeight:
      break;
  }
  return kGradWeight;
}

}  // namespace convoy::kernels
