// Reading and writing by index, slices, padding, and tensors made of indices.
#include "convoy/ops/index.h"

#include <algorithm>
#include <cmath>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/rules.h"
#include "convoy/ops/pad.h"
#include "convoy/ops/slice.h"
#include "convoy/shape/checked.h"

namespace convoy::graph {
namespace {

int64_t rank_of(const std::optional<Dims>& dims) { return static_cast<int64_t>(dims->size()); }

// ---- slices ----

std::vector<AxisSlice> slices(int64_t rank, const std::vector<int64_t>& starts, const std::vector<int64_t>& ends,
                              const std::vector<int64_t>* axes, const std::vector<int64_t>* steps) {
  if (starts.size() != ends.size() || (axes != nullptr && axes->size() != starts.size()) ||
      (steps != nullptr && steps->size() != starts.size())) {
    raise<Error>(
        "it has {} starts and {} ends\n"
        "starts, ends, axes and steps need the same number of entries",
        starts.size(), ends.size());
  }
  std::vector<AxisSlice> result;
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t axis = axis_in(axes != nullptr ? (*axes)[i] : static_cast<int64_t>(i), rank, "axes:");
    const int64_t step = steps != nullptr ? (*steps)[i] : 1;
    if (step == 0) raise<Error>("steps has a 0\nsteps count forwards or backwards");
    result.push_back({.axis = axis, .start = starts[i], .end = ends[i], .step = step});
  }
  return result;
}

// Where a slice begins over n: unlike Python's, one backwards from before the first entry begins there.
int64_t from_inside(int64_t n, const AxisSlice& slice) { return slice.step < 0 ? std::max(slice.start, -n) : slice.start; }

// Entries of range(start, end, step) over n.
int64_t slice_length(int64_t n, const AxisSlice& slice) {
  const bool back = slice.step < 0;
  const auto at = [&](int64_t i) {
    if (i < 0) i = i < -n ? -1 : i + n;
    return std::clamp<int64_t>(i, back ? -1 : 0, back ? n - 1 : n);
  };
  const int64_t start = at(from_inside(n, slice));
  // An end before the beginning, counted from the end, is the beginning.
  const int64_t end = slice.end < -n ? (back ? -1 : 0) : at(slice.end);
  if (back) {
    const int64_t step = slice.step == INT64_MIN ? INT64_MAX : -slice.step;
    return start > end ? (start - end - 1) / step + 1 : 0;
  }
  return end > start ? (end - start - 1) / slice.step + 1 : 0;
}

void infer_slice(Inference& inference) {
  std::optional<Dims> dims = inference.dims(0);
  // Contents that are not constants are sizes: never negative, and right where they are known.
  const std::optional<std::vector<int64_t>> starts = inference.numbers(1), ends = inference.numbers(2);
  const std::optional<std::vector<int64_t>> axes = inference.has(3) ? inference.numbers(3) : std::nullopt;
  const std::optional<std::vector<int64_t>> steps = inference.has(4) ? inference.numbers(4) : std::nullopt;
  const bool known = starts && ends && (axes || !inference.has(3)) && (steps || !inference.has(4));
  if (dims && known) {
    const std::vector<AxisSlice> parts = slices(rank_of(dims), *starts, *ends, axes ? &*axes : nullptr, steps ? &*steps : nullptr);
    const Dims before = *dims;
    for (const AxisSlice& part : parts) {
      Dim& dim = (*dims)[static_cast<size_t>(part.axis)];
      const bool whole = part.start == 0 && part.end >= INT32_MAX && part.step == 1;
      if (!whole) dim = dim.known() ? Dim{slice_length(dim.size, part)} : Dim{};
    }
    const std::optional<Dims> contents = inference.contents(0);
    if (contents && before.size() == 1 && parts.size() == 1) {
      const auto n = static_cast<int64_t>(contents->size());
      const AxisSlice& part = parts[0];
      int64_t at = part.start < 0 ? std::max<int64_t>(part.start, -n) + n : std::min(part.start, part.step < 0 ? n - 1 : n);
      Dims picked;
      for (int64_t left = slice_length(n, part); left > 0; --left, at += part.step)
        picked.push_back((*contents)[static_cast<size_t>(at)]);
      inference.set_contents(0, std::move(picked));
    }
  } else if (dims) {
    dims = Dims(dims->size());
  }
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_slice(Call& call) {
  const std::vector<int64_t> starts = call.numbers(1), ends = call.numbers(2);
  std::vector<int64_t> axes, steps;
  if (call.has(3)) axes = call.numbers(3);
  if (call.has(4)) steps = call.numbers(4);
  const Tensor& input = call.tensor(0);
  std::vector<AxisSlice> parts = slices(input.dim(), starts, ends, call.has(3) ? &axes : nullptr, call.has(4) ? &steps : nullptr);
  for (AxisSlice& part : parts) part.start = from_inside(input.size(part.axis), part);
  return {ops::slice(input, parts)};
}

// ---- padding ----

std::vector<shape::PadPair> pad_pairs(int64_t rank, const std::vector<int64_t>& pads, const std::vector<int64_t>* axes) {
  const size_t count = axes != nullptr ? axes->size() : static_cast<size_t>(rank);
  if (pads.size() != 2 * count) {
    raise<Error>(
        "pads has {} numbers\n"
        "it needs {}: what comes in front of each axis, then what comes behind",
        pads.size(), 2 * count);
  }
  std::vector<shape::PadPair> pairs(static_cast<size_t>(rank));
  for (size_t i = 0; i < count; ++i) {
    const int64_t axis = axes != nullptr ? axis_in((*axes)[i], rank, "axes:") : static_cast<int64_t>(i);
    pairs[static_cast<size_t>(axis)] = {pads[i], pads[count + i]};
  }
  return pairs;
}

PadMode pad_mode(const Attributes& attributes) {
  const std::string word = attributes.text("mode", "constant");
  if (word == "constant") return PadMode::kConstant;
  if (word == "reflect") return PadMode::kReflect;
  if (word == "edge") return PadMode::kReplicate;
  if (word == "wrap") return PadMode::kCircular;
  raise<Error>("attribute 'mode' is '{}'\nuse constant, reflect, edge or wrap", word);
}

void infer_pad(Inference& inference) {
  pad_mode(inference.attributes());
  std::optional<Dims> dims = inference.dims(0);
  const std::optional<std::vector<int64_t>> pads = inference.numbers(1);
  const std::optional<std::vector<int64_t>> axes = inference.has(3) ? inference.numbers(3) : std::nullopt;
  if (dims && pads && (axes || !inference.has(3))) {
    const std::vector<shape::PadPair> pairs = pad_pairs(rank_of(dims), *pads, axes ? &*axes : nullptr);
    for (size_t i = 0; i < pairs.size(); ++i) {
      Dim& dim = (*dims)[i];
      if (pairs[i] == shape::PadPair{}) continue;
      if (!dim.known()) {
        dim = {};
        continue;
      }
      const shape::Checked size = shape::Checked(dim.size) + (shape::Checked(pairs[i].begin) + pairs[i].end);
      if (!size.ok() || size.value() < 0) {
        raise<ShapeMismatch>(
            "pads has {} and {} for axis {}\n"
            "the axis has {} entries; the result must have 0 or more and fit 64 bits",
            pairs[i].begin, pairs[i].end, i, dim.size);
      }
      dim.size = size.value();
    }
  } else if (dims) {
    dims = Dims(dims->size());
  }
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_pad(Call& call) {
  const Tensor& input = call.tensor(0);
  const PadMode mode = pad_mode(call.attributes());
  std::vector<int64_t> axes;
  if (call.has(3)) axes = call.numbers(3);
  Tensor value = call.has(2) ? call.tensor(2) : Tensor();
  if (value.defined() && value.numel() != 1)
    raise<ShapeMismatch>("constant_value has shape {}\nit must be one number", value.shape());
  if (value.defined()) value = value.to(input.dtype()).reshape({});
  return {ops::pad_axes(input, pad_pairs(input.dim(), call.numbers(1), call.has(3) ? &axes : nullptr), mode, value)};
}

// ---- gathering ----

void infer_gather(Inference& inference) {
  const auto &input = inference.dims(0), &indices = inference.dims(1);
  std::optional<Dims> dims;
  if (input && indices) {
    const auto axis = static_cast<std::ptrdiff_t>(axis_in(inference.attributes().integer("axis", 0), rank_of(input)));
    dims = Dims(input->begin(), input->begin() + axis);
    dims->insert(dims->end(), indices->begin(), indices->end());
    dims->insert(dims->end(), input->begin() + axis + 1, input->end());
    const Tensor* at = inference.constant(1);
    const std::optional<Dims> contents = inference.contents(0);
    if (at != nullptr && at->dim() <= 1 && contents && input->size() == 1) {
      Dims picked;
      const auto n = static_cast<int64_t>(contents->size());
      for (const int64_t i : at->to(DType::kInt64).to_vector<int64_t>()) {
        if (i < -n || i >= n) raise<Error>("indices has {}\nthe axis has {} entries", i, n);
        picked.push_back((*contents)[static_cast<size_t>(i < 0 ? i + n : i)]);
      }
      inference.set_contents(0, std::move(picked));
    }
  }
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_gather(Call& call) {
  const Tensor& input = call.tensor(0);
  return {ops::take(input, call.tensor(1), axis_in(call.attributes().integer("axis", 0), input.dim()))};
}

void infer_gather_elements(Inference& inference) { inference.set(0, inference.dtype(0), inference.dims(1)); }

std::vector<Value> run_gather_elements(Call& call) {
  const Tensor& input = call.tensor(0);
  return {ops::gather(input, axis_in(call.attributes().integer("axis", 0), input.dim()), call.tensor(1))};
}

void infer_gather_nd(Inference& inference) {
  const auto &input = inference.dims(0), &indices = inference.dims(1);
  std::optional<Dims> dims;
  if (input && indices && !indices->empty() && indices->back().known()) {
    const shape::Checked taken = shape::Checked(inference.attributes().integer("batch_dims", 0)) + indices->back().size;
    if (!taken.ok() || taken.value() < 0 || taken.value() > rank_of(input)) {
      raise<ShapeMismatch>(
          "indices are {}\n"
          "their last size says how many of the input's {} axes are indexed",
          *indices, input->size());
    }
    dims = Dims(indices->begin(), indices->end() - 1);
    dims->insert(dims->end(), input->begin() + taken.value(), input->end());
  }
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_gather_nd(Call& call) {
  return {ops::gather_nd(call.tensor(0), call.tensor(1), call.attributes().integer("batch_dims", 0))};
}

ScatterReduction scatter_reduction(const Attributes& attributes) {
  const std::string word = attributes.text("reduction", "none");
  if (word == "none") return ScatterReduction::kNone;
  if (word == "add") return ScatterReduction::kAdd;
  if (word == "mul") return ScatterReduction::kMul;
  if (word == "min") return ScatterReduction::kMin;
  if (word == "max") return ScatterReduction::kMax;
  raise<Error>("attribute 'reduction' is '{}'\nuse none, add, mul, min or max", word);
}

std::vector<Value> run_scatter(Call& call) {
  const ScatterReduction reduction = scatter_reduction(call.attributes());
  Tensor input = call.tensor(0), updates = call.tensor(2);
  // Halves are reduced as float32 and rounded once.
  const DType dtype = input.dtype();
  if (reduction != ScatterReduction::kNone && updates.dtype() == dtype && is_floating(dtype) && !is_float_or_double(dtype)) {
    input = input.to(DType::kFloat32);
    updates = updates.to(DType::kFloat32);
  }
  if (call.node().op == "ScatterND") return {ops::scatter_nd(input, call.tensor(1), updates, reduction).to(dtype)};
  const int64_t axis = axis_in(call.attributes().integer("axis", 0), input.dim());
  return {ops::scatter(input, axis, call.tensor(1), updates, reduction).to(dtype)};
}

// ---- made of indices ----

void infer_one_hot(Inference& inference) {
  std::optional<Dims> dims = inference.dims(0);
  if (dims) {
    const int64_t axis = axis_in(inference.attributes().integer("axis", -1), rank_of(dims) + 1);
    const std::optional<std::vector<int64_t>> depth = inference.numbers(1);
    dims->insert(dims->begin() + axis, depth && depth->size() == 1 && (*depth)[0] >= 0 ? Dim{(*depth)[0]} : Dim{});
  }
  inference.set(0, inference.dtype(2), std::move(dims));
}

std::vector<Value> run_one_hot(Call& call) {
  const Tensor& depth = call.tensor(1);
  if (depth.numel() != 1) raise<ShapeMismatch>("depth has shape {}\nit must be one number", depth.shape());
  const Tensor& indices = call.tensor(0);
  return {ops::one_hot(indices, static_cast<int64_t>(depth.at(0)), call.tensor(2),
                       axis_in(call.attributes().integer("axis", -1), indices.dim() + 1))};
}

void infer_nonzero(Inference& inference) {
  std::optional<Dims> dims;
  if (inference.dims(0)) dims = Dims{{rank_of(inference.dims(0))}, {}};
  inference.set(0, DType::kInt64, std::move(dims));
}

// ONNX's rows are PyTorch's columns.
std::vector<Value> run_nonzero(Call& call) {
  const Tensor found = ops::nonzero(call.tensor(0));
  Tensor rows = Tensor::empty({found.size(1), found.size(0)}, DType::kInt64);
  for (int64_t i = 0; i < found.size(0); ++i) {
    for (int64_t k = 0; k < found.size(1); ++k)
      rows.data<int64_t>()[k * found.size(0) + i] = found.data<int64_t>()[i * found.size(1) + k];
  }
  return {rows};
}

void infer_range(Inference& inference) {
  Dim count;
  const Tensor *start = inference.constant(0), *limit = inference.constant(1), *delta = inference.constant(2);
  if (start != nullptr && limit != nullptr && delta != nullptr && start->numel() == 1 && limit->numel() == 1 &&
      delta->numel() == 1 && delta->at(0) != 0) {
    const double steps = std::ceil((limit->at(0) - start->at(0)) / delta->at(0));
    if (steps < 1e15) count = {static_cast<int64_t>(std::max(steps, 0.0))};
  }
  inference.set(0, inference.dtype(0), Dims{count});
}

std::vector<Value> run_range(Call& call) {
  const Tensor& start = call.tensor(0);
  if (!is_floating(start.dtype()) || is_float_or_double(start.dtype())) return {ops::range(start, call.tensor(1), call.tensor(2))};
  const auto wide = [&](size_t i) { return call.tensor(i).to(DType::kFloat32); };
  return {ops::range(wide(0), wide(1), wide(2)).to(start.dtype())};
}

void infer_eye_like(Inference& inference) {
  need_rank(inference, 0, 2, 2);
  inference.set(0,
                inference.attributes().has("dtype")
                    ? std::optional<DType>(static_cast<DType>(inference.attributes().integer("dtype", 0)))
                    : inference.dtype(0),
                inference.dims(0));
}

std::vector<Value> run_eye_like(Call& call) {
  const Tensor& input = call.tensor(0);
  if (input.dim() != 2) raise<ShapeMismatch>("the input has shape {}\nit must be a matrix", input.shape());
  const DType dtype = call.attributes().has("dtype") ? static_cast<DType>(call.attributes().integer("dtype", 0)) : input.dtype();
  return {ops::eye(input.size(0), input.size(1), call.attributes().integer("k", 0), dtype)};
}

std::vector<Value> run_cumsum(Call& call) {
  const std::vector<int64_t> axis = call.numbers(1);
  if (axis.size() != 1) raise<Error>("axis is {}\nit must be one number", axis);
  return {ops::cumsum(call.tensor(0), axis_in(axis[0], call.tensor(0).dim()), call.attributes().integer("exclusive", 0) != 0,
                      call.attributes().integer("reverse", 0) != 0)};
}

void infer_topk(Inference& inference) {
  std::optional<Dims> dims = inference.dims(0);
  if (dims) {
    const auto axis = static_cast<size_t>(axis_in(inference.attributes().integer("axis", -1), rank_of(dims)));
    const std::optional<std::vector<int64_t>> k = inference.numbers(1);
    if (k && k->size() == 1 && ((*k)[0] < 0 || ((*dims)[axis].known() && (*k)[0] > (*dims)[axis].size))) {
      raise<ShapeMismatch>("k is {}\nthe axis has {} entries", (*k)[0], Dims{(*dims)[axis]});
    }
    (*dims)[axis] = k && k->size() == 1 ? Dim{(*k)[0]} : Dim{};
  }
  inference.set(0, inference.dtype(0), dims);
  inference.set(1, DType::kInt64, std::move(dims));
}

std::vector<Value> run_topk(Call& call) {
  const std::vector<int64_t> k = call.numbers(1);
  if (k.size() != 1) raise<Error>("k is {}\nit must be one number", k);
  const Tensor& input = call.tensor(0);
  auto [values, indices] = ops::topk(input, k[0], axis_in(call.attributes().integer("axis", -1), input.dim()),
                                     call.attributes().integer("largest", 1) != 0);
  return {values, indices};
}

std::vector<Value> run_trilu(Call& call) {
  int64_t diagonal = 0;
  if (call.has(1)) {
    const std::vector<int64_t> k = call.numbers(1);
    if (k.size() != 1) raise<Error>("k is {}\nit must be one number", k);
    diagonal = k[0];
  }
  const Tensor& input = call.tensor(0);
  return {call.attributes().integer("upper", 1) != 0 ? ops::triu(input, diagonal) : ops::tril(input, diagonal)};
}

// The entries of an axis (or of everything, as a row) where the condition holds.
void infer_compress(Inference& inference) {
  std::optional<Dims> dims;
  if (!inference.attributes().has("axis")) {
    dims = Dims(1);
  } else if (inference.dims(0)) {
    dims = inference.dims(0);
    (*dims)[static_cast<size_t>(axis_in(inference.attributes().integer("axis", 0), rank_of(dims)))] = {};
  }
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_compress(Call& call) {
  const bool flat = !call.attributes().has("axis");
  const Tensor input = flat ? call.tensor(0).reshape({call.tensor(0).numel()}) : call.tensor(0);
  const int64_t axis = flat ? 0 : axis_in(call.attributes().integer("axis", 0), input.dim());
  const Tensor& condition = call.tensor(1);
  if (condition.dtype() != DType::kBool || condition.dim() != 1 || condition.numel() > input.size(axis)) {
    raise<Error>("condition is {}\nit must be a list of up to {} bools", Type::of(condition), input.size(axis));
  }
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < condition.numel(); ++i) {
    if (condition.data<bool>()[i]) kept.push_back(i);
  }
  return {ops::take(input, Tensor::from(kept, {static_cast<int64_t>(kept.size())}), axis)};
}

}  // namespace

std::span<const Operator> index_operators() {
  static constexpr Operator kRows[] = {
      {"Slice", infer_slice, run_slice},
      {"Pad", infer_pad, run_pad},
      {"Gather", infer_gather, run_gather},
      {"GatherElements", infer_gather_elements, run_gather_elements, false, 1},
      {"GatherND", infer_gather_nd, run_gather_nd},
      {"ScatterElements", same_as_first, run_scatter},
      {"ScatterND", same_as_first, run_scatter},
      {"OneHot", infer_one_hot, run_one_hot},
      {"NonZero", infer_nonzero, run_nonzero, false, 4, 4},
      {"Range", infer_range, run_range},
      {"EyeLike", infer_eye_like, run_eye_like},
      {"CumSum", same_as_first, run_cumsum},
      {"TopK", infer_topk, run_topk, false, 2},
      {"Trilu", same_as_first, run_trilu},
      {"Compress", infer_compress, run_compress, false, 1},
  };
  return kRows;
}

}  // namespace convoy::graph
