// From ONNX's operators, in any version, to the graph's: one row per operator, one file per family.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/graph/graph.h"
#include "convoy/graph/infer.h"
#include "convoy/graph/value.h"

namespace convoy::onnx {

/// One node of a file on its way into a graph. `node` is what the file says; a row's convert function turns it into the newest
/// form.
class Importing {
 public:
  Importing(graph::Graph& graph, graph::Inferring& inferring, int64_t opset)
      : graph_(graph), inferring_(inferring), opset_(opset) {}

  graph::Node node;

  /// The version of ONNX's operators that the file uses.
  int64_t opset() const { return opset_; }
  graph::Attributes& attributes() { return node.attributes; }
  const graph::Type& type(size_t input);
  const graph::Type& type_of(graph::ValueId id) { return inferring_.type(id); }
  /// What has been read so far.
  const graph::Graph& graph() const { return graph_; }
  const Tensor* constant(size_t input) const { return graph_.constant(node.input(input)); }
  /// The rank of an input. Errors: Error if it is not known.
  int64_t rank(size_t input);
  DType dtype(size_t input, DType otherwise);

  /// Puts a constant into the graph.
  graph::ValueId constant(std::string_view stem, Tensor tensor);
  graph::ValueId constant(std::string_view stem, const std::vector<int64_t>& numbers);
  /// Puts another node in front of this one; its output.
  graph::ValueId insert(std::string_view op, std::vector<graph::ValueId> inputs, graph::Attributes attributes = {});
  void insert_as(std::string_view op, std::vector<graph::ValueId> inputs, graph::ValueId output, graph::Attributes attributes = {});
  /// Makes `id` input i, with left out ones in between.
  void set_input(size_t i, graph::ValueId id);
  /// Turns an attribute of integers into input i, if it is there.
  void attribute_to_input(const char* attribute, size_t i);
  void drop(std::initializer_list<const char*> names);

  /// Throws Error that names the node, the attribute and its value.
  [[noreturn]] void refuse(std::string_view reason, std::string_view fix) const;

 private:
  graph::Graph& graph_;
  graph::Inferring& inferring_;
  int64_t opset_;
};

/// A row of the table. `attributes`: "name:type", the types i f s t (int, float, string, tensor) and I F S (lists); "!" behind one
/// that must be there. All versions' attributes are listed.
struct OnnxOperator {
  std::string_view name;
  int16_t least_inputs, most_inputs;  // most -1: any number
  int16_t most_outputs;
  std::string_view attributes = {};
  /// Rewrites Importing::node; null: the newest form is what all versions mean.
  void (*convert)(Importing& importing) = nullptr;
};

/// Turns the attribute `dtype` from ONNX's number into Convoy's (converts of several families).
void convert_dtype(Importing& importing);

std::span<const OnnxOperator> elementwise_rows();
std::span<const OnnxOperator> conv_rows();
std::span<const OnnxOperator> pool_rows();
std::span<const OnnxOperator> norm_rows();
std::span<const OnnxOperator> reduce_rows();
std::span<const OnnxOperator> matmul_rows();
std::span<const OnnxOperator> shape_rows();
std::span<const OnnxOperator> index_rows();
std::span<const OnnxOperator> resize_rows();
std::span<const OnnxOperator> other_rows();
std::span<const OnnxOperator> training_rows();

/// nullptr if Convoy does not read it.
const OnnxOperator* find_onnx_operator(std::string_view name);
/// Names like it, for "did you mean".
std::vector<std::string> onnx_operator_names();

}  // namespace convoy::onnx
