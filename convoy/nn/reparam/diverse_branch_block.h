// The diverse branch block: a kernel, a 1x1 kernel, 1x1 then kernel, and 1x1 then average.
#pragma once

#include <memory>
#include <optional>

#include "convoy/nn/reparam/block.h"
#include "convoy/nn/reparam/bn_and_pad.h"

namespace convoy::nn {

/// Arguments of DiverseBranchBlock with the published defaults; in_channels, out_channels and kernel_size are required. The
/// published block accepts padding = kernel_size // 2 and dilation 1 only. Without internal_channels_1x1_3x3 there are in_channels
/// of them, twice as many for a depthwise block. single_init starts with the kernel's branch alone (the others' last weights are
/// 0).
struct DiverseBranchBlockOptions {
  int64_t in_channels = kRequired;
  int64_t out_channels = kRequired;
  IntList kernel_size = {};
  IntList stride = 1;
  Padding padding = 0;
  IntList dilation = 1;
  int64_t groups = 1;
  std::optional<int64_t> internal_channels_1x1_3x3 = {};
  bool deploy = false;
  std::shared_ptr<Module> nonlinear = nullptr;
  bool single_init = false;
  Number eps = 1e-5;
  std::optional<Number> momentum = 0.1;
};

/// A 1x1 convolution that starts as the identity: its kernel is the identity plus the parameter `weight`, which starts at 0.
/// Source: IdentityBasedConv1x1 of github.com/DingXiaoH/DiverseBranchBlock diversebranchblock.py.
class IdentityBasedConv1x1 : public Conv {
 public:
  IdentityBasedConv1x1(int64_t channels, int64_t groups, int rank = 2);
  std::string type() const override;
  Variable forward(const Variable& input) override;
  /// The kernel that it convolves with.
  Tensor actual_kernel() const;
};

/// output = nonlinear(dbb_origin(x) + dbb_1x1(x) + dbb_avg(x) + dbb_1x1_kxk(x)):
///   dbb_origin    K x K, bn
///   dbb_1x1       1x1, bn; not in a depthwise block
///   dbb_avg       1x1, bn and pad, average over K x K, bn; in a depthwise block: average, bn
///   dbb_1x1_kxk   1x1, bn and pad, K x K, bn
/// all looking at the same places. Where a 1x1 convolution follows no change of the number of channels, it is an
/// IdentityBasedConv1x1.
///
/// Parameters: under these names; with deploy = true dbb_reparam alone. A block is depthwise if groups = out_channels =
/// in_channels. Source: Ding et al., Diverse Branch Block (2021); names, order and initial values of
/// github.com/DingXiaoH/DiverseBranchBlock diversebranchblock.py.
class DiverseBranchBlock : public ReparamBlock {
 public:
  explicit DiverseBranchBlock(const DiverseBranchBlockOptions& options, int rank = 2);
  Variable forward(const Variable& input) override;
  std::vector<FoldedBranch> folded_branches() const override;
  /// Nothing for the Identity that stands there if no activation was given.
  Children following() const override;

 private:
  std::shared_ptr<Module> nonlinear_;
  ConvNorm origin_, pointwise_;  // pointwise_ is empty in a depthwise block
  struct Average {
    std::shared_ptr<Conv> conv;       // nullptr in a depthwise block
    std::shared_ptr<BNAndPad> norm;   // the same
    std::shared_ptr<BatchNorm> last;  // avgbn
    std::shared_ptr<Sequential> all;
  } average_;
  struct TwoConvs {
    std::shared_ptr<IdentityBasedConv1x1> identity;  // or
    std::shared_ptr<Conv> first;
    std::shared_ptr<BNAndPad> norm;
    std::shared_ptr<Conv> second;
    std::shared_ptr<BatchNorm> last;
    std::shared_ptr<Sequential> all;
  } two_;
};

}  // namespace convoy::nn
