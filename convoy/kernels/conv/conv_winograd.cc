// Winograd convolution, fused per block of tiles: the sources of a block are transformed (V), multiplied point by point with the
// transformed weights (M = U V, one small matrix product per point), and transformed back, all inside L2; no transform of a whole
// image exists. NCHW in and out.
//
// Lanes are channels everywhere. Rows of 16 planes are transposed once on their way in, so that
// - a transform is plain arithmetic on vectors, with no lane idle on narrow maps and no shuffle for dilations,
// - V[point][channels / lanes][tile][lane] is stored in whole vectors, for any number of tiles,
// - the product broadcasts V and keeps 14 tiles x 2 vectors of results in registers, reading U as one stream,
// - M[results / lanes][tile][point][lane] is transformed back the same way and transposed once on its way out.
// Per tile of F(4,3) and vector of channels that is about 64 shuffles and 120 multiply-adds in (a column's vertical transform
// serves the tiles left and right of it, a transposed row the tiles above and below), 80 and 120 out, against 18 per product of
// channels. With lanes = tiles instead the shuffles are as many, but 14x14 maps fill 4 lanes of 16 and 7x7 maps 2.
//
// At a stride of 2 a kernel of 4 (5, 6; 7, 8) is four kernels of 2 (3; 4) at stride 1: forward, one for every phase of the sources,
// summed as over channels (of 3 or 5 the second phase has a tap less, and no product at infinity: 49 of 64, 121 of 144 are left);
// backward, one for every phase of the results, which see the same window of sources, so that one transform serves all and results
// lie side by side on their way out (there of 3 or 5 the second phase has no product at 0: 49 of 64 are left; 128 to 128 channels
// at 56x56 by 3x3 1.00 ms by products of pairs, 0.80 so). F(3,2) multiplies 2.25 times less than the direct sum, F(4,3) 2.8 (k5) to
// 4 times (k6), F(3,4) 3.6 (k7) and 4 times (k8). The phases of 3 to 7 planes, as an image has, are channels of one slice, side by
// side in a vector (3 times less for k7): a 7x7 first layer with 64 channels from 224x224 1.06 -> 0.69 ms. Backward a kernel of 5
// or 6 takes F(2,3), 1.6 and 2.25 times less: a result at the corner sees one of the nine sources whose rounding it shares, and
// with F(4,3) erred by up to 52 u sum |w| |x|.
//
// A sequence of a dilation d of 16 or more is folded into rows of d positions, whose taps lie one below the other (wavenet's 128
// channels at a dilation of 512: 6.0 -> 4.5 ms).
//
// Chains of products longer than kLongestChain are cut and the parts added in order, slices (depth taps, phases) one by one: the
// order depends on the shape alone, so neither the blocks nor the threads change a bit.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_winograd.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/conv/conv_winograd.h"
#include "convoy/kernels/conv/winograd_pack-inl.h"
#include "convoy/kernels/conv/winograd_transform-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/pool/window_2x2-inl.h"
#include "hwy/highway.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/winograd_tiling.h"

#ifndef CONVOY_KERNELS_CONV_WINOGRAD_ONCE
#define CONVOY_KERNELS_CONV_WINOGRAD_ONCE
namespace convoy::kernels::winograd {

enum class Variant : uint8_t { kF2, kF3, kF4, kF5, kStride2 };

// The arrays of a call in either direction.
struct Arrays {
  const float* source;
  const float* packed;
  const float* bias;
  float* result;
  Epilogue<float> epilogue;
};

constexpr int64_t kLongestChain = 256;
constexpr int64_t kAheadFloats = 64 << 10;  // of a group's weight, asked for a group ahead

}  // namespace convoy::kernels::winograd
#endif  // CONVOY_KERNELS_CONV_WINOGRAD_ONCE

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
#if HWY_TARGET == HWY_SCALAR  // refused: has_vectors()
void WinogradPack(winograd::Variant, Direction, const ConvShape&, const float*, float*) {}
size_t WinogradPackedBytes(winograd::Variant, Direction, const ConvShape&) { return 0; }
size_t WinogradWorkspace(winograd::Variant, Direction, const ConvShape&, int) { return 0; }
void WinogradRun(winograd::Variant, Direction, const ConvShape&, const winograd::Arrays&, Workspace&) {}
int64_t WinogradLanes() { return 1; }
#else
namespace hn = hwy::HWY_NAMESPACE;
using tile::Floats;
using tile::Full;
using tile::Lanes;
using winograd::Arrays;
using winograd::Block;
using winograd::Problem;
using winograd::TiledAxis;
using winograd::Tiling;
namespace wt = winograd_transform;

// ---- sources ----

// Four floats each of the rows 0, 4, 8 ...
template <class D>
HWY_INLINE hn::Vec<D> LoadRows(D d, const float* const* rows, int64_t at) {
  if constexpr (hn::MaxLanes(D()) <= 4) {
    return hn::LoadU(d, rows[0] + at);
  } else {
    const hn::Half<D> half;
    const auto low = LoadRows(half, rows, at);
    return hn::Combine(d, LoadRows(half, rows + hn::Lanes(half), at), low);
  }
}

// The transpose of four rows of blocks of four floats: four vectors. store(i, vector) takes them.
template <class Store>
HWY_INLINE void TransposeBlocks(Floats a, Floats b, Floats e, Floats f, const Store& store) {
  const Full d;
  const hn::Repartition<double, Full> d64;
  const auto ab_low = hn::BitCast(d64, hn::InterleaveLower(d, a, b)), ab_high = hn::BitCast(d64, hn::InterleaveUpper(d, a, b)),
             ef_low = hn::BitCast(d64, hn::InterleaveLower(d, e, f)), ef_high = hn::BitCast(d64, hn::InterleaveUpper(d, e, f));
  store(0, hn::BitCast(d, hn::InterleaveLower(d64, ab_low, ef_low)));
  store(1, hn::BitCast(d, hn::InterleaveUpper(d64, ab_low, ef_low)));
  store(2, hn::BitCast(d, hn::InterleaveLower(d64, ab_high, ef_high)));
  store(3, hn::BitCast(d, hn::InterleaveUpper(d64, ab_high, ef_high)));
}

// The transpose of Lanes() rows of four floats.
template <class Store>
HWY_INLINE void TransposeFour(const float* from, int64_t stride, const Store& store) {
  const Full d;
  const int64_t step = 4 * stride;
  TransposeBlocks(tile::LoadBlocks(d, from, step), tile::LoadBlocks(d, from + stride, step),
                  tile::LoadBlocks(d, from + 2 * stride, step), tile::LoadBlocks(d, from + 3 * stride, step), store);
}

