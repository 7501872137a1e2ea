// Pooling over windows and over everything.
#include "convoy/ops/pool.h"

#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/rules.h"
#include "convoy/graph/windows.h"
#include "convoy/ops/math.h"
#include "convoy/ops/pad.h"
#include "convoy/ops/reduce.h"

namespace convoy::graph {
namespace {

void need_spatial(const Inference& inference) { need_rank(inference, 0, 3, 5); }

shape::PoolShape pool_windows(const Attributes& attributes, const std::vector<shape::Axis>& axes) {
  shape::PoolShape windows;
  windows.rank = static_cast<int>(axes.size());
  for (size_t i = 0; i < axes.size(); ++i) windows.axes[3 - axes.size() + i] = axes[i];
  windows.ceil_mode = attributes.integer("ceil_mode", 0) != 0;
  return windows;
}

void infer_pool(Inference& inference) {
  need_spatial(inference);
  if (!inference.dims(0)) return inference.set(0, inference.dtype(0), std::nullopt);
  Dims dims = *inference.dims(0);
  const auto axes = windows(inference.attributes(), {}, spatial_sizes(dims));
  const bool ceil_mode = inference.attributes().integer("ceil_mode", 0) != 0;
  for (size_t i = 2; i < dims.size(); ++i) {
    const Dim in = dims[i];
    dims[i] = {};
    if (!axes || !in.known()) continue;
    const shape::Result<int64_t> size = shape::pool_output_size(in.size, (*axes)[i - 2], ceil_mode);
    if (!size || *size < 1) {
      raise<ShapeMismatch>(
          "the window spans more than the padded input {} on axis {}\n"
          "use a smaller kernel_shape or a larger input",
          *inference.dims(0), i);
    }
    dims[i].size = *size;
  }
  inference.set(0, inference.dtype(0), dims);
  if (inference.outputs() > 1) inference.set(1, DType::kInt64, dims);
}

void infer_global(Inference& inference) {
  need_rank(inference, 0, 2, 64);
  if (!inference.dims(0)) return inference.set(0, inference.dtype(0), std::nullopt);
  Dims dims = *inference.dims(0);
  for (size_t i = 2; i < dims.size(); ++i) dims[i] = {1};
  inference.set(0, inference.dtype(0), std::move(dims));
}

shape::PoolShape windows_of(const Call& call) {
  const Tensor& input = call.tensor(0);
  if (input.dim() < 3 || input.dim() > 5) {
    raise<ShapeMismatch>("the input has shape {}\npooling takes (N, C, *) with 1 to 3 spatial axes", input.shape());
  }
  return pool_windows(call.attributes(), *windows(call.attributes(), {}, spatial_sizes(dims_of(input.shape()))));
}

std::vector<Value> run_max_pool(Call& call) {
  const MaxPoolResult result = ops::max_pool(call.tensor(0), windows_of(call));
  if (call.outputs() < 2 || !call.wants(1)) return {result.output};
  const bool column_major = call.attributes().integer("storage_order", 0) != 0;
  return {result.output, ops::flat_indices(result.indices, call.tensor(0).shape(), column_major)};
}

std::vector<Value> run_average_pool(Call& call) {
  return {ops::avg_pool(call.tensor(0), windows_of(call), call.attributes().integer("count_include_pad", 0) != 0)};
}

std::vector<Value> run_lp_pool(Call& call) {
  return {ops::lp_pool(call.tensor(0), windows_of(call), call.attributes().number("p", 2))};
}

// The whole of every plane as one axis, whatever the rank.
Tensor planes(const Tensor& input) {
  if (input.dim() < 2) raise<ShapeMismatch>("the input has shape {}\nglobal pooling takes (N, C, *)", input.shape());
  int64_t positions = 1;
  for (int64_t i = 2; i < input.dim(); ++i) positions *= input.size(i);
  return input.reshape({input.size(0), input.size(1), positions});
}

Tensor pooled(const Tensor& values, const Shape& input) {
  Shape shape = input;
  for (size_t i = 2; i < shape.size(); ++i) shape[i] = 1;
  return values.reshape(shape);
}

std::vector<Value> run_global_average_pool(Call& call) {
  const Tensor& input = call.tensor(0);
  if (is_float_or_double(input.dtype())) return {pooled(ops::mean(planes(input), {2}), input.shape())};
  return {pooled(ops::mean(planes(input.to(DType::kFloat32)), {2}).to(input.dtype()), input.shape())};
}

shape::PoolShape whole_plane(int64_t positions) {
  shape::PoolShape windows;
  windows.rank = 1;
  windows.axes[2].kernel_size = positions;
  return windows;
}

std::vector<Value> run_global_max_pool(Call& call) {
  const Tensor& input = call.tensor(0);
  const Tensor flat = planes(input);
  return {pooled(ops::max_pool(flat, whole_plane(flat.size(2))).output, input.shape())};
}

std::vector<Value> run_global_lp_pool(Call& call) {
  const Tensor& input = call.tensor(0);
  const Tensor flat = planes(input);
  return {pooled(ops::lp_pool(flat, whole_plane(flat.size(2)), call.attributes().number("p", 2)), input.shape())};
}

// Without output_shape an axis has (n - 1) s + k - pads positions.
Shape unpooled_shape(const Call& call) {
  const Tensor& input = call.tensor(0);
  const size_t rank = input.shape().size() - 2;
  const auto axes = windows(call.attributes(), {}, spatial_sizes(dims_of(input.shape())));
  Shape shape = input.shape();
  for (size_t i = 0; i < rank; ++i) {
    const shape::Result<int64_t> size = shape::transposed_output_size(input.shape()[i + 2], (*axes)[i], 0);
    if (!size || *size < 1) raise<ShapeMismatch>("unpooling {} gives no positions\nuse less padding", input.shape());
    shape[i + 2] = *size;
  }
  return shape;
}

// Indices count positions of the unpooled tensor as the default shape lays it out; output_shape may be larger.
std::vector<Value> run_max_unpool(Call& call) {
  const Tensor& input = call.tensor(0);
  if (input.dim() < 3 || input.dim() > 5) {
    raise<ShapeMismatch>("the input has shape {}\nunpooling takes (N, C, *) with 1 to 3 spatial axes", input.shape());
  }
  const Shape natural = unpooled_shape(call);
  if (!call.has(2)) return {ops::max_unpool_flat(input, call.tensor(1), natural)};
  const std::vector<int64_t> wanted = call.numbers(2);
  if (wanted.size() != natural.size()) {
    raise<ShapeMismatch>("output_shape is {}\nit must have {} sizes", wanted, natural.size());
  }
  std::vector<shape::PadPair> room(wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] < natural[i]) {
      raise<ShapeMismatch>("output_shape is {}\nit must not be smaller than {}", wanted, natural);
    }
    room[i].end = wanted[i] - natural[i];
  }
  return {ops::pad_axes(ops::max_unpool_flat(input, call.tensor(1), natural), room, PadMode::kConstant)};
}

