// Both are linear, and an average of biases is the bias: pooled first, the convolution computes only the positions that are kept.
// DenseNet-121's three transitions have a quarter of the multiplications.
#include <algorithm>

#include "convoy/graph/fused.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"
#include "convoy/graph/windows.h"

namespace convoy::graph {
namespace {

// A pool may read more channels than before, which costs as much as some twenty multiplications a value.
constexpr int64_t kLeastOutChannels = 32;

bool are_zero(const std::vector<int64_t>& numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](int64_t number) { return number == 0; });
}

// A pool all of whose windows are averages of as many values, and that keeps fewer positions than it reads.
bool is_plain_average(const Node& node) {
  if (node.op == "GlobalAveragePool") return true;
  if (node.op != "AveragePool" || node.attributes.integer("ceil_mode", 0) != 0) return false;
  const std::string auto_pad = node.attributes.text("auto_pad", "NOTSET");
  if ((auto_pad != "NOTSET" && auto_pad != "VALID") || !are_zero(node.attributes.integers("pads"))) return false;
  const std::vector<int64_t> strides = node.attributes.integers("strides");
  return std::any_of(strides.begin(), strides.end(), [](int64_t stride) { return stride > 1; });
}

// A 1x1 convolution with stride 1 and nothing behind it.
bool is_plain_pointwise(const Editor& editor, const Node& node) {
  if (node.op != "Conv" || !are_zero(node.attributes.integers("pads"))) return false;
  const Tensor* weight = editor.constant(node.input(1));
  if (weight == nullptr || weight->dtype() != DType::kFloat32 || weight->dim() < 3 || weight->size(0) < kLeastOutChannels)
    return false;
  const std::vector<int64_t> strides = node.attributes.integers("strides");
  return weight->numel() == weight->size(0) * weight->size(1) &&
         std::all_of(strides.begin(), strides.end(), [](int64_t stride) { return stride == 1; });
}

}  // namespace

int move_average_pool_first(Graph& graph) {
  Editor editor(graph);
  int count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(editor.size()); ++i) {
    const Node& node = editor.node(i);
    if (node.output(0) == kNoValue || node.input(0) == kNoValue || !is_plain_average(node)) continue;
    const int32_t at = editor.maker_alone(node.inputs[0], "Conv");
    if (at < 0 || !is_plain_pointwise(editor, editor.node(at))) continue;
    const Type &input = editor.type(editor.node(at).inputs[0]), &output = editor.type(node.outputs[0]);
    if (input.dtype != DType::kFloat32 || !input.dims || !output.dims || output.dims->size() != input.dims->size()) continue;
    Dims pooled = *output.dims;
    pooled[1] = (*input.dims)[1];
    Node pool = node, conv = editor.node(at);
    pool.inputs = {conv.inputs[0]};
    pool.outputs = {editor.add_value("pooled", {Type::Kind::kTensor, DType::kFloat32, std::move(pooled)})};
    conv.inputs[0] = pool.outputs[0];
    conv.outputs = node.outputs;
    editor.set(at, std::move(pool));
    editor.set(i, std::move(conv));
    ++count;
  }
  return count;
}

}  // namespace convoy::graph
