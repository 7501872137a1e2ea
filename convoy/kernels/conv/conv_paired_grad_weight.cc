// grad_weight[oc][ic] = sum over samples and pixels of grad_output[oc][pixel] input[ic][pixel]
//
// The terms, pixels of all samples in turn, are cut into blocks. Of a block the rows of both sides, scaled (conv_pairs-inl.h), are
// turned: 16 of one side become the lanes of vectors, up to 26 of the other are broadcast, and the tile's sums are added to those
// of the blocks before. Rows are first copied to where they lie side by side, whatever their stride, and their squares summed up.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_paired_grad_weight.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_gather-inl.h"
#include "convoy/kernels/conv/conv_paired_grad_weight.h"
#include "convoy/kernels/conv/conv_pairs-inl.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "convoy/core/parallel.h"
#include "convoy/shape/checked.h"

#ifndef CONVOY_KERNELS_CONV_PAIRED_GRAD_WEIGHT_GEOMETRY
#define CONVOY_KERNELS_CONV_PAIRED_GRAD_WEIGHT_GEOMETRY
namespace convoy::kernels::paired_grad_weight {

using conv_pairs::Parts;
using shape::ceil_div;

constexpr int64_t kLanes = 16;
constexpr int64_t kTurn = 2 * conv_pairs::kSix;  // terms that are turned together
constexpr int64_t kBlock = 24 * kTurn;           // terms of a block, at most
constexpr int64_t kPitch = 19 * kLanes;          // of copied rows, whose lines lie in different sets of the first cache
constexpr int64_t kLeastSpan = 144;              // pixels of maps whose blocks are of one sample
constexpr int64_t kMostTurned = 126 << 10;       // floats of a task's vectors: half of an outer cache
constexpr int64_t kMostParts = 4, kPartTiles = 512;

/// How many of so many terms should count on both sides, taken at random: few of few may hardly meet. Without it E passed 16 in one
/// of 3,000 drawn layers of up to 288 terms a block (docs/accuracy.md).
constexpr float least_common(int64_t terms) { return 8.0F + static_cast<float>(terms) / 48; }

/// One of the two arrays whose rows are multiplied.
struct Side {
  int64_t rows;           // of a group
  int64_t plane, sample;  // floats
  bool strided;
};

struct Plan {
  int64_t groups, terms, blocks, parts;
  int64_t span, span_blocks, least_turns, extra_turns;  // terms that are cut into blocks of even length: a sample's, or all
  bool turned;                                          // vectors are of output channels, and sums lie [ic][oc]
  bool in_samples;                                      // no block reaches into a second one
  Side vectors, singles;                                // in lanes, and broadcast

