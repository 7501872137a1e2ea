#include "convoy/graph/schedule.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>

#include "convoy/core/error.h"
#include "convoy/core/keep_num_threads.h"
#include "convoy/core/parallel.h"
#include "convoy/graph/infer.h"
#include "convoy/graph/node_error.h"
#include "convoy/graph/samples.h"
#include "convoy/shape/checked.h"

namespace convoy::graph {
namespace {

// Copies of this many bytes are shared out to threads.
constexpr int64_t kBytesPerTask = 256 << 10;
// Results of fewer bytes are copied: what an operator keeps for good must not lie in a run's memory.
constexpr int64_t kLeastPlaced = 4 << 10;

void copy(const char* from, char* to, int64_t bytes) noexcept {
  parallel_ranges(bytes, kBytesPerTask,
                  [&](int64_t begin, int64_t end) { std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin)); });
}

// The types of all values that a graph uses; empty if one is only known in a run.
std::vector<KnownType> used_types(const Graph& graph, const std::vector<Type>& input_types) {
  std::vector<KnownType> types = known_types(infer_types(graph, input_types));
  const bool all = all_known(types, graph.inputs) && all_known(types, graph.outputs) &&
                   std::all_of(graph.nodes.begin(), graph.nodes.end(),
                               [&](const Node& node) { return all_known(types, node.inputs) && all_known(types, node.outputs); });
  if (!all) types.clear();
  return types;
}

