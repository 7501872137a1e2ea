// Pooling over planes of values: max, average, adaptive, and the way back from indices. Shapes are completed (shape/pool.h) with
// every output size at least 0; indices are flat positions in the unpadded plane (D x H x W).
//
// float32 runs vector code, float64 the reference (pool_reference.h) in parallel. Results do not depend on the thread count.
#pragma once

#include <cstdint>

#include "convoy/shape/pool.h"

namespace convoy::kernels {

using shape::AdaptivePoolShape;
using shape::PoolShape;

/// output = the largest value of each window, indices = where it was. The padding is -inf and never wins; the first of equal values
/// wins; NaN wins over everything, the last one's index is kept. A window that sees no input (dilation can step over a small one)
/// gives -inf and PyTorch's index, the first tap that is not in front of the input, which may lie behind it.
///
/// Shapes: input (planes, D, H, W), output and indices (planes, OD, OH, OW).
template <class T>
void max_pool(const PoolShape& shape, const T* input, T* output, int64_t* indices) noexcept;

/// max_pool's output without the indices, which cost more than the values. Only for windows along the last axis that
/// max_pool_values_fits.
void max_pool_values(const PoolShape& shape, const float* input, float* output) noexcept;
bool max_pool_values_fits(const PoolShape& shape) noexcept;

/// As max_pool for the windows of adaptive_window.
template <class T>
void adaptive_max_pool(const AdaptivePoolShape& shape, const T* input, T* output, int64_t* indices) noexcept;

/// Values that travel between a small plane (one value per index) and a large one (what the indices point into).
struct IndexedPlanes {
  int64_t planes = 0;
  int64_t values = 0;     // per small plane
  int64_t positions = 0;  // per large plane
};

/// The place of the last index outside [0, positions) in row-major order (the one PyTorch reports), or -1 if all are inside.
int64_t find_invalid_index(const IndexedPlanes& shape, const int64_t* indices) noexcept;

/// large[plane][index] += small[plane][i], from zero. The gradient of max pooling. Returns whether all indices are inside; values of
/// those outside are left out.
template <class T>
bool scatter_add(const IndexedPlanes& shape, const T* small, const int64_t* indices, T* large) noexcept;
/// large[plane][index] = small[plane][i], zero elsewhere; the last of equal indices stays. Max unpooling.
template <class T>
void scatter(const IndexedPlanes& shape, const T* small, const int64_t* indices, T* large) noexcept;
/// small[plane][i] = large[plane][index]. The gradient of max unpooling.
template <class T>
void gather(const IndexedPlanes& shape, const T* large, const int64_t* indices, T* small) noexcept;

/// What an average divides by: `override_with` if it is not 0; else the size of the window inside the padded input, or inside the
/// input alone. What lies behind the padding (ceil_mode) never counts.
struct AvgDivisor {
  bool count_include_pad = true;
  int64_t override_with = 0;
};

/// output = sum of the window / divisor; the backward is for axes without dilation. float32 sums in double.
template <class T>
void avg_pool(const PoolShape& shape, const AvgDivisor& divisor, const T* input, T* output) noexcept;
template <class T>
void avg_pool_backward(const PoolShape& shape, const AvgDivisor& divisor, const T* grad_output, T* grad_input) noexcept;

/// output = mean of the window. float32 sums in double, a whole plane's values by fours in float before.
template <class T>
void adaptive_avg_pool(const AdaptivePoolShape& shape, const T* input, T* output) noexcept;
template <class T>
void adaptive_avg_pool_backward(const AdaptivePoolShape& shape, const T* grad_output, T* grad_input) noexcept;

}  // namespace convoy::kernels
