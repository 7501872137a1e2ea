// Arithmetic, comparison, logic and choice, with broadcasting, and functions of one number.
#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/rules.h"
#include "convoy/ops/math.h"

namespace convoy::graph {
namespace {

// Shapes are computed with in graphs: sums, products and quotients of sizes that are known.
template <Arithmetic kKind>
void infer_arithmetic(Inference& inference) {
  broadcast_all(inference);
  if (inference.dtype(0) != DType::kInt64 || inference.inputs() != 2) return;
  const std::optional<Dims> a = inference.contents(0), b = inference.contents(1);
  if (!a || !b || (a->size() != b->size() && a->size() != 1 && b->size() != 1)) return;
  Dims result(a->size() == 1 ? b->size() : a->size());
  for (size_t i = 0; i < result.size(); ++i) {
    const Dim &x = (*a)[a->size() == 1 ? 0 : i], &y = (*b)[b->size() == 1 ? 0 : i];
    if (!x.known() || !y.known()) continue;
    int64_t value = -1;
    bool overflow = false;
    switch (kKind) {
      case Arithmetic::kAdd:
        overflow = __builtin_add_overflow(x.size, y.size, &value);
        break;
      case Arithmetic::kSub:
        overflow = __builtin_sub_overflow(x.size, y.size, &value);
        break;
      case Arithmetic::kMul:
        overflow = __builtin_mul_overflow(x.size, y.size, &value);
        break;
      case Arithmetic::kDivTrunc:
        value = y.size > 0 ? x.size / y.size : -1;
        break;
      default:
        break;
    }
    if (!overflow && value >= 0) result[i] = {value};
  }
  inference.set_contents(0, std::move(result));
}

template <Arithmetic kKind>
std::vector<Value> run_arithmetic(Call& call) {
  return {ops::arithmetic(kKind, call.tensor(0), call.tensor(1))};
}

// ONNX divides integers as C does, rounding towards 0.
std::vector<Value> run_div(Call& call) {
  return {ops::arithmetic(is_floating(call.tensor(0).dtype()) ? Arithmetic::kDiv : Arithmetic::kDivTrunc, call.tensor(0),
                          call.tensor(1))};
}

std::vector<Value> run_mod(Call& call) {
  const bool fmod = call.attributes().integer("fmod", 0) != 0;
  return {ops::arithmetic(fmod ? Arithmetic::kFmod : Arithmetic::kRemainder, call.tensor(0), call.tensor(1))};
}

// The exponent may have another type; the result has the base's.
std::vector<Value> run_pow(Call& call) {
  const Tensor &base = call.tensor(0), &exponent = call.tensor(1);
  if (base.dtype() == exponent.dtype()) return {ops::arithmetic(Arithmetic::kPow, base, exponent)};
  const DType wide = is_floating(base.dtype()) || is_floating(exponent.dtype()) ? DType::kFloat64 : DType::kInt64;
  return {ops::arithmetic(Arithmetic::kPow, base.to(wide), exponent.to(wide)).to(base.dtype())};
}

template <Arithmetic kKind>
std::vector<Value> run_fold(Call& call) {
  Tensor result = call.tensor(0);
  for (size_t i = 1; i < call.inputs(); ++i) result = ops::arithmetic(kKind, result, call.tensor(i));
  return {result};
}

std::vector<Value> run_mean(Call& call) {
  Tensor result = call.tensor(0);
  for (size_t i = 1; i < call.inputs(); ++i) result = ops::add(result, call.tensor(i));
  return {ops::div(result, Tensor::full({}, static_cast<double>(call.inputs()), result.dtype()))};
}

template <Unary kKind>
std::vector<Value> run_unary(Call& call) {
  return {ops::unary(kKind, call.tensor(0))};
}

void infer_bool(Inference& inference) {
  std::optional<Dims> dims = inference.dims(0);
  if (inference.inputs() > 1) dims = broadcast(dims, inference.dims(1));
  inference.set(0, DType::kBool, std::move(dims));
}

template <Comparison kKind>
std::vector<Value> run_compare(Call& call) {
  return {ops::compare(kKind, call.tensor(0), call.tensor(1))};
}

// Texts are compared as numbers, of which equal ones have the same.
std::vector<Value> run_equal(Call& call) {
  const Strings *a = call.value(0).strings(), *b = call.value(1).strings();
  if (a == nullptr || b == nullptr) return run_compare<Comparison::kEqual>(call);
  std::unordered_map<std::string_view, int64_t> numbers;
  const auto numbered = [&](const Strings& texts) {
    std::vector<int64_t> result;
    for (const std::string& text : texts.values)
      result.push_back(numbers.emplace(text, static_cast<int64_t>(numbers.size())).first->second);
    return Tensor::from(result, texts.shape);
  };
  const Tensor first = numbered(*a);
  return {ops::compare(Comparison::kEqual, first, numbered(*b))};
}

template <Logical kKind>
std::vector<Value> run_logical(Call& call) {
  return {ops::logical(kKind, call.tensor(0), call.tensor(1))};
}

std::vector<Value> run_not(Call& call) { return {ops::logical_not(call.tensor(0))}; }
std::vector<Value> run_isnan(Call& call) { return {ops::isnan(call.tensor(0))}; }
std::vector<Value> run_isinf(Call& call) {
  return {ops::isinf(call.tensor(0), call.attributes().integer("detect_positive", 1) != 0,
                     call.attributes().integer("detect_negative", 1) != 0)};
}

void infer_where(Inference& inference) {
  inference.set(0, inference.dtype(1) ? inference.dtype(1) : inference.dtype(2),
                broadcast(broadcast(inference.dims(0), inference.dims(1)), inference.dims(2)));
}

std::vector<Value> run_where(Call& call) { return {ops::where(call.tensor(0), call.tensor(1), call.tensor(2))}; }

std::vector<Value> run_clip(Call& call) {
  Tensor bounds[2];
  for (size_t i = 0; i < 2; ++i) {
    if (!call.has(i + 1)) continue;
    bounds[i] = call.tensor(i + 1);
    if (bounds[i].numel() != 1) {
      raise<ShapeMismatch>("{} has shape {}\nit must be one number", i == 0 ? "min" : "max", bounds[i].shape());
    }
  }
  return {ops::clamp(call.tensor(0), bounds[0], bounds[1])};
}

}  // namespace

std::span<const Operator> arithmetic_operators() {
  static constexpr Operator kRows[] = {
      {"Add", infer_arithmetic<Arithmetic::kAdd>, run_arithmetic<Arithmetic::kAdd>},
      {"Sub", infer_arithmetic<Arithmetic::kSub>, run_arithmetic<Arithmetic::kSub>},
      {"Mul", infer_arithmetic<Arithmetic::kMul>, run_arithmetic<Arithmetic::kMul>},
      {"Div", infer_arithmetic<Arithmetic::kDivTrunc>, run_div},
      {"Mod", broadcast_all, run_mod},
      {"Pow", broadcast_all, run_pow},
      {"PRelu", broadcast_all, run_arithmetic<Arithmetic::kPrelu>},
      {"Sum", broadcast_all, run_fold<Arithmetic::kAdd>, false, 1},
      {"Min", broadcast_all, run_fold<Arithmetic::kMinimum>, false, 1},
      {"Max", broadcast_all, run_fold<Arithmetic::kMaximum>, false, 1},
      {"Mean", broadcast_all, run_mean, false, 1},
      {"Abs", same_as_first, run_unary<Unary::kAbs>},
      {"Neg", same_as_first, run_unary<Unary::kNeg>},
      {"Sign", same_as_first, run_unary<Unary::kSign>},
      {"Floor", same_as_first, run_unary<Unary::kFloor>},
      {"Ceil", same_as_first, run_unary<Unary::kCeil>},
      {"Round", same_as_first, run_unary<Unary::kRound>},
      {"Reciprocal", same_as_first, run_unary<Unary::kReciprocal>},
      {"Sqrt", same_as_first, run_unary<Unary::kSqrt>},
      {"Exp", same_as_first, run_unary<Unary::kExp>},
      {"Log", same_as_first, run_unary<Unary::kLog>},
      {"Erf", same_as_first, run_unary<Unary::kErf>},
      {"Sin", same_as_first, run_unary<Unary::kSin>},
      {"Cos", same_as_first, run_unary<Unary::kCos>},
      {"Tan", same_as_first, run_unary<Unary::kTan>},
      {"Asin", same_as_first, run_unary<Unary::kAsin>},
      {"Acos", same_as_first, run_unary<Unary::kAcos>},
      {"Atan", same_as_first, run_unary<Unary::kAtan>},
      {"Sinh", same_as_first, run_unary<Unary::kSinh>},
      {"Cosh", same_as_first, run_unary<Unary::kCosh>},
      {"Asinh", same_as_first, run_unary<Unary::kAsinh>},
      {"Acosh", same_as_first, run_unary<Unary::kAcosh>},
      {"Atanh", same_as_first, run_unary<Unary::kAtanh>},
      {"Equal", infer_bool, run_equal},
      {"Less", infer_bool, run_compare<Comparison::kLess>},
      {"LessOrEqual", infer_bool, run_compare<Comparison::kLessEqual>},
      {"Greater", infer_bool, run_compare<Comparison::kGreater>},
      {"GreaterOrEqual", infer_bool, run_compare<Comparison::kGreaterEqual>},
      {"And", infer_bool, run_logical<Logical::kAnd>, false, 1},
      {"Or", infer_bool, run_logical<Logical::kOr>, false, 1},
      {"Xor", infer_bool, run_logical<Logical::kXor>, false, 1},
      {"Not", infer_bool, run_not, false, 1},
      {"IsNaN", infer_bool, run_isnan},
      {"IsInf", infer_bool, run_isinf},
      {"Where", infer_where, run_where},
      {"Clip", same_as_first, run_clip},
  };
  return kRows;
}

}  // namespace convoy::graph
