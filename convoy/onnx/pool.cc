// Pooling.
#include "convoy/onnx/import.h"

namespace convoy::onnx {
namespace {

// A whole number in files, any in the graph.
void convert_lp(Importing& importing) {
  if (const int64_t* p = importing.attributes().get<int64_t>("p")) {
    const auto value = static_cast<double>(*p);
    importing.attributes().set("p", value);
  }
}

}  // namespace

std::span<const OnnxOperator> pool_rows() {
  static constexpr OnnxOperator kRows[] = {
      {"MaxPool", 1, 1, 2, "kernel_shape:I! strides:I dilations:I pads:I auto_pad:s ceil_mode:i storage_order:i"},
      {"AveragePool", 1, 1, 1, "kernel_shape:I! strides:I dilations:I pads:I auto_pad:s ceil_mode:i count_include_pad:i"},
      {"LpPool", 1, 1, 1, "kernel_shape:I! strides:I dilations:I pads:I auto_pad:s ceil_mode:i p:i", convert_lp},
      {"GlobalMaxPool", 1, 1, 1},
      {"GlobalAveragePool", 1, 1, 1},
      {"GlobalLpPool", 1, 1, 1, "p:i", convert_lp},
      {"MaxUnpool", 2, 3, 1, "kernel_shape:I! strides:I pads:I"},
  };
  return kRows;
}

}  // namespace convoy::onnx
