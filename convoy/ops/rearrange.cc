// Unfold, fold, pixel_shuffle and pixel_unshuffle: PyTorch 1.13's checks in its order and words, then the kernels.
#include "convoy/ops/rearrange.h"

#include <algorithm>
#include <concepts>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/rearrange/pixel_shuffle.h"
#include "convoy/kernels/rearrange/unfold.h"
#include "convoy/ops/checks.h"
#include "convoy/shape/checked.h"
#include "convoy/shape/pool.h"

namespace convoy::ops {

namespace {

using kernels::UnfoldShape;
using shape::Axis;
using shape::Checked;

// The square of an int64_t.
__extension__ using Wide = unsigned __int128;

std::string wide_text(Wide value) {
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
    value /= 10;
  } while (value != 0);
  return digits;
}

// A single number stands for both axes; a list must have two.
std::vector<int64_t> expand(const char* what, const IntList& list) {
  if (list.single()) return list.expand(2);
  if (list.values().size() == 2) return list.values();
  raise<Error>(
      "It is expected {} equals to 2, but got size {}\n"
      "give {} as one number or as (height, width)",
      what, list.values().size(), what);
}

// "(3, 4)" for one value of each axis.
std::string pair(const UnfoldShape& s, int64_t Axis::*value) { return formatted("({}, {})", s.axes[1].*value, s.axes[2].*value); }

std::string per_axis(const UnfoldShape& s, const char* name, int64_t Axis::*value) {
  return formatted("{}_height: {} {}_width: {}", name, s.axes[1].*value, name, s.axes[2].*value);
}

void check_above_zero(const UnfoldShape& s, const char* what, const char* name, int64_t Axis::*value) {
  if (s.axes[1].*value > 0 && s.axes[2].*value > 0) return;
  raise<Error>("{} should be greater than zero, but got {}\nuse a {} of at least 1", what, per_axis(s, name, value), what);
}

void check_padding(const UnfoldShape& s) {
  if (s.axes[1].pad_begin >= 0 && s.axes[2].pad_begin >= 0) return;
  raise<Error>("padding should be non-negative, but got {}\nuse padding 0 or more", per_axis(s, "pad", &Axis::pad_begin));
}

// The windows that the options describe, sizes still to come.
UnfoldShape windows(const UnfoldOptions& options) {
  const auto kernel_size = expand("kernel_size", options.kernel_size);
  const auto dilation = expand("dilation", options.dilation);
  const auto padding = expand("padding", options.padding);
  const auto stride = expand("stride", options.stride);
  UnfoldShape s;
  for (size_t i = 0; i < 2; ++i) {
    s.axes[i + 1] = {.kernel_size = kernel_size[i],
                     .stride = stride[i],
                     .dilation = dilation[i],
                     .pad_begin = padding[i],
                     .pad_end = padding[i]};
  }
  return s;
}

[[noreturn]] void refuse_overflow(const char* what) {
  raise<Error>("numel: integer multiplication overflow\nthe {} of this call does not fit 64 bits", what);
}

// How many blocks fit along each axis, refusing what cannot be counted; the columns' rows are counted too.
UnfoldShape count_blocks(const UnfoldShape& s) {
  const shape::Result<UnfoldShape> completed = shape::complete(s);
  if (!completed) refuse_overflow("number of blocks");
  const Checked rows = Checked(s.channels) * s.axes[1].kernel_size * s.axes[2].kernel_size;
  const Checked bytes = Checked(std::max<int64_t>(s.batch, 1)) * rows * completed->output[1] * completed->output[2] * 16;
  if (!rows.ok() || !bytes.ok()) refuse_overflow("number of values");
  return *completed;
}

UnfoldShape check_unfold(const Shape& input, const UnfoldOptions& options) {
  UnfoldShape s = windows(options);
  check_above_zero(s, "kernel size", "kernel", &Axis::kernel_size);
  check_above_zero(s, "dilation", "dilation", &Axis::dilation);
  check_padding(s);
  check_above_zero(s, "stride", "stride", &Axis::stride);
  const auto dim = static_cast<int>(input.size());
  const std::string fix = formatted("unfold expects (N, C, H, W) or (C, H, W), only the batch may be empty; got {}", input);
  if (dim == 0) raise<Error>("Dimension specified as 1 but tensor has no dimensions\n{}", fix);
  if (dim < 3) {
    raise<Error>("Dimension out of range (expected to be in range of [{}, {}], but got {})\n{}", -dim, dim - 1, dim, fix);
  }
  const bool empty = dim > 4 || std::any_of(input.end() - 3, input.end(), [](int64_t n) { return n == 0; });
  if (empty) {
    raise<Error>(
        "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: {}\n"
        "{}",
        input, fix);
  }
  s.batch = dim == 4 ? input[0] : 1;
  s.channels = input[input.size() - 3];
  s.input = {1, input[input.size() - 2], input[input.size() - 1]};
  s = count_blocks(s);
  if (s.output[1] < 1 || s.output[2] < 1) {
    // PyTorch prints the height twice.
    raise<ShapeMismatch>(
        "Given input with spatial size ({}, {}), kernel_size={}, dilation={}, padding={}, calculated shape of the array of sliding "
        "blocks as ({}, {}), but its components must be at least one.\n"
        "the input is {} x {}: use a smaller kernel_size or dilation, or more padding",
        s.input[1], s.input[1], pair(s, &Axis::kernel_size), pair(s, &Axis::dilation), pair(s, &Axis::pad_begin), s.output[1],
        s.output[2], s.input[1], s.input[2]);
  }
  return s;
}

UnfoldShape check_fold(const Shape& input, const std::vector<int64_t>& output_size, const UnfoldOptions& options) {
  if (output_size.size() != 2) {
    raise<Error>(
        "It is expected output_size equals to 2, but got size {}\n"
        "give output_size as (height, width)",
        output_size.size());
  }
  UnfoldShape s = windows(options);
  check_above_zero(s, "kernel size", "kernel", &Axis::kernel_size);
  check_above_zero(s, "stride", "stride", &Axis::stride);
  check_above_zero(s, "dilation", "dilation", &Axis::dilation);
  check_padding(s);
  const size_t dim = input.size();
  if ((dim != 2 && dim != 3) || input[dim - 1] == 0 || input[dim - 2] == 0) {
    raise<Error>(
        "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but got: "
        "{}\n"
        "fold expects (N, C * kernel_size, L) or (C * kernel_size, L), only the batch may be empty",
        input);
  }
  const int64_t rows = input[dim - 2], columns = input[dim - 1];
  const Checked taps = Checked(s.axes[1].kernel_size) * s.axes[2].kernel_size;
  if (!taps.ok() || rows % taps.value() != 0) {
    raise<ShapeMismatch>(
        "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)={} and "
        "kernel_size={}.\n"
        "the rows are C times the kernel's {} taps",
        rows, pair(s, &Axis::kernel_size), taps.ok() ? std::to_string(taps.value()) : std::string("too many"));
  }
  s.batch = dim == 3 ? input[0] : 1;
  s.channels = rows / taps.value();
  s.input = {1, output_size[0], output_size[1]};
  // Sizes below zero are counted like any other, for the refusal that follows.
  UnfoldShape counted = s;
  counted.input = {1, std::max<int64_t>(output_size[0], 0), std::max<int64_t>(output_size[1], 0)};
  counted = count_blocks(counted);
  for (size_t a = 1; a < 3; ++a) {
    const Axis& axis = s.axes[a];
    if (s.input[a] < 0) {
      const Checked room =
          Checked(s.input[a]) + axis.pad_begin + axis.pad_end - *shape::effective_kernel_size(axis.kernel_size, axis.dilation);
      if (!room.ok()) refuse_overflow("number of blocks");
      counted.output[a] = shape::floor_div(room.value(), axis.stride) + 1;
    }
  }
  s.output = counted.output;
  const std::string given =
      formatted("Given output_size=({}, {}), kernel_size={}, dilation={}, padding={}, stride={}, ", output_size[0], output_size[1],
                pair(s, &Axis::kernel_size), pair(s, &Axis::dilation), pair(s, &Axis::pad_begin), pair(s, &Axis::stride));
  const Checked blocks = Checked(s.output[1]) * s.output[2];
  if (!blocks.ok()) refuse_overflow("number of blocks");
  if (blocks.value() != columns) {
    raise<ShapeMismatch>(
        "{}expected size of input's dimension 2 to match the calculated number of sliding blocks {} * {} = {}, but got "
        "input.size(2)={}.\n"
        "fold undoes unfold: give the sizes and options that unfold was called with",
        given, s.output[1], s.output[2], blocks.value(), columns);
  }
  if (s.output[1] < 1 || s.output[2] < 1) {
    raise<ShapeMismatch>(
        "{}calculated shape of the array of sliding blocks as ({}, {}), which is too small (non-positive)\n"
        "use an output_size of at least the kernel_size less the padding",
        given, s.output[1], s.output[2]);
  }
  if (s.input[1] < 1 || s.input[2] < 1) {
    raise<Error>(
        "Expected output spatial size to be positive, but got: output_size=({}, {}).\n"
        "use sizes of at least 1",
        output_size[0], output_size[1]);
  }
  return s;
}

void check_floating(DType dtype, const char* name) {
  if (!is_float_or_double(dtype)) refuse_type(dtype, name);
}

// The checks that both shuffles begin with.
void check_shuffle(const char* name, const char* argument, const Shape& input, int64_t factor) {
  if (input.size() < 3) {
    raise<Error>(
        "{} expects input to have at least 3 dimensions, but got input with {} dimension(s)\n"
        "the last three axes are channels, height and width",
        name, input.size());
  }
  if (factor <= 0) {
    raise<Error>("{} expects a positive {}, but got {}\nuse 1 or more", name, argument, factor);
  }
}

// Axes in front of channels, height and width, counted together.
int64_t leading(const Shape& shape) {
  int64_t count = 1;
  for (size_t a = 0; a + 3 < shape.size(); ++a) count *= shape[a];
  return count;
}

}  // namespace

