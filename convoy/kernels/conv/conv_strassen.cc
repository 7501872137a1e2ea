// C = A B with A the weight [rows][channels] and B the pixels [channels][pixels] of a sample, in quarters: rows and channels in
// halves, pixels in pairs of neighbours (an even pixel belongs to the first half of B and C, the odd one behind it to the second).
// Strassen, Gaussian Elimination is not Optimal, 1969:
//   M1 = (A11 + A22) (B11 + B22)   M2 = (A21 + A22) B11   M3 = A11 (B12 - B22)   M4 = A22 (B21 - B11)   M5 = (A11 + A12) B22
//   M6 = (A21 - A11) (B11 + B12)   M7 = (A12 - A22) (B21 + B22)
//   C11 = M1 + M4 - M5 + M7   C12 = M3 + M5   C21 = M2 + M4   C22 = M1 - M2 + M3 + M6
// Winograd's form adds 15 quarters instead of 18, but errs more (1.9 instead of 1.4 times a direct sum's error in a model), and all
// additions together take 1 to 3 % of the products.
//
// What is added up should be of one size, or the small would drown. So the weight's rows and channels are brought to one magnitude
// by powers of two, exactly: a channel's factor divides its pixels as they are gathered, a row's the sums at the end. Pixels are
// paired with their neighbours, as in Winograd's tiles.
//
// A NaN or an infinity, or sums of two pixels beyond the largest float, must not reach another pixel's results: pairs whose results
// are not all finite are computed once more, pixel by pixel. With such values among the weights all results are direct sums.
//
// Lanes are result channels. A task turns some pairs into the seven right factors, panel by panel, and multiplies tiles of two
// vectors of rows of each half. Pixels of a strided layer are copied first, some channels at a time, into the first cache.
//
// Of large maps with not too many channels ("wide" plans) lanes are pairs, of pixels a vector apart: nothing is turned, and a tile
// of few rows of each half is added up where its products lie, in the first cache.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_strassen.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_gather-inl.h"
#include "convoy/kernels/conv/conv_strassen.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "convoy/core/parallel.h"

#ifndef CONVOY_KERNELS_CONV_STRASSEN_GEOMETRY
#define CONVOY_KERNELS_CONV_STRASSEN_GEOMETRY
namespace convoy::kernels::strassen {

constexpr int64_t kChain = 256;  // channels of one chain of sums
constexpr int64_t kProducts = 7;
constexpr int64_t kPanelFloats = 96 << 10;  // right factors that are made at a time: most of 512 KB
constexpr int64_t kSlabChains = 2;          // of two panels at least
constexpr int64_t kMostPanels = 2;
using conv_tile::kLine;
using conv_tile::lines;
constexpr int64_t kNearFloats = 512 << 10;  // pixels that lie in the core's caches
// Pixels at least, and channels at most, of wide plans.
constexpr int64_t kWidePixels = 784, kWideChannels = 256, kLargePixels = 2048, kLargeChannels = 512;
constexpr int64_t kGathered = 16;  // channels of a strided layer whose pixels are copied at a time
constexpr int kMostExponent = 30;  // of a row's or a channel's magnitude: large pixels stay finite

// Left factors in the order in which they are used. Where weights are not finite the quarters stand there, for direct sums.
enum Place : uint8_t { kM1, kM2, kM3, kM6, kM7, kM4, kM5, kA11 = kM3, kA12 = kM7, kA21 = kM2, kA22 = kM4 };

struct Plan {
  int64_t images, groups, channels, rows, pixels;
  int64_t source_plane;
  bool strided;
  bool wide;  // lanes are pairs of pixels
  int64_t half_channels, half_rows, pairs;
  int64_t weight_row, weight_channel;
  int64_t chain, slab;  // channels of a half whose right factors are made at a time

  bool from_memory() const { return images * channels * source_plane >= conv_tile::kFarFloats; }
  int64_t slabs() const { return (half_channels + slab - 1) / slab; }
};

inline Plan make_plan(const ConvShape& s, Direction direction) {
  const bool forward = direction == Direction::kForward;
  Plan p{};
  p.groups = s.groups;
  p.images = s.batch * s.groups;
  p.channels = forward ? s.in_channels_per_group() : s.out_channels_per_group();
  p.rows = forward ? s.out_channels_per_group() : s.in_channels_per_group();
  p.pixels = s.output_positions();
  p.source_plane = forward ? s.input_positions() : p.pixels;
  p.strided = s.input != s.output;
  p.wide = p.pixels >= kLargePixels ? p.channels <= kLargeChannels
                                    : p.pixels >= kWidePixels && p.channels <= kWideChannels && !p.strided;
  p.half_channels = p.channels / 2;
  p.half_rows = p.rows / 2;
  p.pairs = (p.pixels + 1) / 2;
  p.weight_row = forward ? p.channels : 1;
  p.weight_channel = forward ? 1 : p.rows;
  const int64_t chains = std::max<int64_t>((p.half_channels + kChain - 1) / kChain, 1);
  p.chain = (p.half_channels + chains - 1) / chains;
  p.slab = p.chain * std::min(chains, kSlabChains);
  return p;
}

// A packed group: [tile of rows][factor][channel of a half][rows of a tile], then a factor for each channel's pixels and each row's
// sums, and whether all weights are finite.
struct Packed {
  int64_t channel_scales, row_scales, finite, all;
};
inline Packed packed_of(const Plan& p) {
  Packed at{};
  at.channel_scales = kProducts * p.half_rows * p.half_channels;
  at.row_scales = at.channel_scales + lines(p.channels);
  at.finite = at.row_scales + lines(p.rows);
  at.all = at.finite + kLine;
  return at;
}

// Tasks of an image: parts of the tiles of rows and parts of the pairs. Every part of the rows makes all right factors again.
struct Split {
  int64_t row_parts, pair_parts;
};

}  // namespace convoy::kernels::strassen
#endif  // CONVOY_KERNELS_CONV_STRASSEN_GEOMETRY

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using conv_tile::Tap;
using gather::Segment;
using strassen::lines;
using strassen::Packed;
using strassen::Place;
using strassen::Plan;
using strassen::Split;
using tile::Floats;
using tile::Full;
using tile::kLinearLanes;

HWY_INLINE int64_t TileRows() { return 2 * tile::Lanes(); }
// Of each half that a tile of the plan takes; the last one of a wide plan may have fewer.
HWY_INLINE int64_t TileRows(const Plan& p) { return p.wide ? tile::kRows : TileRows(); }
HWY_INLINE int64_t Tiles(const Plan& p) { return (p.half_rows + TileRows(p) - 1) / TileRows(p); }

// What the rows of each half must be a multiple of.
HWY_ATTR int64_t StrassenRowStep(const Plan& p) { return p.wide ? 1 : TileRows(); }

