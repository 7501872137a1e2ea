#include "convoy/nn/vision_models.h"

#include <algorithm>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/suggest.h"
#include "convoy/nn/activation.h"
#include "convoy/nn/conv.h"
#include "convoy/nn/dropout.h"
#include "convoy/nn/init.h"
#include "convoy/nn/linear.h"
#include "convoy/nn/norm.h"
#include "convoy/nn/pool.h"

namespace convoy::nn {

namespace {

Conv2d conv(int64_t in, int64_t out, int64_t kernel_size, int64_t stride = 1, int64_t groups = 1) {
  return Conv2d({.in_channels = in,
                 .out_channels = out,
                 .kernel_size = kernel_size,
                 .stride = stride,
                 .padding = (kernel_size - 1) / 2,
                 .groups = groups,
                 .bias = false});
}

BatchNorm2d norm(int64_t channels) { return BatchNorm2d({.num_features = channels}); }

ReLU relu_in_place() { return ReLU({.inplace = true}); }

// Calls f on every layer of a class, in the order of registration.
template <class Layer, class F>
void for_each(const Module& module, const F& f) {
  for (const auto& [name, child] : module.children()) {
    if (auto* const layer = dynamic_cast<Layer*>(child.get())) f(*layer);
    for_each<Layer>(*child, f);
  }
}

// The initial values that torchvision draws over the layers' defaults.
void draw_convolutions(const Module& module, const char* nonlinearity) {
  for_each<Conv2d>(module, [&](Conv2d& layer) {
    init::kaiming_normal_(layer.weight().data(), 0, init::FanMode::kFanOut, nonlinearity);
    if (layer.bias().defined()) init::zeros_(layer.bias().data());
  });
}
void draw_linear(const Module& module) {
  for_each<Linear>(module, [](Linear& layer) {
    init::normal_(layer.weight().data(), 0, 0.01);
    init::zeros_(layer.bias().data());
  });
}

// relu(norm(input) + residual), in one pass where nobody watches the layers; no residual: undefined. Either layer may be another
// one in a network that was folded.
Variable norm_relu(Module& norm, Module& relu, const Variable& input, const Variable& residual = {}) {
  auto* const batch_norm = dynamic_cast<BatchNorm*>(&norm);
  if (batch_norm != nullptr && dynamic_cast<ReLU*>(&relu) != nullptr && !ForwardHook::watching())
    return batch_norm->forward_then(input, Activation::kRelu, residual);
  const Variable value = norm(input);
  return relu(residual.defined() ? value + residual : value);
}

std::shared_ptr<Module> block(bool bottleneck, int64_t in, int64_t channels, int64_t stride) {
  const int64_t out = channels * (bottleneck ? Bottleneck::kExpansion : BasicBlock::kExpansion);
  std::shared_ptr<Module> downsample;
  if (stride != 1 || in != out) downsample = std::make_shared<Sequential>(Sequential{conv(in, out, 1, stride), norm(out)});
  if (bottleneck) return std::make_shared<Bottleneck>(in, channels, stride, downsample);
  return std::make_shared<BasicBlock>(in, channels, stride, downsample);
}

// Convolution, BatchNorm, ReLU6: torchvision's class of this name.
std::shared_ptr<Module> conv_norm_activation(int64_t in, int64_t out, int64_t kernel_size, int64_t stride, int64_t groups = 1) {
  auto layers = std::make_shared<Sequential>("Conv2dNormActivation");
  layers->add(conv(in, out, kernel_size, stride, groups));
  layers->add(norm(out));
  layers->add(ReLU6({.inplace = true}));
  return layers;
}

}  // namespace

BasicBlock::BasicBlock(int64_t in_channels, int64_t channels, int64_t stride, std::shared_ptr<Module> downsample) {
  register_child("conv1", conv(in_channels, channels, 3, stride));
  register_child("bn1", norm(channels));
  register_child("relu", relu_in_place());
  register_child("conv2", conv(channels, channels, 3));
  register_child("bn2", norm(channels));
  if (downsample != nullptr) register_child("downsample", std::move(downsample));
}

Variable BasicBlock::forward(const Variable& input) {
  const Variable value = child(3)(norm_relu(child(1), child(2), child(0)(input)));
  return norm_relu(child(4), child(2), value, children().size() > 5 ? child(5)(input) : input);
}

Bottleneck::Bottleneck(int64_t in_channels, int64_t channels, int64_t stride, std::shared_ptr<Module> downsample) {
  register_child("conv1", conv(in_channels, channels, 1));
  register_child("bn1", norm(channels));
  register_child("conv2", conv(channels, channels, 3, stride));
  register_child("bn2", norm(channels));
  register_child("conv3", conv(channels, channels * kExpansion, 1));
  register_child("bn3", norm(channels * kExpansion));
  register_child("relu", relu_in_place());
  if (downsample != nullptr) register_child("downsample", std::move(downsample));
}

Variable Bottleneck::forward(const Variable& input) {
  Module& relu = child(6);
  const Variable value = child(4)(norm_relu(child(3), relu, child(2)(norm_relu(child(1), relu, child(0)(input)))));
  return norm_relu(child(5), relu, value, children().size() > 7 ? child(7)(input) : input);
}

ResNet::ResNet(bool bottleneck, std::array<int64_t, 4> blocks, int64_t num_classes) {
  register_child("conv1", conv(3, 64, 7, 2));
  register_child("bn1", norm(64));
  register_child("relu", relu_in_place());
  register_child("maxpool", MaxPool2d({.kernel_size = 3, .stride = 2, .padding = 1}));
  int64_t in = 64;
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    const int64_t channels = int64_t{64} << stage;
    auto layers = std::make_shared<Sequential>();
    for (int64_t i = 0; i < blocks[stage]; ++i) {
      layers->add(block(bottleneck, in, channels, i == 0 && stage > 0 ? 2 : 1));
      in = channels * (bottleneck ? Bottleneck::kExpansion : BasicBlock::kExpansion);
    }
    register_child(formatted("layer{}", stage + 1), std::move(layers));
  }
  register_child("avgpool", AdaptiveAvgPool2d({.output_size = {1, 1}}));
  register_child("fc", Linear({.in_features = in, .out_features = num_classes}));
  draw_convolutions(*this, "relu");
}

