#include "convoy/nn/reparam/ac_block.h"

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::nn {

ACBlock::ACBlock(const ACBlockOptions& o, int rank)
    : ReparamBlock("ACBlock", rank, 2,
                   {.in_channels = o.in_channels,
                    .out_channels = o.out_channels,
                    .kernel_size = o.kernel_size,
                    .stride = o.stride,
                    .padding = o.padding,
                    .dilation = o.dilation,
                    .groups = o.groups,
                    .padding_mode = o.padding_mode}) {
  if (o.deploy) {
    deploy("fused_conv");
    return;
  }
  const BatchNormLayerOptions norm{.num_features = o.out_channels, .eps = o.eps, .momentum = o.momentum, .affine = o.use_affine};
  const auto add = [&](const std::string& name, const std::vector<int64_t>& kernel) {
    branches_.push_back({name + "_conv", std::make_shared<BranchConv>(rank, convolution(), kernel), make_batch_norm(rank, norm)});
  };
  // The narrow kernels extend along one axis each: ver along height, hor along width, dep along depth.
  const auto along = [&](int axis) {
    std::vector<int64_t> kernel(static_cast<size_t>(rank), 1);
    kernel[static_cast<size_t>(axis)] = kernel_size()[static_cast<size_t>(axis)];
    return kernel;
  };
  add("square", kernel_size());
  add("ver", along(rank - 2));
  add("hor", along(rank - 1));
  if (rank == 3) add("dep", along(0));

  register_child("square_conv", branches_[0].conv);
  register_child("square_bn", branches_[0].norm);
  for (size_t b = 1; b < branches_.size(); ++b) register_child(branches_[b].name, branches_[b].conv);
  const char* const norms[] = {"ver_bn", "hor_bn", "dep_bn"};
  for (size_t b = 1; b < branches_.size(); ++b) register_child(norms[b - 1], branches_[b].norm);
  if (!o.gamma_init) return;
  if (!o.use_affine) raise<ValueError>("gamma_init needs use_affine=True\nwithout weights there is nothing to start from it");
  for (Branch& branch : branches_) branch.norm->weight().data().fill_(*o.gamma_init);
}

Variable ACBlock::forward(const Variable& input) {
  if (deployed()) return deployed_forward(input);
  Variable sum;
  for (const Branch& branch : branches_) {
    const Variable output = (*branch.norm)((*branch.conv)(input));
    sum = sum.defined() ? sum + output : output;
  }
  return sum;
}

std::vector<FoldedBranch> ACBlock::folded_branches() const {
  std::vector<FoldedBranch> all;
  for (const Branch& branch : branches_) all.push_back(folded(branch.name, *branch.conv, *branch.norm));
  return all;
}

}  // namespace convoy::nn
