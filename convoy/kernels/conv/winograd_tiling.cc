#include "convoy/kernels/conv/winograd_tiling.h"

#include <limits>

namespace convoy::kernels::winograd {

namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

constexpr int64_t kKeptBlock = int64_t{1} << 20;     // of transformed sources, with such a weight
constexpr int64_t kKeptProducts = int64_t{1} << 19;  // of one unit of vectors of results

// A task's time in vector multiply-adds. A vector of weights from the outer cache takes as long as 14 of them (27 GB/s), a point of
// a vector's transform, in or out, about 11; a narrow register tile wastes about 2.
int64_t task_cost(const Problem& p, const Tiling& t, int64_t tiles, int64_t vectors, bool streams) {
  constexpr int64_t kStream = 14, kTransform = 11, kWaste = 2;
  const int64_t width = streams ? std::max(tiles + kWaste, kStream) : tiles + kWaste;
  return p.points() * (vectors * p.depth() * width + tiles * (t.channel_blocks + vectors) * kTransform);
}

// Calls visit(i, near, inputs) for the outputs at either end that see some inputs, but of a phase fewer than `taps`: output i of
// those `dilation` apart, which fill tiles of their own.
template <class Visit>
void visit_ends(const TiledAxis& t, int64_t taps, const Visit& visit) {
  const shape::Axis axis{t.taps(), t.step, t.dilation, -t.first, 0};
  const int64_t last_tap = (t.taps() - 1) * t.dilation, next = t.dilation * t.step;
  const int64_t before = t.phases > 1 ? 0 : -t.base / t.dilation;  // which are none of the layer's
  for (int64_t r = 0; r < std::min(t.dilation, t.size); ++r) {
    const auto taps_of = [&](int64_t i) { return shape::valid_taps(r + i * t.dilation, t.source, axis); };
    const auto enough = [&](shape::Range seen) { return ceil_div(seen.size(), t.step) >= taps; };
    const int64_t first = r * t.step + t.first, count = ceil_div(t.size - r, t.dilation);
    for (int64_t i = std::max(-shape::floor_div(first + last_tap, next), before); i < count; ++i) {
      const shape::Range seen = taps_of(i);
      if (seen.begin == 0 || enough(seen)) break;
      if (!seen.empty()) visit(i, true, seen.size());
    }
    for (int64_t i = std::min(shape::floor_div(t.source - 1 - first, next), count - 1); i >= before; --i) {
      const shape::Range seen = taps_of(i);
      if (seen.end == t.taps() || enough(seen)) break;
      if (!seen.empty()) visit(i, false, seen.size());
    }
  }
}

}  // namespace

int64_t TiledAxis::fewest_inputs() const {
  int64_t fewest = taps();
  visit_ends(*this, taps() + 1, [&](int64_t, bool, int64_t inputs) { fewest = std::min(fewest, inputs); });
  return fewest;
}

bool TiledAxis::sees_one_tap() const {
  bool any = false;
  if (taps() > step) visit_ends(*this, 2, [&](int64_t, bool, int64_t) { any = true; });
  return any;
}

int64_t TiledAxis::early_outputs(int64_t taps) const {
  std::array<bool, kMostPoints> unfit{};
  visit_ends(*this, taps, [&](int64_t i, bool near, int64_t) {
    const int64_t early = ((near ? 0 : outputs - 1) - i) % outputs;
    unfit[static_cast<size_t>(early < 0 ? early + outputs : early)] = true;
  });
  const auto* const fit = std::find(unfit.begin(), unfit.begin() + outputs, false);
  return fit == unfit.begin() + outputs ? -1 : fit - unfit.begin();
}

