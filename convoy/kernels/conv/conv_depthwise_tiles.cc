// Few channels per group, planes with several rows: every plane is a small dense correlation (conv_depthwise_geometry.h), computed
// by register tiles of 7 rows and one vector (conv_depthwise_tile-inl.h).
//
// Lanes are output columns, rows are read where they lie. Only where columns are strided the rows under a tile are first sorted
// into their phases (column q, q + stride, ...). Rows of a tile are as far apart as lets them share input rows, so a dilated or
// strided kernel costs what a dense one does; in the input gradient of a strided layer each tile is computed phase by phase and
// interleaved when it is stored.
//
// What a tile is made of (which rows exist, which taps meet them) is the same in every plane, so it is worked out once for some
// planes: with 14x14 maps a plane takes 0.04 microseconds, and working it out took as long again. Where a group has several output
// planes, two of them take from each input vector. Whole kernels of 3x3, 5x5 and 7x7 have tiles of their own
// (conv_depthwise_kernel-inl.h).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_depthwise_tiles.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/conv/conv_depthwise_kernel-inl.h"
#include "convoy/kernels/conv/conv_depthwise_tile-inl.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_depthwise_tiles.h"

#include <algorithm>

#include "convoy/core/parallel.h"

#ifndef CONVOY_KERNELS_CONV_DEPTHWISE_TILES_PLAN
#define CONVOY_KERNELS_CONV_DEPTHWISE_TILES_PLAN
namespace convoy::kernels::depthwise {

// How a job is cut: into chunks of columns, and rows of scratch memory where columns are sorted.
struct TilePlan {
  Geometry g;
  int64_t chunk;            // columns of a phase at a time
  int64_t column_taps = 0;  // of all phases
  int64_t class_tiles;      // of a class of rows
  int64_t plane_tiles;
  bool by_twos;       // stride 2 along h and w: rows are not sorted
  bool whole_kernel;  // AVX-512 and AVX2 have tiles of their own for it
  bool sorted;
  // Sorted rows: [source][slice][class of taps][row].
  int64_t sorted_columns = 0, phase_floats = 0, row_floats = 0, class_floats = 0, slice_floats = 0, source_floats = 0;

  explicit TilePlan(const Geometry& geometry) : g(geometry) {
    constexpr int64_t kTileColumns = 8192;
    chunk = std::min(round_up(g.phase_columns(), kLanes), std::max(kTileColumns / (2 * g.w.kernel) / kLanes * kLanes, kLanes));
    class_tiles = (g.h.most_outputs() + kRows - 1) / kRows;
    plane_tiles = g.d.output * g.h.output_classes() * class_tiles;
    by_twos = parts_by_twos(g);
    whole_kernel = has_whole_kernel(g);
    sorted = g.strided() && !by_twos;
    if (!sorted) return;
    // Vectors may read beyond a phase what no output takes.
    sorted_columns = round_up(std::min(chunk, g.phase_columns()) + (g.w.kernel - 1) * g.w.dilation / g.w.stride, kLanes);
    phase_floats = sorted_columns;
    row_floats = g.sorted_phases() * phase_floats;
    class_floats = (kRows - 1 + g.h.most_taps()) * row_floats;
    slice_floats = g.h.tap_classes() * class_floats;
    source_floats = g.d.kernel * slice_floats;
  }
  int64_t scratch_floats() const { return sorted ? g.sources * source_floats + 2 * kLanes : 0; }
};

}  // namespace convoy::kernels::depthwise
#endif  // CONVOY_KERNELS_CONV_DEPTHWISE_TILES_PLAN

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
using depthwise::AxisGeometry;
using depthwise::Geometry;
using depthwise::Job;
using depthwise::kMaxColumnTaps;
using depthwise::kMaxPhases;
using depthwise::kMaxSegments;
using depthwise::Taps;
using depthwise::TilePlan;
using depthwise::TileRange;

constexpr int64_t kVector = HWY_LANES(float);
constexpr int64_t kMostTiles = 64;

struct TileOfPlane {
  int segments;              // the end of them; the tile before has their beginning
  int64_t out_at, out_step;  // of its first row
  int64_t rows;
};

// Some tiles of any plane.
struct Tiles {
  int64_t count;
  TileOfPlane tiles[kMostTiles + 1];
  Segment segments[kMaxSegments];
};

