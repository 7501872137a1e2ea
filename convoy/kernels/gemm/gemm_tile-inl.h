// The register tile of a matrix product, C (+)= A B, compiled once per instruction set. Rows of C are broadcast from A, columns are
// vectors of B. Every element of C is one chain of fused multiply-adds in the order of k per block of the depth, the chains added
// in order, whatever the tile, the tail or the lane count, so the result does not depend on how a product is cut into tiles, and
// AVX2 and AVX-512 give the same bits. One chain over the whole depth would drift: 3844 equal terms lose two digits.

// Per-target include guard, as Highway asks for.
#if defined(CONVOY_KERNELS_GEMM_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_GEMM_TILE_INL_H_
#undef CONVOY_KERNELS_GEMM_TILE_INL_H_
#else
#define CONVOY_KERNELS_GEMM_TILE_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "convoy/kernels/masked-inl.h"
#include "convoy/kernels/registers-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace gemm {
namespace hn = hwy::HWY_NAMESPACE;

// 8 x 3 keeps 24 accumulators, 3 vectors of B and one broadcast in 32 registers; 4 x 3 the same in 16.
#if HWY_TARGET == HWY_AVX3
inline constexpr int kRows = 8;
#else
inline constexpr int kRows = 4;
#endif
inline constexpr int kVectors = 3;

HWY_INLINE int64_t PanelColumns() {
  const hn::ScalableTag<float> d;
  return kVectors * static_cast<int64_t>(hn::Lanes(d));
}

/// One tile. a: [depth][kRows] (the first kR of each kRows are read), b: [depth][b_stride], c: kR rows, `columns` of them stored.
/// start: value per row that a chain begins with (null: 0), ignored if `accumulate`: then the chain is added to c.
template <int kR, int kV>
HWY_INLINE void Tile(int64_t depth, const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int64_t b_stride, const float* start,
                     bool accumulate, float* HWY_RESTRICT c, int64_t c_stride, int64_t columns) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto last = hn::FirstN(d, static_cast<size_t>(columns - (kV - 1) * lanes));
  V acc[kR][kV];
  HWY_UNROLL(8)
  for (int r = 0; r < kR; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < kV; ++v) acc[r][v] = start != nullptr && !accumulate ? hn::Set(d, start[r]) : hn::Zero(d);
  }
  for (int64_t k = 0; k < depth; ++k) {
    V column[kV];
    HWY_UNROLL(8)
    for (int v = 0; v < kV; ++v) column[v] = hn::LoadU(d, b + v * lanes);
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      const V row = hn::Set(d, a[r]);
      HWY_UNROLL(8)
      for (int v = 0; v < kV; ++v) Accumulate(row, column[v], acc[r][v]);
    }
    a += kRows;
    b += b_stride;
  }
  if (accumulate) {
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v + 1 < kV; ++v) acc[r][v] = hn::Add(hn::LoadU(d, c + r * c_stride + v * lanes), acc[r][v]);
      acc[r][kV - 1] = hn::Add(LoadMasked(last, d, c + r * c_stride + (kV - 1) * lanes), acc[r][kV - 1]);
    }
  }
  HWY_UNROLL(8)
  for (int r = 0; r < kR; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v + 1 < kV; ++v) hn::StoreU(acc[r][v], d, c + r * c_stride + v * lanes);
    StoreMasked(acc[r][kV - 1], last, d, c + r * c_stride + (kV - 1) * lanes);
  }
}

template <int kR>
HWY_INLINE void TileOfRows(int64_t depth, const float* a, const float* b, int64_t b_stride, const float* start, bool accumulate,
                           float* c, int64_t c_stride, int64_t columns) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if (columns > 2 * lanes) {
    Tile<kR, 3>(depth, a, b, b_stride, start, accumulate, c, c_stride, columns);
  } else if (columns > lanes) {
    Tile<kR, 2>(depth, a, b, b_stride, start, accumulate, c, c_stride, columns);
  } else {
    Tile<kR, 1>(depth, a, b, b_stride, start, accumulate, c, c_stride, columns);
  }
}

/// c[rows][columns] (+)= A B from packed panels. a: [ceil(rows / kRows)][depth][kRows], b: [ceil(columns / panel)][depth][panel]
/// with panel = PanelColumns(); what lies beyond rows and columns in a panel is never stored.
inline HWY_NOINLINE void Block(int64_t rows, int64_t columns, int64_t depth, const float* a, const float* b, const float* start,
                               bool accumulate, float* c, int64_t c_stride) {
  const int64_t panel = PanelColumns();
  for (int64_t column = 0; column < columns; column += panel) {
    const int64_t width = std::min(panel, columns - column);
    const float* b_panel = b + column * depth;
    for (int64_t row = 0; row < rows; row += kRows) {
      const float* a_panel = a + row * depth;
      const float* begin = start != nullptr ? start + row : nullptr;
      float* out = c + row * c_stride + column;
      const int64_t height = std::min<int64_t>(kRows, rows - row);
      switch (height) {
        case 1:
          TileOfRows<1>(depth, a_panel, b_panel, panel, begin, accumulate, out, c_stride, width);
          break;
        case 2:
          TileOfRows<2>(depth, a_panel, b_panel, panel, begin, accumulate, out, c_stride, width);
          break;
        case 3:
          TileOfRows<3>(depth, a_panel, b_panel, panel, begin, accumulate, out, c_stride, width);
          break;
        case 4:
          TileOfRows<4>(depth, a_panel, b_panel, panel, begin, accumulate, out, c_stride, width);
          break;
#if HWY_TARGET == HWY_AVX3
        case 5:
          TileOfRows<5>(depth, a_panel, b_panel, panel, begin, accumulate, out, c_stride, width);
          break;
        case 6:
          TileOfRows<6>(depth, a_panel, b_panel, panel, begin, accumulate, out, c_stride, width);
          break;
        case 7:
          TileOfRows<7>(depth, a_panel, b_panel, panel, begin, accumulate, out, c_stride, width);
          break;
        case 8:
          TileOfRows<8>(depth, a_panel, b_panel, panel, begin, accumulate, out, c_stride, width);
          break;
#endif
        default:
          break;
      }
    }
  }
}

}  // namespace gemm
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
