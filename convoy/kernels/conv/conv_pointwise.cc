// forward:    output[oc][pixel]     = sum over ic of weight[oc][ic] input[ic][pixel]
// grad_input: grad_input[ic][pixel] = sum over oc of weight[oc][ic] grad_output[oc][pixel]
//
// Large maps: lanes = pixels, loaded straight from the planes; while one panel of pixels is multiplied, the next one's lines are
// asked for (a copy of the panel, which lies in one piece, takes 2 to 30 % longer). Small maps, whose pixels do not fill vectors:
// lanes = result channels. A stride, or maps of a few pixels (there the samples of a batch make one run): the pixels are first
// gathered, channel by channel, into a slab in the cache. So are those of planes that fall into the same sets of the cache, and
// those of a forward pass whose kernel is as large as its stride (patches): each of its taps is a channel then.
//
// How threads share the work is decided by what they read, since in a network half of the planes were written by another core, and
// fetching a line from its cache takes as long as 400 multiply-adds: parts of the result channels read all planes, parts of the
// pixels read all weights and share the lines at their borders. 144 -> 24 channels at 56x56 on 2 threads by pixels takes 0.12 ms
// instead of 0.21, 256 -> 64 0.44 instead of 0.9; alone, with its input in both caches, neither is much slower.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_pointwise.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_gather-inl.h"
#include "convoy/kernels/conv/conv_pointwise.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/shape/taps.h"

#ifndef CONVOY_KERNELS_CONV_POINTWISE_GEOMETRY
#define CONVOY_KERNELS_CONV_POINTWISE_GEOMETRY
namespace convoy::kernels::pointwise {

constexpr int64_t kChain = 256;            // channels of one chain of sums
constexpr int64_t kFewSumsChain = 96;      // with lanes of channels on AVX2, whose 12 sums need weights and pixels from L1
constexpr int64_t kSlabFloats = 64 << 10;  // gathered pixels: a quarter of a 1 MiB L2 cache
constexpr int64_t kBlockPixels = 1024;     // of sums that wait for more channels
// Where a step of pixels is one line, all rows compute up to four of them in turn, for longer pieces of the results' rows, as far
// as half of the first cache holds their channels.
constexpr int64_t kBlockSteps = 4, kBlockFloats = 4 << 10;
constexpr int64_t kAliasFloats = 1024, kAliasChannels = 12;
constexpr int64_t kFewPixels = 14;  // in a map: the samples of a batch then make one run

constexpr int64_t kStretchFloats = 64 << 10;  // results that wait for whole lines
constexpr int64_t kStretchChannels = 128;     // with more, the multiplications hide the memory

struct Plan {
  int64_t images, samples;         // runs of pixels: groups, and samples unless they make one run
  int64_t groups, channels, rows;  // a channel for every tap
  int64_t map, pixels;             // of a sample, of a run
  int64_t source_plane, source_image;
  int64_t weight_row, weight_channel;
  bool fold, strided;
  int64_t chain;

  void cut_chains(int64_t most) {  // of equal length
    const int64_t chains = (channels + most - 1) / most;
    chain = (channels + chains - 1) / chains;
  }
};

inline Plan make_plan(const ConvShape& s, Direction direction) {
  const bool forward = direction == Direction::kForward;
  Plan p;
  p.groups = s.groups;
  p.samples = s.batch;
  p.channels = forward ? s.in_channels_per_group() * s.taps() : s.out_channels_per_group();
  p.rows = forward ? s.out_channels_per_group() : s.in_channels_per_group();
  p.source_plane = forward ? s.input_positions() : s.output_positions();
  p.source_image = (forward ? s.in_channels_per_group() : p.channels) * p.source_plane;
  p.weight_row = forward ? p.channels : 1;
  p.weight_channel = forward ? 1 : p.rows;
  p.map = s.output_positions();
  p.fold = s.batch > 1 && p.map < kFewPixels;
  p.strided = s.input != s.output;
  p.pixels = p.fold ? p.map * s.batch : p.map;
  p.images = p.fold ? s.groups : s.groups * s.batch;
  p.cut_chains(kChain);
  return p;
}

// Whether the same pixel of all channels falls into a few sets of the cache: maps of 32x32, 64x64, ... Gathered pixels are 1.2 to
// 1.8 times as fast there.
inline bool alias(const Plan& p) {
  return p.source_plane >= kAliasFloats && p.source_plane % (kAliasFloats / 2) == 0 && p.channels >= kAliasChannels;
}

// Whether samples are rows of a matrix: one pixel each, its channels (and taps) side by side.
inline bool one_pixel(const Plan& p) { return p.fold && p.source_image == p.channels; }

inline int64_t sample_step(const Plan& p) { return p.groups * p.source_image; }

inline bool large(const Plan& p) { return p.samples * p.groups * p.rows * p.map >= conv_tile::kStreamedFloats; }

// The plan in terms of this instruction set's tiles.
struct Tiles {
  bool pixel_lanes;
  bool gather;            // pixels into panels
  int64_t count;          // of result channels
  int64_t height, extra;  // tile i has `height` rows, and one more if i < extra
  int64_t last;           // rows of the last tile as packed, if lanes are channels
  int64_t step;           // pixels of a register tile and of a panel
  int64_t block;          // pixels that all tiles of rows compute in turn, some steps of them

