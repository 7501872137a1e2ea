// The channels are cut in parts, by the shape alone. First each part's planes are averaged and its share of the first linear layer
// is computed; behind the only barrier the shares are added, and each part computes its own gates and scales its planes.
//
// What it saves is not arithmetic: as five layers EfficientNet's sixteen blocks spent most of their half millisecond waiting for
// the other thread and fetching what that one had written.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/elementwise/squeeze_excite.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/elementwise/squeeze_excite.h"

#include <algorithm>

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/loops-inl.h"
#include "convoy/kernels/reduce/sum-inl.h"
#include "hwy/highway.h"

// What no SIMD target changes, once for all of them.
#ifndef CONVOY_KERNELS_SQUEEZE_EXCITE_ONCE_
#define CONVOY_KERNELS_SQUEEZE_EXCITE_ONCE_
namespace convoy::kernels::squeeze_excite_parts {

constexpr int64_t kBlock = 16;      // channels whose gates are computed at once
constexpr int64_t kMostParts = 16;  // every part adds up the shares of all

constexpr int64_t blocks_of(int64_t count) { return (count + kBlock - 1) / kBlock; }

// Packed: the squeeze weight with rows of channels, padded to whole blocks; then blocks of the excite weight, whose rows are
// squeezed values and whose columns are the block's channels.
struct Parts {
  int64_t channel_blocks, width, parts, squeezed, channels;

  explicit Parts(const SqueezeExciteShape& s)
      : channel_blocks(blocks_of(s.channels)),
        width(blocks_of(s.squeezed) * kBlock),
        parts(std::min(channel_blocks, kMostParts)),
        squeezed(s.squeezed),
        channels(s.channels) {}
  int64_t begin(int64_t part) const { return std::min(channel_blocks * part / parts * kBlock, channels); }
  int64_t gates() const { return channel_blocks * kBlock; }
  int64_t excite_at() const { return gates() * width; }
  // Per sample: means, gates and shares.
  int64_t sample_floats() const { return 2 * gates() + parts * width; }
};

}  // namespace convoy::kernels::squeeze_excite_parts
#endif

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using squeeze_excite_parts::kBlock;

// means[i] = the mean of plane i; share[s] = the sum of means[i] weight[i][s], rows of `width`.
HWY_ATTR void SqueezePart(const float* planes, int64_t positions, int64_t count, const float* weight, int64_t width, float* means,
                          float* share) {
  for (int64_t i = 0; i < count; ++i) {
    means[i] = static_cast<float>(SumByFours(planes + i * positions, positions) / static_cast<double>(positions));
  }
  const hn::CappedTag<float, static_cast<size_t>(kBlock)> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t s = 0; s < width; s += lanes) {
    auto even = hn::Zero(d), odd = hn::Zero(d);
    int64_t i = 0;
    for (; i + 2 <= count; i += 2) {
      even = hn::MulAdd(hn::Load(d, weight + i * width + s), hn::Set(d, means[i]), even);
      odd = hn::MulAdd(hn::Load(d, weight + (i + 1) * width + s), hn::Set(d, means[i + 1]), odd);
    }
    if (i < count) even = hn::MulAdd(hn::Load(d, weight + i * width + s), hn::Set(d, means[i]), even);
    hn::Store(hn::Add(even, odd), d, share + s);
  }
}

// squeezed[s] = bias[s] + the shares' sum; bias may be null.
HWY_ATTR void AddShares(const float* shares, int64_t parts, int64_t width, const float* bias, int64_t count, float* squeezed) {
  const hn::CappedTag<float, static_cast<size_t>(kBlock)> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t s = 0; s < width; s += lanes) {
    auto sum = hn::Zero(d);
    for (int64_t part = 0; part < parts; ++part) sum = hn::Add(sum, hn::Load(d, shares + part * width + s));
    if (bias != nullptr && s < count) sum = hn::Add(sum, LoadPart(d, bias + s, std::min(lanes, count - s)));
    hn::Store(sum, d, squeezed + s);
  }
}

// gates[c] = bias[c] + the sum of squeezed[s] weight[block][s][c].
HWY_ATTR void ExciteBlocks(const float* squeezed, int64_t count, const float* weight, int64_t blocks, const float* bias,
                           int64_t channels, float* gates) {
  const hn::CappedTag<float, static_cast<size_t>(kBlock)> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t block = 0; block < blocks; ++block, weight += count * kBlock) {
    for (int64_t c = 0; c < kBlock; c += lanes) {
      // Four chains, since a product waits for the one before it.
      auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0;
      int64_t s = 0;
      const float* at = weight + c;
      for (; s + 4 <= count; s += 4, at += 4 * kBlock) {
        a0 = hn::MulAdd(hn::Load(d, at), hn::Set(d, squeezed[s]), a0);
        a1 = hn::MulAdd(hn::Load(d, at + kBlock), hn::Set(d, squeezed[s + 1]), a1);
        a2 = hn::MulAdd(hn::Load(d, at + 2 * kBlock), hn::Set(d, squeezed[s + 2]), a2);
        a3 = hn::MulAdd(hn::Load(d, at + 3 * kBlock), hn::Set(d, squeezed[s + 3]), a3);
      }
      for (; s < count; ++s, at += kBlock) a0 = hn::MulAdd(hn::Load(d, at), hn::Set(d, squeezed[s]), a0);
      auto sum = hn::Add(hn::Add(a0, a1), hn::Add(a2, a3));
      const int64_t first = block * kBlock + c;
      if (bias != nullptr && first < channels) sum = hn::Add(sum, LoadPart(d, bias + first, std::min(lanes, channels - first)));
      hn::Store(sum, d, gates + first);
    }
  }
}

