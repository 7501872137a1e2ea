// How a Winograd convolution is cut: its problem in one form for both directions, tiles of outputs, and blocks of tiles whose
// transforms stay in the cache.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "convoy/kernels/conv/conv_kernel.h"
#include "convoy/kernels/conv/winograd_scheme.h"
#include "convoy/shape/taps.h"

namespace convoy::kernels::winograd {

/// The share of an axis' products that is left if its last tile is incomplete, and has none at infinity.
inline double products_left(bool incomplete, int64_t points, int64_t tiles) {
  return incomplete ? 1 - 1 / static_cast<double>(points * tiles) : 1.0;
}

/// Outputs of one axis in tiles. At a stride the inputs fall into `step` phases, each with taps of its own, over which the products
/// are summed; in the direction of the gradient an output stands for the `phases` results side by side that see the same inputs.
/// With a dilation d the outputs d apart see inputs d apart, so a group of d tiles covers d * outputs positions side by side; the
/// last group has fewer tiles where none of a tile's outputs exists.
struct TiledAxis {
  int64_t outputs = 1;   // of a tile
  int64_t points = 1;    // of a tile
  int64_t dilation = 1;  // distance of a tile's positions
  int64_t size = 1;      // output positions
  int64_t source = 1;    // input positions
  int64_t first = 0;     // input position under tap 0 of output 0; negative: padding
  int64_t kernel = 1;    // taps of the layer
  int64_t step = 1;      // distance of the inputs that neighbours see through the same tap
  int64_t phases = 1;    // results of an output
  int64_t result = 1;    // result positions
  int64_t base = 0;      // result position of output 0's first; negative: not one of the layer's
  bool accurate = true;  // results at the ends lie where their tiles round them well enough
  // Of F(4,3): the first result lies first in its tile, and inputs before it are missing; the last one last, and those behind it.
  bool first_outermost = false, last_outermost = false;

  int64_t group_span() const { return dilation * outputs; }
  int64_t groups() const { return (size + group_span() - 1) / group_span(); }
  int64_t tiles() const {
    return size == 0 ? 0 : (groups() - 1) * dilation + std::min(dilation, size - (groups() - 1) * group_span());
  }
  int64_t group_origin(int64_t tile) const { return tile / dilation * group_span(); }
  int64_t origin(int64_t tile) const { return group_origin(tile) + tile % dilation; }
  /// Whether the last tile lacks outputs: then it needs no product at infinity, the last point, which its last output alone sees.
  bool incomplete() const { return dilation == 1 && size % outputs != 0; }
  /// Whether an input position lies under a result's taps. If none does, a result is exactly its bias.
  bool sees_input(int64_t position) const {
    const int64_t output = (position - base) / phases, phase = (position - base) % phases, last = points - outputs;
    for (int64_t k = 0; phase + k * phases < kernel; ++k) {
      const int64_t at = output * step + first + (step > 1 ? k : (last - k) * dilation);
      if (at >= 0 && at < source) return true;
    }
    return false;
  }
  /// Taps of an output's phase.
  int64_t taps() const { return phases > 1 ? points - outputs + 1 : kernel; }
  /// The fewest inputs that a result sees, of those that see any.
  int64_t fewest_inputs() const;
  /// Whether a result sees inputs through one tap alone, behind a padding of more than "same".
  bool sees_one_tap() const;
  /// By how many outputs the tiles must begin early, fewer than `outputs`, lest a result that sees fewer than `taps` inputs of a
  /// phase be the first of its tile where those before it are missing, or the last where those behind it are; -1: no number will
  /// do.
  int64_t early_outputs(int64_t taps) const;
  /// Input positions of one phase under `count` groups.
  int64_t reach(int64_t count) const { return count * group_span() + (points - outputs) * dilation; }
};

constexpr int64_t kFewTerms = 64;  // of a tap of F(4,3)

/// Forward and grad_input alike: results from sources through taps at stride 1. The taps along the depth axis are not transformed:
/// their products are summed over, as over channels and over the phases of the sources.
struct Problem {
  int64_t batch, groups;
  int64_t channels, results;  // per group
  /// Phases of each plane that are channels side by side, for few planes; 1: phases are slices.
  int64_t interleaved = 1;
  TiledAxis d, h, w;  // d: one output a tile, its points are the taps
  Scheme scheme_h, scheme_w;
  bool accurate() const { return h.accurate && w.accurate && line.accurate; }
  TiledAxis line;  // a folded one
  int64_t fold = 0;
  bool flipped;  // grad_input: the weight is (channels, results, taps), the taps run backwards

