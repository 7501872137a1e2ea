// Planes with several rows of a vector or less than kMaxColumnTaps kernel columns: register tiles.
#pragma once

#include "convoy/core/workspace.h"
#include "convoy/kernels/conv/conv_depthwise_geometry.h"

namespace convoy::kernels::depthwise {

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
