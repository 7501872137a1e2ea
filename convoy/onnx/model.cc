#include "convoy/onnx/model.h"

#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/core/storage.h"

namespace convoy {
namespace {

// What a run may use in all is what one value may have at most.
size_t block_limit(int64_t memory_budget) { return static_cast<size_t>(std::max<int64_t>(memory_budget, 0)); }

onnx::ReadOptions read_options(const ModelOptions& options) {
  return {options.limits, options.external_data, nullptr, options.progress};
}

std::vector<ModelValue> describe(const graph::Graph& graph, const std::vector<graph::ValueId>& ids) {
  std::vector<ModelValue> values;
  for (const graph::ValueId id : ids) {
    const graph::ValueInfo& info = graph.value(id);
    ModelValue value{info.name, {}, info.type.dims.has_value(), {}, {}};
    if (info.type.kind == graph::Type::Kind::kStrings) {
      value.dtype = "string";
    } else if (info.type.kind == graph::Type::Kind::kSequence) {
      value.dtype = "sequence";
    } else if (info.type.dtype) {
      value.dtype = dtype_name(*info.type.dtype);
    }
    for (const graph::Dim& dim : info.type.dims.value_or(graph::Dims{})) {
      value.shape.push_back(dim.size);
      value.names.push_back(dim.known() ? "" : dim.symbol);
    }
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace

Model::Model(graph::Graph graph, const ModelOptions& options)
    : passes_(std::make_shared<const std::vector<graph::PassResult>>(options.optimise ? graph::run_passes(graph, options.passes_off)
                                                                                      : std::vector<graph::PassResult>{})),
      executor_(std::make_shared<graph::Executor>(
          std::move(graph), graph::ExecutorOptions{.memory_budget = options.memory_budget, .planned = options.optimise})),
      memory_budget_(options.memory_budget) {}

Model Model::of(graph::Graph graph, const ModelOptions& options) { return Model(std::move(graph), options); }

Model Model::load(const std::string& path, const ModelOptions& options) {
  const LargestBlock limit(block_limit(options.memory_budget));
  return Model(onnx::read(path, read_options(options)), options);
}

Model Model::load_bytes(std::string_view bytes, const ModelOptions& options, const std::string& name) {
  const LargestBlock limit(block_limit(options.memory_budget));
  return Model(onnx::read_bytes(bytes, name, read_options(options)), options);
}

std::vector<ModelValue> Model::inputs() const { return describe(graph(), graph().inputs); }
std::vector<ModelValue> Model::outputs() const { return describe(graph(), graph().outputs); }

std::map<std::string, Tensor> Model::run(const std::map<std::string, Tensor>& inputs) const {
  graph::Values values;
  for (const auto& [name, tensor] : inputs) values.emplace(name, tensor);
  std::map<std::string, Tensor> outputs;
  for (const auto& [name, value] : run_values(values)) outputs.emplace(name, value.tensor());
  return outputs;
}

graph::Values Model::run_values(const graph::Values& inputs) const {
  const LargestBlock limit(block_limit(memory_budget_));
  return executor_->run(inputs);
}

int64_t Model::peak_bytes(const std::map<std::string, Shape>& shapes) const {
  std::vector<graph::Type> types;
  for (const graph::ValueId id : graph().inputs) {
    const graph::ValueInfo& info = graph().value(id);
    graph::Type type = info.type;
    const auto given = shapes.find(info.name);
    if (given != shapes.end()) {
      type.dims = graph::dims_of(given->second);
    } else if (type.dims) {
      for (graph::Dim& dim : *type.dims) {
        if (!dim.known()) dim = {1};
      }
    }
    types.push_back(std::move(type));
  }
  return executor_->peak_bytes(types);
}

}  // namespace convoy