Tiling make_tiling(const Problem& p, int64_t lanes, int threads) {
  constexpr int64_t kPadding = 16;  // floats: planes a power of two apart would meet in the same cache sets
  Tiling t;
  t.lanes = lanes;
  t.channel_blocks = p.slices() * ceil_div(p.channels, lanes);
  const int64_t vectors = p.vectors(lanes), unit = p.unit();
  const int64_t tile_bytes = p.points() * t.channel_blocks * lanes * 4;  // of one tile's transformed sources
  const int64_t weight_bytes = p.points() * p.depth() * vectors * lanes * 4;
  const int64_t groups = std::max<int64_t>(p.w.groups(), 1);

  // Across: whole groups, about kSegmentTiles tiles.
  const int64_t segment_groups = std::clamp<int64_t>((p.fold > 0 ? kFoldedTiles : kSegmentTiles) / p.w.dilation, 1, groups);
  t.segments = ceil_div(groups, segment_groups);
  const int64_t width = ceil_div(groups, t.segments);
  // Along: as many tiles as the cache holds, in equal parts for the threads.
  const int64_t units = std::max<int64_t>(p.rows(), 1) * width;  // groups of the widest segment
  const bool streams = weight_bytes > kKeptWeight;               // then every block reads the weight from the outer cache
  const int64_t bytes = streams ? kStreamedBlock : kKeptBlock;
  // Of few planes the products are more than the sources (3 to 64 channels, 7x7 at a stride of 2, from 224x224: 0.78 -> 0.69 ms; 8
  // to 32 channels without a stride lost up to a tenth).
  const int64_t most_held = p.interleaved > 1 ? kKeptProducts / (p.points() * unit * lanes * 4) : units;
  const int64_t held = std::min(bytes / tile_bytes, most_held);
  const int64_t fewest = ceil_div(units, std::clamp<int64_t>(held / p.w.dilation, 1, units));
  // With few tiles every thread would read the whole weight for a handful of them: then threads deal out the results of a block
  // instead, and each transforms the block's sources for itself. Sharing the transformed sources lost (256 channels on 14x14: 0.34
  // against 0.28 ms): lines that another core wrote or will read cost more than computing them twice.
  int64_t least = std::numeric_limits<int64_t>::max();
  for (int64_t deals = 1; deals == 1 || (deals < 2 * threads && unit * deals <= vectors); deals *= 2) {
    deals = std::min<int64_t>(deals, threads);
    const int64_t others = p.groups * t.segments * deals;
    int64_t parts = fewest;
    if (others * parts < 8 * threads) {
      parts = std::clamp<int64_t>(ceil_div(others * parts, threads) * threads / others, 1, units);
    }
    const int64_t rounds = ceil_div(others * parts, threads), tiles = ceil_div(units, parts) * p.w.dilation;
    const int64_t cost = rounds * task_cost(p, t, tiles, ceil_div(vectors, deals), streams);
    if (cost >= least) continue;
    least = cost;
    t.deals = deals;
    t.parts = parts;
  }
  // Whole rows if the threads stay as busy: of the rows around a part of one more is transposed than it needs.
  const int64_t rows = std::max<int64_t>(p.rows(), 1), others = p.groups * t.segments * t.deals;
  const int64_t whole_parts = ceil_div(rows, std::max<int64_t>(rows / t.parts, 1));
  const int64_t whole_work = ceil_div(others * whole_parts, threads) * ceil_div(rows, whole_parts) * width;
  t.whole_rows = rows >= t.parts && whole_work * 20 <= ceil_div(others * t.parts, threads) * ceil_div(units, t.parts) * 21;
  if (t.whole_rows) t.parts = whole_parts;
  t.most_tiles = (t.whole_rows ? ceil_div(rows, t.parts) * width : ceil_div(units, t.parts)) * p.w.dilation;

  // Vectors of results in pairs, or all phases together, in equal parts.
  const int64_t dealt = ceil_div(ceil_div(vectors, t.deals), unit) * unit;
  const int64_t fit = std::max((int64_t{768} << 10) / (p.points() * t.most_tiles * lanes * 4) / unit * unit, unit);
  t.group = std::max(ceil_div(ceil_div(dealt, ceil_div(dealt, fit)), unit) * unit, unit);
  t.source_plane = t.channel_blocks * t.most_tiles * lanes + kPadding;
  const int64_t chunk_groups = std::clamp<int64_t>(kChunkTiles / p.w.dilation, 1, width);
  t.row_floats = p.h.dilation * p.h.points * p.w.reach(width) * p.w.step * lanes;
  t.column_floats = p.h.points * p.w.reach(chunk_groups) * lanes;
  t.result_floats = (p.phases() * p.h.outputs * width * p.w.group_span() + lanes) * lanes;
  return t;
}

}  // namespace convoy::kernels::winograd
