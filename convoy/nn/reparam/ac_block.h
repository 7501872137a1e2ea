// ACNet's block: a square kernel and one narrow kernel per axis.
#pragma once

#include <optional>

#include "convoy/nn/reparam/block.h"

namespace convoy::nn {

/// Arguments of ACBlock with the published defaults; in_channels, out_channels and kernel_size are required. gamma_init is what the
/// weights of the batch normalisations start from (the published reduce_gamma is 1 / 3).
struct ACBlockOptions {
  int64_t in_channels = kRequired;
  int64_t out_channels = kRequired;
  IntList kernel_size = {};
  IntList stride = 1;
  Padding padding = 0;
  IntList dilation = 1;
  int64_t groups = 1;
  PaddingMode padding_mode = PaddingMode::kZeros;
  bool deploy = false;
  bool use_affine = true;
  std::optional<double> gamma_init = {};
  Number eps = 1e-5;
  std::optional<Number> momentum = 0.1;
};

/// output = bn(square_conv(x)) + bn(ver_conv(x)) + bn(hor_conv(x)), kernels K x K, K x 1 and 1 x K, all looking at the same places.
///
/// With p = padding and h = K / 2 (rounded down), the horizontal kernel has padding [max(0, p - h), p], the vertical one
/// [p, max(0, p - h)]; where p < h they see the input without its outer crop = h - p rows or columns. With dilation d, h is d (K /
/// 2); for even K the two sides of an axis differ. Three axes have a third narrow kernel (dep_conv). Drawn in
/// docs/howto/fold_a_network.md.
///
/// Parameters: square_conv, square_bn, ver_conv, hor_conv, ver_bn, hor_bn; with deploy = true fused_conv alone.
/// Source: Ding et al., ACNet (2019); names, order and initial values of github.com/DingXiaoH/ACNet acnet/acb.py, which has no even
/// kernels and aligns its branches for dilation 1 only.
class ACBlock : public ReparamBlock {
 public:
  explicit ACBlock(const ACBlockOptions& options, int rank = 2);
  Variable forward(const Variable& input) override;
  std::vector<FoldedBranch> folded_branches() const override;

 private:
  struct Branch {
    std::string name;
    std::shared_ptr<BranchConv> conv;
    std::shared_ptr<BatchNorm> norm;
  };
  std::vector<Branch> branches_;
};

}  // namespace convoy::nn