// `count` positions of `channels` planes to vectors of channels; nothing beyond them is read.
HWY_NOINLINE void TransposeRow(const float* from, int64_t stride, int64_t channels, int64_t count, float* to) {
  const Full d;
  const int64_t lanes = Lanes();
  if (channels == lanes && count >= 4) {
    for (int64_t i = 0;; i += 4) {
      if (i + 4 > count) {
        if (i == count) break;
        i = count - 4;  // some a second time
      }
      float* const four = to + i * lanes;
      TransposeFour(from + i, stride, [d, four, lanes](int64_t k, Floats v) HWY_ATTR { hn::StoreU(v, d, four + k * lanes); });
    }
    return;
  }
  if (count >= 4) {  // the last channel stands in for those that do not exist
    const float* rows[hn::MaxLanes(Full())];
    for (int64_t c = 0; c < lanes; ++c) rows[c] = from + std::min(c, channels - 1) * stride;
    const auto mask = hn::FirstN(d, static_cast<size_t>(channels));
    for (int64_t i = 0; i < count; i += 4) {
      const int64_t at = std::min(i, count - 4);
      float* const four = to + at * lanes;
      TransposeBlocks(LoadRows(d, rows, at), LoadRows(d, rows + 1, at), LoadRows(d, rows + 2, at), LoadRows(d, rows + 3, at),
                      [d, mask, four, lanes](int64_t k, Floats v)
                          HWY_ATTR { hn::StoreU(hn::IfThenElseZero(mask, v), d, four + k * lanes); });
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t c = 0; c < channels; ++c) to[i * lanes + c] = from[c * stride + i];
    for (int64_t c = channels; c < lanes; ++c) to[i * lanes + c] = 0;
  }
}

// `count` positions from (y, x) on of the phases [first, first + phases) of planes at a stride of 2, to vectors of phases. lines:
// for one row of each phase.
HWY_NOINLINE void InterleaveRow(const Problem& p, const float* from, int64_t plane, int64_t first, int64_t phases, int64_t y,
                                int64_t x, int64_t count, float* lines, float* to) {
  for (int64_t i = 0; i < phases; ++i) {
    const int64_t at = first + i, phase = at % p.interleaved, row = y + phase / p.w.step;
    const bool inside = row >= 0 && row < p.h.source;
    tile::CopyRow<2>(from + at / p.interleaved * plane + (inside ? row * p.w.source : 0), inside ? p.w.source : 0,
                     x + phase % p.w.step, 2, lines + i * count, count);
  }
  TransposeRow(lines, count, phases, count, to);
}

// Transforms one vector of channels (`part` counts them over slices) of a block: V of all its tiles. H, W: the points.
template <class H, class W>
HWY_ATTR void TransformSources(const Problem& p, const Tiling& t, const Block& block, int64_t part, const float* source,
                               float* rows, float* columns, float* v) {
  constexpr int64_t kPointsH = H::kPoints, kPointsW = W::kPoints;
  const int64_t source_plane = t.source_plane;
  const Full df;
  const int64_t lanes = Lanes();
  const int64_t blocks_per_slice = t.channel_blocks / p.slices(), slice = part / blocks_per_slice,
                channel = part % blocks_per_slice * lanes;
  const bool interleaved = p.interleaved > 1;
  const int64_t step_h = p.h.step, step_w = interleaved ? 1 : p.w.step, tap = slice / p.sliced_phases();
  const int64_t phase_h = slice / step_w % step_h, phase_w = slice % step_w;
  const int64_t channels = std::min(lanes, p.channels - channel);
  const int64_t plane = p.d.source * p.h.source * p.w.source;
  const int64_t dh = p.h.dilation, dw = p.w.dilation, ring = dh * kPointsH;

  const int64_t width = p.w.reach(block.width()) * step_w;                           // all phases side by side
  const int64_t left = block.group_begin * p.w.group_span() * p.w.step + p.w.first;  // input position of a row's first vector
  const int64_t chunk = std::max<int64_t>(winograd::kChunkTiles / dw, 1);
  float* const lines = rows + ring * width * lanes;

  int64_t current = -1, loaded = 0;  // the plane of tiles whose rows lie in the ring, and up to which row
  winograd::TilePlaces<float> to(v, block.counts(), part * lanes);
  for (int64_t row = block.row_begin(); row < block.row_end(); ++row) {
    const int64_t group_begin = block.begin(row), group_end = block.end(row);
    const int64_t h = row % p.h.tiles(), image_plane = row / p.h.tiles();
    const int64_t n = image_plane / p.d.size, depth = image_plane % p.d.size + p.d.first + tap * p.d.dilation;
    const float* from =
        source + (n * p.groups * p.planes() + (interleaved ? 0 : channel)) * plane + depth * p.h.source * p.w.source;
    const bool inside = depth >= 0 && depth < p.d.source;
    if (current != image_plane) loaded = p.h.group_origin(h);
    current = image_plane;
    const int64_t origin = p.h.origin(h), last = origin + dh * (kPointsH - 1);
    for (loaded = std::max(loaded, p.h.group_origin(h)); loaded <= last; ++loaded) {
      float* ring_row = rows + loaded % ring * width * lanes;
      if (interleaved && inside) {
        InterleaveRow(p, from, plane, channel, channels, loaded * step_h + p.h.first, left, width, lines, ring_row);
        continue;
      }
      const int64_t y = p.fold > 0 ? 0 : loaded * step_h + phase_h + p.h.first;
      const int64_t at = left + (p.fold > 0 ? loaded * p.fold + p.h.first : 0);
      const int64_t begin = std::clamp<int64_t>(-at, 0, width), end = std::clamp<int64_t>(p.w.source - at, begin, width);
      if (!inside || y < 0 || y >= p.h.source || begin == end) {
        std::memset(ring_row, 0, static_cast<size_t>(width * lanes) * sizeof(float));
        continue;
      }
      if (begin > 0) std::memset(ring_row, 0, static_cast<size_t>(begin * lanes) * sizeof(float));
      TransposeRow(from + y * p.w.source + at + begin, plane, channels, end - begin, ring_row + begin * lanes);
      if (end < width) std::memset(ring_row + end * lanes, 0, static_cast<size_t>((width - end) * lanes) * sizeof(float));
    }
    const float* taps[kPointsH];
    for (int64_t i = 0; i < kPointsH; ++i) taps[i] = rows + (origin + dh * i) % ring * width * lanes;

    for (int64_t g = group_begin; g < group_end; g += chunk) {
      const int64_t g_end = std::min(g + chunk, group_end), count = p.w.reach(g_end - g);
      const int64_t at = ((g - block.group_begin) * p.w.group_span() * step_w + phase_w) * lanes;
      // Along h, to columns[position][point].
      for (int64_t j = 0; j < count; ++j) {
        Floats x[kPointsH], y[kPointsH];
        HWY_UNROLL(8)
        for (int i = 0; i < kPointsH; ++i) x[i] = hn::LoadU(df, taps[i] + at + j * step_w * lanes);
        H::Input(x, y);
        HWY_UNROLL(8)
        for (int i = 0; i < kPointsH; ++i) hn::StoreU(y[i], df, columns + (j * kPointsH + i) * lanes);
      }
      // Along w.
      const int64_t step = dw * kPointsH * lanes, group_step = p.w.group_span() * kPointsH * lanes;
      for (int64_t i = 0; i < kPointsH; ++i) {
        const auto& row_to = to.at[i + 1 == kPointsH ? 1 : 0];
        for (int64_t f = 0; f < dw; ++f) {
          const float* column = columns + (f * kPointsH + i) * lanes;
          const int64_t place = i * kPointsW * source_plane + ((g - group_begin) * dw + f) * lanes;
          float *point = row_to[0] + place, *infinity = row_to[1] + place + (kPointsW - 1) * source_plane;
          const int64_t past = f < block.tiles(g_end - 1) ? g_end : g_end - 1;
          for (int64_t group = g; group < past; ++group) {
            Floats x[kPointsW], y[kPointsW];
            HWY_UNROLL(8)
            for (int k = 0; k < kPointsW; ++k) x[k] = hn::LoadU(df, column + k * step);
            W::Input(x, y);
            HWY_UNROLL(8)
            for (int k = 0; k + 1 < kPointsW; ++k) hn::StoreU(y[k], df, point + k * source_plane);
            hn::StoreU(y[kPointsW - 1], df, infinity);
            column += group_step;
            point += dw * lanes;
            infinity += dw * lanes;
          }
        }
      }
    }
    to.move(block.row_counts(row), lanes);
  }
}

