// Normalisations without a mean: by the squares of neighbouring channels, and by the root of the mean square.
#include <algorithm>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/norm/lrn.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/math.h"
#include "convoy/ops/norm.h"
#include "convoy/ops/reduce.h"

namespace convoy::ops {

Tensor local_response_norm(const Tensor& input, int64_t size, double alpha, double beta, double bias) {
  check_defined(input, "local_response_norm", "input");
  if (input.dim() < 3) {
    raise<ValueError>(
        "Expected 3D or higher dimensionality                          input (got {} dimensions)\n"
        "the axes are (N, C, *)",
        input.dim());
  }
  if (size < 1) raise<ValueError>("local_response_norm: size must be at least 1, but is {}\n5, for example", size);
  if (is_16_bit_float(input.dtype())) {
    return local_response_norm(input.to(DType::kFloat32), size, alpha, beta, bias).to(input.dtype());
  }
  check_floating(input, "local_response_norm");
  Tensor output = Tensor::empty(input.shape(), input.dtype());
  if (output.numel() == 0) return output;
  const int64_t batch = input.size(0), channels = input.size(1);
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::lrn<T>({batch, channels, input.numel() / (batch * channels), size, alpha, beta, bias}, input.data<T>(),
                    output.data<T>());
  });
  return output;
}

Tensor rms_norm(const Tensor& input, const Shape& normalized_shape, const Tensor& weight, double eps) {
  check_defined(input, "rms_norm", "input");
  const size_t rank = normalized_shape.size();
  if (rank == 0 || rank > input.shape().size() ||
      !std::equal(normalized_shape.begin(), normalized_shape.end(), input.shape().end() - static_cast<std::ptrdiff_t>(rank))) {
    raise<ShapeMismatch>(
        "Given normalized_shape={}, expected input with shape [*{}, but got input of size{}\n"
        "the last axes of the input must be normalized_shape",
        normalized_shape, rank > 0 ? ", " + to_string(normalized_shape).substr(1) : "]", input.shape());
  }
  if (is_16_bit_float(input.dtype())) {
    return rms_norm(input.to(DType::kFloat32), normalized_shape, weight.to(DType::kFloat32), eps).to(input.dtype());
  }
  check_floating(input, "rms_norm");
  std::vector<int64_t> dims;
  for (size_t i = 1; i <= rank; ++i) dims.push_back(-static_cast<int64_t>(i));
  const Tensor scale = unary(Unary::kRsqrt, affine(mean(square(input), dims, true), 1.0, eps));
  const Tensor output = mul(input, scale);
  return weight.defined() ? mul(output, weight) : output;
}

}  // namespace convoy::ops
