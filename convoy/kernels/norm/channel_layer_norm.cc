#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/norm/channel_layer_norm.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/loops-inl.h"
#include "convoy/kernels/norm/channel_layer_norm.h"
#include "hwy/highway.h"

#include <algorithm>
#include <cmath>

#include "convoy/core/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kChannelsPerSum = 16;

// Positions [0, n) of one sample, n at most two vectors' lanes: the channels pass three times, from the cache after the first.
HWY_INLINE void NormalizeStrip(int64_t channels, int64_t step, double eps, const float* input, const float* weight,
                               const float* bias, float* output, int64_t n) {
  const hn::ScalableTag<float> d;
  const hn::ScalableTag<double> wide;
  const hn::Rebind<float, decltype(wide)> half;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d)), wide_lanes = static_cast<int64_t>(hn::Lanes(wide));
  HWY_ALIGN double sums[2 * HWY_MAX_BYTES / sizeof(float)];
  HWY_ALIGN float part[2 * HWY_MAX_BYTES / sizeof(float)];
  const bool whole = n == 2 * lanes;
  const auto load = [&](const float* from, V& a, V& b) HWY_ATTR {
    if (whole) {
      a = hn::LoadU(d, from);
      b = hn::LoadU(d, from + lanes);
      return;
    }
    a = n >= lanes ? hn::LoadU(d, from) : LoadPart(d, from, n);
    b = n > lanes ? LoadPart(d, from + lanes, n - lanes) : hn::Zero(d);
  };
  // sums[i] = sum over the channels of f(value i).
  const auto add_up = [&](const auto& f) HWY_ATTR {
    for (int64_t i = 0; i < 2 * lanes; i += wide_lanes) hn::Store(hn::Zero(wide), wide, sums + i);
    for (int64_t begin = 0; begin < channels; begin += kChannelsPerSum) {
      V first = hn::Zero(d), second = hn::Zero(d);
      for (int64_t c = begin; c < std::min(begin + kChannelsPerSum, channels); ++c) {
        V a, b;
        load(input + c * step, a, b);
        first = f(a, first, 0);
        second = f(b, second, 1);
      }
      hn::Store(first, d, part);
      hn::Store(second, d, part + lanes);
      for (int64_t i = 0; i < 2 * lanes; i += wide_lanes) {
        hn::Store(hn::Add(hn::Load(wide, sums + i), hn::PromoteTo(wide, hn::Load(half, part + i))), wide, sums + i);
      }
    }
    const double count = static_cast<double>(channels);
    for (int64_t i = 0; i < 2 * lanes; ++i) sums[i] /= count;
  };
  HWY_ALIGN float means[2 * HWY_MAX_BYTES / sizeof(float)];
  HWY_ALIGN float scales[2 * HWY_MAX_BYTES / sizeof(float)];
  add_up([&](V v, V sum, int) HWY_ATTR { return hn::Add(sum, v); });
  for (int64_t i = 0; i < 2 * lanes; ++i) means[i] = static_cast<float>(sums[i]);
  const V mean[2] = {hn::Load(d, means), hn::Load(d, means + lanes)};
  add_up([&](V v, V sum, int k) HWY_ATTR {
    const V apart = hn::Sub(v, mean[k]);
    return hn::MulAdd(apart, apart, sum);
  });
  for (int64_t i = 0; i < 2 * lanes; ++i) scales[i] = static_cast<float>(1 / std::sqrt(sums[i] + eps));
  const V scale[2] = {hn::Load(d, scales), hn::Load(d, scales + lanes)};
  for (int64_t c = 0; c < channels; ++c) {
    V a, b;
    load(input + c * step, a, b);
    const V factor = hn::Set(d, weight[c]), term = hn::Set(d, bias != nullptr ? bias[c] : 0.0f);
    a = hn::MulAdd(hn::Mul(hn::Sub(a, mean[0]), scale[0]), factor, term);
    b = hn::MulAdd(hn::Mul(hn::Sub(b, mean[1]), scale[1]), factor, term);
    float* to = output + c * step;
    if (whole) {
      hn::StoreU(a, d, to);
      hn::StoreU(b, d, to + lanes);
      continue;
    }
    if (n >= lanes) {
      hn::StoreU(a, d, to);
    } else {
      StorePart(a, d, to, n);
    }
    if (n > lanes) StorePart(b, d, to + lanes, n - lanes);
  }
}

HWY_ATTR void NormalizeStrips(int64_t channels, int64_t positions, double eps, const float* input, const float* weight,
                              const float* bias, float* output, int64_t begin, int64_t end) {
  const auto strip = 2 * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>()));
  for (int64_t p = begin; p < end; p += strip) {
    NormalizeStrip(channels, positions, eps, input + p, weight, bias, output + p, std::min(strip, end - p));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(NormalizeStrips);

void channel_layer_norm(int64_t batch, int64_t channels, int64_t positions, double eps, const float* input, const float* weight,
                        const float* bias, float* output) noexcept {
  constexpr int64_t kPositionsPerTask = 64;  // whole strips of any vector length
  const auto f = CONVOY_DISPATCH(NormalizeStrips);
  const int64_t tasks = (positions + kPositionsPerTask - 1) / kPositionsPerTask;
  parallel_for(batch * tasks, [&](int64_t task) {
    const int64_t at = task / tasks * channels * positions, begin = task % tasks * kPositionsPerTask;
    f(channels, positions, eps, input + at, weight, bias, output + at, begin, std::min(begin + kPositionsPerTask, positions));
  });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
