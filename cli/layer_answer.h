// The words of `convoy shape`: formulas with their numbers, what is worth noting, and why a layer cannot be.
#pragma once

#include <string>
#include <vector>

#include "cli/layer_question.h"

namespace convoy::cli {

/// "⌊(224 + 2·3 − 1·(7−1) − 1)/2⌋ + 1 = ⌊223/2⌋ + 1 = 112" along an axis; its size must be legal.
std::string formula(const LayerQuestion& question, size_t axis);

/// What a reader should know of a legal layer: cells that nothing reads, the way back, dilation, gaps; one note each.
std::vector<std::string> notes(const LayerQuestion& question, const shape::Spatial& output);

/// Throws ShapeMismatch if the layer is impossible: which numbers, on which axes, and the smallest changes that work.
void check_possible(const LayerQuestion& question);

/// One thing to change so that the layer's output has a wanted size.
struct Change {
  shape::Parameter parameter = shape::Parameter::kInput;
  std::string option;                // "-s 2": the value nearest to the one given
  std::vector<shape::Range> values;  // per axis, all that do it; end kUnlimited: no largest
};

/// Strides, the same on all axes, and the smallest padding per axis that each of them needs.
struct StridePadding {
  int64_t first_stride = 1, last_stride = 1;
  std::vector<int64_t> padding, output_padding;
};

/// Ways to a wanted output size.
struct Ways {
  std::vector<Change> changes;
  std::vector<StridePadding> pairs;      // with the given kernel and dilation
  std::optional<int64_t> layers_in_row;  // equal convolutions one after the other that end at this size
};

Ways find_ways(const LayerQuestion& question, const std::vector<int64_t>& wanted, bool with_input);

}  // namespace convoy::cli
