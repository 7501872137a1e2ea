// The register tiles of the direct convolutions, compiled once per instruction set. Both compute sums over (channel, tap) of
// weight x source, where the tile's pixels lie alike in memory for every tap; they differ in what a vector's lanes are.
//
// ChannelTile: lanes = result channels, kP pixels broadcast one by one, the weights one sequential stream. The pixels lie at equal
//   distances; the sums need a transposition (store_channels), so it pays from about 100 terms on.
// PixelTile:   lanes = pixels, kR result channels broadcast. Nothing to transpose, any number of channels, but rows should fill
//   vectors.
//
// Every sum is one chain of fused multiply-adds per block of channels, in the order (channel, tap), the blocks added in order:
// whatever the tile, the same bits.

// Per-target include guard, as Highway asks for.
#if defined(CONVOY_KERNELS_CONV_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_CONV_TILE_INL_H_
#undef CONVOY_KERNELS_CONV_TILE_INL_H_
#else
#define CONVOY_KERNELS_CONV_TILE_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <utility>

#include "convoy/kernels/conv/conv_tile.h"
#include "convoy/kernels/masked-inl.h"
#include "convoy/kernels/registers-inl.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace tile {
namespace hn = hwy::HWY_NAMESPACE;
using conv_tile::Finish;
using conv_tile::Tap;
using conv_tile::Work;
using Full = hn::ScalableTag<float>;
using Floats = hn::Vec<Full>;

// 14 x 2 keeps 28 sums, 2 weights and a pixel or two in 32 registers, 6 x 2 the same in 16. Plain C++ is there to work, and to be
// small.
inline constexpr int kPixels = HWY_TARGET == HWY_AVX3 ? 14 : HWY_TARGET == HWY_SCALAR ? 3 : 6;
// Of result channels, with lanes of pixels. 6 x 2 on AVX2, not 4 x 3: there are 12 sums either way, but 16 pixels of a plane lie on
// one line of the cache, and those of 256 channels fill half of a 32 KiB one. 5 to 20 % faster.
inline constexpr int kRows = HWY_TARGET == HWY_AVX3 ? 8 : HWY_TARGET == HWY_AVX2 ? 6 : HWY_TARGET == HWY_SCALAR ? 2 : 4;
// Vectors of pixels of the widest tile of so many rows, and rows of the highest tile of so many vectors.
constexpr int MostVectors(int rows) {
  if (HWY_TARGET == HWY_SCALAR) return 3;
  if (HWY_TARGET == HWY_AVX2) return std::min(12 / std::max(rows, 1), 6);
  return rows <= kRows / 2 ? 6 : 3;
}
constexpr int MostRows(int vectors) {
  int rows = kRows;
  while (MostVectors(rows) < vectors) --rows;
  return rows;
}

HWY_INLINE int64_t Lanes() { return static_cast<int64_t>(hn::Lanes(Full())); }

// Whether there are tiles of a vector and a half (conv_tile::one_and_a_half).
inline constexpr bool kHalves = HWY_TARGET == HWY_AVX3;
using HalfTag = hn::CappedTag<float, HWY_LANES(float) / (kHalves ? 2 : 1)>;
using Half = hn::Vec<HalfTag>;
HWY_INLINE bool IsOneAndAHalf(int64_t channels) { return conv_tile::one_and_a_half(channels, Lanes()); }
inline constexpr int kHalfPixels = 7;  // and kPixels are the tiles that have a form for it; others take two vectors

// With lanes of channels a chain is one list of taps, 10 % faster than a loop over channels with 28 sums, 8 % slower with 12.
inline constexpr bool kLinearLanes = HWY_TARGET == HWY_AVX2;

// Keeps a loaded value in a register: GCC 12 would fold the load into every multiply-add that uses it.
template <class V>
HWY_INLINE void Pin(V& v) {
#if HWY_TARGET == HWY_AVX3
  asm("" : "+v"(v.raw));
#elif HWY_TARGET == HWY_AVX2
  asm("" : "+x"(v.raw));
#endif
}

// Else it would compute the addresses of some turns in advance, and spill those.
HWY_INLINE void Pin(const float*& p) {
#if HWY_TARGET != HWY_SCALAR
  asm("" : "+r"(p));
#endif
}

// The i-th of addresses `step` apart, asked for in order: one register reaches three, base, one and two steps on.
HWY_INLINE const float* ByThrees(const float*& at, int i, int64_t step) {
  if (i % 3 == 0) {
    if (i > 0) at += 3 * step;
    Pin(at);
  }
  return at + i % 3 * step;
}