  int64_t points() const { return h.points * w.points; }
  int64_t phases() const { return h.phases * w.phases; }
  /// Vectors of results: [channels / lanes][phase].
  int64_t vectors(int64_t lanes) const { return (results + lanes - 1) / lanes * phases(); }
  /// Vectors that are multiplied and transformed back together.
  int64_t unit() const { return std::max<int64_t>(phases(), 2); }
  int64_t rows() const { return batch * d.size * h.tiles(); }
  int64_t planes() const { return channels / interleaved; }  // of the sources, per group
  int64_t source_phases() const { return h.step * w.step; }
  int64_t sliced_phases() const { return source_phases() / interleaved; }
  int64_t source_phase(int64_t slice, int64_t channel) const {
    return interleaved > 1 ? channel % interleaved : slice % source_phases();
  }
  /// Corners of a plane that lie outermost in F(4,3)'s tiles.
  int64_t corners() const { return (h.first_outermost + h.last_outermost) * (w.first_outermost + w.last_outermost); }
  bool sees_one_tap() const { return fold > 0 ? line.sees_one_tap() : h.sees_one_tap() || w.sees_one_tap(); }
  /// Terms in the shortest sum of a result.
  int64_t fewest_terms() const {
    return planes() * d.fewest_inputs() * (fold > 0 ? line.fewest_inputs() : h.fewest_inputs() * w.fewest_inputs());
  }
  /// Terms under a tap, and whether they are so few that results at the ends need the places where F(4,3) errs least.
  bool few_terms() const { return terms() < kFewTerms; }
  int64_t terms() const { return planes() * d.fewest_inputs(); }
  /// Depth taps and phases of the sources: [depth tap][phase].
  int64_t slices() const { return d.points * sliced_phases(); }
  int64_t depth() const { return slices() * channels; }
  /// Floats of a group's packed weight.
  int64_t group_floats(int64_t lanes) const { return points() * depth() * vectors(lanes) * lanes; }
  /// Whether the weight of a slice at a point is anything but zeros: the second phase of an odd kernel has a tap less than the
  /// scheme, hence nothing at infinity, the last point.
  bool multiplies(int64_t slice, int64_t point) const {
    const auto idle = [](const TiledAxis& axis, int64_t phase, int64_t at) {
      return axis.step == 2 && axis.kernel % 2 == 1 && phase == 1 && at + 1 == axis.points;
    };
    return interleaved > 1 || (!idle(h, slice / w.step % h.step, point / w.points) && !idle(w, slice % w.step, point % w.points));
  }
  /// Whether that of a vector of results is: backward the taps run from the last to the first, so nothing is at 0, the first point.
  bool yields(int64_t vector, int64_t point) const {
    const auto idle = [](const TiledAxis& axis, int64_t phase, int64_t at) {
      return axis.phases == 2 && axis.kernel % 2 == 1 && phase == 1 && at == 0;
    };
    return !idle(h, vector / w.phases % h.phases, point / w.points) && !idle(w, vector % w.phases, point % w.points);
  }
  /// Of `count` vectors side by side, at most two, those at the front with such a weight.
  int64_t yielding(int64_t first, int64_t count, int64_t point) const {
    return !yields(first, point) ? 0 : count == 2 && !yields(first + 1, point) ? 1 : count;
  }
  /// Points of a tile that are multiplied, of all slices, for a vector of results: the mean of its phases.
  double multiplied() const {
    if (interleaved > 1) return static_cast<double>(d.points * points());
    const auto pairs = [](const TiledAxis& axis) {
      const auto idle = static_cast<double>(axis.kernel % 2);
      return static_cast<double>(axis.step * axis.points) - (axis.step == 2 ? idle : 0) - (axis.phases == 2 ? idle / 2 : 0);
    };
    return static_cast<double>(d.points) * pairs(h) * pairs(w);
  }
  /// The share of the tiles' products at all points that incomplete tiles leave.
  double products_left() const {
    return winograd::products_left(h.incomplete(), h.points, h.tiles()) *
           winograd::products_left(w.incomplete(), w.points, w.tiles());
  }
};

constexpr int64_t kMostDilation = 8, kLeastFold = 16;
constexpr int64_t kFewPlanes = 7;  // whose phases fill one vector or two together, not one each

/// Whether a line of a larger dilation d is folded into rows of d positions: then the rows' axis is dense, and tiles that lie side
/// by side in the cache do so in memory. Its position j is row j / d, column j % d; the last row may be incomplete.
inline bool folds(const ConvShape& s) {
  for (size_t a = 0; a < 2; ++a) {
    if (s.axes[a].kernel_size != 1 || s.input[a] != 1 || s.output[a] != 1) return false;
  }
  return s.axes[2].dilation >= kLeastFold && s.axes[2].stride == 1;
}

inline Problem make_problem(const ConvShape& s, Direction direction, const Scheme& scheme_h, const Scheme& scheme_w) {
  Problem p;
  p.flipped = direction == Direction::kGradInput;
  p.batch = s.batch;
  p.groups = s.groups;
  p.channels = p.flipped ? s.out_channels_per_group() : s.in_channels_per_group();
  p.results = p.flipped ? s.in_channels_per_group() : s.out_channels_per_group();
  if (!p.flipped && p.channels <= kFewPlanes) {
    p.interleaved = s.axes[1].stride * s.axes[2].stride;
    p.channels *= p.interleaved;
  }
  p.scheme_h = scheme_h;
  p.scheme_w = scheme_w;
  const auto axis = [&](size_t a, int64_t outputs, int64_t points) {
    const shape::Axis& from = s.axes[a];
    TiledAxis t;
    t.outputs = outputs;
    t.points = points;
    t.dilation = from.dilation;
    t.kernel = from.kernel_size;
    t.result = p.flipped ? s.input[a] : s.output[a];
    t.source = p.flipped ? s.output[a] : s.input[a];
    if (p.flipped) {
      // Result i sees the gradients (i + pad) / stride - k dilation, through the tap (i + pad) mod stride + k stride.
      const int64_t begin = shape::floor_div(from.pad_begin, from.stride);
      t.phases = from.stride;
      t.base = begin * from.stride - from.pad_begin;
      t.size = shape::floor_div(t.result - 1 + from.pad_begin, from.stride) + 1 - begin;
      t.first = begin - from.dilation * (points - outputs);
    } else {
      t.step = from.stride;
      // F(3,4) errs most in a tile's first result where its window begins outside of the input, and in its last one where that
      // ends outside: up to 21 u sum |w| |x| in the corners of 3 rectified planes. So the tiles begin earlier.
      const int64_t outside = outputs == kF34.outputs && points == kF34.points ? (t.result % outputs == 2 ? 2 : 1) : 0;
      t.base = -outside;
      t.size = t.result + outside;
      t.first = -from.pad_begin - outside * from.stride;
    }
    return t;
  };
  // A result that sees one tap of an axis takes the rounding of inputs that it does not see, most in a tile's first place at the
  // near end of the axis and in its last at the far one. F(4,3), of three taps: in corners up to 54 u sum |w| |x|, 21 where another
  // axis has two taps there, 15 in all other places; F(2,5): up to 41; F(3,2): 31. So the tiles begin earlier, where that helps,
  // but for F(3,2) where padding or cropping keeps the size, which would take more tiles.
  const auto begin = [](TiledAxis& t, int64_t early) {
    t.base -= early * t.dilation * t.phases;
    t.size += early * t.dilation;
    t.first -= early * t.dilation * t.step;
  };
  const auto begin_early = [&begin](TiledAxis& t, const Scheme& of, int64_t taps, bool shifts) {
    const auto is = [&of](const Scheme& that) { return of.points == that.points && of.outputs == that.outputs; };
    if (!is(kF43) && !is(kF25) && !is(kF32)) return;
    if (is(kF32) && (!shifts || shape::ceil_div(t.source, t.step) == shape::ceil_div(t.result, t.phases))) return;
    const int64_t early = t.early_outputs(is(kF43) ? taps : 2);
    t.accurate = early == 0 || (early > 0 && shifts);
    if (t.accurate) begin(t, early);
  };
  p.d = axis(0, 1, s.axes[0].kernel_size);
  if (folds(s)) {
    p.line = axis(2, scheme_h.outputs, scheme_h.points);
    begin_early(p.line, scheme_h, 2, false);  // its rows have no place before the first
    p.fold = p.line.dilation;
    p.h = {.outputs = p.line.outputs,
           .points = p.line.points,
           .size = shape::ceil_div(p.line.size, p.fold),
           .first = p.line.first,
           .kernel = p.line.kernel};
    p.w = {.size = std::min(p.fold, p.line.size), .source = p.line.source, .result = p.line.result};
    return p;
  }
  p.h = axis(1, scheme_h.outputs, scheme_h.points);
  p.w = axis(2, scheme_w.outputs, scheme_w.points);
  if (p.sees_one_tap()) {
    const int64_t taps = scheme_h.points > 1 && scheme_w.points > 1 ? 3 : 2;
    begin_early(p.h, scheme_h, taps, true);
    begin_early(p.w, scheme_w, taps, true);
  } else {
    // With padding "same" a corner sees four taps of nine, and a result at an edge six: where they lie outermost in their tiles
    // F(4,3) errs there 3.5 and 1.8 times as much as elsewhere. So the tiles begin early where that takes no more of them, or where
    // few terms leave no room for it; other corners are summed up more closely.
    for (auto [t, scheme] : {std::pair(&p.h, &scheme_h), std::pair(&p.w, &scheme_w)}) {
      if (scheme->outputs != kF43.outputs || t->step > 1) continue;
      const int64_t early = t->early_outputs(3);
      TiledAxis moved = *t;
      if (early > 0) begin(moved, early);
      if (p.few_terms() || moved.tiles() == t->tiles()) *t = moved;
      t->accurate = early >= 0 || !p.few_terms();
      t->first_outermost = t->dilation == 1 && t->base == 0 && t->first < 0;
      t->last_outermost = t->dilation == 1 && t->size % t->outputs == 0 && t->size + t->first + 1 >= t->source;
    }
  }
  return p;
}

/// Tiles at the points [at infinity along h][and along w]: the incomplete ones of an axis have no place at its infinity.
struct TileCounts {
  std::array<std::array<int64_t, 2>, 2> at{};

