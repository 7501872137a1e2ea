// G g G^T of a whole weight, compiled once per instruction set: in double and rounded once, lanes are results.
//
// Packing is a fixed part of a training step: 512 x 512 channels write 38 MB, which takes 3 ms on two cores; with loops over plain
// arrays it took 15, more than the convolution.

// Per-target include guard, as Highway asks for.
#if defined(CONVOY_KERNELS_CONV_WINOGRAD_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_CONV_WINOGRAD_PACK_INL_H_
#undef CONVOY_KERNELS_CONV_WINOGRAD_PACK_INL_H_
#else
#define CONVOY_KERNELS_CONV_WINOGRAD_PACK_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/conv/winograd_scheme.h"
#include "convoy/kernels/conv/winograd_tiling.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace winograd_pack {
namespace hn = hwy::HWY_NAMESPACE;
using winograd::Problem;
using Full = hn::ScalableTag<float>;
using Wide = hn::ScalableTag<double>;
using Narrow = hn::Rebind<float, Wide>;  // as many floats as doubles fit a vector
using Doubles = hn::Vec<Wide>;

// G: the taps of one axis to its points, `count` times; taps and points lie `step` apart, those of the next `next`. Points but 0
// and infinity come in pairs +-p, whose rows differ in the sign of odd powers.
struct Steps {
  int64_t step, next;
};
template <const winograd::Scheme& kScheme>
HWY_INLINE void Spread(const Doubles* HWY_RESTRICT g, Steps from, Doubles* HWY_RESTRICT u, Steps to, int64_t count) {
  const Wide d;
  for (int64_t j = 0; j < count; ++j, g += from.next, u += to.next) {
    if constexpr (kScheme.points == 1) {
      u[0] = g[0];
    } else {
      u[0] = hn::Mul(hn::Set(d, kScheme.g[0][0]), g[0]);
      HWY_UNROLL(4)
      for (int64_t i = 1; i + 2 < kScheme.points; i += 2) {
        const auto& row = kScheme.g[static_cast<size_t>(i)];
        Doubles even = hn::Mul(hn::Set(d, row[0]), g[0]), odd = hn::Mul(hn::Set(d, row[1]), g[from.step]);
        HWY_UNROLL(4)
        for (int64_t k = 2; k < kScheme.taps; ++k) {
          Doubles& sum = k % 2 == 0 ? even : odd;
          sum = hn::MulAdd(hn::Set(d, row[static_cast<size_t>(k)]), g[k * from.step], sum);
        }
        u[i * to.step] = hn::Add(even, odd);
        u[(i + 1) * to.step] = hn::Sub(even, odd);
      }
      u[(kScheme.points - 1) * to.step] = g[(kScheme.taps - 1) * from.step];
    }
  }
}

// to[i][lane] = from[lane * stride + i], i < count, zero beyond `results` lanes. Nothing else is read.
HWY_INLINE void TurnTaps(const float* from, int64_t stride, int64_t results, int64_t count, float* to) {
  const int64_t lanes = tile::Lanes();
#if HWY_TARGET != HWY_SCALAR
  if (count >= 4 && results == lanes) {
    const Full d;
    const hn::Repartition<double, Full> pairs;
    for (int64_t at = 0; at < count; at += 4) {
      const int64_t i = std::min<int64_t>(at, count - 4);  // some a second time
      const int64_t step = 4 * stride;
      const auto a = tile::LoadBlocks(d, from + i, step), b = tile::LoadBlocks(d, from + i + stride, step),
                 e = tile::LoadBlocks(d, from + i + 2 * stride, step), f = tile::LoadBlocks(d, from + i + 3 * stride, step);
      const auto ab_low = hn::BitCast(pairs, hn::InterleaveLower(d, a, b)),
                 ef_low = hn::BitCast(pairs, hn::InterleaveLower(d, e, f)),
                 ab_high = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b)),
                 ef_high = hn::BitCast(pairs, hn::InterleaveUpper(d, e, f));
      hn::Store(hn::BitCast(d, hn::InterleaveLower(pairs, ab_low, ef_low)), d, to + i * lanes);
      hn::Store(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_low, ef_low)), d, to + (i + 1) * lanes);
      hn::Store(hn::BitCast(d, hn::InterleaveLower(pairs, ab_high, ef_high)), d, to + (i + 2) * lanes);
      hn::Store(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_high, ef_high)), d, to + (i + 3) * lanes);
    }
    return;
  }
