// Operators that only passes make. Each is the sequence of ONNX operators that it stands for, in one node:
//
//   FusedConv            input, weight, bias, residual; Conv's attributes: activation(Conv + residual)
//   AffineConv           input, weight, bias, scale (C), shift (C); Conv's attributes, for 1x1 kernels:
//                        activation(Conv(input_activation(input scale[c] + shift[c])))
//   PooledConv           input, weight, bias; FusedConv's attributes and "pool", "max" or "average":
//                        MaxPool or AveragePool(activation(Conv)) by windows of 2x2 at a stride of 2; the second output, if
//                        there is one, is what is pooled
//   FusedConvTranspose   input, weight, bias; ConvTranspose's attributes: activation(ConvTranspose)
//   ExpandDepthwise      input, weight (E, C, 1, 1), bias, depthwise weight (E, 1, *), depthwise bias; the depthwise Conv's
//   attributes:
//                        activation(Conv(expand_activation(Conv(input, weight, bias)), depthwise weight, depthwise bias))
//   InvertedResidual     input, weights (E, T + taps + O + 2 S), three biases, residual, squeeze bias, excite bias; the depthwise
//                        Conv's attributes, squeezed S, expand_kernel_shape, expand_strides, expand_pads, shortcut:
//                        project_activation(Conv(SqueezeExcite(ExpandDepthwise(input)), weight) + residual), each row of `weights`
//                        being what one expanded channel takes of the input (T = C x expand_kernel_shape, which is 1x1 where it is
//                        left out), its taps, what the results and what the squeezed values take of it, and what its gate takes
//                        of these; no SqueezeExcite if S is 0; if shortcut is 1, what the expansion gives is the residual
//   SqueezeExcite        input (N, C, *), weights (2, S C): squeeze (S, C) and excite (C, S), bias (S), bias (C):
//                        input activation(Linear(squeeze_activation(Linear(mean over *, squeeze)), excite))[c]
//   Linear               input (*, K), weight (O, K), bias (O): activation(input weight^T + bias)
//   Activation           input: activation(input)
//   ChannelAffine        input (N, C, *), scale (C), shift (C): activation(input scale[c] + shift[c])
//   ChannelLayerNorm     input (N, C, *), weight (C), bias (C); epsilon: layer_norm over axis 1
//   ChannelShuffle       input (N, C, *); groups: channel i of group g becomes channel i groups + g
//   Interleave           inputs of one shape (N, C, *): ChannelShuffle of their concatenation, as many groups as inputs
#pragma once

#include <optional>
#include <string_view>

#include "convoy/core/elementwise.h"
#include "convoy/graph/graph.h"

namespace convoy::graph {

/// An activation with its parameters.
struct ActivationOf {
  Activation kind = Activation::kRelu;
  ActivationOptions options = {};
};

/// The attributes "activation", "activation_a" and "activation_b" of a fused node; nullopt: none. kExpandActivation,
/// kSqueezeActivation, kInputActivation: of the first of two layers; kGateActivation,
/// kProjectActivation: of what follows these.
inline constexpr std::string_view kActivation = "activation", kExpandActivation = "expand_activation",
                                  kSqueezeActivation = "squeeze_activation", kInputActivation = "input_activation",
                                  kProjectActivation = "project_activation", kGateActivation = "gate_activation";
std::optional<ActivationOf> fused_activation(const Attributes& attributes, std::string_view which = kActivation);
void set_fused_activation(Attributes& attributes, const ActivationOf& activation, std::string_view which = kActivation);

/// Conv's attributes for the expansion of an InvertedResidual with these; kernel_shape is among them.
Attributes expand_attributes(const Attributes& attributes);

/// The activation that a node computes of its input 0 and nothing else: of an Activation node, and of ONNX's where its parameters
/// are known (Relu, Clip with constant bounds, HardSwish, ...). float32 alone is meant.
std::optional<ActivationOf> activation_of(const Graph& graph, const Node& node);

}  // namespace convoy::graph
