// Planes with several rows of a vector or less than kMaxColumnTaps kernel columns: register tiles.
#pragma once

#include "convoy/core/workspace.h"
#include "convoy/kernels/conv/conv_depthwise_geometry.h"

namespace convoy::kernels::depthwise {

/// Whether there are tiles for the whole kernel: one plane under 3x3 or 5x5 taps, stride 1 or 2, or under 7x7. The input's rows do
/// not count: the bits are the same where they are handed over in parts.
inline bool has_whole_kernel(const Geometry& g) {
  const int64_t size = g.w.kernel, stride = g.w.gradient ? 1 : g.h.stride;
  if (g.sources != 1 || g.phases() != 1 || g.h.kernel != size || (size != 3 && size != 5 && size != 7)) return false;
  if (g.d.kernel != 1 || g.d.stride != 1 || g.d.pad != 0) return false;
  if (g.h.stride != g.w.stride || stride > (size == 7 ? 1 : 2) || (stride == 2 && (g.w.dilation != 1 || g.h.dilation != 1)))
    return false;
  return g.h.output / g.h.spacing() >= kRows;
}
/// Whether strided rows are read in pairs of vectors that are parted, not sorted before. With many columns of taps sorting takes
/// less than parting every vector for each two of them.
inline bool parts_by_twos(const Geometry& g) {
  return g.strided() && g.w.stride == 2 && g.w.dilation == 1 && g.h.stride == 2 && g.h.dilation == 1 && g.w.kernel <= 6;
}

/// Source planes whose sums make one chain.
inline int64_t sources_together(const Geometry& g) {
  if (g.sources * g.taps() <= kChain) return g.sources;
  return std::clamp<int64_t>(kChain / std::max<int64_t>(g.taps(), 1), 1, g.sources);
}

/// Result planes that a tile is computed for one after the other, while they and what they read stay in the cache.
constexpr int64_t kMostPlanes = 32;
inline int64_t planes_of_block(const Geometry& g) {
  constexpr int64_t kCacheFloats = 6144;  // half of the L1 cache
  return std::clamp<int64_t>(kCacheFloats / (g.input_positions() * g.sources + g.output_positions()), 1, kMostPlanes);
}

/// Null if tiles can compute this, else why not.
const char* refuse_tiles(const Geometry& g);
/// Scratch floats of one thread.
int64_t tile_scratch_floats(const Geometry& g);
void run_tiles(const Job& job, const Epilogue<float>& epilogue, Workspace& workspace);

/// Some planes, and some tiles of each: where output rows share all their taps (AxisGeometry::spacing() is 1) tile t has rows
/// [t kRows, (t + 1) kRows) of a plane.
struct TileRange {
  int64_t first_plane, planes;
  int64_t first_tile, tiles;
};
int64_t tiles_of_plane(const Geometry& g);
/// A part of run_tiles, on the calling thread.
void run_tile_range(const Job& job, const SplitEpilogue& epilogue, const TileRange& range, float* scratch);

}  // namespace convoy::kernels::depthwise
