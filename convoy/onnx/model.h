// A network from a file, ready to run.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/core/tensor.h"
#include "convoy/graph/executor.h"
#include "convoy/graph/passes/passes.h"
#include "convoy/onnx/reader.h"

namespace convoy {

/// An input or output of a model, as users see it.
struct ModelValue {
  std::string name;
  std::string dtype;               // "float32"; "" if the file does not say
  bool has_shape = false;          // whether at least the rank is known
  std::vector<int64_t> shape;      // -1: may be any size
  std::vector<std::string> names;  // per axis: the name of a size that may be any, "" otherwise
};

struct ModelOptions {
  onnx::Limits limits = {};
  /// Read values from other files in the model's folder.
  bool external_data = false;
  /// The most bytes that one run may have in memory at a time: inputs, scratch memory, values and outputs (peak_bytes()); weights
  /// do not count.
  int64_t memory_budget = int64_t{1} << 36;
  /// Keep weights as the file has them beside what kernels have packed of them. Otherwise a run with inputs of new shapes may have
  /// to read the file again, and graph() does not hold the weights of layers.
  bool keep_weights = false;
  /// Rewrite the network so that it runs faster, and plan its runs; `passes_off` names passes (graph/passes/passes.h) to leave out.
  bool optimise = true;
  std::vector<std::string> passes_off = {};
  /// Told, while the file's values are read, how many of their bytes are done, and of how many.
  std::function<void(int64_t done, int64_t total)> progress = {};
};

/// A network from an ONNX file. Immutable and cheap to copy; any number of threads may run it at once.
///
///   auto model = convoy::Model::load("resnet50.onnx");
///   convoy::Tensor logits = model.run({{"x", x}}).at("y");
class Model {
 public:
  /// Errors: FileError for a file that is no model, is damaged, needs what Convoy does not have, or makes far more constants than
  /// it holds; ShapeMismatch for shapes that can never run.
  static Model load(const std::string& path, const ModelOptions& options = {});
  static Model load_bytes(std::string_view bytes, const ModelOptions& options = {}, const std::string& name = "model");
  /// A graph that is there already: from onnx::read, nn::to_graph, or made by hand and inferred (graph/infer.h).
  static Model of(graph::Graph graph, const ModelOptions& options = {});

  std::vector<ModelValue> inputs() const;
  std::vector<ModelValue> outputs() const;
  const graph::Graph& graph() const { return executor_->graph(); }
  const graph::Executor& executor() const { return *executor_; }
  /// What was done to the network on loading: each pass with the number of places it changed.
  const std::vector<graph::PassResult>& passes() const { return *passes_; }

  /// The outputs by name. Errors: Error for inputs that are missing, unknown or of another type, for more memory than the budget,
  /// and for outputs that are no tensors; ShapeMismatch for other shapes; what a node refuses, with its name in front.
  std::map<std::string, Tensor> run(const std::map<std::string, Tensor>& inputs) const;
  /// The same for models that take or make text or sequences.
  graph::Values run_values(const graph::Values& inputs) const;

  /// The most bytes that a run has in memory at a time: inputs, scratch memory of kernels, values and outputs, constants left out.
  /// Exact, but an upper bound where operators without a step of the plan take most (docs/onnx.md). `shapes`:
  /// of the inputs; those not named are as the file says, with 1 for sizes that may be any. Where shapes depend on values, so that
  /// only a run can tell: what the nodes need whose shapes are known. Errors: Error for a name that no input has; ShapeMismatch for
  /// shapes that cannot run.
  int64_t peak_bytes(const std::map<std::string, Shape>& shapes = {}) const;
  /// Bytes of weights and other constants that are in memory now.
  int64_t weight_bytes() const { return executor_->weight_bytes(); }

 private:
  Model(graph::Graph graph, const ModelOptions& options, const std::string& name, std::function<graph::Graph()> reload);

  std::shared_ptr<const std::vector<graph::PassResult>> passes_;
  std::shared_ptr<const graph::Executor> executor_;
};

}  // namespace convoy
