// Arithmetic with the broadcasting of every version, activations, comparisons, choices.
#include "convoy/onnx/import.h"

#include "convoy/core/formatted.h"

namespace convoy::onnx {
namespace {

// Before opset 7 the second operand is broadcast only if `broadcast` says so, its axes lying at `axis` (or at the end).
void convert_arithmetic(Importing& importing) {
  const int64_t* axis = importing.attributes().get<int64_t>("axis");
  if (importing.opset() < 7 && importing.attributes().integer("broadcast", 0) != 0 && axis != nullptr) {
    const int64_t rank = importing.rank(0), at = *axis < 0 && *axis >= -rank ? *axis + rank : *axis;
    const int64_t behind = at < 0 || at > rank ? -1 : rank - at - importing.rank(1);
    if (behind < 0) {
      importing.refuse(formatted("attribute 'axis' is {}", *axis),
                       formatted("the second input's {} axes must fit into the first's {} from there", importing.rank(1), rank));
    }
    std::vector<int64_t> axes;
    for (int64_t i = 0; i < behind; ++i) axes.push_back(-1 - i);
    if (behind > 0) {
      importing.node.inputs[1] = importing.insert("Unsqueeze", {importing.node.inputs[1], importing.constant("axes", axes)});
    }
  }
  importing.drop({"axis", "broadcast", "consumed_inputs"});
}

void convert_plain(Importing& importing) { importing.drop({"consumed_inputs"}); }

// Before opset 11 the bounds are attributes.
void convert_clip(Importing& importing) {
  const DType dtype = importing.dtype(0, DType::kFloat32);
  for (size_t i = 1; i <= 2; ++i) {
    const char* name = i == 1 ? "min" : "max";
    if (const double* bound = importing.attributes().get<double>(name)) {
      importing.set_input(i, importing.constant(name, Tensor::scalar(*bound, dtype)));
    }
  }
  importing.drop({"min", "max", "consumed_inputs"});
}

// Before opset 7 the slopes belong to axis 1, from then on they are broadcast as everywhere.
void convert_prelu(Importing& importing) {
  importing.drop({"consumed_inputs"});
  if (importing.opset() >= 7) return;
  if (importing.type(1).dims && importing.type(1).dims->size() == 1 && importing.rank(0) > 2) {
    std::vector<int64_t> axes;
    for (int64_t i = 0; i < importing.rank(0) - 2; ++i) axes.push_back(-1 - i);
    importing.node.inputs[1] = importing.insert("Unsqueeze", {importing.node.inputs[1], importing.constant("axes", axes)});
  }
}

// Before opset 13 all axes from `axis` on (1, unless it says otherwise) are one.
void convert_softmax(Importing& importing) {
  if (importing.opset() >= 13) return;
  const int64_t axis = importing.attributes().integer("axis", 1);
  const auto& dims = importing.type(0).dims;
  const bool last = dims && (axis == -1 || axis == static_cast<int64_t>(dims->size()) - 1);
  importing.attributes().set("axis", int64_t{-1});
  if (last) return;
  if (axis < 0 && !dims) importing.rank(0);
  graph::Attributes flat;
  flat.set("axis", axis);
  const graph::ValueId input = importing.node.inputs[0];
  const graph::ValueId shape = importing.insert("Shape", {input});
  const graph::ValueId flattened = importing.insert("Flatten", {input}, std::move(flat));
  const graph::ValueId result = importing.insert(importing.node.op, {flattened}, importing.attributes());
  importing.node.op = "Reshape";
  importing.node.inputs = {result, shape};
  importing.node.attributes = {};
  importing.attributes().set("allowzero", int64_t{1});
}

void convert_dropout(Importing& importing) {
  // Before opset 12 a model says nothing about training but is_test (before 7): files are for inference.
  if (const double* ratio = importing.attributes().get<double>("ratio")) {
    importing.set_input(1, importing.constant("ratio", Tensor::scalar(*ratio)));
  }
  importing.drop({"ratio", "is_test", "consumed_inputs"});
  // What is kept was no news then: the mask, of the values' type before opset 10, is left at 0.
  std::vector<graph::ValueId>& outputs = importing.node.outputs;
  if (importing.opset() >= 12 || outputs.size() < 2) return;
  if (outputs[1] != graph::kNoValue) {
    const DType dtype = importing.opset() >= 10 ? DType::kBool : importing.dtype(0, DType::kFloat32);
    graph::Attributes zero;
    zero.set("value", Tensor::zeros({1}, dtype));
    importing.insert_as("ConstantOfShape", {importing.insert("Shape", {importing.node.inputs[0]})}, outputs[1], std::move(zero));
  }
  outputs.resize(1);
}

// x * sigmoid(alpha * x).
void convert_swish(Importing& importing) {
  const graph::ValueId x = importing.node.inputs[0];
  graph::ValueId scaled = x;
  if (const double alpha = importing.attributes().number("alpha", 1.0); alpha != 1.0) {
    const Tensor factor = Tensor::full({}, alpha, importing.dtype(0, DType::kFloat32));
    scaled = importing.insert("Mul", {x, importing.constant("alpha", factor)});
  }
  importing.node.op = "Mul";
  importing.node.inputs = {x, importing.insert("Sigmoid", {scaled})};
  importing.drop({"alpha"});
}

}  // namespace

std::span<const OnnxOperator> elementwise_rows() {
  static constexpr std::string_view kOld = "axis:i broadcast:i consumed_inputs:I";
  static constexpr OnnxOperator kRows[] = {
      {"Add", 2, 2, 1, kOld, convert_arithmetic},
      {"Sub", 2, 2, 1, kOld, convert_arithmetic},
      {"Mul", 2, 2, 1, kOld, convert_arithmetic},
      {"Div", 2, 2, 1, kOld, convert_arithmetic},
      {"Pow", 2, 2, 1, kOld, convert_arithmetic},
      {"And", 2, 2, 1, kOld, convert_arithmetic},
      {"Or", 2, 2, 1, kOld, convert_arithmetic},
      {"Xor", 2, 2, 1, kOld, convert_arithmetic},
      {"Equal", 2, 2, 1, kOld, convert_arithmetic},
      {"Less", 2, 2, 1, kOld, convert_arithmetic},
      {"Greater", 2, 2, 1, kOld, convert_arithmetic},
      {"LessOrEqual", 2, 2, 1},
      {"GreaterOrEqual", 2, 2, 1},
      {"Mod", 2, 2, 1, "fmod:i"},
      {"Sum", 1, -1, 1, "consumed_inputs:I", convert_plain},
      {"Min", 1, -1, 1, "consumed_inputs:I", convert_plain},
      {"Max", 1, -1, 1, "consumed_inputs:I", convert_plain},
      {"Mean", 1, -1, 1, "consumed_inputs:I", convert_plain},
      {"PRelu", 2, 2, 1, "consumed_inputs:I", convert_prelu},
      {"Abs", 1, 1, 1, "consumed_inputs:I", convert_plain},
      {"Neg", 1, 1, 1, "consumed_inputs:I", convert_plain},
      {"Sign", 1, 1, 1},
      {"Floor", 1, 1, 1, "consumed_inputs:I", convert_plain},
      {"Ceil", 1, 1, 1, "consumed_inputs:I", convert_plain},
      {"Round", 1, 1, 1},
      {"Reciprocal", 1, 1, 1, "consumed_inputs:I", convert_plain},
      {"Sqrt", 1, 1, 1, "consumed_inputs:I", convert_plain},
      {"Exp", 1, 1, 1, "consumed_inputs:I", convert_plain},
      {"Log", 1, 1, 1, "consumed_inputs:I", convert_plain},
      {"Erf", 1, 1, 1},
      {"Sin", 1, 1, 1},
      {"Cos", 1, 1, 1},
      {"Tan", 1, 1, 1},
      {"Asin", 1, 1, 1},
      {"Acos", 1, 1, 1},
      {"Atan", 1, 1, 1},
      {"Sinh", 1, 1, 1},
      {"Cosh", 1, 1, 1},
      {"Asinh", 1, 1, 1},
      {"Acosh", 1, 1, 1},
      {"Atanh", 1, 1, 1},
      {"Not", 1, 1, 1},
      {"IsNaN", 1, 1, 1},
      {"IsInf", 1, 1, 1, "detect_negative:i detect_positive:i"},
      {"Where", 3, 3, 1},
      {"Clip", 1, 3, 1, "min:f max:f consumed_inputs:I", convert_clip},
      {"Relu", 1, 1, 1, "consumed_inputs:I", convert_plain},
      {"LeakyRelu", 1, 1, 1, "alpha:f consumed_inputs:I", convert_plain},
      {"Elu", 1, 1, 1, "alpha:f consumed_inputs:I", convert_plain},
      {"Celu", 1, 1, 1, "alpha:f"},
      {"Selu", 1, 1, 1, "alpha:f gamma:f consumed_inputs:I", convert_plain},
      {"Sigmoid", 1, 1, 1, "consumed_inputs:I", convert_plain},
      {"Tanh", 1, 1, 1, "consumed_inputs:I", convert_plain},
      {"HardSigmoid", 1, 1, 1, "alpha:f beta:f consumed_inputs:I", convert_plain},
      {"HardSwish", 1, 1, 1},
      {"Softplus", 1, 1, 1},
      {"Softsign", 1, 1, 1},
      {"Mish", 1, 1, 1},
      {"Swish", 1, 1, 1, "alpha:f", convert_swish},
      {"Gelu", 1, 1, 1, "approximate:s"},
      {"ThresholdedRelu", 1, 1, 1, "alpha:f"},
      {"Shrink", 1, 1, 1, "bias:f lambd:f"},
      {"Softmax", 1, 1, 1, "axis:i", convert_softmax},
      {"LogSoftmax", 1, 1, 1, "axis:i", convert_softmax},
      {"Hardmax", 1, 1, 1, "axis:i", convert_softmax},
      {"Dropout", 1, 3, 2, "ratio:f is_test:i seed:i consumed_inputs:I", convert_dropout},
  };
  return kRows;
}

}  // namespace convoy::onnx
