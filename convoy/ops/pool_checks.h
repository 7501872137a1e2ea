// What the checks of the pooling operations share. Not for users: include convoy/ops/pool.h.
#pragma once

#include <concepts>
#include <functional>
#include <string>

#include "convoy/core/tensor.h"
#include "convoy/kernels/pool/pool.h"
#include "convoy/shape/conv.h"

namespace convoy::ops::pool_checks {

/// Throws Error unless rank is 1, 2 or 3.
void check_rank(int rank);

/// "depth", "height", "width" for axis 0, 1, 2.
std::string axis_name(size_t axis);

/// The shape as PyTorch prints it: its 1d pools are 2d pools of height 1.
Shape with_height(Shape shape, int rank);

/// "(3x1x8)": channels and spatial sizes, a height of 1 added to rank 1.
std::string sizes(int64_t channels, const shape::Spatial& spatial, int rank);

/// The input's leading axes with new spatial sizes.
Shape output_shape(const Shape& input, int rank, const shape::Spatial& spatial);

/// Throws Error `"name" not implemented for 'Long'` for an integer tensor.
void check_floating(DType dtype, const std::string& name);

void check_grad_shape(const Shape& grad_output, const Shape& output);

/// The planes of `small` (as many values as indices) and of `large`. Throws ShapeMismatch unless both are (N, C, *) or (C, *)
/// with equal N and C, Error if the indices are not int64.
kernels::IndexedPlanes indexed_planes(int rank, const Tensor& indices, const char* small, const Shape& large_shape,
                                      const char* large);

/// Calls refuse(index) with an index outside the plane, if there is one.
void check_indices(const kernels::IndexedPlanes& planes, const Tensor& indices, const std::function<void(int64_t)>& refuse);

}  // namespace convoy::ops::pool_checks