  int64_t block_begin(int64_t i) const {
    const int64_t k = i % span_blocks;
    return i / span_blocks * span + std::min(kTurn * (k * least_turns + std::min(k, extra_turns)), span);
  }
  int64_t block_most() const { return kTurn * (least_turns + (extra_turns > 0 ? 1 : 0)); }
  int64_t tiles() const { return ceil_div(vectors.rows, kLanes); }              // of vectors
  int64_t most_tiles() const { return kMostTurned / (block_most() * kLanes); }  // of a task
  Parts panels() const { return Parts(singles.rows, kLanes); }
  int64_t vector_floats() const { return conv_pairs::kHeader + block_most() * kLanes; }
  int64_t weights() const { return groups * vectors.rows * singles.rows; }
  int64_t kept() const { return parts > 1 || turned ? parts * weights() : 0; }  // sums beside the result
};

inline Plan make_plan(const ConvShape& s) {
  Plan p{};
  p.groups = s.groups;
  p.terms = s.batch * s.output_positions();
  const bool strided = s.input != s.output;
  p.vectors = {s.in_channels_per_group(), s.input_positions(), s.in_channels * s.input_positions(), strided};
  p.singles = {s.out_channels_per_group(), s.output_positions(), s.out_channels * s.output_positions(), false};
  const auto cost = [](int64_t vectors, int64_t singles) { return ceil_div(vectors, kLanes) * conv_pairs::even(singles); };
  p.turned = 16 * cost(p.singles.rows, p.vectors.rows) < 15 * cost(p.vectors.rows, p.singles.rows);
  if (p.turned) std::swap(p.vectors, p.singles);
  p.in_samples = s.output_positions() >= kLeastSpan;
  p.span = p.in_samples ? s.output_positions() : p.terms;
  const int64_t turns = ceil_div(p.span, kTurn);
  p.span_blocks = std::max<int64_t>(ceil_div(p.span, kBlock), 1);
  p.blocks = p.terms / std::max<int64_t>(p.span, 1) * p.span_blocks;
  p.least_turns = turns / p.span_blocks;
  p.extra_turns = turns % p.span_blocks;
  p.parts = std::clamp<int64_t>(kPartTiles / std::max<int64_t>(p.tiles() * p.panels().count, 1), 1,
                                std::clamp<int64_t>(p.blocks / 2, 1, kMostParts));
  return p;
}

/// Floats of a thread's scratch memory.
struct Scratch {
  int64_t vectors, singles, rows, segments;
  int64_t all() const { return vectors + singles + rows + segments; }
};

/// Tasks of a group and part: parts of the vectors and of the panels. Both sides are turned again for each of the other's. The bits
/// of a result do not depend on it.
struct Split {
  int64_t vector_parts, panel_parts;
};
inline Split split_of(const Plan& p, int threads) {
  Split best{1, 1};
  double least = 0;
  const int64_t tiles = p.tiles(), panels = p.panels().count, chunks = ceil_div(tiles, p.most_tiles());
  for (int64_t r = std::max<int64_t>(chunks, 1); r <= std::min(tiles, chunks + threads - 1); ++r) {
    for (int64_t f = 1; f <= 3; ++f) {
      const int64_t q = std::min<int64_t>(ceil_div(f * threads, r * p.parts * p.groups), panels);
      const auto rounds = static_cast<double>(ceil_div(p.parts * p.groups * r * q, threads));
      const auto v = static_cast<double>(ceil_div(tiles, r)), n = static_cast<double>(ceil_div(panels, q));
      const double time = rounds * (v * n * 11 + v * 9 + n * 9);  // cycles for a term
      if (least == 0 || time < least) {
        least = time;
        best = {r, q};
      }
    }
  }
  return best;
}
inline Scratch scratch_of(const Plan& p, int threads) {
  return {.vectors = ceil_div(p.tiles(), split_of(p, threads).vector_parts) * p.vector_floats(),
          .singles = conv_pairs::kHeader + (p.block_most() + 1) * kLanes,
          .rows = kLanes * kPitch,
          .segments = ceil_div(p.block_most() * static_cast<int64_t>(sizeof(gather::Segment) / sizeof(float)), kLanes) * kLanes};
}

}  // namespace convoy::kernels::paired_grad_weight
#endif  // CONVOY_KERNELS_CONV_PAIRED_GRAD_WEIGHT_GEOMETRY

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using paired_grad_weight::kLanes;
using paired_grad_weight::kPitch;
using paired_grad_weight::kTurn;
using paired_grad_weight::Plan;
using paired_grad_weight::Scratch;
using paired_grad_weight::Side;
using paired_grad_weight::Split;

#if HWY_TARGET == HWY_AVX3

using tile::Floats;
using tile::Full;