  int64_t begin(int64_t i) const { return i * height + std::min(i, extra); }
  int64_t rows(int64_t i) const { return i + 1 == count && !pixel_lanes ? last : height + (i < extra ? 1 : 0); }
  int64_t packed_rows() const { return begin(count - 1) + rows(count - 1); }
  // Rows are shared out in units: a tile, or where lanes are channels one vector, half a tile. There a unit alone takes a little
  // longer than half of a tile.
  int64_t units_of_tile() const { return pixel_lanes ? 1 : 2; }
  int64_t units() const { return pixel_lanes ? count : 2 * count - (last < height ? 1 : 0); }
  // Pixels of a row that wait, if results do: an odd number of steps, so that rows do not share sets of the cache.
  int64_t stretch(int64_t result_rows) const {
    return std::max<int64_t>(kStretchFloats / result_rows / step - 1, 0) / 2 * 2 * step + step;
  }
};

// A result that no cache holds goes past them, which saves reading its lines before (64 -> 256 channels, 8 samples of 56x56: 4.6 ->
// 3.7 ms): tile by tile where these lie on whole lines, otherwise by stretches of rows, which wait for that in the core's cache.
inline bool by_tiles(const Plan& p, const Arrays& io) {
  return io.result_plane == 0 && large(p) && p.map % conv_tile::kLine == 0 &&
         reinterpret_cast<uintptr_t>(io.result) % (conv_tile::kLine * sizeof(float)) == 0;
}
inline bool by_stretches(const Plan& p, const Tiles& t) {
  return t.pixel_lanes && !t.gather && large(p) && p.map % conv_tile::kLine != 0 && p.channels <= kStretchChannels &&
         p.rows * t.step <= 2 * kStretchFloats;
}

// A part of a run of pixels.
struct Rectangle {
  int64_t image, unit_begin, unit_end, begin, end;
};

// How a run is cut into tasks: only speed depends on it. Even: into one part a thread, rows after rows, as equal as steps of pixels
// allow; a unit of rows between two parts is cut by pixels.
struct Split {
  int64_t row_parts, pixel_parts;
  bool even = false;
};

// The least time of the slowest thread, where a cut of rows or pixels costs a fraction of the whole.
inline Split make_split(int64_t images, const Tiles& tiles, int64_t steps, int64_t least_pixel_parts, double row_cut,
                        double pixel_cut, int threads) {
  const int64_t units = tiles.units();
  Split best{1, least_pixel_parts};
  double least = 0;
  const auto consider = [&](const Split& split, double rounds, double row_units, double part_steps) {
    const double alone = tiles.pixel_lanes || std::fmod(row_units, 2.0) == 0 ? 0.0 : 0.1;
    const double time = rounds * (row_units + alone) * part_steps *
                        (1 + row_cut * static_cast<double>(split.row_parts) + pixel_cut * static_cast<double>(split.pixel_parts));
    if (least > 0 && time >= least) return;
    least = time;
    best = split;
  };
  for (int64_t r = 1; r <= std::min<int64_t>(units, 2 * threads); ++r) {
    for (int64_t f = 1; f <= 3; ++f) {
      const int64_t p = std::min(std::max(least_pixel_parts, f == 1 && r == 1 ? 1 : (f * threads + r - 1) / r), steps);
      consider({r, p}, static_cast<double>((images * r * p + threads - 1) / threads), static_cast<double>((units + r - 1) / r),
               static_cast<double>((steps + p - 1) / p));
    }
  }
  if (images == 1 && least_pixel_parts == 1 && !tiles.gather && threads > 1 && units >= threads) {
    consider({threads, 1, true}, 1.0, static_cast<double>((units * steps + threads - 1) / threads) / static_cast<double>(steps),
             static_cast<double>(steps));
  }
  return best;
}

}  // namespace convoy::kernels::pointwise
#endif  // CONVOY_KERNELS_CONV_POINTWISE_GEOMETRY

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using conv_tile::lines;
using conv_tile::Tap;
using gather::Segment;
using pointwise::Plan;
using pointwise::Rectangle;
using pointwise::Split;
using pointwise::Tiles;
using tile::kLinearLanes;

