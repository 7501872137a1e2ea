// Lanes are channels from the first layer to the last. Tasks take blocks of two vectors of expanded channels, or of one where rows
// are wide: rows of them are expanded, [column][channel], as far as the next rows of the depthwise layer read, and these are
// computed where they lie, every tap one aligned vector. Columns of zeros stand beside the rows, so no column is a border. Then the
// projection takes its pixels one by one from [block][pixel][channel], lanes being result channels. Only its results, which are
// few, are turned into planes.
//
// Squeeze-and-excitation needs all rows before the projection begins: sums of rows are kept, and behind the barrier each task makes
// the gates of its channels and scales them where they lie.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_inverted_residual.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_depthwise_geometry.h"
#include "convoy/kernels/conv/conv_inverted_residual.h"
#include "convoy/kernels/conv/conv_pairs-inl.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "convoy/core/parallel.h"

#ifndef CONVOY_KERNELS_CONV_INVERTED_RESIDUAL_PLAN
#define CONVOY_KERNELS_CONV_INVERTED_RESIDUAL_PLAN
namespace convoy::kernels::inverted_residual_parts {

constexpr int64_t kColumns = 7;            // of a depthwise tile: 7, 14, 28, 56 and 112 divide by it
constexpr int64_t kBandFloats = 3 << 10;   // expanded at a time: a third of the first cache
constexpr int64_t kMostRing = 4 << 10;     // of rows of a block that the depthwise layer reads: half of the first cache
constexpr int64_t kChain = 256;            // channels of one chain of the projection's sums
constexpr int64_t kMostMiddle = 48 << 10;  // floats of half of the depthwise results that stay in L2
constexpr int64_t kMostKept = 160 << 10;   // the same where squeeze-and-excitation keeps them until all are there
constexpr int64_t kMostAhead = 240 << 10;  // of a side's weights and results, for the gates' weights to stay in L2 beside them
constexpr int64_t kNextPage = 1024;        // floats: weights that are used once are asked for where the processor stops by itself

constexpr int64_t kLeastPairs =
    32;  // channels whose expansion goes by pairs: with 24 what a tile begins and ends with takes as long

constexpr int64_t kLeastPairedResults = 64;   // of a projection by pairs: with fewer the copies of its pixels take what it saves
constexpr int64_t kLeastPairedChannels = 48;  // of its chains

constexpr int64_t kOwnFloats =
    128 << 10;  // threads' scratch memory begins at multiples, so that one layer's is not another's of the next

using depthwise::round_up;

// What a row of an expansion with windows reads: of each channel and row of the kernel a line, its columns sorted by their
// remainder by the stride, between zeros. So windows are a matter of taps, and the pixels of a tile lie side by side.
struct Lines {
  int64_t channels, height, width;  // of the input
  int64_t kernel_height, kernel_width, stride_height, stride_width, pad_top, pad_left;
  bool pointwise;  // a 1x1 layer reads the input where it lies
  int64_t phase;   // floats of the columns of one remainder

  Lines(const ConvShape& s, int64_t lanes)
      : channels(s.in_channels),
        height(s.input[1]),
        width(s.input[2]),
        kernel_height(s.axes[1].kernel_size),
        kernel_width(s.axes[2].kernel_size),
        stride_height(s.axes[1].stride),
        stride_width(s.axes[2].stride),
        pad_top(s.axes[1].pad_begin),
        pad_left(s.axes[2].pad_begin),
        pointwise(s.taps() == 1 && s.input == s.output),
        phase(round_up(
            std::max((pad_left + width + stride_width - 1) / stride_width, s.output[2] + (kernel_width - 1) / stride_width),
            lanes)) {}
  int64_t line() const { return stride_width * phase; }
  int64_t floats() const { return pointwise ? 0 : channels * kernel_height * line(); }
};

// How a layer is computed, by its shape and the lanes alone.
struct Plan {
  int64_t lanes, block, half;  // a block is two vectors of channels; what is left is counted in halves of a vector
  int64_t step;                // from pixel to pixel of what lies between the layers: a block, or a vector if all channels fit
  int64_t terms, expanded, results;  // of the expansion's sums
  int64_t height, width, out_height, out_width;
  int64_t kernel, stride, pad_top, pad_left;
  int64_t in_map, out_map;
  int64_t blocks, result_blocks;
  int64_t columns;  // of a row in scratch memory, with the zeros
  Lines lines;
  bool shortcut;
  bool by_rows;  // a thread computes some rows of results, not the sums of some chains
  // Chains of the projection's sums lie on one side or two, one for each of two threads, of as many channels as halves of vectors
  // allow. A side's last block may be narrower.
  int64_t sides, chains, first_blocks;  // of the first side
  // By pairs: panels of the input's pixels of a row, or of two where these are short, and behind all weights the factor of each
  // channel's pixels, what each expanded channel's pairs add too much, the factor of its sums, and which of each vector should
  // not go by pairs. A block's part of the expansion is then [vector][channel][lane].
  bool pairs;
  int64_t panel_rows, row_panels, panel_floats;
  conv_pairs::Parts row_parts;  // of a row by itself
  int64_t channel_factors_at, offsets_at, factors_at, direct_at;
  // The projection by pairs: its weights are [chain][vector of results][channel][lane], and as above there are factors of expanded
  // channels, and of each chain's results what their pairs add too much, their factors and bits.
  bool project_pairs;
  int64_t result_vectors, middle_factors_at, result_offsets_at, result_factors_at, result_direct_at;
  // Packed: [block][block_floats], [block][tap][lane], [block of results][expanded channel][its lanes]. A block has its part of the
  // expansion, [channel][lane], and of squeeze-and-excitation, [lane][squeezed value] and [squeezed value][lane], the values of a
  // lane being padded to whole vectors: while a block is expanded, what lies between it and the next is fetched. Weights of the
  // gates that would not stay in L2 until then lie behind all the others, [block][squeezed value][lane].
  int64_t squeezed, squeezed_lanes, squeeze_at, block_floats;
  int64_t excite_at, excite_step;
  int64_t depthwise_at, project_at, packed;

