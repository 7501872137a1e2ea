// Sums of products of 8-bit numbers are taken in double, which holds them exactly.
#include "convoy/ops/quantize.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "convoy/core/convert.h"
#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/dims.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/linear.h"
#include "convoy/ops/reduce.h"

namespace convoy::ops {

namespace {

bool is_quantized(DType dtype) {
  return dtype == DType::kUInt8 || dtype == DType::kInt8 || dtype == DType::kUInt16 || dtype == DType::kInt16 ||
         dtype == DType::kInt32;
}

constexpr const char* kIntegers = "quantised values are integers of up to 32 bits";

DType kept_type(const Quantization& q) { return q.zero_point.defined() ? q.zero_point.dtype() : DType::kUInt8; }

void check(const Quantization& q, const char* function) {
  check_defined(q.scale, function, "scale");
  if (!is_floating(q.scale.dtype())) refuse_type(q.scale.dtype(), function);
  if (!q.zero_point.defined()) return;
  if (!is_quantized(q.zero_point.dtype())) refuse_type(q.zero_point.dtype(), function, kIntegers);
  if (q.zero_point.numel() != q.scale.numel()) {
    raise<ShapeMismatch>(
        "{}: scale has shape {}, zero_point {}\n"
        "scale and zero_point have equal shapes",
        function, q.scale.shape(), q.zero_point.shape());
  }
}

// Which scale belongs to an element: one for all, one per entry of an axis, or one per block of entries.
struct Scales {
  AxisView view;           // the values'
  int64_t blocks = 1;      // scales along the axis
  int64_t block_size = 1;  // entries per scale
  bool blocked = false;

  Scales(const char* function, const Shape& shape, const Shape& scale, int64_t count, int64_t dim, int64_t block) {
    view = {1, 1, numel(shape)};
    if (block < 0) raise<ValueError>("{}: block_size must not be negative\n0 means no blocks", function);
    if (count == 1 && block == 0) return;
    const int64_t axis = wrap_dim(dim, static_cast<int64_t>(shape.size()));
    view = view_axis(shape, axis);
    blocked = block > 0;
    block_size = blocked ? block : 1;
    blocks = blocked ? (view.n + block - 1) / block : view.n;
    const bool fits = blocked ? count == view.outer * blocks * view.inner : scale.size() <= 1 && count == view.n;
    if (!fits) {
      raise<ShapeMismatch>(
          "{}: a scale of shape {} does not fit axis {} of values of shape {}\n"
          "one scale, or one for each entry of the axis",
          function, scale, axis, shape);
    }
  }