// How many of `left` tap rows go together: what loads each input row for as many taps as possible.
HWY_INLINE int TapRows(int64_t left, bool by_twos, bool pair) {
  static constexpr int8_t kAny[] = {0, 1, 2, 3, 2, 5, 3, 7, 5, 7, 7, 5};
  static constexpr int8_t kTwos[] = {0, 1, 1, 3, 3, 5, 3, 5, 5, 3, 5};
  if (HWY_TARGET == HWY_SCALAR) return 1;
  if (pair) return left >= 3 && (left != 4 || by_twos) ? 3 : left >= 2 && !by_twos ? 2 : 1;
  if (by_twos) return left < 11 ? kTwos[left] : 5;
  return left < 12 ? kAny[left] : 7;
}

// Works out tiles from `tile` on, as many as fit, to `end` at the most.
class TileMaker {
 public:
  TileMaker(const TilePlan& plan, int64_t weight_source, bool pair)
      : plan_(plan), g_(plan.g), weight_source_(weight_source), pair_(pair) {}

  int64_t Make(int64_t tile, int64_t end, int64_t first_in, Tiles& tiles) const {
    const AxisGeometry& h = g_.h;
    const int64_t classes = h.output_classes(), spacing = h.spacing();
    tiles.count = 0;
    tiles.tiles[0] = {};
    int used = 0;
    for (; tile < end && tiles.count < kMostTiles; ++tile) {
      const int64_t row_class = tile / plan_.class_tiles % classes;
      const int64_t od = tile / plan_.class_tiles / classes;
      const int64_t oh = row_class + tile % plan_.class_tiles * kRows * spacing;
      if (oh >= h.output) continue;
      TileOfPlane& made = tiles.tiles[tiles.count + 1];
      made.rows = std::min<int64_t>(kRows, (h.output - oh + spacing - 1) / spacing);
      made.out_at = (od * h.output + oh) * g_.w.output;
      made.out_step = spacing * g_.w.output;
      const int before = used;
      if (!Add(od, oh, made.rows, first_in, tiles.segments, used)) {
        used = before;
        break;
      }
      Close(tiles.segments + before, used - before);
      made.segments = used;
      ++tiles.count;
    }
    return tile;
  }

 private:
  // The segments of one tile; false: they do not fit.
  bool Add(int64_t od, int64_t oh, int64_t rows, int64_t first_in, Segment* segments, int& used) const {
    const AxisGeometry& h = g_.h;
    const int64_t step = plan_.by_twos ? 1 : h.input_step(), stride = plan_.by_twos ? 2 : 1;
    const int64_t together = depthwise::sources_together(g_);
    const int first = used;
    for (int64_t source = 0; source < g_.sources; source += together) {
      for (int64_t kd = 0; kd < g_.d.kernel; ++kd) {
        const int64_t id = g_.d.input_of(od, kd);
        if (id < 0) continue;
        for (int64_t c = 0; c < (plan_.by_twos ? 1 : h.tap_classes()); ++c) {
          const Taps all = plan_.by_twos ? Taps{0, h.kernel, oh * 2 - h.pad} : h.taps(oh, c);
          for (int64_t t = 0; t < all.count;) {
            const int tap_rows = TapRows(all.count - t, plan_.by_twos, pair_);
            uint32_t exist = 0;
            for (int64_t r = 0; r < (rows - 1) * stride + tap_rows; ++r) {
              const int64_t ih = all.input + (t + r) * step;
              if (ih >= 0 && ih < h.input) exist |= uint32_t{1} << r;
            }
            if (exist != 0) {
              if (used == kMaxSegments) return false;
              Segment& s = segments[used++];
              s.tap_rows = tap_rows;
              s.rows = exist;
              s.sources = std::min(together, g_.sources - source);
              s.weight = source * weight_source_ + (kd * h.kernel + all.tap + t * (plan_.by_twos ? 1 : h.tap_step())) * g_.w.kernel;
              s.sort_rows = t == 0 ? exist : exist & ~((uint32_t{1} << (rows - 1)) - 1);
              s.sort_from = source * g_.input_positions() + (id * h.input + all.input + t * step) * g_.w.input;
              s.in = plan_.sorted
                         ? source * plan_.source_floats + kd * plan_.slice_floats + c * plan_.class_floats + t * plan_.row_floats
                         : s.sort_from + first_in;
            }
            t += tap_rows;
          }
        }
      }
    }
    if (used == first) {  // nothing but the bias
      if (used == kMaxSegments) return false;
      Segment& s = segments[used++];
      s = {};
      s.tap_rows = 1;
    }
    return true;
  }
  void Close(Segment* segments, int count) const {
    const bool cut = g_.sources * g_.taps() > depthwise::kChain;
    int64_t chain = 0;
    for (int i = 0; i < count; ++i) {
      Segment& s = segments[i];
      const int64_t adds = s.sources * s.tap_rows * g_.w.kernel;
      s.first = i == 0;
      s.last = i == count - 1;
      s.cut = cut;
      s.chain_begins = cut && i > 0 && chain + adds > depthwise::kChain;
      chain = s.chain_begins ? adds : chain + adds;
    }
  }

