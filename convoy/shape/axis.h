// The arithmetic of one spatial axis. Every size in Convoy comes from here.
#pragma once

#include <algorithm>
#include <cstdint>

#include "convoy/shape/checked.h"
#include "convoy/shape/result.h"

namespace convoy::shape {

/// The window of one spatial axis. `dilation` counts from 1, padding is per side.
struct Axis {
  int64_t kernel_size = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t pad_begin = 0;
  int64_t pad_end = 0;

  friend constexpr bool operator==(const Axis&, const Axis&) = default;
};

/// d (k - 1) + 1: the span of a dilated kernel.
constexpr Result<int64_t> effective_kernel_size(int64_t kernel_size, int64_t dilation) {
  if (kernel_size < 1) return ShapeError{ShapeErrorCode::kNonPositiveKernel, -1, kernel_size, 1};
  if (dilation < 1) return ShapeError{ShapeErrorCode::kNonPositiveDilation, -1, dilation, 1};
  const Checked span = Checked(dilation) * (Checked(kernel_size) - 1) + 1;
  if (!span.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  return span.value();
}

/// Convolution: floor((n + pad_begin + pad_end - d (k - 1) - 1) / s) + 1.
///
/// Errors: kernel, stride or dilation below 1, negative n, an effective kernel larger than the padded input, overflow.
/// Negative padding is arithmetic (a crop); layers refuse it where PyTorch does.
/// Source: conv_arithmetic relationships 1-7 and 15 with asymmetric padding; PyTorch 1.13 conv_output_size.
constexpr Result<int64_t> output_size(int64_t n, const Axis& axis) {
  if (n < 0) return ShapeError{ShapeErrorCode::kNegativeInput, -1, n, 0};
  if (axis.stride < 1) return ShapeError{ShapeErrorCode::kNonPositiveStride, -1, axis.stride, 1};
  const Result<int64_t> span = effective_kernel_size(axis.kernel_size, axis.dilation);
  if (!span) return span.error();
  // The two paddings first: a crop may cancel a padding that alone would leave the range.
  const Checked padded = Checked(n) + (Checked(axis.pad_begin) + axis.pad_end);
  if (!padded.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  if (padded.value() < *span) return ShapeError{ShapeErrorCode::kKernelTooLarge, -1, *span, padded.value()};
  return (padded.value() - *span) / axis.stride + 1;
}

/// Pooling: floor_div(n + pl + pr - d (k - 1) - 1 + (ceil_mode ? s - 1 : 0), s) + 1, less one if ceil_mode and the last window
/// would start beyond the input and its left padding: (o - 1) s >= n + pl.
///
/// The result may be zero or negative: layers decide what is too small (PyTorch differs between them).
/// Errors: kernel, stride or dilation below 1, negative n, overflow. Layers ask pool_padding_limit() about the padding.
/// Source: PyTorch 1.13 pooling_output_shape_pad_lr.
constexpr Result<int64_t> pool_output_size(int64_t n, const Axis& axis, bool ceil_mode) {
  if (n < 0) return ShapeError{ShapeErrorCode::kNegativeInput, -1, n, 0};
  if (axis.stride < 1) return ShapeError{ShapeErrorCode::kNonPositiveStride, -1, axis.stride, 1};
  const Result<int64_t> span = effective_kernel_size(axis.kernel_size, axis.dilation);
  if (!span) return span.error();
  const Checked room = Checked(n) + (Checked(axis.pad_begin) + axis.pad_end) - *span;
  const Checked start_limit = Checked(n) + axis.pad_begin;
  if (!room.ok() || !start_limit.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  if (!ceil_mode) return floor_div(room.value(), axis.stride) + 1;
  const int64_t o = ceil_div(room.value(), axis.stride) + 1;  // floor_div(room + s - 1, s), which cannot overflow this way
  const Checked last_start = (Checked(o) - 1) * axis.stride;
  return !last_start.ok() || last_start.value() >= start_limit.value() ? o - 1 : o;
}

/// The largest padding that a pooling layer accepts on one side: floor(kernel_size / 2). Dilation does not count.
/// Source: PyTorch 1.13 pool2d_shape_check.
constexpr int64_t pool_padding_limit(int64_t kernel_size) { return kernel_size / 2; }

/// Transposed convolution: (n - 1) s - pad_begin - pad_end + d (k - 1) + output_padding + 1.
///
/// The result may be zero or negative: layers decide what is too small.
/// Errors: kernel, stride or dilation below 1, negative n, output_padding < 0 or >= max(s, d), overflow.
/// Source: conv_arithmetic relationships 8-14; PyTorch 1.13 conv_input_size.
constexpr Result<int64_t> transposed_output_size(int64_t n, const Axis& axis, int64_t output_padding) {
  if (n < 0) return ShapeError{ShapeErrorCode::kNegativeInput, -1, n, 0};
  if (axis.stride < 1) return ShapeError{ShapeErrorCode::kNonPositiveStride, -1, axis.stride, 1};
  const Result<int64_t> span = effective_kernel_size(axis.kernel_size, axis.dilation);
  if (!span) return span.error();
  if (output_padding < 0) return ShapeError{ShapeErrorCode::kNegativeOutputPadding, -1, output_padding, 0};
  const int64_t limit = std::max(axis.stride, axis.dilation) - 1;
  if (output_padding > limit) return ShapeError{ShapeErrorCode::kOutputPaddingTooLarge, -1, output_padding, limit};
  const Checked o = (Checked(n) - 1) * axis.stride - (Checked(axis.pad_begin) + axis.pad_end) + *span + output_padding;
  if (!o.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  return o.value();
}

/// Padding in front of and behind an axis.
struct PadPair {
  int64_t begin = 0;
  int64_t end = 0;

  friend constexpr bool operator==(const PadPair&, const PadPair&) = default;
};

/// PyTorch's padding="same" (stride 1): total d (k - 1), the odd one at the end.
constexpr Result<PadPair> same_padding(int64_t kernel_size, int64_t dilation) {
  const Result<int64_t> span = effective_kernel_size(kernel_size, dilation);
  if (!span) return span.error();
  const int64_t total = *span - 1;
  return PadPair{total / 2, total - total / 2};
}

/// TensorFlow's SAME (ONNX SAME_UPPER), any stride: output ceil(n / s), total max((ceil(n/s) - 1) s + d (k - 1) + 1 - n, 0), the
/// odd one at the end. `lower` puts it in front (ONNX SAME_LOWER, Caffe).
constexpr Result<PadPair> same_padding_tf(int64_t n, int64_t kernel_size, int64_t stride, int64_t dilation, bool lower = false) {
  if (n < 0) return ShapeError{ShapeErrorCode::kNegativeInput, -1, n, 0};
  if (stride < 1) return ShapeError{ShapeErrorCode::kNonPositiveStride, -1, stride, 1};
  const Result<int64_t> span = effective_kernel_size(kernel_size, dilation);
  if (!span) return span.error();
  const Checked needed = (Checked(ceil_div(n, stride)) - 1) * stride + *span - n;
  if (!needed.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  const int64_t total = std::max<int64_t>(needed.value(), 0);
  const int64_t half = total / 2;
  return lower ? PadPair{total - half, half} : PadPair{half, total - half};
}

}  // namespace convoy::shape
