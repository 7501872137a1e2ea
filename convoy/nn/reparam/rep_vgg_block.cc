#include "convoy/nn/reparam/rep_vgg_block.h"

#include <algorithm>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/nn/activation.h"
#include "convoy/nn/linear.h"
#include "convoy/nn/reparam/se_block.h"
#include "convoy/shape/branch.h"

namespace convoy::nn {

RepVGGBlock::RepVGGBlock(const RepVGGBlockOptions& o, int rank)
    : ReparamBlock("RepVGGBlock", rank, 1,
                   {.in_channels = o.in_channels,
                    .out_channels = o.out_channels,
                    .kernel_size = o.kernel_size,
                    .stride = o.stride,
                    .padding = o.padding,
                    .dilation = o.dilation,
                    .groups = o.groups,
                    .padding_mode = o.padding_mode}),
      nonlinearity_(std::make_shared<ReLU>()) {
  register_child("nonlinearity", nonlinearity_);
  if (o.use_se) se_ = std::make_shared<SEBlock>(SEBlockOptions{o.out_channels, o.out_channels / 16}, rank);
  register_child("se", se_ != nullptr ? se_ : std::make_shared<Identity>());
  if (o.deploy) {
    deploy("rbr_reparam");
    return;
  }
  const std::vector<shape::Axis> axes = axes_of(rank, convolution());
  const bool strides = std::any_of(axes.begin(), axes.end(), [](const shape::Axis& axis) { return axis.stride != 1; });
  const BatchNormLayerOptions norm{.num_features = o.out_channels, .eps = o.eps, .momentum = o.momentum};
  dense_ = conv_norm(kernel_size(), norm);
  pointwise_ = conv_norm(std::vector<int64_t>(static_cast<size_t>(rank), 1), norm);
  if (o.in_channels == o.out_channels && !strides) {
    if (o.padding_mode != PaddingMode::kZeros) {
      raise<ValueError>(
          "{} with an identity branch takes padding_mode='zeros' only\n"
          "padding_mode is {}; with out_channels other than in_channels, or a stride, any will do",
          type(), padding_mode_name(o.padding_mode));
    }
    std::vector<shape::PadPair> sides;
    for (const shape::Axis& axis : axes) sides.push_back(*shape::branch_padding(axis, 1, axis.kernel_size / 2));
    identity_sides_ = pad_order(sides);
    if (std::all_of(identity_sides_.begin(), identity_sides_.end(), [](int64_t side) { return side == 0; }))
      identity_sides_.clear();
    identity_ = make_batch_norm(rank, norm);
    register_child("rbr_identity", identity_);
  }
  register_child("rbr_dense", dense_.both);
  register_child("rbr_1x1", pointwise_.both);
}

Variable RepVGGBlock::forward(const Variable& input) {
  const auto after = [&](const Variable& sum) { return (*nonlinearity_)(se_ != nullptr ? (*se_)(sum) : sum); };
  if (deployed()) return after(deployed_forward(input));
  Variable sum = (*dense_.both)(input) + (*pointwise_.both)(input);
  if (identity_ != nullptr) sum = sum + (*identity_)(identity_sides_.empty() ? input : pad(input, identity_sides_));
  return after(sum);
}

Module::Children RepVGGBlock::following() const {
  if (se_ == nullptr) return {{"activation", nonlinearity_}};
  return {{"se", se_}, {"activation", nonlinearity_}};
}

std::vector<FoldedBranch> RepVGGBlock::folded_branches() const {
  if (deployed()) return {};
  std::vector<FoldedBranch> all{folded("rbr_dense", *dense_.conv, *dense_.norm),
                                folded("rbr_1x1", *pointwise_.conv, *pointwise_.norm)};
  if (identity_ != nullptr) {
    const std::vector<int64_t> one(kernel_size().size(), 1);
    const Tensor kernel = ops::identity_weight(convolution().in_channels, one, convolution().groups);
    all.push_back({"rbr_identity", ops::fold_after({kernel, {}}, affine_of(*identity_)), pointwise_.conv->first_tap()});
  }
  return all;
}

}  // namespace convoy::nn