  /// Of a run of tiles in a row, all of which are incomplete along h, or the last of which is along w.
  static TileCounts of_run(int64_t tiles, bool incomplete_row, bool incomplete_last) {
    const int64_t complete = tiles - (incomplete_last ? 1 : 0);
    return {{{{tiles, complete}, {incomplete_row ? 0 : tiles, incomplete_row ? 0 : complete}}}};
  }
  void operator+=(const TileCounts& more) {
    for (size_t h = 0; h < 2; ++h) {
      for (size_t w = 0; w < 2; ++w) at[h][w] += more.at[h][w];
    }
  }
  /// At one point of points_h x points_w.
  int64_t at_point(int64_t point, int64_t points_h, int64_t points_w) const {
    return at[point / points_w + 1 == points_h ? 1 : 0][point % points_w + 1 == points_w ? 1 : 0];
  }
};

/// Where the next tile lies in such arrays of T. At infinity an incomplete tile has the place of the next one: what is written
/// there is written again, and what is read there reaches no output that exists.
template <class T>
struct TilePlaces {
  std::array<std::array<T*, 2>, 2> at;

  TilePlaces(T* first, const TileCounts& before, int64_t tile_step) : at{{{first, first}, {first, first}}} {
    move(before, tile_step);
  }
  void move(const TileCounts& tiles, int64_t tile_step) {
    for (size_t h = 0; h < 2; ++h) {
      for (size_t w = 0; w < 2; ++w) at[h][w] += tiles.at[h][w] * tile_step;
    }
  }
};

/// A run of groups of tiles in the rows of a segment, the part [group_begin, group_end) of every row of tiles (the rows of all
/// planes behind one another): the first and the last row may be incomplete.
struct Block {
  int64_t group_begin, group_end;  // the segment
  int64_t first, last;             // counted over its rows
  int64_t dilation;                // tiles of a group
  int64_t missing;                 // tiles that the segment's last group lacks
  int64_t incomplete_row;          // every so many rows one of incomplete tiles; 0: none
  bool incomplete_column;          // the segment's last tiles are

