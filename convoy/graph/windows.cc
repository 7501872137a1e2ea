#include "convoy/graph/windows.h"

#include <algorithm>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/shape/checked.h"

namespace convoy::graph {
namespace {

std::string text(const std::vector<int64_t>& numbers) {
  std::string list;
  for (const int64_t number : numbers) list += (list.empty() ? "" : ", ") + std::to_string(number);
  return formatted("[{}]", list);
}

// One number per axis, or `otherwise` for all; each at least `least`.
std::vector<int64_t> per_axis(const Attributes& attributes, const char* name, size_t rank, int64_t otherwise, int64_t least) {
  std::vector<int64_t> numbers = attributes.integers(name);
  if (numbers.empty()) numbers.assign(rank, otherwise);
  if (numbers.size() != rank) {
    raise<Error>("attribute '{}' is {}\nit must have one number for each of the {} spatial axes", name, text(numbers), rank);
  }
  for (const int64_t number : numbers) {
    if (number < least) {
      raise<Error>("attribute '{}' is {}\nits numbers must be {} or more", name, text(numbers), least);
    }
  }
  return numbers;
}

}  // namespace

std::optional<std::vector<shape::Axis>> windows(const Attributes& attributes, const std::vector<int64_t>& kernel,
                                                const std::vector<int64_t>& sizes) {
  const size_t rank = sizes.size();
  std::vector<int64_t> kernel_shape = attributes.integers("kernel_shape");
  if (kernel_shape.empty()) kernel_shape = kernel;
  if (kernel_shape.size() != rank) {
    raise<Error>("attribute 'kernel_shape' is {}\nit must have one size for each of the {} spatial axes", text(kernel_shape), rank);
  }
  for (const int64_t size : kernel_shape) {
    if (size < 1) raise<Error>("attribute 'kernel_shape' is {}\nits sizes must be 1 or more", text(kernel_shape));
  }
  const std::vector<int64_t> strides = per_axis(attributes, "strides", rank, 1, 1),
                             dilations = per_axis(attributes, "dilations", rank, 1, 1);
  const std::vector<int64_t> pads = attributes.integers("pads");
  if (!pads.empty() && pads.size() != 2 * rank) {
    raise<Error>("attribute 'pads' is {}\nit must have {} numbers: the begins, then the ends", text(pads), 2 * rank);
  }
  for (const int64_t pad : pads) {
    if (pad < 0) raise<Error>("attribute 'pads' is {}\npadding of convolution and pooling is 0 or more", text(pads));
  }
  const std::string auto_pad = attributes.text("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  if (!same && auto_pad != "NOTSET" && auto_pad != "VALID" && !auto_pad.empty()) {
    raise<Error>("attribute 'auto_pad' is '{}'\nuse NOTSET, SAME_UPPER, SAME_LOWER or VALID", auto_pad);
  }
  std::vector<shape::Axis> axes(rank);
  for (size_t i = 0; i < rank; ++i) {
    axes[i] = {.kernel_size = kernel_shape[i], .stride = strides[i], .dilation = dilations[i]};
    if (same) {
      if (sizes[i] < 0 && strides[i] != 1) return std::nullopt;  // with a stride of 1 all sizes have the same padding
      const shape::Result<shape::PadPair> pad = shape::same_padding_tf(std::max<int64_t>(sizes[i], 0), kernel_shape[i], strides[i],
                                                                       dilations[i], auto_pad == "SAME_LOWER");
      if (!pad) raise<Error>("auto_pad {}: {}\nuse smaller sizes", auto_pad, shape::reason(pad.error().code));
      axes[i].pad_begin = pad->begin;
      axes[i].pad_end = pad->end;
    } else if (!pads.empty() && auto_pad != "VALID") {
      axes[i].pad_begin = pads[i];
      axes[i].pad_end = pads[rank + i];
    }
  }
  return axes;
}

void refuse_axis(const shape::ShapeError& error, size_t i, int64_t n, const shape::Axis& axis) {
  raise<ShapeMismatch>(
      "spatial axis {}: {}\n"
      "size {}, kernel {}, stride {}, dilation {}, padding {} and {}",
      i, shape::reason(error.code), n, axis.kernel_size, axis.stride, axis.dilation, axis.pad_begin, axis.pad_end);
}

std::vector<TransposedAxis> transposed_windows(const Attributes& attributes, const std::vector<int64_t>& kernel,
                                               std::vector<int64_t> sizes) {
  const std::string auto_pad = attributes.text("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  const std::vector<int64_t> stated = sizes;
  constexpr int64_t kStandIn = 1024;
  for (int64_t& n : sizes) n = n < 0 ? kStandIn : n;
  const std::vector<shape::Axis> given = *windows(attributes, kernel, sizes);
  const size_t rank = given.size();
  std::vector<int64_t> extra = attributes.integers("output_padding"), wanted = attributes.integers("output_shape");
  if (extra.empty()) extra.assign(rank, 0);
  if (wanted.size() == rank + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);
  if (extra.size() != rank || (!wanted.empty() && wanted.size() != rank)) {
    raise<Error>("output_padding or output_shape has another number of sizes than the kernel\nthey need {}", rank);
  }
  std::vector<TransposedAxis> axes;
  for (size_t i = 0; i < rank; ++i) {
    const int64_t n = sizes[i];
    TransposedAxis out{given[i], extra[i]};
    if (extra[i] < 0) raise<Error>("attribute 'output_padding' has {}\nit must be 0 or more", extra[i]);
    shape::Axis bare = out.axis;
    bare.pad_begin = bare.pad_end = 0;
    const shape::Result<int64_t> unpadded = shape::transposed_output_size(n, bare, 0);
    if (!unpadded) refuse_axis(unpadded.error(), i, n, bare);
    if (same || !wanted.empty()) {
      const shape::Checked goal = wanted.empty() ? shape::Checked(n) * out.axis.stride : shape::Checked(wanted[i]);
      const shape::Checked cut = shape::Checked(*unpadded) + extra[i] - goal;
      if (!cut.ok()) refuse_axis({shape::ShapeErrorCode::kOverflow}, i, n, bare);
      const int64_t total = std::max<int64_t>(cut.value(), 0);
      const bool upper = auto_pad == "SAME_UPPER";
      out.axis.pad_begin = upper ? total / 2 : total - total / 2;
      out.axis.pad_end = total - out.axis.pad_begin;
      out.output_padding = (shape::Checked(extra[i]) + std::max<int64_t>(-std::min<int64_t>(cut.value(), 0), 0)).value();
    }
    const shape::Checked size = shape::Checked(*unpadded) + out.output_padding - out.axis.pad_begin - out.axis.pad_end;
    if (!size.ok() || size.value() < 1) {
      refuse_axis({size.ok() ? shape::ShapeErrorCode::kOutputTooSmall : shape::ShapeErrorCode::kOverflow}, i, n, out.axis);
    }
    out.output = stated[i] < 0 && wanted.empty() ? -1 : size.value();
    axes.push_back(out);
  }
  return axes;
}

Attributes explicit_padding(const Graph& graph, const Node& node) {
  Attributes attributes = node.attributes;
  const auto dims = [&](size_t i) { return node.input(i) == kNoValue ? std::nullopt : graph.value(node.input(i)).type.dims; };
  const auto open = [](const std::vector<int64_t>& sizes) {
    return std::any_of(sizes.begin(), sizes.end(), [](int64_t size) { return size < 0; });
  };
  const auto input = dims(0), weight = dims(node.op == "QLinearConv" ? 3 : 1);
  const std::vector<int64_t> kernel = weight ? kernel_sizes(attributes, *weight) : attributes.integers("kernel_shape");
  if (kernel.empty() || !input) return attributes;
  const std::vector<int64_t> sizes = spatial_sizes(*input);
  std::vector<shape::Axis> axes;
  std::vector<int64_t> extra;
  if (node.op == "ConvTranspose") {
    if (attributes.has("output_shape") && open(sizes)) return attributes;
    for (const TransposedAxis& axis : transposed_windows(attributes, kernel, sizes)) {
      axes.push_back(axis.axis);
      extra.push_back(axis.output_padding);
    }
    attributes.erase("output_shape");
    attributes.set("output_padding", extra);
  } else {
    const auto found = windows(attributes, kernel, sizes);
    if (!found) return attributes;
    axes = *found;
    // A "same" pool has ceil(n / stride) outputs either way.
    if (attributes.text("auto_pad", "").starts_with("SAME")) attributes.erase("ceil_mode");
  }
  attributes.erase("auto_pad");
  std::vector<int64_t> pads;
  for (const shape::Axis& axis : axes) pads.push_back(axis.pad_begin);
  for (const shape::Axis& axis : axes) pads.push_back(axis.pad_end);
  attributes.set("pads", pads);
  return attributes;
}

std::vector<int64_t> kernel_sizes(const Attributes& attributes, const Dims& weight) {
  const std::vector<int64_t> stated = attributes.integers("kernel_shape");
  std::vector<int64_t> sizes = spatial_sizes(weight);
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 0 && stated.size() != sizes.size()) return {};
    if (sizes[i] < 0) sizes[i] = stated[i];
  }
  return sizes;
}

