// Reductions to the largest, the smallest, a product or a norm, and where the largest and smallest are.
#include <algorithm>
#include <limits>
#include <type_traits>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/reduce/extremes.h"
#include "convoy/kernels/reduce/sum.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/dims.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/math.h"
#include "convoy/ops/reduce.h"
#include "convoy/ops/slice.h"
#include "convoy/ops/wide.h"

namespace convoy::ops {

namespace {

constexpr int64_t kGrain = 16384;  // values per task
constexpr int64_t kLanes = 16;     // chains of a row, combined at the end: a fixed number, so that the result has fixed bits

// The three ways to combine; a NaN stays.
struct Larger {
  template <class T>
  static constexpr T start() {
    return std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
  }
  template <class T>
  T operator()(T best, T x) const {
    return x > best || x != x ? x : best;
  }
};
struct Smaller {
  template <class T>
  static constexpr T start() {
    return std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
  }
  template <class T>
  T operator()(T best, T x) const {
    return x < best || x != x ? x : best;
  }
};
struct Product {
  template <class T>
  static constexpr T start() {
    return T(1);
  }
  template <class T>
  T operator()(T product, T x) const {
    return product * x;
  }
};

// output (outer, inner) = the middle axis of (outer, n, inner) combined. Sum is the type of the chains.
template <class Sum, class T, class F>
void fold_axis(const AxisView& view, const F& f, const T* input, T* output) {
  if (view.inner == 1) {
    parallel_ranges(view.outer, std::max<int64_t>(1, kGrain / std::max<int64_t>(view.n, 1)), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* row = input + r * view.n;
        Sum lanes[kLanes];
        std::fill(lanes, lanes + kLanes, F::template start<Sum>());
        int64_t i = 0;
        for (; i + kLanes <= view.n; i += kLanes) {
          for (int64_t k = 0; k < kLanes; ++k) lanes[k] = f(lanes[k], static_cast<Sum>(row[i + k]));
        }
        for (int64_t k = 0; i < view.n; ++i, ++k) lanes[k] = f(lanes[k], static_cast<Sum>(row[i]));
        for (int64_t k = 1; k < kLanes; ++k) lanes[0] = f(lanes[0], lanes[k]);
        output[r] = static_cast<T>(lanes[0]);
      }
    });
    return;
  }
  constexpr int64_t kTile = 512;  // neighbouring results at a time
  const int64_t tiles = (view.inner + kTile - 1) / kTile;
  const int64_t unit = std::max<int64_t>(1, view.n * std::min(view.inner, kTile));
  parallel_ranges(view.outer * tiles, std::max<int64_t>(1, kGrain / unit), [&](int64_t begin, int64_t end) {
    Sum best[kTile];
    for (int64_t u = begin; u < end; ++u) {
      const int64_t outer = u / tiles, column = u % tiles * kTile, count = std::min(kTile, view.inner - column);
      std::fill(best, best + count, F::template start<Sum>());
      for (int64_t i = 0; i < view.n; ++i) {
        const T* row = input + (outer * view.n + i) * view.inner + column;
        for (int64_t k = 0; k < count; ++k) best[k] = f(best[k], static_cast<Sum>(row[k]));
      }
      for (int64_t k = 0; k < count; ++k) output[outer * view.inner + column + k] = static_cast<T>(best[k]);
    }
  });
}

// One group of neighbouring reduced axes after another, from the last.
template <class F>
Tensor fold_groups(const Tensor& input, const std::vector<bool>& reduced, const F& f) {
  Tensor values = input.dim() == 0 ? input.reshape({1}) : input;
  AxisView view;
  for (size_t axis = values.shape().size(); axis > 0;) {
    if (!reduced[axis - 1]) {
      view.inner *= values.shape()[--axis];
      continue;
    }
    Shape shape = values.shape();
    view.n = view.outer = 1;
    while (axis > 0 && reduced[axis - 1]) {
      --axis;
      view.n *= shape[axis];
      shape[axis] = 1;
    }
    for (size_t before = 0; before < axis; ++before) view.outer *= shape[before];
    Tensor output = Tensor::empty(shape, input.dtype());
    with_wide(input.dtype(), [&](auto zero) {
      using T = decltype(zero);
      constexpr bool kProduct = std::is_same_v<F, Product>;
      if constexpr (std::is_same_v<T, float> && std::is_same_v<F, Larger>) {
        kernels::largest_axis(values.data<float>(), view.outer, view.n, view.inner, output.data<float>());
      } else {
        using Sum = std::conditional_t<!kProduct, T, std::conditional_t<std::is_integral_v<T>, uint64_t, double>>;
        fold_axis<Sum>(view, f, values.data<T>(), output.data<T>());
      }
    });
    values = output;
  }
  return values;
}

Tensor fold(ReduceKind kind, const Tensor& input, const std::vector<bool>& reduced) {
  if (kind == ReduceKind::kMin && input.dtype() == DType::kFloat32) {
    return unary(Unary::kNeg, fold_groups(unary(Unary::kNeg, input), reduced, Larger()));
  }
  if (kind == ReduceKind::kMax) return fold_groups(input, reduced, Larger());
  if (kind == ReduceKind::kMin) return fold_groups(input, reduced, Smaller());
  return fold_groups(input, reduced, Product());
}

