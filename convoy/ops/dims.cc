#include "convoy/ops/dims.h"

#include <algorithm>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::ops {

int64_t wrap_dim(int64_t dim, int64_t rank) {
  const int64_t axes = std::max<int64_t>(rank, 1);
  if (dim < -axes || dim >= axes) {
    raise<Error>(
        "Dimension out of range (expected to be in range of [{}, {}], but got {})\n"
        "the tensor has {}{}",
        -axes, axes - 1, dim, rank, rank == 1 ? " axis" : " axes");
  }
  return dim < 0 ? dim + axes : dim;
}

std::vector<int64_t> dense_strides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t step = 1;
  for (size_t axis = shape.size(); axis-- > 0; step *= shape[axis]) strides[axis] = step;
  return strides;
}

std::vector<bool> reduced_axes(const Shape& shape, const std::vector<int64_t>& dims) {
  std::vector<bool> reduced(std::max<size_t>(shape.size(), 1), dims.empty());
  for (const int64_t dim : dims) {
    const auto at = static_cast<size_t>(wrap_dim(dim, static_cast<int64_t>(shape.size())));
    if (reduced[at])
      raise<Error>(
          "dim {} appears multiple times in the list of dims\n"
          "name each axis once; {} and its negative form are the same axis",
          at, at);
    reduced[at] = true;
  }
  return reduced;
}

Shape reduced_shape(const Shape& shape, const std::vector<bool>& reduced, bool keepdim) {
  Shape result;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (!reduced[axis]) {
      result.push_back(shape[axis]);
    } else if (keepdim) {
      result.push_back(1);
    }
  }
  return result;
}

AxisView view_axis(const Shape& shape, int64_t dim) {
  AxisView view;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    (static_cast<int64_t>(axis) < dim ? view.outer : static_cast<int64_t>(axis) == dim ? view.n : view.inner) *= shape[axis];
  }
  return view;
}

}  // namespace convoy::ops
