// The list of layers that a printed form may name: one row per class.
#pragma once

#include <span>
#include <string_view>

#include "convoy/nn/printed_options.h"

namespace convoy::nn {

std::span<const LayerRow> layer_list();

/// The row of a class, or nullptr.
const LayerRow* find_layer(std::string_view type);

}  // namespace convoy::nn