#endif
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t l = 0; l < lanes; ++l) to[i * lanes + l] = l < results ? from[l * stride + i] : 0.0f;
  }
}

// Both axes of a scheme, written out in code of its own.
template <class H, class W>
struct WrittenOut {
  static constexpr int64_t taps_h = H::kScheme.taps, taps_w = W::kScheme.taps;
  static constexpr int64_t points_h = H::kScheme.points, points_w = W::kScheme.points;
  static HWY_INLINE void spread_h(const Doubles* g, Steps from, Doubles* u, Steps to, int64_t count) {
    Spread<H::kScheme>(g, from, u, to, count);
  }
  static HWY_INLINE void spread_w(const Doubles* g, Steps from, Doubles* u, Steps to, int64_t count) {
    Spread<W::kScheme>(g, from, u, to, count);
  }
};

// Those of any, called.
using SpreadTaps = void (*)(const Doubles*, Steps, Doubles*, Steps, int64_t);
struct Called {
  int64_t taps_h, taps_w, points_h, points_w;
  SpreadTaps spread_h, spread_w;
};
template <const winograd::Scheme& kScheme>
HWY_ATTR void SpreadCalled(const Doubles* g, Steps from, Doubles* u, Steps to, int64_t count) {
  Spread<kScheme>(g, from, u, to, count);
}

// packed[group][pair of vectors of results][point][slice][channel][vector][lane]; the last pair may be a single, and at a point
// where a vector's weights are zeros the other one fills the first half of the place.
inline constexpr int64_t kChannels = 16;       // of a task
inline constexpr int64_t kStreamed = 4 << 20;  // floats of a packed weight that goes past the caches, at least
inline constexpr int kTapArea = winograd::kMostTaps * winograd::kMostTaps;
inline constexpr int kPointArea = winograd::kMostPoints * winograd::kMostPoints;
inline constexpr int kKernelArea = 64;  // 8x8 at a stride of 2
inline constexpr int kTurnedFloats = (kKernelArea + 1) * hn::MaxLanes(Full()), kPointFloats = kPointArea * hn::MaxLanes(Full());