// A row of a panel takes whole vectors.
HWY_INLINE int64_t PanelWidth() { return (tile::kPixels + tile::Lanes() - 1) / tile::Lanes() * tile::Lanes(); }

// Pairs of a panel of a wide plan.
constexpr int64_t kWideVectors = tile::MostVectors(tile::kRows);
HWY_INLINE int64_t WidePairs() { return kWideVectors * tile::Lanes(); }

// Floats of a right factor of a panel: a line more than it takes, or all factors' rows would share sets of the cache.
HWY_INLINE int64_t FactorFloats(const Plan& p) { return p.slab * (p.wide ? WidePairs() : PanelWidth()) + strassen::kLine; }

// Panels of kPixels pairs whose right factors are made at a time.
HWY_INLINE int64_t BlockPanels(const Plan& p) {
  return std::max<int64_t>(strassen::kPanelFloats / (strassen::kProducts * FactorFloats(p)), strassen::kMostPanels);
}

// Sums of all seven products of a tile of rows for up to kMostPanels panels.
HWY_INLINE int64_t ProductFloats() { return strassen::kMostPanels * tile::kPixels * TileRows(); }

struct StrassenScratch {
  int64_t taps, panels, sums, results, gathered;
  int64_t all() const { return taps + panels + sums + results + gathered; }
};

HWY_INLINE StrassenScratch ScratchOf(const Plan& p) {
  if (p.wide) {
    const int64_t tile = tile::kRows * WidePairs();
    return {.taps = 0,
            .panels = lines(strassen::kProducts * FactorFloats(p)),
            .sums = strassen::kProducts * tile,
            .results = 4 * tile,
            .gathered = lines(std::max(3 * p.half_channels * PanelWidth(), 4 * strassen::kGathered * WidePairs()))};
  }
  const int64_t panels = BlockPanels(p), runs = (panels + strassen::kMostPanels - 1) / strassen::kMostPanels;
  // With several slabs the sums of all tiles wait for the next one.
  const int64_t waiting = p.slabs() > 1 ? runs * (p.half_rows / TileRows()) : 1;
  return {.taps = kLinearLanes ? 0 : lines(p.chain * static_cast<int64_t>(sizeof(Tap) / sizeof(float))),
          .panels = lines(panels * strassen::kProducts * FactorFloats(p)),
          .sums = waiting * strassen::kProducts * ProductFloats(),
          .results = 2 * (2 * ProductFloats() + tile::Lanes() * TileRows()),
          .gathered = lines(3 * p.half_channels * PanelWidth())};
}

HWY_INLINE Split StrassenSplit(const Plan& p, int threads) {
  const int64_t panel = p.wide ? WidePairs() : tile::kPixels;
  const int64_t tiles = Tiles(p), panels = (p.pairs + panel - 1) / panel;
  // In cycles for a channel of both halves: a pair's products take 14 for a tile of rows, its factors 2.5, a weight 0.1 of one. Of
  // wide plans a vector of pairs takes 7 for a row, its factors 30.
  Split best{1, 1};
  double least = 0;
  for (int64_t r = 1; r <= std::min<int64_t>(tiles, threads); ++r) {
    for (int64_t f = 1; f <= 3; ++f) {
      const int64_t q = std::min<int64_t>((f * threads + r - 1) / r, panels);
      const auto rounds = static_cast<double>((p.images * r * q + threads - 1) / threads);
      const auto own_tiles = static_cast<double>((tiles + r - 1) / r), own_pairs = static_cast<double>((p.pairs + q - 1) / q);
      const double vectors = std::ceil(own_pairs / static_cast<double>(tile::Lanes()));
      const double time = p.wide
                              ? rounds * vectors * (own_tiles * 7 * tile::kRows + 30)
                              : rounds * (own_pairs * (own_tiles * 14 + 2.5) + own_tiles * 0.7 * static_cast<double>(TileRows()));
      if (least == 0 || time < least) {
        least = time;
        best = {r, q};
      }
    }
  }
  return best;
}

// Pairs of a task in panels.
struct Panels : tile::EvenParts {
  int64_t first;
  Panels(int64_t first_pair, int64_t last) : EvenParts(last - first_pair, tile::kPixels), first(first_pair) {}
  int64_t at(int64_t panel) const { return first + begin(panel); }
};

// Every second value of two vectors that follow each other, from the first on and from the second on.
HWY_INLINE Floats EvenOf(Floats low, Floats high) {
#if HWY_TARGET == HWY_SCALAR
  (void)high;
  return low;
#else
  return hn::ConcatEven(Full(), high, low);
#endif
}
HWY_INLINE Floats OddOf(Floats low, Floats high) {
#if HWY_TARGET == HWY_SCALAR
  (void)low;
  return high;
#else
  return hn::ConcatOdd(Full(), high, low);
#endif
}

// What a task works on: an image, and its thread's scratch memory.
struct StrassenTask {
  const Plan& p;
  const ConvShape& shape;
  const Packed at;
  const float *source, *packed, *bias;
  float* result;
  const SplitEpilogue& epilogue;
  conv_tile::Finish finish;
  float* panels;
  float *sums = nullptr, *results = nullptr, *gathered = nullptr;
  conv_tile::Work work{};
  bool streams = false;  // results of wide plans go past the caches

  bool finite() const { return packed[at.finite] != 0; }
  int64_t rows(int64_t tile) const { return std::min(p.half_rows - tile * TileRows(p), TileRows(p)); }
  // Of the rows of a tile in both halves.
  int64_t row(int64_t tile, int64_t r) const { return tile * TileRows(p) + (r < rows(tile) ? r : p.half_rows + r - rows(tile)); }
  const float* factors(int64_t tile) const { return packed + tile * strassen::kProducts * p.half_channels * TileRows(p); }
  const float* row_scales(int64_t row) const { return packed + at.row_scales + row; }
  const float* channel_scales() const { return packed + at.channel_scales; }
  // Where a pixel lies in its plane.
  int64_t place(int64_t pixel) const {
    if (!p.strided) return pixel;
    Segment segment;
    gather::FindSegments(shape, 0, pixel, pixel + 1, 1, 0, &segment);
    return segment.source;
  }
};

