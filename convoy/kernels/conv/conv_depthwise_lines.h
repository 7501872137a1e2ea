// Sequences, planes of one or two rows, and kernels of many columns: one row at a time.
#pragma once

#include "convoy/core/workspace.h"
#include "convoy/kernels/conv/conv_depthwise_geometry.h"

namespace convoy::kernels::depthwise {

/// Null if this can be computed row by row, else why not.
const char* refuse_lines(const Geometry& g);
/// Scratch floats of one thread.
int64_t line_scratch_floats(const Geometry& g);
void run_lines(const Job& job, const Epilogue<float>& epilogue, Workspace& workspace);

}  // namespace convoy::kernels::depthwise