// What lanes of channels take longer: the transposition, and with 12 sums each pixel's load for two multiply-adds.
HWY_INLINE double ChannelLanesCost(const Plan& p) {
  return std::max(1.0 + 12.0 / static_cast<double>(std::max<int64_t>(p.channels, 1)), tile::Lanes() == 8 ? 1.1 : 1.0);
}

// Lanes are pixels where these fill vectors better than the result channels do, and channels are so few that transposing counts.
HWY_INLINE Tiles MakeTiles(const Plan& p) {
  const int64_t lanes = tile::Lanes();
  const auto up = [](int64_t size, int64_t step) { return static_cast<double>((size + step - 1) / step * step); };
  const double by_pixels = up(p.map, lanes) * static_cast<double>(std::max<int64_t>(p.rows, 2));
  const double by_rows = up(p.rows, lanes) * static_cast<double>(std::max<int64_t>(p.map, 4)) * ChannelLanesCost(p);
  Tiles t{};
  t.pixel_lanes = p.map >= pointwise::kFewPixels && by_pixels <= by_rows;
  if (t.pixel_lanes) {
    t.count = (p.rows + tile::kRows - 1) / tile::kRows;
    t.height = p.rows / std::max<int64_t>(t.count, 1);
    t.extra = p.rows % std::max<int64_t>(t.count, 1);
    t.step = tile::PixelTileWidth(t.height + (t.extra > 0 ? 1 : 0));
  } else {
    t.height = 2 * lanes;
    t.count = (p.rows + t.height - 1) / t.height;
    t.last = p.rows - (t.count - 1) * t.height <= lanes ? lanes : t.height;
    t.step = tile::kPixels;
  }
  // Rows of a matrix are read where they lie, unless those of a tile would share few sets of the cache.
  constexpr int64_t kCollision = 2048 / static_cast<int64_t>(sizeof(float));
  const bool in_place = !kLinearLanes && pointwise::one_pixel(p) && pointwise::sample_step(p) % kCollision != 0;
  t.gather = (p.fold && !in_place) || p.strided || (pointwise::alias(p) && p.rows >= 3 * tile::kRows);
  t.block = t.step;
  if (t.pixel_lanes && lanes == 8)
    t.block *= std::clamp<int64_t>(pointwise::kBlockFloats / (t.step * std::max<int64_t>(p.chain, 1)), 1, pointwise::kBlockSteps);
  return t;
}

HWY_INLINE Plan MakePlan(const ConvShape& s, Direction direction) {
  Plan p = pointwise::make_plan(s, direction);
  if (tile::Lanes() == 8 && !MakeTiles(p).pixel_lanes) p.cut_chains(pointwise::kFewSumsChain);
  return p;
}

HWY_INLINE Split PointwiseSplit(const Plan& p, const Tiles& t, int threads) {
  const int64_t steps = (p.pixels + t.step - 1) / t.step;
  int64_t most = t.pixel_lanes ? p.pixels : pointwise::kBlockPixels;
  if (t.gather) most = std::min(most, std::max<int64_t>(pointwise::kSlabFloats / p.channels, 2 * t.step));
  // In multiply-add vectors, as above: a value of a plane takes 1.6 / 2 of a cycle to fetch, a weight 0.8, a row's line at a
  // border 60.
  const double vectors = 2.0 * static_cast<double>(tile::Lanes()), pixels = static_cast<double>(p.pixels);
  const double fetch = 0.8 * vectors, border = 60 * vectors;
  return pointwise::make_split(p.images, t, steps, std::min((p.pixels + most - 1) / most, steps),
                               fetch / static_cast<double>(p.rows),
                               fetch / pixels + border / (pixels * static_cast<double>(p.channels)), threads);
}

struct PointwiseScratch {
  int64_t taps, slab, sums, segments;
  int64_t all() const { return taps + slab + sums + segments; }
};

