// Normalisation.
#include "convoy/ops/norm.h"

#include <cmath>
#include <functional>
#include <numeric>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/rules.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/math.h"
#include "convoy/ops/reduce.h"

namespace convoy::graph {
namespace {

// 16-bit floats are computed in float32.
Tensor widened(const Tensor& tensor) {
  return !tensor.defined() || is_float_or_double(tensor.dtype()) ? tensor : tensor.to(DType::kFloat32);
}
Tensor as(const Tensor& tensor, DType dtype) { return !tensor.defined() || tensor.dtype() == dtype ? tensor : tensor.to(dtype); }
Tensor optional_input(const Call& call, size_t i) { return call.has(i) ? call.tensor(i) : Tensor(); }

// One value per channel is its channel's mean and varies by 0; PyTorch refuses to train on it, ONNX does not.
bool has_lone_values(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  const int64_t count = input.numel();
  return count > 0 && input.dim() > 1 && input.size(1) == count && weight.shape() == Shape{count} && bias.shape() == Shape{count};
}
Tensor normalized_alone(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  const Tensor values = input.reshape({input.numel()});
  return ops::add(ops::mul(ops::sub(values, values), weight), bias).reshape(input.shape());
}

void infer_batch_norm(Inference& inference) {
  same_as_first(inference);
  const auto& dims = inference.dims(0);
  static constexpr const char* kNames[] = {"X", "scale", "B", "input_mean", "input_var"};
  for (size_t i = 1; dims && dims->size() > 1 && (*dims)[1].known() && i < std::size(kNames); ++i) {
    const auto& vector = inference.dims(i);
    if (vector && (vector->size() != 1 || ((*vector)[0].known() && (*vector)[0].size != (*dims)[1].size))) {
      raise<ShapeMismatch>("{} has shape {}\nthe input has {} channels: one number for each", kNames[i], *vector, (*dims)[1].size);
    }
  }
  for (size_t i = 1; i < inference.outputs(); ++i) inference.set(i, inference.type(i + 2));
}

// Statistics may have another type than the values. In training the running statistics keep `momentum` of what they were, and the
// variance is that of the batch itself, not of a population it was drawn from.
std::vector<Value> run_batch_norm(Call& call) {
  const Tensor input = widened(call.tensor(0));
  const DType dtype = input.dtype();
  const Tensor weight = as(call.tensor(1), dtype), bias = as(call.tensor(2), dtype), mean = as(call.tensor(3), dtype),
               variance = as(call.tensor(4), dtype);
  const double eps = call.attributes().number("epsilon", 1e-5);
  if (call.attributes().integer("training_mode", 0) == 0) {
    return {
        as(ops::batch_norm(input, mean, variance, weight, bias, {.training = false, .eps = eps}).output, call.tensor(0).dtype())};
  }
  NormResult result;
  Tensor batch_variance;
  if (has_lone_values(input, weight, bias)) {
    result.output = normalized_alone(input, weight, bias);
    result.mean = input.reshape({input.numel()}).to(DType::kFloat64);
    batch_variance = Tensor::zeros(result.mean.shape(), DType::kFloat64);
  } else {
    result = ops::batch_norm(input, {}, {}, weight, bias, {.training = true, .eps = eps});
    batch_variance = ops::affine(ops::div(Tensor::full({}, 1.0, DType::kFloat64), ops::square(result.inv_std)), 1.0, -eps);
  }
  const double keep = call.attributes().number("momentum", 0.9);
  const auto mixed = [&](const Tensor& running, const Tensor& batch, size_t i) {
    return as(ops::add(ops::affine(running.to(DType::kFloat64), keep, 0), ops::affine(batch, 1 - keep, 0)), call.tensor(i).dtype());
  };
  return {as(result.output, call.tensor(0).dtype()), mixed(call.tensor(3), result.mean, 3),
          mixed(call.tensor(4), batch_variance, 4)};
}

std::vector<Value> normalize_groups(const Call& call, const Tensor& input, int64_t groups) {
  const Tensor weight = as(call.tensor(1), input.dtype()), bias = as(call.tensor(2), input.dtype());
  const bool lone = groups == input.numel() && has_lone_values(input, weight, bias);
  return {as(lone ? normalized_alone(input, weight, bias)
                  : ops::group_norm(input, groups, weight, bias, call.attributes().number("epsilon", 1e-5)).output,
             call.tensor(0).dtype())};
}

std::vector<Value> run_instance_norm(Call& call) {
  const Tensor input = widened(call.tensor(0));
  // As group normalisation: PyTorch's instance_norm refuses planes of one value, which ONNX allows.
  return normalize_groups(call, input, input.dim() > 1 ? std::max<int64_t>(input.size(1), 1) : 1);
}

std::vector<Value> run_group_norm(Call& call) {
  return normalize_groups(call, widened(call.tensor(0)), call.attributes().integer("num_groups", 1));
}

void infer_layer_norm(Inference& inference) {
  same_as_first(inference);
  if (inference.outputs() < 2) return;
  if (!inference.dims(0)) return;
  Dims dims = *inference.dims(0);
  const int64_t axis = axis_in(inference.attributes().integer("axis", -1), static_cast<int64_t>(dims.size()));
  for (size_t i = static_cast<size_t>(axis); i < dims.size(); ++i) dims[i] = {1};
  for (size_t i = 1; i < inference.outputs(); ++i) inference.set(i, DType::kFloat32, dims);
}

// Scale and bias may have fewer axes than the normalised ones, or none: they are then spread.
Tensor spread(const Tensor& values, const Shape& normalized, DType dtype) {
  if (!values.defined()) return values;
  const Tensor typed = as(values, dtype);
  return typed.shape() == normalized ? typed : ops::expand(typed, normalized);
}

std::vector<Value> run_layer_norm(Call& call) {
  const Tensor input = widened(call.tensor(0));
  const int64_t axis = axis_in(call.attributes().integer("axis", -1), input.dim());
  const Shape normalized(input.shape().begin() + axis, input.shape().end());
  const NormResult result =
      ops::layer_norm(input, normalized, spread(call.tensor(1), normalized, input.dtype()),
                      spread(optional_input(call, 2), normalized, input.dtype()), call.attributes().number("epsilon", 1e-5));
  Shape statistics = input.shape();
  for (size_t i = static_cast<size_t>(axis); i < statistics.size(); ++i) statistics[i] = 1;
  const auto shaped = [&](const Tensor& values) { return values.reshape(statistics).to(DType::kFloat32); };
  return {as(result.output, call.tensor(0).dtype()), shaped(result.mean), shaped(result.inv_std)};
}

// x / sqrt(mean(x^2) + eps) * scale over the axes from `axis` on.
std::vector<Value> run_rms_norm(Call& call) {
  const Tensor input = widened(call.tensor(0));
  const int64_t axis = axis_in(call.attributes().integer("axis", -1), input.dim());
  std::vector<int64_t> axes(static_cast<size_t>(input.dim() - axis));
  std::iota(axes.begin(), axes.end(), axis);
  const Tensor power = ops::affine(ops::mean(ops::square(input), axes, true), 1.0, call.attributes().number("epsilon", 1e-5));
  return {as(ops::mul(ops::div(input, ops::sqrt(power)), as(call.tensor(1), input.dtype())), call.tensor(0).dtype())};
}

// (x - mean) / (standard deviation + 1e-9), over all axes but the channels unless `axes` says otherwise.
std::vector<Value> run_mean_variance(Call& call) {
  const Tensor input = widened(call.tensor(0));
  std::vector<int64_t> axes = call.attributes().integers("axes");
  if (axes.empty()) axes = {0, 2, 3};
  for (int64_t& axis : axes) axis = axis_in(axis, input.dim());
  const Tensor wide = input.to(DType::kFloat64), centred = ops::sub(wide, ops::mean(wide, axes, true));
  const Tensor deviation = ops::affine(ops::sqrt(ops::mean(ops::square(centred), axes, true)), 1.0, 1e-9);
  return {ops::div(centred, deviation).to(call.tensor(0).dtype())};
}

// x / |x|_p along an axis; 0 where the norm is.
std::vector<Value> run_lp_norm(Call& call) {
  const Tensor input = widened(call.tensor(0));
  const int64_t axis = axis_in(call.attributes().integer("axis", -1), input.dim()), p = call.attributes().integer("p", 2);
  if (p != 1 && p != 2) raise<Error>("attribute 'p' is {}\nit must be 1 or 2", p);
  const Tensor norm =
      p == 1 ? ops::sum(ops::unary(Unary::kAbs, input), {axis}, true) : ops::sqrt(ops::sum(ops::square(input), {axis}, true));
  const Tensor zero = Tensor::full({}, 0.0, input.dtype());
  return {as(ops::where(ops::compare(Comparison::kEqual, norm, zero), zero, ops::div(input, norm)), call.tensor(0).dtype())};
}

std::vector<Value> run_lrn(Call& call) {
  const Attributes& attributes = call.attributes();
  return {as(ops::local_response_norm(widened(call.tensor(0)), attributes.integer("size", 0), attributes.number("alpha", 1e-4),
                                      attributes.number("beta", 0.75), attributes.number("bias", 1.0)),
             call.tensor(0).dtype())};
}

}  // namespace

std::span<const Operator> norm_operators() {
  static constexpr Operator kRows[] = {
      {"BatchNormalization", infer_batch_norm, run_batch_norm, false, 1},
      {"InstanceNormalization", same_as_first, run_instance_norm, false, 1},
      {"GroupNormalization", same_as_first, run_group_norm, false, 1},
      {"LayerNormalization", infer_layer_norm, run_layer_norm, false, 1},
      {"RMSNormalization", same_as_first, run_rms_norm, false, 1},
      {"MeanVarianceNormalization", same_as_first, run_mean_variance, false, 3, 2},
      {"LpNormalization", same_as_first, run_lp_norm, false, 1},
      {"LRN", same_as_first, run_lrn},
  };
  return kRows;
}

}  // namespace convoy::graph
