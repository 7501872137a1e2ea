// The register tiles of the direct convolutions, compiled once per instruction set. Both compute sums over (channel, tap) of
// weight x source, where the tile's pixels lie side by side in memory for every tap; they differ in what a vector's lanes are.
//
// ChannelTile: lanes = result channels, kP pixels broadcast one by one, the weights one sequential stream. Alignment and row length
//   of the source do not matter; the sums need a transposition (store_channels), so it pays from about 100 terms on.
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
#include <utility>

#include "convoy/kernels/conv/conv_tile.h"
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

// 14 x 2 keeps 28 sums, 2 weights and a pixel or two in 32 registers, 6 x 2 the same in 16.
#if HWY_TARGET == HWY_AVX3
inline constexpr int kPixels = 14, kRows = 8, kVectors = 3;
#else
inline constexpr int kPixels = 6, kRows = 4, kVectors = 3;
#endif

HWY_INLINE int64_t Lanes() { return static_cast<int64_t>(hn::Lanes(Full())); }

// Keeps a loaded value in a register: GCC 12 would fold the load into every multiply-add that uses it.
HWY_INLINE void Pin(Floats& v) {
#if HWY_TARGET == HWY_AVX3
  asm("" : "+v"(v.raw));
#elif HWY_TARGET == HWY_AVX2
  asm("" : "+x"(v.raw));
#endif
}

// Keeps loads from moving across: GCC 12 would share pixels between taps, and spill them.
HWY_INLINE void KeepOrder() { asm volatile("" ::: "memory"); }

template <int kP, int kV, int kStep>
HWY_INLINE void AddTap(const float* HWY_RESTRICT x, const float* HWY_RESTRICT w, Floats (&sum)[kP][kV]) {
  const Full d;
  Floats weight[kV];
  HWY_UNROLL(2)
  for (int v = 0; v < kV; ++v) {
    weight[v] = hn::LoadU(d, w + v * Lanes());
    Pin(weight[v]);
  }
  HWY_UNROLL(16)
  for (int p = 0; p < kP; ++p) {
    Floats value = hn::Set(d, x[p * kStep]);
    if (kV > 1) Pin(value);
    HWY_UNROLL(2)
    for (int v = 0; v < kV; ++v) sum[p][v] = hn::MulAdd(value, weight[v], sum[p][v]);
  }
}

// kStep: distance of the pixels in the source.
template <int kP, int kV, int kStep>
HWY_ATTR void ChannelTile(const Work& t) {
  const Full d;
  const int64_t lanes = Lanes();
  Floats sum[kP][kV];
  HWY_UNROLL(16)
  for (int p = 0; p < kP; ++p) {
    for (int v = 0; v < kV; ++v) sum[p][v] = hn::Zero(d);
  }
  const float* x = t.source;
  const float* w = t.weight;
  const Tap* const end = t.taps + t.tap_count;
  for (int64_t c = 0; c < t.channels; ++c) {
    // Three taps a turn: 7 % faster than one where the weights come from L2. (A lambda for the body would keep the sums in memory.)
    const Tap* tap = t.taps;
    while (tap != end) {
      if (end - tap >= 3) {
        HWY_UNROLL(3)
        for (int i = 0; i < 3; ++i) {
          AddTap<kP, kV, kStep>(x + tap[i].source, w + tap[i].weight, sum);
          KeepOrder();
        }
        tap += 3;
      } else {
        AddTap<kP, kV, kStep>(x + tap->source, w + tap->weight, sum);
        ++tap;
      }
    }
    x += t.source_channel;
    w += t.weight_channel;
  }
  float* to = t.sums;
  HWY_UNROLL(16)
  for (int p = 0; p < kP; ++p) {
    for (int v = 0; v < kV; ++v) {
      hn::StoreU(t.add ? hn::Add(hn::LoadU(d, to + p * t.sums_stride + v * lanes), sum[p][v]) : sum[p][v], d,
                 to + p * t.sums_stride + v * lanes);
    }
  }
}

