// Convolutions: plain, transposed, of integers, with offsets; and columns back to images.
#include "convoy/ops/conv.h"

#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/rules.h"
#include "convoy/graph/windows.h"
#include "convoy/ops/deform_conv.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/pad.h"
#include "convoy/ops/quantize.h"
#include "convoy/ops/rearrange.h"
#include "convoy/shape/checked.h"

namespace convoy::graph {
namespace {

// The kernel's sizes of a weight (O, I, *).
std::vector<int64_t> kernel_of(const Shape& weight) {
  if (weight.size() < 3) {
    raise<ShapeMismatch>("the weight has shape {}\nit must have two axes of channels and one for each spatial axis", weight);
  }
  std::vector<int64_t> kernel(weight.begin() + 2, weight.end());
  for (const int64_t size : kernel) {
    if (size < 1) raise<ShapeMismatch>("the weight has shape {}\nkernel sizes must be at least 1", weight);
  }
  return kernel;
}

// kernel_shape only repeats what the weight says.
void check_kernel(const Attributes& attributes, const std::vector<int64_t>& kernel) {
  const std::vector<int64_t> stated = attributes.integers("kernel_shape");
  if (!stated.empty() && stated != kernel) {
    raise<ShapeMismatch>("attribute 'kernel_shape' is {}\nthe weight's kernel is {}", stated, kernel);
  }
}

int64_t groups_of(const Attributes& attributes) {
  const int64_t groups = attributes.integer("group", 1);
  if (groups < 1) raise<Error>("attribute 'group' is {}\nit must be at least 1", groups);
  return groups;
}

void check_input(const Shape& input, const Shape& weight) {
  if (input.size() != weight.size()) {
    raise<ShapeMismatch>("the input has shape {}, the weight {}\nboth need the same number of axes", input, weight);
  }
}

std::vector<shape::Axis> axes_of(const Attributes& attributes, const Shape& input, const Shape& weight) {
  check_input(input, weight);
  check_kernel(attributes, kernel_of(weight));
  return *windows(attributes, kernel_of(weight), spatial_sizes(dims_of(input)));
}

ConvOptions conv_options(const Attributes& attributes, const Shape& input, const Shape& weight) {
  std::vector<int64_t> stride, dilation;
  std::vector<shape::PadPair> pads;
  for (const shape::Axis& axis : axes_of(attributes, input, weight)) {
    stride.push_back(axis.stride);
    dilation.push_back(axis.dilation);
    pads.push_back({axis.pad_begin, axis.pad_end});
  }
  return {.stride = stride, .padding = pads, .dilation = dilation, .groups = groups_of(attributes)};
}

// 16-bit floats are computed in float32 and rounded once.
Tensor computed(const Tensor& tensor) {
  return tensor.defined() && is_floating(tensor.dtype()) && !is_float_or_double(tensor.dtype()) ? tensor.to(DType::kFloat32)
                                                                                                : tensor;
}

std::vector<Value> run_conv(Call& call) {
  const Tensor input = computed(call.tensor(0)), weight = computed(call.tensor(1)), bias = computed(call.tensor(2));
  const ConvOptions options = conv_options(call.attributes(), input.shape(), weight.shape());
  return {ops::conv(static_cast<int>(input.dim()) - 2, input, weight, bias, options).to(call.tensor(0).dtype())};
}

void infer_windows(Inference& inference, size_t weight_input, std::optional<DType> dtype) {
  const std::optional<Dims>&input = inference.dims(0), &weight = inference.dims(weight_input);
  if (!weight || !input) {
    // What the attributes say is refused also where the shapes cannot be told yet.
    if (weight && weight->size() >= 3) {
      std::vector<int64_t> kernel;
      for (size_t i = 2; i < weight->size(); ++i) kernel.push_back(std::max<int64_t>((*weight)[i].size, 1));
      groups_of(inference.attributes());
      windows(inference.attributes(), kernel, std::vector<int64_t>(kernel.size(), -1));
    }
    return inference.set(0, dtype, std::nullopt);
  }
  if (input->size() != weight->size() || input->size() < 3) {
    raise<ShapeMismatch>("the input is {}, the weight {}\nboth need the same number of axes, at least 3", *input, *weight);
  }
  const int64_t groups = groups_of(inference.attributes());
  const Dim &channels = (*input)[1], &per_group = (*weight)[1], &outputs = (*weight)[0];
  if (channels.known() && per_group.known() && (channels.size % groups != 0 || channels.size / groups != per_group.size)) {
    raise<ShapeMismatch>(
        "the input has {} channels, the weight {} in {} groups\n"
        "the input's channels must be the weight's second size times the groups",
        channels.size, *weight, groups);
  }
  if (outputs.known() && outputs.size % groups != 0) {
    raise<ShapeMismatch>("attribute 'group' is {}, the weight {}\nthe groups must divide its first size", groups, *weight);
  }
  Dims output{(*input)[0], outputs};
  const std::vector<int64_t> kernel = kernel_sizes(inference.attributes(), *weight);
  if (kernel.empty()) {
    output.resize(input->size());
    return inference.set(0, dtype, std::move(output));
  }
  check_kernel(inference.attributes(), kernel);
  const auto axes = windows(inference.attributes(), kernel, spatial_sizes(*input));
  for (size_t i = 0; i < kernel.size(); ++i) {
    const Dim& n = (*input)[2 + i];
    if (!axes || !n.known()) {
      const bool keeps = axes && (*axes)[i] == shape::Axis{};
      output.push_back(keeps ? n : Dim{});
      continue;
    }
    const shape::Result<int64_t> size = shape::output_size(n.size, (*axes)[i]);
    if (!size) refuse_axis(size.error(), i, n.size, (*axes)[i]);
    output.push_back({*size});
  }
  inference.set(0, dtype, std::move(output));
}

// One number per output channel, where both are known.
void check_bias(const Inference& inference, size_t bias_input, const Dim& outputs) {
  if (!inference.has(bias_input) || !inference.dims(bias_input)) return;
  const Dims& bias = *inference.dims(bias_input);
  if (bias.size() != 1 || (bias[0].known() && outputs.known() && bias[0].size != outputs.size)) {
    raise<ShapeMismatch>("the bias has shape {} for {} output channels\nit needs one number for each", bias, Dims{outputs});
  }
}

// What a layer computes with has one type.
void check_types(const Inference& inference) {
  const std::optional<DType> first = inference.dtype(0);
  for (size_t i = 1; i < inference.inputs(); ++i) {
    const std::optional<DType> other = inference.dtype(i);
    if (first && other && *first != *other)
      raise<Error>("input {} is {}, input 0 {}\nall must have one type: convert them with Cast", i, *other, *first);
  }
}

void infer_conv(Inference& inference) {
  check_types(inference);
  infer_windows(inference, 1, inference.dtype(0));
  if (const std::optional<Dims>& weight = inference.dims(1); weight && !weight->empty()) {
    check_bias(inference, inference.node().op == "DeformConv" ? 3 : 2, weight->front());
  }
}

// ---- transposed ----

Tensor with_bias(const Tensor& output, const Tensor& bias) {
  if (!bias.defined()) return output;
  Shape per_channel(output.shape().size() - 1, 1);
  per_channel[0] = bias.numel();
  return ops::add(output, bias.reshape(per_channel));
}

std::vector<Value> run_conv_transpose(Call& call) {
  const Tensor input = computed(call.tensor(0)), weight = computed(call.tensor(1)), bias = computed(call.tensor(2));
  check_input(input.shape(), weight.shape());
  check_kernel(call.attributes(), kernel_of(weight.shape()));
  const std::vector<TransposedAxis> axes =
      transposed_windows(call.attributes(), kernel_of(weight.shape()), spatial_sizes(dims_of(input.shape())));
  ConvTransposeOptions options{.groups = groups_of(call.attributes())};
  std::vector<int64_t> stride, dilation, padding, output_padding;
  bool symmetric = true;
  for (const TransposedAxis& axis : axes) {
    stride.push_back(axis.axis.stride);
    dilation.push_back(axis.axis.dilation);
    padding.push_back(axis.axis.pad_begin);
    output_padding.push_back(axis.output_padding);
    symmetric = symmetric && axis.axis.pad_begin == axis.axis.pad_end &&
                axis.output_padding < std::max(axis.axis.stride, axis.axis.dilation);
  }
  options.stride = stride;
  options.dilation = dilation;
  const int rank = static_cast<int>(axes.size());
  Tensor output;
  if (symmetric) {
    options.padding = padding;
    options.output_padding = output_padding;
    output = ops::conv_transpose(rank, input, weight, bias, options);
  } else {
    // Everything, then cut or extended: what no input reaches holds the bias alone.
    std::vector<shape::PadPair> pads(2);
    for (const TransposedAxis& axis : axes) pads.push_back({-axis.axis.pad_begin, axis.output_padding - axis.axis.pad_end});
    output = with_bias(ops::pad_axes(ops::conv_transpose(rank, input, weight, {}, options), pads, PadMode::kConstant), bias);
  }
  return {output.to(call.tensor(0).dtype())};
}

void infer_conv_transpose(Inference& inference) {
  check_types(inference);
  const std::optional<Dims>&input = inference.dims(0), &weight = inference.dims(1);
  if (!weight || !input) return inference.set(0, inference.dtype(0), std::nullopt);
  if (input->size() != weight->size() || input->size() < 3) {
    raise<ShapeMismatch>("the input is {}, the weight {}\nboth need the same number of axes, at least 3", *input, *weight);
  }
  const int64_t groups = groups_of(inference.attributes());
  const Dim &channels = (*input)[1], &in_channels = (*weight)[0], &per_group = (*weight)[1];
  if (channels.known() && in_channels.known() && (channels.size != in_channels.size || channels.size % groups != 0)) {
    raise<ShapeMismatch>(
        "the input has {} channels, the weight {} in {} groups\n"
        "the weight's first size must be the input's channels, which the groups must divide",
        channels.size, *weight, groups);
  }
  Dims output(input->size());
  output[0] = (*input)[0];
  if (per_group.known()) {
    const shape::Checked out_channels = shape::Checked(per_group.size) * groups;
    if (!out_channels.ok())
      raise<ShapeMismatch>("the weight is {}\nits second size times the groups does not fit 64 bits", *weight);
    output[1] = {out_channels.value()};
  }
  check_bias(inference, 2, output[1]);
  const std::vector<int64_t> kernel = kernel_sizes(inference.attributes(), *weight);
  if (kernel.empty()) return inference.set(0, inference.dtype(0), std::move(output));
  check_kernel(inference.attributes(), kernel);
  const std::vector<TransposedAxis> axes = transposed_windows(inference.attributes(), kernel, spatial_sizes(*input));
  for (size_t i = 0; i < axes.size(); ++i) output[2 + i] = {axes[i].output};
  inference.set(0, inference.dtype(0), std::move(output));
}

// ---- integers ----

std::vector<Value> run_conv_integer(Call& call) {
  const Tensor &input = call.tensor(0), &weight = call.tensor(1);
  return {ops::conv_integer(static_cast<int>(input.dim()) - 2, input, weight, call.tensor(2), call.tensor(3),
                            conv_options(call.attributes(), input.shape(), weight.shape()))};
}

void infer_conv_integer(Inference& inference) { infer_windows(inference, 1, DType::kInt32); }

std::vector<Value> run_qlinear_conv(Call& call) {
  const Tensor &input = call.tensor(0), &weight = call.tensor(3);
  return {ops::quantized_conv(static_cast<int>(input.dim()) - 2, input, {call.tensor(1), call.tensor(2)}, weight,
                              {call.tensor(4), call.tensor(5)}, {call.tensor(6), call.tensor(7)}, call.tensor(8),
                              conv_options(call.attributes(), input.shape(), weight.shape()))};
}

void infer_qlinear_conv(Inference& inference) { infer_windows(inference, 3, inference.dtype(7)); }

// ---- deformable ----

std::vector<Value> run_deform_conv(Call& call) {
  const Tensor input = computed(call.tensor(0)), weight = computed(call.tensor(1)), offset = computed(call.tensor(2)),
               bias = computed(call.tensor(3)), mask = computed(call.tensor(4));
  const ConvOptions options = conv_options(call.attributes(), input.shape(), weight.shape());
  return {ops::deform_conv2d(input, offset, weight, bias, mask,
                             {.stride = options.stride,
                              .padding = options.padding,
                              .dilation = options.dilation,
                              .groups = options.groups,
                              .offset_groups = call.attributes().integer("offset_group", 1)})
              .to(call.tensor(0).dtype())};
}

// ---- columns to images ----

shape::PoolShape col2im_shape(const Attributes& attributes, const std::vector<int64_t>& image, const std::vector<int64_t>& block) {
  if (image.size() != block.size() || image.empty() || image.size() > 3) {
    raise<ShapeMismatch>("image_shape is {}, block_shape {}\nboth need one size for each of 1 to 3 spatial axes", image, block);
  }
  const std::vector<shape::Axis> axes = *windows(attributes, block, image);
  shape::PoolShape shape;
  shape.rank = static_cast<int>(image.size());
  for (size_t i = 0; i < image.size(); ++i) {
    shape.input[3 - image.size() + i] = image[i];
    shape.axes[3 - image.size() + i] = axes[i];
  }
  return shape;
}

std::vector<Value> run_col2im(Call& call) {
  return {ops::col2im(call.tensor(0), col2im_shape(call.attributes(), call.numbers(1), call.numbers(2)))};
}

void infer_col2im(Inference& inference) {
  need_rank(inference, 0, 3, 3);
  const std::optional<std::vector<int64_t>> image = inference.numbers(1), block = inference.numbers(2);
  if (image && block) col2im_shape(inference.attributes(), *image, *block);
  const auto image_rank = count_of_numbers(inference, 1), rank = image_rank ? image_rank : count_of_numbers(inference, 2);
  if (!rank) return inference.set(0, inference.dtype(0), std::nullopt);
  Dims dims(2 + *rank);
  if (inference.dims(0)) {
    const Dim& channels = (*inference.dims(0))[1];
    shape::Checked taps(block ? 1 : 0);
    for (const int64_t size : block.value_or(std::vector<int64_t>{})) taps = taps * size;
    dims[0] = (*inference.dims(0))[0];
    if (channels.known() && taps.ok() && taps.value() > 0) dims[1] = {channels.size / taps.value()};
  }
  for (size_t i = 0; image && i < std::min(*rank, image->size()); ++i) dims[2 + i] = {(*image)[i]};
  inference.set(0, inference.dtype(0), std::move(dims));
}

}  // namespace

std::span<const Operator> conv_operators() {
  static constexpr Operator kRows[] = {
      {"Conv", infer_conv, run_conv},
      {"ConvTranspose", infer_conv_transpose, run_conv_transpose},
      {"ConvInteger", infer_conv_integer, run_conv_integer, false, 0, 2},
      {"QLinearConv", infer_qlinear_conv, run_qlinear_conv, false, 0, 2},
      {"DeformConv", infer_conv, run_deform_conv, false, 1},
      {"Col2Im", infer_col2im, run_col2im},
  };
  return kRows;
}

}  // namespace convoy::graph
