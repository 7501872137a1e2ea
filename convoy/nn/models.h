// Networks with names.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "convoy/nn/module.h"

namespace convoy::nn {

/// A network as its printed form, from which parse() builds it.
struct NamedModel {
  std::string_view name;
  std::string_view description;  // one line
  std::string_view text;
};

/// The list: "lenet", "shapes", "acnet".
std::span<const NamedModel> named_models();

/// Builds a network of the list. Errors: ValueError with the nearest name.
std::shared_ptr<Module> make_model(std::string_view name);

}  // namespace convoy::nn
