// The parts of batch, group, instance and layer normalisation, forward and backward, in parallel. Statistics are taken in double;
// gradients' sums add up to four vectors of products in float before they go on in double.
// float runs in SIMD, double the reference. No result depends on the thread count, nor on the planes, rows or groups around it.
#pragma once

#include <cstdint>
#include <limits>

namespace convoy::kernels {

/// Sum and sum of squared deviations from the mean.
struct Moments {
  double count = 0, sum = 0, squares = 0;

  double mean() const { return sum / count; }
  /// Of both sets of values together (Chan, Golub and LeVeque 1983).
  void add(const Moments& other) {
    if (other.count == 0) return;
    if (count > 0) {
      const double delta = other.sum / other.count - sum / count;
      squares += delta * delta * (count * other.count / (count + other.count));
    }
    count += other.count;
    sum += other.sum;
    squares += other.squares;
  }
};

/// A group's values lie in `planes` runs of `length` values: group g's run p starts at g * group_step + p * plane_step.
///   batch_norm of (N, C, L): groups C, planes N, length L, group_step L, plane_step C * L
///   rows of n values:        groups rows, planes 1, length n, group_step n, plane_step any
struct NormGroups {
  int64_t groups, planes, length, group_step, plane_step;
};

/// The moments of each group. `partial` has room for moments_parts(layout) * groups entries.
int64_t moments_parts(const NormGroups& layout) noexcept;
template <class T>
void moments(const NormGroups& layout, const T* input, Moments* partial, Moments* result) noexcept;

/// Sums of a gradient and of gradient * (input - mean).
struct GradSums {
  double grad = 0, product = 0;
};

/// The sums of each group, whose mean is mean[group]. `partial` has room for moments_parts(layout) * groups entries.
template <class T>
void grad_sums(const NormGroups& layout, const T* grad, const T* input, const double* mean, GradSums* partial,
               GradSums* result) noexcept;

/// Planes of `length` values, one after another; plane p has coefficient number p % period.
struct NormPlanes {
  int64_t planes, length, period;
};

/// output = (input - center) * scale + shift, kept within [low, high].
template <class T>
void normalize_planes(const NormPlanes& layout, const T* input, const T* center, const T* scale, const T* shift, T* output,
                      T low = -std::numeric_limits<T>::infinity(), T high = std::numeric_limits<T>::infinity()) noexcept;

/// grad_input = grad * a + (input - center) * b + c, summed in double in short planes: over a few values the terms cancel almost
/// completely.
template <class T>
void grad_planes(const NormPlanes& layout, const T* grad, const T* input, const double* center, const double* a, const double* b,
                 const double* c, T* grad_input) noexcept;

/// Rows of `length` values, output = ((input - center) * scale + shift) * weight + bias with center, scale and shift per row,
/// weight and bias (either may be null) per column.
template <class T>
void normalize_rows(int64_t rows, int64_t length, const T* input, const T* center, const T* scale, const T* shift, const T* weight,
                    const T* bias, T* output) noexcept;

/// grad_input of normalize_rows, the mean and inv_std of a row being those of its values; weight may be null.
template <class T>
void grad_rows(int64_t rows, int64_t length, const T* grad, const T* input, const double* mean, const double* inv_std,
               const T* weight, T* grad_input) noexcept;

/// Per column the sums over a block of rows of grad and of grad * (input - mean) * inv_std. Blocks of block_rows rows (the last may
/// be shorter); grad_sum and product_sum are (blocks, length).
template <class T>
void column_sums(int64_t rows, int64_t length, int64_t block_rows, const T* grad, const T* input, const double* mean,
                 const double* inv_std, double* grad_sum, double* product_sum) noexcept;

}  // namespace convoy::kernels