  Plan(const InvertedResidualShape& s, int64_t target_lanes)
      : lanes(target_lanes),
        block(2 * lanes),
        half(std::max<int64_t>(lanes / 2, 1)),
        step(block),
        terms(s.expand.in_channels * s.expand.taps()),
        expanded(s.expand.out_channels),
        results(s.project.out_channels),
        height(s.depthwise.input[1]),
        width(s.depthwise.input[2]),
        out_height(s.depthwise.output[1]),
        out_width(s.depthwise.output[2]),
        kernel(s.depthwise.axes[2].kernel_size),
        stride(s.depthwise.axes[2].stride),
        pad_top(s.depthwise.axes[1].pad_begin),
        pad_left(s.depthwise.axes[2].pad_begin),
        in_map(s.expand.input[1] * s.expand.input[2]),
        out_map(out_height * out_width),
        result_blocks((results + block - 1) / block),
        columns(std::max(pad_left + width, (out_width - 1) * stride + kernel)),
        lines(s.expand, lanes),
        shortcut(s.shortcut),
        row_parts(width) {
    // Rows that stay in the first cache are worth more than pixels that are read once for two vectors; 6 pixels of AVX2 by one
    // vector would wait for each other. Lines would be filled once more.
    if (expanded <= lanes || (lanes >= 16 && lines.pointwise && columns * kernel * block > kMostRing)) step = lanes;
    by_rows = s.squeezed == 0 && out_map * expanded > 2 * kMostMiddle;
    chains = by_rows ? (expanded + kChain - 1) / kChain : (expanded + 2 * kChain - 1) / (2 * kChain) * 2;
    chains = std::min(chains, (expanded + block - 1) / block);
    sides = by_rows || chains == 1 ? 1 : 2;
    first_blocks = (side_channel(1) + step - 1) / step;
    blocks = first_blocks + (side_channel(sides) - side_channel(1) + step - 1) / step;
    squeezed = s.squeezed;
    squeezed_lanes = round_up(squeezed, lanes);
    squeeze_at = step * terms;
    block_floats = squeeze_at + step * squeezed_lanes;
    const int64_t gates = step * squeezed;
    const bool near = first_blocks * (block_floats + gates + step * out_map) <= kMostAhead;
    excite_at = block_floats;
    if (near) block_floats += gates;
    depthwise_at = blocks * block_floats;
    project_at = depthwise_at + blocks * block * kernel * kernel;
    result_vectors = (results + lanes - 1) / lanes;
    project_pairs = s.pairs && lanes == 16 && results >= kLeastPairedResults && expanded / chains >= kLeastPairedChannels;
    packed = project_at + round_up(project_pairs ? result_vectors * lanes * expanded : round_up(results, half) * expanded, lanes);
    excite_step = near ? block_floats : gates;
    if (!near) {
      excite_at = packed;
      packed += blocks * gates;
    }
    pairs = s.pairs && lanes == 16 && lines.pointwise && terms >= kLeastPairs && width >= conv_pairs::kLeastTile - 1;
    panel_rows = pairs && 2 * width <= conv_pairs::kTile ? 2 : 1;
    if (panel_rows > 1) row_parts = conv_pairs::Parts(0);
    row_panels = panel_rows > 1 ? 1 : row_parts.count;
    panel_floats = conv_pairs::kHeader + round_up(terms * (panel_rows > 1 ? 2 * width : row_parts.most()), lanes);
    const auto take = [this](int64_t floats) {
      const int64_t at = packed;
      packed += round_up(floats, lanes);
      return at;
    };
    if (pairs) {
      channel_factors_at = take(terms);
      offsets_at = take(blocks * step);
      factors_at = take(blocks * step);
      direct_at = take(blocks * step / lanes);
    }
    if (project_pairs) {
      middle_factors_at = take(expanded);
      result_offsets_at = take(chains * result_vectors * lanes);
      result_factors_at = take(chains * result_vectors * lanes);
      result_direct_at = take(chains * result_vectors);
    }
  }
  // Of a chain's first channel and vector of results.
  int64_t paired_project_at(int64_t chain) const { return project_at + chain_channel(chain) * result_vectors * lanes; }
  // Panels of rows begin at multiples of panel_rows.
  int64_t panel_row(int64_t row) const { return row / panel_rows * panel_rows; }
  int64_t rows_made(int64_t needed) const { return std::min(round_up(needed, panel_rows), height); }
  int64_t middle_floats() const { return blocks * out_map * step; }                // of a sample, if they are kept
  int64_t row_sums() const { return blocks * out_height * step; }                  // so are the sums of rows
  int64_t squeeze_floats() const { return row_sums() + chains * squeezed_lanes; }  // and each chain's share of the squeezed values
  // The channel with which a side, a chain and a block begins; channels beyond the last one are zeros up to half a vector.
  int64_t side_channel(int64_t side) const { return (expanded + half - 1) / half * side / sides * half; }
  int64_t chain_channel(int64_t chain) const { return chain == chains ? side_channel(sides) : block_channel(chain_begin(chain)); }
  int64_t block_channel(int64_t i) const { return i < first_blocks ? i * step : side_channel(1) + (i - first_blocks) * step; }
  int64_t lanes_of_block(int64_t i) const { return std::min(step, side_channel(i < first_blocks ? 1 : sides) - block_channel(i)); }
  int64_t lanes_of_results(int64_t i) const { return std::min(block, round_up(results - i * block, half)); }
  int64_t chain_begin(int64_t chain) const {  // a block
    const int64_t of_side = chains / sides, i = chain % of_side;
    if (chain < of_side) return first_blocks * i / of_side;
    return chain == chains ? blocks : first_blocks + (blocks - first_blocks) * i / of_side;
  }
  int64_t side_blocks(int64_t parts) const {  // of one of so many parts of a side, at most
    return (std::max(first_blocks, blocks - first_blocks) + parts - 1) / parts;
  }
  int64_t chain_channels() const { return side_blocks(chains / sides) * step; }  // at most
  int64_t chain_end(int64_t chain) const { return std::min(chain_channel(chain + 1), expanded); }
  // Rows that the result rows up to this one read.
  int64_t rows_read(int64_t row) const { return std::clamp<int64_t>((row - 1) * stride - pad_top + kernel, 0, height); }
};

// How a run is shared out: only speed depends on it.
struct Cut {
  int64_t slots;        // sums of chains that are kept apart until all are there; 1: results are finished at once
  int64_t row_parts;    // tasks are slots and parts of the rows
  int64_t rows;         // of results that are projected at a time
  int64_t band;         // and that the depthwise layer computes at a time
  int64_t ring;         // rows of an expanded block that are kept
  int64_t blocks;       // of one task, at most
  int64_t row_blocks;   // that keep rows of their own
  int64_t middle_step;  // floats from block to block of depthwise results
  int64_t panels;       // that the rows of results which are projected at a time read at most

  Cut(const Plan& p, int64_t batch, int threads) {
    slots = p.by_rows || p.chains == 1 ? 1 : threads <= 2 ? 2 : p.chains;
    row_parts = std::clamp<int64_t>((threads + batch * slots - 1) / (batch * slots), 1, p.out_height);
    const int64_t task_rows = (p.out_height + row_parts - 1) / row_parts;
    rows = p.by_rows ? std::clamp<int64_t>(2 * kBandFloats / (p.out_width * p.block), 1, task_rows) : task_rows;
    band = std::clamp<int64_t>(kBandFloats / (p.columns * p.step * p.stride), 1, rows);
    ring = (band - 1) * p.stride + p.kernel + p.panel_rows - 1;
    blocks = p.side_blocks(std::max<int64_t>(slots / 2, 1));
    row_blocks = p.by_rows ? p.blocks : 1;
    middle_step = (p.squeezed > 0 ? p.out_height : rows) * p.out_width * p.step;
    panels = p.pairs ? std::min((rows - 1) * p.stride + p.kernel + 2 * p.panel_rows, p.height + p.panel_rows) / p.panel_rows *
                           p.row_panels
                     : 0;
  }
};

}  // namespace convoy::kernels::inverted_residual_parts
#endif  // CONVOY_KERNELS_CONV_INVERTED_RESIDUAL_PLAN

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
#if HWY_TARGET == HWY_SCALAR  // one layer after the other is as fast there, and smaller
bool InvertedResidualRuns(const InvertedResidualShape&) { return false; }
bool InvertedResidualWins(const InvertedResidualShape&) { return false; }
int64_t InvertedResidualPackedFloats(const InvertedResidualShape&) { return 0; }
size_t InvertedResidualWorkspace(const InvertedResidualShape&, int) { return 0; }
void InvertedResidualPack(const InvertedResidualShape&, const float*, float*) {}
void InvertedResidual(const InvertedResidualShape&, const InvertedResidualArrays&, const InvertedResidualEpilogues&, Workspace&) {}
#else
namespace hn = hwy::HWY_NAMESPACE;
using conv_tile::Tap;
using inverted_residual_parts::Cut;
using inverted_residual_parts::kColumns;
using inverted_residual_parts::kOwnFloats;
using inverted_residual_parts::Plan;
using inverted_residual_parts::round_up;
using tile::Floats;
using tile::Full;

// The rows of a depthwise kernel that meet a row of the input.
struct KernelRows {
  int64_t count;
  const float* source[5];
  const float* weight[5];  // of the vector's first tap in that row
};

struct Limits {
  bool clamp;
  float low, high;
};

// A row of results of one vector of channels; pixels are `step` floats apart.
template <int kKernel, int kStride>
HWY_NOINLINE void DepthwiseTile(const KernelRows& rows, int64_t lane, const float* bias, const Limits& limits, int64_t count,
                                int64_t step, float* to) {
  const Full d;
  const int64_t lanes = tile::Lanes();
  for (int64_t column = 0;;) {
    Floats sum[kColumns];
    HWY_UNROLL(7)
    for (int i = 0; i < kColumns; ++i) sum[i] = hn::LoadU(d, bias + lane);
    for (int64_t r = 0; r < rows.count; ++r) {
      const float* x = rows.source[r] + lane + column * kStride * step;
      Floats weight[kKernel];
      HWY_UNROLL(5)
      for (int k = 0; k < kKernel; ++k) weight[k] = hn::LoadU(d, rows.weight[r] + lane + k * 2 * lanes);
      HWY_UNROLL(20)
      for (int j = 0; j < (kColumns - 1) * kStride + kKernel; ++j) {
        Floats value = hn::LoadU(d, tile::ByThrees(x, j, step));
        tile::Pin(value);
        HWY_UNROLL(5)
        for (int k = 0; k < kKernel; ++k) {
          if ((j - k) % kStride == 0 && j >= k && (j - k) / kStride < kColumns) {
            sum[(j - k) / kStride] = hn::MulAdd(value, weight[k], sum[(j - k) / kStride]);
          }
        }
      }
    }
    if (limits.clamp) {
      const Floats low = hn::Set(d, limits.low), high = hn::Set(d, limits.high);
      HWY_UNROLL(7)
      for (int i = 0; i < kColumns; ++i) sum[i] = tile::Clamped(sum[i], low, high);
    }
    HWY_UNROLL(7)
    for (int i = 0; i < kColumns; ++i) hn::StoreU(sum[i], d, to + lane + (column + i) * step);
    if (column + kColumns >= count) return;
    column = std::min(column + kColumns, count - kColumns);  // the last tile may compute some once more
  }
}

