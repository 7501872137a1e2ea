// Resize in its three forms, and Upsample, its predecessor.
#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/core/formatted.h"
#include "convoy/onnx/import.h"

namespace convoy::onnx {
namespace {

// The scales from 1 on, or those up to it, with 1 in place of the others.
graph::ValueId scales_of_one_side(Importing& importing, graph::ValueId scales, const char* limit) {
  return importing.insert(limit, {scales, importing.constant("one", Tensor::scalar(1))});
}

// Upsample multiplies sizes by scales (an attribute before opset 9), o / scale being where an output lies. Nearest rounds that down
// along an axis that grows, and up along one that shrinks.
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
  if (mode != "nearest") return;
  bool grows = true, shrinks = true;
  if (const Tensor* scales = importing.constant(2)) {
    const std::vector<double> factors = scales->to(DType::kFloat64).to_vector<double>();
    grows = std::any_of(factors.begin(), factors.end(), [](double factor) { return factor > 1; });
    shrinks = std::any_of(factors.begin(), factors.end(), [](double factor) { return factor < 1; });
  }
  if (grows && shrinks) {
    const graph::ValueId scales = importing.node.inputs[2];
    const graph::ValueId larger =
        importing.insert("Resize", {importing.node.inputs[0], graph::kNoValue, scales_of_one_side(importing, scales, "Max")},
                         importing.attributes());
    importing.node.inputs = {larger, graph::kNoValue, scales_of_one_side(importing, scales, "Min")};
  }
  if (shrinks) importing.attributes().set("nearest_mode", std::string("ceil"));
}

// Opset 10 has the scales as its second input and Upsample's coordinates. Up to 12 there is tf_half_pixel_for_nn: half a pixel more
// than half_pixel, which another way to round makes up for.
void convert_resize(Importing& importing) {
  if (importing.opset() < 11) return convert_upsample(importing);
  if (importing.attributes().text("coordinate_transformation_mode", "") == "tf_half_pixel_for_nn") {
    const std::string mode = importing.attributes().text("mode", "nearest");
    const std::string rounding = importing.attributes().text("nearest_mode", "round_prefer_floor");
    if (mode != "nearest" || (rounding != "floor" && rounding != "round_prefer_floor")) {
      importing.refuse(
          formatted("coordinate_transformation_mode 'tf_half_pixel_for_nn' with mode '{}' and nearest_mode '{}'", mode, rounding),
          "it is read with mode nearest, rounding with floor or round_prefer_floor; half_pixel goes with all");
    }
    importing.attributes().set("coordinate_transformation_mode", std::string("half_pixel"));
    importing.attributes().set("nearest_mode", std::string(rounding == "floor" ? "round_prefer_ceil" : "ceil"));
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
