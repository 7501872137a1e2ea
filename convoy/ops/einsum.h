// Sums of products over named axes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy::ops {

/// The axes that an equation names. A label is a letter's code; -1, -2, ... are the axes of "...", counted from their end.
struct EinsumLabels {
  std::vector<std::vector<int>> operands;
  std::vector<int> output;
};

/// Reads "bij,bjk->bik" for operands of the given ranks. Without "->" the output has the axes of "..." and then the letters that
/// occur once, in alphabetical order. Errors: Error for what is no equation, ShapeMismatch for ranks that do not fit it.
EinsumLabels einsum_labels(std::string_view equation, const std::vector<int64_t>& ranks);

/// The sum over all axes that the output does not name of the product of the operands; a letter that occurs twice in one operand
/// stands for its diagonal. Operands are combined from left to right, each pair as one product of matrices.
///
/// Types: equal, as in matmul. Errors: those of einsum_labels; ShapeMismatch for axes of one label with different sizes (sizes of 1
/// are repeated). Source: torch.einsum, ONNX Einsum.
Tensor einsum(std::string_view equation, const std::vector<Tensor>& operands);

}  // namespace convoy::ops