  const TilePlan& plan_;
  const Geometry& g_;
  int64_t weight_source_;
  bool pair_;
};

// A segment in vectors [begin, end) of type DV. Plain C++ gains nothing from more tap rows together.
template <class DV, int kStride, bool kPair>
HWY_INLINE void RunSegment(const TileColumns& t, const hn::Mask<DV>* masks, const Finish& finish, const Segment& s,
                           const PlaneOfTile* planes, int64_t count, int64_t begin, int64_t end, TileSums& sums) {
  constexpr int kMost = HWY_TARGET == HWY_SCALAR ? 1 : kPair ? 3 : kStride == 1 ? 7 : 5;
  const auto add = [&](auto taps) CONVOY_UNROLLED {
    AddSegment<DV, std::min(taps(), kMost), kStride, kPair>(t, masks, finish, s, planes, count, begin, end, sums);
  };
  switch (s.tap_rows) {
    case 1:
      return add(std::integral_constant<int, 1>());
    case 2:
      return add(std::integral_constant < int, kStride == 1 ? 2 : 1 > ());
    case 3:
      return add(std::integral_constant<int, 3>());
    case 5:
      return add(std::integral_constant<int, 5>());
    default:
      return add(std::integral_constant<int, 7>());
  }
}

// A segment in vectors [begin, end), of which the last may be half a one.
template <bool kPair>
HWY_NOINLINE void RunSegment(bool by_twos, const TileColumns& t, const Finish& finish, const Segment& s, const PlaneOfTile* planes,
                             int64_t count, int64_t begin, int64_t end, TileSums& sums) {
  const int64_t whole = std::min(end, t.vectors);
  if (begin < whole) {
    const Mask* const masks = t.masks + begin * t.mask_step;
    if (by_twos) {
      RunSegment<D, 2, kPair>(t, masks, finish, s, planes, count, begin, whole, sums);
    } else {
      RunSegment<D, 1, kPair>(t, masks, finish, s, planes, count, begin, whole, sums);
    }
  }
  if constexpr (kHalves) {
    if (end <= t.vectors) return;
    if (by_twos) {
      RunSegment<Half, 2, kPair>(t, t.half_masks, finish, s, planes, count, 2 * t.vectors, 2 * t.vectors + 1, sums);
    } else {
      RunSegment<Half, 1, kPair>(t, t.half_masks, finish, s, planes, count, 2 * t.vectors, 2 * t.vectors + 1, sums);
    }
  }
}

// The kernel columns of every output phase in a chunk, with the lanes of every vector that they read inside the row.
struct ColumnTaps {
  ColumnTaps() {}  // the implicit one is made outside of the target's namespace, where NEON masks have no constructor

  int64_t begin[kMaxPhases + 1];
  int64_t offsets[kMaxColumnTaps];
  int64_t weights[kMaxColumnTaps];
  int64_t mask_step;
  Mask masks[kMasks];
  hn::Mask<Half> half_masks[kMaxColumnTaps + 1];

  void Make(const TilePlan& plan, int64_t first_column, int64_t columns, int64_t vectors) {
    const Geometry& g = plan.g;
    int64_t count = 0;
    for (int64_t phase = 0; phase < g.phases(); ++phase) {
      begin[phase] = count;
      for (int64_t c = 0; c < g.w.tap_classes(); ++c) {
        const Taps taps = g.w.taps(phase, c);
        for (int64_t t = 0; t < taps.count; ++t) {
          offsets[count] = g.first_offset(taps, plan.phase_floats) + t * g.column_step();
          weights[count++] = taps.tap + t * g.w.tap_step();
        }
      }
    }
    begin[g.phases()] = count;
    if (plan.by_twos) {
      for (int64_t c = 0; c < count; ++c) {
        weights[c] = c;
        offsets[c] = 2 * c - g.w.pad;
      }
      count = (count + 1) / 2;
    }
    mask_step = plan.by_twos ? 2 * count : count;
    for (int64_t v = 0; v < vectors; ++v) MakeMasks(D(), plan, count, first_column + v * kVector, masks + v * mask_step);
    if (vectors * kVector < columns) MakeMasks(Half(), plan, count, first_column + vectors * kVector, half_masks);
  }