// ---- products ----

struct ProductWork {
  const float* v;   // [depth / lanes][tiles][lane]
  int64_t v_block;  // floats between vectors of channels
  const float* u;   // [depth][vectors][lane]
  int64_t depth;
  float* m;  // [vector][tile][point][lane]
  int64_t m_vector, m_tile;
  bool add;
  const float* next;  // the weights to be read next, on their way to L2 meanwhile, by steps of so many floats
  int64_t next_step;
};

// Products of kP tiles and kV vectors of results at one point; kHalf: of the second vector's lower half.
template <int kP, int kV, bool kHalf = false>
HWY_ATTR void ProductTile(const ProductWork& work) {
  const Full d;
  const tile::HalfTag narrow;
  const int64_t lanes = Lanes();
  constexpr int kWhole = kHalf ? kV - 1 : kV;
  Floats sum[kP][kWhole];
  [[maybe_unused]] tile::Half half[kP];
  HWY_UNROLL(16)
  for (int p = 0; p < kP; ++p) {
    HWY_UNROLL(2)
    for (int v = 0; v < kWhole; ++v) sum[p][v] = hn::Zero(d);
    if constexpr (kHalf) half[p] = hn::Zero(narrow);
  }
  const float* HWY_RESTRICT u = work.u;
  const float* HWY_RESTRICT block = work.v;
  const float* next = work.next;
  const int64_t next_step = work.next_step;
  float* const to = work.m;
  const int64_t vector = work.m_vector, tile = work.m_tile;
  for (int64_t c = 0; c < work.depth; c += lanes, block += work.v_block) {
    const int64_t count = std::min(lanes, work.depth - c);
    for (int64_t i = 0; i < count; ++i, u += kV * lanes) {
      Floats first = hn::LoadU(d, u), second = first;
      tile::Pin(first);
      if constexpr (kWhole > 1) {
        second = hn::LoadU(d, u + lanes);
        tile::Pin(second);
      }
      [[maybe_unused]] tile::Half last;
      if constexpr (kHalf) {
        last = hn::LoadU(narrow, u + lanes);
        tile::Pin(last);
      }
      __builtin_prefetch(next, 0, 2);
      if constexpr (kV * hn::MaxLanes(Full()) > 16)
        __builtin_prefetch(next + next_step / 2, 0, 2);  // a step of two lines: all are needed
      next += next_step;
      HWY_UNROLL(16)
      for (int p = 0; p < kP; ++p) {
        Floats value = hn::Set(d, block[p * lanes + i]);
        if constexpr (kV > 1) tile::Pin(value);
        Accumulate(value, first, sum[p][0]);
        if constexpr (kWhole > 1) Accumulate(value, second, sum[p][1]);
        if constexpr (kHalf) Accumulate(tile::LowerHalf(value), last, half[p]);
      }
    }
  }
  if (work.add) {
    HWY_UNROLL(16)
    for (int p = 0; p < kP; ++p) {
      HWY_UNROLL(2)
      for (int v = 0; v < kWhole; ++v) sum[p][v] = hn::Add(hn::LoadU(d, to + v * vector + p * tile), sum[p][v]);
      if constexpr (kHalf) half[p] = hn::Add(hn::LoadU(narrow, to + vector + p * tile), half[p]);
    }
  }
  HWY_UNROLL(16)
  for (int p = 0; p < kP; ++p) {
    HWY_UNROLL(2)
    for (int v = 0; v < kWhole; ++v) hn::StoreU(sum[p][v], d, to + v * vector + p * tile);
    if constexpr (kHalf) hn::StoreU(half[p], narrow, to + vector + p * tile);
  }
}

template <int kV, int... kP>
HWY_INLINE void ProductTiles(ProductWork work, int64_t tiles, bool one_and_a_half, std::integer_sequence<int, kP...>) {
  using Tile = void (*)(const ProductWork&);
  static constexpr std::array<Tile, sizeof...(kP)> kTiles{ProductTile<kP + 1, kV>...};
  const int64_t parts = (tiles + tile::kPixels - 1) / tile::kPixels, lanes = Lanes();
  work.next_step = (kV * lanes + parts - 1) / parts;
  for (int64_t i = 0, at = 0, count = 0; at < tiles; ++i, at += count) {  // of about equal size, or those that have a form of 1.5
    count = one_and_a_half ? tile::HalfTilePixels(tiles - at) : tiles * (i + 1) / parts - at;
    Tile run = kTiles[static_cast<size_t>(count - 1)];
    if constexpr (tile::kHalves && kV == 2) {
      if (one_and_a_half && count == tile::kPixels) run = ProductTile<tile::kPixels, 2, true>;
      if (one_and_a_half && count == tile::kHalfPixels) run = ProductTile<tile::kHalfPixels, 2, true>;
    }
    run(work);
    work.v += count * lanes;
    work.m += count * work.m_tile;
    work.next += work.next_step * work.depth;
  }
}

// One tile's products at a point, of all slices, in four chains side by side: they round half as much as one.
template <int kV>
HWY_ATTR void CornerProduct(const Problem& p, const float* v, int64_t v_block, const float* u, float* m, int64_t m_vector) {
  constexpr int kChains = 4;
  const Full d;
  const int64_t lanes = Lanes();
  Floats sum[kChains][kV];
  HWY_UNROLL(4)
  for (int k = 0; k < kChains; ++k) {
    HWY_UNROLL(2)
    for (int j = 0; j < kV; ++j) sum[k][j] = hn::Zero(d);
  }
  for (int64_t slice = 0; slice < p.slices(); ++slice) {
    for (int64_t channel = 0; channel < p.channels; channel += kChains) {
      const float* const four = v + channel / lanes * v_block + channel % lanes;
      const int64_t count = p.channels - channel;
      HWY_UNROLL(4)
      for (int k = 0; k < kChains; ++k) {
        if (k > 0 && k >= count) continue;
        HWY_UNROLL(2)
        for (int j = 0; j < kV; ++j) Accumulate(hn::Set(d, four[k]), hn::LoadU(d, u + (k * kV + j) * lanes), sum[k][j]);
      }
      u += std::min<int64_t>(count, kChains) * kV * lanes;
    }
    v += (p.channels + lanes - 1) / lanes * v_block;
  }
  HWY_UNROLL(2)
  for (int j = 0; j < kV; ++j) {
    hn::StoreU(hn::Add(hn::Add(sum[0][j], sum[1][j]), hn::Add(sum[2][j], sum[3][j])), d, m + j * m_vector);
  }
}

