#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/gemm/gemm.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"
#include "convoy/kernels/gemm/gemm.h"

#include <algorithm>
#include <complex>
#include <functional>
#include <numeric>

#include "convoy/core/parallel.h"

#ifndef CONVOY_KERNELS_GEMM_BLOCKS
#define CONVOY_KERNELS_GEMM_BLOCKS
namespace convoy::kernels::gemm_blocks {

constexpr int64_t kDepth = 256;                            // of one block
constexpr int64_t kColumns = 96;                           // of a block, 96 KiB; a multiple of every panel's width
constexpr int64_t kOwnRows = 240;                          // of a block of a thread alone: 240 KiB
constexpr int64_t kSharedRows = 960, kSharedDepth = 1024;  // of what all threads read: 3.75 MiB
constexpr int64_t kSmall = 1 << 16;                        // products that are not worth waking a thread for

// Whether a task is a whole product: there are several for each thread, or it is small.
inline bool whole_products(const Gemm<float>& g, int threads) {
  return g.batch >= 2 * threads || g.rows * g.columns <= kSmall / std::max<int64_t>(g.depth, 1);
}

inline int64_t packed_rows(const Gemm<float>& g, int threads) {
  return whole_products(g, threads) ? std::min(g.rows, kOwnRows) * std::min(g.depth, kDepth) * threads
                                    : std::min(g.rows, kSharedRows) * std::min(g.depth, kSharedDepth);
}

}  // namespace convoy::kernels::gemm_blocks
#endif

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using gemm_blocks::kColumns;
using gemm_blocks::kDepth;

// One tile of rows: to[k][rows of the tile].
HWY_NOINLINE void PackTile(const Gemm<float>& g, const float* from, int64_t height, int64_t length, float* to) {
  if (g.a_depth_stride == 1) return Transpose(from, g.a_row_stride, to, height, height, length);
  for (int64_t k = 0; k < length; ++k, from += g.a_depth_stride, to += height) {
    for (int64_t r = 0; r < height; ++r) to[r] = from[r * g.a_row_stride];
  }
}

// to[panel][k][width of a panel]; what lies beyond the columns is never read.
HWY_NOINLINE void PackColumns(const Gemm<float>& g, const float* b, int64_t columns, int64_t length, float* to) {
  constexpr int64_t kStrip = 128;  // of k, whose lines of `to` stay in the first cache
  const tile::Full d;
  const int64_t panel = tile::PanelWidth(), lanes = tile::Lanes();
  if (g.b_column_stride == 1) {  // row by row, as it lies in memory
    const int64_t whole = columns / panel * panel;
    for (int64_t k = 0; k < length; ++k, b += g.b_depth_stride) {
      for (int64_t p = 0; p < whole; p += panel) {
        float* const row = to + p * length + k * panel;
        for (int64_t v = 0; v < panel; v += lanes) hn::StoreU(hn::LoadU(d, b + p + v), d, row + v);
      }
      std::copy(b + whole, b + columns, to + whole * length + k * panel);
    }
    return;
  }
  for (int64_t p = 0; p < columns; p += panel, to += panel * length) {
    const int64_t width = std::min(panel, columns - p);
    const float* from = b + p * g.b_column_stride;
    for (int64_t strip = 0; strip < length && g.b_depth_stride == 1; strip += kStrip) {
      Transpose(from + strip, g.b_column_stride, to + strip * panel, panel, width, std::min(kStrip, length - strip));
    }
    for (int64_t k = 0; k < length && g.b_depth_stride != 1; ++k) {
      for (int64_t j = 0; j < width; ++j) to[k * panel + j] = from[k * g.b_depth_stride + j * g.b_column_stride];
    }
  }
}

// What the sums of some rows and columns begin with. Returns whether there is anything to add to.
HWY_INLINE bool Begin(const Gemm<float>& g, int64_t rows, int64_t column, int64_t columns, float* c) {
  if (g.start == nullptr && g.depth > 0) return false;
  for (int64_t r = 0; r < rows; ++r, c += g.columns) {
    for (int64_t j = 0; j < columns; ++j) c[j] = g.start != nullptr ? g.start[column + j] : 0.0f;
  }
  return true;
}