 private:
  template <class DV>
  void MakeMasks(DV d, const TilePlan& plan, int64_t count, int64_t column, hn::Mask<DV>* to) const {
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    for (int64_t i = 0; i < count; ++i) {
      const int64_t at = column * (plan.by_twos ? 2 : 1) + offsets[i];
      // Sorted rows have zeros around them.
      *to++ = plan.sorted ? hn::FirstN(d, static_cast<size_t>(lanes)) : InsideLanes(d, at, plan.g.w.input);
      if (plan.by_twos) *to++ = InsideLanes(d, at + lanes, plan.g.w.input);
    }
  }
};

// Tiles of a range in a chunk of columns.
template <bool kPair>
class TileRunner {
 public:
  TileRunner(const Job& job, const TilePlan& plan, const SplitEpilogue& epilogue, float* scratch)
      : job_(job),
        plan_(plan),
        g_(plan.g),
        epilogue_(epilogue),
        finish_(epilogue),
        scratch_(scratch),
        far_(!plan.g.strided() && plan.g.phases() == 1 && plan.g.sources > 1 &&
             job.planes / job.group_channels * plan.g.sources * plan.g.input_positions() > conv_tile::kFarFloats) {}

  HWY_INLINE void Run(const TileRange& range, int64_t first_column) {
    first_column_ = first_column;
    const int64_t phases = g_.phases();
    const int64_t columns = std::min(plan_.chunk, g_.phase_columns() - first_column);
    t_.vectors = (columns + kVector - 1) / kVector;
    if (kHalves && columns <= t_.vectors * kVector - kVector / 2) --t_.vectors;
    columns_.Make(plan_, first_column, columns, t_.vectors);
    t_.half_masks = columns_.half_masks;
    if (plan_.sorted) sorter_.Make(first_column * g_.w.stride - g_.w.pad, g_.w.stride, g_.w.input, plan_.sorted_columns);
    t_.columns = columns;
    t_.mask_step = columns_.mask_step;
    t_.source_step = plan_.sorted ? plan_.source_floats : g_.input_positions();
    t_.row_step = plan_.sorted ? plan_.row_floats : (plan_.by_twos ? 1 : g_.h.input_step()) * g_.w.input;
    t_.weight_source = job_.weight_source;
    t_.weight_row = (plan_.by_twos ? 1 : g_.h.tap_step()) * g_.w.kernel;
    t_.temporary = nullptr;
    t_.temporary_step = phases * kVector;
    SetPhase(0);
    const TileMaker maker(plan_, job_.weight_source, kPair);
    const int64_t fit = depthwise::planes_of_block(g_);
    const int64_t block = kPair ? depthwise::round_up(fit, 2) : fit;
    const int64_t last_tile = range.first_tile + range.tiles;
    const bool whole = range.tiles == plan_.plane_tiles && columns == g_.phase_columns();
    for (int64_t tile = range.first_tile; tile < last_tile;) {
      const int64_t next = maker.Make(tile, last_tile, plan_.sorted ? 0 : first_column * (plan_.by_twos ? 2 : 1), tiles_);
      const bool all = whole && tile == 0 && next == last_tile;
      for (int64_t p = 0; p < range.planes; p += block) {
        const int64_t count = std::min(block, range.planes - p);
        const int64_t placed = RunBlock(range.first_plane + p, count);
        if (!epilogue_.later) continue;
        if (all) {
          epilogue_.finish(planes_[0].out, count * g_.output_positions());
        } else {
          FinishRows(placed);
        }
      }
      tile = next;
    }
  }

 private:
  HWY_INLINE void SetPhase(int64_t phase) {
    t_.taps = columns_.begin[phase + 1] - columns_.begin[phase];
    t_.offsets = columns_.offsets + columns_.begin[phase];
    t_.weights = columns_.weights + columns_.begin[phase];
    t_.masks = columns_.masks + columns_.begin[phase];
    t_.half_masks = columns_.half_masks + columns_.begin[phase];
  }