// The right factors of a panel of `pixels` pixels, kVectors of pairs, for `channels` channels of each half, whose planes begin with
// them at `above` and `below`; `ahead` floats behind lie pixels to ask for.
template <int64_t kVectors, bool kWide>
HWY_INLINE void MakePanel(const Plan& p, const float* above, const float* below, int64_t plane, const float* scales,
                          int64_t channels, int64_t pixels, int64_t ahead, float* at) {
  const Full d;
  const int64_t lanes = tile::Lanes(), factor = FactorFloats(p), width = kWide ? WidePairs() : PanelWidth();
  hn::Mask<Full> mask[kVectors][2];
  for (int64_t v = 0; v < 2 * kVectors; ++v) {
    mask[v / 2][v % 2] = hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(pixels - v * lanes, 0, lanes)));
  }
  for (int64_t c = 0; c < channels; ++c, above += plane, below += plane, at += width) {
    const Floats scale = hn::Set(d, scales[c]), lower_scale = hn::Set(d, scales[p.half_channels + c]);
    HWY_UNROLL(3)
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t from = 2 * v * lanes;
      __builtin_prefetch(above + from + ahead);
      __builtin_prefetch(below + from + ahead);
      const Floats a = LoadMasked(mask[v][0], d, above + from), b = LoadMasked(mask[v][1], d, above + from + lanes),
                   e = LoadMasked(mask[v][0], d, below + from), f = LoadMasked(mask[v][1], d, below + from + lanes);
      const Floats b11 = hn::Mul(kWide ? a : EvenOf(a, b), scale), b12 = hn::Mul(kWide ? b : OddOf(a, b), scale),
                   b21 = hn::Mul(kWide ? e : EvenOf(e, f), lower_scale), b22 = hn::Mul(kWide ? f : OddOf(e, f), lower_scale);
      const Floats upper_sum = hn::Add(b11, b12), lower_sum = hn::Add(b21, b22);
      float* const to = at + v * lanes;
      hn::StoreU(hn::Add(b11, b22), d, to + Place::kM1 * factor);
      hn::StoreU(b11, d, to + Place::kM2 * factor);
      hn::StoreU(hn::Sub(b12, b22), d, to + Place::kM3 * factor);
      hn::StoreU(upper_sum, d, to + Place::kM6 * factor);
      hn::StoreU(lower_sum, d, to + Place::kM7 * factor);
      hn::StoreU(hn::Sub(b21, b11), d, to + Place::kM4 * factor);
      hn::StoreU(b22, d, to + Place::kM5 * factor);
    }
  }
}

// The right factors of a panel of `pixels` pixels from `first` on for the channels [begin, end) of each half.
template <bool kWide>
HWY_INLINE void MakeFactors(const StrassenTask& t, int64_t first, int64_t pixels, int64_t begin, int64_t end, float* to) {
  constexpr int64_t kVectors = kWide ? kWideVectors : (tile::kPixels + HWY_LANES(float) - 1) / HWY_LANES(float);
  const Plan& p = t.p;
  const int64_t width = kVectors * tile::Lanes(), half = p.half_channels * p.source_plane;
  if (!p.strided) {
    const float* const above = t.source + begin * p.source_plane + first;
    return MakePanel<kVectors, kWide>(p, above, above + half, p.source_plane, t.channel_scales() + begin, end - begin, pixels,
                                      kernels::gather::kAheadPlanes * p.source_plane, to);
  }
  Segment segments[2 * kVectors * HWY_LANES(float)];
  const int64_t count = gather::FindSegments(t.shape, 0, first, first + pixels, 2 * width, 0, segments);
  float *const upper = t.gathered, *const lower = upper + strassen::kGathered * 2 * width;
  for (int64_t c = begin; c < end; c += strassen::kGathered, to += strassen::kGathered * width) {
    const int64_t channels = std::min(end - c, strassen::kGathered);
    const float* const source = t.source + c * p.source_plane;
    gather::CopyPixels(t.shape, segments, count, source, p.source_plane, channels, 2 * width, upper);
    gather::CopyPixels(t.shape, segments, count, source + half, p.source_plane, channels, 2 * width, lower);
    MakePanel<kVectors, kWide>(p, upper, lower, 2 * width, t.channel_scales() + c, channels, pixels, 0, to);
  }
}

// Those of the panels [first, last).
HWY_NOINLINE HWY_ATTR void MakePanels(const StrassenTask& t, const Panels& task, int64_t first, int64_t last, int64_t begin,
                                      int64_t end) {
  float* to = t.panels;
  for (int64_t panel = first; panel < last; ++panel, to += strassen::kProducts * FactorFloats(t.p)) {
    const int64_t pixel = 2 * task.at(panel);
    MakeFactors<false>(t, pixel, std::min(2 * task.at(panel + 1), t.p.pixels) - pixel, begin, end, to);
  }
}

// sums (+)= `channels` channels of a left factor x `pixels` pixels of a panel, chain by chain.
HWY_INLINE void AddProduct(const Plan& p, conv_tile::Work& work, const float* weight, const float* panel, int64_t channels,
                           int64_t pixels, bool add, float* sums) {
  work.sums = sums;
  for (int64_t c = 0; c < channels; c += p.chain) {
    const int64_t count = std::min(p.chain, channels - c);
    work.tap_count = count;
    if (kLinearLanes) work.channels = count;
    work.weight = weight + c * TileRows();
    work.source = panel + c * PanelWidth();
    work.add = add || c > 0;
    tile::RunChannelTile<kLinearLanes>(work, pixels, 4);
    if (work.ahead != nullptr) work.ahead += count * work.ahead_step;
  }
}

// Sums of a tile of the half that begins with row `half` times its rows' factors: sums[pixel][rows of the tile], of wide plans
// sums[row][pixel].
HWY_INLINE void Scale(const StrassenTask& t, int64_t tile, int64_t half, int64_t pixels, float* sums) {
  const int64_t rows = t.rows(tile), stride = t.work.sums_stride;
  const float* const factors = t.row_scales(half + tile * TileRows(t.p));
  for (int64_t n = 0; n < pixels; ++n) {
    for (int64_t r = 0; r < rows; ++r) sums[t.p.wide ? r * stride + n : n * stride + r] *= factors[r];
  }
}

// t.gathered[channel][PanelWidth()]: `pixels` <= kPixels pixels from `at` on times their channels' factors.
HWY_NOINLINE HWY_ATTR void GatherScaled(const StrassenTask& t, int64_t at, int64_t pixels) {
  const Plan& p = t.p;
  Segment segments[tile::kPixels];
  const int64_t count = gather::FindSegments(t.shape, 0, at, at + pixels, PanelWidth(), 0, segments);
  gather::CopyPixels(t.shape, segments, count, t.source, p.source_plane, p.channels, PanelWidth(), t.gathered);
  for (int64_t c = 0; c < p.channels; ++c) {
    for (int64_t i = 0; i < pixels; ++i) t.gathered[c * PanelWidth() + i] *= t.channel_scales()[c];
  }
}

