// Networks from their printed form: what Python's print(model) writes is a model file.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/nn/module.h"
#include "convoy/nn/parse_syntax.h"

namespace convoy::nn {

/// Builds the network that `text` is the printed form of:
///
///   Sequential(
///     (conv): Conv2d(1, 8, kernel_size=(3, 3), stride=(1, 1), padding=same)   # comments and blank lines are skipped
///     (1): ReLU(inplace=True)
///   )
///
/// Options may also be written as in a call of PyTorch's constructor, by position or by name: Conv2d(1, 8, 3, padding=1); layers
/// inside a Sequential may go without a name and be separated by commas. Parameters are drawn from default_generator() in the order
/// of the text, as building the network in Python draws them.
///
/// What a printed form does not say is assumed to be the default: PyTorch does not print ceil_mode and the divisor of average
/// pooling, nor align_corners of Upsample (Module::definition() writes them). An outermost class other than Sequential (LeNet,
/// AlexNet) is taken to apply its layers in the order printed, and keeps its name; inside a network such a class is refused, since
/// its printed form does not say how its layers are connected. torchvision's ResNet, VGG and MobileNetV2 are known, with their
/// blocks, and RepVGG (nn/vision_models.h).
///
/// Errors: ValueError that names line, column and layer and what would be accepted; a layer that its constructor refuses keeps the
/// constructor's class and words. Limits are checked before anything is allocated.
std::shared_ptr<Module> parse(std::string_view text, const ParseLimits& limits = {});

/// The same for a file. Errors: FileError "net.txt: line 3, column 8: ...".
std::shared_ptr<Module> parse_file(const std::string& path, const ParseLimits& limits = {});

/// The classes that parse knows, Sequential among them.
std::vector<std::string> layer_types();

}  // namespace convoy::nn
