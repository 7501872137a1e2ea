#include "convoy/ops/slice.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/elementwise/gather.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/dims.h"
#include "convoy/ops/rearrange.h"
#include "convoy/ops/reduce.h"
#include "convoy/shape/checked.h"

namespace convoy::ops {

namespace {

struct Range {
  int64_t first, count;
};

// The entries of an axis of size n that start, end and step name, as Python counts them.
Range entries(int64_t n, int64_t start, int64_t end, int64_t step) {
  const auto cut = [n, step](int64_t at) {
    if (at < 0) at = at < -n ? -1 : at + n;
    return std::clamp<int64_t>(at, step > 0 ? 0 : -1, step > 0 ? n : n - 1);
  };
  const int64_t first = cut(start), last = cut(end);
  // Both are within [-1, n]; the step may be anything.
  if (step > 0) return {first, last <= first ? 0 : (last - first - 1) / step + 1};
  if (last >= first) return {first, 0};
  return {first, step == INT64_MIN ? 1 : (first - last - 1) / -step + 1};
}

// Triangles: keeps column c of row r if keep(c - r).
template <class Keep>
Tensor triangle(const Tensor& input, const char* name, const Keep& keep) {
  check_defined(input, name, "input");
  if (input.dim() < 2) raise<Error>("{}: input tensor must have at least 2 dimensions\ngive it axes first: reshape({1, N})", name);
  const int64_t rows = input.size(-2), columns = input.size(-1);
  Tensor output = Tensor::empty(input.shape(), input.dtype());
  if (output.numel() == 0) return output;
  with_element_size(input.dtype(), [&](auto bits) {
    using T = decltype(bits);
    const T* from = static_cast<const T*>(input.raw_data());
    T* to = static_cast<T*>(output.raw_data());
    parallel_ranges(input.numel() / columns, std::max<int64_t>(1, 16384 / columns), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        for (int64_t c = 0; c < columns; ++c) to[r * columns + c] = keep(c - r % rows) ? from[r * columns + c] : T(0);
      }
    });
  });
  return output;
}

void check_blocks(const Tensor& input, const char* name, int64_t block_size) {
  check_defined(input, name, "input");
  if (input.dim() != 4) {
    raise<ShapeMismatch>(
        "{} expects (N, C, H, W), but got {}\n"
        "one image needs a batch axis: reshape({1, C, H, W})",
        name, input.shape());
  }
  if (block_size < 1 || block_size > 1 << 20) {
    raise<ValueError>("{} expects a block size of 1 or more, but got {}\n2, for example", name, block_size);
  }
}

}  // namespace

Tensor slice(const Tensor& input, const std::vector<AxisSlice>& slices) {
  check_defined(input, "slice", "input");
  Shape shape = input.shape();
  std::vector<int64_t> strides = dense_strides(shape);
  std::vector<bool> seen(shape.size());
  int64_t base = 0;
  for (const AxisSlice& s : slices) {
    if (input.dim() == 0) raise<Error>("slice() cannot be applied to a 0-dim tensor.\ngive it an axis first: reshape({1})");
    const auto axis = static_cast<size_t>(wrap_dim(s.axis, input.dim()));
    if (s.step == 0) raise<ValueError>("slice step cannot be zero\naxis {} has step 0", axis);
    if (seen[axis]) raise<Error>("slice(): axis {} is named twice\nname each axis once", axis);
    seen[axis] = true;
    const Range range = entries(shape[axis], s.start, s.end, s.step);
    shape[axis] = range.count;
    if (range.count == 0) continue;
    base += range.first * strides[axis];
    if (range.count > 1) strides[axis] *= s.step;  // then |step| < n
  }
  Tensor output = Tensor::empty(shape, input.dtype());
  if (output.numel() == 0) return output;
  const size_t element = element_size(input.dtype());
  kernels::gather(shape, strides, element, static_cast<const char*>(input.raw_data()) + base * static_cast<int64_t>(element),
                  output.raw_data());
  return output;
}

