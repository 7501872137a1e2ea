// Which function of the engine a case's `op` names. Adding an op is one row in one of the lists.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "convoy/check/call.h"
#include "convoy/nn/module.h"

namespace convoy::check {

/// A function of torch.nn.functional and how a stored call of it is made.
struct OpRow {
  std::string_view op;
  Outputs (*run)(Call& call);
};

std::span<const OpRow> conv_ops();         // convolution, linear
std::span<const OpRow> pool_ops();         // pooling and its inverse
std::span<const OpRow> norm_ops();         // normalisation, softmax
std::span<const OpRow> elementwise_ops();  // activations
std::span<const OpRow> rearrange_ops();    // pad, fold, shuffle, resize
std::span<const OpRow> loss_ops();

/// The row of an op, or nullptr.
const OpRow* find_op(std::string_view op);

/// A class of torch.nn and how one is made from its keyword arguments.
struct ModuleRow {
  std::string_view type;
  std::shared_ptr<nn::Module> (*make)(const Arguments& options);
};

std::span<const ModuleRow> module_types();
const ModuleRow* find_module(std::string_view type);

}  // namespace convoy::check