// sums (+)= a tile's left factor x gathered pixels, kPixels of them at most.
HWY_INLINE void AddGathered(const StrassenTask& t, int64_t tile, Place place, const float* panel, int64_t pixels, bool add,
                            float* sums) {
  const Plan& p = t.p;
  const float* const weight = t.factors(tile) + place * p.half_channels * t.rows(tile);
  conv_tile::Work work = t.work;
  if (!p.wide) return AddProduct(p, work, weight, panel, p.half_channels, pixels, add, sums);
  work.source = panel;
  work.source_channel = PanelWidth();
  work.weight = weight;
  work.sums = sums;
  work.add = add;
  tile::RunPixelTile<true>(work, t.rows(tile), pixels, nullptr);
}

// `pixels` <= kPixels pixels from `at` on by plain sums, the rows of one tile of each half, if the weight is not finite.
HWY_NOINLINE HWY_ATTR void Directly(const StrassenTask& t, int64_t tile, int64_t at, int64_t pixels, float* upper, float* lower) {
  const Plan& p = t.p;
  GatherScaled(t, at, pixels);
  const float *const first = t.gathered, *const second = t.gathered + p.half_channels * PanelWidth();
  AddGathered(t, tile, Place::kA11, first, pixels, false, upper);
  AddGathered(t, tile, Place::kA12, second, pixels, true, upper);
  AddGathered(t, tile, Place::kA21, first, pixels, false, lower);
  AddGathered(t, tile, Place::kA22, second, pixels, true, lower);
}

// `pixels` <= kPixels pixels from `at` on as pairs of their own, with zeros beside them, which leave four of the products:
// C11 = M1 + M7 + M4, C21 = M2 + M4. Rows are not scaled yet.
HWY_NOINLINE HWY_ATTR void Apart(const StrassenTask& t, int64_t tile, int64_t at, int64_t pixels, float* upper, float* lower) {
  const Plan& p = t.p;
  const int64_t each = p.half_channels * PanelWidth();
  float *const first = t.gathered, *const second = first + each, *const difference = second + each;
  GatherScaled(t, at, pixels);
  for (int64_t c = 0; c < p.half_channels; ++c) {
    for (int64_t i = c * PanelWidth(); i < c * PanelWidth() + pixels; ++i) difference[i] = second[i] - first[i];
  }
  AddGathered(t, tile, Place::kM1, first, pixels, false, upper);
  AddGathered(t, tile, Place::kM7, second, pixels, true, upper);
  AddGathered(t, tile, Place::kM4, difference, pixels, true, upper);
  AddGathered(t, tile, Place::kM2, first, pixels, false, lower);
  AddGathered(t, tile, Place::kM4, difference, pixels, true, lower);
}

// What is multiplied at once: one tile of rows of each half, the panels [panel, last) and the channels [begin, end) of each half.
// t.panels begin with panel `made`.
struct StrassenPart {
  int64_t tile, made, panel, last, begin, end;
  float* sums;  // [product][pair][rows of the tile]
};

// The seven products. Meanwhile the next left factor is asked for, or at the last tile of rows the pixels of the panels of the next
// block, or of the next channels.
HWY_ATTR void Multiply(const StrassenTask& t, const Panels& task, const StrassenPart& part, bool last_tile) {
  const Plan& p = t.p;
  const int64_t rows = TileRows(), factor = FactorFloats(p), block = p.half_channels * rows, panels = part.last - part.panel;
  const float* const made = t.panels + (part.panel - part.made) * strassen::kProducts * factor;
  const int64_t next_channel = part.end < p.half_channels ? part.end : 0,
                next_panel = part.panel + (next_channel == 0 ? BlockPanels(p) : 0);
  conv_tile::Work work = t.work;
  for (int64_t place = 0; place < strassen::kProducts; ++place) {
    const float* const weight = t.factors(part.tile) + place * block + part.begin * rows;
    work.ahead = last_tile && place + 1 == strassen::kProducts ? nullptr : weight + block;
    work.ahead_step = (rows + panels - 1) / panels;
    for (int64_t j = 0; j < panels; ++j) {
      const int64_t at = task.at(part.panel + j), width = task.size(part.panel + j);
      if (last_tile && next_panel + j < task.count) {
        const int64_t from = 2 * task.at(next_panel + j) + place % 2 * strassen::kLine;
        const float* const half = t.source + (place / 2 * p.half_channels + next_channel) * p.source_plane;
        work.ahead = place < 4 && from < p.pixels ? half + t.place(from) : nullptr;
        work.ahead_step = p.source_plane;
      }
      AddProduct(p, work, weight, made + (j * strassen::kProducts + place) * factor, part.end - part.begin, width, part.begin > 0,
                 part.sums + place * ProductFloats() + (at - task.at(part.panel)) * rows);
    }
  }
}

// A vector of the results of a pair's four quarters.
struct Quarters {
  Floats c11, c12, c21, c22;  // C11 and C21 are even pixels, C12 and C22 odd ones

  template <class Product>
  static HWY_INLINE Quarters Of(const Product& product) {
    const Floats m1 = product(Place::kM1), m2 = product(Place::kM2), m3 = product(Place::kM3), m4 = product(Place::kM4),
                 m5 = product(Place::kM5);
    return {.c11 = hn::Add(hn::Add(m1, product(Place::kM7)), hn::Sub(m4, m5)),
            .c12 = hn::Add(m3, m5),
            .c21 = hn::Add(m2, m4),
            .c22 = hn::Add(hn::Sub(m1, m2), hn::Add(m3, product(Place::kM6)))};
  }

  template <class Upper, class Lower>
  HWY_INLINE void Change(const Upper& upper, const Lower& lower) {
    c11 = upper(c11);
    c12 = upper(c12);
    c21 = lower(c21);
    c22 = lower(c22);
  }

  // Zeros where all are finite.
  HWY_INLINE Floats Check() const {
    const Floats all = hn::Add(hn::Add(c11, c12), hn::Add(c21, c22));
    return hn::Sub(all, all);
  }
};

