// Slices, padding, gathering. What were attributes are inputs now.
#include "convoy/core/formatted.h"
#include "convoy/onnx/import.h"
#include "convoy/onnx/tensor_proto.h"

namespace convoy::onnx {
namespace {

void convert_slice(Importing& importing) {
  if (importing.opset() < 10 && (!importing.attributes().has("starts") || !importing.attributes().has("ends"))) {
    importing.refuse("attribute 'starts' or 'ends' is missing", "opset 6 to 9 write them as attributes");
  }
  importing.attribute_to_input("starts", 1);
  importing.attribute_to_input("ends", 2);
  importing.attribute_to_input("axes", 3);
  if (importing.node.inputs.size() < 3)
    importing.refuse(formatted("it has {} inputs", importing.node.inputs.size()), "it needs data, starts and ends");
}

void convert_pad(Importing& importing) {
  importing.attribute_to_input("pads", 1);
  if (const double* value = importing.attributes().get<double>("value")) {
    importing.set_input(2, importing.constant("value", Tensor::scalar(*value, importing.dtype(0, DType::kFloat32))));
    importing.drop({"value"});
  }
  if (importing.node.inputs.size() < 2) importing.refuse("attribute or input 'pads' is missing", "say how much to pad each axis");
}

void convert_topk(Importing& importing) {
  if (const int64_t* k = importing.attributes().get<int64_t>("k"))
    importing.set_input(1, importing.constant("k", std::vector<int64_t>{*k}));
  importing.drop({"k", "sorted"});
  if (importing.node.inputs.size() < 2) importing.refuse("attribute or input 'k' is missing", "say how many entries to keep");
}

void convert_scatter(Importing& importing) { importing.node.op = "ScatterElements"; }

}  // namespace

std::span<const OnnxOperator> index_rows() {
  static constexpr OnnxOperator kRows[] = {
      {"Slice", 1, 5, 1, "axes:I ends:I starts:I", convert_slice},
      {"Pad", 1, 4, 1, "mode:s pads:I value:f", convert_pad},
      {"Gather", 2, 2, 1, "axis:i"},
      {"GatherElements", 2, 2, 1, "axis:i"},
      {"GatherND", 2, 2, 1, "batch_dims:i"},
      {"Scatter", 3, 3, 1, "axis:i", convert_scatter},
      {"ScatterElements", 3, 3, 1, "axis:i reduction:s"},
      {"ScatterND", 3, 3, 1, "reduction:s"},
      {"OneHot", 3, 3, 1, "axis:i"},
      {"NonZero", 1, 1, 1},
      {"Range", 3, 3, 1},
      {"EyeLike", 1, 1, 1, "dtype:i k:i", convert_dtype},
      {"CumSum", 2, 2, 1, "exclusive:i reverse:i"},
      {"TopK", 1, 2, 2, "axis:i k:i largest:i sorted:i", convert_topk},
      {"Trilu", 1, 2, 1, "upper:i"},
      {"Compress", 2, 2, 1, "axis:i"},
  };
  return kRows;
}

}  // namespace convoy::onnx
