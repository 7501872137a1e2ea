// The layer that `convoy shape` is asked about: words of the command line become sizes per axis.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convoy/shape/conv.h"
#include "convoy/shape/receptive_field.h"
#include "convoy/shape/solve.h"

namespace convoy::cli {

enum class LayerFamily { kConv, kTransposed, kMaxPool, kAvgPool };

/// A layer and its input, one value per axis d, h, w; a lower rank uses the last ones.
struct LayerQuestion {
  LayerFamily family = LayerFamily::kConv;
  int rank = 2;
  int64_t batch = 1, groups = 1;
  std::optional<int64_t> in_channels, out_channels;
  shape::Spatial input{1, 1, 1}, output_padding{0, 0, 0};
  std::array<shape::Axis, shape::kMaxSpatialRank> axes;
  bool ceil_mode = false;

  int first_axis() const { return shape::kMaxSpatialRank - rank; }
  bool pools() const { return family == LayerFamily::kMaxPool || family == LayerFamily::kAvgPool; }
  bool transposed() const { return family == LayerFamily::kTransposed; }
  /// "conv_transpose2d".
  std::string name() const;
  /// The layer as a chain of one, along an axis.
  shape::ChainLayer chain_layer(size_t axis) const { return chain_layer(axes[axis], output_padding[axis]); }
  shape::ChainLayer chain_layer(const shape::Axis& axis, int64_t axis_output_padding) const;
  /// The output size along an axis. Errors: those of the formula, and what the layer refuses: negative padding, a pooling padding
  /// above half the kernel, an output below 1.
  shape::Result<int64_t> output_size(size_t axis) const { return output_size(input[axis], axes[axis], output_padding[axis]); }
  shape::Result<int64_t> output_size(int64_t n, const shape::Axis& axis, int64_t axis_output_padding) const;
  shape::Remedies remedies(size_t axis) const;
  /// Axes in groups of equal size and window, in order.
  std::vector<std::vector<size_t>> equal_axes() const;
  /// "height"; of several axes "height and width".
  std::string axis_name(size_t axis) const;
  std::string axis_names(const std::vector<size_t>& axes) const;
};

/// What the options say, as they say it.
struct LayerWords {
  std::string layer;
  std::optional<std::string> input, kernel_size, stride, padding, dilation, output_padding;
  std::optional<int64_t> batch, in_channels, out_channels, groups;
  bool ceil_mode = false;
};

/// Reads the words. Layers have PyTorch's names ("conv2d", "Conv2d"); sizes are one number or one per axis ("224x112"); padding
/// also one per side ("t,b,l,r") or same, valid, full, half. An input that is not given stays 1.
/// Errors: UsageError, ValueError for padding="same" with a stride, as in PyTorch.
LayerQuestion read_question(const LayerWords& words);

/// One number for every axis or one per axis, separated by x or commas; `rank` values. Throws UsageError.
std::vector<int64_t> read_sizes(const std::string& option, const std::string& text, int rank);

/// "3", or "3x5" where the axes differ: as an option takes it.
std::string sizes_option(const std::vector<int64_t>& values);
/// "112×112".
std::string sizes_text(const std::vector<int64_t>& values);

}  // namespace convoy::cli
