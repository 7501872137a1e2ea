#include "convoy/graph/schedule.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/graph/infer.h"
#include "convoy/graph/node_error.h"
#include "convoy/shape/checked.h"

namespace convoy::graph {
namespace {

// Copies of this many bytes are shared out to threads.
constexpr int64_t kBytesPerTask = 256 << 10;

void copy(const char* from, char* to, int64_t bytes) noexcept {
  parallel_ranges(bytes, kBytesPerTask,
                  [&](int64_t begin, int64_t end) { std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin)); });
}

bool known(const Type& type, KnownType& result) {
  const std::optional<Shape> shape = type.shape();
  if (type.kind != Type::Kind::kTensor || !type.dtype || !shape) return false;
  shape::Checked count(1);
  for (const int64_t size : *shape) count = count * size;
  const shape::Checked bytes = count * static_cast<int64_t>(element_size(*type.dtype));
  if (!bytes.ok() || bytes.value() > INT64_MAX / 4) return false;
  result = {*shape, *type.dtype, count.value(), bytes.value()};
  return true;
}

// By Region and index: where a value's bytes begin. Base 0 is the arena, then come inputs and outputs.
char* address(const Place& place, const Graph& graph, const std::vector<char*>& base) {
  switch (place.region) {
    case Region::kNone:
      return nullptr;
    case Region::kConstant:
      return const_cast<char*>(static_cast<const char*>(graph.value(place.index).constant.raw_data())) + place.offset;
    case Region::kArena:
      return base[0] + place.offset;
    case Region::kInput:
      return base[1 + static_cast<size_t>(place.index)] + place.offset;
    case Region::kOutput:
      return base[1 + graph.inputs.size() + static_cast<size_t>(place.index)] + place.offset;
  }
  return nullptr;
}

}  // namespace

std::shared_ptr<const Schedule> Schedule::make(const Graph& graph, const std::vector<const Operator*>& operators,
                                               const std::vector<Type>& input_types) {
  // Placing takes time with the square of the number of nodes; networks have some hundreds.
  constexpr size_t kMostNodes = 20000;
  if (graph.nodes.size() > kMostNodes) return nullptr;
  std::shared_ptr<Schedule> schedule(new Schedule(graph));
  schedule->operators_ = operators;
  const std::vector<Type> types = infer_types(graph, input_types);
  std::vector<char> used(types.size(), 0);
  const auto use = [&](const std::vector<ValueId>& ids) {
    for (const ValueId id : ids) {
      if (id != kNoValue) used[static_cast<size_t>(id)] = 1;
    }
  };
  use(graph.inputs);
  use(graph.outputs);
  for (const Node& node : graph.nodes) {
    use(node.inputs);
    use(node.outputs);
  }
  schedule->types_.resize(types.size());
  for (size_t i = 0; i < types.size(); ++i) {
    if (used[i] != 0 && !known(types[i], schedule->types_[i])) return nullptr;
  }

  std::vector<StepPlan> plans;
  for (const Node& node : graph.nodes) {
    StepPlan plan;
    with_node_name(graph, node, [&] { plan = make_step(StepSite(graph, node, schedule->types_)); });
    plans.push_back(std::move(plan));
  }
  schedule->placement_ = place_values(graph, schedule->types_, plans);

  const std::vector<Place>& places = schedule->placement_.places;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    std::vector<Copy> copies;
    for (const View& view : plans[i].views) {
      const ValueId out = node.output(view.output);
      if (out == kNoValue || view.bytes == 0) continue;
      Place from = places[static_cast<size_t>(node.inputs[view.input])], to = places[static_cast<size_t>(out)];
      from.offset += view.input_offset;
      to.offset += view.output_offset;
      if (from.region == to.region && from.index == to.index && from.offset == to.offset) continue;
      copies.push_back({from, to, view.bytes});
    }
    schedule->copies_.push_back(std::move(copies));
    schedule->moves_.push_back(plans[i].views.empty() ? 0 : 1);
    schedule->steps_.push_back(std::move(plans[i].step));
  }
  schedule->keep_weights();
  return schedule;
}

void Schedule::keep_weights() {
  for (const auto& step : steps_) kept_bytes_ += step != nullptr ? padded_bytes(step->kept_bytes()) : 0;
  if (kept_bytes_ == 0) return;
  kept_ = allocate(kept_bytes_);
  char* at = static_cast<char*>(kept_.get());
  for (const auto& step : steps_) {
    if (step == nullptr || step->kept_bytes() == 0) continue;
    step->keep(at);
    at += padded_bytes(step->kept_bytes());
  }
}

size_t Schedule::workspace_bytes() const {
  size_t bytes = 0;
  for (const auto& step : steps_) {
    if (step != nullptr) bytes = std::max(bytes, step->workspace_bytes());
  }
  return bytes;
}