using HalfTag = hn::CappedTag<float, HWY_LANES(float) / 2>;

// tile::ChannelTile with what these layers need beside: sums begin with a bias and end between limits, and kVectors = 0 is half a
// vector of result channels. In that tile itself it would cost every 1x1 layer 0.5 to 1 %.
template <bool kStrided, int kP, int kVectors>
HWY_ATTR void BlockTile(const conv_tile::Work& t, const float* bias, const Limits& limits) {
  using D = std::conditional_t<kVectors == 0, HalfTag, Full>;
  using Vector = hn::Vec<D>;
  constexpr int kV = std::max(kVectors, 1);
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  Vector sum[kP][kV], start[kV];
  HWY_UNROLL(2)
  for (int v = 0; v < kV; ++v) start[v] = bias != nullptr ? hn::LoadU(d, bias + v * lanes) : hn::Zero(d);
  HWY_UNROLL(16)
  for (int p = 0; p < kP; ++p) {
    HWY_UNROLL(2)
    for (int v = 0; v < kV; ++v) sum[p][v] = start[v];
  }
  const float* ahead = t.ahead != nullptr ? t.ahead : t.weight;  // asked for without asking whether
  const int64_t ahead_step = t.ahead != nullptr ? t.ahead_step : 0, step = t.pixel_step;
  const Tap *const threes = t.taps + t.tap_count / 3 * 3, *const end = t.taps + t.tap_count;
  const Tap* tap = t.taps;
  for (; tap != threes; tap += 3) {
    HWY_UNROLL(3)
    for (int i = 0; i < 3; ++i) {
      __builtin_prefetch(ahead, 0, 2);
      ahead += ahead_step;
      tile::AddTap<kStrided>(t.source + tap[i].source, step, t.weight + tap[i].weight, sum);
      KeepOrder();
    }
  }
  for (; tap != end; ++tap) {
    __builtin_prefetch(ahead, 0, 2);
    ahead += ahead_step;
    tile::AddTap<kStrided>(t.source + tap->source, step, t.weight + tap->weight, sum);
    KeepOrder();
  }
  float* const to = t.sums;
  if (t.add) {
    HWY_UNROLL(16)
    for (int p = 0; p < kP; ++p) {
      HWY_UNROLL(2)
      for (int v = 0; v < kV; ++v) sum[p][v] = hn::Add(hn::LoadU(d, to + p * t.sums_stride + v * lanes), sum[p][v]);
    }
  }
  if (limits.clamp) {
    const Vector low = hn::Set(d, limits.low), high = hn::Set(d, limits.high);
    HWY_UNROLL(16)
    for (int p = 0; p < kP; ++p) {
      HWY_UNROLL(2)
      for (int v = 0; v < kV; ++v) sum[p][v] = tile::Clamped(sum[p][v], low, high);
    }
  }
  HWY_UNROLL(16)
  for (int p = 0; p < kP; ++p) {
    HWY_UNROLL(2)
    for (int v = 0; v < kV; ++v) hn::StoreU(sum[p][v], d, to + p * t.sums_stride + v * lanes);
  }
}

template <bool kStrided, int kVectors, int... kP>
HWY_INLINE void RunBlockTile(const conv_tile::Work& t, const float* bias, const Limits& limits, int64_t pixels,
                             std::integer_sequence<int, kP...>) {
  static constexpr std::array<void (*)(const conv_tile::Work&, const float*, const Limits&), sizeof...(kP)> kTiles{
      BlockTile<kStrided, kP + 1, kVectors>...};
  kTiles[static_cast<size_t>(pixels - 1)](t, bias, limits);
}

// The lanes of a block, which may be any number of half vectors up to four.
template <bool kStrided>
HWY_INLINE void RunBlock(const conv_tile::Work& t, const float* bias, const Limits& limits, int64_t pixels, int64_t halves) {
  constexpr auto kAll = std::make_integer_sequence<int, tile::kPixels>();
  if constexpr (kStrided) {
    // Networks like to begin with 24: a half alone would wait for its pixels, which are as many to fetch.
    if (tile::kHalves && halves == 3 && pixels == tile::kPixels) return tile::RunChannelTile<false>(t, pixels, halves);
    if (halves > 1) tile::RunChannelTile<false>(t, pixels, halves / 2 * 2);
  } else {
    if (halves > 3) return RunBlockTile<kStrided, 2>(t, bias, limits, pixels, kAll);
    if (halves > 1) RunBlockTile<kStrided, 1>(t, bias, limits, pixels, kAll);
  }
  if (halves % 2 == 0) return;
  const int64_t done = halves / 2 * tile::Lanes();
  conv_tile::Work rest = t;
  rest.weight += done;
  rest.sums += done;
  RunBlockTile<kStrided, 0>(rest, bias != nullptr ? bias + done : nullptr, limits, pixels, kAll);
}

using RowFunction = void (*)(const KernelRows&, int64_t, const float*, const Limits&, int64_t, int64_t, float*);

RowFunction RowFunctionOf(const Plan& p) {
  if (p.kernel == 3) return p.stride == 1 ? DepthwiseTile<3, 1> : DepthwiseTile<3, 2>;
  return p.stride == 1 ? DepthwiseTile<5, 1> : DepthwiseTile<5, 2>;
}

// The bias of a block: where it lies, or where it is null or ends inside of the block a copy with zeros behind.
HWY_INLINE const float* BiasOf(const Plan& p, const float* bias, int64_t b, float* copy) {
  const int64_t first = p.block_channel(b), count = bias != nullptr ? std::min(p.step, p.expanded - first) : 0;
  if (count == p.step) return bias + first;
  std::copy_n(bias + first, count, copy);
  std::fill(copy + count, copy + p.step, 0.0f);
  return copy;
}

// The taps of a 1x1 layer: channels in blocks that lie `block_step` apart, `step` apart in them; weights `width` apart.
HWY_INLINE void ListTaps(int64_t count, int64_t block, int64_t block_step, int64_t step, int64_t width, Tap* taps) {
  for (int64_t first = 0, at = 0; first < count; first += block, at += block_step) {
    for (int64_t i = first; i < std::min(first + block, count); ++i) taps[i] = {at + (i - first) * step, i * width};
  }
}

HWY_INLINE Limits LimitsOf(const SplitEpilogue& epilogue) {
  const conv_tile::Finish finish(epilogue, nullptr);
  return {finish.clamp, finish.low, finish.high};
}

// Weights that come next, fetched meanwhile: some of them with every tile.
struct Ahead {
  const float* at = nullptr;
  int64_t floats = 0;
};

HWY_INLINE void Fetch(const Ahead& ahead, int64_t tiles, conv_tile::Work& work) {
  work.ahead = ahead.at;
  work.ahead_step = tiles > 0 ? (ahead.floats + tiles * work.tap_count - 1) / (tiles * work.tap_count) : 0;
}

// One call.
struct Call {
  const Plan& p;
  const Cut& cut;
  const InvertedResidualArrays& io;
  const SplitEpilogue &between, &after, &last, &squeeze, &gate;
  RowFunction depthwise;

  const float* ProjectWeight(int64_t o, int64_t chain) const {
    return io.packed + p.project_at + o * p.expanded * p.block + p.chain_channel(chain) * p.lanes_of_results(o);
  }
};

// Scratch memory of one thread. The projection's taps are listed for whole blocks of results and for the last one, which may be
// narrower.
struct Own {
  float *rows, *lines, *middle, *sums, *squeezed, *panels, *middle_panel, *turned;
  Tap *expand_taps, *project_taps;

  static int64_t Floats(const Plan& p, const Cut& cut) { return Own(p, cut, nullptr).end_; }
  Own(const Plan& p, const Cut& cut, float* scratch) {
    int64_t at = 0;
    const auto take = [&](int64_t floats) {
      const int64_t begin = at;
      at += round_up(floats, 16);
      return scratch + begin;
    };
    constexpr int64_t kTap = sizeof(Tap) / sizeof(float);
    const int64_t pixels = cut.rows * p.out_width;
    rows_floats = cut.row_blocks * cut.ring * p.columns * p.step;
    rows = take(rows_floats);
    lines = take(p.lines.floats());
    middle = take(p.squeezed > 0 ? 0 : cut.blocks * cut.middle_step);
    sums_floats = (std::max(pixels, slots_pixels(p, cut)) + p.lanes) * p.block;
    sums = take(sums_floats * (p.project_pairs ? p.result_blocks : 1));
    expand_taps = reinterpret_cast<Tap*>(take(p.terms * kTap));
    project_taps = reinterpret_cast<Tap*>(take(2 * p.chain_channels() * kTap));
    squeezed = take(p.squeezed_lanes);
    panels = take(cut.panels * p.panel_floats);
    middle_panel = take(p.project_pairs ? conv_pairs::kHeader + p.chain_channels() * conv_pairs::kTile + p.lanes : 0);
    turned = take(p.project_pairs ? p.chain_channels() * conv_pairs::kTurned : 0);
    end_ = round_up(at, kOwnFloats);
  }
  int64_t rows_floats, sums_floats;  // of one block of results

