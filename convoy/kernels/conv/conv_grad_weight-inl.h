// What the weight gradients share, compiled once per instruction set: the register tile, and transpositions into and out of the
// order in which vectors hold output channels.

#ifndef CONVOY_KERNELS_CONV_GRAD_WEIGHT_RUN
#define CONVOY_KERNELS_CONV_GRAD_WEIGHT_RUN
#include <cstdint>
namespace convoy::kernels::grad_weight_tile {

// A run of pixels that one tap reads inside the input: x from the plane's begin, y pixels from the block's begin.
struct Run {
  int64_t x, y, count;
};

}  // namespace convoy::kernels::grad_weight_tile
#endif

// Per-target include guard, as Highway asks for.
#if defined(CONVOY_KERNELS_CONV_GRAD_WEIGHT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_CONV_GRAD_WEIGHT_INL_H_
#undef CONVOY_KERNELS_CONV_GRAD_WEIGHT_INL_H_
#else
#define CONVOY_KERNELS_CONV_GRAD_WEIGHT_INL_H_
#endif

#include <algorithm>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace grad_weight_tile {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::grad_weight_tile::Run;

// 8 x 2 keeps 16 accumulators, enough for two FMA pipes of latency 4, and 10 loads for 16 multiplications; its 8 pointers fit the
// integer registers. 6 x 2 fills the 16 vector registers of AVX2.
#if HWY_TARGET == HWY_AVX3
constexpr int kWeightRows = 8;
#elif HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
constexpr int kWeightRows = 4;
#else
constexpr int kWeightRows = 6;
#endif

HWY_INLINE int64_t WeightPanel() { return 2 * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>())); }

// Makes the compiler keep one index for all rows, where it would advance a pointer for each.
HWY_INLINE void KeepIndex(int64_t& i) {
#if defined(__GNUC__)
  asm volatile("" : "+r"(i));
#endif
}

// sums[row][lane] (+)= sum over the runs of x[row][pixel * step] y[pixel][lane]; kHalf: and half a vector more.
template <int kR, int kV, bool kHalf = false>
HWY_NOINLINE void WeightTile(const Run* HWY_RESTRICT runs, int64_t run_count, const float* const* HWY_RESTRICT rows, int64_t step,
                             const float* HWY_RESTRICT y, int64_t panel, float* HWY_RESTRICT sums, int64_t sums_stride,
                             bool first) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const tile::HalfTag narrow;
  V acc[kR][kV];
  [[maybe_unused]] tile::Half half[kR];
  HWY_UNROLL(8)
  for (int r = 0; r < kR; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < kV; ++v) acc[r][v] = hn::Zero(d);
    if constexpr (kHalf) half[r] = hn::Zero(narrow);
  }
  const float* x[kR];
  HWY_UNROLL(8)
  for (int r = 0; r < kR; ++r) x[r] = rows[r];
  for (const Run* run = runs; run != runs + run_count; ++run) {
    const float* HWY_RESTRICT at = y + run->y * panel;
    const float* const end = at + run->count * panel;
    for (int64_t i = run->x; at != end; at += panel, i += step) {
      KeepIndex(i);
      V channels[kV];
      HWY_UNROLL(8)
      for (int v = 0; v < kV; ++v) channels[v] = hn::Load(d, at + v * lanes);
      [[maybe_unused]] tile::Half last;
      if constexpr (kHalf) last = hn::Load(narrow, at + kV * lanes);
      HWY_UNROLL(8)
      for (int r = 0; r < kR; ++r) {
        const V pixel = hn::Set(d, x[r][i]);
        HWY_UNROLL(8)
        for (int v = 0; v < kV; ++v) Accumulate(pixel, channels[v], acc[r][v]);
        if constexpr (kHalf) Accumulate(tile::LowerHalf(pixel), last, half[r]);
      }
    }
  }
  HWY_UNROLL(8)
  for (int r = 0; r < kR; ++r) {
    float* to = sums + r * sums_stride;
    HWY_UNROLL(8)
    for (int v = 0; v < kV; ++v) hn::Store(first ? acc[r][v] : hn::Add(hn::Load(d, to + v * lanes), acc[r][v]), d, to + v * lanes);
    if constexpr (kHalf) {
      hn::Store(first ? half[r] : hn::Add(hn::Load(narrow, to + kV * lanes), half[r]), narrow, to + kV * lanes);
    }
  }
}

