// Convolutions. Their forms have not changed since opset 1.
#include "convoy/onnx/import.h"

namespace convoy::onnx {

std::span<const OnnxOperator> conv_rows() {
  static constexpr std::string_view kWindows = "auto_pad:s dilations:I group:i kernel_shape:I pads:I strides:I";
  static constexpr OnnxOperator kRows[] = {
      {"Conv", 2, 3, 1, kWindows},
      {"ConvTranspose", 2, 3, 1, "auto_pad:s dilations:I group:i kernel_shape:I output_padding:I output_shape:I pads:I strides:I"},
      {"ConvInteger", 2, 4, 1, kWindows},
      {"QLinearConv", 8, 9, 1, kWindows},
      {"DeformConv", 3, 5, 1, "dilations:I group:i kernel_shape:I offset_group:i pads:I strides:I"},
      {"Col2Im", 3, 3, 1, "dilations:I pads:I strides:I"},
  };
  return kRows;
}

}  // namespace convoy::onnx