 private:
  static int64_t slots_pixels(const Plan& p, const Cut& cut) { return cut.slots > 1 ? p.out_map : 0; }
  int64_t end_;
};

// What one row of the expansion reads. Zeros beside the columns lie there already.
HWY_ATTR void FillLines(const inverted_residual_parts::Lines& lines, const float* input, int64_t row, float* to) {
  const Full d;
  const int64_t lanes = tile::Lanes(), width = lines.width, left = lines.pad_left, next = lines.stride_height * width;
  const bool apart = lines.stride_width == 2;
  float* even = to + (apart ? left % 2 * lines.phase + left / 2 : left);
  float* odd = to + (left + 1) % 2 * lines.phase + (left + 1) / 2;
  for (int64_t c = 0; c < lines.channels; ++c, input += lines.height * width) {
    for (int64_t i = 0; i < lines.kernel_height; ++i, even += lines.line(), odd += lines.line()) {
      const int64_t at = row * lines.stride_height - lines.pad_top + i;
      if (at < 0 || at >= lines.height) {
        std::fill_n(even, apart ? (width + 1) / 2 : width, 0.0f);
        if (apart) std::fill_n(odd, width / 2, 0.0f);
        continue;
      }
      const float* const from = input + at * width;
      if (!apart) {
        std::copy_n(from, width, even);
        continue;
      }
      int64_t j = 0;
      for (; j + 2 * lanes <= width; j += 2 * lanes) {
        Floats first, second;
        hn::LoadInterleaved2(d, from + j, first, second);
        __builtin_prefetch(from + next + j);  // what the next row reads
        __builtin_prefetch(from + next + j + lanes);
        hn::StoreU(first, d, even + j / 2);
        hn::StoreU(second, d, odd + j / 2);
      }
      for (; j < width; ++j) (j % 2 == 0 ? even : odd)[j / 2] = from[j];
    }
  }
}

#if HWY_TARGET == HWY_AVX3
// The panels of the input's rows [row, end), where a panel begins with the first.
HWY_ATTR void MakePanels(const Call& k, const float* input, int64_t row, int64_t end, float* to) {
  const Plan& p = k.p;
  for (; row < end; row += p.panel_rows) {
    for (int64_t j = 0; j < p.row_panels; ++j, to += p.panel_floats) {
      const int64_t at = p.row_parts.begin(j),
                    pixels = p.panel_rows > 1 ? std::min(p.panel_rows, p.height - row) * p.width : p.row_parts.begin(j + 1) - at;
      pairs::MakePanel(input + row * p.width + at, p.in_map, k.io.packed + p.channel_factors_at, p.terms, pixels,
                       conv_pairs::even(pixels), {to});
    }
  }
}

// What all tiles of a block share.
HWY_INLINE pairs::Work PairWork(const Plan& p, const float* packed, int64_t b, const float* bias, const Limits& limits) {
  pairs::Work work{};
  work.v = packed + b * p.block_floats;
  work.channels = p.terms;
  work.vector_offsets = packed + p.offsets_at + b * p.step;
  work.vector_factors = packed + p.factors_at + b * p.step;
  work.vector_bias = bias;
  if (limits.clamp) {
    work.low = limits.low;
    work.high = limits.high;
  }
  work.stride = p.step;
  work.lanes = p.lanes;
  return work;
}

// The rows of a block that begin with a panel.
HWY_ATTR void ExpandPanels(const Call& k, int64_t b, int64_t first, int64_t panel, float* rows, const Own& own, pairs::Work& work) {
  const Plan& p = k.p;
  const int64_t row_floats = p.columns * p.step, count = std::min(p.panel_rows, p.height - first);
  const auto row_of = [&](int64_t i) { return rows + (first + i) % k.cut.ring * row_floats + p.pad_left * p.step; };
  const int64_t width = p.lanes_of_block(b);
  const float *const weight = work.v, *const offsets = work.vector_offsets, *const factors = work.vector_factors,
                     *const bias = work.vector_bias, *const direct = k.io.packed + p.direct_at + b * p.step / p.lanes;
  if (count > 1) {
    work.split = p.width;
    work.jump = row_of(1) - row_of(0) - p.width * p.step;
  } else {
    work.split = conv_pairs::kTile;
  }
  for (int64_t j = 0; j < p.row_panels; ++j) {
    const pairs::Panel of{own.panels + (panel + j) * p.panel_floats};
    const int64_t at = p.row_parts.begin(j);
    float* const to = row_of(0) + at * p.step;
    work.s = of.values();
    work.offsets = of.offsets();
    work.factors = of.undo();
    work.direct = pairs::LoadBits(of.direct());
    work.count = p.panel_rows > 1 ? count * p.width : p.row_parts.begin(j + 1) - at;
    for (int64_t v = 0; v * p.lanes < width; ++v) {
      work.v = weight + v * p.terms * p.lanes;
      work.vector_offsets = offsets + v * p.lanes;
      work.vector_factors = factors + v * p.lanes;
      work.vector_bias = bias + v * p.lanes;
      work.to = to + v * p.lanes;
      work.vector_direct = pairs::LoadBits(direct + v);
      pairs::Run(work);
      if (work.ahead != nullptr) work.ahead += p.terms * work.ahead_step;
    }
  }
  work.v = weight;
  work.vector_offsets = offsets;
  work.vector_factors = factors;
  work.vector_bias = bias;
  for (int64_t i = 0; i < count; ++i) k.between.finish(row_of(i), p.width * p.step);
}
#endif

// Result rows [begin, end) of the depthwise layer of one block: to[pixel][channel]. Rows up to `expanded` of its ring are there.
// What takes the shortcut goes to where the projection's sums will be.
HWY_ATTR void ExpandRows(const Call& k, const float* input, int64_t b, int64_t begin, int64_t end, int64_t expanded, float* rows,
                         const Own& own, const Ahead& ahead, float* to) {
  const Full d;
  const Plan& p = k.p;
  const int64_t row_floats = p.columns * p.step, row_taps = p.kernel * p.block, width = p.lanes_of_block(b);
  const int64_t row_tiles = (p.width + tile::kPixels - 1) / tile::kPixels;
  const Limits limits = LimitsOf(k.between), after_limits = LimitsOf(k.after);
  HWY_ALIGN float copies[2][2 * HWY_LANES(float)];
  const float* const depthwise_bias = BiasOf(p, k.io.depthwise_bias, b, copies[1]);
  conv_tile::Work work;
  work.channels = 1;
  work.taps = own.expand_taps;
  work.tap_count = p.terms;
  work.weight = k.io.packed + b * p.block_floats;
  work.sums_stride = p.step;
  const float* const bias = BiasOf(p, k.io.expand_bias, b, copies[0]);
  Fetch(ahead, (p.rows_read(end) - expanded) * row_tiles, work);
  const float* const weight = k.io.packed + p.depthwise_at + b * p.kernel * row_taps;
#if HWY_TARGET == HWY_AVX3
  const int64_t first_row = p.panel_row(expanded);
  pairs::Work pair_work = PairWork(p, k.io.packed, b, bias, limits);
  if (p.pairs) {
    expanded = first_row;
    const int64_t tiles = (p.rows_made(p.rows_read(end)) - expanded + p.panel_rows - 1) / p.panel_rows * p.row_panels *
                          (round_up(width, p.lanes) / p.lanes);
    pair_work.ahead = ahead.at;
    pair_work.ahead_step = tiles > 0 ? (ahead.floats + tiles * p.terms - 1) / (tiles * p.terms) : 0;
  }
#endif
  for (int64_t oh = begin; oh < end; oh += k.cut.band) {
    const int64_t next = std::min(oh + k.cut.band, end);
#if HWY_TARGET == HWY_AVX3
    for (const int64_t needed = p.rows_read(next); p.pairs && expanded < needed; expanded += p.panel_rows) {
      ExpandPanels(k, b, expanded, (expanded - first_row) / p.panel_rows * p.row_panels, rows, own, pair_work);
    }
#endif
    for (const int64_t needed = p.rows_read(next); expanded < needed; ++expanded) {
      float* const row = rows + expanded % k.cut.ring * row_floats + p.pad_left * p.step;
      if (!p.lines.pointwise) FillLines(p.lines, input, expanded, own.lines);
      const float* const source = p.lines.pointwise ? input + expanded * p.width : own.lines;
      for (int64_t j = 0; j < row_tiles; ++j) {
        const int64_t at = p.width * j / row_tiles, until = p.width * (j + 1) / row_tiles;
        work.source = source + at;
        work.sums = row + at * p.step;
        RunBlock<false>(work, bias, limits, until - at, 2 * width / p.lanes);
        if (work.ahead != nullptr) work.ahead += work.tap_count * work.ahead_step;
      }
      k.between.finish(row, p.width * p.step);
    }
    for (int64_t r = oh; r < next; ++r) {
      KernelRows kernel_rows;
      kernel_rows.count = 0;
      for (int64_t i = 0; i < p.kernel; ++i) {
        const int64_t at = r * p.stride - p.pad_top + i;
        if (at < 0 || at >= p.height) continue;
        kernel_rows.source[kernel_rows.count] = rows + at % k.cut.ring * row_floats;
        kernel_rows.weight[kernel_rows.count++] = weight + i * row_taps;
      }
      if (p.shortcut) {
        const float* const from = rows + r % k.cut.ring * row_floats + p.pad_left * p.step;
        float* const sums = own.sums + (r - begin) * p.width * p.block;
        for (int64_t lane = 0; lane < width; lane += p.lanes) {
          for (int64_t i = 0; i < p.width; ++i)
            hn::StoreU(hn::LoadU(d, from + i * p.step + lane), d, sums + i * p.block + b * p.step + lane);
        }
      }
      for (int64_t lane = 0; lane < width; lane += p.lanes) {
        k.depthwise(kernel_rows, lane, depthwise_bias, after_limits, p.out_width, p.step, to + (r - begin) * p.out_width * p.step);
      }
    }
    k.after.finish(to + (oh - begin) * p.out_width * p.step, (next - oh) * p.out_width * p.step);
  }
}

