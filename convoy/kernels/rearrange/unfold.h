// Sliding blocks as columns, and columns summed back into an image.
#pragma once

#include <cstdint>

#include "convoy/shape/pool.h"

namespace convoy::kernels {

/// The windows are those of a pooling whose window looks into zero padding.
using UnfoldShape = shape::PoolShape;

/// columns[n, (c kh + i) kw + j, (oh, ow)] = input[n, c, oh s - p + i d, ow s - p + j d], 0 outside; with a third axis in front
/// for rank 3.
/// Shapes: input (batch, channels, D, H, W), columns (batch, channels * kd * kh * kw, OD * OH * OW).
template <class T>
void unfold(const UnfoldShape& shape, const T* input, T* columns) noexcept;

/// The adjoint: image[n, c, ...] = the sum of the columns' entries that unfold reads from there.
template <class T>
void fold(const UnfoldShape& shape, const T* columns, T* image) noexcept;

}  // namespace convoy::kernels