template <class V>
HWY_INLINE Half LowerHalf(V v) {
  if constexpr (kHalves) {
    return hn::LowerHalf(hn::Half<hn::DFromV<V>>(), v);
  } else {
    return v;
  }
}

// kStrided: pixels are `step` floats apart, otherwise side by side. Vectors may be of any length. kHalf: half[kP], too, of half a
// vector behind them.
template <bool kStrided, bool kHalf = false, int kP, int kV, class V>
HWY_INLINE void AddTap(const float* x, int64_t step, const float* HWY_RESTRICT w, V (&sum)[kP][kV],
                       [[maybe_unused]] Half* half = nullptr) {
  const hn::DFromV<V> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V weight[kV];
  HWY_UNROLL(2)
  for (int v = 0; v < kV; ++v) {
    weight[v] = hn::LoadU(d, w + v * lanes);
    Pin(weight[v]);
  }
  [[maybe_unused]] Half half_weight;
  if constexpr (kHalf) {
    half_weight = hn::LoadU(HalfTag(), w + kV * lanes);
    Pin(half_weight);
  }
  HWY_UNROLL(28)
  for (int p = 0; p < kP; ++p) {
    V value = hn::Set(d, kStrided ? *ByThrees(x, p, step) : x[p]);
    if (kV > 1 || kHalf) Pin(value);
    HWY_UNROLL(2)
    for (int v = 0; v < kV; ++v) Accumulate(value, weight[v], sum[p][v]);
    if constexpr (kHalf) Accumulate(tile::LowerHalf(value), half_weight, half[p]);
  }
}

template <bool kLinear, bool kStrided, int kP, int kV, bool kHalf = false, class D = Full>
HWY_ATTR void ChannelTile(const Work& t) {
  const D d;
  const HalfTag narrow;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> sum[kP][kV];
  [[maybe_unused]] Half half[kP];
  HWY_UNROLL(28)
  for (int p = 0; p < kP; ++p) {
    HWY_UNROLL(2)
    for (int v = 0; v < kV; ++v) sum[p][v] = hn::Zero(d);
    if constexpr (kHalf) half[p] = hn::Zero(narrow);
  }
  const float* x = t.source;
  const float* w = t.weight;
  const int64_t pixel_step = t.pixel_step;
  const float* ahead = t.ahead != nullptr ? t.ahead : t.weight;  // asked for without asking whether
  const int64_t ahead_step = t.ahead != nullptr ? t.ahead_step : 0;
  if constexpr (kLinear) {
    const int64_t step = t.source_channel, weight_step = t.weight_channel;
    int64_t c = 0;
    for (; c + 2 <= t.channels; c += 2) {
      HWY_UNROLL(2)
      for (int i = 0; i < 2; ++i) {
        __builtin_prefetch(ahead, 0, 2);
        ahead += ahead_step;
        AddTap<kStrided>(x, pixel_step, w, sum);
        KeepOrder();
        x += step;
        Pin(x);
        w += weight_step;
        Pin(w);
      }
    }
    for (; c < t.channels; ++c) {
      AddTap<kStrided>(x, pixel_step, w, sum);
      KeepOrder();
      x += step;
      w += weight_step;
    }
  } else {
    // Three taps a turn: 7 % faster than one where the weights come from L2. (A lambda for the body would keep the sums in memory.)
    // AVX2's tiles of one vector are many, so that they are to be small.
    constexpr int kTurn = (HWY_TARGET == HWY_AVX2 && kV == 1) || hn::MaxLanes(D()) < hn::MaxLanes(Full()) ? 0 : 3;
    const Tap *const turns = t.taps + (kTurn > 0 ? t.tap_count / 3 * 3 : 0), *const end = t.taps + t.tap_count;
    for (int64_t c = 0; c < t.channels; ++c) {
      const Tap* tap = t.taps;
      if constexpr (kTurn > 0) {
        for (; tap != turns; tap += kTurn) {
          HWY_UNROLL(3)
          for (int i = 0; i < kTurn; ++i) {
            __builtin_prefetch(ahead, 0, 2);
            ahead += ahead_step;
            AddTap<kStrided, kHalf>(x + tap[i].source, pixel_step, w + tap[i].weight, sum, half);
            KeepOrder();
          }
        }
      }
      for (; tap != end; ++tap) {
        __builtin_prefetch(ahead, 0, 2);
        ahead += ahead_step;
        AddTap<kStrided, kHalf>(x + tap->source, pixel_step, w + tap->weight, sum, half);
        KeepOrder();
      }
      x += t.source_channel;
      w += t.weight_channel;
    }
  }
  float* const to = t.sums;
  if (t.add) {
    HWY_UNROLL(28)
    for (int p = 0; p < kP; ++p) {
      HWY_UNROLL(2)
      for (int v = 0; v < kV; ++v) sum[p][v] = hn::Add(hn::LoadU(d, to + p * t.sums_stride + v * lanes), sum[p][v]);
      if constexpr (kHalf) half[p] = hn::Add(hn::LoadU(narrow, to + p * t.sums_stride + lanes), half[p]);
    }
  }
  HWY_UNROLL(28)
  for (int p = 0; p < kP; ++p) {
    HWY_UNROLL(2)
    for (int v = 0; v < kV; ++v) hn::StoreU(sum[p][v], d, to + p * t.sums_stride + v * lanes);
    if constexpr (kHalf) hn::StoreU(half[p], narrow, to + p * t.sums_stride + lanes);
  }
}

