#include "convoy/graph/operator.h"

namespace convoy::graph {

std::span<const Operator> index_operators() { return {}; }

}  // namespace convoy::graph