// The same for the first sample of a batch alone; empty if the graph cannot take that.
std::vector<KnownType> types_of_one(const Graph& graph, std::vector<Type> input_types) {
  for (Type& type : input_types) {
    if (!type.dims || type.dims->empty()) return {};
    type.dims->front() = {1};
  }
  try {
    return used_types(graph, input_types);
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

// By Region and index: where a value's bytes begin. Base 0 is the arena, then come inputs and outputs.
char* Schedule::address(const Part& part, const Place& place, const std::vector<char*>& base) const {
  switch (place.region) {
    case Region::kNone:
      return nullptr;
    case Region::kConstant: {
      // A weight that is only there packed has no bytes of its own, and nobody reads it here.
      const Tensor& taken = held_[static_cast<size_t>(place.index)];
      const Tensor& tensor = taken.defined() ? taken : graph_.value(place.index).constant;
      return tensor.defined() ? const_cast<char*>(static_cast<const char*>(tensor.raw_data())) + place.offset : nullptr;
    }
    case Region::kArena:
      return base[0] + place.offset;
    case Region::kInput:
      return base[1 + static_cast<size_t>(place.index)] + place.offset;
    case Region::kOutput:
      return base[1 + part.inputs.size() + static_cast<size_t>(place.index)] + place.offset;
  }
  return nullptr;
}

// Cuts the nodes before `apart`. What the first part makes and the second reads lies at the beginning of the arena.
void Schedule::add_parts(size_t apart, std::vector<KnownType> one, std::vector<StepPlan> plans) {
  between_.assign(graph_.values.size(), -1);
  const auto at = [](ValueId id) { return static_cast<size_t>(id); };
  Part first{.end = apart, .types = std::move(one), .inputs = graph_.inputs};
  Part second{.begin = apart, .end = graph_.nodes.size(), .types = types_, .inputs = graph_.inputs};
  std::vector<char> made(graph_.values.size(), 0);
  for (size_t i = 0; i < apart; ++i) {
    for (const ValueId id : graph_.nodes[i].outputs) {
      if (id != kNoValue) made[at(id)] = 1;
    }
  }
  std::set<ValueId> outputs;  // of the graph, that the first part makes
  for (const ValueId id : graph_.outputs) {
    if (made[at(id)] == 0) {
      second.outputs.push_back(id);
    } else if (outputs.insert(id).second) {
      first.outputs.push_back(id);
    }
  }
  for (size_t i = apart; i < graph_.nodes.size(); ++i) {
    for (const ValueId id : graph_.nodes[i].inputs) {
      if (id == kNoValue || made[at(id)] != 1) continue;
      made[at(id)] = 2;  // once
      second.inputs.push_back(id);
      if (outputs.count(id) != 0) continue;
      first.outputs.push_back(id);
      between_[at(id)] = between_bytes_;
      between_bytes_ += static_cast<int64_t>(padded_bytes(static_cast<size_t>(types_[at(id)].bytes)));
    }
  }
  std::vector<StepPlan> rest;
  for (size_t i = apart; i < plans.size(); ++i) rest.push_back(std::move(plans[i]));
  plans.resize(apart);
  if (apart > 0) {
    first.samples = types_[at(graph_.inputs[0])].shape[0];
    add_part(std::move(first), std::move(plans));
  }
  add_part(std::move(second), std::move(rest));
}

void Schedule::add_part(Part part, std::vector<StepPlan> plans) {
  if (part.begin == 0 && part.samples == 1) {
    part.placement = place_values(graph_, part.types, plans);
  } else {
    Graph nodes;
    nodes.values = graph_.values;
    nodes.nodes.assign(graph_.nodes.begin() + static_cast<std::ptrdiff_t>(part.begin),
                       graph_.nodes.begin() + static_cast<std::ptrdiff_t>(part.end));
    nodes.inputs = part.inputs;
    nodes.outputs = part.outputs;
    part.placement = place_values(nodes, part.types, plans);
  }
  const std::vector<Place>& places = part.placement.places;
  for (size_t i = 0; i < plans.size(); ++i) {
    const Node& node = graph_.nodes[part.begin + i];
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
    copies_.push_back(std::move(copies));
    moves_.push_back(plans[i].views.empty() ? 0 : 1);
    steps_.push_back(std::move(plans[i].step));
  }
  parts_.push_back(std::move(part));
}

// Where a result of the graph lies: as the part says that makes it, or hands it through.
const Place& Schedule::output_place(ValueId id) const {
  const Place& place = parts_.front().placement.places[static_cast<size_t>(id)];
  return place.region == Region::kOutput ? place : parts_.back().placement.places[static_cast<size_t>(id)];
}

std::shared_ptr<Schedule> Schedule::make(const Graph& graph, const std::vector<const Operator*>& operators,
                                         const std::vector<Type>& input_types, int64_t most_packed) {
  // Placing takes time with the square of the number of nodes; networks have some hundreds.
  constexpr size_t kMostNodes = 20000;
  if (graph.nodes.size() > kMostNodes) return nullptr;
  std::shared_ptr<Schedule> schedule(new Schedule(graph));
  schedule->operators_ = operators;
  schedule->types_ = used_types(graph, input_types);
  if (schedule->types_.empty()) return nullptr;

  const bool batched = !graph.inputs.empty() && !schedule->types_[static_cast<size_t>(graph.inputs[0])].shape.empty() &&
                       schedule->types_[static_cast<size_t>(graph.inputs[0])].shape[0] > 1;
  std::vector<KnownType> one = batched ? types_of_one(graph, input_types) : std::vector<KnownType>();
  size_t apart = one.empty() ? 0 : nodes_by_sample(graph, one, schedule->types_);
  constexpr int64_t kCached = 16 << 20;  // bytes of weights that stay in an outer cache from run to run
  int64_t constants = 0;
  for (size_t v = 0; v < graph.values.size(); ++v) constants += graph.values[v].is_constant() ? schedule->types_[v].bytes : 0;
  const bool far = constants > kCached;
  std::vector<StepPlan> plans;
  for (const Node& node : graph.nodes) {
    StepPlan plan;
    const auto make = [&](const std::vector<KnownType>& of) {
      with_node_name(graph, node, [&] { plan = make_step(StepSite(graph, node, of, far)); });
    };
    if (plans.size() < apart) {
      make(one);
      if (plan.step == nullptr && plan.views.empty()) apart = plans.size();  // its operator makes whole tensors
    }
    if (plans.size() >= apart) make(schedule->types_);
    plans.push_back(std::move(plan));
  }
  schedule->add_parts(apart, std::move(one), std::move(plans));
  schedule->held_.resize(graph.values.size());
  schedule->kept_.resize(graph.nodes.size());
  int64_t packed = 0;
  for (const auto& step : schedule->steps_) {
    const Packing* packing = step != nullptr ? step->packing() : nullptr;
    const int64_t bytes = packing != nullptr ? static_cast<int64_t>(padded_bytes(packing->bytes)) : 0;
    const bool keeps = packing != nullptr && bytes <= most_packed - packed;
    if (keeps) packed += bytes;
    schedule->packs_.push_back(keeps ? 1 : 0);
  }
  schedule->count_memory();
  return schedule;
}

void Schedule::take_weights(Weights& weights, bool closed) {
  // Which weights are read as they are, and how many steps are still to pack each of the others.
  std::vector<int32_t> waiting(graph_.values.size(), 0);
  size_t bytes = 0;
  const auto packing = [&](size_t node) { return packs_[node] != 0 ? steps_[node]->packing() : nullptr; };
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& node = graph_.nodes[i];
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      const ValueId id = node.inputs[k];
      if (id == kNoValue) continue;
      if (packing(i) == nullptr || packing(i)->input != k) {
        if (graph_.value(id).taken) held_[static_cast<size_t>(id)] = weights.original(id);
      } else if ((kept_[i] = weights.packed(id, packing(i)->form)) == nullptr) {
        ++waiting[static_cast<size_t>(id)];
        bytes += padded_bytes(packing(i)->bytes);
      }
    }
  }
  // All in one block, on huge pages: one by one the weights of small networks would not be (2 % of their time).
  std::shared_ptr<void> block = bytes > 0 ? allocate_once(bytes) : nullptr;
  auto* at = static_cast<char*>(block.get());
  const bool give_up = closed || weights.reloadable();
  int64_t given_up = 0;
  constexpr int64_t kMostGivenUp = 64 << 20;  // between two returns of freed memory to the system
  // The largest first: both orders of a weight are in memory while it is packed, beside what is still to come.
  std::vector<size_t> order;
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    if (packing(i) != nullptr) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return packing(a)->bytes > packing(b)->bytes; });
  for (const size_t i : order) {
    const Packing* wanted = packing(i);
    const ValueId id = graph_.nodes[i].inputs[wanted->input];
    const auto value = static_cast<size_t>(id);
    const bool taken = graph_.value(id).taken;
    if (kept_[i] == nullptr) kept_[i] = weights.packed(id, wanted->form);  // packed for a node before
    if (kept_[i] == nullptr) {
      steps_[i]->pack(taken ? weights.original(id) : graph_.value(id).constant, at);
      kept_[i] = weights.add_packed(id, wanted->form, wanted->bytes, std::shared_ptr<const void>(block, at));
      if (kept_[i].get() == at) at += padded_bytes(wanted->bytes);
    }
    steps_[i]->use_packed(kept_[i].get());
    if (!taken || waiting[value] == 0 || --waiting[value] > 0 || !give_up || held_[value].defined()) continue;
    given_up += types_[value].bytes;
    weights.give_up(id);
    if (given_up < kMostGivenUp) continue;
    release_cached_memory();
    given_up = 0;
  }
  if (given_up > 0) release_cached_memory();
  has_weights_ = true;
}

