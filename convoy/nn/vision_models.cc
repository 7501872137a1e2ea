#include "convoy/nn/vision_models.h"

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/suggest.h"
#include "convoy/nn/dropout.h"
#include "convoy/nn/init.h"
#include "convoy/nn/linear.h"
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

// relu(norm(input) + residual), in one pass where nobody watches the layers; no residual: undefined.
Variable norm_relu(BatchNorm2d& norm, ReLU& relu, const Variable& input, const Variable& residual = {}) {
  if (!ForwardHook::watching()) return norm.forward_then(input, Activation::kRelu, residual);
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

BasicBlock::BasicBlock(int64_t in_channels, int64_t channels, int64_t stride, std::shared_ptr<Module> downsample)
    : conv1_(conv(in_channels, channels, 3, stride)),
      bn1_(norm(channels)),
      relu_(relu_in_place()),
      conv2_(conv(channels, channels, 3)),
      bn2_(norm(channels)),
      downsample_(std::move(downsample)) {
  register_child("conv1", conv1_);
  register_child("bn1", bn1_);
  register_child("relu", relu_);
  register_child("conv2", conv2_);
  register_child("bn2", bn2_);
  if (downsample_ != nullptr) register_child("downsample", downsample_);
}

Variable BasicBlock::forward(const Variable& input) {
  const Variable value = conv2_(norm_relu(bn1_, relu_, conv1_(input)));
  return norm_relu(bn2_, relu_, value, downsample_ != nullptr ? (*downsample_)(input) : input);
}

Bottleneck::Bottleneck(int64_t in_channels, int64_t channels, int64_t stride, std::shared_ptr<Module> downsample)
    : conv1_(conv(in_channels, channels, 1)),
      bn1_(norm(channels)),
      conv2_(conv(channels, channels, 3, stride)),
      bn2_(norm(channels)),
      conv3_(conv(channels, channels * kExpansion, 1)),
      bn3_(norm(channels * kExpansion)),
      relu_(relu_in_place()),
      downsample_(std::move(downsample)) {
  register_child("conv1", conv1_);
  register_child("bn1", bn1_);
  register_child("conv2", conv2_);
  register_child("bn2", bn2_);
  register_child("conv3", conv3_);
  register_child("bn3", bn3_);
  register_child("relu", relu_);
  if (downsample_ != nullptr) register_child("downsample", downsample_);
}

Variable Bottleneck::forward(const Variable& input) {
  const Variable value = conv3_(norm_relu(bn2_, relu_, conv2_(norm_relu(bn1_, relu_, conv1_(input)))));
  return norm_relu(bn3_, relu_, value, downsample_ != nullptr ? (*downsample_)(input) : input);
}

ResNet::ResNet(bool bottleneck, std::array<int64_t, 4> blocks, int64_t num_classes)
    : conv1_(conv(3, 64, 7, 2)), bn1_(norm(64)), relu_(relu_in_place()) {
  register_child("conv1", conv1_);
  register_child("bn1", bn1_);
  register_child("relu", relu_);
  register_child("maxpool", MaxPool2d({.kernel_size = 3, .stride = 2, .padding = 1}));
  int64_t in = 64;
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    const int64_t channels = int64_t{64} << stage;
    auto layers = std::make_shared<Sequential>();
    for (int64_t i = 0; i < blocks[stage]; ++i) {
      layers->add(block(bottleneck, in, channels, i == 0 && stage > 0 ? 2 : 1));
      in = channels * (bottleneck ? Bottleneck::kExpansion : BasicBlock::kExpansion);
    }
    register_child("layer" + std::to_string(stage + 1), std::move(layers));
  }
  register_child("avgpool", AdaptiveAvgPool2d({.output_size = {1, 1}}));
  register_child("fc", Linear({.in_features = in, .out_features = num_classes}));
  draw_convolutions(*this, "relu");
}

Variable ResNet::forward(const Variable& input) {
  Variable value = norm_relu(bn1_, relu_, conv1_(input));
  const size_t last = children().size() - 1;
  for (size_t i = 3; i < last; ++i) value = (*children()[i].second)(value);
  return (*children()[last].second)(flatten(value, 1, -1));
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

Variable VGG::forward(const Variable& input) {
  const Variable pooled = (*children()[1].second)((*children()[0].second)(input));
  return (*children()[2].second)(flatten(pooled, 1, -1));
}

InvertedResidual::InvertedResidual(int64_t in_channels, int64_t out_channels, int64_t stride, int64_t expand_ratio)
    : shortcut_(stride == 1 && in_channels == out_channels), last_norm_(norm(out_channels)) {
  const int64_t hidden = in_channels * expand_ratio;
  auto layers = std::make_shared<Sequential>();
  if (expand_ratio != 1) layers->add(conv_norm_activation(in_channels, hidden, 1, 1));
  layers->add(conv_norm_activation(hidden, hidden, 3, stride, hidden));
  layers->add(conv(hidden, out_channels, 1));
  layers->add(last_norm_);
  register_child("conv", std::move(layers));
}

Variable InvertedResidual::forward(const Variable& input) {
  auto& layers = static_cast<Sequential&>(*children()[0].second);
  if (!shortcut_) return layers(input);
  if (ForwardHook::watching()) return layers(input) + input;
  Variable value = input;
  for (size_t i = 0; i + 1 < layers.size(); ++i) value = layers[i](value);
  return last_norm_.forward_then(value, {}, input);
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

Variable MobileNetV2::forward(const Variable& input) {
  const Variable value = (*children()[0].second)(input);
  return (*children()[1].second)(flatten(adaptive_avg_pool(2, value, {1, 1}), 1, -1));
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
  throw ValueError("there is no model '" + std::string(name) + "'" + did_you_mean(name, vision_model_names()),
                   "known models: " + list);
}

}  // namespace convoy::nn
