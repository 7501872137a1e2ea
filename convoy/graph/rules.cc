#include "convoy/graph/rules.h"

#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/shape/checked.h"

namespace convoy::graph {

std::optional<Dims> broadcast(const std::optional<Dims>& a, const std::optional<Dims>& b) {
  if (!a || !b) return std::nullopt;
  const Dims& longer = a->size() >= b->size() ? *a : *b;
  const Dims& shorter = a->size() >= b->size() ? *b : *a;
  Dims result = longer;
  const size_t offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    const Dim &x = longer[offset + i], &y = shorter[i];
    Dim& out = result[offset + i];
    if (x == y || y.size == 1) continue;
    if (x.size == 1) {
      out = y;
    } else if (x.known() && y.known()) {
      raise<ShapeMismatch>(
          "shapes {} and {} cannot be broadcast together\n"
          "sizes must be equal or 1, counted from the last axis",
          *a, *b);
    } else if (y.known()) {
      out = y;  // what is unknown must be 1 or this
    } else if (!x.known()) {
      out = {};
    }
  }
  return result;
}

int64_t axis_in(int64_t axis, int64_t rank, const char* what) {
  if (axis < -rank || axis >= rank) {
    raise<Error>("{} {} is outside [{}, {}]\nthe input has {} axes", what, axis, -rank, rank - 1, rank);
  }
  return axis < 0 ? axis + rank : axis;
}

bool certainly_equal(const std::optional<Dims>& a, const std::optional<Dims>& b) {
  if (!a || !b || *a != *b) return false;
  return std::all_of(a->begin(), a->end(), [](const Dim& dim) { return dim.known() || !dim.symbol.empty(); });
}

Dim product(const Dims& dims, size_t begin, size_t end) {
  shape::Checked count(1);
  Dim symbol;
  size_t symbols = 0;
  for (size_t i = begin; i < end; ++i) {
    if (dims[i].size == 1) continue;
    if (!dims[i].known()) {
      symbol = dims[i];
      ++symbols;
    } else {
      count = count * dims[i].size;
    }
  }
  if (symbols == 1 && count.value() == 1) return symbol;
  return symbols == 0 && count.ok() ? Dim{count.value()} : Dim{};
}

void same_as_first(Inference& inference) { inference.set(0, inference.type(0)); }

void broadcast_all(Inference& inference) {
  std::optional<Dims> dims = inference.dims(0);
  std::optional<DType> dtype = inference.dtype(0);
  for (size_t i = 1; i < inference.inputs(); ++i) {
    if (!inference.has(i)) continue;
    dims = broadcast(dims, inference.dims(i));
    if (!dtype) dtype = inference.dtype(i);
  }
  inference.set(0, dtype, std::move(dims));
}

std::optional<size_t> count_of_numbers(const Inference& inference, size_t i) {
  constexpr int64_t kMostAxes = 64;
  const std::optional<Dims>& dims = inference.dims(i);
  if (!dims || dims->size() != 1 || !dims->front().known() || dims->front().size > kMostAxes) return std::nullopt;
  return static_cast<size_t>(dims->front().size);
}

void need_rank(const Inference& inference, size_t i, int64_t least, int64_t most) {
  if (!inference.dims(i)) return;
  const auto rank = static_cast<int64_t>(inference.dims(i)->size());
  if (rank >= least && rank <= most) return;
  raise<ShapeMismatch>(
      "input {} has {} axes: {}\n"
      "{}",
      i, rank, *inference.dims(i),
      least == most ? formatted("it must have {}", least) : formatted("it must have {} to {}", least, most));
}

}  // namespace convoy::graph