template <int kV>
HWY_INLINE void WeightTileOfRows(int64_t height, const Run* runs, int64_t run_count, const float* const* rows, int64_t step,
                                 const float* y, int64_t panel, float* sums, int64_t sums_stride, bool first) {
  switch (height) {
    case 1:
      return WeightTile<1, kV>(runs, run_count, rows, step, y, panel, sums, sums_stride, first);
    case 2:
      return WeightTile<2, kV>(runs, run_count, rows, step, y, panel, sums, sums_stride, first);
    case 3:
      return WeightTile<3, kV>(runs, run_count, rows, step, y, panel, sums, sums_stride, first);
    case 4:
      return WeightTile<4, kV>(runs, run_count, rows, step, y, panel, sums, sums_stride, first);
    default:
      break;
  }
  if constexpr (kWeightRows > 4) {
    if (height == 5) return WeightTile<5, kV>(runs, run_count, rows, step, y, panel, sums, sums_stride, first);
    if (height == 6) return WeightTile<6, kV>(runs, run_count, rows, step, y, panel, sums, sums_stride, first);
  }
  if constexpr (kWeightRows > 6) {
    if (height == 7) return WeightTile<7, kV>(runs, run_count, rows, step, y, panel, sums, sums_stride, first);
    if (height == 8) return WeightTile<8, kV>(runs, run_count, rows, step, y, panel, sums, sums_stride, first);
  }
}

#if HWY_TARGET != HWY_SCALAR
// Four floats from each of Lanes / 4 rows, four rows apart: block b from rows[4 b].
template <class D>
HWY_INLINE hn::Vec<D> LoadBlocks(D d, const float* const* rows, int64_t at) {
  if constexpr (hn::MaxLanes(D()) <= 4) {
    return hn::LoadU(d, rows[0] + at);
  } else {
    const hn::Half<D> half;
    constexpr size_t kHalf = hn::MaxLanes(half);
    return hn::Combine(d, LoadBlocks(half, rows + kHalf, at), LoadBlocks(half, rows, at));
  }
}
#endif

// Calls store(column, vector) with the vectors of the transposed of `columns` x Lanes values: lane l of column i is rows[l][i].
// Reads no column beyond `columns`.
template <class Store>
HWY_INLINE void Transpose(const float* const* rows, int64_t columns, const Store& store) {
  const hn::ScalableTag<float> d;
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::RepartitionToWide<decltype(d)> pairs;
  for (; i + 4 <= columns; i += 4) {
    const auto a = LoadBlocks(d, rows, i), b = LoadBlocks(d, rows + 1, i), e = LoadBlocks(d, rows + 2, i),
               f = LoadBlocks(d, rows + 3, i);
    const auto ab_low = hn::BitCast(pairs, hn::InterleaveLower(d, a, b)), ef_low = hn::BitCast(pairs, hn::InterleaveLower(d, e, f));
    const auto ab_high = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b)),
               ef_high = hn::BitCast(pairs, hn::InterleaveUpper(d, e, f));
    store(i, hn::BitCast(d, hn::InterleaveLower(pairs, ab_low, ef_low)));
    store(i + 1, hn::BitCast(d, hn::InterleaveUpper(pairs, ab_low, ef_low)));
    store(i + 2, hn::BitCast(d, hn::InterleaveLower(pairs, ab_high, ef_high)));
    store(i + 3, hn::BitCast(d, hn::InterleaveUpper(pairs, ab_high, ef_high)));
  }
#endif
  for (; i < columns; ++i) {
    HWY_ALIGN float column[hn::MaxLanes(d)];
    for (size_t l = 0; l < hn::Lanes(d); ++l) column[l] = rows[l][i];
    store(i, hn::Load(d, column));
  }
}

// The rows of a transposition: `count` of them `stride` apart, the last one again for the lanes beyond.
struct TransposeRows {
  const float* at[hn::MaxLanes(hn::ScalableTag<float>())];
  TransposeRows(const float* base, int64_t stride, int64_t count) {
    for (int64_t l = 0; l < static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>())); ++l)
      at[l] = base + std::min(l, count - 1) * stride;
  }
};

