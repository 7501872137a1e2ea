// Convolution and transposed convolution layers.
#pragma once

#include <string>
#include <vector>

#include "convoy/nn/layer_options.h"
#include "convoy/nn/module.h"
#include "convoy/ops/conv.h"

namespace convoy::nn {

/// Arguments of Conv1d, Conv2d and Conv3d with PyTorch's defaults. in_channels, out_channels and kernel_size are required.
struct ConvLayerOptions {
  int64_t in_channels = kRequired;
  int64_t out_channels = kRequired;
  IntList kernel_size = {};
  IntList stride = 1;
  Padding padding = 0;
  IntList dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  PaddingMode padding_mode = PaddingMode::kZeros;
};

/// Arguments of ConvTranspose1d, 2d and 3d with PyTorch's defaults. in_channels, out_channels and kernel_size are required.
struct ConvTransposeLayerOptions {
  int64_t in_channels = kRequired;
  int64_t out_channels = kRequired;
  IntList kernel_size = {};
  IntList stride = 1;
  Padding padding = 0;
  IntList output_padding = 0;
  int64_t groups = 1;
  bool bias = true;
  IntList dilation = 1;
  PaddingMode padding_mode = PaddingMode::kZeros;
};

/// output[n, o] = bias[o] + the cross-correlation of weight[o] with the input channels of o's group.
///
/// Shapes: input (N, in_channels, *) or (in_channels, *), weight (out_channels, in_channels / groups, *kernel_size), bias
/// (out_channels). Errors: the constructor refuses what can be known there (ValueError or Error in PyTorch's words); forward as
/// ops::conv. Source: torch.nn.Conv2d; weight and bias start as there, bit for bit for the same seed.
class Conv : public Module {
 public:
  std::string type() const override { return ranked("Conv", rank_); }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;

  const ConvLayerOptions& options() const { return options_; }
  int rank() const { return rank_; }
  Variable& weight() { return parameter(0); }
  const Variable& weight() const { return parameter(0); }
  /// Undefined if options().bias is false.
  Variable& bias() { return parameter(1); }
  const Variable& bias() const { return parameter(1); }

 protected:
  Conv(int rank, ConvLayerOptions options);

 private:
  int rank_;
  ConvLayerOptions options_;
};

class Conv1d : public Conv {
 public:
  explicit Conv1d(ConvLayerOptions options) : Conv(1, std::move(options)) {}
};
class Conv2d : public Conv {
 public:
  explicit Conv2d(ConvLayerOptions options) : Conv(2, std::move(options)) {}
};
class Conv3d : public Conv {
 public:
  explicit Conv3d(ConvLayerOptions options) : Conv(3, std::move(options)) {}
};

/// The adjoint of Conv: output[i s - p + k d] += weight[k] input[i].
///
/// Shapes: input (N, in_channels, *) or (in_channels, *), weight (in_channels, out_channels / groups, *kernel_size), bias
/// (out_channels). Errors: as Conv; padding names and padding modes are refused, since the padding of a transposed convolution
/// removes values. Source: torch.nn.ConvTranspose2d.
class ConvTranspose : public Module {
 public:
  std::string type() const override { return ranked("ConvTranspose", rank_); }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;
  /// Chooses output_padding so that the output has this size: the spatial sizes, or with batch and channels in front.
  /// Errors: ValueError "requested an output size of (12, 12), but valid sizes range from [9, 9] to [10, 10] (for an input of
  /// ...)".
  Variable forward(const Variable& input, const std::vector<int64_t>& output_size);
  using Module::operator();
  Variable operator()(const Variable& input, const std::vector<int64_t>& output_size) { return forward(input, output_size); }

  const ConvTransposeLayerOptions& options() const { return options_; }
  int rank() const { return rank_; }
  Variable& weight() { return parameter(0); }
  const Variable& weight() const { return parameter(0); }
  /// Undefined if options().bias is false.
  Variable& bias() { return parameter(1); }
  const Variable& bias() const { return parameter(1); }

 protected:
  ConvTranspose(int rank, ConvTransposeLayerOptions options);

 private:
  int rank_;
  ConvTransposeLayerOptions options_;
};

class ConvTranspose1d : public ConvTranspose {
 public:
  explicit ConvTranspose1d(ConvTransposeLayerOptions options) : ConvTranspose(1, std::move(options)) {}
};
class ConvTranspose2d : public ConvTranspose {
 public:
  explicit ConvTranspose2d(ConvTransposeLayerOptions options) : ConvTranspose(2, std::move(options)) {}
};
class ConvTranspose3d : public ConvTranspose {
 public:
  explicit ConvTranspose3d(ConvTransposeLayerOptions options) : ConvTranspose(3, std::move(options)) {}
};

}  // namespace convoy::nn
