// Copies of values into another order, in parallel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace convoy::kernels {

/// output, dense with `sizes`, = input at the sum of index * stride per axis (strides in elements; 0 repeats). Elements of 1,
/// 2, 4 or 8 bytes.
void gather(const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides, size_t element_size, const void* input,
            void* output);

/// Copies `rows` runs of `bytes` bytes, which lie input_step and output_step bytes apart.
void copy_rows(const void* input, int64_t input_step, void* output, int64_t output_step, int64_t bytes, int64_t rows) noexcept;

/// What a row of an output has from an input, whose rows follow each other.
struct RowPart {
  const void* from;
  int64_t bytes;
};
/// Every row of the output = the rows of the inputs, one after the other.
void concat_rows(std::span<const RowPart> parts, void* output, int64_t rows) noexcept;

/// Planes of `bytes` bytes, batch x channels of them.
struct BytePlanes {
  int64_t batch, channels, bytes;
};
/// Channel c of the output = channel c / n of input c % n of n. An input's samples lie input_step bytes apart.
void interleave_planes(std::span<const char* const> inputs, int64_t input_step, char* output, const BytePlanes& planes) noexcept;

}  // namespace convoy::kernels