// The results of all channels: products added up, pairs that are not finite computed once more, and stored.
HWY_ATTR void Combine(const StrassenTask& t, const Panels& task, const StrassenPart& part) {
  const Plan& p = t.p;
  const Full d;
  const int64_t rows = TileRows(), lanes = tile::Lanes(), first = task.at(part.panel), pairs = task.at(part.last) - first,
                pixels = std::min(2 * pairs, p.pixels - 2 * first);
  float *const upper = t.results, *const lower = upper + 2 * ProductFloats() + lanes * rows;  // [pixel][rows of the tile]
  if (t.finite()) {
    std::array<bool, strassen::kMostPanels * tile::kPixels> again{};
    for (int64_t v = 0; v < rows; v += lanes) {
      const Floats upper_scale = hn::LoadU(d, t.row_scales(part.tile * rows + v)),
                   lower_scale = hn::LoadU(d, t.row_scales(p.half_rows + part.tile * rows + v));
      for (int64_t n = 0; n < pairs; ++n) {
        const Quarters c =
            Quarters::Of([&](Place place) HWY_ATTR { return hn::LoadU(d, part.sums + place * ProductFloats() + n * rows + v); });
        again[static_cast<size_t>(n)] |= !hn::AllTrue(d, hn::Eq(c.Check(), hn::Zero(d)));
        const int64_t k = n * 2 * rows + v;
        hn::StoreU(hn::Mul(c.c11, upper_scale), d, upper + k);
        hn::StoreU(hn::Mul(c.c12, upper_scale), d, upper + k + rows);
        hn::StoreU(hn::Mul(c.c21, lower_scale), d, lower + k);
        hn::StoreU(hn::Mul(c.c22, lower_scale), d, lower + k + rows);
      }
    }
    for (int64_t n = 0; n < pairs; ++n) {
      if (!again[static_cast<size_t>(n)]) continue;
      const int64_t at = n * 2 * rows;
      const int64_t both = std::min<int64_t>(2, pixels - 2 * n);
      Apart(t, part.tile, 2 * (first + n), both, upper + at, lower + at);
      Scale(t, part.tile, 0, both, upper + at);
      Scale(t, part.tile, p.half_rows, both, lower + at);
    }
  } else {
    for (int64_t n = 0; n < pixels; n += tile::kPixels) {
      Directly(t, part.tile, 2 * first + n, std::min<int64_t>(tile::kPixels, pixels - n), upper + n * rows, lower + n * rows);
    }
    Scale(t, part.tile, 0, pixels, upper);
    Scale(t, part.tile, p.half_rows, pixels, lower);
  }
  const auto store = [&](const float* sums, int64_t row) HWY_ATTR {
    float* const to = t.result + row * p.pixels + 2 * first;
    conv_tile::Finish finish = t.finish;
    finish.bias = t.bias != nullptr ? t.bias + row : nullptr;
    tile::StoreChannels<2>(sums, pixels, rows, finish, to, p.pixels);
    t.epilogue.finish(to, pixels, rows, p.pixels);
  };
  store(upper, part.tile * rows);
  store(lower, p.half_rows + part.tile * rows);
}

// The results of a wide plan's tile of rows for the `pixels` pixels from `at` on, two vectors: products added up at t.sums + n,
// those of pairs that are not finite computed once more, and what follows them. load and store know how many values a vector has.
template <class Load, class Store>
HWY_INLINE void CombineWide(const StrassenTask& t, int64_t tile, int64_t n, int64_t at, int64_t pixels, const Load& load,
                            const Store& store) {
  const Full d;
  const int64_t lanes = tile::Lanes(), width = WidePairs(), product_floats = tile::kRows * width, plane = t.p.pixels,
                half_rows = t.p.half_rows;
  const int64_t rows = t.rows(tile), row = tile * tile::kRows, stride = t.work.sums_stride;
  const Floats low = hn::Set(d, t.finish.low), high = hn::Set(d, t.finish.high), zero = hn::Zero(d);
  const bool clamp = t.finish.clamp;
  const float *sums = t.sums + n, *const scales = t.row_scales(row);
  const float* const bias = t.bias != nullptr ? t.bias + row : nullptr;
  float *to = t.result + row * plane + at, *below = to + half_rows * plane;
  const float* residual = t.finish.residual != nullptr ? t.finish.residual + (to - t.finish.result) : nullptr;
  const int64_t half_plane = half_rows * plane;
  float *const upper = t.results, *const lower = upper + tile::kRows * stride;
  bool again = false;
  for (int64_t r = 0; r < rows; ++r, sums += width, to += plane, below += plane) {
    Quarters c = Quarters::Of([&](Place place) HWY_ATTR { return hn::LoadU(d, sums + place * product_floats); });
    const auto finite = hn::Eq(c.Check(), zero);
    if (HWY_UNLIKELY(!hn::AllTrue(d, finite))) {
      for (int64_t i = 0; !again && i < pixels; i += tile::kPixels) {
        const auto sum = t.finite() ? Apart : Directly;
        sum(t, tile, at + i, std::min<int64_t>(tile::kPixels, pixels - i), upper + i, lower + i);
      }
      again = true;
      c.c11 = hn::IfThenElse(finite, c.c11, hn::LoadU(d, upper + r * stride));
      c.c12 = hn::IfThenElse(finite, c.c12, hn::LoadU(d, upper + r * stride + lanes));
      c.c21 = hn::IfThenElse(finite, c.c21, hn::LoadU(d, lower + r * stride));
      c.c22 = hn::IfThenElse(finite, c.c22, hn::LoadU(d, lower + r * stride + lanes));
    }
    const Floats scale = hn::Set(d, scales[r]), lower_scale = hn::Set(d, scales[half_rows + r]);
    c.Change([&](Floats v) HWY_ATTR { return hn::Mul(v, scale); }, [&](Floats v) HWY_ATTR { return hn::Mul(v, lower_scale); });
    if (bias != nullptr) {
      const Floats add = hn::Set(d, bias[r]), lower_add = hn::Set(d, bias[half_rows + r]);
      c.Change([&](Floats v) HWY_ATTR { return hn::Add(v, add); }, [&](Floats v) HWY_ATTR { return hn::Add(v, lower_add); });
    }
    if (residual != nullptr) {
      c.c11 = hn::Add(c.c11, load(residual, 0));
      c.c12 = hn::Add(c.c12, load(residual + lanes, 1));
      c.c21 = hn::Add(c.c21, load(residual + half_plane, 0));
      c.c22 = hn::Add(c.c22, load(residual + half_plane + lanes, 1));
      residual += plane;
    }
    if (clamp) {
      const auto clamped = [&](Floats v) HWY_ATTR { return tile::Clamped(v, low, high); };
      c.Change(clamped, clamped);
    }
    store(c.c11, to, 0);
    store(c.c12, to + lanes, 1);
    store(c.c21, below, 0);
    store(c.c22, below + lanes, 1);
  }
}

// The next panel's pixels of a source that comes from memory, asked for during a panel's products, some channels at each.
struct WideAhead {
  const float* pixels;
  int64_t plane, count, channels, a_product, first_tile;

  HWY_INLINE void Ask(int64_t tile, int64_t place) const {
    const int64_t product = (tile - first_tile) * strassen::kProducts + place;
    for (int64_t c = product * a_product; c < std::min((product + 1) * a_product, channels); ++c) {
      for (int64_t n = 0; n < count; n += strassen::kLine) __builtin_prefetch(pixels + c * plane + n);
    }
  }
};

