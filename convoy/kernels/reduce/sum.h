// Sums over the middle axis of a dense (outer, n, inner) array, in parallel.
#pragma once

#include <cstdint>

namespace convoy::kernels {

/// Splits n into blocks whose length depends on n and inner alone, so that the order of the additions does too: a sum has the same
/// bits for any outer and any thread count.
struct SumBlocks {
  int64_t rows = 0;   // entries of the middle axis per block
  int64_t count = 0;  // blocks; 1 for n = 0
};
SumBlocks sum_blocks(int64_t n, int64_t inner) noexcept;

/// output (outer, inner) = sums over the middle axis. float and double add in double, in blocks whose sums are added pairwise:
/// exact for small integers, and the float sum is that of the exact numbers to the last bit or nearly so. `partial` has room for
/// outer * sum_blocks(n, inner).count * inner values (not used if the count is 1).
void sum_axis(const float* input, int64_t outer, int64_t n, int64_t inner, double* output, double* partial) noexcept;
void sum_axis(const double* input, int64_t outer, int64_t n, int64_t inner, double* output, double* partial) noexcept;
void sum_axis(const int64_t* input, int64_t outer, int64_t n, int64_t inner, int64_t* output, int64_t* partial) noexcept;

/// output (outer, inner) = index of the largest value along the middle axis, the first of equals; the first NaN beats all. n >= 1.
template <class T>
void argmax_axis(const T* input, int64_t outer, int64_t n, int64_t inner, int64_t* output) noexcept;

}  // namespace convoy::kernels
