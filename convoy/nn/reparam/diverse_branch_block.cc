#include "convoy/nn/reparam/diverse_branch_block.h"

#include <algorithm>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/nn/linear.h"
#include "convoy/nn/pool.h"

namespace convoy::nn {

namespace {

std::vector<int64_t> ones(int rank) { return std::vector<int64_t>(static_cast<size_t>(rank), 1); }

/// Average pooling with what AvgPool2d and 3d do not take: dilation, begin/end pairs, more padding than half the window, inputs
/// smaller than the window. Padding counts.
class AverageConv : public Module {
 public:
  AverageConv(int rank, int64_t channels, const ConvLayerOptions& block)
      : rank_(rank),
        options_{.stride = block.stride, .padding = block.padding, .dilation = block.dilation, .groups = channels},
        weight_(ops::average_pool_weight(channels, block.kernel_size.expand(rank), channels)) {
    ConvLayerOptions shown = block;
    shown.in_channels = shown.out_channels = shown.groups = channels;
    shown.bias = false;
    text_ = make_conv(rank, shown)->extra_repr();
  }
  std::string type() const override { return ranked("AverageConv", rank_); }
  std::string extra_repr() const override { return text_; }
  Variable forward(const Variable& input) override { return conv(rank_, input, weight_.to(input.dtype()), {}, options_); }