template <bool kLinear, bool kStrided, int kV, class D = Full, int... kP>
HWY_INLINE void RunChannelTile(const Work& t, int64_t pixels, std::integer_sequence<int, kP...>) {
  static constexpr std::array<void (*)(const Work&), sizeof...(kP)> kTiles{ChannelTile<kLinear, kStrided, kP + 1, kV, false, D>...};
  kTiles[static_cast<size_t>(pixels - 1)](t);
}

/// Sums for `pixels` <= kPixels pixels and 1 (of more than one tap) to 4 halves of a vector of result channels. kLinear: there is
/// one tap, so none is looked up, and pixels lie side by side. What the upper half of 3 halves' second vector holds is left open.
/// Of one vector there may be up to kVectorPixels.
template <bool kLinear, int kVectorPixels = kPixels>
HWY_INLINE void RunChannelTile(const Work& t, int64_t pixels, int64_t halves) {
  // An address more for every three pixels takes no time, but up to 2 % with AVX2, whose tile is small.
  constexpr bool kStrided = !kLinear, kBoth = kStrided && HWY_TARGET == HWY_AVX2;
  constexpr auto kAll = std::make_integer_sequence<int, kPixels>();
  if constexpr (kHalves && !kLinear) {
    if (halves == 1) return RunChannelTile<false, true, 1, HalfTag>(t, pixels, std::make_integer_sequence<int, 2 * kPixels>());
    if (halves == 3 && pixels == kPixels) return ChannelTile<false, true, kPixels, 1, true>(t);
    if (halves == 3 && pixels == kHalfPixels) return ChannelTile<false, true, kHalfPixels, 1, true>(t);
  }
  if constexpr (kVectorPixels > kPixels) {
    constexpr auto kMany = std::make_integer_sequence<int, kVectorPixels>();
    if (halves <= 2) return RunChannelTile<kLinear, true, 1>(t, pixels, kMany);
  } else if (halves <= 2) {
    return RunChannelTile<kLinear, kStrided, 1>(t, pixels, kAll);
  }
  if (kBoth && t.pixel_step == 1) return RunChannelTile < kLinear, kStrided && !kBoth, 2 > (t, pixels, kAll);
  RunChannelTile<kLinear, kStrided, 2>(t, pixels, kAll);
}

/// Pixels of the next tile of a vector and a half, of which `left` are left. One pixel alone would take as long as two.
HWY_INLINE int64_t HalfTilePixels(int64_t left) {
  if (left >= kPixels) return kPixels;
  return left == kHalfPixels || left > kHalfPixels + 1 ? kHalfPixels : left;
}

#if HWY_TARGET != HWY_SCALAR
// One vector of 4-float blocks, kBlocks of them `stride` floats apart.
template <class D>
HWY_INLINE hn::Vec<D> LoadBlocks(D d, const float* from, int64_t stride) {
  if constexpr (hn::MaxLanes(D()) <= 4) {
    return hn::LoadU(d, from);
  } else {
    const hn::Half<D> half;
    const auto low = LoadBlocks(half, from, stride);
    return hn::Combine(d, LoadBlocks(half, from + stride * static_cast<int64_t>(hn::Lanes(half) / 4), stride), low);
  }
}
#endif

// Of a NaN and of equals x86 takes the second operand; elsewhere a NaN fails the comparison. So a NaN stays, and a zero's sign.
template <class V>
HWY_INLINE V AtLeast(V v, V low) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_WASM
  return hn::Max(low, v);
#else
  return hn::IfThenElse(hn::Lt(v, low), low, v);
#endif
}
template <class V>
HWY_INLINE V AtMost(V v, V high) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_WASM
  return hn::Min(high, v);
#else
  return hn::IfThenElse(hn::Gt(v, high), high, v);
