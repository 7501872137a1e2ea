// The blocks in the list of layers that a printed form may name.
#pragma once

#include <vector>

#include "convoy/nn/printed_options.h"

namespace convoy::nn {

/// ACBlock, RepVGGBlock, DiverseBranchBlock, SEBlock and BNAndPadLayer for every number of axes. They are written as a call of the
/// published constructor, ACBlock(16, 32, kernel_size=3, padding=1), or as Python prints them, with the layers they consist of.
std::vector<LayerRow> reparam_rows();

}  // namespace convoy::nn
