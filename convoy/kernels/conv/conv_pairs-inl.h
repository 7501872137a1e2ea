// Sums of products, four of six by pairs: S. Winograd, A New Algorithm for Inner Product, 1968:
//   x1 w1 + x2 w2 = (x1 + w2)(x2 + w1) - x1 x2 - w1 w2 = -(x1 - w2)(x2 - w1) + x1 x2 + w1 w2
// Sums of x1 x2 depend on the pixel alone, those of w1 w2 on the row. A core that adds beside its multiplications, one vector of
// each in a cycle (Zen 4), takes four cycles for six channels: four additions, two products of pairs, and two as they are. Signs
// alternate, or what is subtracted in the end would grow with the number of channels where no input is negative.
//
// Inputs and weights should be of one size, or the small would drown: powers of two bring the mean square of each pixel and of each
// row near 1. The relative error is that of a direct sum where many terms are alike. Where few stand out (N = (sum |x|)^2 / sum x^2
// says how many count; so do NaN and infinity) it is not, and the pixel's or the row's results are summed up directly.

// Per-target include guard, as Highway asks for.
#if defined(CONVOY_KERNELS_CONV_PAIRS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_CONV_PAIRS_INL_H_
#undef CONVOY_KERNELS_CONV_PAIRS_INL_H_
#else
#define CONVOY_KERNELS_CONV_PAIRS_INL_H_
#endif

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_pairs.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/masked-inl.h"
#include "hwy/highway.h"