#endif
}
template <class V>
HWY_INLINE V Clamped(V v, V low, V high) {
  return AtMost(AtLeast(v, low), high);
}

#if HWY_TARGET != HWY_SCALAR
// row[i]: value i of as many rows as there are lanes, `stride` floats apart.
HWY_INLINE void TransposeFour(const float* from, int64_t stride, Floats (&row)[4]) {
  const Full d;
  const int64_t step = 4 * stride;
  const Floats a = LoadBlocks(d, from, step), b = LoadBlocks(d, from + stride, step), e = LoadBlocks(d, from + 2 * stride, step),
               f = LoadBlocks(d, from + 3 * stride, step);
  const hn::Repartition<double, Full> d64;
  const auto ab_low = hn::BitCast(d64, hn::InterleaveLower(d, a, b)), ab_high = hn::BitCast(d64, hn::InterleaveUpper(d, a, b)),
             ef_low = hn::BitCast(d64, hn::InterleaveLower(d, e, f)), ef_high = hn::BitCast(d64, hn::InterleaveUpper(d, e, f));
  row[0] = hn::BitCast(d, hn::InterleaveLower(d64, ab_low, ef_low));
  row[1] = hn::BitCast(d, hn::InterleaveUpper(d64, ab_low, ef_low));
  row[2] = hn::BitCast(d, hn::InterleaveLower(d64, ab_high, ef_high));
  row[3] = hn::BitCast(d, hn::InterleaveUpper(d64, ab_high, ef_high));
}
#endif

// row[i] = channel i of a vector of pixels, from sums[pixel][kVectors]; only the first `rows` matter.
template <int kVectors>
HWY_INLINE void TransposeSums(const float* from, int64_t rows, Floats (&row)[4]) {
#if HWY_TARGET == HWY_SCALAR
  for (int i = 0; i < 4; ++i) row[i] = hn::Set(Full(), i < rows ? from[i] : 0.0f);
#else
  (void)rows;
  TransposeFour(from, kVectors * Lanes(), row);
#endif
}

/// Transposes sums[pixel][kVectors] of `channels` channels into rows of `pixels` values and finishes them. Reads up to one vector
/// of pixels beyond the last. The results wait in the store queue while the next tile is summed, so nothing else may be stored
/// between them: inlined, spilled pointers filled the queue of Zen 4, and a 7x7 stem waited for it a tenth of the time.
template <int kVectors>
HWY_NOINLINE void StoreChannels(const float* sums, int64_t pixels, int64_t channels, const Finish& finish, float* result,
                                int64_t result_stride) {
  const Full d;
  const int64_t lanes = Lanes();
  const Floats low = hn::Set(d, finish.low), high = hn::Set(d, finish.high);
  const bool clamp = finish.clamp;
  const float* bias = finish.bias;
  const float* residual = finish.residual != nullptr ? finish.residual + (result - finish.result) : nullptr;
  for (int64_t c = 0; c < channels; c += 4, sums += 4, result += 4 * result_stride) {
    const int64_t rows = std::min<int64_t>(4, channels - c);
    for (int64_t p = 0; p < pixels; p += lanes) {
      Floats row[4];
      TransposeSums<kVectors>(sums + p * kVectors * lanes, rows, row);
      if (rows == 4 && p + lanes <= pixels) {
        if (bias != nullptr) {
          HWY_UNROLL(4)
          for (int i = 0; i < 4; ++i) row[i] = hn::Add(row[i], hn::Set(d, bias[i]));
        }
        if (residual != nullptr) {
          HWY_UNROLL(4)
          for (int i = 0; i < 4; ++i) row[i] = hn::Add(row[i], hn::LoadU(d, residual + i * result_stride + p));
        }
        if (clamp) {
          HWY_UNROLL(4)
          for (int i = 0; i < 4; ++i) row[i] = Clamped(row[i], low, high);
        }
        HWY_UNROLL(4)
        for (int i = 0; i < 4; ++i) hn::StoreU(row[i], d, result + i * result_stride + p);
        continue;
      }
      const auto mask = hn::FirstN(d, static_cast<size_t>(std::min(lanes, pixels - p)));
      HWY_UNROLL(4)
      for (int i = 0; i < 4; ++i) {
        if (i >= rows) break;
        Floats v = row[i];
        if (bias != nullptr) v = hn::Add(v, hn::Set(d, bias[i]));
        if (residual != nullptr) v = hn::Add(v, LoadMasked(mask, d, residual + i * result_stride + p));
        if (clamp) v = Clamped(v, low, high);
        StoreMasked(v, mask, d, result + i * result_stride + p);
      }
    }
    if (bias != nullptr) bias += 4;
    if (residual != nullptr) residual += 4 * result_stride;
  }
}