// What one chain adds to sums[pixel][lane] of one block of results; middle: of the chain's first block.
HWY_ATTR void AddChain(const Call& k, const float* middle, int64_t pixels, int64_t chain, int64_t o, bool add, const Tap* taps,
                       const Ahead& ahead, float* sums) {
  const Plan& p = k.p;
  const int64_t width = p.lanes_of_results(o);
  const int64_t tiles = (pixels + tile::kPixels - 1) / tile::kPixels;
  conv_tile::Work work;
  work.channels = 1;
  work.pixel_step = p.step;
  work.sums_stride = p.block;
  work.taps = taps;
  work.tap_count = p.chain_end(chain) - p.chain_channel(chain);
  work.weight = k.ProjectWeight(o, chain);
  work.add = add;
  Fetch(ahead, tiles, work);
  const Limits none{false, 0, 0};
  for (int64_t j = 0; j < tiles; ++j) {
    const int64_t at = pixels * j / tiles, to = pixels * (j + 1) / tiles;
    work.source = middle + at * p.step;
    work.sums = sums + at * p.block;
    RunBlock<true>(work, nullptr, none, to - at, 2 * width / p.lanes);
    if (work.ahead != nullptr) work.ahead += work.tap_count * work.ahead_step;
  }
}

// Sums of `pixels` pixels from `begin` on of one block of results are complete.
HWY_ATTR void FinishResults(const Call& k, const float* sums, int64_t sample, int64_t o, int64_t begin, int64_t pixels) {
  const Plan& p = k.p;
  conv_tile::Finish finish(k.last, k.io.output);
  finish.bias = k.io.project_bias != nullptr ? k.io.project_bias + o * p.block : nullptr;
  const int64_t count = std::min(p.block, p.results - o * p.block);
  float* const to = k.io.output + (sample * p.results + o * p.block) * p.out_map + begin;
  tile::StoreChannels<2>(sums, pixels, count, finish, to, p.out_map);
  k.last.finish(to, pixels, count, p.out_map);
}

// Blocks of chains, and rows of results.
struct Part {
  int64_t sample, chain_begin, chain_end, row_begin, row_end;
};

// The depthwise results of rows [row, next) of a part's block. Rows up to `expanded` are there.
HWY_ATTR void ExpandBlock(const Call& k, const Part& part, int64_t b, int64_t row, int64_t next, int64_t expanded, float* middle,
                          const Own& own) {
  const Plan& p = k.p;
  Ahead ahead;
  if (!p.by_rows) {
    const bool last = b + 1 == p.chain_begin(part.chain_end);
    if (!last || p.squeezed > 0) {
      ahead = {k.io.packed + b * p.block_floats + p.squeeze_at, p.block_floats - (last ? p.squeeze_at : 0)};
    } else {
      ahead = p.project_pairs ? Ahead{k.io.packed + p.paired_project_at(part.chain_begin), p.chain_channels() * p.lanes}
                              : Ahead{k.ProjectWeight(0, part.chain_begin), p.chain_channels() * p.lanes_of_results(0)};
    }
  }
  ExpandRows(k, k.io.input + part.sample * p.lines.channels * p.in_map, b, row, next, expanded,
             own.rows + (p.by_rows ? b : 0) * k.cut.ring * p.columns * p.step, own, ahead, middle);
}

#if HWY_TARGET == HWY_AVX3
// What one chain adds to all results of `pixels` pixels: sums[block of results][pixel][lane], blocks `block_floats` apart. Pixels
// are copied by up to 26, [channel][pixel].
HWY_ATTR void AddChainByPairs(const Call& k, const float* middle, int64_t pixels, int64_t chain, bool add, const Own& own,
                              float* sums, int64_t block_floats) {
  const Plan& p = k.p;
  const pairs::Panel panel{own.middle_panel};
  const int64_t first_channel = p.chain_channel(chain), channels = p.chain_end(chain) - first_channel,
                first_result = chain * p.result_vectors * p.lanes;
  const float* const weight = k.io.packed + p.paired_project_at(chain);
  pairs::Work work{};
  work.s = panel.values();
  work.channels = channels;
  work.offsets = panel.offsets();
  work.factors = panel.undo();
  work.stride = p.block;
  work.lanes = p.lanes;
  const conv_pairs::Parts parts(pixels);
  for (int64_t j = 0; j < parts.count; ++j) {
    const int64_t at = parts.begin(j), count = parts.begin(j + 1) - at, width = conv_pairs::even(count);
    float* to = own.turned;
    const float* from = middle + at * p.step;
    for (int64_t b = p.chain_begin(chain), left = channels; left > 0; ++b, from += k.cut.middle_step) {
      const int64_t of_block = std::min(p.lanes_of_block(b), left);
      Transpose(from, p.step, to, conv_pairs::kTurned, count, of_block);
      to += of_block * conv_pairs::kTurned;
      left -= of_block;
    }
    pairs::MakePanel(own.turned, conv_pairs::kTurned, k.io.packed + p.middle_factors_at + first_channel, channels, count, width,
                     panel);
    work.count = count;
    work.direct = pairs::LoadBits(panel.direct());
    for (int64_t v = 0; v < p.result_vectors; ++v) {
      const int64_t result = first_result + v * p.lanes;
      work.v = weight + v * channels * p.lanes;
      work.vector_offsets = k.io.packed + p.result_offsets_at + result;
      work.vector_factors = k.io.packed + p.result_factors_at + result;
      work.vector_direct = pairs::LoadBits(k.io.packed + p.result_direct_at + result / p.lanes);
      work.to = sums + v / 2 * block_floats + at * p.block + v % 2 * p.lanes;
      work.residual = add ? work.to : nullptr;
      work.ahead = j == 0 && !p.by_rows ? work.v + channels * p.lanes : nullptr;
      work.ahead_step = p.lanes;
      pairs::Run(work);
    }
  }
}
#endif