// Sums up squares and sizes of up to 16 rows, of each of which there are some segments. kCopies: and copies them, kPitch apart, but
// no rows beyond a multiple of four.
template <bool kCopies>
HWY_NOINLINE HWY_ATTR void TakeRows(const float* from, int64_t step, int64_t rows, const gather::Segment* segments, int64_t count,
                                    float* to, float* squares, float* sizes) {
  const Full d;
  constexpr int kTogether = 4;
  for (int64_t r = 0; r < rows; r += kTogether) {
    Floats square[kTogether], size[kTogether];
    HWY_UNROLL(4)
    for (int k = 0; k < kTogether; ++k) square[k] = size[k] = hn::Zero(d);
    for (const gather::Segment* segment = segments; segment != segments + count; ++segment) {
      const float* row[kTogether];
      HWY_UNROLL(4)
      for (int k = 0; k < kTogether; ++k) row[k] = from + std::min(r + k, rows - 1) * step + segment->source;
      float* const at = to + r * kPitch + segment->at;
      const int64_t terms = segment->count;
      auto mask = hn::FirstN(d, static_cast<size_t>(kLanes));
      for (int64_t i = 0; i < terms; i += kLanes) {
        if (i + kLanes > terms) mask = hn::FirstN(d, static_cast<size_t>(terms - i));
        HWY_UNROLL(4)
        for (int k = 0; k < kTogether; ++k) {
          __builtin_prefetch(row[k] + kTogether * step + i);
          const Floats v = hn::MaskedLoad(mask, d, row[k] + i);
          square[k] = hn::MulAdd(v, v, square[k]);
          size[k] = hn::Add(size[k], hn::Abs(v));
          if constexpr (kCopies) hn::StoreU(v, d, at + k * kPitch + i);  // what is behind a segment the next one overwrites
        }
      }
    }
    HWY_UNROLL(4)
    for (int k = 0; k < kTogether; ++k) {
      squares[r + k] = hn::GetLane(hn::SumOfLanes(d, square[k]));
      sizes[r + k] = hn::GetLane(hn::SumOfLanes(d, size[k]));
    }
  }
}

// Four terms of 16 rows, scaled, to to[term][row].
HWY_INLINE void TurnFour(const float* rows, int64_t step, Floats scale, float* to, int64_t width, Floats (&four)[4]) {
  tile::TransposeFour(rows, step, four);
  HWY_UNROLL(4)
  for (int k = 0; k < 4; ++k) {
    four[k] = hn::Mul(four[k], scale);
    hn::StoreU(four[k], Full(), to + k * width);
  }
}

// All terms, and what pairs of them add too much. Writes a vector for each term, in turn.
HWY_NOINLINE HWY_ATTR void TurnRows(const float* rows, int64_t step, int64_t terms, Floats scale, float* to, int64_t width,
                                    float* offsets) {
  const Full d;
  Floats sum = hn::Zero(d), a[4], b[4], c[4];
  int64_t i = 0;
  for (; i + kTurn <= terms; i += kTurn) {
    TurnFour(rows + i, step, scale, to + i * width, width, a);
    TurnFour(rows + i + 4, step, scale, to + (i + 4) * width, width, b);
    TurnFour(rows + i + 8, step, scale, to + (i + 8) * width, width, c);
    sum = hn::MulAdd(a[0], a[1], sum);
    sum = hn::NegMulAdd(a[3], b[0], sum);
    sum = hn::MulAdd(b[2], b[3], sum);
    sum = hn::NegMulAdd(c[1], c[2], sum);
  }
  for (int64_t j = i; j < terms; j += 4) {
    const int64_t at = std::min(j, terms - 4);  // some a second time
    TurnFour(rows + at, step, scale, to + at * width, width, a);
  }
  if (i + conv_pairs::kSix <= terms) {
    const float* const last = to + i * width;
    sum = hn::MulAdd(hn::LoadU(d, last), hn::LoadU(d, last + width), sum);
    sum = hn::NegMulAdd(hn::LoadU(d, last + 3 * width), hn::LoadU(d, last + 4 * width), sum);
  }
  hn::StoreU(sum, d, offsets);
}

// The terms of a block in the rows of a side: where they lie.
struct Terms {
  const ConvShape& shape;
  const Side& side;
  const gather::Segment* segments;
  int64_t segment_count, count;
};

/// Where a panel says how many terms count in the row with the fewest of those that may go by pairs.
HWY_INLINE float& Fewest(const pairs::Panel& panel) { return panel.direct()[1]; }