  int64_t width() const { return group_end - group_begin; }
  int64_t row_begin() const { return first / width(); }
  int64_t row_end() const { return (last + width() - 1) / width(); }
  /// Groups of a row.
  int64_t begin(int64_t row) const { return group_begin + std::max<int64_t>(first - row * width(), 0); }
  int64_t end(int64_t row) const { return group_begin + std::min(last - row * width(), width()); }
  /// Tiles of a group.
  int64_t tiles(int64_t group) const { return group + 1 == group_end ? dilation - missing : dilation; }
  int64_t tiles() const { return (last - first) * dilation - (last / width() - first / width()) * missing; }
  TileCounts row_counts(int64_t row) const {
    const int64_t all = (end(row) - 1 - begin(row)) * dilation + tiles(end(row) - 1);
    return TileCounts::of_run(all, incomplete_row != 0 && (row + 1) % incomplete_row == 0,
                              incomplete_column && end(row) == group_end);
  }
  TileCounts counts() const {
    TileCounts sum{};
    for (int64_t row = row_begin(); row < row_end(); ++row) sum += row_counts(row);
    return sum;
  }
};

/// The cut, and the scratch memory that follows from it. No output's bits depend on it.
struct Tiling {
  int64_t lanes;
  int64_t segments, parts;                           // blocks across and along
  bool whole_rows;                                   // in a block
  int64_t deals;                                     // of the results: as many tasks transform a block, each for its own results
  int64_t group;                                     // vectors of results whose products lie in the cache together
  int64_t channel_blocks;                            // vectors of channels, of all depth taps
  int64_t most_tiles;                                // of a block
  int64_t source_plane;                              // floats between points of transformed sources
  int64_t row_floats, column_floats, result_floats;  // scratch of the transforms

