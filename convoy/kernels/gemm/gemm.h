// Matrix product.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "convoy/core/workspace.h"

namespace convoy::kernels {

/// c[row][column] = start[column] + sum over k of a(row, k) b(k, column), with a and b read through strides (so either may be
/// transposed) and c dense, for one or more pairs of matrices. Every element is chains of multiply-adds in the order of k, one for
/// each 256 of them, added in order, however the product is cut: one chain over 3844 equal terms would lose two digits.
template <class T>
struct Gemm {
  int64_t rows = 0, columns = 0, depth = 0;
  int64_t batch = 1;                               // of products; their results follow each other in c
  const int64_t *a_at = nullptr, *b_at = nullptr;  // where each product's matrix begins, in values from a and b; null: 0
  const T* a = nullptr;
  int64_t a_row_stride = 0, a_depth_stride = 0;
  const T* b = nullptr;
  int64_t b_depth_stride = 0, b_column_stride = 0;
  const T* start = nullptr;  // per column; null: 0
  T* c = nullptr;
};

/// Where the matrices of an array begin whose leading axes `own` are broadcast to `batch`, for each of that batch; `matrix`: values
/// of one.
std::vector<int64_t> matrices_of(const std::vector<int64_t>& own, const std::vector<int64_t>& batch, int64_t matrix);

/// What a_at and b_at of a problem point to.
struct GemmMatrices {
  std::vector<int64_t> a, b;
};

/// Makes the problem of one pair of matrices that of arrays whose leading axes `a` and `b` are broadcast to `batch`. Where all rows
/// of a meet one matrix they become those of one tall product. The problem reads what is returned.
template <class T>
GemmMatrices broadcast_matrices(const std::vector<int64_t>& a, const std::vector<int64_t>& b, const std::vector<int64_t>& batch,
                                Gemm<T>& problem);

/// Scratch memory of gemm for this problem with this many threads.
size_t gemm_workspace_bytes(const Gemm<float>& problem, int threads);
void gemm(const Gemm<float>& problem, Workspace& workspace);

/// Plain loops, one chain over the whole depth, rows in parallel. Defined for float, double and std::complex<double>.
template <class T>
void gemm_reference(const Gemm<T>& problem);

}  // namespace convoy::kernels