#if HWY_TARGET == HWY_AVX3  // elsewhere nothing asks for it, and clang warns of targets without a function
HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace pairs {
namespace hn = hwy::HWY_NAMESPACE;
using conv_pairs::kSix;
using conv_pairs::kTile;
using tile::Floats;
using tile::Full;

// sum[i] +-= (v1 +- s2[i]) (v2 +- s1[i]) for two channels that follow each other.
template <bool kPlus, int kN>
HWY_INLINE void AddPair(const float* HWY_RESTRICT v, const float* HWY_RESTRICT s, Floats (&sum)[kN]) {
  const Full d;
  const Floats first = hn::LoadU(d, v), second = hn::LoadU(d, v + tile::Lanes());
  HWY_UNROLL(26)
  for (int i = 0; i < kN; ++i) {
    const Floats below = hn::Set(d, s[kN + i]), above = hn::Set(d, s[i]);
    if constexpr (kPlus) {
      sum[i] = hn::MulAdd(hn::Add(first, below), hn::Add(second, above), sum[i]);
    } else {
      sum[i] = hn::NegMulAdd(hn::Sub(first, below), hn::Sub(second, above), sum[i]);
    }
  }
}

template <int kN>
HWY_INLINE void AddOne(const float* HWY_RESTRICT v, const float* HWY_RESTRICT s, Floats (&sum)[kN]) {
  const Full d;
  const Floats value = hn::LoadU(d, v);
  HWY_UNROLL(26)
  for (int i = 0; i < kN; ++i) sum[i] = hn::MulAdd(value, hn::Set(d, s[i]), sum[i]);
}

/// A tile: sum[i] = sum over c of v[c] s[c][i], a vector, and what follows. Sides: that of vectors, whose lanes are given, and that
/// of single values, given for each sum.
struct Work {
  const float* v;  // [channel][lane]
  const float* s;  // [channel][kLeastTile to kTile, an even number]
  int64_t channels;
  const float *vector_offsets, *vector_factors, *offsets, *factors;  // pairs: offsets are subtracted; then times both factors
  const float* bias = nullptr;                                       // for each sum; null: none
  const float* vector_bias = nullptr;                                // of the lanes; null: none
  const float* residual = nullptr;                                   // like the results; null: none
  float low = -std::numeric_limits<float>::infinity(), high = std::numeric_limits<float>::infinity();
  float* to;
  int64_t stride;
  int64_t lanes;                           // that are stored
  int64_t count;                           // of sums that are stored: all of a tile, or all but the last
  int64_t split = kTile, jump = 0;         // from this sum on so many floats further
  bool streamed = false;                   // whole lines of results go past the caches
  uint32_t vector_direct = 0, direct = 0;  // bits of the lanes, and of the sums, that do not go by pairs
  bool whole = false;                      // what is in a tile is always the same: many of these take the others with them
  // Fetched meanwhile, so many floats for each channel; null: nothing.
  const float* ahead = nullptr;
  int64_t ahead_step = 0;
  // Rows of which channel by channel is fetched, so many of them.
  const float* const* ahead_rows = nullptr;
  int64_t ahead_row_count = 0;

  HWY_INLINE int64_t place(int64_t i) const { return i * stride + (i < split ? 0 : jump); }
};

template <int kN>
HWY_ATTR void Tile(const Work& f) {
  const Full d;
  const int64_t lanes = tile::Lanes();
  Floats sum[kN];
  HWY_UNROLL(26)
  for (int i = 0; i < kN; ++i) sum[i] = hn::Zero(d);
  const float *v = f.v, *s = f.s, *ahead = f.ahead != nullptr ? f.ahead : f.v;  // asked for without asking whether
  const int64_t channels = f.channels, ahead_step = f.ahead != nullptr ? f.ahead_step : 0;
  int64_t c = 0;
  for (; c + kSix <= channels; c += kSix, v += kSix * lanes, s += kSix * kN) {
    HWY_UNROLL(6)
    for (int i = 0; i < kSix; ++i, ahead += ahead_step) __builtin_prefetch(ahead, 0, 2);
    for (int64_t k = 0; k < f.ahead_row_count; ++k) __builtin_prefetch(f.ahead_rows[k] + c);
    AddPair<true, kN>(v, s, sum);
    AddOne<kN>(v + 2 * lanes, s + 2 * kN, sum);
    AddPair<false, kN>(v + 3 * lanes, s + 3 * kN, sum);
    AddOne<kN>(v + 5 * lanes, s + 5 * kN, sum);
  }
  for (; c < channels; ++c, v += lanes, s += kN) AddOne<kN>(v, s, sum);
  const Floats offset = hn::LoadU(d, f.vector_offsets), factor = hn::LoadU(d, f.vector_factors);
  const Floats begin = f.vector_bias != nullptr ? hn::LoadU(d, f.vector_bias) : hn::Zero(d);
  HWY_UNROLL(26)
  for (int i = 0; i < kN; ++i) {
    const Floats without = hn::Sub(hn::Sub(sum[i], offset), hn::Set(d, f.offsets[i]));
    sum[i] = hn::MulAdd(without, hn::Mul(factor, hn::Set(d, f.factors[i])), begin);
  }
  const auto mask = hn::FirstN(d, static_cast<size_t>(f.lanes));
  const auto at = [&](int i) { return i + 1 < kN ? i : f.count - 1; };
  if (f.bias != nullptr) {
    HWY_UNROLL(26)
    for (int i = 0; i < kN; ++i) sum[i] = hn::Add(sum[i], hn::Set(d, f.bias[at(i)]));
  }
  if (f.residual != nullptr) {
    HWY_UNROLL(26)
    for (int i = 0; i < kN; ++i) sum[i] = hn::Add(sum[i], hn::MaskedLoad(mask, d, f.residual + f.place(at(i))));
  }
  if (f.low != -std::numeric_limits<float>::infinity()) {
    const Floats low = hn::Set(d, f.low);
    HWY_UNROLL(26)
    for (int i = 0; i < kN; ++i) sum[i] = tile::AtLeast(sum[i], low);
  }
  if (f.high != std::numeric_limits<float>::infinity()) {
    const Floats high = hn::Set(d, f.high);
    HWY_UNROLL(26)
    for (int i = 0; i < kN; ++i) sum[i] = tile::AtMost(sum[i], high);
  }
  if (f.streamed) {
    HWY_UNROLL(26)
    for (int i = 0; i + 1 < kN; ++i) hn::Stream(sum[i], d, f.to + i * f.stride);
    if (f.count == kN) hn::Stream(sum[kN - 1], d, f.to + (kN - 1) * f.stride);
    return;
  }
  HWY_UNROLL(26)
  for (int i = 0; i + 1 < kN; ++i) hn::BlendedStore(sum[i], mask, d, f.to + f.place(i));
  if (f.count == kN) hn::BlendedStore(sum[kN - 1], mask, d, f.to + f.place(kN - 1));
}

template <int... kI>
HWY_INLINE void RunTileOf(const Work& work, std::integer_sequence<int, kI...>) {
  static constexpr std::array<void (*)(const Work&), sizeof...(kI)> kTiles{
      Tile<static_cast<int>(conv_pairs::kLeastTile) + 2 * kI>...};
  kTiles[static_cast<size_t>((work.count + 1 - conv_pairs::kLeastTile) / 2)](work);
}

inline HWY_NOINLINE HWY_ATTR void RunByPairs(const Work& work) {
  constexpr int64_t kSizes = (kTile - conv_pairs::kLeastTile) / 2 + 1;
  RunTileOf(work, std::make_integer_sequence<int, static_cast<int>(kSizes)>());
}

// Where lanes or sums do not go by pairs they are summed up directly, nothing being subtracted: what decides is a result's own two
// sides, whatever else is in the tile.
inline HWY_NOINLINE HWY_ATTR void RunPartlyDirectly(const Work& f) {
  const Full d;
  const int64_t lanes = tile::Lanes(), width = (f.count + 1) / 2 * 2;
  const uint32_t all_lanes = (uint32_t{1} << f.lanes) - 1, all = (uint32_t{1} << f.count) - 1;
  const auto mask = hn::FirstN(d, static_cast<size_t>(f.lanes));
  const Floats factor = hn::LoadU(d, f.vector_factors), low = hn::Set(d, f.low), high = hn::Set(d, f.high);
  const Floats begin = f.vector_bias != nullptr ? hn::LoadU(d, f.vector_bias) : hn::Zero(d);
  HWY_ALIGN float results[kTile * HWY_LANES(float)];
  int64_t which[kTile], count = 0;
  // Pairs take 0.7 of a direct sum's time.
  const bool all_directly = f.whole && ((f.vector_direct & all_lanes) != 0 || 3 * std::popcount(f.direct & all) > f.count);
  for (int64_t i = 0; i < f.count; ++i) {
    if (all_directly || (f.vector_direct & all_lanes) != 0 || (f.direct >> i & 1) != 0) which[count++] = i;
  }
  constexpr int64_t kAtOnce = 8;
  for (int64_t n = 0; n < count; n += kAtOnce) {
    int64_t at[kAtOnce];
    Floats sum[kAtOnce];
    HWY_UNROLL(8)
    for (int64_t k = 0; k < kAtOnce; ++k) {
      at[k] = which[std::min(n + k, count - 1)];
      sum[k] = hn::Zero(d);
    }
    const float* s = f.s;
    for (int64_t c = 0; c < f.channels; ++c, s += width) {
      const Floats value = hn::LoadU(d, f.v + c * lanes);
      HWY_UNROLL(8)
      for (int k = 0; k < kAtOnce; ++k) sum[k] = hn::MulAdd(value, hn::Set(d, s[at[k]]), sum[k]);
    }
    for (int64_t k = 0; k < std::min<int64_t>(kAtOnce, count - n); ++k) {
      Floats r = hn::MulAdd(sum[k], hn::Mul(factor, hn::Set(d, f.factors[at[k]])), begin);
      if (f.bias != nullptr) r = hn::Add(r, hn::Set(d, f.bias[at[k]]));
      if (f.residual != nullptr) r = hn::Add(r, hn::MaskedLoad(mask, d, f.residual + f.place(at[k])));
      hn::StoreU(tile::Clamped(r, low, high), d, results + (n + k) * lanes);
    }
  }
  // Before that nothing was stored: the residual may lie where the results go.
  if (!all_directly && (f.vector_direct & all_lanes) != all_lanes && (f.direct & all) != all) RunByPairs(f);
  for (int64_t n = 0; n < count; ++n) {
    const uint32_t of = all_directly || (f.direct >> which[n] & 1) != 0 ? all_lanes : f.vector_direct & all_lanes;
    const auto bits = static_cast<uint16_t>(of);
    hn::BlendedStore(hn::LoadU(d, results + n * lanes), hn::LoadMaskBits(d, reinterpret_cast<const uint8_t*>(&bits)), d,
                     f.to + f.place(which[n]));
  }
}

HWY_INLINE void Run(const Work& work) {
  if (HWY_LIKELY((work.vector_direct | work.direct) == 0)) return RunByPairs(work);
  RunPartlyDirectly(work);
}

// What the pairs of one vector's lanes add too much, channel by channel in the order of the sums: of zeros on the other side just
// that is left, and the difference is exactly zero.
template <class Load>
HWY_INLINE Floats Offsets(int64_t channels, const Load& load) {
  Floats sum = hn::Zero(Full());
  for (int64_t c = 0; c + kSix <= channels; c += kSix) {
    sum = hn::MulAdd(load(c), load(c + 1), sum);
    sum = hn::NegMulAdd(load(c + 3), load(c + 4), sum);
  }
  return sum;
}

HWY_INLINE uint32_t BitsOf(hn::Mask<Full> mask) {
  uint8_t bytes[8] = {};
  hn::StoreMaskBits(Full(), mask, bytes);
  return bytes[0] | static_cast<uint32_t>(bytes[1]) << 8;
}

/// Such bits among floats.
HWY_INLINE uint32_t LoadBits(const float* from) {
  uint32_t bits = 0;
  std::memcpy(&bits, from, sizeof(bits));
  return bits;
}
HWY_INLINE void StoreBits(uint32_t bits, float* to) { std::memcpy(to, &bits, sizeof(bits)); }

// Powers of two by which lanes with these sums of squares are near 1 in the mean, and those that undo it; whether that serves.
struct Scales {
  Floats scale, undo;
  uint32_t direct;  // bits of the lanes that should not go by pairs

  static HWY_INLINE Scales Of(Floats squares, Floats sizes, int64_t channels, hn::Mask<Full> mask) {
    const Full d;
    const hn::RebindToSigned<Full> di;
    const Floats least = hn::Set(d, conv_pairs::kLeastSquares);
    const auto in_range = hn::And(hn::Ge(squares, least), hn::Le(squares, hn::Set(d, conv_pairs::kMostSquares)));
    const auto many = hn::Ge(hn::Mul(sizes, sizes), hn::Mul(squares, hn::Set(d, conv_pairs::least_terms(channels))));
    const Floats mean = hn::Mul(squares, hn::Set(d, 1.0F / static_cast<float>(channels)));
    auto half = hn::ShiftRight<1>(hn::Sub(hn::ShiftRight<23>(hn::BitCast(di, mean)), hn::Set(di, 126)));
    half = hn::IfThenElse(hn::RebindMask(di, in_range), half,
                          hn::IfThenElse(hn::RebindMask(di, hn::Lt(squares, least)), hn::Set(di, -63), hn::Set(di, 63)));
    const auto bias = hn::Set(di, 127);
    return {.scale = hn::BitCast(d, hn::ShiftLeft<23>(hn::Sub(bias, half))),
            .undo = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(bias, half))),
            .direct = BitsOf(hn::AndNot(hn::Or(hn::Eq(sizes, hn::Zero(d)), hn::And(in_range, many)), mask))};
  }
};

