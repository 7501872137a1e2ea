// Cutting, repeating and rearranging tensors of any type.
#pragma once

#include <cstdint>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy {

/// One axis of a slice: entries start, start + step, ... before end (behind it, if the step is negative). Negative starts and ends
/// count from the end of the axis, and what lies outside the axis is cut off, as in Python; INT64_MIN and INT64_MAX are welcome.
struct AxisSlice {
  int64_t axis = 0, start = 0, end = INT64_MAX, step = 1;
};

namespace ops {

/// input[start:end:step] along the axes named, copied. Errors: ValueError "slice step cannot be zero"; an axis out of range or
/// named twice. Source: numpy.ndarray's basic slicing, ONNX Slice.
Tensor slice(const Tensor& input, const std::vector<AxisSlice>& slices);

/// Consecutive parts of the given sizes along an axis; they share the values where the axes in front of it are 1, and are copies
/// otherwise. Errors: PyTorch's words for sizes that do not add up. Source: torch.split.
std::vector<Tensor> split(const Tensor& input, const std::vector<int64_t>& sizes, int64_t dim = 0);

/// The input repeated repeats[axis] times along each axis; missing repeats or axes in front count as 1. Source: torch.tile.
Tensor tile(const Tensor& input, const std::vector<int64_t>& repeats);

/// The part of each matrix (the last two axes) on and above, or on and below, a diagonal; the rest is 0.
/// Source: torch.triu, torch.tril.
Tensor triu(const Tensor& input, int64_t diagonal = 0);
Tensor tril(const Tensor& input, int64_t diagonal = 0);

/// (N, C b^2, H, W) -> (N, C, H b, W b): depth-column-row order takes channel (i b + j) C + c for position (i, j) of a block,
/// column-row-depth order c b^2 + i b + j, as torch.pixel_shuffle. space_to_depth inverts the first. Source: ONNX DepthToSpace,
/// SpaceToDepth.
enum class DepthOrder : uint8_t { kDepthColumnRow, kColumnRowDepth };
Tensor depth_to_space(const Tensor& input, int64_t block_size, DepthOrder order = DepthOrder::kDepthColumnRow);
Tensor space_to_depth(const Tensor& input, int64_t block_size);

}  // namespace ops
}  // namespace convoy
