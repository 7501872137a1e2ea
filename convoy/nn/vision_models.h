// torchvision's networks, and RepVGG: the same layers, names, initial values and printed forms, so that its state_dicts load. They
// compute with their children alone, so that fuse() folds them and parse() builds them from their printed form.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/nn/composed.h"
#include "convoy/nn/module.h"

namespace convoy::nn {

/// Two 3x3 convolutions and a shortcut: relu(bn2(conv2(relu(bn1(conv1(x))))) + downsample(x)).
///
/// Shapes: input (N, in_channels, H, W), output (N, channels, ceil(H / stride), ceil(W / stride)). The shortcut is the input
/// itself, or a 1x1 convolution with BatchNorm where the shape changes. Source: torchvision.models.resnet.BasicBlock.
class BasicBlock : public Composed {
 public:
  static constexpr int64_t kExpansion = 1;
  BasicBlock(int64_t in_channels, int64_t channels, int64_t stride, std::shared_ptr<Module> downsample = nullptr);
  explicit BasicBlock(const Children& children) : Composed(children) {}
  std::string type() const override { return "BasicBlock"; }
  Variable forward(const Variable& input) override;
  std::vector<std::vector<size_t>> chains() const override { return {{0, 1}, {3, 4}}; }

 private:
  std::shared_ptr<Composed> copy() const override { return std::make_shared<BasicBlock>(*this); }
};

/// 1x1, 3x3 (with the stride) and 1x1 convolutions, the last to 4 x channels, and a shortcut.
/// Source: torchvision.models.resnet.Bottleneck (ResNet V1.5).
class Bottleneck : public Composed {
 public:
  static constexpr int64_t kExpansion = 4;
  Bottleneck(int64_t in_channels, int64_t channels, int64_t stride, std::shared_ptr<Module> downsample = nullptr);
  explicit Bottleneck(const Children& children) : Composed(children) {}
  std::string type() const override { return "Bottleneck"; }
  Variable forward(const Variable& input) override;
  std::vector<std::vector<size_t>> chains() const override { return {{0, 1}, {2, 3}, {4, 5}}; }

 private:
  std::shared_ptr<Composed> copy() const override { return std::make_shared<Bottleneck>(*this); }
};

/// Shapes: input (N, 3, H, W), output (N, num_classes). Source: torchvision.models.resnet.ResNet.
class ResNet : public Composed {
 public:
  /// `blocks` of each of the four stages, all of Bottleneck or all of BasicBlock.
  ResNet(bool bottleneck, std::array<int64_t, 4> blocks, int64_t num_classes = 1000);
  explicit ResNet(const Children& children);
  std::string type() const override { return "ResNet"; }
  Variable forward(const Variable& input) override;
  std::vector<std::vector<size_t>> chains() const override { return {{0, 1, 2, 3, 4, 5, 6, 7, 8}}; }

 private:
  std::shared_ptr<Composed> copy() const override { return std::make_shared<ResNet>(*this); }
};

/// Rows of 3x3 convolutions with ReLU and max pools between, then three linear layers.
/// Shapes: input (N, 3, H, W), output (N, num_classes). Source: torchvision.models.vgg.VGG.
class VGG : public Composed {
 public:
  /// Output channels of the convolutions; 0 stands for a max pool.
  explicit VGG(const std::vector<int64_t>& layers, int64_t num_classes = 1000);
  explicit VGG(const Children& children);
  std::string type() const override { return "VGG"; }
  Variable forward(const Variable& input) override;
  std::vector<std::vector<size_t>> chains() const override { return {{0, 1}}; }

 private:
  std::shared_ptr<Composed> copy() const override { return std::make_shared<VGG>(*this); }
};

/// Expand (1x1), filter (depthwise 3x3) and project (1x1, no activation), with a shortcut where the shape stays.
/// Source: torchvision.models.mobilenetv2.InvertedResidual.
class InvertedResidual : public Composed {
 public:
  InvertedResidual(int64_t in_channels, int64_t out_channels, int64_t stride, int64_t expand_ratio);
  explicit InvertedResidual(const Children& children);
  std::string type() const override { return "InvertedResidual"; }
  Variable forward(const Variable& input) override;
  std::vector<std::vector<size_t>> chains() const override { return {}; }
  bool has_shortcut() const { return shortcut_; }

 private:
  std::shared_ptr<Composed> copy() const override { return std::make_shared<InvertedResidual>(*this); }

  bool shortcut_;
};

/// Shapes: input (N, 3, H, W), output (N, num_classes). Source: torchvision.models.mobilenetv2.MobileNetV2 with width 1.
class MobileNetV2 : public Composed {
 public:
  explicit MobileNetV2(int64_t num_classes = 1000);
  explicit MobileNetV2(const Children& children);
  std::string type() const override { return "MobileNetV2"; }
  Variable forward(const Variable& input) override;
  std::vector<std::vector<size_t>> chains() const override { return {}; }

 private:
  std::shared_ptr<Composed> copy() const override { return std::make_shared<MobileNetV2>(*this); }
};

/// RepVGGBlocks (nn/reparam/rep_vgg_block.h) in five stages, pooled, and a linear layer.
/// Shapes: input (N, 3, H, W), output (N, num_classes). Source: RepVGG of github.com/DingXiaoH/RepVGG repvgg.py, whose stages are
/// printed as ModuleList.
class RepVGG : public Composed {
 public:
  explicit RepVGG(const Children& children) : Composed(children) {}
  std::string type() const override { return "RepVGG"; }
  Variable forward(const Variable& input) override;
  std::vector<std::vector<size_t>> chains() const override { return {{0, 1, 2, 3, 4, 5}}; }

 private:
  std::shared_ptr<Composed> copy() const override { return std::make_shared<RepVGG>(*this); }
};

/// 11,689,512, 21,797,672, 25,557,032 parameters for 1000 classes.
ResNet resnet18(int64_t num_classes = 1000);
ResNet resnet34(int64_t num_classes = 1000);
ResNet resnet50(int64_t num_classes = 1000);
/// 138,357,544 parameters for 1000 classes.
VGG vgg16(int64_t num_classes = 1000);
/// 3,504,872 parameters for 1000 classes.
MobileNetV2 mobilenet_v2(int64_t num_classes = 1000);

/// The names of the networks above.
std::vector<std::string> vision_model_names();

/// Builds one by its name. Errors: ValueError with the nearest name.
std::shared_ptr<Module> make_vision_model(std::string_view name, int64_t num_classes = 1000);

/// Whether one of the classes above has this printed name and its layers these names.
bool is_vision_module(std::string_view type, const std::vector<std::string>& layer_names);

/// The class of this name around given layers; a network draws its initial values over theirs. Any number of layers and channels
/// will do, so that torchvision's wide and grouped ResNets are built too. Errors: ValueError for what is_vision_module denies.
std::shared_ptr<Module> make_vision_module(std::string_view type, const Module::Children& children);

}  // namespace convoy::nn
