// Rows of the error table: rearrange.h and pad.h.
#include <string>

#include "convoy/ops/pad.h"
#include "convoy/ops/rearrange.h"
#include "tests/robustness/error_rows.h"

namespace convoy::robustness {

Rows rearrange_rows() {
  const Tensor x = zeros({1, 3, 4, 5}), columns = zeros({1, 12, 12});
  Rows rows;
  REFUSED("pad.input", ops::pad({}, {1, 1}), "");
  REFUSED("pad.padding", ops::pad(x, {1, 1, 1}), "Padding length must be divisible by 2");
  REFUSED("pad.padding", ops::pad(x, std::vector<int64_t>(10, 1)), "Padding length too large");
  REFUSED("pad.padding", ops::pad(x, {-3, -3}), "");
  REFUSED("pad.padding", ops::pad(x, {5, 5, 0, 0}, PadMode::kReflect),
          "Padding size should be less than the corresponding input dimension");
  REFUSED("pad.padding", ops::pad(x, {6, 0, 0, 0}, PadMode::kCircular), "Padding value causes wrapping around more than once.");
  REFUSED("pad_backward.grad_output", ops::pad_backward(zeros({1, 3, 4, 8}), x.shape(), {1, 1}), "");
  REFUSED("pad_backward.input_shape", ops::pad_backward(zeros({1, 3, 4, 7}), {1, 3, 4, 6}, {1, 1}), "");
  REFUSED("pad_backward.padding", ops::pad_backward(zeros({1, 3, 4, 7}), x.shape(), {1, 1, 1}), "");
  const auto unfold = [&](const char* argument, const UnfoldOptions& options, const char* words) {
    REFUSED(std::string("unfold.") + argument, ops::unfold(x, options), words);
    REFUSED(std::string("fold.") + argument, ops::fold(columns, {4, 5}, options), words);
  };
  unfold("kernel_size", {.kernel_size = 0}, "kernel size should be greater than zero, but got kernel_height: 0 kernel_width: 0");
  unfold("kernel_size", {.kernel_size = {2, 2, 2}}, "It is expected kernel_size equals to 2, but got size 3");
  unfold("dilation", {.kernel_size = 2, .dilation = 0},
         "dilation should be greater than zero, but got dilation_height: 0 dilation_width: 0");
  unfold("padding", {.kernel_size = 2, .padding = -1}, "padding should be non-negative, but got pad_height: -1 pad_width: -1");
  unfold("stride", {.kernel_size = 2, .stride = 0}, "stride should be greater than zero, but got stride_height: 0 stride_width: 0");
  REFUSED("unfold.input", ops::unfold(zeros({1, 3, 0, 5}), {.kernel_size = 1}),
          "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: [1, "
          "3, 0, 5]");
  REFUSED("unfold.kernel_size", ops::unfold(x, {.kernel_size = 6}),
          "calculated shape of the array of sliding blocks as (-1, 0), but its components must be at least one.");
  REFUSED("fold.input", ops::fold(zeros({1, 1, 12, 12}), {4, 5}, {.kernel_size = 2}),
          "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but got: "
          "[1, 1, 12, 12]");
  REFUSED("fold.output_size", ops::fold(columns, {4}, {.kernel_size = 2}),
          "It is expected output_size equals to 2, but got size 1");
  REFUSED("fold.output_size", ops::fold(columns, {5, 5}, {.kernel_size = 2}),
          "expected size of input's dimension 2 to match the calculated number of sliding blocks 4 * 4 = 16, but got "
          "input.size(2)=12.");
  REFUSED("pixel_shuffle.input", ops::pixel_shuffle(zeros({4, 2}), 2),
          "pixel_shuffle expects input to have at least 3 dimensions, but got input with 2 dimension(s)");
  REFUSED("pixel_shuffle.upscale_factor", ops::pixel_shuffle(zeros({1, 4, 2, 2}), 3), "input.size(-3)=4 is not divisible by 9");
  REFUSED("pixel_unshuffle.input", ops::pixel_unshuffle(zeros({4, 2}), 2),
          "pixel_unshuffle expects input to have at least 3 dimensions");
  REFUSED("pixel_unshuffle.downscale_factor", ops::pixel_unshuffle(zeros({1, 4, 2, 2}), 3),
          "pixel_unshuffle expects height to be divisible by downscale_factor, but input.size(-2)=2 is not divisible by 3");
  REFUSED("interpolate.input", ops::interpolate(zeros({1, 6, 0, 3}), {.size = {2, 2}}),
          "Input and output sizes should be greater than 0, but got input (H: 0, W: 3) output (H: 2, W: 2)");
  REFUSED("interpolate.size", ops::interpolate(x, {.size = {-1, 2}}),
          "Input and output sizes should be greater than 0, but got input (H: 4, W: 5) output (H: -1, W: 2)");
  REFUSED_VALUE("interpolate.size", ops::interpolate(x, {.size = {2, 2, 2}}),
                "Input and output must have the same number of spatial dimensions");
  REFUSED_VALUE("interpolate.scale_factor", ops::interpolate(x, {}), "either size or scale_factor should be defined");
  REFUSED_VALUE("interpolate.scale_factor", ops::interpolate(x, {.size = {2, 2}, .scale_factor = {2}}),
                "only one of size or scale_factor should be defined");
  REFUSED_VALUE("interpolate.scale_factor", ops::interpolate(x, {.scale_factor = {2, 2, 2}}),
                "Input and scale_factor must have the same number of spatial dimensions");
  REFUSED("interpolate_backward.grad_output", ops::interpolate_backward(zeros({1, 3, 2, 3}), x.shape(), {.size = {2, 2}}), "");
  REFUSED("interpolate_backward.input_shape", ops::interpolate_backward(zeros({1, 3, 2, 2}), {1, 3, 4}, {.size = {2, 2}}), "");
  REFUSED("interpolate_backward.size", ops::interpolate_backward(zeros({1, 3, 2, 2}), x.shape(), {.size = {0, 2}}), "");
  return rows;
}

}  // namespace convoy::robustness