// The corners' products at a point once more, where they take most of their rounding from it: a result that lies first in its tile
// from the first three points of an axis, one that lies last from the last three. There no tile is incomplete.
HWY_INLINE void MultiplyCorners(const Problem& p, const Block& block, int64_t point, int64_t vectors, const float* u,
                                const float* v, float* m, int64_t m_vector) {
  const int64_t lanes = Lanes(), width = block.width(), step = p.h.tiles() * width, m_tile = p.points() * lanes;
  const bool below = point / p.w.points >= 3, right = point % p.w.points >= 3;
  if (!(below ? p.h.last_outermost : p.h.first_outermost) || !(right ? p.w.last_outermost : p.w.first_outermost)) return;
  if (right ? block.group_end < p.w.groups() : block.group_begin > 0) return;
  const int64_t corner = (below ? step - width : 0) + (right ? width - 1 : 0);  // of the first plane
  const int64_t past = shape::ceil_div(std::max<int64_t>(block.first - corner, 0), step);
  for (int64_t at = corner + past * step; at < block.last; at += step) {
    const int64_t tile = at - block.first;
    (vectors == 2 ? CornerProduct<2> : CornerProduct<1>)(p, v + tile * lanes, block.tiles() * lanes, u, m + tile * m_tile,
                                                         m_vector);
  }
}

// The products of vectors [used, vectors) at a point where their weights are zeros.
HWY_INLINE void ClearProducts(const ProductWork& work, int64_t used, int64_t vectors, int64_t tiles) {
  const Full d;
  for (int64_t v = used; v < vectors; ++v) {
    for (int64_t tile = 0; tile < tiles; ++tile) hn::StoreU(hn::Zero(d), d, work.m + v * work.m_vector + tile * work.m_tile);
  }
}

// M of a block for the vectors of results [begin, end), begin even. u: packed weight of the group.
HWY_INLINE void Multiply(const Problem& p, const Tiling& t, const Block& block, int64_t begin, int64_t end, const float* u,
                         const float* v, float* m) {
  const int64_t all_tiles = block.tiles();
  const winograd::TileCounts counts = block.counts();
  const int64_t lanes = t.lanes, depth = p.depth(), points = p.points(), blocks_per_slice = t.channel_blocks / p.slices();
  // A thread's next task is the next group: a point's products are too short for the next point's weights to come from memory
  // meanwhile (512 channels in groups of 16 on 14x14, in ResNeXt-50: 150 -> 120 us).
  const bool group_ahead = p.groups > 1 && p.group_floats(lanes) <= winograd::kAheadFloats;
  for (int64_t point = 0; point < points; ++point) {
    const int64_t tiles = counts.at_point(point, p.h.points, p.w.points);
    if (tiles == 0) continue;
    for (int64_t vector = begin; vector < end; vector += 2) {
      const int64_t vectors = std::min<int64_t>(2, end - vector);
      const float* weights = u + (vector * points + point * vectors) * depth * lanes;
      const bool last_pair = vector + 2 >= end;
      const int64_t next_vector = last_pair ? begin : vector + 2, next_vectors = std::min<int64_t>(2, end - next_vector);
      const float* after = u + (next_vector * points + (last_pair ? point + 1 : point) * next_vectors) * depth * lanes;
      ProductWork work{};
      work.v_block = tiles * lanes;
      work.m_tile = points * lanes;
      work.m_vector = all_tiles * work.m_tile;
      work.m = m + (vector - begin) * work.m_vector + point * lanes;
      const int64_t used = p.yielding(vector, vectors, point);
      if (used < vectors) ClearProducts(work, used, vectors, tiles);
      if (used == 0) continue;
      for (int64_t slice = 0, following = 0; slice < p.slices(); slice = following) {
        do {
          ++following;
        } while (following < p.slices() && !p.multiplies(following, point));
        // Multiples of the widest vector, so that the chains are the same for every instruction set.
        const int64_t cuts = (p.channels + winograd::kLongestChain - 1) / winograd::kLongestChain;
        const int64_t cut = ((p.channels + cuts - 1) / cuts + 15) / 16 * 16;
        for (int64_t channel = 0; channel < p.channels; channel += cut) {
          work.v = v + point * t.source_plane + (slice * blocks_per_slice * lanes + channel) * tiles;
          work.depth = std::min(cut, p.channels - channel);
          work.u = weights + (slice * p.channels + channel) * used * lanes;
          work.add = slice > 0 || channel > 0;
          work.next = group_ahead                  ? work.u + p.group_floats(lanes)
                      : channel + cut < p.channels ? work.u + work.depth * used * lanes
                      : following < p.slices()     ? weights + following * p.channels * used * lanes
                                                   : after;
          if (used == 2) {
            ProductTiles<2>(work, tiles, p.phases() == 1 && tile::IsOneAndAHalf(p.results),
                            std::make_integer_sequence<int, tile::kPixels>());
          } else {
            ProductTiles<1>(work, tiles, false, std::make_integer_sequence<int, tile::kPixels>());
          }
        }
      }
      if (p.corners() > 0) {
        const int64_t m_vector = all_tiles * points * lanes;
        MultiplyCorners(p, block, point, vectors, weights, v + point * t.source_plane,
                        m + (vector - begin) * m_vector + point * lanes, m_vector);
      }
    }
  }
}

// ---- results ----

// Stores a row of positions of Lanes() channels, finished but for the residual and what comes after it.
HWY_INLINE void StoreRow(const float* row, int64_t positions, int64_t channels, const conv_tile::Finish& finish, float* result,
                         int64_t plane) {
  const Full d;
  const int64_t lanes = Lanes();
  if (finish.residual != nullptr || channels < std::max<int64_t>(lanes, 4)) {
    tile::StoreChannels<1>(row, positions, channels, finish, result, plane);
    return;
  }
  for (int64_t p = 0; p < positions; p += lanes) {
    const auto mask = hn::FirstN(d, static_cast<size_t>(std::min(positions, lanes)));
    if (p + lanes > positions && p > 0) p = positions - lanes;  // some a second time
    const bool whole = p + lanes <= positions;
    for (int64_t c = 0; c < lanes; c += 4) {
      float* const to = result + c * plane + p;
      TransposeFour(row + p * lanes + c, lanes, [&](int64_t k, Floats v) HWY_ATTR {
        if (whole) {
          hn::StoreU(v, d, to + k * plane);
        } else {
          StoreMasked(v, mask, d, to + k * plane);
        }
      });
    }
  }
}

// What happens to a result at once.
struct ResultFinish {
  Floats bias, low, high;
  bool clamp;

  HWY_INLINE Floats operator()(Floats v) const {
    v = hn::Add(v, bias);
    return clamp ? tile::Clamped(v, low, high) : v;
  }
};

