#include "convoy/ops/dims.h"

#include <algorithm>
#include <string>

#include "convoy/core/error.h"

namespace convoy::ops {

int64_t wrap_dim(int64_t dim, int64_t rank) {
  const int64_t axes = std::max<int64_t>(rank, 1);
  if (dim < -axes || dim >= axes) {
    throw Error("Dimension out of range (expected to be in range of [" + std::to_string(-axes) + ", " + std::to_string(axes - 1) +
                    "], but got " + std::to_string(dim) + ")",
                "the tensor has " + std::to_string(rank) + (rank == 1 ? " axis" : " axes"));
  }
  return dim < 0 ? dim + axes : dim;
}

AxisView view_axis(const Shape& shape, int64_t dim) {
  AxisView view;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    (static_cast<int64_t>(axis) < dim ? view.outer : static_cast<int64_t>(axis) == dim ? view.n : view.inner) *= shape[axis];
  }
  return view;
}

}  // namespace convoy::ops