ResNet::ResNet(const Children& children) : Composed(children) { draw_convolutions(*this, "relu"); }

Variable ResNet::forward(const Variable& input) {
  Variable value = norm_relu(child(1), child(2), child(0)(input));
  const size_t last = children().size() - 1;
  for (size_t i = 3; i < last; ++i) value = child(i)(value);
  return child(last)(flatten(value, 1, -1));
}

VGG::VGG(const std::vector<int64_t>& layers, int64_t num_classes) {
  auto features = std::make_shared<Sequential>();
  int64_t in = 3;
  for (const int64_t out : layers) {
    if (out == 0) {
      features->add(MaxPool2d({.kernel_size = 2, .stride = 2}));
      continue;
    }
    features->add(Conv2d({.in_channels = in, .out_channels = out, .kernel_size = 3, .padding = 1}));
    features->add(relu_in_place());
    in = out;
  }
  register_child("features", std::move(features));
  register_child("avgpool", AdaptiveAvgPool2d({.output_size = {7, 7}}));
  constexpr int64_t kHidden = 4096;
  register_child("classifier", Sequential{Linear({.in_features = in * 49, .out_features = kHidden}), relu_in_place(), Dropout(),
                                          Linear({.in_features = kHidden, .out_features = kHidden}), relu_in_place(), Dropout(),
                                          Linear({.in_features = kHidden, .out_features = num_classes})});
  draw_convolutions(*this, "relu");
  draw_linear(*this);
}

VGG::VGG(const Children& children) : Composed(children) {
  draw_convolutions(*this, "relu");
  draw_linear(*this);
}

Variable VGG::forward(const Variable& input) { return child(2)(flatten(child(1)(child(0)(input)), 1, -1)); }

InvertedResidual::InvertedResidual(int64_t in_channels, int64_t out_channels, int64_t stride, int64_t expand_ratio)
    : shortcut_(stride == 1 && in_channels == out_channels) {
  const int64_t hidden = in_channels * expand_ratio;
  auto layers = std::make_shared<Sequential>();
  if (expand_ratio != 1) layers->add(conv_norm_activation(in_channels, hidden, 1, 1));
  layers->add(conv_norm_activation(hidden, hidden, 3, stride, hidden));
  layers->add(conv(hidden, out_channels, 1));
  layers->add(norm(out_channels));
  register_child("conv", std::move(layers));
}

// The shortcut is there where the shape stays.
InvertedResidual::InvertedResidual(const Children& children) : Composed(children) {
  int64_t in = 0, out = 0, stride = 1;
  for_each<Conv2d>(*this, [&](const Conv2d& layer) {
    if (in == 0) in = layer.options().in_channels;
    out = layer.options().out_channels;
    for (const int64_t s : layer.options().stride.values()) stride = std::max(stride, s);
  });
  shortcut_ = stride == 1 && in == out;
}

Variable InvertedResidual::forward(const Variable& input) {
  Module& layers = child(0);
  if (!shortcut_) return layers(input);
  const Children& rows = layers.children();
  auto* const last_norm = rows.empty() ? nullptr : dynamic_cast<BatchNorm*>(rows.back().second.get());
  if (last_norm == nullptr || ForwardHook::watching()) return layers(input) + input;
  Variable value = input;
  for (size_t i = 0; i + 1 < rows.size(); ++i) value = (*rows[i].second)(value);
  return last_norm->forward_then(value, {}, input);
}