Schedule::Scratch Schedule::scratch() const {
  const KeepNumThreads kept;  // all steps' for the same count, which is the one noted
  const std::lock_guard lock(mutex_);
  if (scratch_threads_ == num_threads()) return scratch_;
  Scratch most;
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (steps_[i] != nullptr) {
      const Packing* packing = packs_[i] == 0 ? steps_[i]->packing() : nullptr;  // in each run
      const size_t bytes = steps_[i]->workspace_bytes() + (packing != nullptr ? padded_bytes(packing->bytes) : 0);
      most.workspace_bytes = std::max(most.workspace_bytes, bytes);
    } else if (moves_[i] == 0) {
      // Its results, too, before they are copied to their places.
      shape::Checked bytes(operator_bytes(*operators_[i], StepSite(graph_, graph_.nodes[i], types_, false)));
      for (const ValueId id : graph_.nodes[i].outputs) {
        if (id != kNoValue)
          bytes = bytes + static_cast<int64_t>(block_bytes(static_cast<size_t>(types_[static_cast<size_t>(id)].bytes)));
      }
      most.operator_bytes = std::max(most.operator_bytes, bytes.ok() ? bytes.value() : INT64_MAX / 4);
    }
  }
  scratch_threads_ = num_threads();
  return scratch_ = most;
}

