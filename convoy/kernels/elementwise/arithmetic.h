// Arithmetic over arrays, in parallel. The bits of a value do not depend on its position or the threads. An output may be an input
// of the same extent.
#pragma once

#include <cstdint>

#include "convoy/core/elementwise.h"
#include "convoy/kernels/elementwise/broadcast.h"

namespace convoy::kernels {

/// output = a (op) b over the broadcast axes, for float, double, int64 and uint64. Integers wrap; their divisors must not be 0, and
/// kDiv is not for them.
template <class T>
void arithmetic(Arithmetic kind, const Broadcast<2>& loop, const T* a, const T* b, T* output) noexcept;

/// output[i] = input[i] * scale + shift, rounded once after each operation.
void affine(const float* input, double scale, double shift, float* output, int64_t count) noexcept;
void affine(const double* input, double scale, double shift, double* output, int64_t count) noexcept;

/// target[i] += scale * values[i].
void add_scaled(float* target, const float* values, double scale, int64_t count) noexcept;
void add_scaled(double* target, const double* values, double scale, int64_t count) noexcept;

}  // namespace convoy::kernels