// A wide plan's tile of rows for the panel of `pixels` pixels from `at` on, whose right factors are made.
HWY_NOINLINE HWY_ATTR void WideTile(const StrassenTask& t, int64_t tile, int64_t at, int64_t pixels, const WideAhead& ahead) {
  const Plan& p = t.p;
  const Full d;
  const int64_t rows = t.rows(tile), lanes = tile::Lanes(), width = WidePairs();
  const int64_t pairs = pixels / (2 * lanes) * lanes + std::min(pixels % (2 * lanes), lanes);
  conv_tile::Work work = t.work;
  work.source_channel = width;
  work.sums_stride = width;
  work.weight = t.factors(tile);
  work.source = t.panels;
  work.sums = t.sums;
  // Without products all pairs are computed once more.
  if (!t.finite()) std::fill_n(t.sums, strassen::kProducts * tile::kRows * width, std::numeric_limits<float>::quiet_NaN());
  const float* const residual = t.finish.residual != nullptr ? t.finish.residual + (t.result - t.finish.result) : nullptr;
  for (int64_t place = 0; t.finite() && place < strassen::kProducts; ++place) {
    // Lines of results that the outer cache holds would stop the stores.
    const int64_t until = t.streams ? 0 : 2 * rows * (place + 1) / strassen::kProducts;
    for (int64_t r = 2 * rows * place / strassen::kProducts; r < until; ++r) {
      const int64_t there = t.row(tile, r) * p.pixels + at;
      for (int64_t n = there; n < there + pixels; n += strassen::kLine) {
        __builtin_prefetch(t.result + n, 1, 3);
        if (residual != nullptr && residual != t.result) __builtin_prefetch(residual + n, 0, 3);
      }
    }
    ahead.Ask(tile, place);
    tile::RunPixelTile<true>(work, rows, pairs, nullptr);
    work.weight += p.half_channels * rows;
    work.source += FactorFloats(p);
    work.sums += tile::kRows * width;
  }
  int64_t n = 0;
  for (; 2 * (n + lanes) <= pixels; n += lanes) {
    CombineWide(
        t, tile, n, at + 2 * n, 2 * lanes, [&](const float* from, int64_t) HWY_ATTR { return hn::LoadU(d, from); },
        [&](Floats v, float* to, int64_t) HWY_ATTR { t.streams ? hn::Stream(v, d, to) : hn::StoreU(v, d, to); });
  }
  if (const int64_t left = pixels - 2 * n; left > 0) {
    const hn::Mask<Full> some[2] = {hn::FirstN(d, static_cast<size_t>(std::min(left, lanes))),
                                    hn::FirstN(d, static_cast<size_t>(std::max<int64_t>(left - lanes, 0)))};
    CombineWide(
        t, tile, n, at + 2 * n, left, [&](const float* from, int64_t i) HWY_ATTR { return LoadMasked(some[i], d, from); },
        [&](Floats v, float* to, int64_t i) HWY_ATTR { StoreMasked(v, some[i], d, to); });
  }
  for (const int64_t half : {int64_t{0}, p.half_rows}) {
    t.epilogue.finish(t.result + (half + tile * tile::kRows) * p.pixels + at, pixels, rows, p.pixels);
  }
}

// The panels from the pixels `begin` to `end` and the tiles [tile_begin, tile_end) of a wide plan.
HWY_ATTR void RunWide(const StrassenTask& t, int64_t begin, int64_t end, int64_t tile_begin, int64_t tile_end) {
  const Plan& p = t.p;
  const int64_t products = (tile_end - tile_begin) * strassen::kProducts;
  const int64_t a_product = !p.strided && p.from_memory() ? (p.channels + products - 1) / products : 0;
  for (int64_t at = begin; at < end; at += 2 * WidePairs()) {
    const int64_t pixels = std::min(2 * WidePairs(), end - at);
    if (t.finite()) MakeFactors<true>(t, at, pixels, 0, p.half_channels, t.panels);
    const int64_t next = at + pixels;
    const WideAhead ahead{t.source + next, p.source_plane, std::min(2 * WidePairs(), end - next),
                          p.channels,      a_product,      tile_begin};
    for (int64_t i = tile_begin; i < tile_end; ++i) WideTile(t, i, at, pixels, ahead);
  }
  if (t.streams) hwy::FlushStream();
}

// In a network the residual comes from the outer cache.
HWY_ATTR void AskForResidual(const StrassenTask& t, const Panels& task, const StrassenPart& part) {
  const Plan& p = t.p;
  if (t.epilogue.residual == nullptr) return;
  const int64_t begin = 2 * task.at(part.panel), end = std::min(2 * task.at(part.last), p.pixels);
  const float* const residual = t.epilogue.residual + (t.result - t.finish.result);
  for (int64_t row = 0; row < 2 * TileRows(); ++row) {
    const float* const plane = residual + t.row(part.tile, row) * p.pixels;
    for (int64_t n = begin; n < end; n += strassen::kLine) __builtin_prefetch(plane + n, 0, 2);
  }
}

