// Products of matrices.
#include <map>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/rules.h"
#include "convoy/ops/einsum.h"
#include "convoy/ops/linear.h"
#include "convoy/ops/quantize.h"

namespace convoy::graph {
namespace {

std::optional<Dims> product_dims(const std::optional<Dims>& a, const std::optional<Dims>& b) {
  if (!a || !b) return std::nullopt;
  if (a->empty() || b->empty()) raise<ShapeMismatch>("shapes are {} and {}\nboth operands need at least one axis", *a, *b);
  Dims left = *a, right = *b;
  if (left.size() == 1) left.insert(left.begin(), Dim{1});
  if (right.size() == 1) right.push_back({1});
  const Dim &inner = left.back(), &rows = right[right.size() - 2];
  if (inner.known() && rows.known() && inner.size != rows.size) {
    raise<ShapeMismatch>(
        "shapes {} and {} cannot be multiplied\n"
        "the first's last size, {}, must be the second's last but one, {}",
        *a, *b, inner.size, rows.size);
  }
  Dims result = *broadcast(Dims(left.begin(), left.end() - 2), Dims(right.begin(), right.end() - 2));
  if (a->size() > 1) result.push_back(left[left.size() - 2]);
  if (b->size() > 1) result.push_back(right.back());
  return result;
}

void infer_matmul(Inference& inference) {
  inference.set(0, inference.dtype(0), product_dims(inference.dims(0), inference.dims(1)));
}

std::vector<Value> run_matmul(Call& call) { return {ops::matmul(call.tensor(0), call.tensor(1))}; }

void infer_gemm(Inference& inference) {
  need_rank(inference, 0, 2, 2);
  need_rank(inference, 1, 2, 2);
  std::optional<Dims> dims;
  if (inference.dims(0) && inference.dims(1)) {
    Dims a = *inference.dims(0), b = *inference.dims(1);
    if (inference.attributes().integer("transA", 0) != 0) std::swap(a[0], a[1]);
    if (inference.attributes().integer("transB", 0) != 0) std::swap(b[0], b[1]);
    dims = product_dims(a, b);
  }
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_gemm(Call& call) {
  const Attributes& attributes = call.attributes();
  return {ops::gemm(call.tensor(0), call.tensor(1), call.tensor(2),
                    {.transpose_a = attributes.integer("transA", 0) != 0,
                     .transpose_b = attributes.integer("transB", 0) != 0,
                     .alpha = attributes.number("alpha", 1.0),
                     .beta = attributes.number("beta", 1.0)})};
}

void infer_matmul_integer(Inference& inference) {
  inference.set(0, DType::kInt32, product_dims(inference.dims(0), inference.dims(1)));
}

std::vector<Value> run_matmul_integer(Call& call) {
  return {ops::matmul_integer(call.tensor(0), call.tensor(1), call.tensor(2), call.tensor(3))};
}

void infer_qlinear_matmul(Inference& inference) {
  inference.set(0, inference.dtype(7), product_dims(inference.dims(0), inference.dims(3)));
}

std::vector<Value> run_qlinear_matmul(Call& call) {
  return {ops::quantized_matmul(call.tensor(0), {call.tensor(1), call.tensor(2)}, call.tensor(3), {call.tensor(4), call.tensor(5)},
                                {call.tensor(6), call.tensor(7)})};
}

void infer_einsum(Inference& inference) {
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < inference.inputs(); ++i) {
    if (!inference.dims(i)) return inference.set(0, inference.dtype(0), std::nullopt);
    ranks.push_back(static_cast<int64_t>(inference.dims(i)->size()));
  }
  const ops::EinsumLabels labels = ops::einsum_labels(inference.attributes().text("equation", ""), ranks);
  std::map<int, Dim> sizes;
  for (size_t i = 0; i < ranks.size(); ++i) {
    for (size_t axis = 0; axis < labels.operands[i].size(); ++axis) {
      const Dim& dim = (*inference.dims(i))[axis];
      Dim& size = sizes.try_emplace(labels.operands[i][axis], dim).first->second;
      if (size.size == 1 || (!size.known() && dim.known() && dim.size != 1)) size = dim;
    }
  }
  Dims dims;
  for (const int label : labels.output) dims.push_back(sizes[label]);
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_einsum(Call& call) {
  std::vector<Tensor> operands;
  for (size_t i = 0; i < call.inputs(); ++i) operands.push_back(call.tensor(i));
  return {ops::einsum(call.attributes().text("equation", ""), operands)};
}

}  // namespace

std::span<const Operator> matmul_operators() {
  static constexpr Operator kRows[] = {
      {"MatMul", infer_matmul, run_matmul},
      {"Gemm", infer_gemm, run_gemm},
      {"MatMulInteger", infer_matmul_integer, run_matmul_integer, false, 0, 2},
      {"QLinearMatMul", infer_qlinear_matmul, run_qlinear_matmul, false, 0, 2},
      {"Einsum", infer_einsum, run_einsum, false, 0, 0},
  };
  return kRows;
}

}  // namespace convoy::graph