// Where the products of the next tile lie, as its transformed sources do.
using Products = winograd::TilePlaces<const float>;

// Transforms the products of a row's tiles back, all phases of them: results in rows of `width` positions. m: of the first tile and
// phase; moves on behind the last tile.
template <class H, class W>
HWY_ATTR void TransformTiles(const Problem& p, const Block& block, int64_t row, Products& m, int64_t m_phase, int64_t width,
                             const ResultFinish& finish, float* rows) {
  constexpr int kPointsH = H::kScheme.points, kPointsW = W::kScheme.points;
  constexpr int kOutputsH = H::kScheme.outputs, kOutputsW = W::kScheme.outputs;
  const Full df;
  const ResultFinish finished = finish;
  const int64_t lanes = Lanes(), phases = p.phases(), phases_w = p.w.phases;
  const int64_t row_step = p.h.phases * width * lanes, column_step = p.w.dilation * phases_w * lanes;
  int64_t at = 0;
  for (int64_t group = block.begin(row); group < block.end(row); ++group, rows += p.w.group_span() * phases_w * lanes) {
    const int64_t tiles = block.tiles(group);
    for (int64_t f = 0; f < tiles; ++f, at += kPointsH * kPointsW * lanes) {
      for (int64_t phase = 0; phase < phases; ++phase) {
        const int64_t place = at + phase * m_phase;
        const float *const finite = m.at[0][0] + place, *const right = m.at[0][1] + place, *const low = m.at[1][0] + place,
                           *const corner = m.at[1][1] + place;
        Floats half[kOutputsH][kPointsW];
        HWY_UNROLL(8)
        for (int k = 0; k < kPointsW; ++k) {
          Floats x[kPointsH], y[kOutputsH];
          HWY_UNROLL(8)
          for (int i = 0; i < kPointsH; ++i) {
            const float* const points = i + 1 < kPointsH ? (k + 1 < kPointsW ? finite : right) : k + 1 < kPointsW ? low : corner;
            x[i] = hn::LoadU(df, points + (i * kPointsW + k) * lanes);
          }
          H::Output(x, y);
          HWY_UNROLL(8)
          for (int i = 0; i < kOutputsH; ++i) half[i][k] = y[i];
        }
        float* to = rows + (phase / phases_w * width + f * phases_w + phase % phases_w) * lanes;
        HWY_UNROLL(8)
        for (int i = 0; i < kOutputsH; ++i, to += row_step) {
          Floats y[kOutputsW];
          W::Output(half[i], y);
          HWY_UNROLL(8)
          for (int k = 0; k < kOutputsW; ++k) hn::StoreU(finished(y[k]), df, to + k * column_step);
        }
      }
    }
  }
  m.move(block.row_counts(row), kPointsH * kPointsW * lanes);
}

// Pools pairs of `rows` rows of `width` positions, in place: half as many rows of half as many positions.
HWY_ATTR void PoolRows(Pool2x2 pool, int64_t rows, int64_t width, float* values) {
  const Full d;
  const int64_t lanes = Lanes();
  float* to = values;
  for (int64_t i = 0; i < rows; i += 2) {
    const float* from = values + i * width * lanes;
    const float* const end = from + width * lanes;
    for (; from < end; from += 2 * lanes, to += lanes) {
      const Floats a = hn::LoadU(d, from), b = hn::LoadU(d, from + lanes), e = hn::LoadU(d, from + width * lanes),
                   f = hn::LoadU(d, from + (width + 1) * lanes);
      hn::StoreU(pool == Pool2x2::kMax ? Largest2x2(a, b, e, f) : Average2x2(a, b, e, f), d, to);
    }
  }
}

using TilesTransform = void (*)(const Problem&, const Block&, int64_t, Products&, int64_t, int64_t, const ResultFinish&, float*);

// Transforms the products of one vector of results back, all phases of them, and stores them. channel: the first result's, over all
// groups.
HWY_ATTR void TransformResults(const Problem& p, const Block& block, TilesTransform transform, const float* m, int64_t channel,
                               int64_t channels, const Arrays& io, const SplitEpilogue& epilogue, float* rows) {
  const Full df;
  const int64_t lanes = Lanes(), dh = p.h.dilation, span = p.w.group_span();
  const int64_t phases_h = p.h.phases, phases_w = p.w.phases, m_phase = block.tiles() * p.points() * lanes;
  const int64_t plane = p.d.size * p.h.result * p.w.result;
  const auto column_of = [&p, span](int64_t group) { return group * span * p.w.phases + p.w.base; };
  int64_t blind = p.fold;  // columns that see padding only, or may: a tile's rounding must not reach them
  for (int64_t j = std::max<int64_t>(column_of(block.group_begin), 0);
       p.fold == 0 && j < std::min(column_of(block.group_end), p.w.result); ++j) {
    blind += p.w.sees_input(j) ? 0 : 1;
  }

  // Bias and clamp are done here, unless a residual comes between them.
  conv_tile::Finish finish(epilogue, io.result);
  ResultFinish finished{hn::Zero(df), hn::Set(df, finish.low), hn::Set(df, finish.high), false};
  if (finish.residual != nullptr) {
    if (io.bias != nullptr) finish.bias = io.bias + channel;
  } else {
    if (io.bias != nullptr) finished.bias = LoadMasked(hn::FirstN(df, static_cast<size_t>(channels)), df, io.bias + channel);
    finished.clamp = finish.clamp;
    finish.clamp = false;
  }

  Products products(m, {}, 0);
  for (int64_t row = block.row_begin(); row < block.row_end(); ++row) {
    const int64_t group_begin = block.begin(row), group_end = block.end(row);
    const int64_t width = (group_end - group_begin) * span * phases_w, left = column_of(group_begin);
    const int64_t skipped = std::max<int64_t>(-left, 0);
    transform(p, block, row, products, m_phase, width, finished, rows);
    const int64_t origin = p.h.origin(row % p.h.tiles()), image_plane = row / p.h.tiles();
    const int64_t n = image_plane / p.d.size, depth = image_plane % p.d.size, first = n * p.groups * p.results + channel;
    float* result = io.result + first * plane + depth * p.h.result * p.w.result + left + skipped;
    for (int64_t i = 0; io.result != nullptr && i < p.h.outputs * phases_h; ++i) {
      const int64_t h = (origin + i / phases_h * dh) * phases_h + i % phases_h + p.h.base;
      if (h < 0 || (p.fold == 0 && h >= p.h.result)) continue;
      const int64_t folded = h * p.fold, columns = std::min(width, p.w.result - left - folded);
      if (columns <= skipped) break;
      float* const from = rows + i * width * lanes;
      float* const to = result + (p.fold > 0 ? folded : h * p.w.result);
      const bool all = p.fold == 0 && !p.h.sees_input(h);
      if (blind > 0 || all) {
        for (int64_t j = skipped; j < columns; ++j) {
          if (all || !(p.fold > 0 ? p.line : p.w).sees_input(folded + left + j))
            hn::StoreU(finished(hn::Zero(df)), df, from + j * lanes);
        }
      }
      StoreRow(from + skipped * lanes, columns - skipped, channels, finish, to, plane);
      if (!epilogue.later) continue;
      for (int64_t c = 0; c < channels; ++c) epilogue.finish(to + c * plane, columns - skipped);
    }
    if (io.epilogue.pool == Pool2x2::kNone) continue;
    const int64_t height = p.h.result / 2, length = p.w.result / 2;
    PoolRows(io.epilogue.pool, p.h.outputs, width, rows);
    float* const pooled = io.epilogue.pooled + (first * p.d.size + depth) * height * length + left / 2;
    for (int64_t i = 0; i < p.h.outputs / 2 && origin / 2 + i < height; ++i) {
      StoreRow(rows + i * width / 2 * lanes, std::min(width, p.w.result - left) / 2, channels, finish,
               pooled + (origin / 2 + i) * length, p.d.size * height * length);
    }
  }
}

