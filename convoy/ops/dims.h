// Axis numbers as PyTorch takes them.
#pragma once

#include <cstdint>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy::ops {

/// The axis counted from the front; a scalar has the axes -1 and 0. Throws Error:
/// "Dimension out of range (expected to be in range of [-2, 1], but got 2)".
int64_t wrap_dim(int64_t dim, int64_t rank);

/// How far apart neighbours along each axis of a dense tensor lie, in elements.
std::vector<int64_t> dense_strides(const Shape& shape);

/// Per axis, whether it is reduced (a scalar has one); no axes at all means all of them. Throws Error for an axis named twice.
std::vector<bool> reduced_axes(const Shape& shape, const std::vector<int64_t>& dims);
/// The shape without the reduced axes, or with 1 in their place.
Shape reduced_shape(const Shape& shape, const std::vector<bool>& reduced, bool keepdim);

/// A shape seen from one axis: the elements before it, its size, the elements behind it.
struct AxisView {
  int64_t outer = 1, n = 1, inner = 1;
};
AxisView view_axis(const Shape& shape, int64_t dim);

}  // namespace convoy::ops