std::vector<Tensor> split(const Tensor& input, const std::vector<int64_t>& sizes, int64_t dim) {
  check_defined(input, "split", "input");
  if (input.dim() == 0) raise<Error>("split expects at least a 1-dimensional tensor\ngive it an axis first: reshape({1})");
  const int64_t axis = wrap_dim(dim, input.dim());
  const AxisView view = view_axis(input.shape(), axis);
  shape::Checked sum = 0;
  for (const int64_t size : sizes) {
    if (size < 0) {
      raise<Error>(
          "split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={}\n"
          "sizes that add up to the axis work",
          sizes);
    }
    sum = sum + size;
  }
  if (!sum.ok() || sum.value() != view.n) {
    raise<ShapeMismatch>(
        "split_with_sizes expects split_sizes to sum exactly to {} (input tensor's size at dimension {}), but got split_sizes={}\n"
        "the shape is {}",
        view.n, axis, sizes, input.shape());
  }
  std::vector<Tensor> parts;
  int64_t at = 0;
  for (const int64_t size : sizes) {
    if (view.outer == 1) {
      Shape shape = input.shape();
      shape[static_cast<size_t>(axis)] = size;
      parts.push_back(input.reshape({view.n, view.inner}).slice(at, at + size).reshape(shape));
    } else {
      parts.push_back(narrow(input, axis, at, size));
    }
    at += size;
  }
  return parts;
}

Tensor tile(const Tensor& input, const std::vector<int64_t>& repeats) {
  check_defined(input, "tile", "input");
  const size_t rank = std::max(input.shape().size(), repeats.size());
  Shape shape(rank - input.shape().size(), 1);
  shape.insert(shape.end(), input.shape().begin(), input.shape().end());
  const std::vector<int64_t> strides = dense_strides(shape);
  Shape result, sizes;
  std::vector<int64_t> steps;
  for (size_t axis = 0; axis < rank; ++axis) {
    const size_t missing = rank - repeats.size();
    const int64_t times = axis < missing ? 1 : repeats[axis - missing];
    if (times < 0) {
      raise<Error>("Trying to create tensor with negative dimension {}: {}\nthe repeats must be 0 or more", times, repeats);
    }
    const shape::Checked size = shape::Checked(shape[axis]) * times;
    if (!size.ok()) raise<Error>("numel: integer multiplication overflow\nthe repeats are {}", repeats);
    result.push_back(size.value());
    sizes.insert(sizes.end(), {times, shape[axis]});
    steps.insert(steps.end(), {0, strides[axis]});
  }
  Tensor output = Tensor::empty(result, input.dtype());
  if (output.numel() > 0) kernels::gather(sizes, steps, element_size(input.dtype()), input.raw_data(), output.raw_data());
  return output;
}

Tensor triu(const Tensor& input, int64_t diagonal) {
  return triangle(input, "triu", [diagonal](int64_t offset) { return offset >= diagonal; });
}
Tensor tril(const Tensor& input, int64_t diagonal) {
  return triangle(input, "tril", [diagonal](int64_t offset) { return offset <= diagonal; });
}

Tensor depth_to_space(const Tensor& input, int64_t block_size, DepthOrder order) {
  check_blocks(input, "depth_to_space", block_size);
  if (order == DepthOrder::kColumnRowDepth) return pixel_shuffle(input, block_size);
  const int64_t b = block_size, channels = input.size(1) / (b * b);
  if (channels * b * b != input.size(1)) {
    raise<ShapeMismatch>(
        "depth_to_space expects the channels to be divisible by the square of the block size, but {} is not divisible by {}\n"
        "the input has shape {}",
        input.size(1), b * b, input.shape());
  }
  const int64_t n = input.size(0), h = input.size(2), w = input.size(3);
  return permute(input.reshape({n, b, b, channels, h, w}), {0, 3, 4, 1, 5, 2}).reshape({n, channels, h * b, w * b});
}

Tensor space_to_depth(const Tensor& input, int64_t block_size) {
  check_blocks(input, "space_to_depth", block_size);
  const int64_t b = block_size, n = input.size(0), c = input.size(1), h = input.size(2) / b, w = input.size(3) / b;
  if (h * b != input.size(2) || w * b != input.size(3)) {
    raise<ShapeMismatch>(
        "space_to_depth expects height and width to be divisible by the block size {}, but got {}\n"
        "crop or pad them to multiples of it",
        b, input.shape());
  }
  return permute(input.reshape({n, c, h, b, w, b}), {0, 3, 5, 1, 2, 4}).reshape({n, c * b * b, h, w});
}

}  // namespace convoy::ops