// For so many pixels at a time.
HWY_INLINE PointwiseScratch ScratchOf(const Plan& p, const Tiles& t, int64_t pixels) {
  return {.taps = t.pixel_lanes || kLinearLanes ? 0 : lines(p.chain * static_cast<int64_t>(sizeof(Tap) / sizeof(float))),
          .slab = t.gather ? lines(pixels * p.channels) : 0,
          .sums = pointwise::by_stretches(p, t) ? lines(p.rows * t.stretch(p.rows))
                  : t.pixel_lanes               ? 0
                                                : lines((pixels + tile::Lanes()) * 2 * tile::Lanes()),
          .segments = t.gather ? lines(pixels * static_cast<int64_t>(sizeof(Segment) / sizeof(float))) : 0};
}

HWY_INLINE int64_t PixelsOfPart(const Plan& p, const Tiles& t, const Split& split) {
  const int64_t steps = (p.pixels + t.step - 1) / t.step;
  return (steps + split.pixel_parts - 1) / split.pixel_parts * t.step;
}

// Copies the pixels [begin, end) of a run into slab[panel][channel][panel_width].
HWY_INLINE void GatherPixels(const Plan& p, const ConvShape& s, const float* source, int64_t begin, int64_t end,
                             int64_t panel_width, Segment* segments, float* slab) {
  if (pointwise::one_pixel(p)) {
    const int64_t sample = pointwise::sample_step(p);
    for (int64_t pixel = begin; pixel < end; pixel += panel_width, slab += panel_width * p.channels) {
      Transpose(source + pixel * sample, sample, slab, panel_width, std::min(panel_width, end - pixel), p.channels);
    }
    return;
  }
  const int64_t count =
      gather::FindSegments(s, pointwise::sample_step(p), begin, end, panel_width, panel_width * p.channels, segments);
  gather::CopyPixels(s, segments, count, source, p.source_plane, p.channels / s.taps(), panel_width, slab);
}

