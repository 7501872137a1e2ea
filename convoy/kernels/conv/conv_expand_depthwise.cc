// By channels: each task takes some result channels of a sample and goes down their planes. Rows are expanded as far as the next
// rows of the depthwise layer read, then these are computed. Nothing is expanded twice, and a task's rows of some channels stay in
// L2.
//
// By rows, where the input does not stay in L2 while every task reads it: each task takes some rows of the result, and goes through
// the channels. The rows that two tasks read are expanded twice, which must be few.
//
// What it saves is memory traffic: MobileNetV2's 96 planes of 112x112 are 4.8 MB that were written to the outer cache by one core
// and fetched by another.
#include "convoy/kernels/conv/conv_expand_depthwise.h"

#include <algorithm>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_depthwise.h"
#include "convoy/kernels/conv/conv_depthwise_geometry.h"
#include "convoy/kernels/conv/conv_depthwise_tiles.h"
#include "convoy/kernels/conv/conv_pointwise.h"

namespace convoy::kernels {

namespace {

constexpr int64_t kTaskFloats = 16 << 10;     // of expanded values in a task's planes: they are to be many enough for all threads
constexpr int64_t kBandFloats = 24 << 10;     // expanded before the depthwise rows: a tenth of L2
constexpr int64_t kRowsFloats = 64 << 10;     // expanded at a time, by rows
constexpr int64_t kInputFloats = 96 << 10;    // that stay in L2 beside a task's planes
constexpr int64_t kMostInputBytes = 4 << 20;  // every task reads the whole input
constexpr int64_t kMostTileFloats = 1 << 20;  // of scratch memory: 4 MiB a thread

// How the work is cut. Only speed depends on it.
struct Cut {
  pointwise::Pieces pieces;
  ConvShape expand;  // of one sample
  depthwise::Geometry g;
  int64_t map = 0, width = 0;  // of an expanded plane
  bool by_rows = false;
  int64_t parts = 0;          // of the tiles of channels, or of the rows
  int64_t most_channels = 0;  // at a time
  int64_t band_tiles = 1;     // rows of depthwise tiles at a time
  int64_t planes = 0;         // values at a time
  int64_t scratch_expand = 0, scratch_depthwise = 0;

  Cut(const ExpandDepthwiseShape& s, int threads) : expand(s.expand), g(depthwise::geometry(s.depthwise, Direction::kForward)) {
    expand.batch = 1;
    pieces = pointwise::pieces(expand);
    map = expand.output_positions();
    width = expand.output[2];
    const int64_t tile_channels = pieces.height + (pieces.extra > 0 ? 1 : 0), tiles = depthwise::tiles_of_plane(g);
    const int64_t extent = (g.h.kernel - 1) * g.h.dilation + 1;
    band_tiles = std::max<int64_t>(1, tiles / (2 * threads));
    by_rows = expand.in_channels * map > kInputFloats && tiles >= threads &&
              10 * (extent - g.h.stride) <= band_tiles * depthwise::kRows * g.h.stride;
    if (by_rows) {
      parts = (tiles + band_tiles - 1) / band_tiles;
      const int64_t rows = std::min((band_tiles * depthwise::kRows - 1) * g.h.stride + extent, g.h.input);
      most_channels = std::clamp<int64_t>(kRowsFloats / (tile_channels * rows * width), 1, pieces.tiles) * tile_channels;
      planes = most_channels * rows * width;
    } else {
      const int64_t each = std::clamp<int64_t>(kTaskFloats / (tile_channels * map), 1, pieces.tiles);
      parts = std::min(depthwise::round_up((pieces.tiles + each - 1) / each, threads), pieces.tiles);
      most_channels = (pieces.tiles + parts - 1) / parts * tile_channels;
      const int64_t tile_floats = most_channels * depthwise::kRows * g.h.stride * width;
      band_tiles = std::clamp<int64_t>(kBandFloats / tile_floats, 1, tiles);
      planes = most_channels * map;
    }
    scratch_expand = depthwise::round_up(pointwise::piece_scratch_floats(expand, map), 16);
    scratch_depthwise = depthwise::round_up(depthwise::tile_scratch_floats(g), 16);
  }
  int64_t values() const { return depthwise::round_up(planes + depthwise::kLanes, 16); }
  int64_t floats() const { return values() + scratch_expand + scratch_depthwise; }

  // The rows of a plane that the first `tiles` tiles read, up to this one.
  int64_t rows_read(int64_t tiles) const {
    const int64_t last = std::min(tiles * depthwise::kRows, g.h.output) - 1;
    return std::clamp<int64_t>(last * g.h.stride + (g.h.kernel - 1) * g.h.dilation - g.h.pad + 1, 0, g.h.input);
  }
};

// One call, and what its tasks do.
struct Run {
  const Cut& cut;
  const ExpandDepthwiseArrays& arrays;
  const SplitEpilogue &between, &after;
  int64_t taps, out_map;

  depthwise::Job job(const depthwise::Geometry& g, const float* values, int64_t sample, int64_t first, int64_t count) const {
    return {.g = g,
            .input = values,
            .weight = arrays.depthwise_weight + first * taps,
            .bias = arrays.depthwise_bias != nullptr ? arrays.depthwise_bias + first : nullptr,
            .output = arrays.output + (sample * cut.expand.out_channels + first) * out_map,
            .planes = count,
            .channels = count,
            .group_channels = 1,
            .weight_group = taps,
            .weight_channel = taps,
            .weight_source = taps};
  }

