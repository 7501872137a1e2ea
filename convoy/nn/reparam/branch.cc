#include "convoy/nn/reparam/branch.h"

#include <algorithm>
#include <utility>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/ops/pad.h"
#include "convoy/shape/branch.h"

namespace convoy::nn {

std::shared_ptr<Conv> make_conv(int rank, ConvLayerOptions options) {
  if (rank == 1) return std::make_shared<Conv1d>(std::move(options));
  if (rank == 2) return std::make_shared<Conv2d>(std::move(options));
  return std::make_shared<Conv3d>(std::move(options));
}

std::shared_ptr<BatchNorm> make_batch_norm(int rank, const BatchNormLayerOptions& options) {
  if (rank == 1) return std::make_shared<BatchNorm1d>(options);
  if (rank == 2) return std::make_shared<BatchNorm2d>(options);
  return std::make_shared<BatchNorm3d>(options);
}

std::vector<shape::Axis> axes_of(int rank, const ConvLayerOptions& options) {
  const auto per_axis = [&](const IntList& list, const char* name) {
    const std::vector<int64_t> values = list.expand(rank);
    if (values.size() != static_cast<size_t>(rank)) {
      raise<Error>(
          "expected {} to be a single integer value or a list of {} values to match the convolution dimensions, but got {}={}\n"
          "give one number, or one per spatial axis",
          name, rank, name, Shape(values));
    }
    return values;
  };
  const std::vector<int64_t> kernel = per_axis(options.kernel_size, "kernel_size"), stride = per_axis(options.stride, "stride"),
                             dilation = per_axis(options.dilation, "dilation");
  const Padding& padding = options.padding;
  const std::vector<int64_t> sides =
      padding.named() || padding.paired() ? std::vector<int64_t>(kernel.size(), 0) : per_axis(padding.values(), "padding");
  if (padding.paired() && padding.pairs().size() != kernel.size()) {
    raise<Error>(
        "expected padding to be a single integer value or a list of {} values to match the convolution dimensions, but got {} "
        "begin/end pairs\n"
        "give one pair per spatial axis",
        rank, padding.pairs().size());
  }
  std::vector<shape::Axis> axes;
  for (size_t a = 0; a < kernel.size(); ++a) {
    shape::PadPair pair{sides[a], sides[a]};
    if (padding.paired()) pair = padding.pairs()[a];
    if (padding.named() && padding.name() == "same") {
      const auto same = shape::same_padding(kernel[a], dilation[a]);
      if (same) pair = *same;
    }
    axes.push_back({kernel[a], stride[a], dilation[a], pair.begin, pair.end});
  }
  return axes;
}

Padding padding_of(const std::vector<shape::PadPair>& sides) {
  std::vector<int64_t> equal;
  for (const shape::PadPair& pair : sides) {
    if (pair.begin == pair.end) equal.push_back(pair.begin);
  }
  if (equal.size() == sides.size()) return IntList(equal);
  return sides;
}

std::vector<int64_t> pad_order(const std::vector<shape::PadPair>& sides) {
  std::vector<int64_t> order;
  for (size_t a = sides.size(); a-- > 0;) order.insert(order.end(), {sides[a].begin, sides[a].end});
  return order;
}

ChannelAffine affine_of(const BatchNorm& norm) {
  const Tensor weight = norm.weight().defined() ? norm.weight().data() : Tensor();
  const Tensor bias = norm.bias().defined() ? norm.bias().data() : Tensor();
  return ops::batch_norm_affine(norm.running_mean(), norm.running_var(), weight, bias, norm.options().eps);
}

// Where a branch lies, worked out before its convolution is built.
struct BranchConv::Place {
  std::vector<int64_t> kernel_size, first_tap;
  std::vector<shape::PadPair> block_padding, padding, inside;  // inside: without what is negative

  Place(int rank, const ConvLayerOptions& block, const std::vector<int64_t>& kernel, std::vector<int64_t> first)
      : kernel_size(kernel), first_tap(std::move(first)) {
    const std::vector<shape::Axis> axes = axes_of(rank, block);
    for (size_t a = 0; a < axes.size(); ++a) {
      if (first_tap.size() <= a) first_tap.push_back(axes[a].kernel_size / 2 - kernel_size.at(a) / 2);
      const auto own = shape::branch_padding(axes[a], kernel_size.at(a), first_tap[a]);
      if (!own) {
        raise<ShapeMismatch>("{}\na branch's kernel must lie inside the block's", shape::reason(own.error().code));
      }
      block_padding.push_back({axes[a].pad_begin, axes[a].pad_end});
      padding.push_back(*own);
      inside.push_back({std::max<int64_t>(own->begin, 0), std::max<int64_t>(own->end, 0)});
    }
  }
};

BranchConv::BranchConv(int rank, const ConvLayerOptions& block, const std::vector<int64_t>& kernel_size,
                       std::vector<int64_t> first_tap)
    : BranchConv(rank, block, Place(rank, block, kernel_size, std::move(first_tap))) {}

BranchConv::BranchConv(int rank, const ConvLayerOptions& block, Place place)
    : Conv(rank, {.in_channels = block.in_channels,
                  .out_channels = block.out_channels,
                  .kernel_size = place.kernel_size,
                  .stride = block.stride,
                  .padding = padding_of(place.inside),
                  .dilation = block.dilation,
                  .groups = block.groups,
                  .bias = false,
                  .padding_mode = block.padding_mode}),
      first_tap_(std::move(place.first_tap)),
      block_padding_(std::move(place.block_padding)),
      padding_(std::move(place.padding)),
      crops_(padding_ != place.inside) {}

Variable BranchConv::forward(const Variable& input) {
  if (!crops_) return Conv::forward(input);
  const ConvLayerOptions& o = options();
  const ConvOptions unpadded{.stride = o.stride, .dilation = o.dilation, .groups = o.groups};
  if (o.padding_mode == PaddingMode::kZeros) return conv(rank(), pad(input, pad_order(padding_)), weight(), {}, unpadded);
  // What is copied to the outside may lie in the part to be cropped: pad as the block does, then crop.
  std::vector<shape::PadPair> crop;
  for (size_t a = 0; a < padding_.size(); ++a) {
    crop.push_back({padding_[a].begin - block_padding_[a].begin, padding_[a].end - block_padding_[a].end});
  }
  return conv(rank(), pad(pad(input, pad_order(block_padding_), pad_mode(o.padding_mode)), pad_order(crop)), weight(), {},
              unpadded);
}

}  // namespace convoy::nn