/// A panel: up to kTile pixels of all channels, scaled, [channel][width], behind what is said of each pixel.
struct Panel {
  float* at;
  bool copied = false;  // whether its pixels are read once, and copied meanwhile

  float* offsets() const { return at; }
  float* undo() const { return at + conv_pairs::kUndo; }
  float* direct() const { return at + conv_pairs::kDirect; }  // bits of pixels
  float* values() const { return at + conv_pairs::kHeader; }
};

/// Makes it of pixels whose channels lie `step` floats apart, kV vectors of them, times a factor for each channel; zeros behind
/// them up to its width.
template <int kV>
HWY_NOINLINE HWY_ATTR void MakePanel(const float* from, int64_t step, const float* factors, int64_t channels, int64_t pixels,
                                     int64_t width, const Panel& panel) {
  const Full d;
  const int64_t lanes = tile::Lanes();
  hn::Mask<Full> mask[kV], row[kV];
  Floats squares[kV], sizes[kV];
  HWY_UNROLL(2)
  for (int v = 0; v < kV; ++v) {
    mask[v] = hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(pixels - v * lanes, 0, lanes)));
    row[v] = hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(width - v * lanes, 0, lanes)));
    squares[v] = sizes[v] = hn::Zero(d);
  }
  const auto raw = [&](int64_t c, int v) HWY_ATTR { return hn::MaskedLoad(mask[v], d, from + c * step + v * lanes); };
  const auto load = [&](int64_t c, int v) HWY_ATTR { return hn::Mul(raw(c, v), hn::Set(d, factors[c])); };
  float* to = panel.values();
  for (int64_t c = 0; c < channels; ++c) {
    HWY_UNROLL(2)
    for (int v = 0; v < kV; ++v) {
      __builtin_prefetch(from + (c + conv_pairs::kAheadChannels) * step + v * lanes);
      const Floats value = load(c, v);
      if (panel.copied) hn::BlendedStore(raw(c, v), row[v], d, to + c * width + v * lanes);
      squares[v] = hn::MulAdd(value, value, squares[v]);
      sizes[v] = hn::Add(sizes[v], hn::Abs(value));
    }
  }
  uint32_t direct = 0;
  Floats scale[kV], sum[kV];
  HWY_UNROLL(2)
  for (int v = 0; v < kV; ++v) {
    const Scales scales = Scales::Of(squares[v], sizes[v], channels, mask[v]);
    direct |= scales.direct << (v * lanes);
    hn::StoreU(scales.undo, d, panel.undo() + v * lanes);
    scale[v] = scales.scale;
    sum[v] = hn::Zero(d);
  }
  StoreBits(direct, panel.direct());
  if (panel.copied) {
    from = to;
    step = width;
  }
  const auto move = [&](int64_t c, Floats(&kept)[kV]) HWY_ATTR {
    HWY_UNROLL(2)
    for (int v = 0; v < kV; ++v) {
      kept[v] = hn::Mul(load(c, v), scale[v]);
      hn::BlendedStore(kept[v], row[v], d, to + v * lanes);
    }
    to += width;
  };
  int64_t c = 0;
  for (; c + kSix <= channels; c += kSix) {
    Floats one[kV], other[kV];
    const auto pair = [&](int64_t at, bool plus) HWY_ATTR {
      move(at, one);
      move(at + 1, other);
      HWY_UNROLL(2)
      for (int v = 0; v < kV; ++v) sum[v] = plus ? hn::MulAdd(one[v], other[v], sum[v]) : hn::NegMulAdd(one[v], other[v], sum[v]);
      move(at + 2, one);
    };
    pair(c, true);
    pair(c + 3, false);
  }
  for (Floats kept[kV]; c < channels; ++c) move(c, kept);
  HWY_UNROLL(2)
  for (int v = 0; v < kV; ++v) hn::StoreU(sum[v], d, panel.offsets() + v * lanes);
}

