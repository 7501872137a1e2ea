// Each task takes some result channels of a sample and goes down their planes: rows are expanded as far as the next rows of the
// depthwise layer read, then these are computed. Nothing is expanded twice, and a task's rows of some channels stay in L2.
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
constexpr int64_t kMostInputBytes = 4 << 20;  // every task reads the whole input
constexpr int64_t kMostTileFloats = 1 << 20;  // of scratch memory: 4 MiB a thread

// How the work is cut. Only speed depends on it.
struct Cut {
  pointwise::Pieces pieces;
  ConvShape expand;  // of one sample
  depthwise::Geometry g;
  int64_t map = 0, width = 0;  // of an expanded plane
  int64_t parts = 0;           // of the tiles of channels
  int64_t most_channels = 0;   // of a part
  int64_t band_tiles = 1;      // rows of depthwise tiles at a time
  int64_t scratch_expand = 0, scratch_depthwise = 0;

  Cut(const ExpandDepthwiseShape& s, int threads) : expand(s.expand), g(depthwise::geometry(s.depthwise, Direction::kForward)) {
    expand.batch = 1;
    pieces = pointwise::pieces(expand);
    map = expand.output_positions();
    width = expand.output[2];
    const int64_t tile_channels = pieces.height + (pieces.extra > 0 ? 1 : 0);
    const int64_t each = std::clamp<int64_t>(kTaskFloats / (tile_channels * map), 1, pieces.tiles);
    parts = std::min(depthwise::round_up((pieces.tiles + each - 1) / each, threads), pieces.tiles);
    most_channels = (pieces.tiles + parts - 1) / parts * tile_channels;
    const int64_t tile_floats = most_channels * depthwise::kRows * g.h.stride * width;
    band_tiles = std::clamp<int64_t>(kBandFloats / tile_floats, 1, depthwise::tiles_of_plane(g));
    scratch_expand = depthwise::round_up(pointwise::piece_scratch_floats(expand, map), 16);
    scratch_depthwise = depthwise::round_up(depthwise::tile_scratch_floats(g), 16);
  }
  int64_t values() const { return depthwise::round_up(most_channels * map + depthwise::kLanes, 16); }
  int64_t floats() const { return values() + scratch_expand + scratch_depthwise; }
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
  const int64_t channels = cut.expand.out_channels, taps = s.depthwise.taps(), out_map = s.depthwise.output_positions();
  const int64_t tiles = depthwise::tiles_of_plane(cut.g);
  parallel_for(s.expand.batch * cut.parts, [&](int64_t task, int thread) {
    const int64_t sample = task / cut.parts, part = task % cut.parts;
    const int64_t first_tile = cut.pieces.tiles * part / cut.parts, last_tile = cut.pieces.tiles * (part + 1) / cut.parts;
    const int64_t first = cut.pieces.begin(first_tile), count = cut.pieces.begin(last_tile) - first;
    float* const values = scratch + thread * cut.floats();
    float* const own = values + cut.values();
    const pointwise::Arrays expand{arrays.input + sample * cut.expand.in_channels * cut.map, arrays.bias, arrays.packed,
                                   values - first * cut.map};
    const depthwise::Job job{.g = cut.g,
                             .input = values,
                             .weight = arrays.depthwise_weight + first * taps,
                             .bias = arrays.depthwise_bias != nullptr ? arrays.depthwise_bias + first : nullptr,
                             .output = arrays.output + (sample * channels + first) * out_map,
                             .planes = count,
                             .channels = count,
                             .group_channels = 1,
                             .weight_group = taps,
                             .weight_channel = taps,
                             .weight_source = taps};
    int64_t expanded = 0;
    for (int64_t tile = 0; tile < tiles; tile += cut.band_tiles) {
      const int64_t next = std::min(tile + cut.band_tiles, tiles);
      const int64_t last_row = std::min(next * depthwise::kRows, cut.g.h.output) - 1;
      const int64_t read = last_row * cut.g.h.stride + (cut.g.h.kernel - 1) * cut.g.h.dilation - cut.g.h.pad + 1;
      const int64_t rows = std::clamp<int64_t>(read, 0, cut.g.h.input);
      const int64_t needed = std::min(depthwise::round_up(rows * cut.width, cut.pieces.step), cut.map);
      if (needed > expanded) {
        pointwise::run_piece(cut.expand, expand, between, {0, first_tile, last_tile, expanded, needed}, own);
        expanded = needed;
      }
      depthwise::run_tile_range(job, after, {0, count, tile, next - tile}, own + cut.scratch_expand);
    }
  });
}

}  // namespace convoy::kernels