HWY_ATTR void StrassenRun(const ConvShape& s, Direction direction, const float* source, const float* bias, const float* packed,
                          float* result, const Epilogue<float>& what_follows, Workspace& workspace) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const Plan p = strassen::make_plan(s, direction);
  const SplitEpilogue epilogue(what_follows);
  const Split split = StrassenSplit(p, num_threads());
  const StrassenScratch floats = ScratchOf(p);
  const int64_t parts = split.row_parts * split.pair_parts, tiles = Tiles(p), block = p.wide ? 1 : BlockPanels(p);
  const bool streams = !epilogue.later && p.images * p.rows * p.pixels >= conv_tile::kStreamedFloats &&
                       p.pixels % strassen::kLine == 0 &&
                       reinterpret_cast<uintptr_t>(result) % (strassen::kLine * sizeof(float)) == 0;
  float* const scratch = workspace.take<float>(floats.all() * num_threads());
  parallel_for(p.images * parts, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t image = task / parts, group = image % p.groups, row_part = task % split.row_parts,
                  pair_part = task % parts / split.row_parts;
    const Packed at = strassen::packed_of(p);
    Tap* const taps = reinterpret_cast<Tap*>(scratch + thread * floats.all());
    StrassenTask t{p,
                   s,
                   at,
                   source + image * p.channels * p.source_plane,
                   packed + group * at.all,
                   bias != nullptr ? bias + group * p.rows : nullptr,
                   result + image * p.rows * p.pixels,
                   epilogue,
                   conv_tile::Finish(epilogue, result),
                   scratch + thread * floats.all() + floats.taps};
    t.sums = t.panels + floats.panels;
    t.results = t.sums + floats.sums;
    t.gathered = t.results + floats.results;
    const int64_t tile_begin = tiles * row_part / split.row_parts, tile_end = tiles * (row_part + 1) / split.row_parts;
    const int64_t pair_begin = p.pairs * pair_part / split.pair_parts, pair_end = p.pairs * (pair_part + 1) / split.pair_parts;
    if (p.wide) {
      t.work.sums_stride = 2 * WidePairs();
      t.work.channels = p.half_channels;
      t.streams = streams;
      // Pairs lie a vector apart.
      const int64_t pair_vectors = 2 * tile::Lanes(), vectors = (p.pixels + pair_vectors - 1) / pair_vectors;
      return RunWide(t, vectors * pair_part / split.pair_parts * pair_vectors,
                     std::min(vectors * (pair_part + 1) / split.pair_parts * pair_vectors, p.pixels), tile_begin, tile_end);
    }
    t.work.sums_stride = TileRows();
    t.work.source_channel = PanelWidth();
    t.work.weight_channel = TileRows();
    t.work.taps = taps;
    if (!kLinearLanes) {
      t.work.channels = 1;
      for (int64_t c = 0; c < p.chain; ++c) taps[c] = {c * PanelWidth(), c * TileRows()};
    }
    const Panels own(pair_begin, pair_end);
    for (int64_t first = 0; first < own.count; first += block) {
      const int64_t last = std::min(first + block, own.count);
      for (int64_t begin = 0; begin < p.half_channels; begin += p.slab) {
        const int64_t end = std::min(begin + p.slab, p.half_channels);
        if (t.finite()) MakePanels(t, own, first, last, begin, end);
        float* sums = t.sums;
        for (int64_t i = tile_begin; i < tile_end; ++i) {
          for (int64_t panel = first; panel < last; panel += strassen::kMostPanels) {
            const StrassenPart part{i, first, panel, std::min(panel + strassen::kMostPanels, last), begin, end, sums};
            if (end == p.half_channels) AskForResidual(t, own, part);
            if (t.finite()) Multiply(t, own, part, i + 1 == tile_end);
            if (end == p.half_channels) Combine(t, own, part);
            if (p.slabs() > 1) sums += strassen::kProducts * ProductFloats();
          }
        }
      }
    }
  });
}

HWY_ATTR void StrassenForward(const ConvShape& s, const ConvForward<float>& io, Workspace& workspace) {
  StrassenRun(s, Direction::kForward, io.input, io.bias, io.packed, io.output, io.epilogue, workspace);
}

HWY_ATTR void StrassenGradInput(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace) {
  StrassenRun(s, Direction::kGradInput, io.grad_output, io.bias, io.packed, io.grad_input, io.epilogue, workspace);
}

HWY_ATTR size_t StrassenWorkspace(const ConvShape& s, Direction direction, int threads) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  return static_cast<size_t>(ScratchOf(strassen::make_plan(s, direction)).all() * threads) * sizeof(float);
}

// The power of two that brings the magnitude to [1/2, 1), within limits. Zero stays zero.
HWY_INLINE float Balance(float magnitude) {
  if (magnitude == 0) return 0;
  if (!std::isfinite(magnitude)) return 1;
  return std::ldexp(1.0F, -std::clamp(std::ilogb(magnitude) + 1, -strassen::kMostExponent, strassen::kMostExponent));
}

// out[oc] and in[ic], so that the largest weight of every channel times both is near 1. Returns whether all weights are finite.
HWY_ATTR bool BalanceWeight(const float* weight, int64_t out_channels, int64_t in_channels, float* out, float* in) {
  const Full d;
  const int64_t lanes = tile::Lanes();
  const auto first_of = [&](int64_t n) HWY_ATTR { return hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(n, 0, lanes))); };
  parallel_for(out_channels, [&](int64_t oc) HWY_ATTR {
    Floats largest = hn::Zero(d), mark = hn::Zero(d);
    for (int64_t ic = 0; ic < in_channels; ic += lanes) {
      const Floats value = LoadMasked(first_of(in_channels - ic), d, weight + oc * in_channels + ic);
      largest = hn::Max(largest, hn::Abs(value));
      mark = hn::MulAdd(value, hn::Zero(d), mark);
    }
    out[oc] = hn::GetLane(hn::MaxOfLanes(d, largest)) + hn::GetLane(hn::SumOfLanes(d, mark));  // not finite if a weight is not
  });
  bool finite = true;
  for (int64_t oc = 0; oc < out_channels; ++oc) {
    finite &= std::isfinite(out[oc]);
    out[oc] = Balance(out[oc]);
  }
  parallel_for((in_channels + lanes - 1) / lanes, [&](int64_t part) HWY_ATTR {
    const auto mask = first_of(in_channels - part * lanes);
    Floats largest = hn::Zero(d);
    for (int64_t oc = 0; oc < out_channels; ++oc) {
      const Floats value = LoadMasked(mask, d, weight + oc * in_channels + part * lanes);
      largest = hn::Max(largest, hn::Mul(hn::Abs(value), hn::Set(d, out[oc])));
    }
    StoreMasked(largest, mask, d, in + part * lanes);
  });
  for (int64_t ic = 0; ic < in_channels; ++ic) in[ic] = Balance(in[ic]);
  return finite;
}