/// The same where a pixel's channels lie side by side in the result, and its pixels `result_step` apart.
inline HWY_NOINLINE void StorePixels(const float* sums, int64_t sums_stride, int64_t pixels, int64_t channels, const Finish& finish,
                                     float* result, int64_t result_step) {
  constexpr int64_t kAhead = 8;  // pixels whose lines are asked for early
  const Full d;
  const int64_t lanes = Lanes();
  const Floats low = hn::Set(d, finish.low), high = hn::Set(d, finish.high);
  const auto store = [&](int64_t c, const auto& load, const auto& keep) HWY_ATTR {
    Floats v = hn::LoadU(d, sums + c);
    if (finish.bias != nullptr) v = hn::Add(v, load(finish.bias + c));
    if (finish.residual != nullptr) v = hn::Add(v, load(finish.residual + (result - finish.result) + c));
    if (finish.clamp) v = Clamped(v, low, high);
    keep(v, result + c);
  };
  const auto mask = hn::FirstN(d, static_cast<size_t>(channels % lanes));
  for (int64_t p = 0; p < pixels; ++p, sums += sums_stride, result += result_step) {
    if (p + kAhead < pixels) {
      for (int64_t c = 0; c < channels; c += conv_tile::kLine) __builtin_prefetch(result + kAhead * result_step + c, 1);
    }
    int64_t c = 0;
    for (; c + lanes <= channels; c += lanes) {
      store(
          c, [&](const float* at) HWY_ATTR { return hn::LoadU(d, at); },
          [&](Floats v, float* to) HWY_ATTR { hn::StoreU(v, d, to); });
    }
    if (c < channels) {
      store(
          c, [&](const float* at) HWY_ATTR { return LoadMasked(mask, d, at); },
          [&](Floats v, float* to) HWY_ATTR { StoreMasked(v, mask, d, to); });
    }
  }
}

// x: kV vectors of pixels, the last one masked if kTail; w: kR weights.
template <bool kTail, int kR, int kV, class M>
HWY_INLINE void AddPixels(const float* HWY_RESTRICT x, const float* HWY_RESTRICT w, M mask, Floats (&sum)[kR][kV]) {
  const Full d;
  if constexpr (kR < kV) {  // the fewer operands stay in registers
    Floats weight[kR];
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      weight[r] = hn::Set(d, w[r]);
      Pin(weight[r]);
    }
    HWY_UNROLL(8)
    for (int v = 0; v < kV; ++v) {
      Floats value = v + 1 < kV || !kTail ? hn::LoadU(d, x + v * Lanes()) : LoadMasked(mask, d, x + v * Lanes());
      if (kR > 1) Pin(value);
      HWY_UNROLL(8)
      for (int r = 0; r < kR; ++r) Accumulate(value, weight[r], sum[r][v]);
    }
  } else {
    Floats value[kV];
    HWY_UNROLL(8)
    for (int v = 0; v < kV; ++v) {
      value[v] = v + 1 < kV || !kTail ? hn::LoadU(d, x + v * Lanes()) : LoadMasked(mask, d, x + v * Lanes());
      Pin(value[v]);
    }
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      Floats weight = hn::Set(d, w[r]);
      if (kV > 1) Pin(weight);
      HWY_UNROLL(8)
      for (int v = 0; v < kV; ++v) Accumulate(value[v], weight, sum[r][v]);
    }
  }
}

