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

}  // namespace convoy::kernels::depthwise