void Schedule::count_memory() {
  for (const Part& part : parts_) {
    use_.arena_bytes = std::max(use_.arena_bytes, part.placement.arena_bytes);
    for (const int64_t live : {part.placement.largest_live_bytes, part.placement.second_live_bytes}) {
      use_.second_live_bytes = std::max(use_.second_live_bytes, std::min(live, use_.largest_live_bytes));
      use_.largest_live_bytes = std::max(use_.largest_live_bytes, live);
    }
  }
  use_.arena_bytes += between_bytes_;
  use_.largest_live_bytes += between_bytes_;
  use_.second_live_bytes += between_bytes_;
  std::set<std::pair<ValueId, std::string_view>> forms;
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (packs_[i] == 0) continue;
    const Packing& packing = *steps_[i]->packing();
    if (forms.emplace(graph_.nodes[i].inputs[packing.input], packing.form).second)
      use_.packed_bytes += static_cast<int64_t>(padded_bytes(packing.bytes));
  }
  const auto block = [&](ValueId id) {
    return static_cast<int64_t>(block_bytes(static_cast<size_t>(types_[static_cast<size_t>(id)].bytes)));
  };
  for (const ValueId id : graph_.inputs) use_.peak_bytes += block(id);
  const std::set<ValueId> outputs(graph_.outputs.begin(), graph_.outputs.end());
  for (const ValueId id : outputs) {
    if (output_place(id).region != Region::kInput) use_.peak_bytes += block(id);
  }
  use_.peak_bytes += static_cast<int64_t>(block_bytes(static_cast<size_t>(use_.arena_bytes)));
}

MemoryUse Schedule::memory() const {
  MemoryUse use = use_;
  const Scratch most = scratch();
  use.workspace_bytes = static_cast<int64_t>(most.workspace_bytes);
  use.operator_bytes = most.operator_bytes;
  use.peak_bytes += use.operator_bytes + static_cast<int64_t>(block_bytes(most.workspace_bytes));
  return use;
}

std::string_view Schedule::algorithm(size_t node) const {
  return steps_[node] != nullptr ? steps_[node]->algorithm() : std::string_view();
}

// A node without a step: its operator makes new tensors, which are copied to their places, but for a single one that it made there.
bool Schedule::run_operator(const Part& part, size_t node_index, const std::vector<char*>& base,
                            const std::shared_ptr<void>& arena) const {
  const Node& node = graph_.nodes[node_index];
  const std::vector<Place>& places = part.placement.places;
  std::vector<Value> arguments;
  for (const ValueId id : node.inputs) {
    if (id == kNoValue) {
      arguments.emplace_back();
    } else if (held_[static_cast<size_t>(id)].defined()) {
      arguments.emplace_back(held_[static_cast<size_t>(id)]);
    } else if (graph_.value(id).constant.defined() && places[static_cast<size_t>(id)].region == Region::kConstant) {
      arguments.emplace_back(graph_.value(id).constant);
    } else {
      const KnownType& type = types_[static_cast<size_t>(id)];
      // The handle on the arena keeps an operator from taking itself for the values' only owner.
      arguments.emplace_back(Tensor::over(arena, address(part, places[static_cast<size_t>(id)], base), type.shape, type.dtype));
    }
  }
  bool as_foreseen = true;
  with_node_name(graph_, node, [&] {
    Call call(node, std::move(arguments));
    std::vector<Value> results;
    {
      const ValueId only = node.outputs.size() == 1 ? node.outputs.front() : kNoValue;
      char* const place = only == kNoValue ? nullptr : address(part, places[static_cast<size_t>(only)], base);
      const int64_t bytes = only == kNoValue ? 0 : types_[static_cast<size_t>(only)].bytes;
      const bool fits = bytes >= kLeastPlaced && reinterpret_cast<uintptr_t>(place) % kAlignment == 0;
      const ResultPlace wanted(fits ? place : nullptr, static_cast<uint64_t>(bytes));
      results = operators_[node_index]->run(call);
    }
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      const ValueId id = node.outputs[k];
      if (id == kNoValue) continue;
      const KnownType& type = types_[static_cast<size_t>(id)];
      if (k >= results.size() || !results[k].is_tensor() || results[k].tensor().shape() != type.shape ||
          results[k].tensor().dtype() != type.dtype) {
        as_foreseen = false;
        return;
      }
      const char* const from = static_cast<const char*>(results[k].tensor().raw_data());
      char* const to = address(part, places[static_cast<size_t>(id)], base);
      if (type.bytes > 0 && from != to) copy(from, to, type.bytes);
    }
  });
  return as_foreseen;
}

