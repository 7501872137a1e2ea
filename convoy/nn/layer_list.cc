#include "convoy/nn/layer_list.h"

#include <algorithm>

#include "convoy/nn/activation.h"
#include "convoy/nn/conv.h"
#include "convoy/nn/dropout.h"
#include "convoy/nn/linear.h"
#include "convoy/nn/norm.h"
#include "convoy/nn/pad.h"
#include "convoy/nn/pool.h"
#include "convoy/nn/reparam/rows.h"

namespace convoy::nn {

namespace {

using shape::Checked;

Checked product(const std::vector<int64_t>& values, Checked count) {
  for (const int64_t v : values) count = count * v;
  return count;
}

template <class Layer>
std::shared_ptr<Module> build_conv(const PrintedOptions& o) {
  return std::make_shared<Layer>(convolution_options<ConvLayerOptions>(o));
}

template <class Layer>
std::shared_ptr<Module> build_conv_transpose(const PrintedOptions& o) {
  auto options = convolution_options<ConvTransposeLayerOptions>(o);
  options.output_padding = o.sizes("output_padding", 0);
  return std::make_shared<Layer>(options);
}

// An upper bound if groups are wrong: the constructor says so afterwards.
template <int rank>
Checked conv_values(const PrintedOptions& o) {
  const int64_t in = o.integer("in_channels"), out = o.integer("out_channels");
  const int64_t groups = std::max<int64_t>(o.integer("groups", 1), 1);
  return product(o.sizes("kernel_size").expand(rank), Checked(in / groups) * out) + out;
}

template <class Layer>
std::shared_ptr<Module> build_max_pool(const PrintedOptions& o) {
  o.only("return_indices", "False");
  return std::make_shared<Layer>(MaxPoolOptions{.kernel_size = o.sizes("kernel_size"),
                                                .stride = o.sizes("stride"),
                                                .padding = o.sizes("padding", 0),
                                                .dilation = o.sizes("dilation", 1),
                                                .ceil_mode = o.flag("ceil_mode", false)});
}

template <class Layer>
std::shared_ptr<Module> build_avg_pool(const PrintedOptions& o) {
  return std::make_shared<Layer>(AvgPoolOptions{.kernel_size = o.sizes("kernel_size"),
                                                .stride = o.sizes("stride"),
                                                .padding = o.sizes("padding", 0),
                                                .ceil_mode = o.flag("ceil_mode", false),
                                                .count_include_pad = o.flag("count_include_pad", true),
                                                .divisor_override = o.optional_integer("divisor_override")});
}

template <class Layer>
std::shared_ptr<Module> build_lp_pool(const PrintedOptions& o) {
  return std::make_shared<Layer>(LPPoolOptions{.norm_type = o.number("norm_type", 0),
                                               .kernel_size = o.sizes("kernel_size"),
                                               .stride = o.sizes("stride"),
                                               .ceil_mode = o.flag("ceil_mode", false)});
}

template <class Layer>
std::shared_ptr<Module> build_adaptive_avg_pool(const PrintedOptions& o) {
  return std::make_shared<Layer>(AdaptivePoolOptions{.output_size = o.output_size("output_size")});
}

template <class Layer>
std::shared_ptr<Module> build_adaptive_max_pool(const PrintedOptions& o) {
  o.only("return_indices", "False");
  return std::make_shared<Layer>(AdaptivePoolOptions{.output_size = o.output_size("output_size")});
}

template <class Layer>
std::shared_ptr<Module> build_batch_norm(const PrintedOptions& o) {
  return std::make_shared<Layer>(BatchNormLayerOptions{.num_features = o.integer("num_features"),
                                                       .eps = o.number("eps", 1e-5),
                                                       .momentum = o.optional_number("momentum", 0.1),
                                                       .affine = o.flag("affine", true),
                                                       .track_running_stats = o.flag("track_running_stats", true)});
}

template <class Layer>
std::shared_ptr<Module> build_instance_norm(const PrintedOptions& o) {
  return std::make_shared<Layer>(InstanceNormLayerOptions{.num_features = o.integer("num_features"),
                                                          .eps = o.number("eps", 1e-5),
                                                          .momentum = o.optional_number("momentum", 0.1),
                                                          .affine = o.flag("affine", false),
                                                          .track_running_stats = o.flag("track_running_stats", false)});
}

Checked norm_values(const PrintedOptions& o) { return Checked(4) * o.integer("num_features"); }

template <class Layer>
std::shared_ptr<Module> build_inplace(const PrintedOptions& o) {
  return std::make_shared<Layer>(InplaceOptions{.inplace = o.flag("inplace", false)});
}

template <class Layer>
std::shared_ptr<Module> build_plain(const PrintedOptions&) {
  return std::make_shared<Layer>();
}

template <class Layer>
std::shared_ptr<Module> build_softmax(const PrintedOptions& o) {
  return std::make_shared<Layer>(SoftmaxOptions{.dim = o.optional_integer("dim")});
}

template <class Layer>
std::shared_ptr<Module> build_dropout(const PrintedOptions& o) {
  return std::make_shared<Layer>(DropoutOptions{.p = o.number("p", 0.5), .inplace = o.flag("inplace", false)});
}

template <class Layer>
std::shared_ptr<Module> build_pad(const PrintedOptions& o) {
  return std::make_shared<Layer>(PadLayerOptions{.padding = o.sizes("padding")});
}

template <class Layer>
std::shared_ptr<Module> build_constant_pad(const PrintedOptions& o) {
  return std::make_shared<Layer>(ConstantPadOptions{.padding = o.sizes("padding"), .value = o.number("value", 0.0)});
}

template <class Layer>
std::shared_ptr<Module> build_upsampling(const PrintedOptions& o) {
  o.only("mode", std::is_same_v<Layer, UpsamplingNearest2d> ? "nearest" : "bilinear");
  return std::make_shared<Layer>(UpsamplingOptions{.size = o.sizes("size"), .scale_factor = o.scale_factor("scale_factor")});
}

std::shared_ptr<Module> build_upsample(const PrintedOptions& o) {
  o.only("recompute_scale_factor", "None");
  UpsampleOptions options{.size = o.sizes("size"),
                          .scale_factor = o.scale_factor("scale_factor"),
                          .mode = parse_interpolate_mode(o.word("mode", "nearest"))};
  if (const std::string corners = o.word("align_corners", "None"); corners != "None")
    options.align_corners = o.flag("align_corners", false);
  return std::make_shared<Upsample>(std::move(options));
}

std::shared_ptr<Module> build_linear(const PrintedOptions& o) {
  return std::make_shared<Linear>(LinearOptions{
      .in_features = o.integer("in_features"), .out_features = o.integer("out_features"), .bias = o.flag("bias", true)});
}

Checked linear_values(const PrintedOptions& o) {
  return Checked(o.integer("in_features")) * o.integer("out_features") + o.integer("out_features");
}

std::shared_ptr<Module> build_flatten(const PrintedOptions& o) {
  return std::make_shared<Flatten>(FlattenOptions{.start_dim = o.integer("start_dim", 1), .end_dim = o.integer("end_dim", -1)});
}

std::shared_ptr<Module> build_unflatten(const PrintedOptions& o) {
  return std::make_shared<Unflatten>(UnflattenOptions{.dim = o.integer("dim"), .unflattened_size = o.list("unflattened_size")});
}

std::shared_ptr<Module> build_gelu(const PrintedOptions& o) {
  return std::make_shared<GELU>(GELUOptions{.approximate = o.word("approximate", "none")});
}

std::shared_ptr<Module> build_leaky_relu(const PrintedOptions& o) {
  return std::make_shared<LeakyReLU>(
      LeakyReLUOptions{.negative_slope = o.number("negative_slope", 1e-2), .inplace = o.flag("inplace", false)});
}

std::shared_ptr<Module> build_elu(const PrintedOptions& o) {
  return std::make_shared<ELU>(ELUOptions{.alpha = o.number("alpha", 1.0), .inplace = o.flag("inplace", false)});
}

std::shared_ptr<Module> build_softplus(const PrintedOptions& o) {
  return std::make_shared<Softplus>(SoftplusOptions{.beta = o.number("beta", 1), .threshold = o.number("threshold", 20)});
}

std::shared_ptr<Module> build_hardtanh(const PrintedOptions& o) {
  return std::make_shared<Hardtanh>(HardtanhOptions{
      .min_val = o.number("min_val", -1.0), .max_val = o.number("max_val", 1.0), .inplace = o.flag("inplace", false)});
}

std::shared_ptr<Module> build_pixel_shuffle(const PrintedOptions& o) {
  return std::make_shared<PixelShuffle>(PixelShuffleOptions{.upscale_factor = o.integer("upscale_factor")});
}

std::shared_ptr<Module> build_pixel_unshuffle(const PrintedOptions& o) {
  return std::make_shared<PixelUnshuffle>(PixelUnshuffleOptions{.downscale_factor = o.integer("downscale_factor")});
}

std::shared_ptr<Module> build_group_norm(const PrintedOptions& o) {
  return std::make_shared<GroupNorm>(GroupNormOptions{.num_groups = o.integer("num_groups"),
                                                      .num_channels = o.integer("num_channels"),
                                                      .eps = o.number("eps", 1e-5),
                                                      .affine = o.flag("affine", true)});
}

Checked group_norm_values(const PrintedOptions& o) { return Checked(2) * o.integer("num_channels"); }

std::shared_ptr<Module> build_layer_norm(const PrintedOptions& o) {
  return std::make_shared<LayerNorm>(LayerNormOptions{.normalized_shape = o.sizes("normalized_shape"),
                                                      .eps = o.number("eps", 1e-5),
                                                      .elementwise_affine = o.flag("elementwise_affine", true)});
}

Checked layer_norm_values(const PrintedOptions& o) { return product(o.sizes("normalized_shape").values(), 2); }

std::vector<LayerRow> make_list() {
  using Names = std::vector<const char*>;
  const Names conv = {"in_channels", "out_channels", "kernel_size", "stride",      "padding",
                      "dilation",    "groups",       "bias",        "padding_mode"};
  const Names conv_transpose = {"in_channels",    "out_channels", "kernel_size", "stride",   "padding",
                                "output_padding", "groups",       "bias",        "dilation", "padding_mode"};
  const Names max_pool = {"kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"};
  const Names avg_pool1d = {"kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"};
  const Names avg_pool = {"kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"};
  const Names lp_pool = {"norm_type", "kernel_size", "stride", "ceil_mode"};
  const Names adaptive = {"output_size"};
  const Names adaptive_max = {"output_size", "return_indices"};
  const Names norm = {"num_features", "eps", "momentum", "affine", "track_running_stats"};
  const Names inplace = {"inplace"};
  const Names padding = {"padding"};
  const Names constant = {"padding", "value"};
  std::vector<LayerRow> list = {
      {"Conv1d", conv, 3, build_conv<Conv1d>, conv_values<1>},
      {"Conv2d", conv, 3, build_conv<Conv2d>, conv_values<2>},
      {"Conv3d", conv, 3, build_conv<Conv3d>, conv_values<3>},
      {"ConvTranspose1d", conv_transpose, 3, build_conv_transpose<ConvTranspose1d>, conv_values<1>},
      {"ConvTranspose2d", conv_transpose, 3, build_conv_transpose<ConvTranspose2d>, conv_values<2>},
      {"ConvTranspose3d", conv_transpose, 3, build_conv_transpose<ConvTranspose3d>, conv_values<3>},
      {"MaxPool1d", max_pool, 1, build_max_pool<MaxPool1d>, nullptr},
      {"MaxPool2d", max_pool, 1, build_max_pool<MaxPool2d>, nullptr},
      {"MaxPool3d", max_pool, 1, build_max_pool<MaxPool3d>, nullptr},
      {"AvgPool1d", avg_pool1d, 1, build_avg_pool<AvgPool1d>, nullptr},
      {"AvgPool2d", avg_pool, 1, build_avg_pool<AvgPool2d>, nullptr},
      {"AvgPool3d", avg_pool, 1, build_avg_pool<AvgPool3d>, nullptr},
      {"LPPool1d", lp_pool, 2, build_lp_pool<LPPool1d>, nullptr},
      {"LPPool2d", lp_pool, 2, build_lp_pool<LPPool2d>, nullptr},
      {"AdaptiveAvgPool1d", adaptive, 1, build_adaptive_avg_pool<AdaptiveAvgPool1d>, nullptr},
      {"AdaptiveAvgPool2d", adaptive, 1, build_adaptive_avg_pool<AdaptiveAvgPool2d>, nullptr},
      {"AdaptiveAvgPool3d", adaptive, 1, build_adaptive_avg_pool<AdaptiveAvgPool3d>, nullptr},
      {"AdaptiveMaxPool1d", adaptive_max, 1, build_adaptive_max_pool<AdaptiveMaxPool1d>, nullptr},
      {"AdaptiveMaxPool2d", adaptive_max, 1, build_adaptive_max_pool<AdaptiveMaxPool2d>, nullptr},
      {"AdaptiveMaxPool3d", adaptive_max, 1, build_adaptive_max_pool<AdaptiveMaxPool3d>, nullptr},
      {"BatchNorm1d", norm, 1, build_batch_norm<BatchNorm1d>, norm_values},
      {"BatchNorm2d", norm, 1, build_batch_norm<BatchNorm2d>, norm_values},
      {"BatchNorm3d", norm, 1, build_batch_norm<BatchNorm3d>, norm_values},
      {"InstanceNorm1d", norm, 1, build_instance_norm<InstanceNorm1d>, norm_values},
      {"InstanceNorm2d", norm, 1, build_instance_norm<InstanceNorm2d>, norm_values},
      {"InstanceNorm3d", norm, 1, build_instance_norm<InstanceNorm3d>, norm_values},
      {"GroupNorm", {"num_groups", "num_channels", "eps", "affine"}, 2, build_group_norm, group_norm_values},
      {"LayerNorm", {"normalized_shape", "eps", "elementwise_affine"}, 1, build_layer_norm, layer_norm_values},
      {"Linear", {"in_features", "out_features", "bias"}, 2, build_linear, linear_values},
      {"Flatten", {"start_dim", "end_dim"}, 0, build_flatten, nullptr},
      {"Unflatten", {"dim", "unflattened_size"}, 2, build_unflatten, nullptr},
      {"Identity", {}, 0, build_plain<Identity>, nullptr},
      {"ReLU", inplace, 0, build_inplace<ReLU>, nullptr},
      {"ReLU6", inplace, 0, build_inplace<ReLU6>, nullptr},
      {"LeakyReLU", {"negative_slope", "inplace"}, 0, build_leaky_relu, nullptr},
      {"ELU", {"alpha", "inplace"}, 0, build_elu, nullptr},
      {"SiLU", inplace, 0, build_inplace<SiLU>, nullptr},
      {"GELU", {"approximate"}, 0, build_gelu, nullptr},
      {"Mish", inplace, 0, build_inplace<Mish>, nullptr},
      {"Hardswish", inplace, 0, build_inplace<Hardswish>, nullptr},
      {"Hardsigmoid", inplace, 0, build_inplace<Hardsigmoid>, nullptr},
      {"Hardtanh", {"min_val", "max_val", "inplace"}, 0, build_hardtanh, nullptr},
      {"Sigmoid", {}, 0, build_plain<Sigmoid>, nullptr},
      {"Tanh", {}, 0, build_plain<Tanh>, nullptr},
      {"Softplus", {"beta", "threshold"}, 0, build_softplus, nullptr},
      {"Softmax", {"dim"}, 0, build_softmax<Softmax>, nullptr},
      {"LogSoftmax", {"dim"}, 0, build_softmax<LogSoftmax>, nullptr},
      {"Dropout", {"p", "inplace"}, 0, build_dropout<Dropout>, nullptr},
      {"Dropout2d", {"p", "inplace"}, 0, build_dropout<Dropout2d>, nullptr},
      {"ZeroPad2d", padding, 1, build_pad<ZeroPad2d>, nullptr},
      {"ConstantPad1d", constant, 2, build_constant_pad<ConstantPad1d>, nullptr},
      {"ConstantPad2d", constant, 2, build_constant_pad<ConstantPad2d>, nullptr},
      {"ConstantPad3d", constant, 2, build_constant_pad<ConstantPad3d>, nullptr},
      {"ReflectionPad1d", padding, 1, build_pad<ReflectionPad1d>, nullptr},
      {"ReflectionPad2d", padding, 1, build_pad<ReflectionPad2d>, nullptr},
      {"ReflectionPad3d", padding, 1, build_pad<ReflectionPad3d>, nullptr},
      {"ReplicationPad1d", padding, 1, build_pad<ReplicationPad1d>, nullptr},
      {"ReplicationPad2d", padding, 1, build_pad<ReplicationPad2d>, nullptr},
      {"ReplicationPad3d", padding, 1, build_pad<ReplicationPad3d>, nullptr},
      {"PixelShuffle", {"upscale_factor"}, 1, build_pixel_shuffle, nullptr},
      {"PixelUnshuffle", {"downscale_factor"}, 1, build_pixel_unshuffle, nullptr},
      {"Upsample", {"size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"}, 0, build_upsample, nullptr},
      {"UpsamplingNearest2d", {"size", "scale_factor", "mode"}, 0, build_upsampling<UpsamplingNearest2d>, nullptr},
      {"UpsamplingBilinear2d", {"size", "scale_factor", "mode"}, 0, build_upsampling<UpsamplingBilinear2d>, nullptr},
  };
  for (LayerRow& row : reparam_rows()) list.push_back(std::move(row));
  return list;
}

}  // namespace

std::span<const LayerRow> layer_list() {
  static const std::vector<LayerRow> list = make_list();
  return list;
}

const LayerRow* find_layer(std::string_view type) {
  for (const LayerRow& row : layer_list()) {
    if (type == row.type) return &row;
  }
  return nullptr;
}

}  // namespace convoy::nn
