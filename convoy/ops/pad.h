// Padding.
#pragma once

#include <string_view>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy {

enum class PadMode : uint8_t { kConstant, kReflect, kReplicate, kCircular };

/// "constant", "reflect", "replicate", "circular". parse throws Error in PyTorch's words: "Unrecognised padding mode foo".
const char* pad_mode_name(PadMode mode);
PadMode parse_pad_mode(std::string_view name);

namespace ops {

/// `padding` lists the last axis first: (left, right, top, bottom, front, back). Constant padding may be negative (a crop) and
/// reach any axis; the other modes pad the spatial axes of (N, C, *) or (C, *).
///
/// Errors: PyTorch 1.13's checks and words; unbatched circular padding, a PyTorch bug, works here.
/// Source: torch.nn.functional.pad.
Tensor pad(const Tensor& input, const std::vector<int64_t>& padding, PadMode mode = PadMode::kConstant, double value = 0);
Tensor pad_backward(const Tensor& grad_output, const Shape& input_shape, const std::vector<int64_t>& padding,
                    PadMode mode = PadMode::kConstant);

}  // namespace ops
}  // namespace convoy