// What a part's chains add to rows [row, next) of the results. slot_sums [block of results][pixel][lane]: where sums wait for other
// parts; null: they are all.
HWY_ATTR void ProjectPart(const Call& k, const Part& part, int64_t row, int64_t next, const float* middle, float* slot_sums,
                          const Own& own) {
  const Plan& p = k.p;
  const int64_t pixels = (next - row) * p.out_width, first = p.chain_begin(part.chain_begin);
#if HWY_TARGET == HWY_AVX3
  if (p.project_pairs) {
    float* const to = slot_sums != nullptr ? slot_sums + row * p.out_width * p.block : own.sums;
    for (int64_t chain = part.chain_begin; chain < part.chain_end; ++chain) {
      AddChainByPairs(k, middle + (p.chain_begin(chain) - first) * k.cut.middle_step, pixels, chain,
                      chain > part.chain_begin || p.shortcut, own, to,
                      slot_sums != nullptr ? p.out_map * p.block : own.sums_floats);
    }
    for (int64_t o = 0; slot_sums == nullptr && o < p.result_blocks; ++o) {
      FinishResults(k, own.sums + o * own.sums_floats, part.sample, o, row * p.out_width, pixels);
    }
    return;
  }
#endif
  for (int64_t o = 0; o < p.result_blocks; ++o) {
    float* const to = slot_sums != nullptr ? slot_sums + (o * p.out_map + row * p.out_width) * p.block : own.sums;
    for (int64_t chain = part.chain_begin; chain < part.chain_end; ++chain) {
      const bool last = chain + 1 == part.chain_end;
      Ahead ahead;
      if (!p.by_rows && (!last || o + 1 < p.result_blocks)) {
        ahead = {last ? k.ProjectWeight(o + 1, part.chain_begin) : k.ProjectWeight(o, chain + 1),
                 p.chain_channels() * p.lanes_of_results(last ? o + 1 : o)};
      }
      AddChain(k, middle + (p.chain_begin(chain) - first) * k.cut.middle_step, pixels, chain, o,
               chain > part.chain_begin || p.shortcut, own.project_taps + (o + 1 == p.result_blocks ? p.chain_channels() : 0),
               ahead, to);
    }
    if (slot_sums == nullptr) FinishResults(k, own.sums, part.sample, o, row * p.out_width, pixels);
  }
}

// The first row of the input that a part reads; its rows and taps are made ready.
HWY_ATTR int64_t BeginPart(const Call& k, const Part& part, const Own& own) {
  const Plan& p = k.p;
  std::fill_n(own.rows, own.rows_floats, 0.0f);
  std::fill_n(own.lines, p.lines.floats(), 0.0f);
  ListTaps(p.terms, p.terms, 0, p.in_map, p.step, own.expand_taps);
  if (const auto& l = p.lines; !l.pointwise) {
    for (int64_t t = 0; t < p.terms; ++t) {
      const int64_t kw = t % l.kernel_width;
      own.expand_taps[t].source = t / l.kernel_width * l.line() + kw % l.stride_width * l.phase + kw / l.stride_width;
    }
  }
  for (int64_t last = 0; last < 2; ++last) {
    ListTaps(p.chain_channels(), p.step, k.cut.middle_step, 1, last ? p.lanes_of_results(p.result_blocks - 1) : p.block,
             own.project_taps + last * p.chain_channels());
  }
  return std::clamp<int64_t>(part.row_begin * p.stride - p.pad_top, 0, p.height);
}

// What the expansion of all blocks reads of the input's rows from `expanded` on, for the results up to `next`.
HWY_INLINE void MakeRows([[maybe_unused]] const Call& k, [[maybe_unused]] const Part& part, [[maybe_unused]] int64_t expanded,
                         [[maybe_unused]] int64_t next, [[maybe_unused]] const Own& own) {
#if HWY_TARGET == HWY_AVX3
  const Plan& p = k.p;
  if (!p.pairs) return;
  MakePanels(k, k.io.input + part.sample * p.lines.channels * p.in_map, p.panel_row(expanded), p.rows_read(next), own.panels);
#endif
}

HWY_ATTR void RunPart(const Call& k, const Part& part, float* slot_sums, const Own& own) {
  int64_t expanded = BeginPart(k, part, own);
  for (int64_t row = part.row_begin; row < part.row_end; row += k.cut.rows) {
    const int64_t next = std::min(row + k.cut.rows, part.row_end);
    const int64_t first = k.p.chain_begin(part.chain_begin);
    MakeRows(k, part, expanded, next, own);
    for (int64_t b = first; b < k.p.chain_begin(part.chain_end); ++b) {
      ExpandBlock(k, part, b, row, next, expanded, own.middle + (b - first) * k.cut.middle_step, own);
    }
    expanded = std::max(expanded, k.p.rows_made(k.p.rows_read(next)));
    ProjectPart(k, part, row, next, own.middle, slot_sums, own);
  }
}

// sums[row][lane] of a part's depthwise results of a block: middle[pixel][lane] of all rows.
HWY_ATTR void SumRows(const Plan& p, const Part& part, int64_t b, const float* middle, float* sums) {
  const Full d;
  for (int64_t row = part.row_begin; row < part.row_end; ++row) {
    for (int64_t lane = 0; lane < p.lanes_of_block(b); lane += p.lanes) {
      const float* const from = middle + row * p.out_width * p.step + lane;
      Floats even = hn::Zero(d), odd = even;
      int64_t i = 0;
      for (; i + 2 <= p.out_width; i += 2) {
        even = hn::Add(even, hn::LoadU(d, from + i * p.step));
        odd = hn::Add(odd, hn::LoadU(d, from + (i + 1) * p.step));
      }
      if (i < p.out_width) even = hn::Add(even, hn::LoadU(d, from + i * p.step));
      hn::StoreU(hn::Add(even, odd), d, sums + row * p.step + lane);
    }
  }
}

// share[s] += what the means of a block's channels add to the squeezed values; sums[row][lane].
HWY_ATTR void SqueezeBlock(const Call& k, int64_t b, const float* sums, float* share) {
  const Full d;
  const Plan& p = k.p;
  const float* weight = k.io.packed + b * p.block_floats + p.squeeze_at;
  const int64_t channels = std::min(p.lanes_of_block(b), p.expanded - p.block_channel(b));
  for (int64_t lane = 0; lane < channels; ++lane, weight += p.squeezed_lanes) {
    double sum = 0;
    for (int64_t row = 0; row < p.out_height; ++row) sum += sums[row * p.step + lane];
    const Floats mean = hn::Set(d, static_cast<float>(sum / static_cast<double>(p.out_map)));
    for (int64_t s = 0; s < p.squeezed_lanes; s += p.lanes) {
      hn::StoreU(hn::MulAdd(hn::LoadU(d, weight + s), mean, hn::LoadU(d, share + s)), d, share + s);
    }
  }
}

// gates[lane] = bias[lane] + sum of weight[i][lane] squeezed[i], in four chains.
template <int kVectors>
HWY_ATTR void SumGates(const float* weight, const float* squeezed, int64_t count, const float* bias, float* gates) {
  const Full d;
  constexpr int64_t kLanes = HWY_LANES(float);
  Floats sum[4][kVectors];
  for (int v = 0; v < kVectors; ++v) {
    sum[0][v] = hn::LoadU(d, bias + v * kLanes);
    for (int i = 1; i < 4; ++i) sum[i][v] = hn::Zero(d);
  }
  int64_t at = 0;
  for (; at + 4 <= count; at += 4) {
    HWY_UNROLL(4)
    for (int i = 0; i < 4; ++i, weight += kVectors * kLanes) {
      const Floats value = hn::Set(d, squeezed[at + i]);
      HWY_UNROLL(2)
      for (int v = 0; v < kVectors; ++v) {
        __builtin_prefetch(weight + v * kLanes + inverted_residual_parts::kNextPage);
        sum[i][v] = hn::MulAdd(hn::LoadU(d, weight + v * kLanes), value, sum[i][v]);
      }
    }
  }
  for (; at < count; ++at, weight += kVectors * kLanes) {
    for (int v = 0; v < kVectors; ++v)
      sum[0][v] = hn::MulAdd(hn::LoadU(d, weight + v * kLanes), hn::Set(d, squeezed[at]), sum[0][v]);
  }
  for (int v = 0; v < kVectors; ++v)
    hn::StoreU(hn::Add(hn::Add(sum[0][v], sum[1][v]), hn::Add(sum[2][v], sum[3][v])), d, gates + v * kLanes);
}

// A part's depthwise results times their gates, where they lie.
HWY_ATTR void ExcitePart(const Call& k, const Part& part, const float* shares, float* middle, const Own& own) {
  const Full d;
  const Plan& p = k.p;
  std::fill_n(own.squeezed, p.squeezed_lanes, 0.0f);
  if (k.io.squeeze_bias != nullptr) std::copy_n(k.io.squeeze_bias, p.squeezed, own.squeezed);
  for (int64_t chain = 0; chain < p.chains; ++chain) {
    for (int64_t s = 0; s < p.squeezed_lanes; s += p.lanes) {
      hn::StoreU(hn::Add(hn::LoadU(d, own.squeezed + s), hn::LoadU(d, shares + chain * p.squeezed_lanes + s)), d, own.squeezed + s);
    }
  }
  k.squeeze.apply(own.squeezed, p.squeezed, 0);
  HWY_ALIGN float copy[2 * HWY_LANES(float)], gates[2 * HWY_LANES(float)];
  for (int64_t b = p.chain_begin(part.chain_end); b-- > p.chain_begin(part.chain_begin);) {  // the weights fetched last come first
    const float* const bias = BiasOf(p, k.io.excite_bias, b, copy);
    const float* const weight = k.io.packed + p.excite_at + b * p.excite_step;
    p.step > p.lanes ? SumGates<2>(weight, own.squeezed, p.squeezed, bias, gates)
                     : SumGates<1>(weight, own.squeezed, p.squeezed, bias, gates);
    k.gate.apply(gates, p.step, 0);
    float* const from = middle + (b * p.out_map + part.row_begin * p.out_width) * p.step;
    const int64_t pixels = (part.row_end - part.row_begin) * p.out_width;
    for (int64_t lane = 0; lane < p.lanes_of_block(b); lane += p.lanes) {
      const Floats gate = hn::LoadU(d, gates + lane);
      for (int64_t i = 0; i < pixels; ++i) {
        float* const at = from + i * p.step + lane;
        hn::StoreU(hn::Mul(hn::LoadU(d, at), gate), d, at);
      }
    }
  }
}

