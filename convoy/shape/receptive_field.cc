#include "convoy/shape/receptive_field.h"

#include <algorithm>
#include <bitset>
#include <limits>
#include <numeric>

#include "convoy/shape/checked.h"

namespace convoy::shape {

namespace {

// The cells of one layer that an output depends on: a stretch, and which of its cells if it is short enough to know.
struct Cells {
  Range stretch;
  bool known = true;
  std::bitset<static_cast<size_t>(kFieldCells)> members;

  void clear() {
    stretch = {};
    known = true;
    members.reset();
  }
  int64_t count() const { return known ? static_cast<int64_t>(members.count()) : stretch.size(); }
};

// Gives the set a stretch that its cells surely lie in; members follow by insert() and trim().
void prepare(Cells& cells, Range stretch) {
  cells.members.reset();
  cells.stretch = stretch.empty() ? Range{} : stretch;
  cells.known = cells.stretch.size() <= kFieldCells;
}

// Shortens the stretch to the cells in it.
void trim(Cells& cells) {
  if (!cells.known) return;
  int64_t first = 0, last = cells.stretch.size();
  while (first < last && !cells.members.test(static_cast<size_t>(first))) ++first;
  while (last > first && !cells.members.test(static_cast<size_t>(last - 1))) --last;
  if (first == last) {
    cells.clear();
    return;
  }
  cells.members >>= static_cast<size_t>(first);
  cells.stretch = {cells.stretch.begin + first, cells.stretch.begin + last};
}

// What the cells `above` (of a layer's output) read of its input: cells in `limits`.
// Result: false on overflow.
bool read_by(const Cells& above, const ChainLayer& layer, Range limits, Cells& below) {
  below.clear();
  if (above.stretch.empty()) return true;
  const Axis& axis = layer.axis;
  const int64_t span = axis.dilation * (axis.kernel_size - 1) + 1;
  const Checked first = above.stretch.begin;
  const Checked last = above.stretch.end - 1;
  Checked low(0), high(0);  // the first and last input cell that may be read
  if (layer.kind == LayerKind::kTransposed) {
    const Checked from = first + axis.pad_begin - (span - 1);
    const Checked to = last + axis.pad_begin;
    if (!from.ok() || !to.ok()) return false;
    low = ceil_div(from.value(), axis.stride);
    high = floor_div(to.value(), axis.stride);
  } else {
    low = first * axis.stride - axis.pad_begin;
    high = last * axis.stride - axis.pad_begin + (span - 1);
  }
  const Checked end = high + 1;
  if (!low.ok() || !end.ok()) return false;
  const Range reached{std::max(low.value(), limits.begin), std::min(end.value(), limits.end)};
  prepare(below, reached);
  if (below.stretch.empty() || !above.known || !below.known) {
    below.known = below.stretch.empty();
    return true;
  }
  // Every pair of an output cell and an input cell in reach that a tap joins.
  for (int64_t o = above.stretch.begin; o < above.stretch.end; ++o) {
    if (!above.members.test(static_cast<size_t>(o - above.stretch.begin))) continue;
    if (layer.kind == LayerKind::kTransposed) {
      // Tap k of output o reads input (o + pad_begin - k d) / s where that divides.
      const int64_t nearest = floor_div(o + axis.pad_begin, axis.stride);
      for (int64_t i = std::min(nearest, below.stretch.end - 1); i >= below.stretch.begin; --i) {
        const int64_t distance = o + axis.pad_begin - i * axis.stride;
        if (distance > span - 1) break;
        if (distance % axis.dilation == 0) below.members.set(static_cast<size_t>(i - below.stretch.begin));
      }
    } else {
      const int64_t start = o * axis.stride - axis.pad_begin;
      const Range taps{std::clamp<int64_t>(ceil_div(below.stretch.begin - start, axis.dilation), 0, axis.kernel_size),
                       std::clamp<int64_t>(ceil_div(below.stretch.end - start, axis.dilation), 0, axis.kernel_size)};
      for (int64_t k = taps.begin; k < taps.end; ++k) {
        below.members.set(static_cast<size_t>(start + k * axis.dilation - below.stretch.begin));
      }
    }
  }
  trim(below);
  return true;
}

constexpr Range kEverywhere{std::numeric_limits<int64_t>::min() / 4, std::numeric_limits<int64_t>::max() / 4};

Result<int64_t> legal(Result<int64_t> size) {
  if (size && *size < 1) return ShapeError{ShapeErrorCode::kOutputTooSmall, -1, *size, 1};
  return size;
}

}  // namespace

Result<int64_t> layer_output_size(int64_t n, const ChainLayer& layer) {
  switch (layer.kind) {
    case LayerKind::kConv:
      break;
    case LayerKind::kPool:
      return legal(pool_output_size(n, layer.axis, layer.ceil_mode));
    case LayerKind::kTransposed:
      return legal(transposed_output_size(n, layer.axis, layer.output_padding));
  }
  return legal(output_size(n, layer.axis));
}

Result<int64_t> chain_output_size(int64_t n, std::span<const ChainLayer> chain) {
  Result<int64_t> size = n;
  for (const ChainLayer& layer : chain) {
    size = layer_output_size(*size, layer);
    if (!size) break;
  }
  return size;
}

Result<ReceptiveField> receptive_field(std::span<const ChainLayer> chain) {
  Checked jump = 1, divisor = 1;
  for (const ChainLayer& layer : chain) {
    const Result<int64_t> span = effective_kernel_size(layer.axis.kernel_size, layer.axis.dilation);
    if (!span) return span.error();
    if (layer.axis.stride < 1) return ShapeError{ShapeErrorCode::kNonPositiveStride, -1, layer.axis.stride, 1};
    (layer.kind == LayerKind::kTransposed ? divisor : jump) =
        (layer.kind == LayerKind::kTransposed ? divisor : jump) * layer.axis.stride;
    if (!jump.ok() || !divisor.ok()) return ShapeError{ShapeErrorCode::kOverflow};
    const int64_t common = std::gcd(jump.value(), divisor.value());
    jump = jump.value() / common;
    divisor = divisor.value() / common;
  }
  // From the last layer to the first: the stretch that one output reads, and where output 0 begins.
  Checked size = 1, start = 0;
  for (size_t i = chain.size(); i-- > 0;) {
    const Axis& axis = chain[i].axis;
    const int64_t reach = axis.dilation * (axis.kernel_size - 1);
    if (chain[i].kind == LayerKind::kTransposed) {
      const Checked stretch = size + reach - 1;
      const Checked first = start + axis.pad_begin - reach;
      if (!stretch.ok() || !first.ok()) return ShapeError{ShapeErrorCode::kOverflow};
      size = stretch.value() / axis.stride + 1;
      start = ceil_div(first.value(), axis.stride);
    } else {
      size = (size - 1) * axis.stride + reach + 1;
      start = start * axis.stride - axis.pad_begin;
    }
    if (!size.ok() || !start.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  }
  return ReceptiveField{size.value(), jump.value(), divisor.value(), start.value()};
}

Result<Field> field_of(int64_t o, int64_t n, std::span<const ChainLayer> chain) {
  const Result<int64_t> outputs = chain_output_size(n, chain);
  if (!outputs) return outputs.error();
  if (o < 0 || o >= *outputs) return ShapeError{ShapeErrorCode::kNoSolution, -1, o, *outputs};
  Field field;
  for (const bool padded : {true, false}) {
    Cells above, below;
    above.stretch = {o, o + 1};
    above.members.set(0);
    for (size_t i = chain.size(); i-- > 0;) {
      const Range limits = padded ? kEverywhere : Range{0, *chain_output_size(n, chain.first(i))};
      if (!read_by(above, chain[i], limits, below)) return ShapeError{ShapeErrorCode::kOverflow};
      std::swap(above, below);
    }
    (padded ? field.padded : field.inside) = above.stretch;
    field.exact = field.exact && above.known;
    if (!padded) field.cells = above.count();
  }
  return field;
}

}  // namespace convoy::shape