template <bool kLinear, bool kTail, int kR, int kV>
HWY_ATTR void PixelTile(const Work& t, int64_t pixels, const Finish* finish) {
  const Full d;
  const int64_t lanes = Lanes();
  const auto mask = hn::FirstN(d, static_cast<size_t>(pixels - (kV - 1) * lanes));
  if (finish != nullptr && finish->residual != nullptr) {  // in a network it comes from the outer cache
    const float* const from = finish->residual + (t.sums - finish->result);
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < kV; ++v) __builtin_prefetch(from + r * t.sums_stride + v * lanes);
    }
  }
  // Lines of results that only the outer cache holds would stop the stores: 192 -> 768 channels at 28x28 from 82 to 93 % of the
  // peak.
  if constexpr (HWY_TARGET == HWY_AVX2 && kV % 2 == 0) {
    if (!t.streamed) {
      HWY_UNROLL(8)
      for (int r = 0; r < kR; ++r) {
        HWY_UNROLL(8)
        for (int v = 0; v < kV; v += 2) __builtin_prefetch(t.sums + r * t.sums_stride + v * lanes);
      }
    }
  }
  constexpr bool kLarge = 2 * kR > kRows && kV >= MostVectors(kRows);  // large maps consist of these
  Floats sum[kR][kV];
  HWY_UNROLL(8)
  for (int r = 0; r < kR; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < kV; ++v) sum[r][v] = hn::Zero(d);
  }
  const float* x = t.source;
  const float* w = t.weight;
  if constexpr (kLinear) {
    const int64_t step = t.source_channel, ahead = t.ahead_pixels;
    const bool near = kLarge && t.ahead_near;
    int64_t c = 0;
    for (; c + 4 <= t.channels; c += 4) {
      HWY_UNROLL(4)
      for (int i = 0; i < 4; ++i) {
        if (near) {
          __builtin_prefetch(x + ahead, 0, 3);
        } else {
          __builtin_prefetch(x + ahead, 0, 2);
        }
        AddPixels<kTail, kR, kV>(x, w + i * kR, mask, sum);
        KeepOrder();
        x += step;
        Pin(x);
      }
      w += 4 * kR;
    }
    for (; c < t.channels; ++c) {
      AddPixels<kTail, kR, kV>(x, w, mask, sum);
      KeepOrder();
      x += step;
      w += kR;
    }
  } else {
    const Tap *const threes = t.taps + t.tap_count / 3 * 3, *const end = t.taps + t.tap_count;
    for (int64_t c = 0; c < t.channels; ++c) {
      const Tap* tap = t.taps;
      for (; tap != threes; tap += 3) {
        HWY_UNROLL(3)
        for (int i = 0; i < 3; ++i) {
          AddPixels<kTail, kR, kV>(x + tap[i].source, w + tap[i].weight, mask, sum);
          KeepOrder();
        }
      }
      for (; tap != end; ++tap) {
        AddPixels<kTail, kR, kV>(x + tap->source, w + tap->weight, mask, sum);
        KeepOrder();
      }
      x += t.source_channel;
      w += t.weight_channel;
    }
  }
  const auto load = [&](const float* from, int v) HWY_ATTR {
    return v + 1 < kV || !kTail ? hn::LoadU(d, from + v * lanes) : LoadMasked(mask, d, from + v * lanes);
  };
  if (t.add) {
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < kV; ++v) {
        sum[r][v] = hn::Add(load(t.sums + r * t.sums_stride, v), sum[r][v]);
      }
    }
  }
  if (finish != nullptr && finish->bias != nullptr) {
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      const Floats bias = hn::Set(d, finish->bias[r]);
      HWY_UNROLL(8)
      for (int v = 0; v < kV; ++v) sum[r][v] = hn::Add(sum[r][v], bias);
    }
  }
  if (finish != nullptr && finish->residual != nullptr) {
    const float* const from = finish->residual + (t.sums - finish->result);
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < kV; ++v) {
        sum[r][v] = hn::Add(sum[r][v], load(from + r * t.sums_stride, v));
      }
    }
  }
  // Each limit takes as long as a multiplication, so one that is infinite is left out.
  if (finish != nullptr && finish->low != -std::numeric_limits<float>::infinity()) {
    const Floats low = hn::Set(d, finish->low);
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < kV; ++v) sum[r][v] = AtLeast(sum[r][v], low);
    }
  }
  if (finish != nullptr && finish->high != std::numeric_limits<float>::infinity()) {
    const Floats high = hn::Set(d, finish->high);
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < kV; ++v) sum[r][v] = AtMost(sum[r][v], high);
    }
  }
  if constexpr (kLinear && !kTail && kLarge) {
    if (t.streamed) {
      HWY_UNROLL(8)
      for (int r = 0; r < kR; ++r) {
        HWY_UNROLL(8)
        for (int v = 0; v < kV; ++v) hn::Stream(sum[r][v], d, t.sums + r * t.sums_stride + v * lanes);
      }
      return;
    }
  }
  HWY_UNROLL(8)
  for (int r = 0; r < kR; ++r) {
    float* const to = t.sums + r * t.sums_stride;
    HWY_UNROLL(8)
    for (int v = 0; v + 1 < kV; ++v) hn::StoreU(sum[r][v], d, to + v * lanes);
    if constexpr (kTail) {
      StoreMasked(sum[r][kV - 1], mask, d, to + (kV - 1) * lanes);
    } else {
      hn::StoreU(sum[r][kV - 1], d, to + (kV - 1) * lanes);
    }
  }
}

