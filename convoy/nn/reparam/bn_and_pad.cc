#include "convoy/nn/reparam/bn_and_pad.h"

#include <algorithm>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::nn {

BNAndPad::BNAndPad(const BNAndPadOptions& o, int rank) : rank_(rank) {
  if (rank < 1 || rank > 3) raise<ValueError>("BNAndPad has 1 to 3 spatial axes, not {}\n2 for images", rank);
  require(o.pad_pixels.has_value(), type(), "pad_pixels");
  if (o.pad_pixels->named()) {
    raise<ValueError>("pad_pixels is '{}'\ngive a number, one per axis, or begin/end pairs", o.pad_pixels->name());
  }
  for (const shape::Axis& axis : axes_of(rank, {.kernel_size = 1, .padding = *o.pad_pixels})) {
    if (axis.pad_begin < 0 || axis.pad_end < 0) raise<ValueError>("pad_pixels must not be negative\n0 pads nothing");
    padding_.push_back({axis.pad_begin, axis.pad_end});
  }
  norm_ = make_batch_norm(rank, {.num_features = o.num_features, .eps = o.eps, .momentum = o.momentum, .affine = o.affine});
  register_child("bn", norm_);
}

std::string BNAndPad::unprinted() const {
  std::string pairs;
  bool equal = true;
  for (const shape::PadPair& side : padding_) {
    pairs += (pairs.empty() ? "" : ", ") + python_tuple({side.begin, side.end});
    equal = equal && side == shape::PadPair{padding_[0].begin, padding_[0].begin};
  }
  if (equal) return formatted("pad_pixels={}", padding_[0].begin);
  return formatted("pad_pixels=({}{}", pairs, padding_.size() == 1 ? ",)" : ")");
}

Variable BNAndPad::forward(const Variable& input) {
  const Variable output = (*norm_)(input);
  const std::vector<int64_t> sides = pad_order(padding_);
  if (std::all_of(sides.begin(), sides.end(), [](int64_t side) { return side == 0; })) return output;
  // A frame of the values around zeros, added to the output padded with zeros.
  Shape inner = output.shape(), channels(inner.size(), 1);
  inner[0] = inner[1] = 1;
  channels[1] = output.size(1);
  const Tensor frame = ops::pad(Tensor::zeros(inner, output.dtype()), sides, PadMode::kConstant, 1);
  const Tensor values = affine_of(*norm_).shift.to(output.dtype()).reshape(channels);
  return pad(output, sides) + Variable(ops::mul(frame, values));
}

}  // namespace convoy::nn