  // All worked-out tiles of `count` planes from `first` on. Returns how many planes_ have been set: in pairs, of one group, in
  // which a plane alone goes with itself.
  HWY_INLINE int64_t RunBlock(int64_t first, int64_t count) {
    const int64_t in_positions = g_.input_positions(), out_positions = g_.output_positions();
    int64_t channel = first % job_.channels, member = channel % job_.group_channels, group = channel / job_.group_channels;
    const float* in = job_.input + first / job_.group_channels * g_.sources * in_positions;
    int64_t placed = 0;
    const auto fill_pair = [&] {
      if (kPair && placed % 2 != 0) planes_[placed] = planes_[placed - 1], ++placed;
    };
    for (int64_t i = 0; i < count; ++i) {
      const int64_t out_at = (first + i) * out_positions;
      planes_[placed++] = {in, job_.weight + group * job_.weight_group + member * job_.weight_channel, job_.output + out_at,
                           epilogue_.residual != nullptr ? epilogue_.residual + out_at : nullptr,
                           job_.bias != nullptr ? job_.bias[channel] : 0.0f};
      if (++member == job_.group_channels) {
        member = 0;
        ++group;
        in += g_.sources * in_positions;
        fill_pair();
      }
      if (++channel == job_.channels) channel = group = 0;
    }
    fill_pair();
    for (int64_t i = 0; i < tiles_.count; ++i) RunTile(tiles_.tiles[i].segments, tiles_.tiles[i + 1], placed);
    return placed;
  }

  // What a tile reads of many sources that come from memory: its loads are too far apart to be foreseen.
  HWY_NOINLINE HWY_ATTR void ReadSources(const Segment* segments, int number, int64_t count) const {
    const int64_t columns = std::min(t_.columns, g_.w.input - first_column_);
    const float* read = nullptr;
    for (int64_t p = 0; p < count; ++p) {
      if (planes_[p].in == read) continue;
      read = planes_[p].in;
      for (int i = 0; i < number; ++i) {
        for (int64_t source = 0; source < segments[i].sources; ++source) {
          const float* row = read + segments[i].in + source * g_.input_positions();
          for (uint32_t left = segments[i].rows; left != 0; left >>= 1, row += t_.row_step) {
            if ((left & 1) != 0) tile::ReadLines(row, columns);
          }
        }
      }
    }
  }

  HWY_INLINE void RunTile(int first_segment, const TileOfPlane& tile, int64_t count) {
    const Segment* const segments = tiles_.segments + first_segment;
    const int number = tile.segments - first_segment;
    if (far_) ReadSources(segments, number, count);
    const int64_t phases = g_.phases();
    constexpr int64_t kStep = kPair ? 2 : 1;
    t_.rows = tile.rows;
    t_.out_at = tile.out_at + first_column_;
    t_.out_step = tile.out_step;
    const int64_t vectors = (t_.columns + kVector - 1) / kVector;
    if (number == 1 && phases == 1 && !plan_.sorted) {
      return RunSegment<kPair>(plan_.by_twos, t_, finish_, segments[0], planes_, count, 0, vectors, sums_);
    }
    const float* sorted = nullptr;
    for (int64_t p = 0; p < count; p += kStep) {
      PlaneOfTile planes[2] = {planes_[p], planes_[p + kStep - 1]};
      if (plan_.sorted) {  // two planes of a group read the same rows
        if (planes[0].in != sorted) Sort(segments, number, planes[0].in, scratch_);
        sorted = planes[0].in;
        planes[0].in = planes[1].in = scratch_;
      }
      if (number == 1 && phases == 1) {
        RunSegment<kPair>(plan_.by_twos, t_, finish_, segments[0], planes, kStep, 0, vectors, sums_);
        continue;
      }
      for (int64_t v = 0; v < vectors; ++v) {
        for (int64_t phase = 0; phase < phases; ++phase) {
          if (phases > 1) {
            SetPhase(phase);
            t_.temporary = temporary_ + phase * kVector;
          }
          for (int i = 0; i < number; ++i)
            RunSegment<kPair>(plan_.by_twos, t_, finish_, segments[i], planes, kStep, v, v + 1, sums_);
        }
        if (phases > 1) StorePhases(planes, v);
      }
    }
  }