HWY_INLINE void MakePanel(const float* from, int64_t step, const float* factors, int64_t channels, int64_t pixels, int64_t width,
                          const Panel& panel) {
  const auto make = width <= tile::Lanes() ? MakePanel<1> : MakePanel<2>;
  make(from, step, factors, channels, pixels, width, panel);
}

// The power of two that brings the mean to [1, 2), within limits; of nothing, and of what is not finite, 1.
HWY_INLINE float FactorOf(float sum, int64_t count) {
  if (sum == 0 || !std::isfinite(sum)) return 1;
  return std::ldexp(1.0F, -std::clamp(std::ilogb(sum / static_cast<float>(count)), -120, 120));
}

// to[i] = factor of the sum over j of |w[j][i] other_factors[j]|, null: of 1. A vector's lanes are i.
inline HWY_NOINLINE HWY_ATTR void FactorsAcross(const float* w, int64_t step, int64_t count, int64_t others,
                                                const float* other_factors, float* to) {
  const Full d;
  constexpr int64_t kVectors = 4;
  const int64_t lanes = tile::Lanes(), width = kVectors * lanes;
  parallel_for((count + width - 1) / width, [&](int64_t part) HWY_ATTR {
    const int64_t first = part * width, size = std::min(width, count - first);
    hn::Mask<Full> mask[kVectors];
    Floats sum[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) {
      mask[v] = hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(size - v * lanes, 0, lanes)));
      sum[v] = hn::Zero(d);
    }
    for (int64_t j = 0; j < others; ++j) {
      const Floats factor = hn::Set(d, other_factors != nullptr ? other_factors[j] : 1.0F);
      HWY_UNROLL(4)
      for (int64_t v = 0; v < kVectors; ++v) {
        const Floats value = hn::MaskedLoad(mask[v], d, w + j * step + first + v * lanes);
        sum[v] = hn::MulAdd(hn::Abs(value), factor, sum[v]);
      }
    }
    HWY_ALIGN float sums[kVectors * HWY_LANES(float)];
    for (int64_t v = 0; v < kVectors; ++v) hn::Store(sum[v], d, sums + v * lanes);
    for (int64_t i = 0; i < size; ++i) to[first + i] = sums[i] == 0 && other_factors != nullptr ? 0 : FactorOf(sums[i], others);
  });
}