Tensor unfold(const Tensor& input, const UnfoldOptions& options) {
  const UnfoldShape s = check_unfold(input.shape(), options);
  check_floating(input.dtype(), "im2col_out_cpu");
  const int64_t taps = s.axes[1].kernel_size * s.axes[2].kernel_size;
  Shape shape{s.channels * taps, s.output_positions()};
  if (input.dim() == 4) shape.insert(shape.begin(), s.batch);
  Tensor columns = Tensor::empty(shape, input.dtype());
  if (input.dtype() == DType::kFloat32) {
    kernels::unfold(s, input.data<float>(), columns.data<float>());
  } else {
    kernels::unfold(s, input.data<double>(), columns.data<double>());
  }
  return columns;
}

Tensor fold(const Tensor& input, const std::vector<int64_t>& output_size, const UnfoldOptions& options) {
  const UnfoldShape s = check_fold(input.shape(), output_size, options);
  check_floating(input.dtype(), "col2im_out_cpu");
  Shape shape{s.channels, s.input[1], s.input[2]};
  if (input.dim() == 3) shape.insert(shape.begin(), s.batch);
  Tensor image = Tensor::empty(shape, input.dtype());
  if (input.dtype() == DType::kFloat32) {
    kernels::fold(s, input.data<float>(), image.data<float>());
  } else {
    kernels::fold(s, input.data<double>(), image.data<double>());
  }
  return image;
}

