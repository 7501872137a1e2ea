#include "convoy/ops/math.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/elementwise/activation.h"
#include "convoy/kernels/elementwise/select.h"
#include "convoy/kernels/elementwise/unary.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/wide.h"

namespace convoy::ops {

namespace {

constexpr int64_t kGrain = 32768;  // values per task

const char* kernel_name(Unary kind) {
  constexpr const char* kNames[] = {"abs_cpu", "neg_cpu", "sign_cpu", "floor", "ceil", "round", "reciprocal_cpu", "sqrt", "rsqrt",
                                    "exp",     "log",     "erf",      "sin",   "cos",  "tan",   "asin",           "acos", "atan",
                                    "sinh",    "cosh",    "asinh",    "acosh", "atanh"};
  return kNames[static_cast<size_t>(kind)];
}

constexpr bool keeps_integers(Unary kind) { return kind <= Unary::kRound; }

// A bool per value; false for integers.
template <class F>
Tensor test(const Tensor& input, F&& f) {
  if (!is_floating(input.dtype())) return Tensor::zeros(input.shape(), DType::kBool);
  if (is_16_bit_float(input.dtype())) return test(input.to(DType::kFloat32), f);
  Tensor output = Tensor::empty(input.shape(), DType::kBool);
  with_floating(input.dtype(), [&](auto zero) {
    const auto* from = input.data<decltype(zero)>();
    bool* to = output.data<bool>();
    parallel_ranges(input.numel(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = f(from[i]);
    });
  });
  return output;
}

// The one value of a bound.
template <class T>
T bound(const Tensor& t, T otherwise) {
  return t.defined() ? t.data<T>()[0] : otherwise;
}

void check_bound(const Tensor& bound, const Tensor& input, const char* name) {
  if (!bound.defined()) return;
  check_type(bound, input.dtype());
  if (bound.numel() == 1) return;
  raise<ShapeMismatch>(
      "clamp(): {} must hold one value, but has shape {}\n"
      "for a bound per value use arithmetic with kMinimum and kMaximum",
      name, bound.shape());
}

}  // namespace

Tensor unary(Unary kind, const Tensor& input) {
  check_defined(input, kernel_name(kind), "input");
  const DType dtype = input.dtype();
  if (dtype == DType::kBool) refuse_type(dtype, kernel_name(kind));
  if (!is_floating(dtype) && !keeps_integers(kind)) return unary(kind, input.to(DType::kFloat32));
  if (const DType wide = wide_type(dtype); wide != dtype) return unary(kind, input.to(wide)).to(dtype);
  Tensor output = Tensor::empty(input.shape(), dtype);
  with_wide(dtype, [&](auto zero) {
    using T = decltype(zero);
    kernels::unary(kind, input.data<T>(), output.data<T>(), input.numel());
  });
  return output;
}

Tensor clamp(const Tensor& input, const Tensor& min, const Tensor& max) {
  check_defined(input, "clamp", "input");
  check_bound(min, input, "min");
  check_bound(max, input, "max");
  const DType dtype = input.dtype();
  if (dtype == DType::kBool) refuse_type(dtype, "clamp_cpu");
  if (const DType wide = wide_type(dtype); wide != dtype) return clamp(input.to(wide), min.to(wide), max.to(wide)).to(dtype);
  Tensor output = Tensor::empty(input.shape(), dtype);
  with_wide(dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_floating_point_v<T>) {
      constexpr T kInfinity = std::numeric_limits<T>::infinity();
      T low = bound(min, -kInfinity), high = bound(max, kInfinity);
      if (std::isnan(low) || std::isnan(high)) low = high = std::numeric_limits<T>::quiet_NaN();
      if (std::isnan(low)) return output.fill_(low);
      kernels::activation(Activation::kHardtanh, {static_cast<double>(low), static_cast<double>(high)}, input.data<T>(),
                          output.data<T>(), input.numel());
    } else {
      const T low = bound(min, std::numeric_limits<T>::min()), high = bound(max, std::numeric_limits<T>::max());
      const T* from = input.data<T>();
      T* to = output.data<T>();
      parallel_ranges(input.numel(), kGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) to[i] = std::min(std::max(from[i], low), high);
      });
    }
  });
  return output;
}

Tensor isnan(const Tensor& input) {
  check_defined(input, "isnan", "input");
  return test(input, [](auto x) { return x != x; });
}

Tensor isinf(const Tensor& input, bool positive, bool negative) {
  check_defined(input, "isinf", "input");
  return test(input, [=](auto x) { return std::isinf(x) && (x > 0 ? positive : negative); });
}

Tensor logical_not(const Tensor& input) {
  check_defined(input, "logical_not", "input");
  const Tensor x = input.to(DType::kBool);
  return compare(Comparison::kEqual, x, Tensor::zeros({}, DType::kBool));
}

Tensor compare(Comparison kind, const Tensor& a, const Tensor& b) {
  check_defined(a, "compare", "input");
  check_defined(b, "compare", "other");
  check_type(b, a.dtype());
  if (is_16_bit_float(a.dtype())) return compare(kind, a.to(DType::kFloat32), b.to(DType::kFloat32));
  Tensor output = Tensor::empty(broadcast_shape(a.shape(), b.shape()), DType::kBool);
  const auto loop = kernels::make_broadcast<2>({&a.shape(), &b.shape()});
  kernels::compare(kind, a.dtype(), loop, a.raw_data(), b.raw_data(), output.data<bool>());
  return output;
}

Tensor logical(Logical kind, const Tensor& a, const Tensor& b) {
  check_defined(a, "logical", "input");
  check_defined(b, "logical", "other");
  const Tensor x = a.to(DType::kBool), y = b.to(DType::kBool);
  Tensor output = Tensor::empty(broadcast_shape(a.shape(), b.shape()), DType::kBool);
  const auto loop = kernels::make_broadcast<2>({&x.shape(), &y.shape()});
  kernels::logical(kind, loop, x.data<bool>(), y.data<bool>(), output.data<bool>());
  return output;
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  check_defined(condition, "where", "condition");
  check_defined(a, "where", "input");
  check_defined(b, "where", "other");
  if (condition.dtype() != DType::kBool) {
    raise<Error>(
        "where expected condition to be a boolean tensor, but got a tensor with dtype {}\n"
        "convert it with to(DType::kBool)",
        type_word(condition.dtype()));
  }
  check_type(b, a.dtype());
  Tensor output = Tensor::empty(broadcast_shape(condition.shape(), broadcast_shape(a.shape(), b.shape())), a.dtype());
  const auto loop = kernels::make_broadcast<3>({&condition.shape(), &a.shape(), &b.shape()});
  kernels::select(loop, condition.data<bool>(), element_size(a.dtype()), a.raw_data(), b.raw_data(), output.raw_data());
  return output;
}

}  // namespace convoy::ops