  // A vector of columns of every phase.
  HWY_INLINE void StorePhases(const PlaneOfTile* planes, int64_t v) {
    const D d;
    const int64_t phases = g_.phases();
    const int64_t first = (first_column_ + v * kVector) * phases, columns = std::min(phases * kVector, g_.w.output - first);
    const int64_t out_at = t_.out_at - first_column_ + first;
    HWY_ALIGN float values[(kMaxPhases + 1) * kVector];
    for (int64_t row = 0; row < (kPair ? kRows + t_.rows : t_.rows); ++row) {
      if (kPair && row >= t_.rows && row < kRows) continue;
      Interleave(temporary_ + row * phases * kVector, phases, values);
      const PlaneOfTile& plane = planes[row / kRows];
      const int64_t at = out_at + row % kRows * t_.out_step;
      for (int64_t i = 0; i < columns; i += kVector) {
        finish_.Store(d, hn::LoadU(d, values + i), FirstLanes(d, columns - i), plane.out + at + i,
                      plane.residual != nullptr ? plane.residual + at + i : nullptr);
      }
    }
  }

  // Sorts the rows that the segments of a tile read.
  HWY_INLINE void Sort(const Segment* segments, int count, const float* plane, float* to) const {
    const int64_t width = g_.w.input, step = g_.h.input_step() * width, phases = g_.sorted_phases();
    for (int i = 0; i < count; ++i) {
      const Segment& s = segments[i];
      for (int64_t source = 0; source < s.sources; ++source) {
        const float* from = plane + s.sort_from + source * g_.input_positions();
        float* rows = to + s.in + source * plan_.source_floats;
        for (uint32_t left = s.sort_rows; left != 0; left >>= 1) {
          if ((left & 1) != 0) sorter_.Sort(from, phases, plan_.phase_floats, rows);
          from += step;
          rows += plan_.row_floats;
        }
      }
    }
  }

  void FinishRows(int64_t count) const {
    const int64_t first = first_column_ * g_.phases();
    const int64_t columns = std::min(t_.columns * g_.phases(), g_.w.output - first);
    for (int64_t p = 0; p < count; ++p) {
      if (p > 0 && planes_[p].out == planes_[p - 1].out) continue;  // alone
      for (int64_t i = 1; i <= tiles_.count; ++i) {
        const TileOfPlane& tile = tiles_.tiles[i];
        float* const out = planes_[p].out + tile.out_at + first;
        if (columns == tile.out_step) {
          epilogue_.finish(out, tile.rows * columns);
          continue;
        }
        for (int64_t row = 0; row < tile.rows; ++row) epilogue_.finish(out + row * tile.out_step, columns);
      }
    }
  }

  const Job& job_;
  const TilePlan& plan_;
  const Geometry& g_;
  const SplitEpilogue& epilogue_;
  const Finish finish_;
  float* const scratch_;
  const bool far_;
  int64_t first_column_ = 0;
  TileColumns t_;
  ColumnTaps columns_;
  RowSorter sorter_;
  Tiles tiles_;
  PlaneOfTile planes_[2 * depthwise::kMostPlanes];
  TileSums sums_;
  HWY_ALIGN float temporary_[2 * kRows * kMaxPhases * kVector];
};

template <bool kPair>
HWY_NOINLINE void RunRange(const Job& job, const TilePlan& plan, const SplitEpilogue& epilogue, const TileRange& range,
                           float* scratch) {
  TileRunner<kPair> runner(job, plan, epilogue, scratch);
  for (int64_t column = 0; column < plan.g.phase_columns(); column += plan.chunk) runner.Run(range, column);
}

HWY_ATTR void RunTiles(const Job& job, const TilePlan& plan, const SplitEpilogue& epilogue, bool pair, const TileRange& range,
                       float* scratch) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  // 5x5 at a stride of 2 takes 1.6 times as long on AVX2 as the tiles below: six loads a row.
  const bool many_loads = HWY_TARGET == HWY_AVX2 && plan.g.strided() && plan.g.w.kernel == 5;
  if (plan.whole_kernel && !many_loads) return KernelRunner(job, epilogue).Run(range);
#endif
#if HWY_TARGET == HWY_AVX3
  if (pair) return RunRange<true>(job, plan, epilogue, range, scratch);
#else
  (void)pair;
#endif
  RunRange<false>(job, plan, epilogue, range, scratch);
}

