// Shape rules that several operators share, on sizes that may be unknown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "convoy/graph/operator.h"

namespace convoy::graph {

/// The shape that two broadcast to. Errors: ShapeMismatch for numbers that differ and are not 1.
std::optional<Dims> broadcast(const std::optional<Dims>& a, const std::optional<Dims>& b);

/// Whether both shapes are known to be the same for every run: equal numbers, or one symbol.
bool certainly_equal(const std::optional<Dims>& a, const std::optional<Dims>& b);

/// An axis counted from the front. Errors: Error that names `what`: "axis 4 is outside [-3, 2]".
int64_t axis_in(int64_t axis, int64_t rank, const char* what = "axis");

/// The product of sizes, unknown if one is, or if it leaves int64.
Dim product(const Dims& dims, size_t begin, size_t end);

/// Output 0 has the type and shape of input 0.
void same_as_first(Inference& inference);

/// Output 0 has input 0's element type and all inputs' shapes broadcast.
void broadcast_all(Inference& inference);

/// How many numbers an integer input of one axis holds, such as a shape or axes; nullopt if it is not known, or more than a tensor
/// has axes.
std::optional<size_t> count_of_numbers(const Inference& inference, size_t i);

/// Throws Error unless input i, where known, has this many axes.
void need_rank(const Inference& inference, size_t i, int64_t least, int64_t most);

}  // namespace convoy::graph