bool Schedule::run_part(const Part& part, int64_t sample, const std::vector<char*>& base, Memory& memory, const Observer& observer,
                        std::vector<double>& seconds) const {
  std::vector<const void*> arguments;
  std::vector<void*> results;
  for (size_t i = part.begin; i < part.end; ++i) {
    const auto begin = observer ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point();
    if (moves_[i] != 0) {
      for (const Copy& each : copies_[i]) copy(address(part, each.from, base), address(part, each.to, base), each.bytes);
    } else if (steps_[i] != nullptr) {
      const Node& node = graph_.nodes[i];
      arguments.clear();
      results.clear();
      const auto at = [&](ValueId id) {
        return id == kNoValue ? nullptr : address(part, part.placement.places[static_cast<size_t>(id)], base);
      };
      for (const ValueId id : node.inputs) arguments.push_back(at(id));
      for (const ValueId id : node.outputs) results.push_back(at(id));
      memory.workspace.clear();
      steps_[i]->run({arguments, results, memory.workspace});
    } else if (!run_operator(part, i, base, memory.arena)) {
      return false;
    }
    if (!observer) continue;
    seconds[i] += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (sample + 1 == part.samples) observer(i, seconds[i]);
  }
  return true;
}

bool Schedule::run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs, const Observer& observer,
                   int64_t budget) const {
  const KeepNumThreads kept;
  const size_t workspace = scratch().workspace_bytes;
  std::unique_ptr<Memory> memory;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      memory = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (memory == nullptr || memory->workspace.bytes() < workspace) {
    memory = std::make_unique<Memory>(static_cast<size_t>(use_.arena_bytes), workspace);
  }
  const MemoryBudget rest(budget);

  // By value: where all samples of what parts do not own lie.
  std::vector<char*> places(graph_.values.size(), nullptr);
  char* const arena = static_cast<char*>(memory->arena.get());
  for (size_t v = 0; v < places.size(); ++v) {
    if (between_[v] >= 0) places[v] = arena + between_[v];
  }
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    const Tensor& given = inputs[i].defined() ? inputs[i] : graph_.value(graph_.inputs[i]).constant;
    places[static_cast<size_t>(graph_.inputs[i])] = const_cast<char*>(static_cast<const char*>(given.raw_data()));
  }
  outputs.assign(graph_.outputs.size(), Tensor());
  for (size_t i = 0; i < graph_.outputs.size(); ++i) {
    const ValueId id = graph_.outputs[i];
    const Place& place = output_place(id);
    const size_t first = static_cast<size_t>(std::find(graph_.outputs.begin(), graph_.outputs.end(), id) - graph_.outputs.begin());
    if (first < i) {
      outputs[i] = outputs[first];
    } else if (place.region == Region::kOutput) {
      outputs[i] = Tensor::empty(types_[static_cast<size_t>(id)].shape, types_[static_cast<size_t>(id)].dtype);
    } else if (place.region == Region::kInput) {  // handed through
      const Tensor& given = inputs[static_cast<size_t>(place.index)];
      outputs[i] = given.defined() ? given : graph_.value(id).constant.clone();
    } else {
      outputs[i] = graph_.value(id).constant.clone();  // whoever writes into it must not change the network
    }
    if (place.region == Region::kOutput) places[static_cast<size_t>(id)] = static_cast<char*>(outputs[i].raw_data());
  }

  bool as_foreseen = true;
  std::vector<double> seconds(observer ? graph_.nodes.size() : 0, 0);
  std::vector<char*> base;
  for (const Part& part : parts_) {
    for (int64_t sample = 0; sample < part.samples && as_foreseen; ++sample) {
      base.assign(1, arena + between_bytes_);
      for (const auto* list : {&part.inputs, &part.outputs}) {
        for (const ValueId id : *list) {
          char* const all = places[static_cast<size_t>(id)];
          base.push_back(all == nullptr ? nullptr : all + sample * part.types[static_cast<size_t>(id)].bytes);
        }
      }
      as_foreseen = run_part(part, sample, base, *memory, observer, seconds);
    }
  }

  const std::lock_guard lock(mutex_);
  if (idle_.size() < 16) idle_.push_back(std::move(memory));
  return as_foreseen;
}

}  // namespace convoy::graph