// A panel (conv_pairs-inl.h) of up to 16 rows; lanes beyond them up to `width` hold anything.
HWY_ATTR void TurnPanel(const Terms& t, const float* from, int64_t count, int64_t width, float* rows, const pairs::Panel& panel) {
  constexpr int64_t kClash = 512;  // floats: of 16 rows that lie so far apart more than 8 lines share a set
  const Full d;
  HWY_ALIGN float squares[kLanes], sizes[kLanes];
  const float* source = rows;
  int64_t step = kPitch;
  if (t.side.strided) {
    gather::CopyPixels(t.shape, t.segments, t.segment_count, from, t.side.plane, count, kPitch, rows);
    const gather::Segment all{0, t.count, 0};
    TakeRows<false>(rows, kPitch, count, &all, 1, rows, squares, sizes);
  } else if (count == kLanes && t.segment_count == 1 && t.side.plane % kClash != 0) {
    source = from + t.segments[0].source;
    step = t.side.plane;
    TakeRows<false>(from, step, count, t.segments, 1, rows, squares, sizes);
  } else {
    TakeRows<true>(from, t.side.plane, count, t.segments, t.segment_count, rows, squares, sizes);
  }
  const auto mask = hn::FirstN(d, static_cast<size_t>(count));
  const pairs::Scales scales = pairs::Scales::Of(hn::Load(d, squares), hn::Load(d, sizes), t.count, mask);
  hn::StoreU(scales.undo, d, panel.undo());
  TurnRows(source, step, t.count, scales.scale, panel.values(), width, panel.offsets());
  pairs::StoreBits(scales.direct, panel.direct());
  const auto direct = static_cast<uint16_t>(scales.direct);
  const Floats all = hn::Set(d, static_cast<float>(t.count)), size = hn::Load(d, sizes);
  const auto counts =
      hn::AndNot(hn::LoadMaskBits(d, reinterpret_cast<const uint8_t*>(&direct)), hn::And(mask, hn::Ne(size, hn::Zero(d))));
  const Floats terms = hn::IfThenElse(counts, hn::Div(hn::Mul(size, size), hn::Load(d, squares)), all);
  Fewest(panel) = hn::GetLane(hn::MinOfLanes(d, terms));
}

// What a task works on: a group of both arrays, its sums, and its thread's scratch memory.
struct PairedWeightTask {
  const Plan& p;
  const ConvShape &vector_shape, &single_shape;
  const float *vectors, *singles;
  float* result;
  float *turned, *panel, *rows;
  gather::Segment* segments;
};

struct Range {
  int64_t begin, end;

  Range part(int64_t i, int64_t parts) const {
    return {begin + (end - begin) * i / parts, begin + (end - begin) * (i + 1) / parts};
  }
};

// Rows whose values are fetched meanwhile.
struct Ahead {
  const float* rows[2 * kLanes];
  int64_t count = 0;

  void add(const Side& side, const float* from, int64_t term, Range range) {
    if (side.strided) return;  // copies ask for them
    from += term / side.plane * side.sample + term % side.plane;
    for (int64_t row = range.begin; row < range.end; ++row) rows[count++] = from + row * side.plane;
  }
};