// ---- the whole ----

struct Transforms {
  const winograd::Scheme* h;
  const winograd::Scheme* w;
  void (*sources)(const Problem&, const Tiling&, const Block&, int64_t, const float*, float*, float*, float*);
  TilesTransform tiles;
  void (*pack)(const Problem&, const float*, float*);
};

template <class H, class W>
constexpr Transforms MakeTransforms() {
  return {&H::kScheme, &W::kScheme, TransformSources<typename H::Points, typename W::Points>, TransformTiles<H, W>,
          winograd_pack::Pack<H, W>};
}

HWY_INLINE Transforms ChooseTransforms(winograd::Variant variant, Direction direction, const ConvShape& s) {
  const bool fold = winograd::folds(s), along_h = fold || s.axes[1].kernel_size > 1, along_w = !fold && s.axes[2].kernel_size > 1;
  switch (variant) {
    case winograd::Variant::kF2:
      return MakeTransforms<wt::F23, wt::F23>();
    case winograd::Variant::kF3:
      return !along_h   ? MakeTransforms<wt::None, wt::F32>()
             : !along_w ? MakeTransforms<wt::F32, wt::None>()
                        : MakeTransforms<wt::F32, wt::F32>();
    case winograd::Variant::kF4:
      return !along_h   ? MakeTransforms<wt::None, wt::F43>()
             : !along_w ? MakeTransforms<wt::F43, wt::None>()
                        : MakeTransforms<wt::F43, wt::F43>();
    case winograd::Variant::kStride2:
      if (s.axes[2].kernel_size <= 4) {
        return along_h ? MakeTransforms<wt::F32, wt::F32>() : MakeTransforms<wt::None, wt::F32>();
      }
      if (s.axes[2].kernel_size > 6) return MakeTransforms<wt::F34, wt::F34>();
      if (direction == Direction::kGradInput) {
        return along_h ? MakeTransforms<wt::F23, wt::F23>() : MakeTransforms<wt::None, wt::F23>();
      }
      return along_h ? MakeTransforms<wt::F43, wt::F43>() : MakeTransforms<wt::None, wt::F43>();
    case winograd::Variant::kF5:
      break;
  }
  return !along_h   ? MakeTransforms<wt::None, wt::F25>()
         : !along_w ? MakeTransforms<wt::F25, wt::None>()
                    : MakeTransforms<wt::F25, wt::F25>();
}

HWY_ATTR void WinogradPack(winograd::Variant variant, Direction direction, const ConvShape& s, const float* weight, float* packed) {
  const Transforms transforms = ChooseTransforms(variant, direction, s);
  transforms.pack(winograd::make_problem(s, direction, *transforms.h, *transforms.w), weight, packed);
}

HWY_ATTR size_t WinogradPackedBytes(winograd::Variant variant, Direction direction, const ConvShape& s) {
  const Transforms transforms = ChooseTransforms(variant, direction, s);
  const Problem p = winograd::make_problem(s, direction, *transforms.h, *transforms.w);
  return static_cast<size_t>(p.groups * p.group_floats(Lanes())) * sizeof(float);
}

HWY_ATTR size_t WinogradWorkspace(winograd::Variant variant, Direction direction, const ConvShape& s, int threads) {
  const Transforms transforms = ChooseTransforms(variant, direction, s);
  const Problem p = winograd::make_problem(s, direction, *transforms.h, *transforms.w);
  const Tiling t = winograd::make_tiling(p, Lanes(), threads);
  const auto bytes = [](int64_t floats) { return padded_bytes(static_cast<size_t>(floats) * sizeof(float)); };
  return bytes((t.source_floats(p) + t.product_floats(p) + t.row_floats + t.column_floats + t.result_floats) * threads);
}

HWY_ATTR void WinogradRun(winograd::Variant variant, Direction direction, const ConvShape& s, const Arrays& io,
                          Workspace& workspace) {
  const Transforms transforms = ChooseTransforms(variant, direction, s);
  const Problem p = winograd::make_problem(s, direction, *transforms.h, *transforms.w);
  const int threads = num_threads();
  const Tiling t = winograd::make_tiling(p, Lanes(), threads);
  const SplitEpilogue epilogue(io.epilogue);
  assert(io.epilogue.pool == Pool2x2::kNone || (epilogue.residual == nullptr && !epilogue.later));
  if (p.rows() == 0 || p.w.size == 0 || p.results == 0) return;

  const int64_t source_floats = t.source_floats(p), product_floats = t.product_floats(p);
  const int64_t own_floats = source_floats + product_floats + t.row_floats + t.column_floats + t.result_floats;
  float* const own = workspace.take<float>(own_floats * threads);

  const int64_t vectors = p.vectors(t.lanes), unit = p.unit(), units = (vectors + unit - 1) / unit;
  const int64_t source_group = p.planes() * p.d.source * p.h.source * p.w.source;
  parallel_for(p.groups * t.blocks() * t.deals, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t deal = task % t.deals, index = task / t.deals % t.blocks(), group = task / t.deals / t.blocks();
    const Block block = t.block(p, index);
    const int64_t tiles = block.tiles();
    float* const v = own + thread * own_floats;
    float* const products = v + source_floats;
    float* const rows = products + product_floats;
    float* const columns = rows + t.row_floats;
    for (int64_t part = 0; part < t.channel_blocks; ++part) {
      transforms.sources(p, t, block, part, io.source + group * source_group, rows, columns, v);
    }
    const float* const packed = io.packed + group * p.group_floats(Lanes());
    const int64_t last = std::min(units * (deal + 1) / t.deals * unit, vectors);
    for (int64_t begin = units * deal / t.deals * unit; begin < last; begin += t.group) {
      const int64_t end = std::min(begin + t.group, last);
      Multiply(p, t, block, begin, end, packed, v, products);
      for (int64_t vector = begin; vector < end; vector += p.phases()) {
        const int64_t channel = vector / p.phases() * t.lanes, channels = std::min(t.lanes, p.results - channel);
        TransformResults(p, block, transforms.tiles, products + (vector - begin) * tiles * p.points() * t.lanes,
                         group * p.results + channel, channels, io, epilogue, columns + t.column_floats);
      }
    }
  });
}

