// RepVGG's block: a kernel, a 1x1 kernel and the identity, then ReLU.
#pragma once

#include <optional>

#include "convoy/nn/reparam/block.h"

namespace convoy::nn {

/// Arguments of RepVGGBlock with the published defaults; in_channels, out_channels and kernel_size are required. The published
/// block accepts kernel_size 3 with padding 1 only.
struct RepVGGBlockOptions {
  int64_t in_channels = kRequired;
  int64_t out_channels = kRequired;
  IntList kernel_size = {};
  IntList stride = 1;
  Padding padding = 0;
  IntList dilation = 1;
  int64_t groups = 1;
  PaddingMode padding_mode = PaddingMode::kZeros;
  bool deploy = false;
  bool use_se = false;
  Number eps = 1e-5;
  std::optional<Number> momentum = 0.1;
};

/// output = relu(se(bn(rbr_dense(x)) + bn(rbr_1x1(x)) + rbr_identity(x))); the identity is a batch normalisation and there only if
/// in_channels = out_channels and the stride is 1. The 1x1 kernel and the identity see what the middle of the kernel sees. se is an
/// SEBlock with out_channels / 16 neurons if use_se (RepVGG-D2se), else nothing; it stays when the block is folded.
///
/// Parameters: se.down and se.up with use_se; rbr_identity, rbr_dense.conv, rbr_dense.bn, rbr_1x1.conv, rbr_1x1.bn; with deploy =
/// true rbr_reparam in their place. Errors: ValueError for use_se with fewer than 16 out_channels.
/// Source: Ding et al., RepVGG (2021); names, order and initial values of github.com/DingXiaoH/RepVGG repvgg.py.
class RepVGGBlock : public ReparamBlock {
 public:
  explicit RepVGGBlock(const RepVGGBlockOptions& options, int rank = 2);
  Variable forward(const Variable& input) override;
  std::vector<FoldedBranch> folded_branches() const override;
  Children following() const override;

 private:
  std::shared_ptr<Module> nonlinearity_, se_;  // se_ is nullptr without use_se
  std::shared_ptr<BatchNorm> identity_;
  std::vector<int64_t> identity_sides_;
  ConvNorm dense_, pointwise_;
};

}  // namespace convoy::nn
