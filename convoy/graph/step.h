// A node whose shapes are known, ready to run on raw arrays: what a Schedule is made of.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/core/workspace.h"
#include "convoy/graph/graph.h"
#include "convoy/graph/operator.h"

namespace convoy::graph {

/// The arrays of one step, in the node's order; null for what is left out, at the end of the node's list, too.
struct StepIo {
  std::span<const void* const> inputs;
  std::span<void* const> outputs;
  Workspace& workspace;

  template <class T>
  const T* input(size_t i) const {
    return i < inputs.size() ? static_cast<const T*>(inputs[i]) : nullptr;
  }
  template <class T>
  T* output(size_t i) const {
    return i < outputs.size() ? static_cast<T*>(outputs[i]) : nullptr;
  }
};

/// How a step wants a constant.
struct Packing {
  size_t input;
  size_t bytes;
  std::string form;  // steps with equal texts want the same bytes of a constant
};

/// Runs are const and may happen at the same time with different arrays. No allocation, no exception.
class Step {
 public:
  virtual ~Step() = default;
  /// Scratch memory of a run with the current number of threads, packing() being kept.
  virtual size_t workspace_bytes() const { return 0; }
  virtual void run(const StepIo& io) const noexcept = 0;
  /// The kernel's name, where there is a choice.
  virtual std::string_view algorithm() const { return {}; }
  /// A constant input that it reads in an order of its own; nullptr: none, or as it is.
  virtual const Packing* packing() const { return nullptr; }
  /// Makes that order: of packing()->bytes, aligned to 64 bytes.
  virtual void pack(const Tensor& constant, void* packed) const { static_cast<void>(constant), static_cast<void>(packed); }
  /// Reads it from there in all runs from now on. If it is never called each run packs into scratch memory, packing()->bytes more.
  virtual void use_packed(const void* packed) { static_cast<void>(packed); }
};

/// `bytes` of an output are the same as those of an input: no work if both lie in one place, else a copy.
struct View {
  size_t input, output;
  int64_t input_offset, output_offset, bytes;
};

/// How a node runs. Neither a step nor views: through Operator::run.
struct StepPlan {
  std::unique_ptr<Step> step;
  std::vector<View> views = {};        // complete: every byte of every output that is wanted is in one view
  std::vector<uint8_t> in_place = {};  // inputs whose place output 0 may take: element i is read before it is written
};

/// A value with nothing left open.
struct KnownType {
  Shape shape;
  DType dtype = DType::kFloat32;
  int64_t count = 0, bytes = 0;
};

/// By value; `count` is -1 if the shape or the element type is not known, or the size passes what can be counted.
std::vector<KnownType> known_types(const std::vector<Type>& types);
/// Whether those of all these values are known.
bool all_known(const std::vector<KnownType>& types, const std::vector<ValueId>& ids);

/// What a step is made from.
class StepSite {
 public:
  /// weights_far: those of the graph together are more than caches hold.
  StepSite(const Graph& graph, const Node& node, const std::vector<KnownType>& types, bool weights_far)
      : graph_(graph), node_(node), types_(types), weights_far_(weights_far) {}

  const Graph& graph() const { return graph_; }
  const Node& node() const { return node_; }
  const Attributes& attributes() const { return node_.attributes; }
  size_t inputs() const { return node_.inputs.size(); }
  size_t outputs() const { return node_.outputs.size(); }
  bool has(size_t i) const { return node_.input(i) != kNoValue; }
  bool wants(size_t i) const { return node_.output(i) != kNoValue; }
  const KnownType& input(size_t i) const { return types_[static_cast<size_t>(node_.inputs[i])]; }
  const KnownType& output(size_t i) const { return types_[static_cast<size_t>(node_.outputs[i])]; }
  const KnownType& type(ValueId id) const { return types_[static_cast<size_t>(id)]; }
  /// A constant that no caller can replace, or nullptr. Those that Weights has taken are not to be had.
  const Tensor* constant(size_t i) const;
  /// Whether it is such a constant, to be had or taken.
  bool is_constant(size_t i) const;
  /// All inputs and outputs that there are hold float32.
  bool all_float() const;
  bool weights_far() const { return weights_far_; }

 private:
  const Graph& graph_;
  const Node& node_;
  const std::vector<KnownType>& types_;
  bool weights_far_;
};

/// A row of the list of steps.
struct StepMaker {
  std::string_view op;
  StepPlan (*make)(const StepSite& site);
};

/// The lists, one per file of graph/steps/.
std::span<const StepMaker> conv_steps();
std::span<const StepMaker> elementwise_steps();
std::span<const StepMaker> matmul_steps();
std::span<const StepMaker> pool_steps();
std::span<const StepMaker> move_steps();
std::span<const StepMaker> norm_steps();

/// An empty plan if there is no step for the node.
StepPlan make_step(const StepSite& site);

/// The most memory that a run of a node's operator takes beside its inputs and results, with the current number of threads.
int64_t operator_bytes(const Operator& op, const StepSite& site);

/// A step that calls f(io): for steps that keep nothing but what f holds.
template <class F>
std::unique_ptr<Step> step_of(F f) {
  class Simple final : public Step {
   public:
    explicit Simple(F held) : f_(std::move(held)) {}
    void run(const StepIo& io) const noexcept override { f_(io); }

   private:
    F f_;
  };
  return std::make_unique<Simple>(std::move(f));
}

}  // namespace convoy::graph
