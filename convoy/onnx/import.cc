#include "convoy/onnx/import.h"

#include <unordered_map>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/onnx/tensor_proto.h"

namespace convoy::onnx {

using graph::kNoValue;
using graph::ValueId;

const graph::Type& Importing::type(size_t input) {
  static const graph::Type kNone;
  const ValueId id = node.input(input);
  return id == kNoValue ? kNone : inferring_.type(id);
}

int64_t Importing::rank(size_t input) {
  const graph::Type& known = type(input);
  if (!known.dims) {
    refuse(formatted("opset {}'s form needs the rank of input {}, which is not known", opset_, input),
           "export with shapes, or with opset 13 or later");
  }
  return static_cast<int64_t>(known.dims->size());
}

DType Importing::dtype(size_t input, DType otherwise) {
  const graph::Type& known = type(input);
  return known.dtype ? *known.dtype : otherwise;
}

ValueId Importing::constant(std::string_view stem, Tensor tensor) {
  // Values that no file names need no names of their own; messages and printed graphs show these.
  return graph_.add_constant(formatted("{}#{}", stem, graph_.values.size()), std::move(tensor));
}

ValueId Importing::constant(std::string_view stem, const std::vector<int64_t>& numbers) {
  return constant(stem, Tensor::from(numbers, {static_cast<int64_t>(numbers.size())}));
}

void Importing::insert_as(std::string_view op, std::vector<ValueId> inputs, ValueId output, graph::Attributes attributes) {
  graph_.nodes.push_back({std::string(op), node.name, std::move(inputs), {output}, std::move(attributes)});
  inferring_.add(graph_.nodes.back());
}

ValueId Importing::insert(std::string_view op, std::vector<ValueId> inputs, graph::Attributes attributes) {
  const ValueId output = graph_.add_value(formatted("{}#{}", op, graph_.values.size()));
  insert_as(op, std::move(inputs), output, std::move(attributes));
  return output;
}

void Importing::set_input(size_t i, ValueId id) {
  if (node.inputs.size() <= i) node.inputs.resize(i + 1, kNoValue);
  node.inputs[i] = id;
}

void Importing::attribute_to_input(const char* attribute, size_t i) {
  if (const auto* numbers = attributes().get<std::vector<int64_t>>(attribute)) {
    set_input(i, constant(attribute, *numbers));
    attributes().erase(attribute);
  }
}

void Importing::drop(std::initializer_list<const char*> names) {
  for (const char* name : names) attributes().erase(name);
}

void Importing::refuse(std::string_view reason, std::string_view fix) const {
  raise<Error>("{}: {}\n{}", describe(graph_, node), reason, fix);
}

namespace {

const std::unordered_map<std::string_view, const OnnxOperator*>& rows_by_name() {
  static const auto* const kRows = [] {
    auto* rows = new std::unordered_map<std::string_view, const OnnxOperator*>;
    for (const auto family : {elementwise_rows, conv_rows, pool_rows, norm_rows, reduce_rows, matmul_rows, shape_rows, index_rows,
                              resize_rows, other_rows, training_rows}) {
      for (const OnnxOperator& row : family()) rows->emplace(row.name, &row);
    }
    return rows;
  }();
  return *kRows;
}

}  // namespace

void convert_dtype(Importing& importing) {
  const int64_t* number = importing.attributes().get<int64_t>("dtype");
  if (number == nullptr) return;
  const std::optional<DType> dtype = dtype_of_onnx(*number);
  if (!dtype) importing.refuse("attribute 'dtype' is " + onnx_type_name(*number), "use a number type");
  importing.attributes().set("dtype", static_cast<int64_t>(*dtype));
}

const OnnxOperator* find_onnx_operator(std::string_view name) {
  const auto found = rows_by_name().find(name);
  return found == rows_by_name().end() ? nullptr : found->second;
}

std::vector<std::string> onnx_operator_names() {
  std::vector<std::string> names;
  for (const auto& [name, row] : rows_by_name()) names.emplace_back(name);
  return names;
}

}  // namespace convoy::onnx
