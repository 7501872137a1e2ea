#include "tests/fuzz/model_fuzz.h"

#include <algorithm>
#include <string_view>

#include "convoy/core/error.h"
#include "convoy/onnx/model.h"

namespace convoy::testing {
namespace {

constexpr int64_t kMostBytes = int64_t{16} << 20;  // of all values of a run
constexpr int64_t kMostWork = int64_t{1} << 28;    // elements of outputs times elements of weights, as a bound of what a run takes
constexpr int64_t kMostInput = int64_t{1} << 16;   // elements of one input

// Inputs as the model asks for them, unknown sizes as 1 or 2; false if it asks for too much.
bool make_inputs(const Model& model, graph::Values& inputs) {
  for (const graph::ValueId id : model.graph().inputs) {
    const graph::ValueInfo& info = model.graph().value(id);
    if (info.type.kind != graph::Type::Kind::kTensor) return false;
    Shape shape;
    int64_t count = 1;
    for (const graph::Dim& dim : info.type.dims.value_or(graph::Dims{{2}, {3}})) {
      shape.push_back(dim.known() ? dim.size : dim.symbol.empty() ? 1 : 2);
      if (shape.back() > kMostInput || (count *= shape.back()) > kMostInput) return false;
    }
    Tensor x = Tensor::zeros(shape, info.type.dtype.value_or(DType::kFloat32));
    for (int64_t i = 0; i < x.numel(); ++i)
      static_cast<uint8_t*>(x.raw_data())[i * static_cast<int64_t>(element_size(x.dtype()))] = static_cast<uint8_t>(i % 2);
    inputs[info.name] = x;
  }
  return true;
}

// A rough bound: every node reads each of its constants for each element of its output.
bool affordable(const Model& model) {
  const graph::Graph& graph = model.graph();
  double work = 0;
  for (const graph::Node& node : graph.nodes) {
    double weights = 1;
    for (const graph::ValueId id : node.inputs) {
      if (id == graph::kNoValue || !graph.value(id).is_constant()) continue;
      double count = 1;
      for (const int64_t size : graph.value(id).type.shape().value_or(Shape{})) count *= static_cast<double>(size);
      weights = std::max(weights, count);
    }
    for (const graph::ValueId id : node.outputs) {
      if (id == graph::kNoValue) continue;
      double count = 1;
      for (const graph::Dim& dim : graph.value(id).type.dims.value_or(graph::Dims{}))
        count *= dim.known() ? static_cast<double>(dim.size) : 2;
      work += count * weights;
    }
  }
  return work < static_cast<double>(kMostWork);
}

}  // namespace

int load_and_run(const uint8_t* bytes, size_t size) {
  try {
    // Some crash only with rewrites, some only without.
    const Model model =
        Model::load_bytes({reinterpret_cast<const char*>(bytes), size}, {.memory_budget = kMostBytes, .optimise = size % 4 != 0});
    graph::Values inputs;
    if (!make_inputs(model, inputs) || !affordable(model)) return 1;
    try {
      model.run_values(inputs);
      return 3;
    } catch (const Error&) {
      return 2;
    }
  } catch (const Error&) {
    return 0;
  }
}

}  // namespace convoy::testing
