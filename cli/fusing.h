// What folding a network changes: layers, parameters, multiplications, time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/session.h"
#include "convoy/nn/reparam/fuse.h"
#include "convoy/nn/reparam/verify.h"

namespace convoy::cli {

struct NetworkCost {
  int64_t layers = 0;  // that hold no others
  int64_t parameters = 0;
  std::optional<int64_t> macs;    // of convolutions and linear layers for one input; unknown without its shape
  std::optional<double> seconds;  // of one input, the median
};

/// Refuses a place that cannot be written to before anything is computed. Errors: FileError.
void check_writable(const std::string& path);

/// Counts; `input_shape` is without the batch axis, empty if not known. Errors: ShapeMismatch and those of the layers.
NetworkCost network_cost(nn::Module& network, const Shape& input_shape);

/// Times one input through both networks by turns, for about `budget` seconds in all, and fills in the medians.
void time_networks(nn::Module& before, nn::Module& after, const Shape& input_shape, double budget, NetworkCost& cost_before,
                   NetworkCost& cost_after);

/// Rows "parameters  39,962  23,946" under "before  after", indented.
std::string cost_table(const NetworkCost& before, const NetworkCost& after, const Shape& input_shape, const report::Style& style,
                       int indent);
report::Json cost_json(const NetworkCost& cost);

}  // namespace convoy::cli