template <class Axes>
HWY_ATTR void PackWeight(const Problem& p, const Axes& axes, const float* weight, float* packed) {
  const int64_t taps_h = axes.taps_h, taps_w = axes.taps_w, points_h = axes.points_h, points_w = axes.points_w;
  const int64_t all_points = points_h * points_w;
  const int64_t lanes = tile::Lanes(), narrow = static_cast<int64_t>(hn::Lanes(Narrow()));
  const int64_t vectors = p.vectors(lanes), pairs = (vectors + 1) / 2, depth = p.depth();
  const int64_t parts = (p.channels + kChannels - 1) / kChannels;
  const int64_t area = p.h.kernel * p.w.kernel, taps = p.d.points * area;
  const bool streamed = p.groups * vectors * lanes * all_points * depth >= kStreamed &&
                        reinterpret_cast<uintptr_t>(packed) % (hn::Lanes(Full()) * sizeof(float)) == 0;
  parallel_for(p.groups * pairs * parts, [&](int64_t task) HWY_ATTR {
    const Full d;
    const Wide wide;
    HWY_ALIGN float turned[kTurnedFloats];  // zeros behind the last
    std::fill(turned + area * lanes, turned + (area + 1) * lanes, 0.0f);
    HWY_ALIGN float points[kPointFloats];
    const int64_t part = task % parts, pair = task / parts % pairs, group = task / parts / pairs;
    const int64_t width = std::min<int64_t>(2, vectors - 2 * pair) * lanes, first = 2 * pair * lanes;
    float* const to = packed + (group * vectors * lanes + first) * all_points * depth;
    for (int64_t channel = part * kChannels; channel < std::min(p.channels, (part + 1) * kChannels); ++channel) {
      for (int64_t slice = 0; slice < p.slices(); ++slice) {
        const int64_t tap = slice / p.sliced_phases();
        for (int64_t v = 0; v < width; v += lanes) {
          const int64_t vector = (first + v) / lanes, result = vector / p.phases() * lanes;
          const int64_t results = std::min(lanes, p.results - result);
          if (p.flipped) {
            TurnTaps(weight + ((group * p.channels + channel) * p.results + result) * taps + taps - (tap + 1) * area, taps, results,
                     area, turned);
          } else {
            TurnTaps(weight + ((group * p.results + result) * p.planes() + channel / p.interleaved) * taps + tap * area,
                     p.planes() * taps, results, area, turned);
          }
          // The layer's tap under a tap of the scheme: of a phase of the sources, or of the results from the last to the first.
          const int64_t phase = p.source_phase(slice, channel);
          const int64_t phase_h = p.flipped ? vector % p.phases() / p.w.phases : phase / p.w.step;
          const int64_t phase_w = p.flipped ? vector % p.w.phases : phase % p.w.step;
          int64_t at[kTapArea];
          for (int64_t i = 0; i < taps_h; ++i) {
            const int64_t h = p.flipped ? phase_h + (taps_h - 1 - i) * p.h.phases : phase_h + i * p.h.step;
            for (int64_t k = 0; k < taps_w; ++k) {
              const int64_t w = p.flipped ? phase_w + (taps_w - 1 - k) * p.w.phases : phase_w + k * p.w.step;
              at[i * taps_w + k] = (h < p.h.kernel && w < p.w.kernel ? h * p.w.kernel + w : area) * lanes;
            }
          }
          for (int64_t l = 0; l < lanes; l += narrow) {
            Doubles g[kTapArea], half[kPointArea], u[kPointArea];
            for (int64_t i = 0; i < taps_h * taps_w; ++i) g[i] = hn::PromoteTo(wide, hn::LoadU(Narrow(), turned + at[i] + l));
            axes.spread_h(g, {taps_w, 1}, half, {taps_w, 1}, taps_w);
            axes.spread_w(half, {1, taps_w}, u, {1, points_w}, points_h);
            for (int64_t i = 0; i < all_points; ++i) {
              hn::StoreU(hn::DemoteTo(Narrow(), u[i]), Narrow(), points + i * lanes + l);
            }
          }
          // Whole lines at once: the points lie far apart, in few sets of the cache.
          for (int64_t i = 0; i < all_points; ++i) {
            if (!p.yields(vector, i)) continue;
            const int64_t used = p.yielding(first / lanes, width / lanes, i);
            float* const out = to + i * depth * width + (slice * p.channels + channel) * used * lanes + v;
            const auto point = hn::Load(d, points + i * lanes);
            if (streamed) {
              hn::Stream(point, d, out);
            } else {
              hn::StoreU(point, d, out);
            }
          }
        }
      }
    }
    if (streamed) hwy::FlushStream();
  });
}

// F(4,3), which a training step packs in every call, is written out (a quarter faster); all schemes so would take 240 KB.
template <class H, class W>
HWY_ATTR void Pack(const Problem& p, const float* weight, float* packed) {
  if constexpr (H::kScheme.taps == 3 && H::kScheme.points == 6 && W::kScheme.points == 6) {
    PackWeight(p, WrittenOut<H, W>(), weight, packed);
  } else {
    const Called axes{H::kScheme.taps,   W::kScheme.taps,          H::kScheme.points,
                      W::kScheme.points, SpreadCalled<H::kScheme>, SpreadCalled<W::kScheme>};
    PackWeight(p, axes, weight, packed);
  }
}

}  // namespace winograd_pack
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