void infer_max_unpool(Inference& inference) {
  need_spatial(inference);
  if (inference.has(2)) return inference.set(0, inference.dtype(0), inference.contents(2));
  if (!inference.dims(0)) return inference.set(0, inference.dtype(0), std::nullopt);
  Dims dims = *inference.dims(0);
  const auto axes = windows(inference.attributes(), {}, spatial_sizes(dims));
  for (size_t i = 2; i < dims.size(); ++i) {
    if (!axes || !dims[i].known()) {
      dims[i] = {};
      continue;
    }
    const shape::Result<int64_t> size = shape::transposed_output_size(dims[i].size, (*axes)[i - 2], 0);
    dims[i] = size ? Dim{*size} : Dim{};
  }
  inference.set(0, inference.dtype(0), std::move(dims));
}

}  // namespace

std::span<const Operator> pool_operators() {
  static constexpr Operator kRows[] = {
      {"MaxPool", infer_pool, run_max_pool, false, 1},
      {"AveragePool", infer_pool, run_average_pool},
      {"LpPool", infer_pool, run_lp_pool, false, 1},
      {"GlobalMaxPool", infer_global, run_global_max_pool},
      {"GlobalAveragePool", infer_global, run_global_average_pool},
      {"GlobalLpPool", infer_global, run_global_lp_pool, false, 2, 2},
      {"MaxUnpool", infer_max_unpool, run_max_unpool},
  };
  return kRows;
}

}  // namespace convoy::graph
