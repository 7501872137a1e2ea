// What changes a tensor's shape or type. Axes and sizes that were attributes are inputs now.
#include "convoy/core/error.h"
#include "convoy/core/formatted.h"
#include "convoy/onnx/import.h"
#include "convoy/onnx/tensor_proto.h"

namespace convoy::onnx {
namespace {

void convert_axes(Importing& importing) { importing.attribute_to_input("axes", 1); }

void convert_split(Importing& importing) { importing.attribute_to_input("split", 1); }

// The number of ONNX's type becomes Convoy's.
void convert_cast(Importing& importing) {
  const int64_t to = importing.attributes().integer("to", 0);
  const std::optional<DType> dtype = dtype_of_onnx(to);
  if (!dtype)
    importing.refuse("attribute 'to' is " + onnx_type_name(to), "Convoy casts to floats of 16, 32 and 64 bits, integers and bool");
  importing.attributes().set("to", static_cast<int64_t>(*dtype));
  importing.drop({"saturate", "round_mode"});
}

void convert_plain(Importing& importing) { importing.drop({"saturate", "round_mode", "consumed_inputs", "shape"}); }

// All the ways to write a constant become `value`.
void convert_constant(Importing& importing) {
  graph::Attributes& attributes = importing.attributes();
  if (attributes.all().size() != 1) {
    importing.refuse(formatted("it has {} attributes", attributes.all().size()),
                     "a constant has one: value, value_float, value_floats, value_int or value_ints");
  }
  Tensor tensor;
  if (const auto* value = attributes.get<Tensor>("value")) {
    tensor = *value;
  } else if (const auto* sparse = attributes.get<Tensor>("sparse_value")) {
    tensor = *sparse;
  } else if (const auto* number = attributes.get<double>("value_float")) {
    tensor = Tensor::scalar(*number);
  } else if (const auto* numbers = attributes.get<std::vector<double>>("value_floats")) {
    tensor = Tensor::from(*numbers, {static_cast<int64_t>(numbers->size())}).to(DType::kFloat32);
  } else if (const auto* integer = attributes.get<int64_t>("value_int")) {
    tensor = Tensor::from(std::vector<int64_t>{*integer}, {});
  } else if (const auto* integers = attributes.get<std::vector<int64_t>>("value_ints")) {
    tensor = Tensor::from(*integers, {static_cast<int64_t>(integers->size())});
  }
  if (!tensor.defined()) importing.refuse("its value is text", "only numbers are supported here");
  attributes.set("value", tensor);
}

}  // namespace

std::span<const OnnxOperator> shape_rows() {
  static constexpr OnnxOperator kRows[] = {
      {"Reshape", 2, 2, 1, "allowzero:i"},
      {"Flatten", 1, 1, 1, "axis:i"},
      {"Squeeze", 1, 2, 1, "axes:I", convert_axes},
      {"Unsqueeze", 1, 2, 1, "axes:I", convert_axes},
      {"Transpose", 1, 1, 1, "perm:I"},
      {"Expand", 2, 2, 1},
      {"Tile", 2, 2, 1},
      {"Shape", 1, 1, 1, "start:i end:i"},
      {"Size", 1, 1, 1},
      {"Identity", 1, 1, 1},
      {"Cast", 1, 1, 1, "to:i! saturate:i round_mode:s", convert_cast},
      {"CastLike", 2, 2, 1, "saturate:i round_mode:s", convert_plain},
      {"Concat", 1, -1, 1, "axis:i"},
      {"Split", 1, 2, -1, "axis:i split:I num_outputs:i", convert_split},
      {"DepthToSpace", 1, 1, 1, "blocksize:i! mode:s"},
      {"SpaceToDepth", 1, 1, 1, "blocksize:i!"},
      {"ConstantOfShape", 1, 1, 1, "value:t"},
      {"Constant", 0, 0, 1,
       "value:t sparse_value:t value_float:f value_floats:F value_int:i value_ints:I value_string:s value_strings:S",
       convert_constant},
  };
  return kRows;
}

}  // namespace convoy::onnx