 private:
  int rank_;
  ConvOptions options_;
  Tensor weight_;
  std::string text_;
};

// As the published block has it where that can be.
std::shared_ptr<Module> average_layer(int rank, int64_t channels, const ConvLayerOptions& block) {
  bool pools = !block.padding.paired();
  for (const shape::Axis& axis : axes_of(rank, block)) {
    pools = pools && axis.dilation == 1 && axis.pad_begin <= shape::pool_padding_limit(axis.kernel_size);
    pools = pools && (rank < 3 || axis.pad_begin == 0);  // AvgPool3d refuses inputs that only with their padding hold a window
  }
  if (!pools) return std::make_shared<AverageConv>(rank, channels, block);
  const auto compact = [](const IntList& list) {  // one number where all are equal, as the published block is given
    const std::vector<int64_t>& v = list.values();
    return std::all_of(v.begin(), v.end(), [&](int64_t n) { return n == v[0]; }) ? IntList(v[0]) : list;
  };
  const AvgPoolOptions options{
      .kernel_size = compact(block.kernel_size), .stride = compact(block.stride), .padding = compact(block.padding.values())};
  if (rank == 1) return std::make_shared<AvgPool1d>(options);
  if (rank == 2) return std::make_shared<AvgPool2d>(options);
  return std::make_shared<AvgPool3d>(options);
}

}  // namespace

IdentityBasedConv1x1::IdentityBasedConv1x1(int64_t channels, int64_t groups, int rank)
    : Conv(rank, {.in_channels = channels, .out_channels = channels, .kernel_size = ones(rank), .groups = groups, .bias = false}) {
  weight().data().zero_();
}

std::string IdentityBasedConv1x1::type() const {
  return rank() == 2 ? "IdentityBasedConv1x1" : ranked("IdentityBasedConv1x1_", rank());
}

Tensor IdentityBasedConv1x1::actual_kernel() const {
  const Tensor identity = ops::identity_weight(options().in_channels, ones(rank()), options().groups);
  return ops::add(weight().data(), identity.to(weight().dtype()));
}

Variable IdentityBasedConv1x1::forward(const Variable& input) {
  const Tensor identity = ops::identity_weight(options().in_channels, ones(rank()), options().groups);
  return conv(rank(), input, weight() + Variable(identity.to(weight().dtype())), {}, {.groups = options().groups});
}

DiverseBranchBlock::DiverseBranchBlock(const DiverseBranchBlockOptions& o, int rank)
    : ReparamBlock("DiverseBranchBlock", rank, 1,
                   {.in_channels = o.in_channels,
                    .out_channels = o.out_channels,
                    .kernel_size = o.kernel_size,
                    .stride = o.stride,
                    .padding = o.padding,
                    .dilation = o.dilation,
                    .groups = o.groups}),
      nonlinear_(o.nonlinear != nullptr ? o.nonlinear : std::make_shared<Identity>()) {
  register_child("nonlinear", nonlinear_);
  if (o.deploy) {
    deploy("dbb_reparam");
    return;
  }
  const BatchNormLayerOptions norm{.num_features = o.out_channels, .eps = o.eps, .momentum = o.momentum};
  std::vector<shape::PadPair> sides;
  for (const shape::Axis& axis : axes_of(rank, convolution())) sides.push_back({axis.pad_begin, axis.pad_end});
  const auto padded_norm = [&](int64_t channels) {
    return std::make_shared<BNAndPad>(
        BNAndPadOptions{.pad_pixels = padding_of(sides), .num_features = channels, .eps = o.eps, .momentum = o.momentum}, rank);
  };
  ConvLayerOptions unpadded = convolution();
  unpadded.padding = 0;
  unpadded.bias = false;

  origin_ = conv_norm(kernel_size(), norm);
  register_child("dbb_origin", origin_.both);

  const bool depthwise = o.groups == o.out_channels && o.in_channels == o.out_channels;
  average_.all = std::make_shared<Sequential>();
  if (!depthwise) {
    average_.conv = make_conv(rank, {.in_channels = o.in_channels,
                                     .out_channels = o.out_channels,
                                     .kernel_size = ones(rank),
                                     .groups = o.groups,
                                     .bias = false});
    average_.norm = padded_norm(o.out_channels);
    average_.all->add("conv", average_.conv);
    average_.all->add("bn", average_.norm);
    average_.all->add("avg", average_layer(rank, o.out_channels, unpadded));
    pointwise_ = conv_norm(ones(rank), norm);
  } else {
    average_.all->add("avg", average_layer(rank, o.out_channels, convolution()));
  }
  average_.last = make_batch_norm(rank, norm);
  average_.all->add("avgbn", average_.last);
  register_child("dbb_avg", average_.all);
  if (pointwise_.both != nullptr) register_child("dbb_1x1", pointwise_.both);

  const int64_t internal = o.internal_channels_1x1_3x3.value_or(depthwise ? 2 * o.in_channels : o.in_channels);
  if (internal < 1 || internal % o.groups != 0) {
    raise<ValueError>("internal_channels_1x1_3x3 must be divisible by groups\nit is {}, groups is {}", internal, o.groups);
  }
  two_.all = std::make_shared<Sequential>();
  if (internal == o.in_channels) {
    two_.identity = std::make_shared<IdentityBasedConv1x1>(o.in_channels, o.groups, rank);
    two_.all->add("idconv1", two_.identity);
  } else {
    two_.first = make_conv(
        rank,
        {.in_channels = o.in_channels, .out_channels = internal, .kernel_size = ones(rank), .groups = o.groups, .bias = false});
    two_.all->add("conv1", two_.first);
  }
  two_.norm = padded_norm(internal);
  two_.all->add("bn1", two_.norm);
  unpadded.in_channels = internal;
  two_.second = make_conv(rank, unpadded);
  two_.all->add("conv2", two_.second);
  two_.last = make_batch_norm(rank, norm);
  two_.all->add("bn2", two_.last);
  register_child("dbb_1x1_kxk", two_.all);

  if (!o.single_init) return;
  average_.last->weight().data().zero_();
  two_.last->weight().data().zero_();
  if (pointwise_.norm != nullptr) pointwise_.norm->weight().data().zero_();
}

Variable DiverseBranchBlock::forward(const Variable& input) {
  if (deployed()) return (*nonlinear_)(deployed_forward(input));
  Variable sum = (*origin_.both)(input);
  if (pointwise_.both != nullptr) sum = sum + (*pointwise_.both)(input);
  sum = sum + (*average_.all)(input);
  return (*nonlinear_)(sum + (*two_.all)(input));
}

Module::Children DiverseBranchBlock::following() const {
  if (nonlinear_->type() == "Identity") return {};
  return {{"activation", nonlinear_}};
}

std::vector<FoldedBranch> DiverseBranchBlock::folded_branches() const {
  if (deployed()) return {};
  const int64_t groups = convolution().groups, channels = convolution().out_channels;
  const std::vector<int64_t> start(kernel_size().size(), 0);
  std::vector<FoldedBranch> all{folded("dbb_origin", *origin_.conv, *origin_.norm)};
  if (pointwise_.both != nullptr) all.push_back(folded("dbb_1x1", *pointwise_.conv, *pointwise_.norm));

  const ConvParameters average =
      ops::fold_after({ops::average_pool_weight(channels, kernel_size(), groups), {}}, affine_of(*average_.last));
  if (average_.conv == nullptr) {
    all.push_back({"dbb_avg", average, start});
  } else {
    const ConvParameters first = ops::fold_after(parameters_of(*average_.conv), affine_of(average_.norm->norm()));
    all.push_back({"dbb_avg", ops::merge_pointwise(first, average, groups), start});
  }

  const Tensor kernel = two_.identity != nullptr ? two_.identity->actual_kernel() : two_.first->weight().data();
  const ConvParameters first = ops::fold_after({kernel, {}}, affine_of(two_.norm->norm()));
  const ConvParameters second = ops::fold_after(parameters_of(*two_.second), affine_of(*two_.last));
  all.push_back({"dbb_1x1_kxk", ops::merge_pointwise(first, second, groups), start});
  return all;
}

}  // namespace convoy::nn