// to[i] = (slots of the first half added up) + (those of the second).
HWY_ATTR void AddSlots(const float* from, int64_t slots, int64_t step, int64_t count, float* to) {
  const Full d;
  for (int64_t i = 0; i < count; i += tile::Lanes()) {
    Floats half[2];
    for (int64_t h = 0; h < 2; ++h) {
      half[h] = hn::LoadU(d, from + h * slots / 2 * step + i);
      for (int64_t s = h * slots / 2 + 1; s < (h + 1) * slots / 2; ++s)
        half[h] = hn::Add(half[h], hn::LoadU(d, from + s * step + i));
    }
    hn::StoreU(hn::Add(half[0], half[1]), d, to + i);
  }
}

HWY_ATTR void InvertedResidual(const InvertedResidualShape& s, const InvertedResidualArrays& io,
                               const InvertedResidualEpilogues& epilogues, Workspace& workspace) {
  const Plan p(s, tile::Lanes());
  const int64_t batch = s.expand.batch;
  const int threads = num_threads();
  const Cut cut(p, batch, threads);
  const SplitEpilogue between(epilogues.expand), after(epilogues.depthwise), last(epilogues.project), squeeze(epilogues.squeeze),
      gate(epilogues.gate);
  const Call k{p, cut, io, between, after, last, squeeze, gate, RowFunctionOf(p)};
  const int64_t own_floats = Own::Floats(p, cut);
  const int64_t slot_floats = p.result_blocks * p.out_map * p.block, parts = cut.slots * cut.row_parts;
  float* const scratch = workspace.take<float>(threads * own_floats);
  float* const slots = cut.slots > 1 ? workspace.take<float>(batch * cut.slots * slot_floats) : nullptr;
  const auto part_of = [&](int64_t task) {
    const int64_t slot = task % parts / cut.row_parts, i = task % cut.row_parts;
    return Part{task / parts, p.chains * slot / cut.slots, p.chains * (slot + 1) / cut.slots, p.out_height * i / cut.row_parts,
                p.out_height * (i + 1) / cut.row_parts};
  };
  const auto slot_of = [&](int64_t task) { return slots != nullptr ? slots + task / cut.row_parts * slot_floats : nullptr; };
  if (p.squeezed == 0) {
    parallel_for(batch * parts, [&](int64_t task, int thread) HWY_ATTR {
      RunPart(k, part_of(task), slot_of(task), Own(p, cut, scratch + thread * own_floats));
    });
  } else {
    float* const middle = workspace.take<float>(batch * p.middle_floats());
    float* const sums = workspace.take<float>(batch * p.squeeze_floats());
    const auto share_of = [&](float* of_sample, int64_t chain) { return of_sample + p.row_sums() + chain * p.squeezed_lanes; };
    parallel_for(batch * parts, [&](int64_t task, int thread) HWY_ATTR {
      const Part part = part_of(task);
      const Own own(p, cut, scratch + thread * own_floats);
      float* const of_sample = sums + part.sample * p.squeeze_floats();
      const int64_t expanded = BeginPart(k, part, own);
      MakeRows(k, part, expanded, part.row_end, own);
      for (int64_t chain = part.chain_begin; chain < part.chain_end; ++chain) {
        float* const share = share_of(of_sample, chain);
        if (cut.row_parts == 1) std::fill_n(share, p.squeezed_lanes, 0.0f);
        for (int64_t b = p.chain_begin(chain); b < p.chain_begin(chain + 1); ++b) {
          float* const of_block = middle + part.sample * p.middle_floats() + b * p.out_map * p.step;
          ExpandBlock(k, part, b, part.row_begin, part.row_end, expanded, of_block + part.row_begin * p.out_width * p.step, own);
          SumRows(p, part, b, of_block, of_sample + b * p.out_height * p.step);
          if (cut.row_parts == 1) SqueezeBlock(k, b, of_sample + b * p.out_height * p.step, share);
        }
      }
    });
    if (cut.row_parts > 1) {  // no task had all rows
      parallel_for(batch * p.chains, [&](int64_t task) HWY_ATTR {
        float* const of_sample = sums + task / p.chains * p.squeeze_floats();
        const int64_t chain = task % p.chains;
        float* const share = share_of(of_sample, chain);
        std::fill_n(share, p.squeezed_lanes, 0.0f);
        for (int64_t b = p.chain_begin(chain); b < p.chain_begin(chain + 1); ++b) {
          SqueezeBlock(k, b, of_sample + b * p.out_height * p.step, share);
        }
      });
    }
    parallel_for(batch * parts, [&](int64_t task, int thread) HWY_ATTR {
      const Part part = part_of(task);
      const Own own(p, cut, scratch + thread * own_floats);
      float* const of_sample = middle + part.sample * p.middle_floats();
      BeginPart(k, part, own);
      ExcitePart(k, part, sums + part.sample * p.squeeze_floats() + p.row_sums(), of_sample, own);
      ProjectPart(k, part, part.row_begin, part.row_end,
                  of_sample + (p.chain_begin(part.chain_begin) * p.out_map + part.row_begin * p.out_width) * p.step, slot_of(task),
                  own);
    });
  }
  if (slots == nullptr) return;
  const int64_t steps = (p.out_map + p.lanes - 1) / p.lanes, pieces = std::min<int64_t>(threads, steps);
  parallel_for(batch * pieces, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t sample = task / pieces, piece = task % pieces;
    const int64_t begin = steps * piece / pieces * p.lanes,
                  pixels = std::min(steps * (piece + 1) / pieces * p.lanes, p.out_map) - begin;
    float* const sums = Own(p, cut, scratch + thread * own_floats).sums;
    for (int64_t o = 0; o < p.result_blocks; ++o) {
      AddSlots(slots + sample * cut.slots * slot_floats + (o * p.out_map + begin) * p.block, cut.slots, slot_floats,
               pixels * p.block, sums);
      FinishResults(k, sums, sample, o, begin, pixels);
    }
  });
}

#if HWY_TARGET == HWY_AVX3
// The factors of channels and rows, these one behind the other at first, and the projection.
HWY_ATTR void PackPairs(const Plan& p, const float* weights, float* packed) {
  const int64_t row = p.terms + p.kernel * p.kernel + p.results + 2 * p.squeezed;
  if (p.pairs) pairs::Balance(weights, p.expanded, row, p.terms, 1, packed + p.factors_at, packed + p.channel_factors_at);
  if (!p.project_pairs) return;
  for (int64_t chain = 0; chain < p.chains; ++chain) {
    const int64_t first = p.chain_channel(chain), channels = p.chain_end(chain) - first;
    const int64_t first_result = chain * p.result_vectors * p.lanes;
    const float* const from = weights + first * row + p.terms + p.kernel * p.kernel;
    float* const factors = packed + p.result_factors_at + first_result;
    float* const channel_factors = packed + p.middle_factors_at + first;
    std::fill_n(factors, p.result_vectors * p.lanes, 1.0f);
    pairs::Balance(from, p.results, 1, channels, row, factors, channel_factors);
    for (int64_t v = 0; v < p.result_vectors; ++v) {
      float* const to = packed + p.paired_project_at(chain) + v * channels * p.lanes;
      const int64_t o = v * p.lanes, at = first_result + o;
      for (int64_t c = 0; c < channels; ++c) {
        std::copy_n(from + c * row + o, std::min(p.lanes, p.results - o), to + c * p.lanes);
      }
      const uint32_t direct =
          pairs::ScaleRows(to, p.lanes, p.lanes, channels, channel_factors, factors + o, packed + p.result_offsets_at + at);
      pairs::StoreBits(direct, packed + p.result_direct_at + at / p.lanes);
    }
    pairs::Undo(channel_factors, channels);
  }
}