// The products of `tiles` and `panels` in a block; behind it another one follows if `next`.
HWY_ATTR void RunBlock(const PairedWeightTask& t, int64_t block, bool first, bool next, Range tiles, Range panels) {
  const Plan& p = t.p;
  const int64_t begin = p.block_begin(block), end = p.block_begin(block + 1);
  const conv_pairs::Parts all_panels = p.panels();
  const auto terms_of = [&](const ConvShape& shape, const Side& side) HWY_ATTR {
    const int64_t count = gather::FindSegments(shape, side.sample, begin, end, paired_grad_weight::kBlock, 0, t.segments);
    return Terms{shape, side, t.segments, count, end - begin};
  };
  const auto vectors = [&](int64_t tile) { return pairs::Panel{t.turned + (tile - tiles.begin) * p.vector_floats()}; };
  const auto rows_of_tile = [&](int64_t tile) { return Range{tile * kLanes, std::min((tile + 1) * kLanes, p.vectors.rows)}; };
  const auto rows_of_panel = [&](int64_t i) { return Range{all_panels.begin(i), all_panels.begin(i + 1)}; };
  const Terms in_lanes = terms_of(t.vector_shape, p.vectors);
  for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
    const Range rows = rows_of_tile(tile);
    TurnPanel(in_lanes, t.vectors + rows.begin * p.vectors.plane, rows.end - rows.begin, kLanes, t.rows, vectors(tile));
  }
  const float least = static_cast<float>(end - begin) * paired_grad_weight::least_common(end - begin);
  const Terms broadcast = terms_of(t.single_shape, p.singles);
  for (int64_t i = panels.begin; i < panels.end; ++i) {
    const Range rows = rows_of_panel(i);
    const int64_t count = rows.end - rows.begin;
    const pairs::Panel panel{t.panel};
    TurnPanel(broadcast, t.singles + rows.begin * p.singles.plane, count, conv_pairs::even(count), t.rows, panel);
    for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
      const pairs::Panel turned = vectors(tile);
      float* const to = t.result + rows.begin * p.vectors.rows + tile * kLanes;
      for (int64_t k = 0; k < count; ++k) __builtin_prefetch(to + k * p.vectors.rows, 1);
      Ahead ahead;
      if (p.in_samples) {
        const bool here = i + 1 < panels.end;
        if (here || next) {
          const Range others = rows_of_panel(here ? i + 1 : panels.begin);
          ahead.add(p.singles, t.singles, here ? begin : end, others.part(tile - tiles.begin, tiles.end - tiles.begin));
        }
        if (next) {
          ahead.add(p.vectors, t.vectors, end, rows_of_tile(tile).part(i - panels.begin, panels.end - panels.begin));
        }
      }
      const bool many = Fewest(panel) * Fewest(turned) >= least;
      pairs::Run({.v = turned.values(),
                  .s = panel.values(),
                  .channels = end - begin,
                  .vector_offsets = turned.offsets(),
                  .vector_factors = turned.undo(),
                  .offsets = panel.offsets(),
                  .factors = panel.undo(),
                  .residual = first ? nullptr : to,
                  .to = to,
                  .stride = p.vectors.rows,
                  .lanes = std::min(kLanes, p.vectors.rows - tile * kLanes),
                  .count = count,
                  .vector_direct = many ? pairs::LoadBits(turned.direct()) : ~uint32_t{0},
                  .direct = pairs::LoadBits(panel.direct()),
                  .whole = true,
                  .ahead_rows = ahead.rows,
                  .ahead_row_count = ahead.count});
    }
  }
}

// Adds the parts' sums in order, into the first, and stores them as the weight.
HWY_ATTR void StoreParts(const Plan& p, float* sums, float* weight) {
  const int64_t all = p.weights(), grain = conv_tile::kLine << 8;
  parallel_ranges(all, grain, [&](int64_t begin, int64_t end) HWY_ATTR {
    const Full d;
    float* const to = p.turned ? sums : weight;
    for (int64_t i = begin; i < end; i += kLanes) {
      const auto mask = hn::FirstN(d, static_cast<size_t>(std::min(end - i, kLanes)));
      Floats sum = hn::MaskedLoad(mask, d, sums + i);
      for (int64_t part = 1; part < p.parts; ++part) sum = hn::Add(sum, hn::MaskedLoad(mask, d, sums + part * all + i));
      hn::BlendedStore(sum, mask, d, to + i);
    }
  });
  if (!p.turned) return;
  const int64_t rows = p.singles.rows, columns = p.vectors.rows;
  parallel_for(p.groups * p.tiles(), [&](int64_t task) HWY_ATTR {
    const int64_t group = task / p.tiles(), column = task % p.tiles() * kLanes;
    Transpose(sums + group * rows * columns + column, columns, weight + (group * columns + column) * rows, rows, rows,
              std::min(kLanes, columns - column));
  });
}

#endif  // HWY_AVX3