// Whether two planes of a group can go together: there must be registers for that.
bool PairsPlanes() { return HWY_TARGET == HWY_AVX3; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(RunTiles);
CONVOY_EXPORT(PairsPlanes);

namespace depthwise {

const char* refuse_tiles(const Geometry& g) {
  if (g.w.kernel > kMaxColumnTaps) return "needs at most 64 kernel columns";
  if (g.phases() > kMaxPhases) return "needs strides of at most 16";
  // In double: the counts themselves might overflow. Each class of taps takes a segment for every few of them.
  const auto sources_apart = static_cast<double>(shape::ceil_div(g.sources, sources_together(g)));
  const auto segments = static_cast<double>(g.d.kernel * (g.h.gradient ? 1 : g.h.tap_classes()) * (g.h.most_taps() + 2) / 3 + 1);
  if (sources_apart * segments > static_cast<double>(kMaxSegments)) return "the kernel has too many rows";
  constexpr double kMostFloats = 1 << 18;
  const double columns = static_cast<double>(g.phase_columns() < 8192 ? g.phase_columns() : 8192);
  const double reach = static_cast<double>(g.w.kernel - 1) * static_cast<double>(g.w.dilation);
  const double row = static_cast<double>(g.sorted_phases()) * (columns + reach / static_cast<double>(g.w.stride) + 48);
  const double rows = static_cast<double>(g.sources * g.d.kernel * g.h.tap_classes() * (kRows + g.h.most_taps()));
  return g.strided() && row * rows > kMostFloats ? "the rows under one kernel do not fit the cache" : nullptr;
}

int64_t tile_scratch_floats(const Geometry& g) { return TilePlan(g).scratch_floats(); }

int64_t tiles_of_plane(const Geometry& g) { return TilePlan(g).plane_tiles; }

namespace {

// The last of an odd number is computed twice: at a stride (whose columns are sorted once for two) 1.3 to 1.7 times as fast,
// without one a tenth slower.
bool in_pairs(const Job& job) {
  return CONVOY_DISPATCH(PairsPlanes)() && job.g.sources > 1 && job.group_channels > 1 &&
         (job.group_channels % 2 == 0 || job.g.strided());
}

}  // namespace

void run_tile_range(const Job& job, const SplitEpilogue& epilogue, const TileRange& range, float* scratch) {
  CONVOY_DISPATCH(RunTiles)(job, TilePlan(job.g), epilogue, in_pairs(job), range, scratch);
}

void run_tiles(const Job& job, const Epilogue<float>& epilogue_of_call, Workspace& workspace) {
  const SplitEpilogue epilogue(epilogue_of_call);
  const TilePlan plan(job.g);
  const int64_t scratch_floats = plan.scratch_floats();
  float* const scratch = workspace.take<float>(scratch_floats * num_threads());
  const bool pair = in_pairs(job);
  const int64_t step = pair ? 2 : 1, units = (job.planes + step - 1) / step;
  if (units == 0) return;                                      // an empty batch
  const double task_work = plan.whole_kernel ? 300e3 : 100e3;  // multiply-adds: some microseconds
  const double work = static_cast<double>(units * plan.plane_tiles * step * kRows * plan.g.phases()) *
                      static_cast<double>(round_up(plan.g.phase_columns(), kLanes)) *
                      static_cast<double>(plan.g.sources * plan.g.taps() / plan.g.phases() + 8);
  const auto least = static_cast<int64_t>(std::clamp(work / task_work, 1.0, 4.0 * num_threads()));
  const int64_t tasks = least > 1 ? depthwise::round_up(least, num_threads()) : 1;  // as many for each thread
  // No bit depends on where planes and tiles are cut.
  const int64_t units_each = (units + tasks - 1) / tasks, parts = (units + units_each - 1) / units_each;
  const int64_t bands = std::clamp<int64_t>(tasks / parts, 1, plan.plane_tiles);
  const int64_t tiles_each = (plan.plane_tiles + bands - 1) / bands;
  parallel_for(parts * bands, [&](int64_t task, int thread) {
    const int64_t part = task / bands, band = task % bands;
    const int64_t first = part * units_each * step, first_tile = std::min(plan.plane_tiles, band * tiles_each);
    const TileRange range{first, std::min(job.planes, first + units_each * step) - first, first_tile,
                          std::min(tiles_each, plan.plane_tiles - first_tile)};
    CONVOY_DISPATCH(RunTiles)(job, plan, epilogue, pair, range, scratch + thread * scratch_floats);
  });
}

}  // namespace depthwise
}  // namespace convoy::kernels
#endif  // HWY_ONCE