// Plane i of the output = plane i of the input * gates[i].
HWY_ATTR void ScalePlanes(const float* input, const float* gates, int64_t count, int64_t positions, float* output) {
  for (int64_t i = 0; i < count; ++i) {
    const float gate = gates[i];
    Map([gate](auto d, auto v) HWY_ATTR { return hn::Mul(v, hn::Set(d, gate)); }, input + i * positions, output + i * positions,
        positions);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(SqueezePart);
CONVOY_EXPORT(AddShares);
CONVOY_EXPORT(ExciteBlocks);
CONVOY_EXPORT(ScalePlanes);

using squeeze_excite_parts::kBlock;
using squeeze_excite_parts::Parts;

int64_t squeeze_excite_packed_floats(const SqueezeExciteShape& shape) {
  const Parts p(shape);
  return p.excite_at() + p.gates() * p.squeezed;
}

void squeeze_excite_pack(const SqueezeExciteShape& shape, const float* squeeze, const float* excite, float* packed) noexcept {
  const Parts p(shape);
  std::fill_n(packed, squeeze_excite_packed_floats(shape), 0.0f);
  for (int64_t c = 0; c < p.channels; ++c) {
    float* const to = packed + p.excite_at() + c / kBlock * kBlock * p.squeezed + c % kBlock;
    for (int64_t s = 0; s < p.squeezed; ++s) {
      packed[c * p.width + s] = squeeze[s * p.channels + c];
      to[s * kBlock] = excite[c * p.squeezed + s];
    }
  }
}

size_t squeeze_excite_workspace_bytes(const SqueezeExciteShape& shape, int threads) {
  const Parts p(shape);
  return padded_bytes(static_cast<size_t>(shape.batch * p.sample_floats() + threads * p.width) * sizeof(float));
}

void squeeze_excite(const SqueezeExciteShape& s, const SqueezeExciteActivations& activations, const float* input,
                    const float* packed, const float* squeeze_bias, const float* excite_bias, float* output,
                    Workspace& workspace) noexcept {
  const Parts p(s);
  float* const samples = workspace.take<float>(s.batch * p.sample_floats() + num_threads() * p.width);
  float* const squeezed_of_threads = samples + s.batch * p.sample_floats();
  const auto plane = [&](int64_t sample, int64_t channel) { return (sample * s.channels + channel) * s.positions; };
  parallel_for(s.batch * p.parts, [&](int64_t task) {
    const int64_t sample = task / p.parts, part = task % p.parts, first = p.begin(part), count = p.begin(part + 1) - first;
    float* const means = samples + sample * p.sample_floats();
    CONVOY_DISPATCH(SqueezePart)
    (input + plane(sample, first), s.positions, count, packed + first * p.width, p.width, means + first,
     means + 2 * p.gates() + part * p.width);
  });
  const ActivationOnRows activate = activation_on_rows();
  const auto apply = [&](const std::optional<Activation>& kind, const ActivationOptions& options, float* values, int64_t count) {
    if (!kind) return;
    activate(*kind, static_cast<float>(options.a), static_cast<float>(options.b), values, values, 0, 1, count);
  };
  parallel_for(s.batch * p.parts, [&](int64_t task, int thread) {
    const int64_t sample = task / p.parts, part = task % p.parts, first = p.begin(part), count = p.begin(part + 1) - first;
    float *const gates = samples + sample * p.sample_floats() + p.gates(), *const squeezed = squeezed_of_threads + thread * p.width;
    CONVOY_DISPATCH(AddShares)(gates + p.gates(), p.parts, p.width, squeeze_bias, p.squeezed, squeezed);
    apply(activations.squeeze, activations.squeeze_options, squeezed, p.width);
    CONVOY_DISPATCH(ExciteBlocks)
    (squeezed, p.squeezed, packed + p.excite_at() + first * p.squeezed, squeeze_excite_parts::blocks_of(count),
     excite_bias != nullptr ? excite_bias + first : nullptr, count, gates + first);
    apply(activations.gate, activations.gate_options, gates + first, count);
    CONVOY_DISPATCH(ScalePlanes)
    (input + plane(sample, first), gates + first, count, s.positions, output + plane(sample, first));
  });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
