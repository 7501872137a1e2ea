#include "convoy/ops/pool_checks.h"

#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/ops/checks.h"

namespace convoy::ops::pool_checks {

void check_rank(int rank) {
  if (rank < 1 || rank > 3) raise<Error>("pooling has 1, 2 or 3 spatial axes\nrank is {}", rank);
}

std::string axis_name(size_t axis) {
  constexpr const char* kNames[] = {"depth", "height", "width"};
  return kNames[axis];
}

Shape with_height(Shape shape, int rank) {
  if (rank == 1 && !shape.empty()) shape.insert(shape.end() - 1, 1);
  return shape;
}

std::string sizes(int64_t channels, const shape::Spatial& spatial, int rank) {
  std::string line = formatted("({}", channels);
  for (size_t a = rank == 3 ? 0 : 1; a < 3; ++a) line += formatted("x{}", spatial[a]);
  return line + ")";
}

Shape output_shape(const Shape& input, int rank, const shape::Spatial& spatial) {
  Shape shape = input;
  for (size_t i = 0; i < static_cast<size_t>(rank); ++i) shape[shape.size() - 1 - i] = spatial[2 - i];
  return shape;
}

void check_floating(DType dtype, const std::string& name) {
  if (!is_float_or_double(dtype)) refuse_type(dtype, name);
}

void check_grad_shape(const Shape& grad_output, const Shape& output) {
  if (grad_output == output) return;
  raise<ShapeMismatch>(
      "grad_output has shape {}, the output has shape {}\n"
      "give a gradient of shape {}",
      grad_output, output, output);
}

kernels::IndexedPlanes indexed_planes(int rank, const Tensor& indices, const char* small, const Shape& large_shape,
                                      const char* large) {
  const Shape& shape = indices.shape();
  if (indices.dtype() != DType::kInt64) {
    raise<Error>(
        "elements in indices should be type int64 but got: {}\n"
        "pass the indices that max pooling returned",
        type_word(indices.dtype()));
  }
  const auto spatial = static_cast<size_t>(rank);
  const bool ranks_fit = (shape.size() == spatial + 1 || shape.size() == spatial + 2) && shape.size() == large_shape.size();
  const size_t leading = ranks_fit ? shape.size() - spatial : 0;
  if (!ranks_fit || !std::equal(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(leading), large_shape.begin())) {
    raise<ShapeMismatch>(
        "{} has shape {}, {} has shape {}\n"
        "both are (N, C, *) or (C, *) with {}{} behind C and the same N and C",
        small, shape, large, large_shape, rank, rank == 1 ? " axis" : " axes");
  }
  static_cast<void>(numel(large_shape));  // refuses what cannot be counted
  kernels::IndexedPlanes planes{1, 1, 1};
  for (size_t a = 0; a < shape.size(); ++a) {
    if (a < leading) {
      planes.planes *= shape[a];
    } else {
      planes.values *= shape[a];
      planes.positions *= large_shape[a];
    }
  }
  return planes;
}

void check_indices(const kernels::IndexedPlanes& planes, const Tensor& indices, const std::function<void(int64_t)>& refuse) {
  const int64_t* values = indices.data<int64_t>();
  const int64_t at = kernels::find_invalid_index(planes, values);
  if (at >= 0) refuse(values[at]);
}

}  // namespace convoy::ops::pool_checks