  void channels(int64_t sample, int64_t part, float* values) const {
    float* const own = values + cut.values();
    const int64_t first_tile = cut.pieces.tiles * part / cut.parts, last_tile = cut.pieces.tiles * (part + 1) / cut.parts;
    const int64_t first = cut.pieces.begin(first_tile), count = cut.pieces.begin(last_tile) - first;
    const int64_t tiles = depthwise::tiles_of_plane(cut.g);
    const pointwise::Arrays expand{arrays.input + sample * cut.expand.in_channels * cut.map, arrays.bias, arrays.packed,
                                   values - first * cut.map};
    const depthwise::Job all = job(cut.g, values, sample, first, count);
    int64_t expanded = 0;
    for (int64_t tile = 0; tile < tiles; tile += cut.band_tiles) {
      const int64_t next = std::min(tile + cut.band_tiles, tiles);
      const int64_t needed = std::min(depthwise::round_up(cut.rows_read(next) * cut.width, cut.pieces.step), cut.map);
      if (needed > expanded) {
        pointwise::run_piece(cut.expand, expand, between, {0, first_tile, last_tile, expanded, needed}, own);
        expanded = needed;
      }
      depthwise::run_tile_range(all, after, {0, count, tile, next - tile}, own + cut.scratch_expand);
    }
  }

  void rows(int64_t sample, int64_t part, float* values) const {
    float* const own = values + cut.values();
    const int64_t tile = part * cut.band_tiles, next = std::min(tile + cut.band_tiles, depthwise::tiles_of_plane(cut.g));
    // The values are planes of the rows [begin, end): the depthwise layer sees a padding that begins above them.
    const int64_t begin = std::clamp<int64_t>(tile * depthwise::kRows * cut.g.h.stride - cut.g.h.pad, 0, cut.g.h.input);
    const int64_t end = std::max(cut.rows_read(next), begin), plane = (end - begin) * cut.width;
    depthwise::Geometry g = cut.g;
    g.h.input = end - begin;
    g.h.pad += begin;
    for (int64_t first_tile = 0; first_tile < cut.pieces.tiles;) {
      int64_t last_tile = first_tile + 1;
      const int64_t first = cut.pieces.begin(first_tile);
      while (last_tile < cut.pieces.tiles && cut.pieces.begin(last_tile + 1) - first <= cut.most_channels) ++last_tile;
      const int64_t count = cut.pieces.begin(last_tile) - first;
      const pointwise::Arrays expand{arrays.input + sample * cut.expand.in_channels * cut.map, arrays.bias, arrays.packed,
                                     values - first * plane - begin * cut.width, plane};
      pointwise::run_piece(cut.expand, expand, between, {0, first_tile, last_tile, begin * cut.width, end * cut.width}, own);
      depthwise::run_tile_range(job(g, values, sample, first, count), after, {0, count, tile, next - tile},
                                own + cut.scratch_expand);
      first_tile = last_tile;
    }
  }
};

}  // namespace

const char* refuse_expand_depthwise(const ExpandDepthwiseShape& s) {
  if (s.depthwise.in_channels_per_group() != 1 || s.depthwise.out_channels != s.depthwise.in_channels)
    return "needs one input and one result channel per group";
  if (s.expand.groups != 1) return "needs an expansion without groups";
  if (const char* why = kConvPointwiseForward.refuse(s.expand)) return why;
  if (const char* why = kConvDepthwiseForward.refuse(s.depthwise)) return why;
  if (s.expand.input != s.expand.output) return "needs an expansion of stride 1";
  const depthwise::Geometry g = depthwise::geometry(s.depthwise, Direction::kForward);
  if (depthwise::refuse_tiles(g) != nullptr || g.d.output != 1 || g.d.input != 1 || g.h.spacing() != 1) return "needs dense planes";
  if (s.expand.in_channels * s.expand.input_positions() * static_cast<int64_t>(sizeof(float)) > kMostInputBytes)
    return "the input does not stay in the cache";
  ConvShape sample = s.expand;
  sample.batch = 1;
  const pointwise::Pieces pieces = pointwise::pieces(sample);
  if ((pieces.height + 1) * sample.output_positions() > kMostTileFloats) return "the planes of a tile are too large";
  return nullptr;
}

size_t expand_depthwise_workspace_bytes(const ExpandDepthwiseShape& shape, int threads) {
  return padded_bytes(static_cast<size_t>(Cut(shape, threads).floats() * threads) * sizeof(float));
}

void expand_depthwise(const ExpandDepthwiseShape& s, const ExpandDepthwiseArrays& arrays, const Epilogue<float>& expand_epilogue,
                      const Epilogue<float>& epilogue, Workspace& workspace) noexcept {
  const Cut cut(s, num_threads());
  const SplitEpilogue between(expand_epilogue), after(epilogue);
  float* const scratch = workspace.take<float>(cut.floats() * num_threads());
  const Run run{cut, arrays, between, after, s.depthwise.taps(), s.depthwise.output_positions()};
  parallel_for(s.expand.batch * cut.parts, [&](int64_t task, int thread) {
    float* const values = scratch + thread * cut.floats();
    if (cut.by_rows) return run.rows(task / cut.parts, task % cut.parts, values);
    run.channels(task / cut.parts, task % cut.parts, values);
  });
}

}  // namespace convoy::kernels
