#include "convoy/graph/executor.h"

#include <algorithm>
#include <chrono>
#include <list>
#include <mutex>
#include <unordered_map>

#include "convoy/core/error.h"
#include "convoy/core/keep_num_threads.h"
#include "convoy/core/raise.h"
#include "convoy/core/storage.h"
#include "convoy/core/suggest.h"
#include "convoy/graph/infer.h"
#include "convoy/graph/node_error.h"
#include "convoy/graph/schedule.h"
#include "convoy/graph/weights.h"
#include "convoy/shape/checked.h"

namespace convoy::graph {
namespace {

std::string names_of(const Graph& graph, const std::vector<ValueId>& ids) {
  std::string text;
  for (const ValueId id : ids) text += formatted("{}{}'", text.empty() ? "'" : ", '", graph.value(id).name);
  return text.empty() ? "none" : text;
}

bool fits(const Dims& dims, const Shape& shape) {
  if (dims.size() != shape.size()) return false;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i].known() && dims[i].size != shape[i]) return false;
  }
  return true;
}

std::string kind_of(const Value& value) {
  if (value.is_tensor()) return to_string(Type::of(value.tensor()));
  return value.strings() != nullptr ? "text" : value.sequence() != nullptr ? "a sequence" : "undefined";
}

// What a run is given for an input, alone.
void check_input(const ValueInfo& info, const Value& value) {
  const Type& type = info.type;
  if (type.kind == Type::Kind::kTensor && !type.dtype && !type.dims) return;  // the file does not say what it is
  if (type.optional && !value.present()) return;
  const auto wrong = [&] { return formatted("input '{}' is {}, the model takes {}", info.name, kind_of(value), type); };
  const bool right_kind = type.kind == Type::Kind::kTensor    ? value.is_tensor()
                          : type.kind == Type::Kind::kStrings ? value.strings() != nullptr
                                                              : value.sequence() != nullptr;
  if (!right_kind) raise<Error>("{}\ngive it a value of that kind", wrong());
  if (type.kind != Type::Kind::kTensor) return;
  if (type.dtype && *type.dtype != value.tensor().dtype()) raise<Error>("{}\nTensor::to converts it", wrong());
  if (type.dims && !fits(*type.dims, value.tensor().shape()))
    raise<ShapeMismatch>("{}\nsizes given as numbers must be met, named ones may be any", wrong());
}

}  // namespace

const Value& Call::value(size_t i) const {
  static const Value kNothing;
  return i < inputs_.size() ? inputs_[i] : kNothing;
}

Tensor Call::take(size_t i) {
  Tensor tensor = value(i).tensor();
  if (i < inputs_.size()) inputs_[i] = Value();
  return tensor;
}

std::vector<int64_t> Call::numbers(size_t i) const {
  const Tensor& input = tensor(i);
  if (!input.defined() || input.dim() > 1 || is_floating(input.dtype())) {
    raise<Error>(
        "input {} must be a list of integers\n"
        "{}",
        i, input.defined() ? formatted("it is {}", Type::of(input)) : "it is left out");
  }
  constexpr int64_t kMostNumbers = 4096;  // far above any rank, or number of parts
  if (input.numel() > kMostNumbers) {
    raise<Error>("input {} has {} numbers\nup to {} are taken", i, input.numel(), kMostNumbers);
  }
  return input.to(DType::kInt64).to_vector<int64_t>();
}

// Schedules by the shapes of the inputs, the last used first.
struct Executor::Plans {
  struct Entry {
    std::vector<Type> input_types;
    std::shared_ptr<Schedule> schedule;  // null: nodes run one by one
    int64_t bytes = 0;                   // that they need then, as far as it is known
  };
  std::mutex mutex;
  Weights weights;
  std::list<Entry> entries;
};

