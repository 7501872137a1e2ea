// Rearrangements between space and channels, and resizing.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "convoy/core/tensor.h"
#include "convoy/ops/options.h"

namespace convoy {

struct UnfoldOptions {
  IntList kernel_size;
  IntList dilation = 1;
  IntList padding = 0;
  IntList stride = 1;
};

enum class InterpolateMode : uint8_t { kNearest, kBilinear, kBicubic };

struct InterpolateOptions {
  std::vector<int64_t> size;  // spatial sizes of the output
  InterpolateMode mode = InterpolateMode::kNearest;
  bool align_corners = false;
};

namespace ops {

/// Sliding blocks as columns: (N, C, H, W) -> (N, C kh kw, L), and back, overlaps summed. Source: torch.nn.functional.unfold, fold.
Tensor unfold(const Tensor& input, const UnfoldOptions& options);
Tensor fold(const Tensor& input, const std::vector<int64_t>& output_size, const UnfoldOptions& options);

/// (*, C r^2, H, W) <-> (*, C, H r, W r). Source: torch.nn.functional.pixel_shuffle, pixel_unshuffle.
Tensor pixel_shuffle(const Tensor& input, int64_t upscale_factor);
Tensor pixel_unshuffle(const Tensor& input, int64_t downscale_factor);

/// Source: torch.nn.functional.interpolate (nearest 1-3 spatial axes; bilinear and bicubic 2).
Tensor interpolate(const Tensor& input, const InterpolateOptions& options);
Tensor interpolate_backward(const Tensor& grad_output, const Shape& input_shape, const InterpolateOptions& options);

}  // namespace ops
}  // namespace convoy