// The same of w[i][j].
inline HWY_NOINLINE HWY_ATTR void FactorsAlong(const float* w, int64_t step, int64_t count, int64_t others,
                                               const float* other_factors, float* to) {
  const Full d;
  const int64_t lanes = tile::Lanes();
  parallel_for(count, [&](int64_t i) HWY_ATTR {
    Floats sum[2] = {hn::Zero(d), hn::Zero(d)};
    for (int64_t j = 0; j < others; j += lanes) {
      const auto mask = hn::FirstN(d, static_cast<size_t>(std::min(lanes, others - j)));
      const Floats value = hn::Abs(hn::MaskedLoad(mask, d, w + i * step + j));
      Floats& one = sum[j / lanes % 2];
      one = other_factors != nullptr ? hn::MulAdd(value, hn::MaskedLoad(mask, d, other_factors + j), one) : hn::Add(value, one);
    }
    const float all = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum[0], sum[1])));
    to[i] = all == 0 && other_factors != nullptr ? 0 : FactorOf(all, others);
  });
}

/// What rows and channels of a weight, one of which lie side by side, are multiplied by to be of one size. No channel's is below 1,
/// so that no pixel is multiplied by more; zeros alone have no size: of such a channel it is 0, and its pixels are left out.
inline HWY_NOINLINE void Balance(const float* weight, int64_t rows, int64_t weight_row, int64_t channels, int64_t weight_channel,
                                 float* row_factors, float* channel_factors) {
  // Rows first: a channel's mean is taken over rows of one size.
  if (weight_channel == 1) {
    FactorsAlong(weight, weight_row, rows, channels, nullptr, row_factors);
    FactorsAcross(weight, weight_row, channels, rows, row_factors, channel_factors);
  } else {
    FactorsAcross(weight, weight_channel, rows, channels, nullptr, row_factors);
    FactorsAlong(weight, weight_channel, channels, rows, row_factors, channel_factors);
  }
  float least = std::numeric_limits<float>::infinity();
  for (int64_t c = 0; c < channels; ++c) least = channel_factors[c] > 0 ? std::min(least, channel_factors[c]) : least;
  for (int64_t c = 0; c < channels; ++c) channel_factors[c] /= least;
}

