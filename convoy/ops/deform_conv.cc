#include "convoy/ops/deform_conv.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/keep_num_threads.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/gemm/gemm.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/conv.h"
#include "convoy/ops/elementwise.h"

namespace convoy::ops {

namespace {

using kernels::Gemm;
using shape::ConvShape;

void multiply(const Gemm<float>& problem) {
  const KeepNumThreads kept;
  Workspace workspace(kernels::gemm_workspace_bytes(problem, num_threads()));
  kernels::gemm(problem, workspace);
}
void multiply(const Gemm<double>& problem) { kernels::gemm_reference(problem); }

// The plane at (y, x), zero outside. NaN is outside.
template <class T>
T bilinear(const T* plane, int64_t height, int64_t width, double y, double x) {
  if (!(y > -1 && x > -1 && y < static_cast<double>(height) && x < static_cast<double>(width))) return 0;
  const double y0 = std::floor(y), x0 = std::floor(x);
  const auto ly = static_cast<T>(y - y0), lx = static_cast<T>(x - x0);
  const auto h = static_cast<int64_t>(y0), w = static_cast<int64_t>(x0);
  const auto at = [&](int64_t i, int64_t j) { return i >= 0 && j >= 0 && i < height && j < width ? plane[i * width + j] : T(0); };
  return (1 - ly) * ((1 - lx) * at(h, w) + lx * at(h, w + 1)) + ly * ((1 - lx) * at(h + 1, w) + lx * at(h + 1, w + 1));
}

// The columns of one sample: (C kh kw, OH OW).
template <class T>
void sample_columns(const ConvShape& s, int64_t offset_groups, const T* input, const T* offset, const T* mask, T* columns) {
  const shape::Axis &h = s.axes[1], &w = s.axes[2];
  const int64_t taps = h.kernel_size * w.kernel_size, positions = s.output[1] * s.output[2];
  parallel_for(s.in_channels * taps, [&](int64_t row) {
    const int64_t channel = row / taps, tap = row % taps, group = channel / (s.in_channels / offset_groups);
    const T* plane = input + channel * s.input[1] * s.input[2];
    const T* dy = offset + (group * taps + tap) * 2 * positions;
    const T* dx = dy + positions;
    const T* factor = mask != nullptr ? mask + (group * taps + tap) * positions : nullptr;
    for (int64_t o = 0; o < positions; ++o) {
      const int64_t y = o / s.output[2] * h.stride - h.pad_begin + tap / w.kernel_size * h.dilation;
      const int64_t x = o % s.output[2] * w.stride - w.pad_begin + tap % w.kernel_size * w.dilation;
      const T value = bilinear(plane, s.input[1], s.input[2], static_cast<double>(y) + static_cast<double>(dy[o]),
                               static_cast<double>(x) + static_cast<double>(dx[o]));
      columns[row * positions + o] = factor != nullptr ? value * factor[o] : value;
    }
  });
}

void check_shape(const Tensor& t, const char* name, const Shape& expected) {
  if (t.shape() == expected) return;
  raise<ShapeMismatch>(
      "deform_conv2d: {} has shape {}, expected {}\n"
      "each output position has its own offsets and mask: one map per tap of the kernel and offset group",
      name, t.shape(), expected);
}

}  // namespace

Tensor deform_conv2d(const Tensor& input, const Tensor& offset, const Tensor& weight, const Tensor& bias, const Tensor& mask,
                     const DeformConvOptions& options) {
  check_defined(input, "deform_conv2d", "input");
  check_defined(offset, "deform_conv2d", "offset");
  check_defined(weight, "deform_conv2d", "weight");
  check_floating(input, "deform_conv2d");
  for (const Tensor* t : {&offset, &weight, &bias, &mask}) check_type(*t, input.dtype());
  if (input.dim() != 4)
    raise<ShapeMismatch>(
        "deform_conv2d expects an input (N, C, H, W), but got {}\n"
        "one image needs a batch axis: reshape({1, C, H, W})",
        input.shape());
  const ConvShape s =
      conv_shape(2, input.shape(), weight.shape(),
                 {.stride = options.stride, .padding = options.padding, .dilation = options.dilation, .groups = options.groups});
  const int64_t og = options.offset_groups, taps = s.axes[1].kernel_size * s.axes[2].kernel_size;
  if (og < 1 || s.in_channels % og != 0) {
    raise<ShapeMismatch>(
        "deform_conv2d: {} channels cannot be shared by {} offset groups\n"
        "the channels must be a multiple of the offset groups",
        s.in_channels, og);
  }
  check_shape(offset, "offset", {s.batch, 2 * og * taps, s.output[1], s.output[2]});
  if (mask.defined()) check_shape(mask, "mask", {s.batch, og * taps, s.output[1], s.output[2]});
  if (bias.defined()) check_shape(bias, "bias", {s.out_channels});
  Tensor output = Tensor::empty({s.batch, s.out_channels, s.output[1], s.output[2]}, input.dtype());
  if (output.numel() == 0) return output;
  const int64_t positions = s.output[1] * s.output[2], rows = s.in_channels * taps;
  Tensor columns = Tensor::empty({rows, positions}, input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (int64_t n = 0; n < s.batch; ++n) {
      sample_columns(s, og, input.data<T>() + n * s.in_channels * s.input[1] * s.input[2],
                     offset.data<T>() + n * 2 * og * taps * positions,
                     mask.defined() ? mask.data<T>() + n * og * taps * positions : nullptr, columns.data<T>());
      for (int64_t g = 0; g < s.groups; ++g) {
        Gemm<T> product;
        product.rows = s.out_channels / s.groups;
        product.columns = positions;
        product.depth = rows / s.groups;
        product.a = weight.data<T>() + g * product.rows * product.depth;
        product.a_row_stride = product.depth;
        product.a_depth_stride = 1;
        product.b = columns.data<T>() + g * product.depth * positions;
        product.b_depth_stride = positions;
        product.b_column_stride = 1;
        product.c = output.data<T>() + (n * s.out_channels + g * product.rows) * positions;
        multiply(product);
      }
    }
  });
  return bias.defined() ? add(output, bias.reshape({s.out_channels, 1, 1})) : output;
}

}  // namespace convoy::ops
