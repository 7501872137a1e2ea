#include "convoy/kernels/conv/winograd_tiling.h"

namespace convoy::kernels::winograd {

namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A thread's own block is best: transformed sources that another core wrote cost more than idle threads do (128 channels on 28x28:
// 0.28 ms shared, 0.23 ms with 28 tiles for one thread and 21 for the other). But with few tiles the weight would be read from the
// outer cache once per thread and a few tiles at a time; then all threads work on one block, each on its own results.
constexpr int64_t kKeptWeight = int64_t{3} << 19;     // a weight that stays in L2 beside a block
constexpr int64_t kKeptBlock = int64_t{1} << 20;      // of transformed sources, with such a weight
constexpr int64_t kStreamedBlock = int64_t{1} << 21;  // with a larger one: the more tiles the fewer times it is read
constexpr int64_t kFewTiles = 16;

}  // namespace

Tiling make_tiling(const Problem& p, int64_t lanes, int threads) {
  constexpr int64_t kPadding = 16;  // floats: planes a power of two apart would meet in the same cache sets
  Tiling t;
  t.lanes = lanes;
  t.channel_blocks = p.d.points * ceil_div(p.channels, lanes);
  const int64_t vectors = ceil_div(p.results, lanes);
  const int64_t tile_bytes = p.points() * t.channel_blocks * lanes * 4;  // of one tile's transformed sources
  const int64_t weight_bytes = p.points() * p.depth() * vectors * lanes * 4;
  const int64_t groups = std::max<int64_t>(p.w.groups(), 1);

  // Across: whole groups, about kSegmentTiles tiles.
  const int64_t segment_groups = std::clamp<int64_t>(kSegmentTiles / p.w.dilation, 1, groups);
  t.segments = ceil_div(groups, segment_groups);
  const int64_t width = ceil_div(groups, t.segments);
  // Along: as many tiles as the cache holds, in equal parts for the threads.
  const int64_t units = std::max<int64_t>(p.rows(), 1) * width;  // groups of the widest segment
  const bool streams = weight_bytes > kKeptWeight;               // then every block reads the weight from the outer cache
  const int64_t bytes = streams ? kStreamedBlock : kKeptBlock;
  const auto parts_for = [&](int64_t block_bytes) {
    return ceil_div(units, std::clamp<int64_t>(block_bytes / (tile_bytes * p.w.dilation), 1, units));
  };
  t.parts = parts_for(bytes);
  if (p.groups * t.segments * t.parts < 8 * threads) {
    t.parts = std::min(ceil_div(p.groups * t.segments * t.parts, threads) * threads / (p.groups * t.segments), units);
    t.parts = std::max<int64_t>(t.parts, 1);
  }
  const int64_t tiles = ceil_div(units, t.parts) * p.w.dilation;
  t.shared = threads > 1 && vectors >= 2 * threads && tiles < (streams ? kFewTiles : kFewTiles / 2);
  if (t.shared) t.parts = parts_for(kStreamedBlock * std::min(threads, 4));
  t.most_tiles = ceil_div(units, t.parts) * p.w.dilation;

  // Vectors of results in pairs; shared: equal parts for the threads.
  const int64_t fit = std::max<int64_t>((int64_t{768} << 10) / (p.points() * t.most_tiles * lanes * 4) / 2 * 2, 2);
  t.group = std::min(fit, std::max<int64_t>(ceil_div(vectors, 2) * 2, 2));
  if (t.shared) {
    const int64_t parts = ceil_div(ceil_div(vectors, t.group), threads) * threads;
    t.group = std::max<int64_t>(ceil_div(ceil_div(vectors, parts), 2) * 2, 2);
  }
  t.source_plane = t.channel_blocks * t.most_tiles * lanes + kPadding;
  const int64_t chunk_groups = std::clamp<int64_t>(kChunkTiles / p.w.dilation, 1, width);
  t.row_floats = p.h.dilation * p.h.points * p.w.reach(width) * lanes;
  t.column_floats = p.h.points * p.w.reach(chunk_groups) * lanes;
  t.result_floats = (p.h.outputs * width * p.w.group_span() + lanes) * lanes;
  return t;
}

}  // namespace convoy::kernels::winograd
