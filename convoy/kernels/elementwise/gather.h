// Copies of values into another order, in parallel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace convoy::kernels {

/// output, dense with `sizes`, = input at the sum of index * stride per axis (strides in elements; 0 repeats). Elements of 1,
/// 2, 4 or 8 bytes.
void gather(const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides, size_t element_size, const void* input,
            void* output);

/// Copies `rows` runs of `bytes` bytes, which lie input_step and output_step bytes apart.
void copy_rows(const void* input, size_t input_step, void* output, size_t output_step, size_t bytes, int64_t rows) noexcept;

}  // namespace convoy::kernels
