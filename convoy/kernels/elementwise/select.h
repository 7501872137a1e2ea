// Comparisons, their combinations and choices, over broadcast arrays, in parallel.
#pragma once

#include <cstdint>

#include "convoy/core/dtype.h"
#include "convoy/core/elementwise.h"
#include "convoy/kernels/elementwise/broadcast.h"

namespace convoy::kernels {

/// output = a (op) b for arrays of float, double, bool or an integer type.
void compare(Comparison kind, DType dtype, const Broadcast<2>& loop, const void* a, const void* b, bool* output) noexcept;

void logical(Logical kind, const Broadcast<2>& loop, const bool* a, const bool* b, bool* output) noexcept;

/// output = condition ? a : b. Elements of 1, 2, 4 or 8 bytes, moved whatever they are.
void select(const Broadcast<3>& loop, const bool* condition, size_t element_size, const void* a, const void* b,
            void* output) noexcept;

}  // namespace convoy::kernels
