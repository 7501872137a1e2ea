#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/gemm/gemm.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"
#include "convoy/kernels/gemm/gemm.h"
#include "convoy/kernels/gemm/gemm_tile-inl.h"

#include <algorithm>
#include <complex>

#include "convoy/core/parallel.h"

#ifndef CONVOY_KERNELS_GEMM_BLOCKS
#define CONVOY_KERNELS_GEMM_BLOCKS
namespace convoy::kernels::gemm_blocks {
constexpr int64_t kDepth = 256;    // of one block
constexpr int64_t kColumns = 192;  // of a task; a multiple of every panel width
}  // namespace convoy::kernels::gemm_blocks
#endif

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {

HWY_INLINE int64_t GemmPackedRows(int64_t rows) { return (rows + gemm::kRows - 1) / gemm::kRows * gemm::kRows; }

HWY_ATTR size_t GemmWorkspace(int64_t rows, int64_t depth, int threads) {
  const auto floats = [](int64_t count) { return padded_bytes(static_cast<size_t>(count) * sizeof(float)); };
  return floats(GemmPackedRows(rows) * depth) + floats(gemm_blocks::kDepth * gemm_blocks::kColumns * threads);
}

// a and b are packed into panels block by block of the depth; a once, b by the task that uses it.
HWY_ATTR void GemmRun(const Gemm<float>& g, Workspace& workspace) {
  const int64_t panels = GemmPackedRows(g.rows) / gemm::kRows, packed_rows = GemmPackedRows(g.rows);
  float* const packed = workspace.take<float>(packed_rows * g.depth);
  parallel_for(panels, [&](int64_t panel) HWY_ATTR {
    const int64_t row = panel * gemm::kRows, height = std::min<int64_t>(gemm::kRows, g.rows - row);
    for (int64_t k_begin = 0; k_begin < g.depth; k_begin += gemm_blocks::kDepth) {
      const int64_t length = std::min(gemm_blocks::kDepth, g.depth - k_begin);
      float* to = packed + k_begin * packed_rows + row * length;
      for (int64_t r = 0; r < gemm::kRows; ++r) {
        const float* from = g.a + (row + std::min(r, height - 1)) * g.a_row_stride + k_begin * g.a_depth_stride;
        for (int64_t k = 0; k < length; ++k) to[k * gemm::kRows + r] = from[k * g.a_depth_stride];
      }
    }
  });
  const int64_t scratch_floats = gemm_blocks::kDepth * gemm_blocks::kColumns;
  float* const scratch = workspace.take<float>(scratch_floats * num_threads());
  const int64_t column_tasks = (g.columns + gemm_blocks::kColumns - 1) / gemm_blocks::kColumns;
  const int64_t row_splits =
      std::clamp<int64_t>(4 * num_threads() / std::max<int64_t>(column_tasks, 1), 1, std::max<int64_t>(g.rows / 32, 1));
  const int64_t rows_per_task = GemmPackedRows((g.rows + row_splits - 1) / row_splits);
  const int64_t row_tasks = rows_per_task > 0 ? (g.rows + rows_per_task - 1) / rows_per_task : 0;
  parallel_for(column_tasks * row_tasks, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t row = task % row_tasks * rows_per_task, row_end = std::min(g.rows, row + rows_per_task);
    const int64_t column = task / row_tasks * gemm_blocks::kColumns, columns = std::min(gemm_blocks::kColumns, g.columns - column);
    const int64_t panel = gemm::PanelColumns();
    float* const b = scratch + thread * scratch_floats;
    for (int64_t r = row; r < row_end; ++r) {
      float* c = g.c + r * g.columns + column;
      if (g.start != nullptr) {
        std::copy(g.start + column, g.start + column + columns, c);
      } else {
        std::fill(c, c + columns, 0.0f);
      }
    }
    for (int64_t k_begin = 0; k_begin < g.depth; k_begin += gemm_blocks::kDepth) {
      const int64_t length = std::min(gemm_blocks::kDepth, g.depth - k_begin);
      for (int64_t p = 0; p < columns; p += panel) {
        const int64_t width = std::min(panel, columns - p);
        float* to = b + p * length;
        const float* from = g.b + k_begin * g.b_depth_stride + (column + p) * g.b_column_stride;
        if (g.b_column_stride == 1) {
          for (int64_t k = 0; k < length; ++k) {
            std::copy(from + k * g.b_depth_stride, from + k * g.b_depth_stride + width, to + k * panel);
            std::fill(to + k * panel + width, to + (k + 1) * panel, 0.0f);
          }
        } else {
          // In strips of k that keep the touched lines of `to` in the L1 cache.
          constexpr int64_t kStrip = 128;
          for (int64_t strip = 0; strip < length; strip += kStrip) {
            const int64_t strip_end = std::min(length, strip + kStrip);
            if (g.b_depth_stride == 1) {
              Transpose(from + strip, g.b_column_stride, to + strip * panel, panel, width, strip_end - strip);
              continue;
            }
            for (int64_t j = 0; j < width; ++j) {
              const float* line = from + j * g.b_column_stride;
              for (int64_t k = strip; k < strip_end; ++k) to[k * panel + j] = line[k * g.b_depth_stride];
            }
          }
          for (int64_t k = 0; k < length; ++k) std::fill(to + k * panel + width, to + (k + 1) * panel, 0.0f);
        }
      }
      gemm::Block(row_end - row, columns, length, packed + k_begin * packed_rows + row * length, b, nullptr, true,
                  g.c + row * g.columns + column, g.columns);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(GemmWorkspace);
CONVOY_EXPORT(GemmRun);

size_t gemm_workspace_bytes(int64_t rows, int64_t columns, int64_t depth, int threads) {
  return CONVOY_DISPATCH(GemmWorkspace)(rows, depth, threads);
}

void gemm(const Gemm<float>& problem, Workspace& workspace) { CONVOY_DISPATCH(GemmRun)(problem, workspace); }

template <class T>
void gemm_reference(const Gemm<T>& g) {
  parallel_for(g.rows, [&](int64_t row) {
    for (int64_t column = 0; column < g.columns; ++column) {
      T sum = g.start != nullptr ? g.start[column] : T(0);
      for (int64_t k = 0; k < g.depth; ++k) {
        sum += g.a[row * g.a_row_stride + k * g.a_depth_stride] * g.b[k * g.b_depth_stride + column * g.b_column_stride];
      }
      g.c[row * g.columns + column] = sum;
    }
  });
}

template void gemm_reference(const Gemm<float>&);
template void gemm_reference(const Gemm<double>&);
template void gemm_reference(const Gemm<std::complex<double>>&);

}  // namespace convoy::kernels
#endif  // HWY_ONCE