template <bool kLinear, int kV, int... kR>
HWY_INLINE void RunPixelTile(const Work& t, int64_t rows, int64_t pixels, const Finish* finish, std::integer_sequence<int, kR...>) {
  using Tile = void (*)(const Work&, int64_t, const Finish*);
  // Narrow tiles end a row. With AVX-512 masks cost nothing, so they need no second form.
  constexpr bool kMasked = HWY_TARGET != HWY_SCALAR, kUnmasked = HWY_TARGET != HWY_AVX3 || kV % 3 == 0;
  static constexpr std::array<Tile, sizeof...(kR)> kWhole{PixelTile<kLinear, !kUnmasked, kR + 1, kV>...};
  static constexpr std::array<Tile, sizeof...(kR)> kTail{PixelTile<kLinear, kMasked, kR + 1, kV>...};
  const auto& tiles = pixels == kV * Lanes() ? kWhole : kTail;
  tiles[static_cast<size_t>(rows - 1)](t, pixels, finish);
}

/// Pixels of the widest tile for so many result channels.
HWY_INLINE int64_t PixelTileWidth(int64_t rows) { return MostVectors(static_cast<int>(rows)) * Lanes(); }

/// Sums for up to kRows result channels and up to PixelTileWidth pixels that lie side by side. finish: null while more channels
/// follow.
template <bool kLinear>
HWY_INLINE void RunPixelTile(const Work& t, int64_t rows, int64_t pixels, const Finish* finish) {
  constexpr int kMost = MostVectors(1);
  const auto run = [&](auto vectors) HWY_ATTR {
    constexpr int kVectors = std::min<int>(vectors, kMost);
    RunPixelTile<kLinear, kVectors>(t, rows, pixels, finish, std::make_integer_sequence<int, MostRows(kVectors)>());
  };
  switch ((pixels + Lanes() - 1) / Lanes()) {
    case 1:
      return run(std::integral_constant<int, 1>());
    case 2:
      return run(std::integral_constant<int, 2>());
    case 3:
      return run(std::integral_constant<int, 3>());
    case 4:
      return run(std::integral_constant<int, 4>());
    case 5:
      return run(std::integral_constant<int, 5>());
    default:
      return run(std::integral_constant<int, 6>());
  }
}

/// Calls some lines into the first cache by reading a value of each. Zen 3 drops most of many requests in a row, Zen 4 those that
/// go to memory.
HWY_INLINE void ReadLines(const float* from, int64_t floats) {
  for (int64_t i = 0; i < floats; i += conv_tile::kLine) (void)*const_cast<const volatile float*>(from + i);
}

/// `total` in as few parts of at most `most` as can be, which are as equal as can be.
struct EvenParts {
  int64_t count, least, extra;  // part i has `least`, and one more if i < extra

  EvenParts(int64_t total, int64_t most)
      : count((total + most - 1) / most), least(total / std::max<int64_t>(count, 1)), extra(total % std::max<int64_t>(count, 1)) {}
  int64_t begin(int64_t i) const { return i * least + std::min(i, extra); }
  int64_t size(int64_t i) const { return least + (i < extra ? 1 : 0); }
};

/// Rows of a product in tiles.
struct RowTiles : EvenParts {
  explicit RowTiles(int64_t total) : EvenParts(total, kRows) {}
  int64_t rows(int64_t i) const { return size(i); }
};

/// Pixels of a panel of a product of many rows.
HWY_INLINE int64_t PanelWidth() { return PixelTileWidth(kRows); }

/// sums[row][pixel] (+)= weights x panels for the tiles [tile_begin, tile_end) of rows: one block of channels. weights:
/// [tile][channel][rows of the tile], panels: [panel][channel][PanelWidth()], sums of the first tile first. Every element is one
/// chain of fused multiply-adds in the order of the channels, added to what is there (`add`) and then to the row's bias (null:
/// none).
inline HWY_NOINLINE void RunPanels(const RowTiles& tiles, int64_t tile_begin, int64_t tile_end, int64_t pixels, int64_t channels,
                                   const float* weights, const float* panels, bool add, const float* bias, float* sums,
                                   int64_t sums_stride) {
  const int64_t width = PanelWidth(), first_row = tiles.begin(tile_begin);
  Work work;
  work.source_channel = width;
  work.channels = channels;
  work.sums_stride = sums_stride;
  work.add = add;
  for (int64_t at = 0; at < pixels; at += width) {
    work.source = panels + at * channels;
    for (int64_t i = tile_begin; i < tile_end; ++i) {
      work.weight = weights + tiles.begin(i) * channels;
      work.sums = sums + (tiles.begin(i) - first_row) * sums_stride + at;
      Finish finish;
      finish.bias = bias != nullptr ? bias + tiles.begin(i) : nullptr;
      RunPixelTile<true>(work, tiles.rows(i), std::min(width, pixels - at), bias != nullptr ? &finish : nullptr);
    }
  }
}

