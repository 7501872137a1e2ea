#include <algorithm>

#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/graph/rules.h"

namespace convoy::graph {
namespace {

// Certainly the same shape: unknown sizes are equal to nothing.
bool all_are(const std::vector<int64_t>& list, int64_t value) {
  return std::all_of(list.begin(), list.end(), [&](int64_t x) { return x == value; });
}

// Whether output 0 is input 0.
bool is_no_op(const Editor& editor, const Node& node) {
  const std::string& op = node.op;
  if (node.input(0) == kNoValue || node.output(0) == kNoValue) return false;
  const Type &in = editor.type(node.inputs[0]), &out = editor.type(node.outputs[0]);
  if (op == "Identity") return true;
  if (op == "Dropout") {
    if (node.output(1) != kNoValue) return false;
    const Tensor* training = editor.constant(node.input(2));
    return node.input(2) == kNoValue || (training != nullptr && training->numel() == 1 && training->item() == 0);
  }
  if (op == "Cast") return in.dtype && in.dtype == out.dtype && in.kind == Type::Kind::kTensor;
  if (op == "Reshape" || op == "Flatten" || op == "Squeeze" || op == "Unsqueeze" || op == "Expand")
    return certainly_equal(in.dims, out.dims);
  if (op == "Concat" || op == "Sum" || op == "Max" || op == "Min" || op == "Mean") return node.inputs.size() == 1;
  if (op == "Transpose") {
    const std::vector<int64_t> perm = node.attributes.integers("perm");
    for (size_t i = 0; i < perm.size(); ++i) {
      if (perm[i] != static_cast<int64_t>(i)) return false;
    }
    return !perm.empty() || (in.dims && in.dims->size() <= 1);
  }
  if (op == "Pad") {
    const Tensor* pads = editor.constant(node.input(1));
    return pads != nullptr && all_are(pads->to(DType::kInt64).to_vector<int64_t>(), 0);
  }
  if (op == "AveragePool" || op == "MaxPool") {
    return node.output(1) == kNoValue && all_are(node.attributes.integers("kernel_shape"), 1) &&
           all_are(node.attributes.integers("strides"), 1) && all_are(node.attributes.integers("pads"), 0) &&
           !node.attributes.has("auto_pad");
  }
  return false;
}

// perm of two transposes, one after the other.
std::vector<int64_t> compose(const std::vector<int64_t>& first, const std::vector<int64_t>& second) {
  std::vector<int64_t> result;
  for (const int64_t axis : second) {
    if (axis < 0 || axis >= static_cast<int64_t>(first.size())) return {};
    result.push_back(first[static_cast<size_t>(axis)]);
  }
  return result;
}

}  // namespace

int remove_no_ops(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& node = editor.node(i);
    if (node.outputs.empty()) continue;
    if (is_no_op(editor, node)) {
      const ValueId in = node.inputs[0], out = node.outputs[0];
      if (editor.replace(out, in)) {
        editor.remove(i);
        ++count;
      }
      continue;
    }
    const int32_t before = editor.maker(node.input(0));
    if (before < 0 || editor.node(before).op != node.op || !editor.read_once(node.inputs[0])) continue;
    if (node.op == "Transpose") {
      const std::vector<int64_t> first = editor.node(before).attributes.integers("perm"), second = node.attributes.integers("perm");
      if (first.empty() || first.size() != second.size()) continue;
      Node joined = node;
      joined.inputs[0] = editor.node(before).inputs[0];
      joined.attributes.set("perm", compose(first, second));
      editor.set(i, std::move(joined));
      ++count;
    } else if (node.op == "Reshape" && editor.type(node.outputs[0]).shape() && editor.constant(node.input(1)) != nullptr) {
      const Shape shape = *editor.type(node.outputs[0]).shape();
      if (std::find(shape.begin(), shape.end(), 0) != shape.end()) continue;  // a 0 in a list of sizes means another thing
      Node joined = node;
      joined.inputs[0] = editor.node(before).inputs[0];
      joined.inputs[1] =
          editor.add_constant("sizes", Tensor::from(std::vector<int64_t>(shape), {static_cast<int64_t>(shape.size())}));
      editor.set(i, std::move(joined));
      ++count;
    }
  }
  return count;
}

}  // namespace convoy::graph