// `columns` values of `count` rows, `stride` apart: lane l of to[i * to_step] is from[l * stride + i]. Lanes beyond `count` repeat
// the last row. Asks for the rows' next lines: 16 streams are more than the processor follows on its own, and waiting for them took
// as long as the transposition.
HWY_INLINE void TransposeColumns(const float* from, int64_t stride, int64_t count, int64_t columns, float* to, int64_t to_step) {
  const hn::ScalableTag<float> d;
#if HWY_TARGET != HWY_SCALAR
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if (count == lanes && columns >= 4) {
    using conv_tile::kLine;
    constexpr int64_t kAhead = 3 * kLine;
    const hn::RepartitionToWide<decltype(d)> pairs;
    const int64_t step = 4 * stride;
    for (int64_t at = 0; at < columns; at += 4) {
      if (at % kLine == 0) {
        for (int64_t l = 0; l < lanes; ++l) __builtin_prefetch(from + l * stride + at + kAhead);
      }
      const int64_t i = std::min(at, columns - 4);  // some a second time
      const auto a = tile::LoadBlocks(d, from + i, step), b = tile::LoadBlocks(d, from + i + stride, step),
                 e = tile::LoadBlocks(d, from + i + 2 * stride, step), f = tile::LoadBlocks(d, from + i + 3 * stride, step);
      const auto ab_low = hn::BitCast(pairs, hn::InterleaveLower(d, a, b)),
                 ef_low = hn::BitCast(pairs, hn::InterleaveLower(d, e, f));
      const auto ab_high = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b)),
                 ef_high = hn::BitCast(pairs, hn::InterleaveUpper(d, e, f));
      float* const four = to + i * to_step;
      hn::Store(hn::BitCast(d, hn::InterleaveLower(pairs, ab_low, ef_low)), d, four);
      hn::Store(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_low, ef_low)), d, four + to_step);
      hn::Store(hn::BitCast(d, hn::InterleaveLower(pairs, ab_high, ef_high)), d, four + 2 * to_step);
      hn::Store(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_high, ef_high)), d, four + 3 * to_step);
    }
    return;
  }
#endif
  const TransposeRows rows(from, stride, count);
  Transpose(rows.at, columns, [&](int64_t i, auto values) HWY_ATTR { hn::Store(values, d, to + i * to_step); });
}

// sums[k][2 vectors], of which `width` lanes are output channels -> weight[lane][k], k < count; weight's rows are `stride` apart.
HWY_INLINE void StoreSums(const float* sums, int64_t count, int64_t width, float* weight, int64_t stride) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), panel = 2 * lanes;
  for (int64_t k = 0; k < count; k += lanes) {
    const int64_t length = std::min(lanes, count - k);
    const TransposeRows rows(sums + k * panel, panel, length);
    float* to = weight + k;
    if (length == lanes) {
      Transpose(rows.at, width, [&](int64_t i, auto values) HWY_ATTR { hn::StoreU(values, d, to + i * stride); });
    } else {
      const auto mask = hn::FirstN(d, static_cast<size_t>(length));
      Transpose(rows.at, width, [&](int64_t i, auto values) HWY_ATTR { StoreMasked(values, mask, d, to + i * stride); });
    }
  }
}

// The same -> weight[k][lane], of whole panels.
HWY_INLINE void StoreTurnedSums(const float* sums, int64_t count, int64_t width, float* weight, int64_t stride) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), panel = 2 * lanes;
  for (int64_t k = 0; k < count; ++k) {
    for (int64_t v = 0; v < width; v += lanes) hn::StoreU(hn::Load(d, sums + k * panel + v), d, weight + k * stride + v);
  }
}

// Adds the parts' sums in order, [part][group][panel][k][2 vectors], in the place of the first, and stores them as the weight.
HWY_ATTR inline void AddParts(float* part_sums, int64_t parts, int64_t groups, int64_t outs, int64_t depth, float* weight,
                              bool turned = false) {
  constexpr int64_t kChunk = 64;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>())), panel = 2 * lanes;
  const int64_t panels = (outs + panel - 1) / panel, chunks = (depth + kChunk - 1) / kChunk;
  const int64_t part_floats = groups * panels * panel * depth;
  parallel_for(groups * panels * chunks, [&](int64_t task) HWY_ATTR {
    const hn::ScalableTag<float> d;
    const int64_t k = task % chunks * kChunk, out = task / chunks % panels * panel, group = task / chunks / panels;
    const int64_t count = std::min(kChunk, depth - k);
    float* const sums = part_sums + (task / chunks * depth + k) * panel;
    for (int64_t i = 0; i < count * panel; i += lanes) {
      auto sum = hn::Load(d, sums + i);
      for (int64_t part = 1; part < parts; ++part) sum = hn::Add(sum, hn::Load(d, sums + part * part_floats + i));
      hn::Store(sum, d, sums + i);
    }
    if (turned) return StoreTurnedSums(sums, count, panel, weight + k * outs + out, outs);
    StoreSums(sums, count, std::min(panel, outs - out), weight + (group * outs + out) * depth + k, depth);
  });
}

}  // namespace grad_weight_tile
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