Executor::Executor(Graph graph, const ExecutorOptions& options) : options_(options), plans_(std::make_unique<Plans>()) {
  if (options.planned && !options.keep_weights) plans_->weights = Weights(graph, options.reload);
  graph_ = std::make_shared<const Graph>(std::move(graph));
  for (const ValueInfo& info : graph_->values) {
    if (!info.constant.defined() || info.constant.nbytes() == 0) continue;
    const char* const begin = static_cast<const char*>(info.constant.raw_data());
    constants_.emplace_back(begin, begin + info.constant.nbytes());
  }
  std::sort(constants_.begin(), constants_.end());
  std::vector<int32_t> last(graph_->values.size(), -1);
  for (size_t i = 0; i < graph_->nodes.size(); ++i) {
    const Node& node = graph_->nodes[i];
    const Operator* op = find_operator(node.op);
    if (op == nullptr)
      raise<Error>(
          "{}: there is no operator of this name\n"
          "passes and files may use the operators of graph/operator.h",
          describe(*graph_, node));
    operators_.push_back(op);
    for (const ValueId id : node.inputs) {
      if (id != kNoValue) last[static_cast<size_t>(id)] = static_cast<int32_t>(i);
    }
    for (const ValueId id : node.outputs) {
      if (id != kNoValue) last[static_cast<size_t>(id)] = static_cast<int32_t>(i);
    }
  }
  released_.resize(graph_->nodes.size());
  for (const ValueId id : graph_->outputs) last[static_cast<size_t>(id)] = -1;
  for (size_t i = 0; i < last.size(); ++i) {
    if (last[i] >= 0 && !graph_->values[i].is_constant())
      released_[static_cast<size_t>(last[i])].push_back(static_cast<ValueId>(i));
  }
}

Executor::~Executor() = default;
Executor::Executor(Executor&&) noexcept = default;
Executor& Executor::operator=(Executor&&) noexcept = default;

void Executor::check_inputs(const Values& inputs, std::vector<Value>& values) const {
  for (const auto& [name, value] : inputs) {
    const bool known = std::any_of(graph_->inputs.begin(), graph_->inputs.end(),
                                   [&, &key = name](ValueId id) { return graph_->value(id).name == key; });
    if (!known) raise<Error>("the model has no input '{}'\nits inputs: {}", name, names_of(*graph_, graph_->inputs));
  }
  std::unordered_map<std::string, int64_t> symbols;
  for (const ValueId id : graph_->inputs) {
    const ValueInfo& info = graph_->value(id);
    const auto found = inputs.find(info.name);
    if (found == inputs.end()) {
      if (info.constant.defined()) continue;  // a default
      raise<Error>("input '{}' is missing\nit is {}", info.name, info.type);
    }
    values[static_cast<size_t>(id)] = found->second;
    check_input(info, found->second);
    if (!found->second.is_tensor() || info.type.kind != Type::Kind::kTensor || !info.type.dims) continue;
    const Tensor& tensor = found->second.tensor();
    for (size_t i = 0; i < info.type.dims->size(); ++i) {
      const Dim& dim = (*info.type.dims)[i];
      if (dim.known() || dim.symbol.empty()) continue;
      const auto [at, fresh] = symbols.emplace(dim.symbol.text(), tensor.shape()[i]);
      if (!fresh && at->second != tensor.shape()[i]) {
        raise<ShapeMismatch>(
            "input '{}' has {} for {}, another input {}\n"
            "sizes of one name must be equal",
            info.name, tensor.shape()[i], dim.symbol.text(), at->second);
      }
    }
  }
}

std::vector<Type> Executor::known_inputs(const std::vector<Type>& input_types) const {
  std::vector<Type> given = input_types;
  if (!given.empty()) return given;
  for (const ValueId id : graph_->inputs) {
    given.push_back(graph_->value(id).type);
    if (!given.back().dims) continue;
    for (Dim& dim : *given.back().dims) {
      if (!dim.known()) dim = {1};
    }
  }
  return given;
}

// Whether every run has the same shapes, so that no second schedule is ever needed.
bool Executor::closed() const {
  return std::all_of(graph_->inputs.begin(), graph_->inputs.end(), [&](ValueId id) {
    const ValueInfo& info = graph_->value(id);
    return info.type.kind == Type::Kind::kTensor && info.type.dtype && info.type.shape() && !info.constant.defined();
  });
}

