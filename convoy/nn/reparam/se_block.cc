#include "convoy/nn/reparam/se_block.h"

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/nn/reparam/branch.h"

namespace convoy::nn {

SEBlock::SEBlock(const SEBlockOptions& o, int rank) : rank_(rank) {
  if (rank < 1 || rank > 3) raise<ValueError>("SEBlock has 1 to 3 spatial axes, not {}\n2 for images", rank);
  require(o.input_channels != kRequired, type(), "input_channels");
  require(o.internal_neurons != kRequired, type(), "internal_neurons");
  if (o.internal_neurons < 1) {
    raise<ValueError>(
        "internal_neurons must be at least 1, got {}\n"
        "use_se=True takes out_channels // 16 of them: it needs 16 channels or more",
        o.internal_neurons);
  }
  down_ = make_conv(rank, {.in_channels = o.input_channels, .out_channels = o.internal_neurons, .kernel_size = 1});
  up_ = make_conv(rank, {.in_channels = o.internal_neurons, .out_channels = o.input_channels, .kernel_size = 1});
  register_child("down", down_);
  register_child("up", up_);
}

Variable SEBlock::forward(const Variable& input) {
  const Variable means = adaptive_avg_pool(rank_, input, AdaptiveSize(static_cast<size_t>(rank_), 1));
  return input * sigmoid((*up_)(relu((*down_)(means))));
}

}  // namespace convoy::nn
