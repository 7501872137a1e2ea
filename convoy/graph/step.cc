#include "convoy/graph/step.h"

#include <algorithm>
#include <unordered_map>

#include "convoy/shape/checked.h"

namespace convoy::graph {

bool StepSite::all_float() const {
  for (size_t i = 0; i < inputs(); ++i) {
    if (has(i) && input(i).dtype != DType::kFloat32) return false;
  }
  for (size_t i = 0; i < outputs(); ++i) {
    if (wants(i) && output(i).dtype != DType::kFloat32) return false;
  }
  return true;
}

bool StepSite::is_constant(size_t i) const {
  const ValueId id = node_.input(i);
  return id != kNoValue && graph_.value(id).is_constant() &&
         std::find(graph_.inputs.begin(), graph_.inputs.end(), id) == graph_.inputs.end();
}

const Tensor* StepSite::constant(size_t i) const { return is_constant(i) ? graph_.constant(node_.input(i)) : nullptr; }

std::vector<KnownType> known_types(const std::vector<Type>& types) {
  std::vector<KnownType> result(types.size());
  for (size_t i = 0; i < types.size(); ++i) {
    std::optional<Shape> shape = types[i].shape();
    result[i].count = -1;
    if (types[i].kind != Type::Kind::kTensor || !types[i].dtype || !shape) continue;
    shape::Checked count(1);
    for (const int64_t size : *shape) count = count * size;
    const shape::Checked bytes = count * static_cast<int64_t>(element_size(*types[i].dtype));
    if (!bytes.ok() || bytes.value() > INT64_MAX / 4) continue;
    result[i] = {std::move(*shape), *types[i].dtype, count.value(), bytes.value()};
  }
  return result;
}

bool all_known(const std::vector<KnownType>& types, const std::vector<ValueId>& ids) {
  return std::all_of(ids.begin(), ids.end(),
                     [&](ValueId id) { return id == kNoValue || types[static_cast<size_t>(id)].count >= 0; });
}

StepPlan make_step(const StepSite& site) {
  static const auto* const kByOp = [] {
    auto* rows = new std::unordered_map<std::string_view, const StepMaker*>;  // never destroyed: other threads may outlive main
    for (const auto list : {conv_steps, elementwise_steps, matmul_steps, pool_steps, move_steps, norm_steps}) {
      for (const StepMaker& row : list()) rows->emplace(row.op, &row);
    }
    return rows;
  }();
  const auto found = kByOp->find(site.node().op);
  return found == kByOp->end() ? StepPlan{} : found->second->make(site);
}

}  // namespace convoy::graph