// Some rows of some pixels, on the calling thread.
HWY_ATTR void RunRectangle(const ConvShape& s, const Plan& p, const Tiles& tiles, const pointwise::Arrays& io,
                           const SplitEpilogue& epilogue, const Rectangle& part, const PointwiseScratch& floats, float* scratch) {
  const int64_t group = part.image % p.groups, packed_group = tiles.packed_rows() * p.channels, step = tiles.step;
  const int64_t begin = part.begin, end = part.end, result_plane = io.result_plane != 0 ? io.result_plane : p.map;
  Tap* const taps = reinterpret_cast<Tap*>(scratch);
  float* const slab = scratch + floats.taps;
  float* const sums = slab + floats.slab;
  const int64_t pixel_step = pointwise::one_pixel(p) && !tiles.gather ? pointwise::sample_step(p) : 1;
  const float* source = io.source + part.image * p.source_image + begin * pixel_step;
  int64_t plane = io.source_plane != 0 ? io.source_plane : p.source_plane;
  if (tiles.gather) {
    GatherPixels(p, s, source - begin, begin, end, step, reinterpret_cast<Segment*>(sums + floats.sums), slab);
    source = slab;
    plane = step;
  }
  // Where pixel `at` begins a tile.
  const auto source_of = [&](int64_t at) { return source + (tiles.gather ? at * p.channels : at * pixel_step); };
  float* const result = io.result + part.image * p.rows * p.map;  // of the first sample, if samples make one run
  const float* const packed = io.packed + group * packed_group;
  const float* const bias = io.bias != nullptr ? io.bias + group * p.rows : nullptr;
  conv_tile::Finish finish(epilogue, io.result);
  conv_tile::Work work;
  work.source_channel = plane;
  work.pixel_step = pixel_step;
  work.ahead_near = p.samples * p.groups * p.source_image > 2 * conv_tile::kFarFloats;
  work.taps = taps;
  const auto chain_of = [&](int64_t tile, int64_t c, int64_t lead = 0) {  // lead: rows of the tile that are left out
    const int64_t count = std::min(p.chain, p.channels - c);
    work.tap_count = count;
    if (tiles.pixel_lanes || kLinearLanes) work.channels = count;
    work.weight = packed + lead +
                  (tiles.pixel_lanes ? c * tiles.packed_rows() + tiles.begin(tile) * count
                                     : tiles.begin(tile) * p.channels + c * tiles.rows(tile));
    work.add = c > 0;
    finish.bias = bias != nullptr ? bias + tiles.begin(tile) + lead : nullptr;
  };
  if (tiles.pixel_lanes) {
    const int64_t tile_begin = part.unit_begin, tile_end = part.unit_end;
    const auto run = [&](int64_t i, int64_t c, int64_t at) HWY_ATTR {
      work.source = source_of(at - begin) + c * plane;
      work.sums = result + tiles.begin(i) * result_plane + at;
      const int64_t rows = tiles.rows(i), pixels = std::min(step, end - at);
      const bool last = c + p.chain >= p.channels;
      tile::RunPixelTile<true>(work, rows, pixels, last ? &finish : nullptr);
      if (last) epilogue.finish(work.sums, pixels, rows, result_plane);
    };
    // Pixels stay in the cores' caches for all rows; meanwhile the first tiles ask for the lines of the pixels that come next, one
    // of each channel a tile.
    const auto for_all = [&](int64_t c, int64_t first, int64_t last, const auto& run_tile) HWY_ATTR {
      for (int64_t from = first; from < last; from += tiles.block) {
        const int64_t to = std::min(from + tiles.block, last);
        for (int64_t i = tile_begin; i < tile_end; ++i) {
          chain_of(i, c);
          for (int64_t at = from; at < to; at += step) {
            const int64_t ahead = (i - tile_begin) * tile::Lanes();
            work.ahead_pixels = ahead < step && at + tiles.block < end ? tiles.block + ahead : 0;
            run_tile(i, at);
          }
        }
      }
    };
    work.sums_stride = result_plane;
    const bool streams = !epilogue.later && pointwise::by_tiles(p, io);
    if (!streams && !epilogue.later && epilogue.residual == nullptr && io.result_plane == 0 && pointwise::by_stretches(p, tiles)) {
      const int64_t stretch = tiles.stretch(p.rows), first_row = tiles.begin(tile_begin);
      work.sums_stride = stretch;
      for (int64_t from = begin; from < end; from += stretch) {
        const int64_t to = std::min(from + stretch, end);
        for_all(0, from, to, [&](int64_t i, int64_t at) HWY_ATTR {
          work.source = source_of(at - begin);
          work.sums = sums + (tiles.begin(i) - first_row) * stretch + at - from;
          tile::RunPixelTile<true>(work, tiles.rows(i), std::min(step, end - at), &finish);
        });
        for (int64_t row = first_row; row < tiles.begin(tile_end); ++row) {
          tile::StreamRow(sums + (row - first_row) * stretch, to - from, result + row * p.map + from);
        }
      }
      hwy::FlushStream();
      return;
    }
    for (int64_t c = 0; c < p.channels; c += p.chain) {
      work.streamed = streams && c + p.chain >= p.channels;
      if (tiles.gather) {  // panels follow each other in the slab, and stores along the rows
        for (int64_t i = tile_begin; i < tile_end; ++i) {
          chain_of(i, c);
          for (int64_t at = begin; at < end; at += step) run(i, c, at);
        }
      } else {
        for_all(c, begin, end, [&](int64_t i, int64_t at) HWY_ATTR { run(i, c, at); });
      }
    }
    if (streams) hwy::FlushStream();
    return;
  }
  const int64_t rows_of_tile = 2 * tile::Lanes(), pixel_tiles = (end - begin + tile::kPixels - 1) / tile::kPixels;
  const float* const residual = epilogue.residual != nullptr && !p.fold ? epilogue.residual + (result - io.result) : nullptr;
  if (!kLinearLanes) work.channels = 1;
  int64_t stride = 0;  // of the taps' weights
  for (int64_t unit = part.unit_begin; unit < part.unit_end;) {
    const int64_t i = unit / 2, lead = unit % 2 * tile::Lanes(), row = tiles.begin(i) + lead;
    const int64_t vectors = std::min(tiles.rows(i) / tile::Lanes() - unit % 2, part.unit_end - unit);
    const int64_t count = std::min(vectors * tile::Lanes(), p.rows - row);
    unit += vectors;
    if (stride != tiles.rows(i)) {
      stride = tiles.rows(i);
      work.weight_channel = stride;
      for (int64_t c = 0; !kLinearLanes && c < p.chain; ++c) taps[c] = {c * plane, c * stride};
    }
    work.sums_stride = rows_of_tile;
    for (int64_t c = 0; c < p.channels; c += p.chain) {
      chain_of(i, c, lead);
      // The next chain's weights, perhaps the next task's, may lie beyond the cache: they are fetched by the way, spread over the
      // tiles.
      const int64_t weights = work.tap_count * stride;
      work.ahead = c + p.chain < p.channels || unit < tiles.units() ? work.weight + weights : nullptr;
      work.ahead_step = (stride + pixel_tiles - 1) / pixel_tiles;
      for (int64_t j = 0; j < pixel_tiles; ++j) {  // of about equal width, unless they are panels
        const int64_t at = tiles.gather ? j * step : (end - begin) * j / pixel_tiles;
        const int64_t to = tiles.gather ? std::min(at + step, end - begin) : (end - begin) * (j + 1) / pixel_tiles;
        if (residual != nullptr && c + p.chain >= p.channels) {  // it comes from the outer cache, too
          for (int64_t r = 0; r < count; ++r) __builtin_prefetch(residual + (row + r) * p.map + begin + at, 0, 2);
        }
        work.source = source_of(at) + c * plane;
        work.sums = sums + at * rows_of_tile;
        tile::RunChannelTile<kLinearLanes>(work, to - at, 2 * vectors);
        if (work.ahead != nullptr) work.ahead += work.tap_count * work.ahead_step;
      }
    }
    if (p.fold && p.map == 1 && result_plane == 1) {
      float* const to = result + begin * p.groups * p.rows + row;
      tile::StorePixels(sums, rows_of_tile, end - begin, count, finish, to, p.groups * p.rows);
      epilogue.finish(to, count, end - begin, p.groups * p.rows);
      continue;
    }
    for (int64_t at = begin; at < end;) {  // sample by sample
      const int64_t sample = at / p.map, length = std::min((sample + 1) * p.map, end) - at;
      float* const to = result + (sample * p.groups * p.rows + row) * result_plane + at % p.map;
      tile::StoreChannels<2>(sums + (at - begin) * rows_of_tile, length, count, finish, to, result_plane);
      epilogue.finish(to, length, count, result_plane);
      at += length;
    }
  }
}

