#include "convoy/graph/weights.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::graph {
namespace {

constexpr size_t kLeastBytes = 4096;  // smaller ones are not worth a second look

// Operators whose steps read input 1 in an order of their own.
bool packs(const Node& node, size_t input) {
  static constexpr std::string_view kLayers[] = {"Conv",
                                                 "FusedConv",
                                                 "AffineConv",
                                                 "PooledConv",
                                                 "ConvTranspose",
                                                 "FusedConvTranspose",
                                                 "ExpandDepthwise",
                                                 "InvertedResidual",
                                                 "SqueezeExcite",
                                                 "Linear"};
  return input == 1 && std::find(std::begin(kLayers), std::end(kLayers), node.op) != std::end(kLayers);
}

}  // namespace

Weights::Weights(Graph& graph, Reload reload)
    : originals_(graph.values.size()), taken_(graph.values.size(), 0), reload_(std::move(reload)) {
  for (const Node& node : graph.nodes) {
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] != kNoValue && packs(node, i)) taken_[static_cast<size_t>(node.inputs[i])] = 1;
    }
  }
  const auto leave = [&](ValueId id) {
    if (id != kNoValue) taken_[static_cast<size_t>(id)] = 0;
  };
  for (const Node& node : graph.nodes) {
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!packs(node, i)) leave(node.inputs[i]);
    }
  }
  for (const ValueId id : graph.inputs) leave(id);
  for (const ValueId id : graph.outputs) leave(id);
  for (size_t i = 0; i < taken_.size(); ++i) {
    ValueInfo& info = graph.values[i];
    if (taken_[i] == 0 || !info.constant.defined() || info.constant.nbytes() < kLeastBytes) {
      taken_[i] = 0;
      continue;
    }
    info.type = Type::of(info.constant);
    info.taken = true;
    taken_bytes_ += static_cast<int64_t>(info.constant.nbytes());
    originals_[i] = std::move(info.constant);
    info.constant = Tensor();
  }
}

const Tensor& Weights::original(ValueId id) {
  const auto i = static_cast<size_t>(id);
  if (!originals_[i].defined()) reload();
  return originals_[i];
}

const std::vector<Tensor>& Weights::originals() {
  for (size_t i = 0; i < taken_.size(); ++i) {
    if (taken_[i] != 0 && !originals_[i].defined()) {
      reload();
      break;
    }
  }
  return originals_;
}

void Weights::give_up(ValueId id) { originals_[static_cast<size_t>(id)] = Tensor(); }

void Weights::reload() {
  if (reload_ == nullptr) {
    raise<Error>(
        "the network's weights are only there in the order of the kernels that its planned runs use\n"
        "load it with ModelOptions::keep_weights");
  }
  Graph graph = reload_();
  bool same = graph.values.size() == taken_.size();
  for (size_t i = 0; same && i < taken_.size(); ++i) {
    if (taken_[i] == 0 || originals_[i].defined()) continue;
    same = graph.values[i].constant.defined();
    if (same) originals_[i] = std::move(graph.values[i].constant);
  }
  if (!same)
    raise<Error>("the network is another one than it was when it was loaded\nload it again, or with ModelOptions::keep_weights");
  reloaded_ = true;
}

std::shared_ptr<const void> Weights::packed(ValueId id, const std::string& form) const {
  const auto of_weight = packed_.find(id);
  if (of_weight == packed_.end()) return nullptr;
  const auto found = of_weight->second.find(form);
  return found == of_weight->second.end() ? nullptr : found->second.memory.lock();
}

std::shared_ptr<const void> Weights::add_packed(ValueId id, const std::string& form, size_t bytes,
                                                std::shared_ptr<const void> packed) {
  auto& forms = packed_[id];
  for (auto at = forms.begin(); at != forms.end();) {
    const std::shared_ptr<const void> other = at->second.memory.lock();
    if (other == nullptr) {
      at = forms.erase(at);
      continue;
    }
    if (at->second.bytes == bytes && std::memcmp(other.get(), packed.get(), bytes) == 0) packed = other;
    ++at;
  }
  forms[form] = {packed, bytes};
  return packed;
}

int64_t Weights::resident_bytes() const {
  int64_t bytes = 0;
  for (const Tensor& tensor : originals_) bytes += tensor.defined() ? static_cast<int64_t>(tensor.nbytes()) : 0;
  std::set<const void*> seen;
  for (const auto& [id, forms] : packed_) {
    for (const auto& [form, packed] : forms) {
      const std::shared_ptr<const void> memory = packed.memory.lock();
      if (memory != nullptr && seen.insert(memory.get()).second) bytes += static_cast<int64_t>(packed.bytes);
    }
  }
  return bytes;
}

}  // namespace convoy::graph