  int64_t blocks() const { return segments * parts; }
  int64_t source_floats(const Problem& p) const { return p.points() * source_plane; }
  int64_t product_floats(const Problem& p) const { return p.points() * group * most_tiles * lanes; }

  Block block(const Problem& p, int64_t index) const {
    const int64_t segment = index % segments, part = index / segments, groups = p.w.groups();
    Block b{};
    b.group_begin = groups * segment / segments;
    b.group_end = groups * (segment + 1) / segments;
    const int64_t unit = whole_rows ? b.width() : 1, units = p.rows() * b.width() / unit;
    b.first = units * part / parts * unit;
    b.last = units * (part + 1) / parts * unit;
    b.dilation = p.w.dilation;
    b.missing = b.group_end == groups ? groups * p.w.dilation - p.w.tiles() : 0;
    b.incomplete_row = p.h.incomplete() ? p.h.tiles() : 0;
    b.incomplete_column = p.w.incomplete() && b.group_end == groups;
    return b;
  }
};

inline constexpr int64_t kKeptWeight = int64_t{3} << 19;  // bytes of a weight that stays in L2 beside a block
inline constexpr int64_t kStreamedBlock = int64_t{1}
                                          << 21;  // of a block with a larger one: the more tiles the fewer times it is read
// Tiles across: rows as long as L2 allows, for the planes are read and written by rows (16 tiles across on 224x224: 25 % slower).
inline constexpr int64_t kSegmentTiles = 72;
// Of a folded line: its rows end where the next one's begin, and shorter runs are not foreseen (128 channels, 16000 positions: 10
// %).
inline constexpr int64_t kFoldedTiles = 256;
// Tiles transformed at a time: few, so that their stores drain under the next ones' arithmetic.
inline constexpr int64_t kChunkTiles = 2;

Tiling make_tiling(const Problem& p, int64_t lanes, int threads);

}  // namespace convoy::kernels::winograd