HWY_ATTR void StrassenPack(const ConvShape& s, Direction direction, const float* weight, float* packed) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const Plan p = strassen::make_plan(s, direction);
  const Packed at = strassen::packed_of(p);
  const bool forward = direction == Direction::kForward;
  for (int64_t group = 0; group < p.groups; ++group, packed += at.all, weight += p.rows * p.channels) {
    float *const channel_scales = packed + at.channel_scales, *const row_scales = packed + at.row_scales;
    const bool finite = BalanceWeight(weight, forward ? p.rows : p.channels, forward ? p.channels : p.rows,
                                      forward ? row_scales : channel_scales, forward ? channel_scales : row_scales);
    packed[at.finite] = finite ? 1.0F : 0.0F;
    parallel_for(Tiles(p), [&](int64_t i) HWY_ATTR {
      const Full d;
      const int64_t lanes = tile::Lanes(), first_row = i * TileRows(p), rows = std::min(TileRows(p), p.half_rows - first_row),
                    block = p.half_channels * rows;
      float* const to = packed + strassen::kProducts * first_row * p.half_channels;
      const auto quarter = [&](int64_t row, int64_t channel, Place place) HWY_ATTR {
        const float* const from = weight + row * p.weight_row + channel * p.weight_channel;
        float* const first = to + place * block;
        if (p.weight_channel == 1) {
          Transpose(from, p.weight_row, first, rows, rows, p.half_channels);
        } else {
          for (int64_t c = 0; c < p.half_channels; ++c) std::copy_n(from + c * p.weight_channel, rows, first + c * rows);
        }
        for (int64_t c = 0; c < p.half_channels; ++c) {
          float* const values = first + c * rows;
          if (rows % lanes == 0) {
            const Floats scale = hn::Set(d, channel_scales[channel + c]);
            for (int64_t r = 0; r < rows; r += lanes)
              hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, values + r), scale), hn::LoadU(d, row_scales + row + r)), d, values + r);
          } else {
            for (int64_t r = 0; r < rows; ++r) values[r] = values[r] * channel_scales[channel + c] * row_scales[row + r];
          }
        }
      };
      quarter(first_row, 0, Place::kA11);
      quarter(first_row, p.half_channels, Place::kA12);
      quarter(p.half_rows + first_row, 0, Place::kA21);
      quarter(p.half_rows + first_row, p.half_channels, Place::kA22);
      const auto combine = [&](Place sum, Place a, Place b, bool minus) HWY_ATTR {
        const float *const x = to + a * block, *const y = to + b * block;
        float* const both = to + sum * block;
        int64_t k = 0;
        for (; k + lanes <= block; k += lanes) {
          const Floats v = hn::LoadU(d, x + k), w = hn::LoadU(d, y + k);
          hn::StoreU(minus ? hn::Sub(v, w) : hn::Add(v, w), d, both + k);
        }
        for (; k < block; ++k) both[k] = minus ? x[k] - y[k] : x[k] + y[k];
      };
      if (!finite) return;
      combine(Place::kM1, Place::kA11, Place::kA22, false);
      combine(Place::kM5, Place::kA11, Place::kA12, false);
      combine(Place::kM6, Place::kA21, Place::kA11, true);
      combine(Place::kM7, Place::kA12, Place::kA22, true);
      combine(Place::kM2, Place::kA21, Place::kA22, false);
    });
    // What the pixels and the sums are multiplied by undoes that. Zeros alone have no size: a channel of them leaves its pixels
    // out, which might be large, and a row of them its partner's rounding.
    const auto undo = [](float& scale) { scale = scale == 0 ? 0 : 1 / scale; };
    std::for_each_n(channel_scales, p.channels, undo);
    std::for_each_n(row_scales, p.rows, undo);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(StrassenForward);
CONVOY_EXPORT(StrassenGradInput);
CONVOY_EXPORT(StrassenPack);
CONVOY_EXPORT(StrassenWorkspace);
CONVOY_EXPORT(StrassenRowStep);

namespace {

constexpr int64_t kLeastChannels = 128, kLeastOfWide = 96, kLeastPixels = 48;

template <Direction kDirection>
const char* refuse(const ConvShape& s) {
  if (!has_vectors()) return "needs vectors";
  if (const char* const reason = gather::refuse(s, kDirection == Direction::kForward, false)) return reason;
  const strassen::Plan p = strassen::make_plan(s, kDirection);
  if (p.channels < (p.wide ? kLeastOfWide : kLeastChannels) || p.channels % 2 != 0) {
    return "needs an even number of channels, at least 128, or 96 of a large map";
  }
  if (p.pixels < kLeastPixels) return "needs maps of at least 48 pixels";
  if (p.rows == 0 || p.rows % (2 * CONVOY_DISPATCH(StrassenRowStep)(p)) != 0) {
    return p.wide ? "needs an even number of result channels" : "needs result channels that fill four vectors";
  }
  return nullptr;
}

template <Direction kDirection>
double seconds(const ConvShape& s, const Machine& m) {
  const strassen::Plan p = strassen::make_plan(s, kDirection);
  const auto pixels = static_cast<double>(p.images * p.pixels), rows = static_cast<double>(p.rows),
             channels = static_cast<double>(p.channels);
  const double flops = 2 * rows * channels * pixels * 7 / 8 * m.with_eight_lanes(1.06);
  // Factors are made of every pixel, which comes from beyond the core's caches if the map is large, each result is added up of two
  // or four products, and seven quarters of the weight come from memory.
  const bool far = p.channels * p.source_plane > strassen::kNearFloats;
  // A wide plan's tiles begin and end in the time of a few channels; of few rows what a panel's factors cost is not hidden.
  const double few = p.wide ? (1 + 5 / channels) * (p.rows < 96 ? 1.04 : 1) : 1.02;
  const double value = p.wide ? (p.from_memory() ? 0.41e-9 : 0.16e-9) : far ? 0.5e-9 : 0.25e-9, sum = p.wide ? 0.14e-9 : 0.55e-9;
  const double added = (channels * value + rows * sum) * pixels + static_cast<double>(s.weight_count()) * 0.09e-9;
  return 1.5e-6 + (few * flops / (0.99 * m.flops_per_second) + added + gather::seconds(s, m)) / m.threads;
}

template <Direction kDirection>
size_t workspace_bytes(const ConvShape& s, int threads) {
  return CONVOY_DISPATCH(StrassenWorkspace)(s, kDirection, threads);
}

template <Direction kDirection>
size_t packed_bytes(const ConvShape& s) {
  const strassen::Plan p = strassen::make_plan(s, kDirection);
  return static_cast<size_t>(p.groups * strassen::packed_of(p).all) * sizeof(float);
}

template <Direction kDirection>
void pack(const ConvShape& s, const float* weight, float* packed) {
  CONVOY_DISPATCH(StrassenPack)(s, kDirection, weight, packed);
}

double pack_seconds(const ConvShape& s, const Machine& m) {
  return 4e-6 + static_cast<double>(s.weight_count()) * 1.5e-9 / m.threads;
}

template <Direction kDirection>
constexpr ConvKernel kernel() {
  ConvKernel made{.name = "conv_strassen",
                  .direction = kDirection,
                  .accuracy = Accuracy::kDefault,
                  .refuse = refuse<kDirection>,
                  .seconds = seconds<kDirection>,
                  .workspace_bytes = workspace_bytes<kDirection>,
                  .packed_bytes = packed_bytes<kDirection>,
                  .pack = pack<kDirection>,
                  .pack_seconds = pack_seconds};
  if constexpr (kDirection == Direction::kForward) {
    made.residual_in_place = [](const ConvShape&) { return true; };
    made.forward = [](const ConvShape& s, const ConvForward<float>& io, Workspace& w) {
      CONVOY_DISPATCH(StrassenForward)(s, io, w);
    };
  } else {
    made.grad_input = [](const ConvShape& s, const ConvGradInput<float>& io, Workspace& w) {
      CONVOY_DISPATCH(StrassenGradInput)(s, io, w);
    };
  }
  return made;
}

}  // namespace

const ConvKernel kConvStrassenForward = kernel<Direction::kForward>();
const ConvKernel kConvStrassenGradInput = kernel<Direction::kGradInput>();

}  // namespace convoy::kernels
#endif  // HWY_ONCE