HWY_ATTR void PointwiseRun(const ConvShape& s, const Plan& p, const pointwise::Arrays& io, const Epilogue<float>& what_follows,
                           Workspace& workspace) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const SplitEpilogue epilogue(what_follows);
  const Tiles tiles = MakeTiles(p);
  const Split split = PointwiseSplit(p, tiles, num_threads());
  const PointwiseScratch floats = ScratchOf(p, tiles, PixelsOfPart(p, tiles, split));
  float* const scratch = workspace.take<float>(floats.all() * num_threads());
  const int64_t steps = (p.pixels + tiles.step - 1) / tiles.step, parts = split.row_parts * split.pixel_parts;
  const int64_t units = tiles.units();
  parallel_for(p.images * parts, [&](int64_t task, int thread) HWY_ATTR {
    const auto run = [&](int64_t unit_begin, int64_t unit_end, int64_t first_step, int64_t last_step) HWY_ATTR {
      if (unit_begin >= unit_end || first_step >= last_step) return;
      RunRectangle(s, p, tiles, io, epilogue,
                   {task / parts, unit_begin, unit_end, first_step * tiles.step, std::min(last_step * tiles.step, p.pixels)},
                   floats, scratch + thread * floats.all());
    };
    if (split.even) {
      const int64_t begin = units * steps * task / parts, end = units * steps * (task + 1) / parts;
      const int64_t first = (begin + steps - 1) / steps, last = end / steps;  // the whole units in between
      if (first > last) return run(last, first, begin % steps, end % steps);
      run(first - 1, first, begin % steps == 0 ? steps : begin % steps, steps);
      run(first, last, 0, steps);
      return run(last, last + 1, 0, end % steps);
    }
    const int64_t pixel_part = task % parts / split.row_parts, row_part = task % split.row_parts;
    run(units * row_part / split.row_parts, units * (row_part + 1) / split.row_parts, steps * pixel_part / split.pixel_parts,
        steps * (pixel_part + 1) / split.pixel_parts);
  });
}

HWY_ATTR pointwise::Pieces PointwisePieces(const ConvShape& s) {
  const Plan p = MakePlan(s, Direction::kForward);
  const Tiles tiles = MakeTiles(p);
  return {tiles.count, tiles.height, tiles.extra, p.rows, tiles.step};
}

// A piece gathers pixels only if it must or is asked to.
HWY_INLINE Tiles TilesOfPiece(const Plan& p, bool gather) {
  Tiles tiles = MakeTiles(p);
  if (!p.strided && !p.fold && !gather) tiles.gather = false;
  return tiles;
}

HWY_ATTR int64_t PointwisePieceFloats(const ConvShape& s, int64_t pixels, bool gather) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  const Plan p = MakePlan(s, Direction::kForward);
  const Tiles tiles = TilesOfPiece(p, gather);
  return ScratchOf(p, tiles, (pixels + tiles.step - 1) / tiles.step * tiles.step).all();
}

