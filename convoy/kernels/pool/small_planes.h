// Maxima of planes of a few positions, where a row of windows would be over before it had begun: a vector's lanes are planes.
#pragma once

#include <cstdint>

#include "convoy/kernels/pool/pool.h"

namespace convoy::kernels {

/// max_pool and adaptive_max_pool; without `indices` max_pool_values. Returns false, having done nothing, where other ways are as
/// good: for planes that are few or not small, or whose windows have many taps or none.
bool max_pool_small_planes(const PoolShape& shape, const float* input, float* output, int64_t* indices) noexcept;
bool max_pool_small_planes(const AdaptivePoolShape& shape, const float* input, float* output, int64_t* indices) noexcept;

}  // namespace convoy::kernels