// One block of the depth of some tiles of rows and some columns, the first at b and c.
HWY_NOINLINE void MultiplyBlock(const Gemm<float>& g, const tile::RowTiles& tiles, int64_t tile_begin, int64_t tile_end,
                                const float* rows, int64_t length, const float* b, int64_t columns, bool add, float* c,
                                float* packed_columns) {
  if (tiles.count == 1 && g.b_column_stride == 1) {  // every value of b is used once
    conv_tile::Work work;
    work.source_channel = g.b_depth_stride;
    work.ahead_pixels = 8 * g.b_depth_stride;
    work.channels = length;
    work.weight = rows;
    work.add = add;
    work.sums_stride = g.columns;
    const int64_t step = tile::PixelTileWidth(tiles.rows(0));
    for (int64_t column = 0; column < columns; column += step) {
      work.source = b + column;
      work.sums = c + column;
      tile::RunPixelTile<true>(work, tiles.rows(0), std::min(step, columns - column), nullptr);
    }
    return;
  }
  for (int64_t column = 0; column < columns; column += kColumns) {
    const int64_t count = std::min(kColumns, columns - column);
    PackColumns(g, b + column * g.b_column_stride, count, length, packed_columns);
    tile::RunPanels(tiles, tile_begin, tile_end, count, length, rows, packed_columns, add, nullptr, c + column, g.columns);
  }
}

HWY_INLINE void WholeProduct(const Gemm<float>& g, const float* a, const float* b, float* c, float* packed_rows,
                             float* packed_columns) {
  for (int64_t row = 0; row < g.rows; row += gemm_blocks::kOwnRows) {
    const tile::RowTiles tiles(std::min(gemm_blocks::kOwnRows, g.rows - row));
    float* const result = c + row * g.columns;
    const bool begun = Begin(g, tiles.begin(tiles.count), 0, g.columns, result);
    for (int64_t k = 0; k < g.depth; k += kDepth) {
      const int64_t length = std::min(kDepth, g.depth - k);
      for (int64_t i = 0; i < tiles.count; ++i) {
        PackTile(g, a + (row + tiles.begin(i)) * g.a_row_stride + k * g.a_depth_stride, tiles.rows(i), length,
                 packed_rows + tiles.begin(i) * length);
      }
      MultiplyBlock(g, tiles, 0, tiles.count, packed_rows, length, b + k * g.b_depth_stride, g.columns, begun || k > 0, result,
                    packed_columns);
    }
  }
}

// Rows are packed once, columns by the tasks that share them out.
HWY_INLINE void SharedProduct(const Gemm<float>& g, const float* a, const float* b, float* c, float* packed_rows,
                              float* packed_columns) {
  const int64_t unit = kColumns / 2, units = (g.columns + unit - 1) / unit, threads = num_threads();
  const int64_t column_parts = std::min(units, std::max((units + 1) / 2, 4 * threads));
  for (int64_t row = 0; row < g.rows; row += gemm_blocks::kSharedRows) {
    const tile::RowTiles tiles(std::min(gemm_blocks::kSharedRows, g.rows - row));
    const int64_t rows = tiles.begin(tiles.count);
    const int64_t row_parts = std::clamp<int64_t>(4 * threads / column_parts, 1, (tiles.count + 3) / 4);
    int64_t first = 0;
    do {
      const int64_t end = std::min(g.depth, first + gemm_blocks::kSharedDepth);
      parallel_for(tiles.count, [&](int64_t i) HWY_ATTR {
        for (int64_t k = first; k < end; k += kDepth) {
          const int64_t length = std::min(kDepth, end - k);
          PackTile(g, a + (row + tiles.begin(i)) * g.a_row_stride + k * g.a_depth_stride, tiles.rows(i), length,
                   packed_rows + (k - first) * rows + tiles.begin(i) * length);
        }
      });
      parallel_for(row_parts * column_parts, [&](int64_t task, int thread) HWY_ATTR {
        const int64_t row_part = task % row_parts, column_part = task / row_parts;
        const int64_t tile_begin = tiles.count * row_part / row_parts, tile_end = tiles.count * (row_part + 1) / row_parts;
        const int64_t column = units * column_part / column_parts * unit,
                      columns = std::min(units * (column_part + 1) / column_parts * unit, g.columns) - column;
        float* const result = c + (row + tiles.begin(tile_begin)) * g.columns + column;
        const bool begun = first > 0 || Begin(g, tiles.begin(tile_end) - tiles.begin(tile_begin), column, columns, result);
        for (int64_t k = first; k < end; k += kDepth) {
          MultiplyBlock(g, tiles, tile_begin, tile_end, packed_rows + (k - first) * rows, std::min(kDepth, end - k),
                        b + k * g.b_depth_stride + column * g.b_column_stride, columns, begun || k > 0, result,
                        packed_columns + thread * kColumns * kDepth);
        }
      });
      first = end;
    } while (first < g.depth);
  }
}

}  // namespace

