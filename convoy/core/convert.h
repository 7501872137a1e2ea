// Arrays of values in another element type.
#pragma once

#include <cstdint>

#include "convoy/core/dtype.h"

namespace convoy {

/// output[i] = convert_element of input[i] for `count` values, in parallel. The arrays do not overlap.
void convert(const void* input, DType from, void* output, DType to, int64_t count) noexcept;

}  // namespace convoy
