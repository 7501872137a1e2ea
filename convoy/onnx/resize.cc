// Resize in its three forms, and Upsample, its predecessor.
#include "convoy/core/error.h"
#include "convoy/onnx/import.h"

namespace convoy::onnx {
namespace {

// Upsample multiplies sizes by scales (an attribute before opset 9), o / scale being where an output lies.
void convert_upsample(Importing& importing) {
  if (const auto* scales = importing.attributes().get<std::vector<double>>("scales")) {
    importing.set_input(
        2, importing.constant("scales", Tensor::from(*scales, {static_cast<int64_t>(scales->size())}).to(DType::kFloat32)));
  } else if (importing.node.inputs.size() > 1) {
    const graph::ValueId scales_id = importing.node.inputs[1];
    importing.node.inputs[1] = graph::kNoValue;
    importing.set_input(2, scales_id);
  } else {
    importing.refuse("it has neither the attribute 'scales' nor an input of that name", "give one of them");
  }
  importing.node.op = "Resize";
  std::string mode = importing.attributes().text("mode", "nearest");
  if (mode == "bilinear") mode = "linear";
  importing.node.attributes = {};
  importing.attributes().set("mode", mode);
  importing.attributes().set("coordinate_transformation_mode", std::string("asymmetric"));
  importing.attributes().set("nearest_mode", std::string("floor"));
}

// Opset 10 has the scales as its second input and Upsample's coordinates. Up to 12, tf_half_pixel_for_nn is nearest's name for half
// a pixel.
void convert_resize(Importing& importing) {
  if (importing.opset() < 11) return convert_upsample(importing);
  if (importing.attributes().text("coordinate_transformation_mode", "") == "tf_half_pixel_for_nn") {
    importing.attributes().set("coordinate_transformation_mode", std::string("half_pixel"));
    importing.attributes().set("nearest_mode", std::string("floor"));
  }
}

}  // namespace

std::span<const OnnxOperator> resize_rows() {
  static constexpr OnnxOperator kRows[] = {
      {"Resize", 1, 4, 1,
       "mode:s coordinate_transformation_mode:s nearest_mode:s cubic_coeff_a:f exclude_outside:i extrapolation_value:f antialias:i "
       "axes:I "
       "keep_aspect_ratio_policy:s",
       convert_resize},
      {"Upsample", 1, 2, 1, "mode:s scales:F height_scale:f width_scale:f", convert_upsample},
  };
  return kRows;
}

}  // namespace convoy::onnx
