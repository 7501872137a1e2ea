// Dropout, quantisation, text, lists and optional values.
#include <algorithm>
#include <cctype>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/random.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/rules.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/math.h"
#include "convoy/ops/quantize.h"
#include "convoy/ops/reduce.h"
#include "convoy/ops/slice.h"

namespace convoy::graph {
namespace {

// ---- dropout ----

void infer_dropout(Inference& inference) {
  same_as_first(inference);
  inference.set(1, DType::kBool, inference.dims(0));
}

// For inference: what comes in. With training_mode values are left out at random and the others scaled by 1 / (1 - ratio).
std::vector<Value> run_dropout(Call& call) {
  const Tensor& input = call.tensor(0);
  const double ratio = call.has(1) ? call.tensor(1).item() : 0.5;
  const bool training = call.has(2) && call.tensor(2).item() != 0;
  if (!training || ratio == 0) {
    return call.wants(1) ? std::vector<Value>{input, Tensor::ones(input.shape(), DType::kBool)} : std::vector<Value>{input};
  }
  if (ratio < 0 || ratio >= 1) raise<Error>("ratio is {}\nit must be at least 0 and less than 1", ratio);
  const Tensor mask = ops::compare(Comparison::kGreaterEqual, rand(input.shape()), Tensor::scalar(ratio));
  const Tensor kept = ops::mul(input.to(DType::kFloat64), mask.to(DType::kFloat64));
  return {ops::mul(kept, Tensor::scalar(1 / (1 - ratio), DType::kFloat64)).to(input.dtype()), mask};
}

// ---- quantisation ----

ops::Quantization quantization(const Call& call, size_t scale) {
  Tensor s = call.tensor(scale), zero = call.tensor(scale + 1);
  if (s.numel() == 1 && s.dim() != 0) s = s.reshape({});
  if (zero.defined() && zero.numel() == 1 && zero.dim() != 0) zero = zero.reshape({});
  return {s, zero};
}

void infer_quantize(Inference& inference) {
  std::optional<DType> dtype = inference.has(2) ? inference.dtype(2) : std::optional<DType>(DType::kUInt8);
  if (inference.attributes().has("output_dtype")) dtype = static_cast<DType>(inference.attributes().integer("output_dtype", 0));
  inference.set(0, dtype, inference.dims(0));
}

std::vector<Value> run_quantize(Call& call) {
  ops::Quantization to = quantization(call, 1);
  if (!to.zero_point.defined() && call.attributes().has("output_dtype")) {
    to.zero_point = Tensor::zeros(to.scale.shape(), static_cast<DType>(call.attributes().integer("output_dtype", 0)));
  }
  return {ops::quantize(call.tensor(0), to, call.attributes().integer("axis", 1), call.attributes().integer("block_size", 0))};
}

// output_dtype, or the scale's type.
void infer_dequantize(Inference& inference) {
  std::optional<DType> dtype = inference.dtype(1);
  if (inference.attributes().has("output_dtype")) dtype = static_cast<DType>(inference.attributes().integer("output_dtype", 0));
  inference.set(0, dtype, inference.dims(0));
}

std::vector<Value> run_dequantize(Call& call) {
  ops::Quantization from = quantization(call, 1);
  if (call.attributes().has("output_dtype")) {
    from.scale = from.scale.to(static_cast<DType>(call.attributes().integer("output_dtype", 0)));
  }
  return {ops::dequantize(call.tensor(0), from, call.attributes().integer("axis", 1), call.attributes().integer("block_size", 0))};
}

void infer_dynamic_quantize(Inference& inference) {
  inference.set(0, DType::kUInt8, inference.dims(0));
  inference.set(1, DType::kFloat32, Dims{});
  inference.set(2, DType::kUInt8, Dims{});
}

std::vector<Value> run_dynamic_quantize(Call& call) {
  auto [values, scale, zero] = ops::dynamic_quantize(call.tensor(0));
  return {values, scale, zero};
}

// ---- text ----

void infer_strings(Inference& inference) { inference.set(0, Type{Type::Kind::kStrings}); }

std::string changed_case(std::string text, const std::string& action) {
  for (char& c : text) {
    if (action == "LOWER") c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (action == "UPPER") c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return text;
}

// Leaves out the stop words and changes the case of ASCII letters.
std::vector<Value> run_string_normalizer(Call& call) {
  const Strings* input = call.value(0).strings();
  if (input == nullptr) raise<Error>("the input is no text\nit works on tensors of strings");
  const std::string action = call.attributes().text("case_change_action", "NONE");
  if (action != "NONE" && action != "LOWER" && action != "UPPER")
    raise<Error>("attribute 'case_change_action' is '{}'\nuse NONE, LOWER or UPPER", action);
  const bool sensitive = call.attributes().integer("is_case_sensitive", 0) != 0;
  const auto* words = call.attributes().get<std::vector<std::string>>("stopwords");
  if (input->shape.size() > 2 || (input->shape.size() == 2 && input->shape[0] != 1)) {
    raise<ShapeMismatch>("the input has shape {}\nit must be (C) or (1, C)", input->shape);
  }
  const auto stopped = [&](const std::string& text) {
    return words != nullptr && std::any_of(words->begin(), words->end(), [&](const std::string& word) {
             return sensitive ? word == text : changed_case(word, "LOWER") == changed_case(text, "LOWER");
           });
  };
  Strings output;
  for (const std::string& text : input->values) {
    if (!stopped(text)) output.values.push_back(changed_case(text, action));
  }
  // With nothing left there is one empty string.
  if (output.values.empty()) output.values.emplace_back();
  output.shape = input->shape;
  if (output.shape.empty()) output.shape = {1};
  output.shape.back() = static_cast<int64_t>(output.values.size());
  return {output};
}

// ---- lists ----

const Sequence& sequence_of(const Call& call, size_t i) {
  const Sequence* sequence = call.value(i).sequence();
  if (sequence == nullptr) raise<Error>("input {} is no sequence\nmake one with SequenceConstruct or SequenceEmpty", i);
  return *sequence;
}

// A position in a list of n entries, or behind the last if `insert`.
size_t position_of(const Call& call, size_t i, size_t n, bool insert) {
  const std::vector<int64_t> numbers = call.numbers(i);
  const auto most = static_cast<int64_t>(n) + (insert ? 1 : 0);
  if (numbers.size() != 1 || numbers[0] < -static_cast<int64_t>(n) || numbers[0] >= most) {
    raise<Error>("position is {}\nthe sequence has {} entries", numbers, n);
  }
  return static_cast<size_t>(numbers[0] < 0 ? numbers[0] + static_cast<int64_t>(n) : numbers[0]);
}

void infer_sequence(Inference& inference) {
  inference.set(0, Type{Type::Kind::kSequence, inference.inputs() > 0 ? inference.dtype(0) : std::nullopt});
}
void infer_entry(Inference& inference) { inference.set(0, inference.dtype(0), std::nullopt); }
void infer_scalar_int64(Inference& inference) { inference.set(0, DType::kInt64, Dims{}); }
void infer_scalar_bool(Inference& inference) { inference.set(0, DType::kBool, Dims{}); }

std::vector<Value> run_sequence_construct(Call& call) {
  Sequence entries;
  for (size_t i = 0; i < call.inputs(); ++i) entries.push_back(call.value(i));
  return {Value(std::move(entries))};
}

std::vector<Value> run_sequence_empty(Call&) { return {Value(Sequence())}; }

std::vector<Value> run_sequence_at(Call& call) {
  const Sequence& entries = sequence_of(call, 0);
  return {entries[position_of(call, 1, entries.size(), false)]};
}

std::vector<Value> run_sequence_insert(Call& call) {
  Sequence entries = sequence_of(call, 0);
  const size_t at = call.has(2) ? position_of(call, 2, entries.size(), true) : entries.size();
  entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(at), call.value(1));
  return {Value(std::move(entries))};
}

std::vector<Value> run_sequence_erase(Call& call) {
  Sequence entries = sequence_of(call, 0);
  if (entries.empty()) raise<Error>("the sequence is empty\nthere is nothing to erase");
  const size_t at = call.has(1) ? position_of(call, 1, entries.size(), false) : entries.size() - 1;
  entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(at));
  return {Value(std::move(entries))};
}

std::vector<Value> run_sequence_length(Call& call) {
  return {Tensor::from(std::vector<int64_t>{static_cast<int64_t>(sequence_of(call, 0).size())}, {})};
}

std::vector<Value> run_split_to_sequence(Call& call) {
  const Tensor& input = call.tensor(0);
  const int64_t axis = axis_in(call.attributes().integer("axis", 0), input.dim()), n = input.size(axis);
  std::vector<int64_t> sizes;
  const bool single = !call.has(1) || call.tensor(1).dim() == 0;
  if (single) {
    const int64_t size = call.has(1) ? static_cast<int64_t>(call.tensor(1).item()) : 1;
    if (size < 1) raise<Error>("split is {}\nparts have at least one entry", size);
    for (int64_t left = n; left > 0; left -= size) sizes.push_back(std::min(left, size));
  } else {
    sizes = call.numbers(1);
  }
  const bool keepdims = call.attributes().integer("keepdims", 1) != 0 || call.has(1);
  Sequence parts;
  for (const Tensor& part : ops::split(input, sizes, axis)) {
    Shape shape = part.shape();
    if (!keepdims) shape.erase(shape.begin() + axis);
    parts.emplace_back(part.reshape(shape));
  }
  return {Value(std::move(parts))};
}

void infer_unknown(Inference& inference) { inference.set(0, inference.dtype(0), std::nullopt); }

std::vector<Value> run_concat_from_sequence(Call& call) {
  std::vector<Tensor> tensors;
  const bool fresh = call.attributes().integer("new_axis", 0) != 0;
  const Sequence& entries = sequence_of(call, 0);
  if (entries.empty()) raise<Error>("the sequence is empty\nthere is nothing to join");
  const int64_t axis = axis_in(call.attributes().integer("axis", 0), entries[0].tensor().dim() + (fresh ? 1 : 0));
  for (const Value& entry : entries) {
    Shape shape = entry.tensor().shape();
    if (fresh) {
      if (axis > entry.tensor().dim()) raise<ShapeMismatch>("an entry has shape {}\nall need the same number of axes", shape);
      shape.insert(shape.begin() + axis, 1);
    }
    tensors.push_back(entry.tensor().reshape(shape));
  }
  return {ops::concat(tensors, axis)};
}

// ---- values that may be nothing ----

std::vector<Value> run_optional(Call& call) { return {call.value(0)}; }

std::vector<Value> run_has_element(Call& call) { return {Tensor::full({}, call.has(0) ? 1 : 0, DType::kBool)}; }

void infer_get_element(Inference& inference) {
  Type type = inference.type(0);
  type.optional = false;
  inference.set(0, std::move(type));
}

std::vector<Value> run_get_element(Call& call) {
  if (!call.has(0)) raise<Error>("the optional is empty\nask OptionalHasElement first");
  return {call.value(0)};
}

}  // namespace