MobileNetV2::MobileNetV2(int64_t num_classes) {
  struct Stage {
    int64_t expand_ratio, channels, blocks, stride;
  };
  static constexpr std::array<Stage, 7> kStages = {
      {{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}}};
  constexpr int64_t kLast = 1280;
  auto features = std::make_shared<Sequential>();
  int64_t in = 32;
  features->add(conv_norm_activation(3, in, 3, 2));
  for (const Stage& stage : kStages) {
    for (int64_t i = 0; i < stage.blocks; ++i) {
      features->add(std::make_shared<InvertedResidual>(in, stage.channels, i == 0 ? stage.stride : 1, stage.expand_ratio));
      in = stage.channels;
    }
  }
  features->add(conv_norm_activation(in, kLast, 1, 1));
  register_child("features", std::move(features));
  register_child("classifier", Sequential{Dropout({.p = 0.2}), Linear({.in_features = kLast, .out_features = num_classes})});
  draw_convolutions(*this, "leaky_relu");
  draw_linear(*this);
}

MobileNetV2::MobileNetV2(const Children& children) : Composed(children) {
  draw_convolutions(*this, "leaky_relu");
  draw_linear(*this);
}

Variable MobileNetV2::forward(const Variable& input) {
  return child(1)(flatten(adaptive_avg_pool(2, child(0)(input), {1, 1}), 1, -1));
}

Variable RepVGG::forward(const Variable& input) {
  Variable value = input;
  const size_t last = children().size() - 1;
  for (size_t i = 0; i < last; ++i) value = child(i)(value);
  return child(last)(flatten(value, 1, -1));
}

ResNet resnet18(int64_t num_classes) { return {false, {2, 2, 2, 2}, num_classes}; }
ResNet resnet34(int64_t num_classes) { return {false, {3, 4, 6, 3}, num_classes}; }
ResNet resnet50(int64_t num_classes) { return {true, {3, 4, 6, 3}, num_classes}; }
VGG vgg16(int64_t num_classes) {
  return VGG({64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0}, num_classes);
}
MobileNetV2 mobilenet_v2(int64_t num_classes) { return MobileNetV2(num_classes); }

std::vector<std::string> vision_model_names() { return {"resnet18", "resnet34", "resnet50", "vgg16", "mobilenet_v2"}; }

std::shared_ptr<Module> make_vision_model(std::string_view name, int64_t num_classes) {
  if (name == "resnet18") return std::make_shared<ResNet>(resnet18(num_classes));
  if (name == "resnet34") return std::make_shared<ResNet>(resnet34(num_classes));
  if (name == "resnet50") return std::make_shared<ResNet>(resnet50(num_classes));
  if (name == "vgg16") return std::make_shared<VGG>(vgg16(num_classes));
  if (name == "mobilenet_v2") return std::make_shared<MobileNetV2>(mobilenet_v2(num_classes));
  std::string list;
  for (const std::string& known : vision_model_names()) list += (list.empty() ? "" : ", ") + known;
  raise<ValueError>("there is no model '{}'{}\nknown models: {}", name, did_you_mean(name, vision_model_names()), list);
}

namespace {

struct VisionClass {
  std::string_view type;
  std::vector<std::string> layer_names;
  bool may_downsample;  // one more layer of that name
  std::shared_ptr<Module> (*make)(const Module::Children& children);
};

template <class Class>
std::shared_ptr<Module> make_class(const Module::Children& children) {
  return std::make_shared<Class>(children);
}

const VisionClass* find_class(std::string_view type, std::vector<std::string> layer_names) {
  static const std::vector<VisionClass> classes = {
      {"BasicBlock", {"conv1", "bn1", "relu", "conv2", "bn2"}, true, make_class<BasicBlock>},
      {"Bottleneck", {"conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "relu"}, true, make_class<Bottleneck>},
      {"ResNet",
       {"conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc"},
       false,
       make_class<ResNet>},
      {"VGG", {"features", "avgpool", "classifier"}, false, make_class<VGG>},
      {"InvertedResidual", {"conv"}, false, make_class<InvertedResidual>},
      {"MobileNetV2", {"features", "classifier"}, false, make_class<MobileNetV2>},
      {"RepVGG", {"stage0", "stage1", "stage2", "stage3", "stage4", "gap", "linear"}, false, make_class<RepVGG>},
  };
  for (const VisionClass& c : classes) {
    if (c.type != type) continue;
    if (c.may_downsample && !layer_names.empty() && layer_names.back() == "downsample") layer_names.pop_back();
    return c.layer_names == layer_names ? &c : nullptr;
  }
  return nullptr;
}

}  // namespace

bool is_vision_module(std::string_view type, const std::vector<std::string>& layer_names) {
  return find_class(type, layer_names) != nullptr;
}

std::shared_ptr<Module> make_vision_module(std::string_view type, const Module::Children& children) {
  std::vector<std::string> names;
  for (const auto& [name, child] : children) names.push_back(name);
  const VisionClass* found = find_class(type, names);
  if (found != nullptr) return found->make(children);
  raise<ValueError>(
      "there is no '{}' with these layers\n"
      "known are BasicBlock, Bottleneck, ResNet, VGG, InvertedResidual, MobileNetV2 and RepVGG",
      type);
}

}  // namespace convoy::nn
