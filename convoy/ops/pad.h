// Padding.
#pragma once

#include <string_view>
#include <vector>

#include "convoy/core/tensor.h"
#include "convoy/ops/options.h"
#include "convoy/shape/axis.h"

namespace convoy {

enum class PadMode : uint8_t { kConstant, kReflect, kReplicate, kCircular };

/// "constant", "reflect", "replicate", "circular". parse throws Error in PyTorch's words: "Unrecognised padding mode foo".
const char* pad_mode_name(PadMode mode);
PadMode parse_pad_mode(std::string_view name);
/// How pad() does what a layer's padding_mode says.
PadMode pad_mode(PaddingMode mode);

namespace ops {

/// `padding` lists the last axis first: (left, right, top, bottom, front, back). Constant padding may be negative (a crop) and
/// reach any axis; the other modes pad the spatial axes of (N, C, *) or (C, *).
///
/// Errors: PyTorch 1.13's checks and words; unbatched circular padding, a PyTorch bug, works here.
/// Source: torch.nn.functional.pad.
Tensor pad(const Tensor& input, const std::vector<int64_t>& padding, PadMode mode = PadMode::kConstant, double value = 0);
/// Any axes of any type: pads[axis] in front and behind, negative ones crop first. Reflection and circular padding repeat as often
/// as needed; an axis of size 1 reflects to itself. value holds one value of the input's type, or is undefined and stands for 0.
/// Errors: ShapeMismatch for a crop of more than there is, and where nothing is left to repeat. Source: numpy.pad, ONNX Pad.
Tensor pad_axes(const Tensor& input, const std::vector<shape::PadPair>& pads, PadMode mode, const Tensor& value = {});
Tensor pad_backward(const Tensor& grad_output, const Shape& input_shape, const std::vector<int64_t>& padding,
                    PadMode mode = PadMode::kConstant);

}  // namespace ops
}  // namespace convoy
