// Batch normalisation that pads its output with what it makes of zero.
#pragma once

#include <optional>

#include "convoy/nn/reparam/branch.h"

namespace convoy::nn {

/// Arguments of BNAndPad; pad_pixels and num_features are required. pad_pixels is one number, one per axis, or begin/end pairs.
struct BNAndPadOptions {
  std::optional<Padding> pad_pixels = {};
  int64_t num_features = kRequired;
  Number eps = 1e-5;
  std::optional<Number> momentum = 0.1;
  bool affine = true;
};

/// Normalises, then pads channel c with bias[c] - running_mean[c] weight[c] / sqrt(running_var[c] + eps), the value that zero is
/// normalised to. So a convolution without padding that follows sees what it would see of an input padded with zeros, and the two
/// fold exactly. In training too the running statistics give the value; no gradient passes through it, as in the published code.
///
/// Shapes: input (N, num_features, *), output larger by the padding. Parameters: bn.
/// Source: BNAndPadLayer of github.com/DingXiaoH/DiverseBranchBlock diversebranchblock.py, whose printed name it has; pad_pixels is
/// not part of that printed form.
class BNAndPad : public Module {
 public:
  explicit BNAndPad(const BNAndPadOptions& options, int rank = 2);
  std::string type() const override { return rank_ == 2 ? "BNAndPadLayer" : ranked("BNAndPadLayer", rank_); }
  std::string unprinted() const override;
  Variable forward(const Variable& input) override;

  int rank() const { return rank_; }
  /// One pair per spatial axis.
  const std::vector<shape::PadPair>& padding() const { return padding_; }
  const BatchNorm& norm() const { return *norm_; }

 private:
  int rank_;
  std::vector<shape::PadPair> padding_;
  std::shared_ptr<BatchNorm> norm_;
};

}  // namespace convoy::nn
