#include "convoy/nn/models.h"

#include <array>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/suggest.h"
#include "convoy/nn/parse.h"

namespace convoy::nn {

namespace {

constexpr std::array<NamedModel, 3> kModels = {{
    {"lenet", "LeNet-5 for 28 x 28 grey images, 10 classes: 61,706 parameters", R"(Sequential(
  (0): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
  (1): Tanh()
  (2): AvgPool2d(kernel_size=2, stride=2, padding=0)
  (3): Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1))
  (4): Tanh()
  (5): AvgPool2d(kernel_size=2, stride=2, padding=0)
  (6): Flatten(start_dim=1, end_dim=-1)
  (7): Linear(in_features=400, out_features=120, bias=True)
  (8): Tanh()
  (9): Linear(in_features=120, out_features=84, bias=True)
  (10): Tanh()
  (11): Linear(in_features=84, out_features=10, bias=True)
))"},
    {"shapes", "a small network for grey images of any size from 4 x 4, 10 classes: 24,058 parameters", R"(Sequential(
  (0): Conv2d(1, 16, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
  (1): BatchNorm2d(16, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
  (2): ReLU()
  (3): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
  (4): Conv2d(16, 32, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
  (5): BatchNorm2d(32, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
  (6): ReLU()
  (7): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
  (8): Conv2d(32, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
  (9): BatchNorm2d(64, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
  (10): ReLU()
  (11): AdaptiveAvgPool2d(output_size=1)
  (12): Flatten(start_dim=1, end_dim=-1)
  (13): Linear(in_features=64, out_features=10, bias=True)
))"},
    {"acnet", "the network shapes with ACNet blocks, which convoy fuse folds into it: 39,962 parameters", R"(Sequential(
  (0): ACBlock(1, 16, kernel_size=3, padding=1)
  (1): ReLU()
  (2): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
  (3): ACBlock(16, 32, kernel_size=3, padding=1)
  (4): ReLU()
  (5): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
  (6): ACBlock(32, 64, kernel_size=3, padding=1)
  (7): ReLU()
  (8): AdaptiveAvgPool2d(output_size=1)
  (9): Flatten(start_dim=1, end_dim=-1)
  (10): Linear(in_features=64, out_features=10, bias=True)
))"},
}};

}  // namespace

std::span<const NamedModel> named_models() { return kModels; }

std::shared_ptr<Module> make_model(std::string_view name) {
  std::vector<std::string> names;
  std::string list;
  for (const NamedModel& model : kModels) {
    if (model.name == name) return parse(model.text);
    names.emplace_back(model.name);
    list += (list.empty() ? "" : ", ") + names.back();
  }
  raise<ValueError>("there is no model '{}'{}\nknown models: {}", name, did_you_mean(name, names), list);
}

}  // namespace convoy::nn