HWY_ATTR void PointwisePiece(const ConvShape& s, const pointwise::Arrays& io, const SplitEpilogue& epilogue,
                             const pointwise::Piece& piece, float* scratch) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const Plan p = MakePlan(s, Direction::kForward);
  const Tiles tiles = TilesOfPiece(p, io.gather);
  const int64_t each = tiles.units_of_tile();
  RunRectangle(s, p, tiles, io, epilogue,
               {piece.image, piece.tile_begin * each, std::min(piece.tile_end * each, tiles.units()), piece.begin, piece.end},
               ScratchOf(p, tiles, (piece.end - piece.begin + tiles.step - 1) / tiles.step * tiles.step), scratch);
}

HWY_ATTR void PointwiseForward(const ConvShape& s, const ConvForward<float>& io, Workspace& workspace) {
  PointwiseRun(s, MakePlan(s, Direction::kForward), {io.input, io.bias, io.packed, io.output}, io.epilogue, workspace);
}

HWY_ATTR void PointwiseGradInput(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace) {
  PointwiseRun(s, MakePlan(s, Direction::kGradInput), {io.grad_output, io.bias, io.packed, io.grad_input}, io.epilogue, workspace);
}

// [group][tile of rows][channel][rows of the tile]; with lanes of pixels [group][chain][tile of rows][channel][rows of the tile],
// so that a pass over all rows reads one run of memory (1.02 to 1.04 where weights leave L2).
HWY_ATTR void PointwisePack(const ConvShape& s, Direction direction, const float* weight, float* packed) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const Plan p = MakePlan(s, direction);
  const Tiles tiles = MakeTiles(p);
  const int64_t packed_group = tiles.packed_rows() * p.channels;
  parallel_for(p.groups * tiles.count, [&](int64_t task) HWY_ATTR {
    const int64_t i = task % tiles.count, group = task / tiles.count, begin = tiles.begin(i), height = tiles.rows(i);
    const int64_t rows = std::min(height, p.rows - begin);
    const float* from = weight + group * p.rows * p.channels + begin * p.weight_row;
    float* const all = packed + group * packed_group;
    const int64_t most = tiles.pixel_lanes ? p.chain : p.channels;
    for (int64_t first = 0; first < p.channels; first += most, from += most * p.weight_channel) {
      const int64_t count = std::min(most, p.channels - first);
      float* const to = all + first * tiles.packed_rows() + begin * count;
      if (p.weight_channel == 1) {
        Transpose(from, p.weight_row, to, height, rows, count);
      } else {
        for (int64_t c = 0; c < count; ++c) tile::CopyRow<1>(from + c * p.weight_channel, rows, 0, 1, to + c * height, rows);
      }
      for (int64_t c = 0; rows < height && c < count; ++c) std::fill(to + c * height + rows, to + (c + 1) * height, 0.0f);
    }
  });
}

HWY_ATTR size_t PointwisePackedBytes(const ConvShape& s, Direction direction) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  const Plan p = MakePlan(s, direction);
  return static_cast<size_t>(p.groups * MakeTiles(p).packed_rows() * p.channels) * sizeof(float);
}

HWY_ATTR size_t PointwiseWorkspace(const ConvShape& s, Direction direction, int threads) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  const Plan p = MakePlan(s, direction);
  const Tiles tiles = MakeTiles(p);
  return static_cast<size_t>(ScratchOf(p, tiles, PixelsOfPart(p, tiles, PointwiseSplit(p, tiles, threads))).all() * threads) *
         sizeof(float);
}

// Products that the lanes compute, those beyond the rows or pixels included.
HWY_ATTR double PointwiseProducts(const ConvShape& s, Direction direction) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  const Plan p = MakePlan(s, direction);
  const auto up = [](int64_t size, int64_t step) { return static_cast<double>((size + step - 1) / step * step); };
  const double lanes = MakeTiles(p).pixel_lanes ? up(p.map, tile::Lanes()) * static_cast<double>(std::max<int64_t>(p.rows, 2))
                                                : up(p.rows, tile::Lanes()) * static_cast<double>(p.map) * ChannelLanesCost(p);
  return static_cast<double>(s.batch * p.groups) * static_cast<double>(p.channels) * lanes;
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(PointwiseForward);
CONVOY_EXPORT(PointwiseGradInput);
CONVOY_EXPORT(PointwisePack);
CONVOY_EXPORT(PointwisePackedBytes);
CONVOY_EXPORT(PointwiseWorkspace);
CONVOY_EXPORT(PointwiseProducts);
CONVOY_EXPORT(PointwisePieces);
CONVOY_EXPORT(PointwisePieceFloats);
CONVOY_EXPORT(PointwisePiece);

