// Convolutions of one input whose outputs are added: how the windows of different kernels come to lie on one another.
#pragma once

#include <cstdint>

#include "convoy/shape/axis.h"
#include "convoy/shape/checked.h"
#include "convoy/shape/result.h"

namespace convoy::shape {

/// The padding with which a narrow kernel reads what taps first_tap, first_tap + 1, ... of a wide one read, so that both give
/// outputs of one size that look at the same places: {pad_begin - d first_tap, pad_end - d (K - k - first_tap)}. Negative numbers
/// crop the input, as ACNet's branches do where the padding is smaller than half the kernel.
///
/// Errors: kernel or dilation below 1, taps that the wide kernel does not have, overflow. Source: Ding et al., ACNet (2019),
/// figure 2.
constexpr Result<PadPair> branch_padding(const Axis& wide, int64_t kernel_size, int64_t first_tap) {
  if (const Result<int64_t> span = effective_kernel_size(wide.kernel_size, wide.dilation); !span) return span.error();
  if (kernel_size < 1) return ShapeError{ShapeErrorCode::kNonPositiveKernel, -1, kernel_size, 1};
  if (first_tap < 0 || kernel_size > wide.kernel_size || first_tap > wide.kernel_size - kernel_size) {
    return ShapeError{ShapeErrorCode::kKernelTooLarge, -1, kernel_size, wide.kernel_size};
  }
  const Checked begin = Checked(wide.pad_begin) - Checked(wide.dilation) * first_tap;
  const Checked end = Checked(wide.pad_end) - Checked(wide.dilation) * (wide.kernel_size - kernel_size - first_tap);
  if (!begin.ok() || !end.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  return PadPair{begin.value(), end.value()};
}

}  // namespace convoy::shape
