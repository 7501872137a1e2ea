// Initial values of parameters, drawn as PyTorch draws them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "convoy/core/random.h"
#include "convoy/core/tensor.h"

namespace convoy::nn::init {

/// How many inputs and outputs a value of `weight` connects: weight.size(1) and weight.size(0), each times the kernel's positions.
/// Errors: ValueError "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions".
struct Fan {
  int64_t in = 0, out = 0;
};
Fan fan(const Tensor& weight);

enum class FanMode : uint8_t { kFanIn, kFanOut };

/// The factor by which a non-linearity shrinks values: 1 for "linear", "conv2d", "sigmoid"..., 5/3 for "tanh", sqrt(2) for "relu",
/// sqrt(2 / (1 + a^2)) for "leaky_relu", 3/4 for "selu". Errors: ValueError "Unsupported nonlinearity foo".
/// Source: torch.nn.init.calculate_gain.
double gain(std::string_view nonlinearity, std::optional<double> a = {});

// These fill `tensor` and return it. The numbers come from `generator`, or from default_generator(). Source: torch.nn.init.

Tensor uniform_(Tensor tensor, double a = 0, double b = 1, Generator* generator = nullptr);
Tensor normal_(Tensor tensor, double mean = 0, double std = 1, Generator* generator = nullptr);
Tensor constant_(Tensor tensor, double value);
Tensor zeros_(Tensor tensor);
Tensor ones_(Tensor tensor);
/// U(-b, b) with b = gain sqrt(6 / (fan_in + fan_out)).
Tensor xavier_uniform_(Tensor tensor, double gain = 1, Generator* generator = nullptr);
/// N(0, s^2) with s = gain sqrt(2 / (fan_in + fan_out)).
Tensor xavier_normal_(Tensor tensor, double gain = 1, Generator* generator = nullptr);
/// U(-b, b) with b = gain(nonlinearity, a) sqrt(3 / fan). A tensor without elements is left alone.
Tensor kaiming_uniform_(Tensor tensor, double a = 0, FanMode mode = FanMode::kFanIn, std::string_view nonlinearity = "leaky_relu",
                        Generator* generator = nullptr);
/// N(0, s^2) with s = gain(nonlinearity, a) / sqrt(fan).
Tensor kaiming_normal_(Tensor tensor, double a = 0, FanMode mode = FanMode::kFanIn, std::string_view nonlinearity = "leaky_relu",
                       Generator* generator = nullptr);

/// The default of Conv, ConvTranspose and Linear: the weight is kaiming_uniform_(a = sqrt 5), then the bias, if there is one,
/// U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)). Equal to PyTorch's values bit for bit for the same seed.
void default_weight_and_bias(Tensor weight, Tensor bias, Generator* generator = nullptr);

}  // namespace convoy::nn::init