HWY_ATTR void GemmRun(const Gemm<float>& g, Workspace& workspace) {
  if (g.rows == 0 || g.columns == 0) return;
  const int64_t packed = gemm_blocks::packed_rows(g, num_threads());
  float* const rows = workspace.take<float>(packed);
  float* const columns = workspace.take<float>(kColumns * kDepth * num_threads());
  const auto at = [&](const int64_t* begins, int64_t i) { return begins != nullptr ? begins[i] : 0; };
  if (gemm_blocks::whole_products(g, num_threads())) {
    const int64_t own = packed / num_threads();
    parallel_for(g.batch, [&](int64_t i, int thread) HWY_ATTR {
      WholeProduct(g, g.a + at(g.a_at, i), g.b + at(g.b_at, i), g.c + i * g.rows * g.columns, rows + thread * own,
                   columns + thread * kColumns * kDepth);
    });
    return;
  }
  for (int64_t i = 0; i < g.batch; ++i) {
    SharedProduct(g, g.a + at(g.a_at, i), g.b + at(g.b_at, i), g.c + i * g.rows * g.columns, rows, columns);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(GemmRun);

std::vector<int64_t> matrices_of(const std::vector<int64_t>& own, const std::vector<int64_t>& batch, int64_t matrix) {
  int64_t count = 1;
  for (const int64_t size : batch) count *= size;
  std::vector<int64_t> result(static_cast<size_t>(count));
  for (size_t flat = 0; flat < result.size(); ++flat) {
    auto rest = static_cast<int64_t>(flat);
    int64_t at = 0, stride = matrix;
    for (size_t i = 0; i < batch.size(); ++i) {  // from the last axis on
      const int64_t size = batch[batch.size() - 1 - i], index = rest % size;
      rest /= size;
      if (i >= own.size()) continue;
      const int64_t own_size = own[own.size() - 1 - i];
      if (own_size != 1) at += index * stride;
      stride *= own_size;
    }
    result[flat] = at;
  }
  return result;
}

template <class T>
GemmMatrices broadcast_matrices(const std::vector<int64_t>& a, const std::vector<int64_t>& b, const std::vector<int64_t>& batch,
                                Gemm<T>& problem) {
  GemmMatrices at{matrices_of(a, batch, problem.rows * problem.depth), matrices_of(b, batch, problem.depth * problem.columns)};
  problem.batch = static_cast<int64_t>(at.a.size());
  const auto count = [](const std::vector<int64_t>& sizes) {
    return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
  };
  const bool rows_follow = problem.a_row_stride == problem.depth && problem.a_depth_stride == 1;
  if (count(b) == 1 && count(a) == problem.batch && rows_follow) {
    problem.rows *= problem.batch;
    problem.batch = 1;
    return {};
  }
  problem.a_at = at.a.data();
  problem.b_at = at.b.data();
  return at;
}

template GemmMatrices broadcast_matrices(const std::vector<int64_t>&, const std::vector<int64_t>&, const std::vector<int64_t>&,
                                         Gemm<float>&);
template GemmMatrices broadcast_matrices(const std::vector<int64_t>&, const std::vector<int64_t>&, const std::vector<int64_t>&,
                                         Gemm<double>&);

size_t gemm_workspace_bytes(const Gemm<float>& g, int threads) {
  const auto floats = [](int64_t count) { return padded_bytes(static_cast<size_t>(count) * sizeof(float)); };
  return floats(gemm_blocks::packed_rows(g, threads)) + floats(gemm_blocks::kColumns * gemm_blocks::kDepth * threads);
}

void gemm(const Gemm<float>& problem, Workspace& workspace) { CONVOY_DISPATCH(GemmRun)(problem, workspace); }

template <class T>
void gemm_reference(const Gemm<T>& g) {
  parallel_for(g.batch * g.rows, [&](int64_t task) {
    const int64_t i = task / g.rows, row = task % g.rows;
    const T* const a = g.a + (g.a_at != nullptr ? g.a_at[i] : 0) + row * g.a_row_stride;
    const T* const b = g.b + (g.b_at != nullptr ? g.b_at[i] : 0);
    for (int64_t column = 0; column < g.columns; ++column) {
      T sum = g.start != nullptr ? g.start[column] : T(0);
      for (int64_t k = 0; k < g.depth; ++k) sum += a[k * g.a_depth_stride] * b[k * g.b_depth_stride + column * g.b_column_stride];
      g.c[task * g.columns + column] = sum;
    }
  });
}

template void gemm_reference(const Gemm<float>&);
template void gemm_reference(const Gemm<double>&);
template void gemm_reference(const Gemm<std::complex<double>>&);

}  // namespace convoy::kernels
#endif  // HWY_ONCE
