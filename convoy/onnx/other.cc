// Quantisation, text, lists and optional values.
#include "convoy/onnx/import.h"
#include "convoy/onnx/tensor_proto.h"

namespace convoy::onnx {
namespace {

void convert_quantize(Importing& importing) {
  if (const int64_t* number = importing.attributes().get<int64_t>("output_dtype")) {
    if (*number == 0) {
      importing.drop({"output_dtype"});
    } else {
      const std::optional<DType> dtype = dtype_of_onnx(*number);
      if (!dtype)
        importing.refuse(
            "attribute 'output_dtype' is " + onnx_type_name(*number),
            "quantised are uint8, int8, uint16 and int16; what they stand for is float32, float16, bfloat16 or float64");
      importing.attributes().set("output_dtype", static_cast<int64_t>(*dtype));
    }
  }
  importing.drop({"saturate", "precision"});
}

}  // namespace

std::span<const OnnxOperator> other_rows() {
  static constexpr OnnxOperator kRows[] = {
      {"QuantizeLinear", 2, 3, 1, "axis:i block_size:i output_dtype:i precision:i saturate:i", convert_quantize},
      {"DequantizeLinear", 2, 3, 1, "axis:i block_size:i output_dtype:i", convert_quantize},
      {"DynamicQuantizeLinear", 1, 1, 3},
      {"StringNormalizer", 1, 1, 1, "case_change_action:s is_case_sensitive:i locale:s stopwords:S"},
      {"SequenceConstruct", 1, -1, 1},
      {"SequenceEmpty", 0, 0, 1, "dtype:i", convert_dtype},
      {"SequenceAt", 2, 2, 1},
      {"SequenceInsert", 2, 3, 1},
      {"SequenceErase", 1, 2, 1},
      {"SequenceLength", 1, 1, 1},
      {"SplitToSequence", 1, 2, 1, "axis:i keepdims:i"},
      {"ConcatFromSequence", 1, 1, 1, "axis:i! new_axis:i"},
      {"Optional", 0, 1, 1},
      {"OptionalHasElement", 0, 1, 1},
      {"OptionalGetElement", 1, 1, 1},
  };
  return kRows;
}

}  // namespace convoy::onnx