HWY_ATTR int64_t WinogradLanes() { return Lanes(); }
#endif

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(WinogradPack);
CONVOY_EXPORT(WinogradPackedBytes);
CONVOY_EXPORT(WinogradWorkspace);
CONVOY_EXPORT(WinogradRun);
CONVOY_EXPORT(WinogradLanes);

namespace {

using winograd::Variant;

const winograd::Scheme& scheme(Variant variant, Direction direction, int64_t kernel) {
  switch (variant) {
    case Variant::kStride2:
      if (kernel > 6) return winograd::kF34;
      return kernel <= 4 ? winograd::kF32 : direction == Direction::kGradInput ? winograd::kF23 : winograd::kF43;
    case Variant::kF2:
      return winograd::kF23;
    case Variant::kF3:
      return winograd::kF32;
    case Variant::kF4:
      return winograd::kF43;
    case Variant::kF5:
      break;
  }
  return winograd::kF25;
}

winograd::Problem problem(Variant variant, Direction direction, const ConvShape& s) {
  const auto along = [&](size_t a) -> const winograd::Scheme& {
    if (winograd::folds(s)) a = 3 - a;  // the line's taps lie along the rows
    return s.axes[a].kernel_size > 1 ? scheme(variant, direction, s.axes[a].kernel_size) : winograd::kNone;
  };
  return winograd::make_problem(s, direction, along(1), along(2));
}

const char* refuse(Variant variant, Direction direction, const ConvShape& s) {
  if (!has_vectors()) return "needs vectors";
  const int64_t taps = variant == Variant::kF5 ? 5 : variant == Variant::kF3 ? 2 : 3;
  const int64_t h = s.axes[1].kernel_size, w = s.axes[2].kernel_size;
  for (size_t a = 0; a < 3 && variant != Variant::kStride2; ++a) {
    if (s.axes[a].stride != 1) return "needs stride 1";
  }
  if (variant == Variant::kStride2) {
    const bool forward = direction == Direction::kForward;
    const auto two = [](const shape::Axis& axis) { return axis.stride == 2 && axis.dilation == 1; };
    if (w < 3 || w > (forward ? 8 : 6) || !two(s.axes[2]))
      return forward ? "needs a kernel of 3 to 8 at a stride of 2" : "needs a kernel of 3 to 6 at a stride of 2";
    if ((h != w || !two(s.axes[1])) && (h != 1 || s.axes[1].stride != 1 || w > 6)) {
      return "needs a square kernel, or one row of up to 6";
    }
    if (s.axes[0].stride != 1) return "needs stride 1 in depth";
  } else if (variant == Variant::kF3) {
    if ((h != 1 && h != taps) || (w != 1 && w != taps) || h * w == 1) return "needs a kernel of 2x2, 1x2 or 2x1";
  } else if (variant == Variant::kF5) {
    if ((h != 1 && h != taps) || (w != 1 && w != taps) || h * w == 1) return "needs a kernel of 5x5, 1x5 or 5x1";
  } else if (variant == Variant::kF4) {
    if ((h != 1 && h != taps) || (w != 1 && w != taps) || h * w == 1) return "needs a kernel of 3x3, 1x3 or 3x1";
  } else if (h != taps || w != taps) {
    return "needs a 3x3 kernel";
  }
  if (s.groups > 1 && (s.in_channels_per_group() < 16 || s.out_channels_per_group() < 16)) {
    return "needs 16 channels per group";
  }
  if (!winograd::folds(s) && (s.axes[1].dilation > winograd::kMostDilation || s.axes[2].dilation > winograd::kMostDilation))
    return "needs a dilation of at most 8, for the rows between to stay in cache (in a sequence 16 and more, too)";
  const winograd::Problem p = problem(variant, direction, s);
  // Behind rectified inputs few terms may happen to be small beside those of the tile that a result does not see. Inside of maps
  // F(4,3) reached E = 34 with 8 under a tap, 20 with 16 and 19 with 24, F(2,5) and F(3,2) 26 and 18 with 8; F(2,3) has 6 there,
  // F(3,2) over phases of the sources 14, and of 7x7 the phases are terms, too (of one or two planes: 26). Over phases of the
  // results corners see one tap or two: 45 with 16, 18 with 32; of 3x3 a quarter of all results sees one: 23 with 48, 20 with 64.
  const bool strided = variant == Variant::kStride2, phased = strided && w > 6;
  const bool spread = strided && direction == Direction::kGradInput && w < 6;
  const bool four = p.h.outputs == winograd::kF43.outputs || p.w.outputs == winograd::kF43.outputs;
  const int64_t least = phased                                               ? 3
                        : spread                                             ? (w == 3 ? 96 : 48)
                        : four                                               ? 32
                        : variant == Variant::kF3 || variant == Variant::kF5 ? 16
                                                                             : 8;
  if (p.terms() < least)
    return "needs 8 channels for rounding errors to average out (F(4,3) 32; F(2,5), F(3,2) 16; input gradients at a stride of 2 "
           "48, of 3x3 96)";
  if (!p.accurate()) return "needs results at the ends that see two taps of an axis, or fit its tiles";
  // E of corners: 8 channels under one tap 478, 8 under 2x2 31, 3 under 7x7 behind more padding than "same" 160.
  const bool short_sums = variant == Variant::kF3 || (!strided && p.sees_one_tap());
  if (p.fewest_terms() < (phased ? 48 : short_sums ? 32 : 0))
    return "needs 32 terms in every sum (7x7 and 8x8 at a stride of 2: 48), for rounding errors to average out";
  return nullptr;
}

// Whole windows in every tile, and no result that sees padding only, which would be exact alone.
bool pools(Variant variant, const ConvShape& s) {
  const winograd::Problem p = problem(variant, Direction::kForward, s);
  const auto fits = [](const shape::Axis& axis, const winograd::TiledAxis& tiled) {
    return tiled.outputs % 2 == 0 && tiled.base == 0 && axis.dilation == 1 && axis.pad_begin < axis.kernel_size &&
           axis.pad_end < axis.kernel_size;
  };
  return p.fold == 0 && fits(s.axes[1], p.h) && fits(s.axes[2], p.w);
}

// Products at 90 % of the peak, or the weights' way from the outer cache, whichever takes longer, plus transforms by vectors of
// channels.
double seconds(Variant variant, Direction direction, const ConvShape& s, const Machine& m) {
  const winograd::Problem p = problem(variant, direction, s);
  const auto lanes = CONVOY_DISPATCH(WinogradLanes)();
  const auto up = [lanes](int64_t n) { return static_cast<double>((n + lanes - 1) / lanes); };
  const auto results = static_cast<double>(p.vectors(lanes));
  const double width = static_cast<double>(lanes), groups = static_cast<double>(p.groups);
  const double tiles = static_cast<double>(p.rows()) * static_cast<double>(p.w.tiles());
  const double points = static_cast<double>(p.points());
  const double sums = p.multiplied() * static_cast<double>(p.channels);  // products of a tile and result
  // A vector of weights takes about as long for one tile as for five; phases of the sources lie apart, and at a stride few tiles
  // are left for the threads.
  const bool strided = p.sliced_phases() > 1;
  // A quarter of a corner's products once more, alone: a third as fast.
  const double corners = static_cast<double>(p.batch * p.d.size * p.corners()) * 0.3;
  const double multiplied_tiles = strided ? tiles + 5.0 : std::max(tiles * p.products_left(), 5.0) + corners;
  const double products = groups * multiplied_tiles * sums * results * width;
  const double weight_bytes = groups * sums * results * width * sizeof(float);
  const double streamed = std::max(weight_bytes - 512.0 * 1024.0, 0.0);  // the rest stays in L2
  // A weight of a few MB is taken to wait in the outer cache: 256 -> 128 channels on 8x8 by F(4,3) take 0.05 ms, by F(2,3) 0.09; if
  // it comes from memory 0.14 and 0.10.
  constexpr double kOuterCache = 8e6, kFaster = 1.6;
  // From memory, which all threads share, it comes at two thirds of that.
  const double streaming = m.weights_far ? 1.5 * weight_bytes / m.bytes_per_second
                                         : (streamed - std::min(streamed, kOuterCache) * (1 - 1 / kFaster)) / m.bytes_per_second;
  // Every block of tiles reads a weight that no cache keeps: of many channels and phases it holds a few tiles (960 to 30 channels
  // by 5x5 at a stride of 2 from 56x56 8.5 ms, directly 6.2).
  const double tile_bytes = points * up(p.channels) * static_cast<double>(p.slices()) * width * sizeof(float);
  const double passes = weight_bytes > groups * winograd::kKeptWeight ? tiles * tile_bytes / winograd::kStreamedBlock : 1;
  const double repeated = passes * weight_bytes / (0.75 * m.bytes_per_second);
  // Each group begins anew, with weights that nobody asked for.
  const double begun = p.groups > 1 ? groups * (m.weights_far ? 1.8e-6 : 0.8e-6) : 0;
  // Vector operations of a tile and vector of channels: about 4.5 a point in and out.
  // Phases of the results are put side by side on their way out.
  const double vectors = groups * tiles * (up(p.channels) * static_cast<double>(p.slices()) + results * (p.phases() > 1 ? 2 : 1));
  const double transforms = vectors * points * (strided ? 12 : 4.5) * 2 * width;
  // A chain of products ends with a load, an addition and a store, which counts beside a dozen of them.
  const double chains = static_cast<double>(p.slices()) * std::max(static_cast<double>(p.channels) / winograd::kLongestChain, 1.0);
  const double added = groups * tiles * points * (p.interleaved > 1 ? chains : chains - 1) * results * 5 * 2 * width;
  // Where little is saved, what the weight displaces in a network counts: 256 or 512 channels from 28x28 take 0.8 of
  // conv_direct's time alone, 0.77 to 1 there.
  const double displacing = m.lanes == 8 ? 1.5 : 0.5;
  const double displaced =
      strided && s.axes[2].kernel_size == 3 ? displacing * std::max(weight_bytes - kOuterCache, 0.0) / m.bytes_per_second : 0;
  // With eight lanes tiles are small for what is done between them.
  return 3e-6 + displaced + begun +
         m.with_eight_lanes(1.2) *
             (std::max({2 * products / 0.9 / m.flops_per_second, streaming, repeated}) + (transforms + added) / m.flops_per_second);
}

double pack_seconds(Variant variant, Direction direction, const ConvShape& s, const Machine& m) {
  const winograd::Problem p = problem(variant, direction, s);
  const auto lanes = CONVOY_DISPATCH(WinogradLanes)();
  const auto packed = static_cast<double>(p.groups * p.vectors(lanes) * lanes * p.depth() * p.points());
  return 1e-6 + (static_cast<double>(s.weight_count()) * 1.1e-9 + packed * 0.6e-9) / m.threads;
}

// What both directions have in common.
template <Variant kVariant, Direction kDirection>
constexpr ConvKernel kernel(const char* name) {
  return {.name = name,
          .direction = kDirection,
          .accuracy = Accuracy::kDefault,
          .refuse = [](const ConvShape& s) { return refuse(kVariant, kDirection, s); },
          .seconds = [](const ConvShape& s, const Machine& m) { return seconds(kVariant, kDirection, s, m); },
          .workspace_bytes = [](const ConvShape& s,
                                int threads) { return CONVOY_DISPATCH(WinogradWorkspace)(kVariant, kDirection, s, threads); },
          .packed_bytes = [](const ConvShape& s) { return CONVOY_DISPATCH(WinogradPackedBytes)(kVariant, kDirection, s); },
          .pack =
              [](const ConvShape& s, const float* weight, float* packed) {
                CONVOY_DISPATCH(WinogradPack)
                (kVariant, kDirection, s, weight, packed);
              },
          .pack_seconds = [](const ConvShape& s, const Machine& m) { return pack_seconds(kVariant, kDirection, s, m); }};
}

template <Variant kVariant>
constexpr ConvKernel forward_kernel(const char* name) {
  ConvKernel made = kernel<kVariant, Direction::kForward>(name);
  made.pools = [](const ConvShape& s) { return pools(kVariant, s); };
  made.residual_in_place = [](const ConvShape&) { return true; };
  made.forward = [](const ConvShape& s, const ConvForward<float>& io, Workspace& w) {
    CONVOY_DISPATCH(WinogradRun)
    (kVariant, Direction::kForward, s, {io.input, io.packed, io.bias, io.output, io.epilogue}, w);
  };
  return made;
}

template <Variant kVariant>
constexpr ConvKernel grad_input_kernel(const char* name) {
  ConvKernel made = kernel<kVariant, Direction::kGradInput>(name);
  made.grad_input = [](const ConvShape& s, const ConvGradInput<float>& io, Workspace& w) {
    CONVOY_DISPATCH(WinogradRun)
    (kVariant, Direction::kGradInput, s, {io.grad_output, io.packed, io.bias, io.grad_input, io.epilogue}, w);
  };
  return made;
}

}  // namespace