std::span<const Operator> other_operators() {
  static constexpr Operator kRows[] = {
      {.name = "Dropout", .infer = infer_dropout, .run = run_dropout, .random = true},
      {"QuantizeLinear", infer_quantize, run_quantize},
      {"DequantizeLinear", infer_dequantize, run_dequantize},
      {"DynamicQuantizeLinear", infer_dynamic_quantize, run_dynamic_quantize, false, 1},
      {"StringNormalizer", infer_strings, run_string_normalizer},
      {"SequenceConstruct", infer_sequence, run_sequence_construct},
      {"SequenceEmpty", infer_sequence, run_sequence_empty},
      {"SequenceAt", infer_entry, run_sequence_at},
      {"SequenceInsert", infer_sequence, run_sequence_insert},
      {"SequenceErase", infer_sequence, run_sequence_erase},
      {"SequenceLength", infer_scalar_int64, run_sequence_length},
      {"SplitToSequence", infer_sequence, run_split_to_sequence},
      {"ConcatFromSequence", infer_unknown, run_concat_from_sequence},
      {"Optional", same_as_first, run_optional},
      {"OptionalHasElement", infer_scalar_bool, run_has_element},
      {"OptionalGetElement", infer_get_element, run_get_element},
  };
  return kRows;
}

}  // namespace convoy::graph