std::vector<int64_t> spatial_sizes(const Dims& dims) {
  std::vector<int64_t> sizes;
  for (size_t i = 2; i < dims.size(); ++i) sizes.push_back(dims[i].size);
  return sizes;
}

std::optional<shape::ConvShape> conv_shape(const Attributes& attributes, const Shape& input, const Shape& weight, bool transposed) {
  const auto rank = static_cast<int>(input.size()) - 2;
  if (rank < 1 || rank > shape::kMaxSpatialRank || weight.size() != input.size()) return std::nullopt;
  shape::ConvShape s;
  s.rank = rank;
  s.transposed = transposed;
  s.batch = input[0];
  s.in_channels = input[1];
  s.groups = attributes.integer("group", 1);
  if (s.groups < 1) return std::nullopt;
  s.out_channels = transposed ? weight[1] * s.groups : weight[0];
  const std::vector<int64_t> sizes{input.begin() + 2, input.end()};
  const auto axes = windows(attributes, {weight.begin() + 2, weight.end()}, sizes);
  if (!axes || axes->size() != sizes.size()) return std::nullopt;
  for (size_t a = 0; a < sizes.size(); ++a) {
    if ((*axes)[a].kernel_size != weight[2 + a]) return std::nullopt;
    s.input[static_cast<size_t>(s.first_axis()) + a] = sizes[a];
    s.axes[static_cast<size_t>(s.first_axis()) + a] = (*axes)[a];
  }
  if (transposed) {
    if (attributes.has("output_shape") || attributes.text("auto_pad", "NOTSET") != "NOTSET") return std::nullopt;
    const std::vector<int64_t> extra = attributes.integers("output_padding");
    if (!extra.empty() && extra.size() != static_cast<size_t>(rank)) return std::nullopt;
    for (size_t a = 0; a < extra.size(); ++a) s.output_padding[static_cast<size_t>(s.first_axis()) + a] = extra[a];
  }
  const auto complete = shape::complete(s);
  if (!complete) return std::nullopt;
  const bool weight_fits = transposed ? weight[0] == s.in_channels : weight[1] * s.groups == s.in_channels;
  if (!weight_fits) return std::nullopt;
  return *complete;
}

Shape output_shape(const shape::ConvShape& layer) {
  Shape shape{layer.batch, layer.out_channels};
  for (int a = layer.first_axis(); a < shape::kMaxSpatialRank; ++a) shape.push_back(layer.output[static_cast<size_t>(a)]);
  return shape;
}

shape::PoolShape windows_of_two() {
  shape::PoolShape pool;
  for (size_t a = 1; a < 3; ++a) pool.axes[a] = {.kernel_size = 2, .stride = 2};
  return pool;
}

bool are_spatial(const Tensor& axes, int64_t rank) {
  std::vector<char> named(static_cast<size_t>(rank), 0);
  for (const int64_t axis : axes.to(DType::kInt64).to_vector<int64_t>()) {
    if (axis < -rank || axis >= rank) return false;
    named[static_cast<size_t>(axis < 0 ? axis + rank : axis)] = 1;
  }
  for (int64_t i = 0; i < rank; ++i) {
    if ((named[static_cast<size_t>(i)] != 0) != (i >= 2)) return false;
  }
  return true;
}

}  // namespace convoy::graph