const ConvKernel kConvWinogradF2Forward = forward_kernel<Variant::kF2>("conv_winograd_f2");
const ConvKernel kConvWinogradF3Forward = forward_kernel<Variant::kF3>("conv_winograd_f3");
const ConvKernel kConvWinogradF4Forward = forward_kernel<Variant::kF4>("conv_winograd_f4");
const ConvKernel kConvWinogradF5Forward = forward_kernel<Variant::kF5>("conv_winograd_f5");
const ConvKernel kConvWinogradStride2Forward = forward_kernel<Variant::kStride2>("conv_winograd_stride2");
const ConvKernel kConvWinogradF2GradInput = grad_input_kernel<Variant::kF2>("conv_winograd_f2");
const ConvKernel kConvWinogradF3GradInput = grad_input_kernel<Variant::kF3>("conv_winograd_f3");
const ConvKernel kConvWinogradF4GradInput = grad_input_kernel<Variant::kF4>("conv_winograd_f4");
const ConvKernel kConvWinogradF5GradInput = grad_input_kernel<Variant::kF5>("conv_winograd_f5");
const ConvKernel kConvWinogradStride2GradInput = grad_input_kernel<Variant::kStride2>("conv_winograd_stride2");

}  // namespace convoy::kernels
#endif  // HWY_ONCE
