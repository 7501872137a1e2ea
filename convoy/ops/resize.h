// Resizing along any axes, with every rule that files of networks name. PyTorch's own resizing is interpolate (ops/rearrange.h).
#pragma once

#include <cstdint>
#include <vector>

#include "convoy/core/resize.h"
#include "convoy/core/tensor.h"

namespace convoy {

/// What happens to sizes that would change the picture's proportions: they are reached exactly, or one factor for all axes is taken
/// so that no size is exceeded, or none is missed.
enum class AspectPolicy : uint8_t { kStretch, kNotLarger, kNotSmaller };

struct ResizeOptions {
  std::vector<int64_t> axes = {};   // empty: all of them
  std::vector<double> scales = {};  // one per axis in `axes`: the size becomes floor(n * scale), the product in float32
  std::vector<int64_t> sizes = {};  // or these
  ResizeRule rule = {};
  AspectPolicy aspect = AspectPolicy::kStretch;
  std::vector<double> roi = {};  // kTfCropAndResize: the begins, then the ends, per axis in `axes`
  double extrapolation_value = 0;
};

namespace ops {

/// The shape that resize gives. Errors: ValueError for scales that are not above 0, for numbers of values that do not fit the axes
/// and for scales beside sizes; ShapeMismatch for an axis of size 0 that is to grow.
Shape resized_shape(const Shape& input, const ResizeOptions& options);

/// Each resized axis is a sparse matrix; sums are in double. Nearest takes any type; the others any number, integers being cut to
/// their type at the end and 16-bit floats computed in float32. Source: ONNX Resize 19.
Tensor resize(const Tensor& input, const ResizeOptions& options);

}  // namespace ops
}  // namespace convoy
