// The largest values along the middle axis of a dense (outer, n, inner) array, in parallel.
#pragma once

#include <cstdint>

namespace convoy::kernels {

/// output (outer, inner) = the largest values along the middle axis; a NaN beats all, none at all are -inf.
void largest_axis(const float* input, int64_t outer, int64_t n, int64_t inner, float* output) noexcept;

}  // namespace convoy::kernels
