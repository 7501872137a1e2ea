// Operators that only passes make. Each is the sequence of ONNX operators that it stands for, in one node:
//
//   FusedConv            input, weight, bias, residual; Conv's attributes: activation(Conv + residual)
//   FusedConvTranspose   input, weight, bias; ConvTranspose's attributes: activation(ConvTranspose)
//   Linear               input (*, K), weight (O, K), bias (O): activation(input weight^T + bias)
//   Activation           input: activation(input)
//   ChannelAffine        input (N, C, *), scale (C), shift (C): activation(input scale[c] + shift[c])
//   ChannelLayerNorm     input (N, C, *), weight (C), bias (C); epsilon: layer_norm over axis 1
//   ChannelShuffle       input (N, C, *); groups: channel i of group g becomes channel i groups + g
//   Interleave           inputs of one shape (N, C, *): ChannelShuffle of their concatenation, as many groups as inputs
#pragma once

#include <optional>

#include "convoy/core/elementwise.h"
#include "convoy/graph/graph.h"

namespace convoy::graph {

/// An activation with its parameters.
struct ActivationOf {
  Activation kind = Activation::kRelu;
  ActivationOptions options = {};
};

/// The attributes "activation", "activation_a" and "activation_b" of a fused node; nullopt: none.
std::optional<ActivationOf> fused_activation(const Attributes& attributes);
void set_fused_activation(Attributes& attributes, const ActivationOf& activation);

/// The activation that a node computes of its input 0 and nothing else: of an Activation node, and of ONNX's where its parameters
/// are known (Relu, Clip with constant bounds, HardSwish, ...). float32 alone is meant.
std::optional<ActivationOf> activation_of(const Graph& graph, const Node& node);

}  // namespace convoy::graph
