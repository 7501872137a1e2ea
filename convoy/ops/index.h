// Reading and writing by index, and tensors made of indices. Values may have any type, indices int64 or int32; negative indices
// count from the end. Errors: "index 5 is out of bounds for dimension 0 with size 3".
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy {

/// What scatter does where a value is already: replaces it, or combines both.
enum class ScatterReduction : uint8_t { kNone, kAdd, kMul, kMin, kMax };

namespace ops {

/// Entries of an axis: shape input[:dim] + indices + input[dim + 1:]. Source: numpy.take, ONNX Gather; torch.index_select for one
/// axis of indices.
Tensor take(const Tensor& input, const Tensor& indices, int64_t dim);

/// output[i][j][k] = input[i][index[i][j][k]][k] for dim = 1, of the index's shape, which is nowhere larger than the input's but
/// along dim. Source: torch.gather, ONNX GatherElements.
Tensor gather(const Tensor& input, int64_t dim, const Tensor& index);
/// The inverse: output = input, then output[i][index[i][j][k]][k] = (or +=, ...) source[i][j][k], in row-major order. kMul, kMin
/// and kMax, and kAdd, are for numeric types. Source: torch.scatter, torch.scatter_reduce, ONNX ScatterElements.
Tensor scatter(const Tensor& input, int64_t dim, const Tensor& index, const Tensor& source,
               ScatterReduction reduction = ScatterReduction::kNone);

/// indices' last axis names an entry of input's axes behind the first batch_dims, which both share. Shape: indices.shape[:-1] +
/// input.shape[batch_dims + indices.shape[-1]:]. Source: ONNX GatherND.
Tensor gather_nd(const Tensor& input, const Tensor& indices, int64_t batch_dims = 0);
/// output = input, then the entries that indices name become (or are combined with) updates. Source: ONNX ScatterND.
Tensor scatter_nd(const Tensor& input, const Tensor& indices, const Tensor& updates,
                  ScatterReduction reduction = ScatterReduction::kNone);

/// A new axis of `depth` entries at dim (of the output's rank): `on` at the index, `off` elsewhere and for indices outside
/// [-depth, depth). off_on holds both values. Any numeric type of indices. Source: ONNX OneHot.
Tensor one_hot(const Tensor& indices, int64_t depth, const Tensor& off_on, int64_t dim = -1);

/// The indices of values that are not 0, in row-major order: int64 (count, rank). Source: torch.nonzero.
Tensor nonzero(const Tensor& input);

/// start, start + step, ... before end, in the type of the three, which hold one value each. Source: torch.arange, ONNX Range.
Tensor range(const Tensor& start, const Tensor& end, const Tensor& step);

/// 1 on a diagonal, 0 elsewhere. Source: numpy.eye, ONNX EyeLike.
Tensor eye(int64_t rows, int64_t columns, int64_t diagonal = 0, DType dtype = DType::kFloat32);

/// Running sums along an axis, of numeric types; exclusive leaves out the value itself, reverse runs from the end. Floats add in
/// double. Source: torch.cumsum, ONNX CumSum.
Tensor cumsum(const Tensor& input, int64_t dim, bool exclusive = false, bool reverse = false);

/// The k largest (smallest) values of an axis, in order, and their indices (int64); of equals the first, NaN counts as largest. Any
/// type but bool. Errors: "selected index k out of range". Source: torch.topk, ONNX TopK.
std::pair<Tensor, Tensor> topk(const Tensor& input, int64_t k, int64_t dim = -1, bool largest = true);

}  // namespace ops
}  // namespace convoy