// The largest or smallest of no values, in an integer type that is computed in a wider one: what the type ends with.
Tensor extreme_of_none(ReduceKind kind, const Shape& shape, DType dtype) {
  Tensor output = Tensor::empty(shape, dtype);
  with_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T>) {
      using Limits = std::numeric_limits<T>;
      output.fill_(static_cast<double>(kind == ReduceKind::kMax ? Limits::min() : Limits::max()));
    }
  });
  return output;
}

// log(sum(exp(x))) with the largest x taken out.
Tensor log_sum_exp(const Tensor& input, const std::vector<int64_t>& dims) {
  const Tensor largest = reduce(ReduceKind::kMax, input, dims, true);
  const Tensor shift = where(isinf(largest), Tensor::zeros({}, input.dtype()), largest);
  return add(unary(Unary::kLog, sum(unary(Unary::kExp, sub(input, shift)), dims, true)), shift);
}

const char* kernel_name(ReduceKind kind) {
  constexpr const char* kNames[] = {"sum_cpu",  "mean_cpu", "max_values_cpu", "min_values_cpu", "prod_cpu", "norm_cpu",
                                    "norm_cpu", "log",      "logsumexp",      "sum_cpu"};
  return kNames[static_cast<size_t>(kind)];
}

Tensor arg_largest(const Tensor& input, int64_t dim, bool keepdim, bool select_last, const char* name) {
  const int64_t at = wrap_dim(dim, input.dim());
  const AxisView view = view_axis(input.shape(), at);
  if (view.n == 0) {
    raise<Error>("{}(): Expected reduction dim {} to have non-zero size.\nthe shape is {}", name, at, input.shape());
  }
  Shape shape = input.shape();
  if (!shape.empty() && keepdim) shape[static_cast<size_t>(at)] = 1;
  if (!shape.empty() && !keepdim) shape.erase(shape.begin() + at);
  Tensor output = Tensor::empty(shape, DType::kInt64);
  const Tensor values = select_last && view.n > 1 ? slice(input, {{at, INT64_MAX, INT64_MIN, -1}}) : input;
  with_wide(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::argmax_axis<T>(values.data<T>(), view.outer, view.n, view.inner, output.data<int64_t>());
  });
  if (select_last) {
    auto* index = output.data<int64_t>();
    for (int64_t i = 0; i < output.numel(); ++i) index[i] = view.n - 1 - index[i];
  }
  return output;
}

}  // namespace

Tensor argmax(const Tensor& input, int64_t dim, bool keepdim, bool select_last) {
  check_defined(input, "argmax", "input");
  return arg_largest(input.to(wide_type(input.dtype())), dim, keepdim, select_last, "argmax");
}

Tensor argmin(const Tensor& input, int64_t dim, bool keepdim, bool select_last) {
  check_defined(input, "argmin", "input");
  const Tensor values = input.to(wide_type(input.dtype()));
  // Turned around: -x, and for integers -1 - x, which always fits.
  const Tensor turned = is_floating(values.dtype()) ? unary(Unary::kNeg, values)
                                                    : sub(Tensor::from(std::vector<int64_t>{-1}, {}).to(values.dtype()), values);
  return arg_largest(turned, dim, keepdim, select_last, "argmin");
}

Tensor reduce(ReduceKind kind, const Tensor& input, const std::vector<int64_t>& dims, bool keepdim) {
  check_defined(input, kernel_name(kind), "input");
  const DType dtype = input.dtype();
  const bool extreme = kind == ReduceKind::kMax || kind == ReduceKind::kMin;
  if (dtype == DType::kBool && !extreme) refuse_type(dtype, kernel_name(kind));
  if (is_16_bit_float(dtype)) {
    return reduce(kind, input.to(DType::kFloat32), dims, keepdim).to(dtype);
  }
  const std::vector<bool> reduced = reduced_axes(input.shape(), dims);
  const Shape shape = reduced_shape(input.shape(), reduced, keepdim);
  const bool integer = !is_floating(dtype);
  switch (kind) {
    case ReduceKind::kSum:
      return sum(input, dims, keepdim).to(dtype);
    case ReduceKind::kMean:
      return integer ? mean(input.to(DType::kFloat64), dims, keepdim).to(dtype) : mean(input, dims, keepdim);
    case ReduceKind::kMax:
    case ReduceKind::kMin:
    case ReduceKind::kProd:
      if (extreme && integer && wide_type(dtype) != dtype && input.numel() == 0) return extreme_of_none(kind, shape, dtype);
      return fold(kind, input.to(wide_type(dtype)), reduced).to(dtype).reshape(shape);
    case ReduceKind::kL1:
      return sum(unary(Unary::kAbs, input), dims, keepdim).to(dtype);
    case ReduceKind::kSumSquare:
      if (integer) return sum(square(input), dims, keepdim).to(dtype);
      [[fallthrough]];
    case ReduceKind::kL2: {
      // In double, so that the squares of floats neither overflow nor vanish.
      const Tensor squares = sum(square(input.to(DType::kFloat64)), dims, keepdim);
      return (kind == ReduceKind::kL2 ? sqrt(squares) : squares).to(dtype);
    }
    case ReduceKind::kLogSum:
      return unary(Unary::kLog, integer ? sum(input.to(DType::kFloat64), dims, keepdim) : sum(input, dims, keepdim)).to(dtype);
    case ReduceKind::kLogSumExp:
      return log_sum_exp(integer ? input.to(DType::kFloat64) : input, dims).to(dtype).reshape(shape);
  }
  return {};
}

}  // namespace convoy::ops