HWY_ATTR void ScalePairs(const Plan& p, float* packed) {
  for (int64_t i = p.pairs ? p.blocks : 0; i-- > 0;) {
    for (int64_t lane = round_up(p.lanes_of_block(i), p.lanes); (lane -= p.lanes) >= 0;) {
      const int64_t first = p.block_channel(i) + lane, at = i * p.step + lane, count = std::min(p.lanes, p.expanded - first);
      float* const factors = packed + p.factors_at + at;
      std::copy_backward(packed + p.factors_at + first, packed + p.factors_at + first + count, factors + count);
      std::fill(factors + count, factors + p.lanes, 1.0f);
      const uint32_t direct = pairs::ScaleRows(packed + i * p.block_floats + lane * p.terms, p.lanes, p.lanes, p.terms,
                                               packed + p.channel_factors_at, factors, packed + p.offsets_at + at);
      pairs::StoreBits(direct, packed + p.direct_at + at / p.lanes);
    }
  }
  if (p.pairs) pairs::Undo(packed + p.channel_factors_at, p.terms);
}
#endif

HWY_ATTR void InvertedResidualPack(const InvertedResidualShape& s, const float* weights, float* packed) {
  const Plan p(s, tile::Lanes());
  std::fill_n(packed, p.packed, 0.0f);
  const int64_t taps = p.kernel * p.kernel;
#if HWY_TARGET == HWY_AVX3
  PackPairs(p, weights, packed);
#endif
  int64_t b = 0;
  for (int64_t e = 0; e < p.expanded; ++e, weights += p.terms + taps + p.results + 2 * p.squeezed) {
    while (e >= p.block_channel(b) + p.lanes_of_block(b)) ++b;
    const int64_t lane = e - p.block_channel(b);
    float* const of_block = packed + b * p.block_floats;
    for (int64_t t = 0; t < p.terms; ++t) {
      of_block[p.pairs ? (lane / p.lanes * p.terms + t) * p.lanes + lane % p.lanes : t * p.step + lane] = weights[t];
    }
    for (int64_t t = 0; t < taps; ++t) packed[p.depthwise_at + (b * taps + t) * p.block + lane] = weights[p.terms + t];
    for (int64_t o = 0; o < p.results && !p.project_pairs; ++o) {
      packed[p.project_at + o / p.block * p.block * p.expanded + e * p.lanes_of_results(o / p.block) + o % p.block] =
          weights[p.terms + taps + o];
    }
    const float* const squeeze = weights + p.terms + taps + p.results;
    for (int64_t i = 0; i < p.squeezed; ++i) {
      of_block[p.squeeze_at + lane * p.squeezed_lanes + i] = squeeze[i];
      packed[p.excite_at + b * p.excite_step + i * p.step + lane] = squeeze[p.squeezed + i];
    }
  }
#if HWY_TARGET == HWY_AVX3
  ScalePairs(p, packed);
#endif
}

int64_t InvertedResidualPackedFloats(const InvertedResidualShape& s) { return Plan(s, tile::Lanes()).packed; }

size_t InvertedResidualWorkspace(const InvertedResidualShape& s, int threads) {
  const Plan p(s, tile::Lanes());
  const Cut cut(p, s.expand.batch, threads);
  const int64_t slots = cut.slots > 1 ? s.expand.batch * cut.slots * p.result_blocks * p.out_map * p.block : 0;
  const int64_t middle = p.squeezed > 0 ? s.expand.batch * p.middle_floats() : 0;
  const int64_t sums = p.squeezed > 0 ? s.expand.batch * p.squeeze_floats() : 0;
  size_t bytes = 0;
  for (const int64_t floats : {threads * Own::Floats(p, cut), slots, middle, sums}) {
    bytes += padded_bytes(static_cast<size_t>(floats) * sizeof(float));
  }
  return bytes;
}

// With the 16 registers of AVX2 maps of 7x7 lose 6 %. Nobody has measured it elsewhere. What a thread works on stays in L2.
bool InvertedResidualWins(const InvertedResidualShape& s) {
  constexpr int64_t kMostOwn = 256 << 10;
  const Plan p(s, tile::Lanes());
  if (Own::Floats(p, Cut(p, 1, 2)) > kMostOwn) return false;
  if (p.squeezed > 0 && p.out_map * p.expanded > 2 * inverted_residual_parts::kMostKept) return false;
  if (!p.lines.pointwise) return p.lines.channels <= 4 && p.expanded <= 64;  // a network's first layer
  if (p.expanded < 2 * std::max(p.terms, p.results)) return false;  // ShuffleNet's, whose 58 channels are not expanded: 8 %
  return HWY_TARGET == HWY_AVX3 || (HWY_TARGET == HWY_AVX2 && p.out_map >= 100);
}

bool InvertedResidualRuns(const InvertedResidualShape& s) { return !s.shortcut || Plan(s, tile::Lanes()).result_blocks == 1; }
#endif  // HWY_TARGET

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(InvertedResidual);
CONVOY_EXPORT(InvertedResidualPack);
CONVOY_EXPORT(InvertedResidualPackedFloats);
CONVOY_EXPORT(InvertedResidualWorkspace);
CONVOY_EXPORT(InvertedResidualWins);
CONVOY_EXPORT(InvertedResidualRuns);

const char* refuse_inverted_residual(const InvertedResidualShape& s) {
  const ConvShape& d = s.depthwise;
  const auto is_plain = [](const shape::Axis& axis) { return axis.stride == 1 && axis.pad_begin == 0; };
  const auto is_near = [](const shape::Axis& axis) {
    return axis.dilation == 1 && axis.stride <= 2 && axis.pad_begin >= 0 && axis.pad_begin < axis.kernel_size;
  };
  const ConvShape& last = s.project;
  if (last.groups != 1 || last.taps() != 1 || last.input != last.output ||
      !std::all_of(last.axes.begin(), last.axes.end(), is_plain))
    return "needs a 1x1 layer of stride 1 behind the depthwise layer";
  if (s.expand.groups != 1 || s.expand.input[0] != 1 || s.expand.axes[0].kernel_size != 1 ||
      !std::all_of(s.expand.axes.begin(), s.expand.axes.end(), is_near))
    return "needs a layer without groups and dilation and of a stride of 1 or 2 in front of the depthwise layer";
  if (d.in_channels_per_group() != 1 || d.out_channels != d.in_channels) return "needs one input and one result channel per group";
  if (s.expand.output != d.input || d.output != s.project.input || s.expand.out_channels != d.in_channels ||
      s.project.in_channels != d.out_channels)
    return "needs layers that fit";
  const shape::Axis &h = d.axes[1], &w = d.axes[2];
  if (d.input[0] != 1 || d.output[0] != 1 || d.axes[0].kernel_size != 1) return "needs planes";
  if ((w.kernel_size != 3 && w.kernel_size != 5) || h.kernel_size != w.kernel_size) return "needs kernels of 3x3 or 5x5";
  if ((w.stride != 1 && w.stride != 2) || h.stride != w.stride || w.dilation != 1 || h.dilation != 1)
    return "needs a stride of 1 or 2 and no dilation";
  if (h.pad_begin < 0 || w.pad_begin < 0 || h.pad_begin >= h.kernel_size || w.pad_begin >= w.kernel_size)
    return "needs a padding less than the kernel";
  if (s.expand.batch == 0 || s.expand.in_channels == 0 || d.in_channels == 0 || s.project.out_channels == 0 ||
      d.output_positions() == 0)
    return "nothing to compute";
  if (d.output[2] < inverted_residual_parts::kColumns) return "the rows are too short";
  if (s.shortcut && (s.squeezed > 0 || s.expand.output != last.output || s.expand.out_channels != last.out_channels))
    return "needs as many channels and positions in front of a shortcut as behind it, and no squeeze-and-excitation";
  if (!CONVOY_DISPATCH(InvertedResidualRuns)(s)) return "needs vectors, two of which hold all channels of a shortcut";
  return nullptr;
}

bool prefers_inverted_residual(const InvertedResidualShape& s) {
  return refuse_inverted_residual(s) == nullptr && CONVOY_DISPATCH(InvertedResidualWins)(s);
}

int64_t inverted_residual_packed_floats(const InvertedResidualShape& s) { return CONVOY_DISPATCH(InvertedResidualPackedFloats)(s); }

void inverted_residual_pack(const InvertedResidualShape& s, const float* weights, float* packed) noexcept {
  CONVOY_DISPATCH(InvertedResidualPack)(s, weights, packed);
}

size_t inverted_residual_workspace_bytes(const InvertedResidualShape& s, int threads) {
  return CONVOY_DISPATCH(InvertedResidualWorkspace)(s, threads);
}

void inverted_residual(const InvertedResidualShape& s, const InvertedResidualArrays& arrays,
                       const InvertedResidualEpilogues& epilogues, Workspace& workspace) noexcept {
  CONVOY_DISPATCH(InvertedResidual)(s, arrays, epilogues, workspace);
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