Tensor col2im(const Tensor& columns, const shape::PoolShape& image) {
  check_defined(columns, "col2im", "columns");
  if (is_16_bit_float(columns.dtype())) {
    return col2im(columns.to(DType::kFloat32), image).to(columns.dtype());
  }
  check_floating(columns.dtype(), "col2im_out_cpu");
  if (columns.dim() != 3)
    raise<ShapeMismatch>("col2im expects columns (N, C k, L), but got {}\nunfold() makes them", columns.shape());
  UnfoldShape s = image;
  s.batch = columns.size(0);
  s.channels = 1;
  s.ceil_mode = false;
  for (int a = 0; a < s.first_axis(); ++a) s.axes[static_cast<size_t>(a)] = Axis{};
  Checked taps = 1;
  for (const Axis& axis : s.axes) {
    taps = taps * axis.kernel_size;
    if (axis.pad_begin < 0 || axis.pad_end < 0)
      raise<ValueError>("padding should be non-negative, but is not\ncrop with slice() instead");
  }
  shape::Result<UnfoldShape> counted = shape::complete(s);
  if (!counted)
    raise<ShapeMismatch>(
        "col2im: {}\n"
        "the columns are as many as windows fit into the padded output",
        shape::reason(counted.error().code));
  if (!taps.ok() || columns.size(1) % taps.value() != 0) {
    raise<ShapeMismatch>(
        "col2im: {} rows are not a multiple of the kernel's taps\n"
        "the columns have shape {}",
        columns.size(1), columns.shape());
  }
  s.channels = columns.size(1) / taps.value();
  counted = shape::complete(s);
  if (!counted) refuse_overflow("number of values");
  s = *counted;
  const bool fits = *std::min_element(s.output.begin(), s.output.end()) >= 1 && s.output_positions() == columns.size(2);
  if (!fits) {
    raise<ShapeMismatch>(
        "col2im: the image has ({}, {}, {}) blocks, but the columns are {}\n"
        "the columns have shape {}",
        s.output[0], s.output[1], s.output[2], columns.size(2), columns.shape());
  }
  Shape shape{s.batch, s.channels};
  for (int a = s.first_axis(); a < 3; ++a) shape.push_back(s.input[static_cast<size_t>(a)]);
  Tensor output = Tensor::empty(shape, columns.dtype());
  with_floating(columns.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::fold(s, columns.data<T>(), output.data<T>());
  });
  return output;
}

