// Rearrangements between space and channels, and resizing.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "convoy/core/tensor.h"
#include "convoy/ops/options.h"
#include "convoy/shape/pool.h"

namespace convoy {

struct UnfoldOptions {
  IntList kernel_size;
  IntList dilation = 1;
  IntList padding = 0;
  IntList stride = 1;
};

enum class InterpolateMode : uint8_t { kNearest, kBilinear, kBicubic };
/// "nearest", "bilinear", "bicubic".
const char* interpolate_mode_name(InterpolateMode mode);
/// Throws ValueError for a name that is none of these.
InterpolateMode parse_interpolate_mode(std::string_view name);

struct InterpolateOptions {
  std::vector<int64_t> size;  // spatial sizes of the output, or empty and scale_factor is given
  InterpolateMode mode = InterpolateMode::kNearest;
  bool align_corners = false;
  /// One factor, or one per axis: the output has floor(n * factor) positions, and 1 / factor is the step between them (not the
  /// ratio of the sizes, as PyTorch without recompute_scale_factor).
  std::vector<double> scale_factor = {};
};

namespace ops {

/// Sliding blocks as columns: (N, C, H, W) -> (N, C kh kw, L), and back, overlaps summed; (C, H, W) -> (C kh kw, L) too. Each is
/// the gradient of the other. Errors: PyTorch 1.13's checks and words. Source: torch.nn.functional.unfold, fold.
Tensor unfold(const Tensor& input, const UnfoldOptions& options);
Tensor fold(const Tensor& input, const std::vector<int64_t>& output_size, const UnfoldOptions& options);

/// fold with 1 to 3 axes and free padding: columns (N, C k, L) -> (N, C, *), k the product of the kernel's sizes. Of `image` rank,
/// input (the sizes behind C) and axes are read. Errors: ShapeMismatch for columns that do not fit. Source: ONNX Col2Im.
Tensor col2im(const Tensor& columns, const shape::PoolShape& image);

/// (*, C r^2, H, W) <-> (*, C, H r, W r), of any type; each is the gradient of the other. Source:
/// torch.nn.functional.pixel_shuffle, pixel_unshuffle.
Tensor pixel_shuffle(const Tensor& input, int64_t upscale_factor);
Tensor pixel_unshuffle(const Tensor& input, int64_t downscale_factor);

/// Resizes (N, C, *): nearest with 1 to 3 spatial axes, bilinear and bicubic with 2. Weights and sums are in double. The backward
/// is the gradient of this forward; PyTorch's nearest picks other positions on the way back where floor(n * factor) happens to be
/// 2n. Errors: PyTorch 1.13's checks and words. Source: torch.nn.functional.interpolate.
Tensor interpolate(const Tensor& input, const InterpolateOptions& options);
Tensor interpolate_backward(const Tensor& grad_output, const Shape& input_shape, const InterpolateOptions& options);

}  // namespace ops
}  // namespace convoy