std::shared_ptr<const Schedule> Executor::schedule(const std::vector<Type>& input_types, bool for_run) const {
  constexpr size_t kMostSchedules = 8;
  // A file may apply one weight in many ways; networks pack into up to four times what they have.
  constexpr int64_t kPackedForTaken = 8, kPackedForAll = 64 << 20;
  const auto same = [](const Type& a, const Type& b) { return a.kind == b.kind && a.dtype == b.dtype && a.dims == b.dims; };
  const std::lock_guard lock(plans_->mutex);
  auto& entries = plans_->entries;
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Plans::Entry& entry) {
    return std::equal(input_types.begin(), input_types.end(), entry.input_types.begin(), entry.input_types.end(), same);
  });
  if (found != entries.end()) {
    entries.splice(entries.begin(), entries, found);
  } else {
    const int64_t most_packed = kPackedForAll + kPackedForTaken * plans_->weights.taken_bytes();
    Plans::Entry entry{input_types, options_.planned ? Schedule::make(*graph_, operators_, input_types, most_packed) : nullptr};
    if (entry.schedule == nullptr) entry.bytes = bytes_of_nodes(input_types);
    entries.push_front(std::move(entry));
    if (entries.size() > kMostSchedules) entries.pop_back();
  }
  Schedule* const schedule = entries.front().schedule.get();
  if (for_run && schedule == nullptr) check_budget(entries.front().bytes);
  if (for_run && schedule != nullptr && !schedule->has_weights()) schedule->take_weights(plans_->weights, closed());
  return entries.front().schedule;
}

std::shared_ptr<const Schedule> Executor::checked_schedule(const std::vector<Type>& input_types) const {
  const auto planned = schedule(input_types, false);
  if (planned != nullptr) check_budget(planned->memory().peak_bytes);
  return schedule(input_types, true);
}

void Executor::check_budget(int64_t bytes) const {
  if (bytes > options_.memory_budget) {
    raise<OutOfMemory>(
        "a run with these inputs needs {} bytes, the memory budget is {}\n"
        "use smaller inputs or a larger budget",
        bytes, options_.memory_budget);
  }
}

void Executor::prepare() const {
  if (!options_.planned) return;
  for (const ValueId id : graph_->inputs) {
    const Type& type = graph_->value(id).type;
    if (type.kind != Type::Kind::kTensor || !type.dtype || !type.dims) return;
    for (size_t i = 1; i < type.dims->size(); ++i) {
      if (!(*type.dims)[i].known()) return;
    }
  }
  const std::vector<Type> types = known_inputs({});
  try {
    const auto planned = schedule(types, false);
    if (planned == nullptr || planned->memory().peak_bytes > options_.memory_budget) return;
  } catch (const Error&) {
    return;  // what does not fit a batch of 1 may fit another; a run says what is wrong
  }
  schedule(types, true);
}

std::optional<MemoryUse> Executor::memory(const std::vector<Type>& input_types) const {
  if (!options_.planned) return std::nullopt;
  const auto planned = schedule(known_inputs(input_types), false);
  if (planned == nullptr) return std::nullopt;
  return planned->memory();
}

std::string Executor::algorithm(size_t node, const std::vector<Type>& input_types) const {
  const auto planned = options_.planned ? schedule(known_inputs(input_types), false) : nullptr;
  return planned == nullptr ? "" : std::string(planned->algorithm(node));
}