Tensor pixel_shuffle(const Tensor& input, int64_t upscale_factor) {
  check_shuffle("pixel_shuffle", "upscale_factor", input.shape(), upscale_factor);
  const size_t c = input.shape().size() - 3;
  Shape shape = input.shape();
  const Wide square = static_cast<Wide>(upscale_factor) * static_cast<Wide>(upscale_factor);
  if (static_cast<Wide>(shape[c]) % square != 0) {
    raise<ShapeMismatch>(
        "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
        "input.size(-3)={} is not divisible by {}\n"
        "the channels are those of the output times upscale_factor^2 = {}",
        shape[c], wide_text(square), wide_text(square));
  }
  const Checked height = Checked(shape[c + 1]) * upscale_factor, width = Checked(shape[c + 2]) * upscale_factor;
  if (!height.ok() || !width.ok()) refuse_overflow("output");
  shape[c] = static_cast<int64_t>(static_cast<Wide>(shape[c]) / square);
  shape[c + 1] = height.value();
  shape[c + 2] = width.value();
  Tensor output = Tensor::empty(shape, input.dtype());
  if (output.numel() == 0) return output;
  const kernels::PixelShuffleShape s{leading(shape) * shape[c], upscale_factor, input.shape()[c + 1], input.shape()[c + 2]};
  with_element_size(input.dtype(), [&](auto bits) { kernels::pixel_shuffle<sizeof bits>(s, input.raw_data(), output.raw_data()); });
  return output;
}

Tensor pixel_unshuffle(const Tensor& input, int64_t downscale_factor) {
  check_shuffle("pixel_unshuffle", "downscale_factor", input.shape(), downscale_factor);
  const size_t c = input.shape().size() - 3;
  Shape shape = input.shape();
  for (const size_t a : {c + 1, c + 2}) {
    if (shape[a] % downscale_factor == 0) continue;
    const char* name = a == c + 1 ? "height" : "width";
    raise<ShapeMismatch>(
        "pixel_unshuffle expects {} to be divisible by downscale_factor, but input.size({})={} is not divisible by {}\n"
        "crop or pad the {} to a multiple of {}",
        name, a == c + 1 ? "-2" : "-1", shape[a], downscale_factor, name, downscale_factor);
  }
  const Checked channels = Checked(shape[c]) * downscale_factor * downscale_factor;
  if (!channels.ok()) refuse_overflow("number of channels");
  const int64_t planes = shape[c];
  shape[c] = channels.value();
  shape[c + 1] /= downscale_factor;
  shape[c + 2] /= downscale_factor;
  Tensor output = Tensor::empty(shape, input.dtype());
  if (output.numel() == 0) return output;
  const kernels::PixelShuffleShape s{leading(shape) * planes, downscale_factor, shape[c + 1], shape[c + 2]};
  with_element_size(input.dtype(),
                    [&](auto bits) { kernels::pixel_unshuffle<sizeof bits>(s, input.raw_data(), output.raw_data()); });
  return output;
}

}  // namespace convoy::ops
