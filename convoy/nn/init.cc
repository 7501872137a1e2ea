#include "convoy/nn/init.h"

#include <array>
#include <cmath>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::nn::init {

namespace {

double chosen_fan(const Tensor& tensor, FanMode mode) {
  const Fan f = fan(tensor);
  return static_cast<double>(mode == FanMode::kFanIn ? f.in : f.out);
}

}  // namespace

Fan fan(const Tensor& weight) {
  if (weight.dim() < 2) {
    raise<ValueError>(
        "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions\n"
        "the tensor has shape {}; a bias or a scale wants uniform_, constant_, zeros_ or ones_",
        weight.shape());
  }
  int64_t positions = 1;
  for (int64_t axis = 2; axis < weight.dim(); ++axis) positions *= weight.size(axis);
  return {weight.size(1) * positions, weight.size(0) * positions};
}

double gain(std::string_view nonlinearity, std::optional<double> a) {
  constexpr std::array<std::string_view, 8> kLinear = {"linear",           "conv1d",           "conv2d",           "conv3d",
                                                       "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid"};
  for (const std::string_view name : kLinear) {
    if (nonlinearity == name) return 1;
  }
  if (nonlinearity == "tanh") return 5.0 / 3;
  if (nonlinearity == "relu") return std::sqrt(2.0);
  if (nonlinearity == "leaky_relu") {
    const double slope = a.value_or(0.01);
    return std::sqrt(2.0 / (1 + slope * slope));
  }
  if (nonlinearity == "selu") return 3.0 / 4;
  raise<ValueError>(
      "Unsupported nonlinearity {}\n"
      "known are linear, conv1d to conv3d, conv_transpose1d to 3d, sigmoid, tanh, relu, leaky_relu and selu",
      nonlinearity);
}

Tensor uniform_(Tensor tensor, double a, double b, Generator* generator) {
  convoy::uniform_(tensor, a, b, generator);
  return tensor;
}

Tensor normal_(Tensor tensor, double mean, double std, Generator* generator) {
  convoy::normal_(tensor, mean, std, generator);
  return tensor;
}

Tensor constant_(Tensor tensor, double value) {
  tensor.fill_(value);
  return tensor;
}

Tensor zeros_(Tensor tensor) { return constant_(std::move(tensor), 0); }

Tensor ones_(Tensor tensor) { return constant_(std::move(tensor), 1); }

Tensor xavier_uniform_(Tensor tensor, double gain, Generator* generator) {
  const Fan f = fan(tensor);
  const double std = gain * std::sqrt(2.0 / static_cast<double>(f.in + f.out));
  const double bound = std::sqrt(3.0) * std;
  return init::uniform_(std::move(tensor), -bound, bound, generator);
}

Tensor xavier_normal_(Tensor tensor, double gain, Generator* generator) {
  const Fan f = fan(tensor);
  return init::normal_(std::move(tensor), 0, gain * std::sqrt(2.0 / static_cast<double>(f.in + f.out)), generator);
}

Tensor kaiming_uniform_(Tensor tensor, double a, FanMode mode, std::string_view nonlinearity, Generator* generator) {
  if (tensor.numel() == 0) return tensor;
  const double std = gain(nonlinearity, a) / std::sqrt(chosen_fan(tensor, mode));
  const double bound = std::sqrt(3.0) * std;
  return init::uniform_(std::move(tensor), -bound, bound, generator);
}

Tensor kaiming_normal_(Tensor tensor, double a, FanMode mode, std::string_view nonlinearity, Generator* generator) {
  if (tensor.numel() == 0) return tensor;
  return init::normal_(tensor, 0, gain(nonlinearity, a) / std::sqrt(chosen_fan(tensor, mode)), generator);
}

void default_weight_and_bias(Tensor weight, Tensor bias, Generator* generator) {
  kaiming_uniform_(weight, std::sqrt(5.0), FanMode::kFanIn, "leaky_relu", generator);
  if (!bias.defined()) return;
  const int64_t fan_in = fan(weight).in;
  if (fan_in == 0 && weight.dim() > 2) {  // a convolution without inputs; PyTorch draws nothing for it
    zeros_(bias);
    return;
  }
  const double bound = fan_in > 0 ? 1 / std::sqrt(static_cast<double>(fan_in)) : 0;
  init::uniform_(bias, -bound, bound, generator);
}

}  // namespace convoy::nn::init
