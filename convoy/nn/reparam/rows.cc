#include "convoy/nn/reparam/rows.h"

#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/io/file.h"
#include "convoy/nn/layer_list.h"
#include "convoy/nn/reparam/ac_block.h"
#include "convoy/nn/reparam/bn_and_pad.h"
#include "convoy/nn/reparam/diverse_branch_block.h"
#include "convoy/nn/reparam/rep_vgg_block.h"
#include "convoy/nn/reparam/se_block.h"

namespace convoy::nn {

namespace {

using shape::Checked;
using Options = std::vector<PrintedModule::Option>;

const PrintedModule* child_of(const PrintedModule& module, const char* name) {
  for (const PrintedChild& child : module.children) {
    if (child.name == name) return &child.module;
  }
  return nullptr;
}

const PrintedModule& child(const PrintedModule& module, const char* name, const PrintedModule& block) {
  if (const PrintedModule* found = child_of(module, name)) return *found;
  std::string names;
  for (const PrintedChild& c : module.children) names += (names.empty() ? "" : ", ") + c.name;
  raise<ValueError>(
      "{}: {} of a printed {} has no layer ({})\n"
      "it has: {}",
      module.at, io::quote(module.type), block.type, name, io::quote(names));
}

// Copies options of a printed layer under the block's names; what the layer does not say is the default.
void copy(const PrintedModule& layer, const std::vector<std::pair<const char*, const char*>>& names, Options& options) {
  const LayerRow* row = find_layer(layer.type);
  if (row == nullptr || row->options_of_layers != nullptr) {
    raise<ValueError>(
        "{}: {} stands where a block has a convolution or normalisation\n"
        "write the block as Python prints it, or as a call: ACBlock(16, 32, kernel_size=3, padding=1)",
        layer.at, io::quote(layer.type));
  }
  const PrintedOptions given(layer, *row);
  for (const auto& [from, to] : names) {
    const OptionValue* value = nullptr;
    for (const char* own : row->options) {
      if (std::string_view(own) == from) value = given.find(own);
    }
    if (value != nullptr) options.push_back({to, *value, layer.at});
  }
}

void set(const char* name, OptionValue::Kind kind, const std::string& text, int64_t integer, const PrintedModule& at,
         Options& options) {
  OptionValue value;
  value.kind = kind;
  value.text = text;
  value.integer = integer;
  value.at = at.at;
  options.push_back({name, value, at.at});
}

const std::vector<std::pair<const char*, const char*>> kConvOptions = {
    {"in_channels", "in_channels"}, {"out_channels", "out_channels"}, {"kernel_size", "kernel_size"},
    {"stride", "stride"},           {"padding", "padding"},           {"dilation", "dilation"},
    {"groups", "groups"},           {"padding_mode", "padding_mode"}};
const std::vector<std::pair<const char*, const char*>> kNormOptions = {{"eps", "eps"}, {"momentum", "momentum"}};

// The convolution of a deployed block, if that is what it is.
bool deployed(const PrintedModule& module, const char* name, Options& options) {
  const PrintedModule* conv = child_of(module, name);
  if (conv == nullptr) return false;
  copy(*conv, kConvOptions, options);
  set("deploy", OptionValue::Kind::kBool, "True", 1, *conv, options);
  return true;
}

Options ac_options(const PrintedModule& module) {
  Options options;
  if (deployed(module, "fused_conv", options)) return options;
  copy(child(module, "square_conv", module), kConvOptions, options);
  const PrintedModule& norm = child(module, "square_bn", module);
  copy(norm, kNormOptions, options);
  copy(norm, {{"affine", "use_affine"}}, options);
  return options;
}

Options rep_vgg_options(const PrintedModule& module) {
  Options options;
  if (const PrintedModule* se = child_of(module, "se"); se != nullptr && se->type.starts_with("SEBlock"))
    set("use_se", OptionValue::Kind::kBool, "True", 1, *se, options);
  if (deployed(module, "rbr_reparam", options)) return options;
  const PrintedModule& dense = child(module, "rbr_dense", module);
  copy(child(dense, "conv", module), kConvOptions, options);
  copy(child(dense, "bn", module), kNormOptions, options);
  return options;
}

Options diverse_branch_options(const PrintedModule& module) {
  Options options;
  const PrintedModule& nonlinear = child(module, "nonlinear", module);
  if (nonlinear.type != "Identity") set("nonlinear", OptionValue::Kind::kWord, nonlinear.type, 0, nonlinear, options);
  if (deployed(module, "dbb_reparam", options)) {
    std::erase_if(options, [](const PrintedModule::Option& option) { return option.name == "padding_mode"; });
    return options;
  }
  const PrintedModule& origin = child(module, "dbb_origin", module);
  copy(child(origin, "conv", module), kConvOptions, options);
  std::erase_if(options, [](const PrintedModule::Option& option) { return option.name == "padding_mode"; });
  copy(child(origin, "bn", module), kNormOptions, options);
  const PrintedModule& two = child(module, "dbb_1x1_kxk", module);
  copy(child(two, "conv2", module), {{"in_channels", "internal_channels_1x1_3x3"}}, options);
  return options;
}

Options bn_and_pad_options(const PrintedModule& module) {
  Options options;
  const PrintedModule& norm = child(module, "bn", module);
  copy(norm, kNormOptions, options);
  copy(norm, {{"num_features", "num_features"}, {"affine", "affine"}}, options);
  return options;
}

Options se_options(const PrintedModule& module) {
  Options options;
  copy(child(module, "down", module), {{"in_channels", "input_channels"}, {"out_channels", "internal_neurons"}}, options);
  return options;
}

template <int rank>
std::shared_ptr<Module> build_ac(const PrintedOptions& o) {
  o.only("reduce_gamma", "False");
  auto options = convolution_options<ACBlockOptions>(o);
  options.use_affine = o.flag("use_affine", true);
  if (const std::optional<Number> gamma = o.optional_number("gamma_init", std::nullopt)) options.gamma_init = gamma->value();
  return std::make_shared<ACBlock>(options, rank);
}

template <int rank>
std::shared_ptr<Module> build_rep_vgg(const PrintedOptions& o) {
  auto options = convolution_options<RepVGGBlockOptions>(o);
  options.use_se = o.flag("use_se", false);
  return std::make_shared<RepVGGBlock>(options, rank);
}

template <int rank>
std::shared_ptr<Module> build_se(const PrintedOptions& o) {
  return std::make_shared<SEBlock>(SEBlockOptions{o.integer("input_channels"), o.integer("internal_neurons")}, rank);
}

// An activation by its class name, with its default options.
std::shared_ptr<Module> activation_called(const std::string& name) {
  if (name == "None") return nullptr;
  const LayerRow* row = find_layer(name);
  if (row == nullptr || row->required > 0 || row->values != nullptr || row->options_of_layers != nullptr) {
    raise<ValueError>("nonlinear is {}\nnonlinear takes the name of an activation, for example nonlinear=ReLU", io::quote(name));
  }
  const PrintedModule plain{name, {}, {}, {}};
  return row->build(PrintedOptions(plain, *row));
}

template <int rank>
std::shared_ptr<Module> build_diverse_branch(const PrintedOptions& o) {
  auto options = convolution_options<DiverseBranchBlockOptions>(o);
  options.internal_channels_1x1_3x3 = o.optional_integer("internal_channels_1x1_3x3");
  options.nonlinear = activation_called(o.word("nonlinear", "None"));
  options.single_init = o.flag("single_init", false);
  return std::make_shared<DiverseBranchBlock>(options, rank);
}

template <int rank>
std::shared_ptr<Module> build_bn_and_pad(const PrintedOptions& o) {
  return std::make_shared<BNAndPad>(BNAndPadOptions{.pad_pixels = o.padding("pad_pixels"),
                                                    .num_features = o.integer("num_features"),
                                                    .eps = o.number("eps", 1e-5),
                                                    .momentum = o.optional_number("momentum", 0.1),
                                                    .affine = o.flag("affine", true)},
                                    rank);
}

// An upper bound, also where the constructor will refuse: four kernels as large as the block's, with as many channels between two
// of them, the 1x1 kernels, and four values per normalised channel.
template <int rank>
Checked block_values(const PrintedOptions& o) {
  const auto positive = [](int64_t n) { return std::max<int64_t>(n, 1); };
  const int64_t in = positive(o.integer("in_channels")), out = positive(o.integer("out_channels")),
                groups = positive(o.integer("groups", 1));
  Checked taps(1);
  for (const int64_t k : o.sizes("kernel_size").expand(rank)) taps = taps * positive(k);
  const Checked per_group = Checked(in / groups) + 1;
  return per_group * out * taps * 4 + per_group * (Checked(out) * 2) + Checked(out) * 20;
}

// With squeeze and excitation, which has a sixteenth as many neurons as channels.
template <int rank>
Checked rep_vgg_values(const PrintedOptions& o) {
  const int64_t out = std::max<int64_t>(o.integer("out_channels"), 1);
  return block_values<rank>(o) + (o.flag("use_se", false) ? Checked(out / 16) * 2 * out + out + out / 16 : Checked(0));
}

Checked se_values(const PrintedOptions& o) {
  const int64_t in = std::max<int64_t>(o.integer("input_channels"), 1), inner = std::max<int64_t>(o.integer("internal_neurons"), 1);
  return Checked(in) * inner * 2 + in + inner;
}

// Its two convolutions in a row may have any number of channels between them.
template <int rank>
Checked diverse_branch_values(const PrintedOptions& o) {
  const auto positive = [](int64_t n) { return std::max<int64_t>(n, 1); };
  const int64_t in = positive(o.integer("in_channels")), groups = positive(o.integer("groups", 1));
  const int64_t internal = positive(o.optional_integer("internal_channels_1x1_3x3").value_or(std::min(in, int64_t{1} << 40) * 2));
  Checked taps(1);
  for (const int64_t k : o.sizes("kernel_size").expand(rank)) taps = taps * positive(k);
  return block_values<rank>(o) + (Checked(internal / groups) + 1) * positive(o.integer("out_channels")) * taps +
         (Checked(in / groups) + 6) * internal;
}

Checked bn_and_pad_values(const PrintedOptions& o) { return Checked(4) * o.integer("num_features"); }

}  // namespace

std::vector<LayerRow> reparam_rows() {
  using Names = std::vector<const char*>;
  const Names ac = {"in_channels",  "out_channels", "kernel_size", "stride",       "padding",    "dilation", "groups",
                    "padding_mode", "deploy",       "use_affine",  "reduce_gamma", "gamma_init", "eps",      "momentum"};
  const Names rep_vgg = {"in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation",
                         "groups",      "padding_mode", "deploy",      "use_se", "eps",     "momentum"};
  const Names diverse = {
      "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "internal_channels_1x1_3x3",
      "deploy",      "nonlinear",    "single_init", "eps",    "momentum"};
  const Names se = {"input_channels", "internal_neurons"};
  const Names bn_and_pad = {"pad_pixels", "num_features", "eps", "momentum", "affine"};
  return {
      {"ACBlock", ac, 3, build_ac<2>, block_values<2>, ac_options},
      {"ACBlock3d", ac, 3, build_ac<3>, block_values<3>, ac_options},
      {"RepVGGBlock1d", rep_vgg, 3, build_rep_vgg<1>, rep_vgg_values<1>, rep_vgg_options},
      {"RepVGGBlock", rep_vgg, 3, build_rep_vgg<2>, rep_vgg_values<2>, rep_vgg_options},
      {"RepVGGBlock3d", rep_vgg, 3, build_rep_vgg<3>, rep_vgg_values<3>, rep_vgg_options},
      {"DiverseBranchBlock1d", diverse, 3, build_diverse_branch<1>, diverse_branch_values<1>, diverse_branch_options},
      {"DiverseBranchBlock", diverse, 3, build_diverse_branch<2>, diverse_branch_values<2>, diverse_branch_options},
      {"DiverseBranchBlock3d", diverse, 3, build_diverse_branch<3>, diverse_branch_values<3>, diverse_branch_options},
      {"SEBlock1d", se, 2, build_se<1>, se_values, se_options},
      {"SEBlock", se, 2, build_se<2>, se_values, se_options},
      {"SEBlock3d", se, 2, build_se<3>, se_values, se_options},
      {"BNAndPadLayer1d", bn_and_pad, 2, build_bn_and_pad<1>, bn_and_pad_values, bn_and_pad_options},
      {"BNAndPadLayer", bn_and_pad, 2, build_bn_and_pad<2>, bn_and_pad_values, bn_and_pad_options},
      {"BNAndPadLayer3d", bn_and_pad, 2, build_bn_and_pad<3>, bn_and_pad_values, bn_and_pad_options},
  };
}

}  // namespace convoy::nn