template <int kV, int kStep, int... kP>
HWY_INLINE void RunChannelTile(const Work& t, int64_t pixels, std::integer_sequence<int, kP...>) {
  static constexpr std::array<void (*)(const Work&), sizeof...(kP)> kTiles{ChannelTile<kP + 1, kV, kStep>...};
  kTiles[static_cast<size_t>(pixels - 1)](t);
}

/// Sums for `pixels` <= kPixels pixels that lie 1 or 2 floats apart, and 1 or 2 vectors of result channels.
HWY_INLINE void RunChannelTile(const Work& t, int64_t pixels, int64_t vectors, int64_t step) {
  constexpr auto kAll = std::make_integer_sequence<int, kPixels>();
  if (step == 1) {
    vectors == 2 ? RunChannelTile<2, 1>(t, pixels, kAll) : RunChannelTile<1, 1>(t, pixels, kAll);
  } else {
    vectors == 2 ? RunChannelTile<2, 2>(t, pixels, kAll) : RunChannelTile<1, 2>(t, pixels, kAll);
  }
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

HWY_INLINE Floats Clamp(Floats v, Floats low, Floats high) {
  // A NaN fails both comparisons and stays.
  const Floats y = hn::IfThenElse(hn::Lt(v, low), low, v);
  return hn::IfThenElse(hn::Gt(y, high), high, y);
}

/// Transposes sums[pixel][sums_stride] of `channels` channels into rows of `pixels` values and finishes them. Reads up to
/// one vector of pixels beyond the last.
HWY_INLINE void StoreChannels(const float* sums, int64_t sums_stride, int64_t pixels, int64_t channels, const Finish& finish,
                              float* result, int64_t result_stride) {
  const Full d;
  const int64_t lanes = Lanes();
  const Floats low = hn::Set(d, finish.low), high = hn::Set(d, finish.high);
  const bool clamp = finish.clamp;
  for (int64_t c = 0; c < channels; c += 4) {
    const int64_t rows = std::min<int64_t>(4, channels - c);
    for (int64_t p = 0; p < pixels; p += lanes) {
      const float* from = sums + p * sums_stride + c;
      Floats row[4];
#if HWY_TARGET == HWY_SCALAR
      for (int i = 0; i < 4; ++i) row[i] = hn::Set(d, i < rows ? from[i] : 0.0f);
#else
      const int64_t step = 4 * sums_stride;
      const Floats a = LoadBlocks(d, from, step), b = LoadBlocks(d, from + sums_stride, step),
                   e = LoadBlocks(d, from + 2 * sums_stride, step), f = LoadBlocks(d, from + 3 * sums_stride, step);
      const hn::Repartition<double, Full> d64;
      const auto ab_low = hn::BitCast(d64, hn::InterleaveLower(d, a, b)), ab_high = hn::BitCast(d64, hn::InterleaveUpper(d, a, b)),
                 ef_low = hn::BitCast(d64, hn::InterleaveLower(d, e, f)), ef_high = hn::BitCast(d64, hn::InterleaveUpper(d, e, f));
      row[0] = hn::BitCast(d, hn::InterleaveLower(d64, ab_low, ef_low));
      row[1] = hn::BitCast(d, hn::InterleaveUpper(d64, ab_low, ef_low));
      row[2] = hn::BitCast(d, hn::InterleaveLower(d64, ab_high, ef_high));
      row[3] = hn::BitCast(d, hn::InterleaveUpper(d64, ab_high, ef_high));
#endif
      const auto mask = hn::FirstN(d, static_cast<size_t>(std::min(lanes, pixels - p)));
      HWY_UNROLL(4)
      for (int i = 0; i < 4; ++i) {
        if (i >= rows) break;
        float* to = result + (c + i) * result_stride + p;
        Floats v = row[i];
        if (finish.bias != nullptr) v = hn::Add(v, hn::Set(d, finish.bias[c + i]));
        if (finish.residual != nullptr) v = hn::Add(v, hn::MaskedLoad(mask, d, finish.residual + (to - finish.result)));
        if (clamp) v = Clamp(v, low, high);
        if (p + lanes <= pixels) {
          hn::StoreU(v, d, to);
        } else {
          hn::BlendedStore(v, mask, d, to);
        }
      }
    }
  }
}

}  // namespace tile
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