  int64_t operator()(int64_t i) const {
    const int64_t block = i / view.inner % view.n / block_size;
    return blocked ? (i / view.inner / view.n * blocks + block) * view.inner + i % view.inner : block;
  }
};

// Calls f(begin, end, doubles) for runs of values. Between them and the stored integers go core's conversions,
// so that no loop is compiled for each type.
template <class F>
void in_runs(int64_t count, F&& f) {
  constexpr int64_t kRun = 1024;
  parallel_ranges(count, 16 * kRun, [&](int64_t begin, int64_t end) {
    double values[kRun];
    for (int64_t i = begin; i < end; i += kRun) f(i, std::min(i + kRun, end), values);
  });
}

// x - zero, as doubles; zero is one value or one per entry of axis dim.
Tensor centred(const Tensor& x, const Tensor& zero, int64_t dim, const char* function) {
  check_defined(x, function, "input");
  if (x.dtype() != DType::kUInt8 && x.dtype() != DType::kInt8)
    refuse_type(x.dtype(), function, "quantised values are uint8 or int8 here");
  Tensor values = x.to(DType::kFloat64);
  if (!zero.defined()) return values;
  check_type(zero, x.dtype());
  if (zero.numel() == 1) return affine(values, 1.0, -zero.item());
  const int64_t axis = wrap_dim(dim, x.dim());
  if (zero.numel() != x.size(axis)) {
    raise<ShapeMismatch>(
        "{}: a zero point of shape {} does not fit axis {} of values of shape {}\n"
        "one scale, or one for each entry of the axis",
        function, zero.shape(), axis, x.shape());
  }
  Shape shape(x.shape().size(), 1);
  shape[static_cast<size_t>(axis)] = zero.numel();
  return sub(values, zero.to(DType::kFloat64).reshape(shape));
}

// Scales of one or several entries as factors along an axis of the result.
Tensor factors(const Tensor& scale, int64_t axis, const Tensor& result, const char* function) {
  const Tensor wide = scale.to(DType::kFloat64);
  if (wide.numel() == 1) return wide.reshape({});
  const int64_t at = wrap_dim(axis, result.dim());
  if (wide.numel() != result.size(at)) {
    raise<ShapeMismatch>(
        "{}: a scale of shape {} does not fit a result of shape {}\n"
        "one scale, or one for each column or row",
        function, scale.shape(), result.shape());
  }
  Shape shape(result.shape().size(), 1);
  shape[static_cast<size_t>(at)] = wide.numel();
  return wide.reshape(shape);
}

Tensor requantized(const Tensor& sums, const Tensor& factor, const Quantization& output, const char* function) {
  check(output, function);
  if (output.scale.numel() != 1) raise<ShapeMismatch>("{}: the output has one scale\ngive it one number", function);
  return quantize(mul(sums, factor), {output.scale.to(DType::kFloat64), output.zero_point});
}

}  // namespace

Tensor quantize(const Tensor& input, const Quantization& to, int64_t dim, int64_t block_size) {
  check_defined(input, "quantize", "input");
  check(to, "quantize");
  if (is_16_bit_float(input.dtype())) {
    return quantize(input.to(DType::kFloat32), to, dim, block_size);
  }
  if (input.dtype() == DType::kInt32) return quantize(input.to(DType::kFloat64), to, dim, block_size);
  check_floating(input, "quantize_per_tensor");
  const Scales scales("quantize", input.shape(), to.scale.shape(), to.scale.numel(), dim, block_size);
  const DType dtype = kept_type(to);
  Tensor output = Tensor::empty(input.shape(), dtype);
  const std::vector<double> scale = to.scale.to_vector<double>();
  const std::vector<double> zero = to.zero_point.defined() ? to.zero_point.to_vector<double>() : std::vector<double>(scale.size());
  const bool is_signed = dtype != DType::kUInt8 && dtype != DType::kUInt16;
  const double levels = std::ldexp(1.0, static_cast<int>(8 * element_size(dtype))), least = is_signed ? -levels / 2 : 0,
               most = least + levels - 1;
  with_floating(input.dtype(), [&](auto floating) {
    using T = decltype(floating);
    const T* from = input.data<T>();
    in_runs(input.numel(), [&](int64_t begin, int64_t end, double* values) {
      for (int64_t i = begin; i < end; ++i) {
        const auto s = static_cast<size_t>(scales(i));
        const T quotient = from[i] / static_cast<T>(scale[s]);  // in the values' precision, where ties are decided
        const double rounded = std::nearbyint(static_cast<double>(quotient)) + zero[s];
        values[i - begin] = std::clamp(std::isnan(rounded) ? 0.0 : rounded, least, most);
      }
      auto* const stored = static_cast<char*>(output.raw_data()) + begin * static_cast<int64_t>(element_size(dtype));
      convert(values, DType::kFloat64, stored, dtype, end - begin);
    });
  });
  return output;
}

Tensor dequantize(const Tensor& input, const Quantization& from, int64_t dim, int64_t block_size) {
  check_defined(input, "dequantize", "input");
  check(from, "dequantize");
  if (!is_quantized(input.dtype())) refuse_type(input.dtype(), "dequantize", kIntegers);
  check_type(from.zero_point, input.dtype());
  const Scales scales("dequantize", input.shape(), from.scale.shape(), from.scale.numel(), dim, block_size);
  const DType dtype = from.scale.dtype() == DType::kFloat64 ? DType::kFloat64 : DType::kFloat32;
  Tensor output = Tensor::empty(input.shape(), dtype);
  const std::vector<double> scale = from.scale.to_vector<double>();
  const std::vector<double> zero =
      from.zero_point.defined() ? from.zero_point.to_vector<double>() : std::vector<double>(scale.size());
  with_floating(dtype, [&](auto floating) {
    using T = decltype(floating);
    T* out = output.data<T>();
    in_runs(input.numel(), [&](int64_t begin, int64_t end, double* values) {
      const auto* const stored =
          static_cast<const char*>(input.raw_data()) + begin * static_cast<int64_t>(element_size(input.dtype()));
      convert(stored, input.dtype(), values, DType::kFloat64, end - begin);
      for (int64_t i = begin; i < end; ++i) {
        const auto s = static_cast<size_t>(scales(i));
        out[i] = static_cast<T>(values[i - begin] - zero[s]) * static_cast<T>(scale[s]);
      }
    });
  });
  return output.to(from.scale.dtype());
}

std::tuple<Tensor, Tensor, Tensor> dynamic_quantize(const Tensor& input) {
  check_defined(input, "dynamic_quantize", "input");
  if (input.dtype() != DType::kFloat32) refuse_type(input.dtype(), "dynamic_quantize");
  const bool empty = input.numel() == 0;
  const auto most = static_cast<float>(std::max(0.0, empty ? 0.0 : reduce(ReduceKind::kMax, input, {}).item()));
  const auto least = static_cast<float>(std::min(0.0, empty ? 0.0 : reduce(ReduceKind::kMin, input, {}).item()));
  const float scale = most == least ? 1.0f : (most - least) / 255.0f;
  const float zero = std::clamp(std::nearbyint(-least / scale), 0.0f, 255.0f);
  const Quantization kept{Tensor::scalar(static_cast<double>(scale)), Tensor::scalar(static_cast<double>(zero), DType::kUInt8)};
  return {quantize(input, kept), kept.scale, kept.zero_point};
}

Tensor matmul_integer(const Tensor& a, const Tensor& b, const Tensor& a_zero, const Tensor& b_zero) {
  const Tensor x = centred(a, a_zero, -2, "matmul_integer"), y = centred(b, b_zero, -1, "matmul_integer");
  return matmul(x, y).to(DType::kInt32);
}

Tensor conv_integer(int rank, const Tensor& input, const Tensor& weight, const Tensor& input_zero, const Tensor& weight_zero,
                    const ConvOptions& options) {
  const Tensor x = centred(input, input_zero, 0, "conv_integer"), w = centred(weight, weight_zero, 0, "conv_integer");
  return conv(rank, x, w, {}, options).to(DType::kInt32);
}

Tensor quantized_matmul(const Tensor& a, const Quantization& a_kept, const Tensor& b, const Quantization& b_kept,
                        const Quantization& output) {
  check(a_kept, "quantized_matmul");
  check(b_kept, "quantized_matmul");
  const Tensor sums =
      matmul(centred(a, a_kept.zero_point, -2, "quantized_matmul"), centred(b, b_kept.zero_point, -1, "quantized_matmul"));
  const Tensor factor =
      mul(factors(a_kept.scale, -2, sums, "quantized_matmul"), factors(b_kept.scale, -1, sums, "quantized_matmul"));
  return requantized(sums, factor, output, "quantized_matmul");
}

Tensor quantized_conv(int rank, const Tensor& input, const Quantization& input_kept, const Tensor& weight,
                      const Quantization& weight_kept, const Quantization& output, const Tensor& bias, const ConvOptions& options) {
  check(input_kept, "quantized_conv");
  check(weight_kept, "quantized_conv");
  if (bias.defined()) check_type(bias, DType::kInt32);
  const Tensor sums = conv(rank, centred(input, input_kept.zero_point, 0, "quantized_conv"),
                           centred(weight, weight_kept.zero_point, 0, "quantized_conv"), bias.to(DType::kFloat64), options);
  const Tensor factor =
      mul(factors(input_kept.scale, 0, sums, "quantized_conv"), factors(weight_kept.scale, 1, sums, "quantized_conv"));
  return requantized(sums, factor, output, "quantized_conv");
}

}  // namespace convoy::ops
