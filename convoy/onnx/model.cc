#include "convoy/onnx/model.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/storage.h"

namespace convoy {
namespace {

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
      value.names.push_back(dim.known() ? "" : dim.symbol.text());
    }
    values.push_back(std::move(value));
  }
  return values;
}

// Runs the passes; a file that they refuse is named.
std::vector<graph::PassResult> rewrite(graph::Graph& graph, const ModelOptions& options, const std::string& name) {
  if (!options.optimise) return {};
  try {
    return graph::run_passes(graph, options.passes_off);
  } catch (const ValueError&) {
    throw;  // a wrong option
  } catch (const Error& e) {
    if (name.empty()) throw;
    raise<FileError>("{}: {}\n{}", name, e.reason(), e.fix());
  }
}

// Tells a file that was written again from the one that was read.
struct FileState {
  explicit FileState(const std::string& path) {
    std::error_code failed;
    size = std::filesystem::file_size(path, failed);
    time = std::filesystem::last_write_time(path, failed);
  }
  bool operator==(const FileState&) const = default;

  uintmax_t size = 0;
  std::filesystem::file_time_type time = {};
};

}  // namespace

Model::Model(graph::Graph graph, const ModelOptions& options, const std::string& name, std::function<graph::Graph()> reload)
    : passes_(std::make_shared<const std::vector<graph::PassResult>>(rewrite(graph, options, name))),
      executor_(std::make_shared<graph::Executor>(std::move(graph), graph::ExecutorOptions{.memory_budget = options.memory_budget,
                                                                                           .planned = options.optimise,
                                                                                           .keep_weights = options.keep_weights,
                                                                                           .reload = std::move(reload)})) {
  executor_->prepare();
  // Reading and rewriting leave memory behind that no run asks for.
  release_cached_memory();
}

Model Model::of(graph::Graph graph, const ModelOptions& options) { return Model(std::move(graph), options, "", {}); }

Model Model::load(const std::string& path, const ModelOptions& options) {
  const FileState loaded(path);
  const auto read = [path, options](bool tell) {
    onnx::ReadOptions reading = read_options(options);
    if (!tell) reading.progress = {};
    return onnx::read(path, reading);
  };
  const auto reload = [path, options, loaded, read] {
    const auto changed = [&] {
      return FileError(
          path + ": the file has changed since it was loaded, and runs with inputs of new shapes need its weights again",
          "load it again, or with ModelOptions::keep_weights");
    };
    if (FileState(path) != loaded) throw changed();
    graph::Graph graph = read(false);
    if (FileState(path) != loaded) throw changed();
    graph::run_passes(graph, options.passes_off);
    return graph;
  };
  // Other files may change unnoticed, and a pipe gives its bytes once.
  std::error_code failed;
  const bool again = !options.external_data && std::filesystem::is_regular_file(path, failed);
  return Model(read(true), options, path, again ? reload : std::function<graph::Graph()>());
}

Model Model::load_bytes(std::string_view bytes, const ModelOptions& options, const std::string& name) {
  return Model(onnx::read_bytes(bytes, name, read_options(options)), options, name, {});
}

std::vector<ModelValue> Model::inputs() const { return describe(graph(), graph().inputs); }
std::vector<ModelValue> Model::outputs() const { return describe(graph(), graph().outputs); }

std::map<std::string, Tensor> Model::run(const std::map<std::string, Tensor>& inputs) const {
  graph::Values values;
  for (const auto& [name, tensor] : inputs) values.emplace(name, tensor);
  std::map<std::string, Tensor> outputs;
  for (const auto& [name, value] : run_values(values)) {
    if (value.present() && !value.is_tensor()) {
      raise<Error>(
          "output '{}' is {}\n"
          "Model::run_values gives text and sequences",
          name, value.strings() != nullptr ? "text" : "a sequence");
    }
    outputs.emplace(name, value.tensor());
  }
  return outputs;
}

graph::Values Model::run_values(const graph::Values& inputs) const { return executor_->run(inputs); }

int64_t Model::peak_bytes(const std::map<std::string, Shape>& shapes) const {
  for (const auto& [name, shape] : shapes) {
    const bool known = std::any_of(graph().inputs.begin(), graph().inputs.end(),
                                   [&, &name = name](graph::ValueId id) { return graph().value(id).name == name; });
    if (!known) raise<Error>("the model has no input '{}'\nModel::inputs lists those that it has", name);
    if (std::any_of(shape.begin(), shape.end(), [](int64_t size) { return size < 0; }))
      raise<ShapeMismatch>("input '{}': a run cannot have the shape {}\nsizes are 0 or more", name, shape);
  }
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
