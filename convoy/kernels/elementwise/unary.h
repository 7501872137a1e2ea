// Functions of one number over arrays, in parallel. The bits of a value depend on that value alone. An output may be its input.
#pragma once

#include <cstdint>

#include "convoy/core/elementwise.h"

namespace convoy::kernels {

/// output[i] = f(input[i]) for float and double; of int64 and uint64 kAbs, kNeg and kSign only, which wrap.
template <class T>
void unary(Unary kind, const T* input, T* output, int64_t count) noexcept;

}  // namespace convoy::kernels
