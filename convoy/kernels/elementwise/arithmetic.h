// Arithmetic over arrays, in parallel. The bits of a value do not depend on its position or the threads. An output may be an input
// of the same extent.
#pragma once

#include <cstdint>

#include "convoy/core/elementwise.h"
#include "convoy/kernels/elementwise/broadcast.h"

namespace convoy::kernels {

/// output = a (op) b over the broadcast axes. kDiv is not for int64_t.
void arithmetic(Arithmetic kind, const Broadcast& loop, const float* a, const float* b, float* output) noexcept;
void arithmetic(Arithmetic kind, const Broadcast& loop, const double* a, const double* b, double* output) noexcept;
void arithmetic(Arithmetic kind, const Broadcast& loop, const int64_t* a, const int64_t* b, int64_t* output) noexcept;

/// output[i] = input[i] * scale + shift, rounded once after each operation.
void affine(const float* input, double scale, double shift, float* output, int64_t count) noexcept;
void affine(const double* input, double scale, double shift, double* output, int64_t count) noexcept;

/// target[i] += scale * values[i].
void add_scaled(float* target, const float* values, double scale, int64_t count) noexcept;
void add_scaled(double* target, const double* values, double scale, int64_t count) noexcept;

void sqrt(const float* input, float* output, int64_t count) noexcept;
void sqrt(const double* input, double* output, int64_t count) noexcept;

}  // namespace convoy::kernels
