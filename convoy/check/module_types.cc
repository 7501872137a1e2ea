
#include "convoy/check/op_table.h"
#include "convoy/nn/activation.h"
#include "convoy/nn/conv.h"
#include "convoy/nn/dropout.h"
#include "convoy/nn/linear.h"
#include "convoy/nn/norm.h"
#include "convoy/nn/pad.h"
#include "convoy/nn/pool.h"
#include "convoy/nn/resize.h"

namespace convoy::check {
namespace {

using Made = std::shared_ptr<nn::Module>;

nn::Number number(const Arguments& o, const char* name, nn::Number otherwise) {
  const double value = o.number(name, otherwise);  // refuses what is no number
  const Argument* given = o.find(name);
  if (given == nullptr) return otherwise;
  return given->kind == Argument::Kind::kInteger ? nn::Number(given->integer) : nn::Number(value);
}

/// A momentum: null is Python's None, a value of its own.
std::optional<nn::Number> momentum(const Arguments& o) {
  if (o.given("momentum") && o.find("momentum") == nullptr) return std::nullopt;
  return number(o, "momentum", 0.1);
}

nn::OutputSize output_size(const Arguments& o) {
  if (o.given("output_size") && o.find("output_size") == nullptr) return std::nullopt;
  const Argument& given = o.required("output_size");
  if (given.kind == Argument::Kind::kList) return o.adaptive_size("output_size", 0);
  return o.integer("output_size");
}

PaddingMode padding_mode(const Arguments& o) { return parse_padding_mode(o.text("padding_mode", "zeros")); }

template <class Layer>
Made make_conv(const Arguments& o) {
  return std::make_shared<Layer>(nn::ConvLayerOptions{.in_channels = o.integer("in_channels"),
                                                      .out_channels = o.integer("out_channels"),
                                                      .kernel_size = o.required_axes("kernel_size"),
                                                      .stride = o.axes("stride", 1),
                                                      .padding = o.padding("padding"),
                                                      .dilation = o.axes("dilation", 1),
                                                      .groups = o.integer("groups", 1),
                                                      .bias = o.flag("bias", true),
                                                      .padding_mode = padding_mode(o)});
}

template <class Layer>
Made make_conv_transpose(const Arguments& o) {
  return std::make_shared<Layer>(nn::ConvTransposeLayerOptions{.in_channels = o.integer("in_channels"),
                                                               .out_channels = o.integer("out_channels"),
                                                               .kernel_size = o.required_axes("kernel_size"),
                                                               .stride = o.axes("stride", 1),
                                                               .padding = o.padding("padding"),
                                                               .output_padding = o.axes("output_padding", 0),
                                                               .groups = o.integer("groups", 1),
                                                               .bias = o.flag("bias", true),
                                                               .dilation = o.axes("dilation", 1),
                                                               .padding_mode = padding_mode(o)});
}

template <class Layer>
Made make_max_pool(const Arguments& o) {
  o.flag("return_indices", false);  // not printed, no parameters
  return std::make_shared<Layer>(MaxPoolOptions{.kernel_size = o.required_axes("kernel_size"),
                                                .stride = o.axes("stride", {}),
                                                .padding = o.axes("padding", 0),
                                                .dilation = o.axes("dilation", 1),
                                                .ceil_mode = o.flag("ceil_mode", false)});
}

template <class Layer>
Made make_avg_pool(const Arguments& o) {
  AvgPoolOptions options{.kernel_size = o.required_axes("kernel_size"),
                         .stride = o.axes("stride", {}),
                         .padding = o.axes("padding", 0),
                         .ceil_mode = o.flag("ceil_mode", false),
                         .count_include_pad = o.flag("count_include_pad", true)};
  if (o.find("divisor_override") != nullptr) options.divisor_override = o.integer("divisor_override");
  return std::make_shared<Layer>(options);
}

template <class Layer>
Made make_adaptive_pool(const Arguments& o) {
  o.flag("return_indices", false);
  return std::make_shared<Layer>(nn::AdaptivePoolOptions{.output_size = output_size(o)});
}

template <class Layer>
Made make_lp_pool(const Arguments& o) {
  o.required("norm_type");
  return std::make_shared<Layer>(nn::LPPoolOptions{.norm_type = number(o, "norm_type", 2),
                                                   .kernel_size = o.required_axes("kernel_size"),
                                                   .stride = o.axes("stride", {}),
                                                   .ceil_mode = o.flag("ceil_mode", false)});
}

template <class Layer>
Made make_batch_norm(const Arguments& o) {
  return std::make_shared<Layer>(nn::BatchNormLayerOptions{.num_features = o.integer("num_features"),
                                                           .eps = number(o, "eps", 1e-5),
                                                           .momentum = momentum(o),
                                                           .affine = o.flag("affine", true),
                                                           .track_running_stats = o.flag("track_running_stats", true)});
}

template <class Layer>
Made make_instance_norm(const Arguments& o) {
  return std::make_shared<Layer>(nn::InstanceNormLayerOptions{.num_features = o.integer("num_features"),
                                                              .eps = number(o, "eps", 1e-5),
                                                              .momentum = momentum(o),
                                                              .affine = o.flag("affine", false),
                                                              .track_running_stats = o.flag("track_running_stats", false)});
}

Made make_group_norm(const Arguments& o) {
  return std::make_shared<nn::GroupNorm>(nn::GroupNormOptions{.num_groups = o.integer("num_groups"),
                                                              .num_channels = o.integer("num_channels"),
                                                              .eps = number(o, "eps", 1e-5),
                                                              .affine = o.flag("affine", true)});
}

Made make_layer_norm(const Arguments& o) {
  return std::make_shared<nn::LayerNorm>(nn::LayerNormOptions{.normalized_shape = o.required_axes("normalized_shape"),
                                                              .eps = number(o, "eps", 1e-5),
                                                              .elementwise_affine = o.flag("elementwise_affine", true)});
}

Made make_linear(const Arguments& o) {
  return std::make_shared<nn::Linear>(nn::LinearOptions{
      .in_features = o.integer("in_features"), .out_features = o.integer("out_features"), .bias = o.flag("bias", true)});
}

Made make_flatten(const Arguments& o) {
  return std::make_shared<nn::Flatten>(
      nn::FlattenOptions{.start_dim = o.integer("start_dim", 1), .end_dim = o.integer("end_dim", -1)});
}

template <class Layer>
Made make_plain(const Arguments&) {
  return std::make_shared<Layer>();
}

template <class Layer>
Made make_inplace(const Arguments& o) {
  return std::make_shared<Layer>(nn::InplaceOptions{.inplace = o.flag("inplace", false)});
}

Made make_leaky_relu(const Arguments& o) {
  return std::make_shared<nn::LeakyReLU>(
      nn::LeakyReLUOptions{.negative_slope = number(o, "negative_slope", 1e-2), .inplace = o.flag("inplace", false)});
}

Made make_elu(const Arguments& o) {
  return std::make_shared<nn::ELU>(nn::ELUOptions{.alpha = number(o, "alpha", 1.0), .inplace = o.flag("inplace", false)});
}

Made make_softplus(const Arguments& o) {
  return std::make_shared<nn::Softplus>(nn::SoftplusOptions{.beta = number(o, "beta", 1), .threshold = number(o, "threshold", 20)});
}

Made make_hardtanh(const Arguments& o) {
  return std::make_shared<nn::Hardtanh>(nn::HardtanhOptions{
      .min_val = number(o, "min_val", -1.0), .max_val = number(o, "max_val", 1.0), .inplace = o.flag("inplace", false)});
}

template <class Layer>
Made make_softmax(const Arguments& o) {
  nn::SoftmaxOptions options;
  if (o.find("dim") != nullptr) options.dim = o.integer("dim");
  return std::make_shared<Layer>(options);
}

template <class Layer>
Made make_dropout(const Arguments& o) {
  return std::make_shared<Layer>(nn::DropoutOptions{.p = number(o, "p", 0.5), .inplace = o.flag("inplace", false)});
}

template <class Layer>
Made make_pad(const Arguments& o) {
  return std::make_shared<Layer>(nn::PadLayerOptions{.padding = o.required_axes("padding")});
}

template <class Layer>
Made make_constant_pad(const Arguments& o) {
  return std::make_shared<Layer>(nn::ConstantPadOptions{.padding = o.required_axes("padding"), .value = number(o, "value", 0.0)});
}

Made make_pixel_shuffle(const Arguments& o) {
  return std::make_shared<nn::PixelShuffle>(nn::PixelShuffleOptions{.upscale_factor = o.integer("upscale_factor")});
}

Made make_pixel_unshuffle(const Arguments& o) {
  return std::make_shared<nn::PixelUnshuffle>(nn::PixelUnshuffleOptions{.downscale_factor = o.integer("downscale_factor")});
}

Made make_upsample(const Arguments& o) {
  nn::UpsampleOptions options{.size = o.axes("size", {}), .mode = parse_interpolate_mode(o.text("mode", "nearest"))};
  if (const Argument* given = o.find("scale_factor"); given != nullptr && given->kind == Argument::Kind::kList) {
    options.scale_factor = o.numbers("scale_factor");
  } else if (given != nullptr) {
    options.scale_factor = o.number("scale_factor", 1);
  }
  if (o.find("align_corners") != nullptr) options.align_corners = o.flag("align_corners", false);
  return std::make_shared<nn::Upsample>(options);
}

Made make_unflatten(const Arguments& o) {
  return std::make_shared<nn::Unflatten>(
      nn::UnflattenOptions{.dim = o.integer("dim"), .unflattened_size = o.sizes("unflattened_size")});
}

constexpr ModuleRow kRows[] = {
    {"Conv1d", make_conv<nn::Conv1d>},
    {"Conv2d", make_conv<nn::Conv2d>},
    {"Conv3d", make_conv<nn::Conv3d>},
    {"ConvTranspose1d", make_conv_transpose<nn::ConvTranspose1d>},
    {"ConvTranspose2d", make_conv_transpose<nn::ConvTranspose2d>},
    {"ConvTranspose3d", make_conv_transpose<nn::ConvTranspose3d>},
    {"MaxPool1d", make_max_pool<nn::MaxPool1d>},
    {"MaxPool2d", make_max_pool<nn::MaxPool2d>},
    {"MaxPool3d", make_max_pool<nn::MaxPool3d>},
    {"AvgPool1d", make_avg_pool<nn::AvgPool1d>},
    {"AvgPool2d", make_avg_pool<nn::AvgPool2d>},
    {"AvgPool3d", make_avg_pool<nn::AvgPool3d>},
    {"AdaptiveAvgPool1d", make_adaptive_pool<nn::AdaptiveAvgPool1d>},
    {"AdaptiveAvgPool2d", make_adaptive_pool<nn::AdaptiveAvgPool2d>},
    {"AdaptiveAvgPool3d", make_adaptive_pool<nn::AdaptiveAvgPool3d>},
    {"AdaptiveMaxPool1d", make_adaptive_pool<nn::AdaptiveMaxPool1d>},
    {"AdaptiveMaxPool2d", make_adaptive_pool<nn::AdaptiveMaxPool2d>},
    {"AdaptiveMaxPool3d", make_adaptive_pool<nn::AdaptiveMaxPool3d>},
    {"LPPool1d", make_lp_pool<nn::LPPool1d>},
    {"LPPool2d", make_lp_pool<nn::LPPool2d>},
    {"BatchNorm1d", make_batch_norm<nn::BatchNorm1d>},
    {"BatchNorm2d", make_batch_norm<nn::BatchNorm2d>},
    {"BatchNorm3d", make_batch_norm<nn::BatchNorm3d>},
    {"InstanceNorm1d", make_instance_norm<nn::InstanceNorm1d>},
    {"InstanceNorm2d", make_instance_norm<nn::InstanceNorm2d>},
    {"InstanceNorm3d", make_instance_norm<nn::InstanceNorm3d>},
    {"GroupNorm", make_group_norm},
    {"LayerNorm", make_layer_norm},
    {"Linear", make_linear},
    {"Flatten", make_flatten},
    {"Identity", make_plain<nn::Identity>},
    {"ReLU", make_inplace<nn::ReLU>},
    {"ReLU6", make_inplace<nn::ReLU6>},
    {"SiLU", make_inplace<nn::SiLU>},
    {"Mish", make_inplace<nn::Mish>},
    {"Hardswish", make_inplace<nn::Hardswish>},
    {"Hardsigmoid", make_inplace<nn::Hardsigmoid>},
    {"Sigmoid", make_plain<nn::Sigmoid>},
    {"Tanh", make_plain<nn::Tanh>},
    {"GELU", make_plain<nn::GELU>},
    {"LeakyReLU", make_leaky_relu},
    {"ELU", make_elu},
    {"Softplus", make_softplus},
    {"Hardtanh", make_hardtanh},
    {"Softmax", make_softmax<nn::Softmax>},
    {"LogSoftmax", make_softmax<nn::LogSoftmax>},
    {"Dropout", make_dropout<nn::Dropout>},
    {"Dropout2d", make_dropout<nn::Dropout2d>},
    {"ZeroPad2d", make_pad<nn::ZeroPad2d>},
    {"ConstantPad1d", make_constant_pad<nn::ConstantPad1d>},
    {"ConstantPad2d", make_constant_pad<nn::ConstantPad2d>},
    {"ConstantPad3d", make_constant_pad<nn::ConstantPad3d>},
    {"ReflectionPad1d", make_pad<nn::ReflectionPad1d>},
    {"ReflectionPad2d", make_pad<nn::ReflectionPad2d>},
    {"ReflectionPad3d", make_pad<nn::ReflectionPad3d>},
    {"ReplicationPad1d", make_pad<nn::ReplicationPad1d>},
    {"ReplicationPad2d", make_pad<nn::ReplicationPad2d>},
    {"ReplicationPad3d", make_pad<nn::ReplicationPad3d>},
    {"PixelShuffle", make_pixel_shuffle},
    {"PixelUnshuffle", make_pixel_unshuffle},
    {"Upsample", make_upsample},
    {"Unflatten", make_unflatten},
};

}  // namespace

std::span<const ModuleRow> module_types() { return kRows; }

}  // namespace convoy::check
