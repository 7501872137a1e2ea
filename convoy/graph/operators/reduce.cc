// Reductions over axes, and where the extremes are.
#include "convoy/ops/reduce.h"

#include <algorithm>
#include <numeric>

#include "convoy/core/error.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/rules.h"

namespace convoy::graph {
namespace {

// The axes as positive numbers in order; nullopt: none are reduced.
std::optional<std::vector<int64_t>> reduced_axes(std::vector<int64_t> axes, bool none_if_empty, int64_t rank) {
  if (axes.empty()) {
    if (none_if_empty) return std::nullopt;
    axes.resize(static_cast<size_t>(rank));
    std::iota(axes.begin(), axes.end(), int64_t{0});
  }
  for (int64_t& axis : axes) axis = axis_in(axis, rank);
  std::sort(axes.begin(), axes.end());
  return axes;
}

Dims without(const Dims& dims, const std::vector<int64_t>& axes, bool keep) {
  Dims result;
  for (size_t i = 0; i < dims.size(); ++i) {
    const bool reduced = std::find(axes.begin(), axes.end(), static_cast<int64_t>(i)) != axes.end();
    if (!reduced) {
      result.push_back(dims[i]);
    } else if (keep) {
      result.push_back({1});
    }
  }
  return result;
}

void infer_reduce(Inference& inference) {
  const bool keep = inference.attributes().integer("keepdims", 1) != 0;
  const std::optional<std::vector<int64_t>> numbers =
      inference.has(1) ? inference.numbers(1) : std::optional<std::vector<int64_t>>(std::vector<int64_t>{});
  if (!inference.dims(0)) return inference.set(0, inference.dtype(0), std::nullopt);
  const Dims& dims = *inference.dims(0);
  const bool none_if_empty = inference.attributes().integer("noop_with_empty_axes", 0) != 0;
  if (!numbers) {
    std::optional<Dims> result;
    const auto count = count_of_numbers(inference, 1);
    if (keep) {
      result = Dims(dims.size());
    } else if (count && *count <= dims.size()) {
      result = *count == 0 && !none_if_empty ? Dims{} : Dims(dims.size() - *count);
    }
    return inference.set(0, inference.dtype(0), std::move(result));
  }
  const auto axes = reduced_axes(*numbers, none_if_empty, static_cast<int64_t>(dims.size()));
  inference.set(0, inference.dtype(0), axes ? without(dims, *axes, keep) : dims);
}

std::vector<Value> reduced(Call& call, ReduceKind kind) {
  const Tensor& input = call.tensor(0);
  const bool keep = call.attributes().integer("keepdims", 1) != 0;
  const auto axes = reduced_axes(call.has(1) ? call.numbers(1) : std::vector<int64_t>{},
                                 call.attributes().integer("noop_with_empty_axes", 0) != 0, input.dim());
  if (axes && !axes->empty()) return {ops::reduce(kind, input, *axes, keep)};
  // Over no axes each element stands alone: its square, its logarithm.
  Shape shape = input.shape();
  shape.push_back(1);
  return {ops::reduce(kind, input.reshape(shape), {static_cast<int64_t>(shape.size()) - 1}, false)};
}

template <ReduceKind kKind>
std::vector<Value> run_reduce(Call& call) {
  return reduced(call, kKind);
}

void infer_arg(Inference& inference) {
  if (!inference.dims(0)) return inference.set(0, DType::kInt64, std::nullopt);
  const Dims& dims = *inference.dims(0);
  const int64_t axis = axis_in(inference.attributes().integer("axis", 0), static_cast<int64_t>(dims.size()));
  inference.set(0, DType::kInt64, without(dims, {axis}, inference.attributes().integer("keepdims", 1) != 0));
}

template <Tensor (*kFunction)(const Tensor&, int64_t, bool, bool)>
std::vector<Value> run_arg(Call& call) {
  const Tensor& input = call.tensor(0);
  return {kFunction(input, axis_in(call.attributes().integer("axis", 0), input.dim()),
                    call.attributes().integer("keepdims", 1) != 0, call.attributes().integer("select_last_index", 0) != 0)};
}

}  // namespace

std::span<const Operator> reduce_operators() {
  static constexpr Operator kRows[] = {
      {"ReduceSum", infer_reduce, run_reduce<ReduceKind::kSum>, false, 2, 2},
      {"ReduceMean", infer_reduce, run_reduce<ReduceKind::kMean>, false, 2, 2},
      {"ReduceMax", infer_reduce, run_reduce<ReduceKind::kMax>, false, 1, 2},
      {"ReduceMin", infer_reduce, run_reduce<ReduceKind::kMin>, false, 2, 2},
      {"ReduceProd", infer_reduce, run_reduce<ReduceKind::kProd>, false, 1, 2},
      {"ReduceL1", infer_reduce, run_reduce<ReduceKind::kL1>, false, 2, 3},
      {"ReduceL2", infer_reduce, run_reduce<ReduceKind::kL2>, false, 5, 4},
      {"ReduceLogSum", infer_reduce, run_reduce<ReduceKind::kLogSum>, false, 2, 3},
      {"ReduceLogSumExp", infer_reduce, run_reduce<ReduceKind::kLogSumExp>, false, 4, 4},
      {"ReduceSumSquare", infer_reduce, run_reduce<ReduceKind::kSumSquare>, false, 5, 4},
      {"ArgMax", infer_arg, run_arg<ops::argmax>, false, 1, 2},
      {"ArgMin", infer_arg, run_arg<ops::argmin>, false, 2, 3},
  };
  return kRows;
}

}  // namespace convoy::graph