namespace {

template <Direction kDirection>
const char* refuse(const ConvShape& s) {
  if (!has_vectors()) return "needs vectors";
  if (s.output_positions() == 0 || s.input_positions() == 0 || s.in_channels == 0 || s.out_channels == 0)
    return "nothing to compute";
  if (const char* const reason = gather::refuse(s, kDirection == Direction::kForward, true)) return reason;
  // Pixels are gathered with all their channels.
  if (s.in_channels_per_group() > (1 << 15) / s.taps()) return "needs at most 32768 channels and taps per group";
  return nullptr;
}

template <Direction kDirection>
double seconds(const ConvShape& s, const Machine& m) {
  // With eight lanes a vector of weights takes about as long for one pixel as for five. A linear layer's samples are pixels, and
  // the choice must not depend on how many there are: one takes up to 1.3 times as long as by conv_few_pixels, 32 take 0.4 times as
  // long.
  const double pixels = s.input_positions() == 1 ? 5.0 : static_cast<double>(std::max<int64_t>(s.output_positions(), 1));
  const double few = m.with_eight_lanes(std::max(5 / pixels, 1.0));
  const double flops = 2 * few * CONVOY_DISPATCH(PointwiseProducts)(s, kDirection);
  // Results are turned from channels to pixels on their way out.
  const auto stored = static_cast<double>(kDirection == Direction::kForward ? s.output_count() : s.input_count());
  const double begin = s.groups > 1 ? static_cast<double>(s.batch * s.groups) * 50e-9 : 0;  // measured
  return 1.5e-6 + (flops / (0.95 * m.flops_per_second) + gather::seconds(s, m) + stored * 0.15e-9 + begin) / m.threads;
}

template <Direction kDirection>
size_t workspace_bytes(const ConvShape& s, int threads) {
  return CONVOY_DISPATCH(PointwiseWorkspace)(s, kDirection, threads);
}

template <Direction kDirection>
size_t packed_bytes(const ConvShape& s) {
  return CONVOY_DISPATCH(PointwisePackedBytes)(s, kDirection);
}

template <Direction kDirection>
void pack(const ConvShape& s, const float* weight, float* packed) {
  CONVOY_DISPATCH(PointwisePack)(s, kDirection, weight, packed);
}

double pack_seconds(const ConvShape& s, const Machine& m) {
  return 1e-6 + static_cast<double>(s.weight_count()) * 0.7e-9 / m.threads;
}

template <Direction kDirection>
constexpr ConvKernel kernel() {
  ConvKernel made{.name = "conv_pointwise",
                  .direction = kDirection,
                  .refuse = refuse<kDirection>,
                  .seconds = seconds<kDirection>,
                  .workspace_bytes = workspace_bytes<kDirection>,
                  .packed_bytes = packed_bytes<kDirection>,
                  .pack = pack<kDirection>,
                  .pack_seconds = pack_seconds};
  if constexpr (kDirection == Direction::kForward) {
    made.residual_in_place = [](const ConvShape& s) {  // sums of the first of two chains wait in the result
      return s.in_channels_per_group() * s.taps() <= pointwise::kChain;
    };
    made.forward = [](const ConvShape& s, const ConvForward<float>& io, Workspace& w) {
      CONVOY_DISPATCH(PointwiseForward)(s, io, w);
    };
  } else {
    made.grad_input = [](const ConvShape& s, const ConvGradInput<float>& io, Workspace& w) {
      CONVOY_DISPATCH(PointwiseGradInput)(s, io, w);
    };
  }
  return made;
}

}  // namespace

const ConvKernel kConvPointwiseForward = kernel<Direction::kForward>();
const ConvKernel kConvPointwiseGradInput = kernel<Direction::kGradInput>();

namespace pointwise {

Pieces pieces(const ConvShape& s) { return CONVOY_DISPATCH(PointwisePieces)(s); }

int64_t piece_scratch_floats(const ConvShape& s, int64_t pixels, bool gather) {
  return CONVOY_DISPATCH(PointwisePieceFloats)(s, pixels, gather);
}

void run_piece(const ConvShape& s, const Arrays& arrays, const SplitEpilogue& epilogue, const Piece& piece, float* scratch) {
  CONVOY_DISPATCH(PointwisePiece)(s, arrays, epilogue, piece, scratch);
}

}  // namespace pointwise
}  // namespace convoy::kernels
#endif  // HWY_ONCE
