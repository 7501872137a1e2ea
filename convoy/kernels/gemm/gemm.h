// Matrix product.
#pragma once

#include <cstddef>
#include <cstdint>

#include "convoy/core/workspace.h"

namespace convoy::kernels {

/// c[row][column] = start[column] + sum over k of a(row, k) b(k, column), with a and b read through strides (so either may be
/// transposed) and c dense. Every element is one chain of multiply-adds in the order of k.
template <class T>
struct Gemm {
  int64_t rows = 0, columns = 0, depth = 0;
  const T* a = nullptr;
  int64_t a_row_stride = 0, a_depth_stride = 0;
  const T* b = nullptr;
  int64_t b_depth_stride = 0, b_column_stride = 0;
  const T* start = nullptr;  // per column; null: 0
  T* c = nullptr;
};

/// Scratch memory of gemm for this problem with this many threads.
size_t gemm_workspace_bytes(int64_t rows, int64_t columns, int64_t depth, int threads);
void gemm(const Gemm<float>& problem, Workspace& workspace);

/// Plain loops, rows in parallel. Defined for float, double and std::complex<double>.
template <class T>
void gemm_reference(const Gemm<T>& problem);

}  // namespace convoy::kernels
