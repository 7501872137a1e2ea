// Activations and softmax.
#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/rules.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/math.h"
#include "convoy/ops/reduce.h"

namespace convoy::graph {
namespace {

// 16-bit floats are computed in float32 and rounded once.
Tensor activate(Activation kind, const Tensor& input, const ActivationOptions& options = {}) {
  if (is_float_or_double(input.dtype()) || !is_floating(input.dtype())) return ops::activation(kind, input, options);
  return ops::activation(kind, input.to(DType::kFloat32), options).to(input.dtype());
}

template <Activation kKind>
std::vector<Value> run_plain(Call& call) {
  return {activate(kKind, call.tensor(0))};
}

// max(x, 0), of integers too.
std::vector<Value> run_relu(Call& call) {
  const Tensor& input = call.tensor(0);
  if (is_floating(input.dtype())) return {activate(Activation::kRelu, input)};
  return {ops::clamp(input, Tensor::scalar(0, input.dtype()), {})};
}

std::vector<Value> run_leaky_relu(Call& call) {
  return {activate(Activation::kLeakyRelu, call.tensor(0), {.a = call.attributes().number("alpha", 0.01)})};
}

std::vector<Value> run_elu(Call& call) {
  return {activate(Activation::kElu, call.tensor(0), {.a = call.attributes().number("alpha", 1.0)})};
}

std::vector<Value> run_celu(Call& call) {
  return {activate(Activation::kCelu, call.tensor(0), {.a = call.attributes().number("alpha", 1.0)})};
}

std::vector<Value> run_selu(Call& call) {
  return {activate(Activation::kSelu, call.tensor(0),
                   {.a = call.attributes().number("alpha", 1.67326319217681884765625),
                    .b = call.attributes().number("gamma", 1.05070102214813232421875)})};
}

std::vector<Value> run_hard_sigmoid(Call& call) {
  return {activate(Activation::kHardsigmoidOf, call.tensor(0),
                   {.a = call.attributes().number("alpha", 0.2), .b = call.attributes().number("beta", 0.5)})};
}

// log(1 + exp(x)), without PyTorch's switch to x for large x.
std::vector<Value> run_softplus(Call& call) { return {activate(Activation::kSoftplus, call.tensor(0), {.a = 1.0, .b = 50.0})}; }

std::vector<Value> run_thresholded_relu(Call& call) {
  return {activate(Activation::kThreshold, call.tensor(0), {.a = call.attributes().number("alpha", 1.0), .b = 0.0})};
}

std::vector<Value> run_shrink(Call& call) {
  const Tensor& input = call.tensor(0);
  const ActivationOptions options{.a = call.attributes().number("lambd", 0.5), .b = call.attributes().number("bias", 0.0)};
  if (is_floating(input.dtype())) return {activate(Activation::kShrink, input, options)};
  return {activate(Activation::kShrink, input.to(DType::kFloat64), options).to(input.dtype())};
}

std::vector<Value> run_gelu(Call& call) {
  const std::string approximate = call.attributes().text("approximate", "none");
  if (approximate != "none" && approximate != "tanh") raise<Error>("approximate is '{}'\nuse none or tanh", approximate);
  return {activate(approximate == "tanh" ? Activation::kGeluTanh : Activation::kGelu, call.tensor(0))};
}

void infer_softmax(Inference& inference) {
  if (inference.dims(0)) axis_in(inference.attributes().integer("axis", -1), static_cast<int64_t>(inference.dims(0)->size()));
  same_as_first(inference);
}

template <Tensor (*kFunction)(const Tensor&, int64_t)>
std::vector<Value> run_softmax(Call& call) {
  const Tensor& input = call.tensor(0);
  const int64_t axis = axis_in(call.attributes().integer("axis", -1), input.dim());
  if (is_float_or_double(input.dtype())) return {kFunction(input, axis)};
  return {kFunction(input.to(DType::kFloat32), axis).to(input.dtype())};
}

// 1 at the first of the largest values, 0 elsewhere.
std::vector<Value> run_hardmax(Call& call) {
  const Tensor& input = call.tensor(0);
  const int64_t axis = axis_in(call.attributes().integer("axis", -1), input.dim());
  Tensor output = Tensor::zeros(input.shape(), input.dtype());
  if (input.numel() == 0) return {output};
  const Tensor winners = ops::argmax(is_float_or_double(input.dtype()) ? input : input.to(DType::kFloat64), axis);
  int64_t inner = 1;
  for (size_t i = static_cast<size_t>(axis) + 1; i < input.shape().size(); ++i) inner *= input.shape()[i];
  const int64_t n = input.size(axis);
  const auto* index = winners.data<int64_t>();
  with_dtype(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* to = output.data<T>();
    for (int64_t i = 0; i < winners.numel(); ++i) to[(i / inner * n + index[i]) * inner + i % inner] = convert_element<T>(1.0f);
  });
  return {output};
}

}  // namespace

std::span<const Operator> activation_operators() {
  static constexpr Operator kRows[] = {
      {"Relu", same_as_first, run_relu},
      {"LeakyRelu", same_as_first, run_leaky_relu},
      {"Elu", same_as_first, run_elu},
      {"Celu", same_as_first, run_celu},
      {"Selu", same_as_first, run_selu},
      {"Sigmoid", same_as_first, run_plain<Activation::kSigmoid>},
      {"Tanh", same_as_first, run_plain<Activation::kTanh>},
      {"HardSigmoid", same_as_first, run_hard_sigmoid},
      {"HardSwish", same_as_first, run_plain<Activation::kHardswish>},
      {"Softplus", same_as_first, run_softplus},
      {"Softsign", same_as_first, run_plain<Activation::kSoftsign>},
      {"Mish", same_as_first, run_plain<Activation::kMish>},
      {"Gelu", same_as_first, run_gelu},
      {"ThresholdedRelu", same_as_first, run_thresholded_relu},
      {"Shrink", same_as_first, run_shrink},
      {"Softmax", infer_softmax, run_softmax<ops::softmax>},
      {"LogSoftmax", infer_softmax, run_softmax<ops::log_softmax>},
      {"Hardmax", infer_softmax, run_hardmax, false, 1, 2},
  };
  return kRows;
}

}  // namespace convoy::graph
