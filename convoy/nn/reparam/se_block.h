// Squeeze and excitation: every channel times a number between 0 and 1 that follows from the means of all channels.
#pragma once

#include "convoy/nn/conv.h"

namespace convoy::nn {

/// Arguments of SEBlock; both are required.
struct SEBlockOptions {
  int64_t input_channels = kRequired;
  int64_t internal_neurons = kRequired;
};

/// output = input sigmoid(up(relu(down(m)))), m the mean of every channel's positions; down and up are 1x1 convolutions with bias.
///
/// Shapes: input and output (N, input_channels, *) or (input_channels, *). Parameters: down, up. Errors: ValueError for
/// internal_neurons below 1. Source: Hu et al., Squeeze-and-Excitation Networks (2018); SEBlock of github.com/DingXiaoH/RepVGG
/// se_block.py, which takes square images only.
class SEBlock : public Module {
 public:
  explicit SEBlock(const SEBlockOptions& options, int rank = 2);
  std::string type() const override { return rank_ == 2 ? "SEBlock" : ranked("SEBlock", rank_); }
  Variable forward(const Variable& input) override;

 private:
  int rank_;
  std::shared_ptr<Conv> down_, up_;
};

}  // namespace convoy::nn