HWY_ATTR void PairedGradWeight(const ConvShape& s, const ConvGradWeight<float>& io, Workspace& workspace) {
#if HWY_TARGET == HWY_AVX3
  const Plan p = paired_grad_weight::make_plan(s);
  const int threads = num_threads();
  const Split split = paired_grad_weight::split_of(p, threads);
  const Scratch floats = paired_grad_weight::scratch_of(p, threads);
  ConvShape output = s;  // a layer whose input has grad_output's order
  output.input = s.output;
  float* const sums = p.kept() > 0 ? workspace.take<float>(p.kept()) : io.grad_weight;
  float* const scratch = workspace.take<float>(floats.all() * threads);
  const int64_t parts = split.vector_parts * split.panel_parts, panels = p.panels().count;
  parallel_for(p.parts * p.groups * parts, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t part = task / parts / p.groups, group = task / parts % p.groups, vector_part = task % split.vector_parts,
                  panel_part = task % parts / split.vector_parts;
    const float *const input = io.input + group * s.in_channels_per_group() * s.input_positions(),
                       *const grad_output = io.grad_output + group * s.out_channels_per_group() * s.output_positions();
    float* const own = scratch + thread * floats.all();
    const PairedWeightTask t{p,
                             p.turned ? output : s,
                             p.turned ? s : output,
                             p.turned ? grad_output : input,
                             p.turned ? input : grad_output,
                             sums + (part * p.groups + group) * p.vectors.rows * p.singles.rows,
                             own,
                             own + floats.vectors,
                             own + floats.vectors + floats.singles,
                             reinterpret_cast<gather::Segment*>(own + floats.vectors + floats.singles + floats.rows)};
    const int64_t first = p.blocks * part / p.parts, last = p.blocks * (part + 1) / p.parts;
    for (int64_t block = first; block < last; ++block) {
      RunBlock(t, block, block == first, block + 1 < last, Range{0, p.tiles()}.part(vector_part, split.vector_parts),
               Range{0, panels}.part(panel_part, split.panel_parts));
    }
  });
  if (p.kept() > 0) StoreParts(p, sums, io.grad_weight);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(PairedGradWeight);

namespace {

constexpr int64_t kLeastRows = 8, kLeastPixels = 32, kLeastTerms = 36;

const char* refuse(const ConvShape& s) {
  if (nominal_machine().lanes != paired_grad_weight::kLanes) return "needs vectors of 512 bits";
  if (const char* const reason = gather::refuse(s, true, false)) return reason;
  const paired_grad_weight::Plan p = paired_grad_weight::make_plan(s);
  if (std::min(p.vectors.rows, p.singles.rows) < kLeastRows) return "needs 8 channels of input and output";
  if (s.output_positions() < kLeastPixels) return "needs maps of at least 32 pixels";
  if (p.terms < kLeastTerms) return "needs 36 pixels";
  return nullptr;
}

// In cycles at 85 % of the peak: a vector of sums takes 4.1 for six terms and 10 for each block, turning a vector 8. Strided rows
// are copied before.
double seconds(const ConvShape& s, const Machine& m) {
  const paired_grad_weight::Plan p = paired_grad_weight::make_plan(s);
  const double cycle = 2.0 * paired_grad_weight::kLanes / (0.85 * m.flops_per_second), six = m.adds_beside ? 4.1 : 9;
  const auto number = [](int64_t n) { return static_cast<double>(n); };
  const int64_t chunks = shape::ceil_div(p.tiles(), p.most_tiles());
  const double terms = number(p.groups * p.terms), sums = number(p.tiles() * conv_pairs::even(p.singles.rows));
  const double turned = number(p.tiles() + p.panels().count * chunks);
  return 2e-6 + (terms * (sums * six / 6 + turned * 8) + number(p.groups * p.blocks) * sums * 10) * cycle +
         0.4 * gather::seconds(s, m);
}

size_t workspace_bytes(const ConvShape& s, int threads) {
  const paired_grad_weight::Plan p = paired_grad_weight::make_plan(s);
  const auto bytes = [](int64_t floats) { return padded_bytes(static_cast<size_t>(floats) * sizeof(float)); };
  return bytes(p.kept()) + bytes(paired_grad_weight::scratch_of(p, threads).all() * threads);
}

}  // namespace

const ConvKernel kConvPairedGradWeight{.name = "conv_paired",
                                       .direction = Direction::kGradWeight,
                                       .accuracy = Accuracy::kDefault,
                                       .refuse = refuse,
                                       .seconds = seconds,
                                       .workspace_bytes = workspace_bytes,
                                       .grad_weight = [](const ConvShape& s, const ConvGradWeight<float>& io, Workspace& w) {
                                         CONVOY_DISPATCH(PairedGradWeight)(s, io, w);
                                       }};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