/// What pixels are multiplied by instead.
HWY_INLINE void Undo(float* channel_factors, int64_t channels) {
  for (int64_t c = 0; c < channels; ++c) channel_factors[c] = channel_factors[c] > 0 ? 1 / channel_factors[c] : 0;
}

/// Scales to[channel * step + row], up to a vector of rows, by Balance's factors and to a mean square near 1, and says which
/// should not go by pairs. row_factors: then of their sums.
inline HWY_NOINLINE HWY_ATTR uint32_t ScaleRows(float* to, int64_t step, int64_t rows, int64_t channels,
                                                const float* channel_factors, float* row_factors, float* offsets) {
  const Full d;
  const auto mask = hn::FirstN(d, static_cast<size_t>(rows));
  const Floats first = hn::MaskedLoad(mask, d, row_factors);
  Floats squares = hn::Zero(d), sizes = hn::Zero(d);
  for (int64_t c = 0; c < channels; ++c) {
    const Floats v = hn::Mul(hn::Mul(hn::MaskedLoad(mask, d, to + c * step), first), hn::Set(d, channel_factors[c]));
    hn::BlendedStore(v, mask, d, to + c * step);
    squares = hn::MulAdd(v, v, squares);
    sizes = hn::Add(sizes, hn::Abs(v));
  }
  const Scales scales = Scales::Of(squares, sizes, channels, mask);
  for (int64_t c = 0; c < channels; ++c) {
    hn::BlendedStore(hn::Mul(hn::MaskedLoad(mask, d, to + c * step), scales.scale), mask, d, to + c * step);
  }
  const Floats sum = Offsets(channels, [&](int64_t c) HWY_ATTR { return hn::MaskedLoad(mask, d, to + c * step); });
  hn::BlendedStore(sum, mask, d, offsets);
  hn::BlendedStore(hn::Div(scales.undo, first), mask, d, row_factors);
  return scales.direct;
}

}  // namespace pairs
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();
#endif  // HWY_AVX3

#endif  // include guard
