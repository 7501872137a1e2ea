// The windows that a convolution or pooling node slides, from its attributes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "convoy/graph/graph.h"
#include "convoy/shape/axis.h"
#include "convoy/shape/conv.h"
#include "convoy/shape/pool.h"

namespace convoy::graph {

/// One shape::Axis per spatial axis from kernel_shape (`kernel` where the attribute is left out), strides, dilations, pads and
/// auto_pad. `sizes`: the input's spatial sizes, -1 for one that is not known; nullopt if auto_pad needs one that is not.
///
/// Errors: Error that names the attribute and its value: lists of another length than the spatial axes, kernel sizes, strides and
/// dilations below 1, an unknown auto_pad.
std::optional<std::vector<shape::Axis>> windows(const Attributes& attributes, const std::vector<int64_t>& kernel,
                                                const std::vector<int64_t>& sizes);

/// An axis of a transposed convolution. output_padding may be larger than a layer's; output: -1 where the input's size is not
/// known.
struct TransposedAxis {
  shape::Axis axis;
  int64_t output_padding = 0;
  int64_t output = 0;
};

/// The same for a transposed convolution. Its pads come from `pads`, from output_shape (what is left over is cut in front and
/// behind), or from SAME (n * stride outputs), where they do not depend on `sizes`.
///
/// Errors: those of windows; ShapeMismatch for an output below 1.
std::vector<TransposedAxis> transposed_windows(const Attributes& attributes, const std::vector<int64_t>& kernel,
                                               std::vector<int64_t> sizes);

/// A node's attributes with `pads` (and output_padding) in place of auto_pad and output_shape; as they are where those depend on
/// sizes that are not known.
Attributes explicit_padding(const Graph& graph, const Node& node);

[[noreturn]] void refuse_axis(const shape::ShapeError& error, size_t i, int64_t n, const shape::Axis& axis);

/// The layer that a convolution node's attributes make of an input and a weight of these shapes; nullopt where they are not a plain
/// call's: then Operator::run words the error, or knows more. Errors: windows'.
std::optional<shape::ConvShape> conv_shape(const Attributes& attributes, const Shape& input, const Shape& weight, bool transposed);
/// The shape of what it gives.
Shape output_shape(const shape::ConvShape& layer);

/// The windows of a PooledConv (fused.h), 2x2 at a stride of 2; sizes are left open.
shape::PoolShape windows_of_two();

/// Whether `axes` of a value with `rank` axes are all those behind the channels, and no other.
bool are_spatial(const Tensor& axes, int64_t rank);

/// The kernel's sizes, from the weight or, where that is open, from kernel_shape; empty if neither says them.
std::vector<int64_t> kernel_sizes(const Attributes& attributes, const Dims& weight);

/// The spatial sizes of a type's dims, -1 where not known.
std::vector<int64_t> spatial_sizes(const Dims& dims);

}  // namespace convoy::graph