#if HWY_TARGET == HWY_AVX3
/// to[i] = from[2 * i] for i < kept, zeros behind up to `count`; nothing behind the last one is read.
HWY_INLINE void EveryOther(const float* HWY_RESTRICT from, int64_t kept, int64_t count, float* HWY_RESTRICT to) {
  const Full d;
  const int64_t lanes = Lanes();
  const auto first_of = [&](int64_t n) HWY_ATTR { return hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(n, 0, lanes))); };
  for (int64_t i = 0; i < count; i += lanes) {
    const int64_t left = 2 * (kept - i) - 1;
    const Floats low = hn::MaskedLoad(first_of(left), d, from + 2 * i),
                 high = hn::MaskedLoad(first_of(left - lanes), d, from + 2 * i + lanes);
    hn::BlendedStore(hn::ConcatEven(d, high, low), first_of(count - i), d, to + i);
  }
}
#endif

/// to[j] = row[first + j * step], zero outside [0, size). kStep: the step if it is 1, 2 or 3, else 0. Written out, since rows are
// short: calling memcpy and dividing by the step took a tenth of a 3x3 layer's time.
template <int kStep>
HWY_INLINE void CopyRow(const float* HWY_RESTRICT row, int64_t size, int64_t first, int64_t step, float* HWY_RESTRICT to,
                        int64_t count) {
  const Full v;
  const int64_t lanes = Lanes();
  if constexpr (kStep != 0) step = kStep;
  const int64_t begin = first >= 0 ? 0 : std::min((-first + step - 1) / step, count);
  const int64_t end = std::clamp<int64_t>(size > first ? (size - first + step - 1) / step : 0, begin, count);
  const float* from = row + first;
  if constexpr (kStep == 1) {
    const auto first_of = [&](int64_t n) HWY_ATTR { return hn::FirstN(v, static_cast<size_t>(std::clamp<int64_t>(n, 0, lanes))); };
    for (int64_t j = 0; j < count; j += lanes) {
      const Floats kept = LoadMasked(hn::AndNot(first_of(begin - j), first_of(end - j)), v, from + j);
      if (j + lanes <= count) {
        hn::StoreU(kept, v, to + j);
      } else {
        StoreMasked(kept, first_of(count - j), v, to + j);
      }
    }
  } else {
    for (int64_t j = 0; j < begin; ++j) to[j] = 0;
    int64_t j = begin;
#if HWY_TARGET != HWY_SCALAR
    if constexpr (kStep == 2) {
      for (; j + lanes < end; j += lanes) {
        hn::StoreU(hn::ConcatEven(v, hn::LoadU(v, from + 2 * j + lanes), hn::LoadU(v, from + 2 * j)), v, to + j);
      }
#if HWY_TARGET == HWY_AVX3
      EveryOther(from + 2 * j, end - j, count - j, to + j);
      j = count;
#endif
    }
    if constexpr (kStep == 3) {
      for (; j + lanes < end; j += lanes) {
        Floats kept, second, third;
        hn::LoadInterleaved3(v, from + 3 * j, kept, second, third);
        hn::StoreU(kept, v, to + j);
      }
    }
#endif
    for (; j < end; ++j) to[j] = from[j * step];
    for (; j < count; ++j) to[j] = 0;
  }
}

/// The same for any step.
inline HWY_NOINLINE HWY_ATTR void CopyRow(const float* row, int64_t size, int64_t first, int64_t step, float* to, int64_t count) {
  if (step == 1) {
    CopyRow<1>(row, size, first, 1, to, count);
  } else if (step == 2) {
    CopyRow<2>(row, size, first, 2, to, count);
  } else if (step == 3) {
    CopyRow<3>(row, size, first, 3, to, count);
  } else {
    CopyRow<0>(row, size, first, step, to, count);
  }
}

/// Copies values past the caches, but for those beside the whole lines of the target.
inline HWY_NOINLINE HWY_ATTR void StreamRow(const float* HWY_RESTRICT from, int64_t count, float* HWY_RESTRICT to) {
  const Full d;
  const int64_t lines = conv_tile::kLine, past = reinterpret_cast<uintptr_t>(to) / sizeof(float) % lines;
  int64_t i = std::min((lines - past) % lines, count);
  std::copy(from, from + i, to);
  for (; i + lines <= count; i += lines) {
    for (int64_t v = 0; v < lines; v += Lanes()) hn::Stream(hn::LoadU(d, from + i + v), d, to + i + v);
  }
  std::copy(from + i, from + count, to + i);
}

}  // namespace tile
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