Values Executor::run(const Values& inputs, const Observer& observer) const {
  const KeepNumThreads kept;  // the memory is counted for as many threads as run
  std::vector<Value> values(graph_->values.size());
  check_inputs(inputs, values);

  // A default that the caller replaces may be what shapes depend on, and the schedule would have believed it.
  bool plannable = true;
  std::vector<Tensor> given;
  std::vector<Type> types;
  int64_t input_bytes = 0;
  for (const ValueId id : graph_->inputs) {
    Value& value = values[static_cast<size_t>(id)];
    if (!value.present() && graph_->value(id).constant.defined()) value = graph_->value(id).constant;
    if (value.is_tensor()) input_bytes += static_cast<int64_t>(block_bytes(value.tensor().nbytes()));
    plannable =
        plannable && value.is_tensor() && (!graph_->value(id).constant.defined() || inputs.count(graph_->value(id).name) == 0);
    if (!plannable) continue;
    given.push_back(value.tensor());
    types.push_back(Type::of(given.back()));
  }
  if (plannable) {
    if (const auto planned = checked_schedule(types)) {
      const MemoryUse use = planned->memory();
      std::vector<Tensor> results;
      const int64_t rest = options_.memory_budget - input_bytes - use.arena_bytes - use.workspace_bytes;
      if (planned->run(given, results, observer, rest)) {
        Values outputs;
        for (size_t i = 0; i < results.size(); ++i) outputs[graph_->value(graph_->outputs[i]).name] = std::move(results[i]);
        return outputs;
      }
    }
  }

  {
    const std::lock_guard lock(plans_->mutex);
    const std::vector<Tensor>& taken = plans_->weights.originals();
    for (size_t i = 0; i < taken.size(); ++i) {
      if (taken[i].defined()) values[i] = taken[i];
    }
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].present() && graph_->values[i].constant.defined()) values[i] = graph_->values[i].constant;
  }
  const MemoryBudget budget(options_.memory_budget - input_bytes);
  for (size_t i = 0; i < graph_->nodes.size(); ++i) {
    const Node& node = graph_->nodes[i];
    std::vector<Value> arguments;
    arguments.reserve(node.inputs.size());
    for (const ValueId id : node.inputs) arguments.push_back(id == kNoValue ? Value() : values[static_cast<size_t>(id)]);
    for (const ValueId id : released_[i]) values[static_cast<size_t>(id)] = Value();
    const auto begin = std::chrono::steady_clock::now();
    with_node_name(*graph_, node, [&] {
      Call call(node, std::move(arguments));
      std::vector<Value> results = operators_[i]->run(call);
      for (size_t k = 0; k < node.outputs.size(); ++k) {
        const ValueId id = node.outputs[k];
        if (id == kNoValue || std::find(released_[i].begin(), released_[i].end(), id) != released_[i].end()) continue;
        if (k >= results.size()) raise<Error>("output {} is not computed\nleave it out of the model", k);
        values[static_cast<size_t>(id)] = std::move(results[k]);
      }
    });
    if (observer) observer(i, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }

  Values outputs;
  for (const ValueId id : graph_->outputs) {
    Value& output = outputs[graph_->value(id).name] = values[static_cast<size_t>(id)];
    if (output.is_tensor() && is_constants(output.tensor())) output = output.tensor().clone();
  }
  return outputs;
}

// Whether the values lie in a constant's memory: operators may hand on what they get, and whoever writes into an output must not
// change the network.
bool Executor::is_constants(const Tensor& tensor) const {
  const char* const at = static_cast<const char*>(tensor.raw_data());
  const auto after =
      std::upper_bound(constants_.begin(), constants_.end(), at, [](const char* p, const auto& range) { return p < range.first; });
  return after != constants_.begin() && at < std::prev(after)->second;
}

int64_t Executor::peak_bytes(const std::vector<Type>& input_types) const {
  const std::optional<MemoryUse> use = memory(input_types);
  return use ? use->peak_bytes : bytes_of_nodes(input_types);
}

int64_t Executor::weight_bytes() const {
  const std::lock_guard lock(plans_->mutex);
  int64_t bytes = plans_->weights.resident_bytes();
  for (const ValueInfo& info : graph_->values) bytes += info.constant.defined() ? static_cast<int64_t>(info.constant.nbytes()) : 0;
  return bytes;
}

int64_t Executor::bytes_of_nodes(const std::vector<Type>& input_types) const {
  const std::vector<KnownType> types = known_types(infer_types(*graph_, known_inputs(input_types)));
  const auto bytes = [&](ValueId id) -> int64_t {
    const int64_t own = types[static_cast<size_t>(id)].bytes;
    return graph_->value(id).is_constant() ? 0 : static_cast<int64_t>(block_bytes(static_cast<size_t>(own)));
  };
  const auto sum = [](int64_t a, int64_t b) { return a > INT64_MAX / 2 - b ? INT64_MAX / 2 : a + b; };
  int64_t live = 0, peak = 0;
  for (const ValueId id : graph_->inputs) live = sum(live, bytes(id));
  for (size_t i = 0; i < graph_->nodes.size(); ++i) {
    for (const ValueId id : graph_->nodes[i].outputs) {
      if (id != kNoValue) live = sum(live, bytes(id));
    }
    const Node& node = graph_->nodes[i];
    const bool foreseen = all_known(types, node.inputs) && all_known(types, node.outputs);
    peak = std::max(peak, foreseen ? sum(live, operator_bytes(*operators_[i], StepSite(*graph_, node, types, false))) : live);
    for (const ValueId id : released_[i]) {
      const bool given = std::find(graph_->inputs.begin(), graph_->inputs.end(), id) != graph_->inputs.end();
      live -= given ? 0 : std::min(live, bytes(id));  // the caller holds its own
    }
  }
  return std::max(peak, live);
}

}  // namespace convoy::graph
