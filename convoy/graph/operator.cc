#include "convoy/graph/operator.h"

#include <array>
#include <unordered_map>

namespace convoy::graph {

std::vector<const Operator*> all_operators() {
  std::vector<const Operator*> rows;
  for (const auto family :
       {arithmetic_operators, activation_operators, conv_operators, pool_operators, norm_operators, reduce_operators,
        matmul_operators, shape_operators, index_operators, resize_operators, other_operators, fused_operators}) {
    for (const Operator& row : family()) rows.push_back(&row);
  }
  return rows;
}

const Operator* find_operator(std::string_view name) {
  static const auto* const kByName = [] {
    auto* rows = new std::unordered_map<std::string_view, const Operator*>;  // never destroyed: other threads may outlive main
    for (const Operator* row : all_operators()) rows->emplace(row->name, row);
    return rows;
  }();
  const auto found = kByName->find(name);
  return found == kByName->end() ? nullptr : found->second;
}

}  // namespace convoy::graph