MemoryUse Schedule::memory() const {
  MemoryUse use;
  use.arena_bytes = placement_.arena_bytes;
  use.largest_live_bytes = placement_.largest_live_bytes;
  use.second_live_bytes = placement_.second_live_bytes;
  use.workspace_bytes = static_cast<int64_t>(workspace_bytes());
  use.packed_bytes = static_cast<int64_t>(kept_bytes_);
  return use;
}

std::string_view Schedule::algorithm(size_t node) const {
  return steps_[node] != nullptr ? steps_[node]->algorithm() : std::string_view();
}

// A node without a step: its operator makes new tensors, which are copied to their places.
bool Schedule::run_operator(size_t node_index, const std::vector<char*>& base, const std::shared_ptr<void>& arena) const {
  const Node& node = graph_.nodes[node_index];
  std::vector<Value> arguments;
  for (const ValueId id : node.inputs) {
    if (id == kNoValue) {
      arguments.emplace_back();
    } else if (graph_.value(id).constant.defined() && placement_.places[static_cast<size_t>(id)].region == Region::kConstant) {
      arguments.emplace_back(graph_.value(id).constant);
    } else {
      const KnownType& type = types_[static_cast<size_t>(id)];
      // The handle on the arena keeps an operator from taking itself for the values' only owner.
      arguments.emplace_back(
          Tensor::over(arena, address(placement_.places[static_cast<size_t>(id)], graph_, base), type.shape, type.dtype));
    }
  }
  bool as_foreseen = true;
  with_node_name(graph_, node, [&] {
    Call call(node, std::move(arguments));
    const std::vector<Value> results = operators_[node_index]->run(call);
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      const ValueId id = node.outputs[k];
      if (id == kNoValue) continue;
      const KnownType& type = types_[static_cast<size_t>(id)];
      if (k >= results.size() || !results[k].is_tensor() || results[k].tensor().shape() != type.shape ||
          results[k].tensor().dtype() != type.dtype) {
        as_foreseen = false;
        return;
      }
      if (type.bytes > 0) {
        copy(static_cast<const char*>(results[k].tensor().raw_data()),
             address(placement_.places[static_cast<size_t>(id)], graph_, base), type.bytes);
      }
    }
  });
  return as_foreseen;
}

bool Schedule::run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs, const Observer& observer) const {
  const size_t workspace = workspace_bytes();
  std::unique_ptr<Memory> memory;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      memory = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (memory == nullptr || memory->workspace.bytes() < workspace) {
    memory = std::make_unique<Memory>(static_cast<size_t>(placement_.arena_bytes), workspace);
  }

  std::vector<char*> base{static_cast<char*>(memory->arena.get())};
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    const Tensor& given = inputs[i].defined() ? inputs[i] : graph_.value(graph_.inputs[i]).constant;
    base.push_back(const_cast<char*>(static_cast<const char*>(given.raw_data())));
  }
  outputs.assign(graph_.outputs.size(), Tensor());
  for (size_t i = 0; i < graph_.outputs.size(); ++i) {
    const ValueId id = graph_.outputs[i];
    const Place& place = placement_.places[static_cast<size_t>(id)];
    const size_t first = static_cast<size_t>(std::find(graph_.outputs.begin(), graph_.outputs.end(), id) - graph_.outputs.begin());
    if (first < i) {
      outputs[i] = outputs[first];
    } else if (place.region == Region::kOutput) {
      outputs[i] = Tensor::empty(types_[static_cast<size_t>(id)].shape, types_[static_cast<size_t>(id)].dtype);
    } else if (place.region == Region::kInput) {  // handed through
      const Tensor& given = inputs[static_cast<size_t>(place.index)];
      outputs[i] = given.defined() ? given : graph_.value(id).constant;
    } else {
      outputs[i] = graph_.value(id).constant;
    }
    base.push_back(static_cast<char*>(outputs[i].raw_data()));
  }

  bool as_foreseen = true;
  std::vector<const void*> arguments;
  std::vector<void*> results;
  for (size_t i = 0; i < graph_.nodes.size() && as_foreseen; ++i) {
    const auto begin = observer ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point();
    if (moves_[i] != 0) {
      for (const Copy& part : copies_[i]) copy(address(part.from, graph_, base), address(part.to, graph_, base), part.bytes);
    } else if (steps_[i] != nullptr) {
      const Node& node = graph_.nodes[i];
      arguments.clear();
      results.clear();
      const auto at = [&](ValueId id) {
        return id == kNoValue ? nullptr : address(placement_.places[static_cast<size_t>(id)], graph_, base);
      };
      for (const ValueId id : node.inputs) arguments.push_back(at(id));
      for (const ValueId id : node.outputs) results.push_back(at(id));
      memory->workspace.clear();
      steps_[i]->run({arguments.data(), results.data(), memory->workspace});
    } else {
      as_foreseen = run_operator(i, base, memory->arena);
    }
    if (observer) observer(i, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }

  const std::lock_guard lock(mutex_);
  if (idle_.size() < 16) idle_.push_back(std::move(memory));
  return as_foreseen;
}

}  // namespace convoy::graph
