#include "convoy/graph/operator.h"

namespace convoy::graph {

std::span<const Operator> resize_operators() { return {}; }

}  // namespace convoy::graph
