// What the branches of re-parameterisable blocks are made of: layers of a given number of axes, and convolutions whose windows lie
// on part of a larger kernel.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "convoy/nn/conv.h"
#include "convoy/nn/module.h"
#include "convoy/nn/norm.h"
#include "convoy/ops/reparam.h"
#include "convoy/shape/axis.h"

namespace convoy::nn {

/// Conv1d, Conv2d or Conv3d; BatchNorm1d, 2d or 3d.
std::shared_ptr<Conv> make_conv(int rank, ConvLayerOptions options);
std::shared_ptr<BatchNorm> make_batch_norm(int rank, const BatchNormLayerOptions& options);

/// kernel_size, stride, dilation and padding of a convolution, one Axis per spatial axis; "same" and "valid" become numbers.
/// Errors: Error or ValueError in the words of the layer's constructor for lists of another length.
std::vector<shape::Axis> axes_of(int rank, const ConvLayerOptions& options);

/// Padding as PyTorch prints it: one number per axis where both sides are equal, begin/end pairs otherwise.
Padding padding_of(const std::vector<shape::PadPair>& sides);

/// The same sides in the order of ops::pad: last axis first.
std::vector<int64_t> pad_order(const std::vector<shape::PadPair>& sides);

/// What batch normalisation in evaluation mode does, in float64. Errors: as ops::batch_norm_affine.
ChannelAffine affine_of(const BatchNorm& norm);

/// Weight and bias of a layer.
template <class Layer>
ConvParameters parameters_of(const Layer& layer) {
  return {layer.weight().data(), layer.bias().defined() ? layer.bias().data() : Tensor()};
}

/// One branch of a block: a convolution without bias whose kernel reads what taps first_tap, first_tap + 1, ... of the block's
/// kernel read. Printed and saved as the Conv2d it is; where the aligned padding is negative (shape::branch_padding), it sees a
/// cropped input.
class BranchConv : public Conv {
 public:
  /// `block` is the convolution that the block folds into; its kernel_size may be larger than this one's. Without first_tap the
  /// kernel lies in the middle, K / 2 - k / 2.
  BranchConv(int rank, const ConvLayerOptions& block, const std::vector<int64_t>& kernel_size, std::vector<int64_t> first_tap = {});
  Variable forward(const Variable& input) override;

  const std::vector<int64_t>& first_tap() const { return first_tap_; }

 private:
  struct Place;
  BranchConv(int rank, const ConvLayerOptions& block, Place place);

  std::vector<int64_t> first_tap_;
  std::vector<shape::PadPair> block_padding_, padding_;
  bool crops_ = false;
};

}  // namespace convoy::nn
