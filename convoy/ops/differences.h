// How far the outputs of a folded layer are from those of the layers it stands for, the border apart from the interior.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/core/tensor.h"
#include "convoy/shape/axis.h"

namespace convoy::ops {

/// The largest differences between a layer and what it replaces, and what became known about them.
struct Differences {
  double interior = 0;                      // where no tap reads padding
  double border = 0;                        // elsewhere
  double scale = 0;                         // the largest output
  int64_t border_outputs = 0, outputs = 0;  // positions of one channel
  bool agrees = true;
  std::string cause, remedy;  // if it does not
  std::string note;           // if it does although the difference is large: who rounded
};

/// For every position of one channel of an output [N, C, ...] whether a tap of its window reads padding.
///
/// Shapes: input and output have two axes more than `axes`.
std::vector<bool> border_positions(const std::vector<shape::Axis>& axes, const Shape& input, const Shape& output);

}  // namespace convoy::ops
