// Blocks that train with several branches and are one convolution afterwards.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "convoy/nn/reparam/branch.h"

namespace convoy::nn {

/// What one branch adds to the block's convolution, in float64: a kernel, where it lies in the block's kernel, and a bias.
struct FoldedBranch {
  std::string name;  // of the layer that holds it: "ver_conv"
  ConvParameters parameters;
  std::vector<int64_t> first_tap;
};

/// Base of the blocks. In evaluation mode a block computes what fused() computes; in training every branch is normalised by the
/// statistics of the batch. A block made with deploy = true has the one convolution only, as the published implementations after
/// switch_to_deploy().
///
/// Shapes: input (N, in_channels, *), output as convolution()'s.
class ReparamBlock : public Module {
 public:
  std::string type() const override { return type_; }

  int rank() const { return rank_; }
  /// The convolution that the block folds into, with bias.
  const ConvLayerOptions& convolution() const { return convolution_; }
  bool deployed() const { return deployed_ != nullptr; }
  /// Every branch with its batch normalisation folded in; empty for a deployed block. Errors: as ops::batch_norm_affine.
  virtual std::vector<FoldedBranch> folded_branches() const = 0;
  /// The sum of the branches: weight and bias of the one convolution, in float64.
  ConvParameters equivalent_kernel_bias() const;
  /// The one convolution, in evaluation mode, in the type of the block's parameters; default_generator() is left as it was.
  std::shared_ptr<Conv> fused() const;
  /// What the block applies to the convolution's output, in order, each with the name that sets it apart in a fused network:
  /// {"se", ...}, {"activation", ...}.
  virtual Children following() const { return {}; }

 protected:
  /// `convolution` as the user gave it; padding names become numbers. Errors: those of the convolution's constructor; ValueError
  /// for a rank that the block does not have.
  ReparamBlock(const std::string& type, int rank, int least_rank, ConvLayerOptions convolution);

  const std::vector<int64_t>& kernel_size() const { return kernel_size_; }
  /// Registers a branch of a convolution and its batch normalisation as PyTorch's Sequential (conv): ..., (bn): ....
  struct ConvNorm {
    std::shared_ptr<BranchConv> conv;
    std::shared_ptr<BatchNorm> norm;
    std::shared_ptr<Sequential> both;
  };
  ConvNorm conv_norm(const std::vector<int64_t>& kernel_size, const BatchNormLayerOptions& norm) const;
  static FoldedBranch folded(const std::string& name, const BranchConv& conv, const BatchNorm& norm);
  /// Registers the one convolution of a deployed block.
  void deploy(const char* name);
  /// Its output.
  Variable deployed_forward(const Variable& input) { return (*deployed_)(input); }

 private:
  std::string type_;
  int rank_;
  ConvLayerOptions convolution_;
  std::vector<int64_t> kernel_size_;
  std::shared_ptr<Conv> deployed_;
};

}  // namespace convoy::nn
