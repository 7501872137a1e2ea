#include "convoy/kernels/conv/winograd_tiling.h"

namespace convoy::kernels::winograd {

namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

Tiling make_tiling(const Problem& p, int64_t lanes, int threads) {
  constexpr int64_t kPadding = 16;  // floats: planes a power of two apart would meet in the same cache sets
  Tiling t;
  t.lanes = lanes;
  t.channel_blocks = p.d.points * ceil_div(p.channels, lanes);
  const int64_t vectors = ceil_div(p.results, lanes);
  const int64_t tile_bytes = p.points() * t.channel_blocks * lanes * 4;  // of one tile's transformed sources
  const int64_t weight_bytes = p.points() * p.depth() * vectors * lanes * 4;
  const int64_t rows = p.rows(), groups = p.w.groups();

  // Across: whole groups, about kSegmentTiles tiles.
  const int64_t segment_groups = std::clamp<int64_t>(kSegmentTiles / p.w.dilation, 1, std::max<int64_t>(groups, 1));
  t.segments = std::max<int64_t>(ceil_div(groups, segment_groups), 1);
  const int64_t width = ceil_div(std::max<int64_t>(groups, 1), t.segments) * p.w.dilation;
  // Along: as many rows as the cache holds.
  const auto rows_for = [&](int64_t bytes) {
    return std::clamp<int64_t>(bytes / tile_bytes / width, 1, std::max<int64_t>(rows, 1));
  };
  const int64_t private_rows = rows_for(int64_t{1} << 20), shared_rows = rows_for(int64_t{3} << 20);
  int64_t private_blocks = ceil_div(std::max<int64_t>(rows, 1), private_rows);
  if (threads > 1) {  // a multiple of the threads, if that is possible
    const int64_t wanted = ceil_div(private_blocks * t.segments, threads) * threads;
    private_blocks = std::min(ceil_div(wanted, t.segments), std::max<int64_t>(rows, 1));
  }
  const int64_t all_tiles = rows * p.w.tiles();
  const int64_t longest = ceil_div(rows, private_blocks) * width;  // tiles of the largest block
  const int64_t turns = ceil_div(p.groups * private_blocks * t.segments, threads);
  const bool balanced = turns * longest * threads * 9 <= p.groups * all_tiles * 10;
  t.shared = threads > 1 && (!balanced || weight_bytes > (int64_t{6} << 20)) && vectors >= 2 * threads;
  t.row_blocks = t.shared || threads == 1 ? ceil_div(std::max<int64_t>(rows, 1), shared_rows) : private_blocks;
  t.most_tiles = ceil_div(std::max<int64_t>(rows, 1), t.row_blocks) * width;

  // Vectors of results in pairs; shared: equal parts for the threads.
  const int64_t fit = std::max<int64_t>((int64_t{512} << 10) / (p.points() * t.most_tiles * lanes * 4) / 2 * 2, 2);
  t.group = std::min(fit, std::max<int64_t>(ceil_div(vectors, 2) * 2, 2));
  if (t.shared) {
    const int64_t parts = ceil_div(ceil_div(vectors, t.group), threads) * threads;
    t.group = std::max<int64_t>(ceil_div(ceil_div(vectors, parts), 2) * 2, 2);
  }
  t.source_plane = t.channel_blocks * t.most_tiles * lanes + kPadding;
  t.product_plane = t.group * t.most_tiles * lanes + kPadding;
  const int64_t width_groups = ceil_div(width, p.w.dilation);
  const int64_t chunk_groups = std::clamp<int64_t>(kChunkTiles / p.w.dilation, 1, width_groups);
  t.row_floats = p.h.dilation * p.h.points * p.w.reach(width_groups) * lanes;
  t.column_floats = p.h.points * p.w.reach(chunk_groups) * lanes;
  t.result_floats = (p.h.outputs * width_groups * p.w.group_span() + lanes) * lanes;
  return t;
}

}  // namespace convoy::kernels::winograd
