// One sweep per channel: its statistics are taken and its values normalised while they lie in the second-level cache, so that
// memory is read once and written once, backward too (the gradient, the input and, with a residual, the output read once).
// 8 images of ResNet-50, 56 planes of 64 to 2048 channels, two cores, in separate passes normalisation, ReLU and additions
// took 172 of a training step's 940 ms.
//
// Results too large for the outer cache are streamed: they go past the caches, which saves reading their lines before, and the next
// channel's values are asked for while one is written. Smaller ones are better off in the cache, where the next layer finds them.
//
// Sums are double, taken over parts of a channel that depend on the shape alone and added in order. The deviations' squares come
// from one pass, around a value K of the part itself: sum (x - K)^2 - (sum (x - K))^2 / n. Since n * variance >= (mean - K)^2 / 2,
// the subtraction loses at most some n * 2^-53 of the variance.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/norm/batch_norm.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/norm/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/masked-inl.h"
#include "convoy/kernels/narrow-inl.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_NORM_BATCH_NORM_PARTS
#define CONVOY_KERNELS_NORM_BATCH_NORM_PARTS
namespace convoy::kernels {
namespace {

constexpr int64_t kPart = 32768;   // values per part, about
constexpr int64_t kGrain = 16384;  // values per task, at least
// How far the first pass asks ahead: a core that reads one or two streams waits for memory, 15 % of forward and backward.
constexpr int64_t kAhead = 1024;
constexpr int64_t kStreamed = 2 << 20;  // values of a result that goes past the caches, at least

// Whether results are streamed: the instruction needs whole vectors' addresses.
bool streams(const BatchNormShape& s, const float* result) {
  constexpr int64_t kVector = 64 / sizeof(float);
  return s.batch * s.channels * s.length >= kStreamed && s.length % kVector == 0 && reinterpret_cast<uintptr_t>(result) % 64 == 0;
}

// A part is a range of segments; a segment is a plane, or a piece of one of at most kPart values.
struct Parts {
  int64_t per_plane, segments, per_part, count;

  explicit Parts(const BatchNormShape& s)
      : per_plane((s.length + kPart - 1) / kPart),
        segments(s.batch * per_plane),
        per_part(std::max<int64_t>(1, kPart / s.length)),
        count((segments + per_part - 1) / per_part) {}
};

// The pieces of a part: `at` is the offset from the channel's first value. Loops, not a function called with a lambda: GCC keeps
// the sums that a lambda shares in memory, which took three times as long.
struct Run {
  const BatchNormShape& shape;
  Parts parts;
  int64_t segment, last, at = 0, length = 0;

  Run(const BatchNormShape& s, int64_t part)
      : shape(s), parts(s), segment(part * parts.per_part), last(std::min(segment + parts.per_part, parts.segments)) {}

  bool next() {
    if (segment == last) return false;
    const int64_t from = segment % parts.per_plane * kPart;
    at = segment / parts.per_plane * shape.channels * shape.length + from;
    length = std::min(kPart, shape.length - from);
    ++segment;
    return true;
  }
};

}  // namespace
}  // namespace convoy::kernels
#endif  // CONVOY_KERNELS_NORM_BATCH_NORM_PARTS

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D64 = hn::ScalableTag<double>;
using DF = hn::ScalableTag<float>;
using DH = hn::Rebind<float, D64>;  // as many floats as doubles fit a vector

HWY_INLINE double Total(hn::Vec<D64> a, hn::Vec<D64> b) { return hn::GetLane(hn::SumOfLanes(D64(), hn::Add(a, b))); }

void PartMoments(const BatchNormShape& s, int64_t part, const float* x, Moments* result) {
  const auto n = static_cast<int64_t>(hn::Lanes(D64()));
  float pivot = 0;
  int64_t count = 0;
  auto sum0 = hn::Zero(D64()), sum1 = sum0, squares0 = sum0, squares1 = sum0;
  for (Run run(s, part); run.next();) {
    const float* p = x + run.at;
    const int64_t length = run.length;
    if (count == 0) pivot = *p;
    count += length;
    const auto pivots = hn::Set(D64(), static_cast<double>(pivot));
    int64_t i = 0;
    for (; i + 2 * n <= length; i += 2 * n) {
      __builtin_prefetch(p + i + kAhead);
      const auto v0 = hn::PromoteTo(D64(), hn::LoadU(DH(), p + i)), v1 = hn::PromoteTo(D64(), hn::LoadU(DH(), p + i + n));
      const auto d0 = hn::Sub(v0, pivots), d1 = hn::Sub(v1, pivots);
      sum0 = hn::Add(sum0, v0);
      sum1 = hn::Add(sum1, v1);
      squares0 = hn::MulAdd(d0, d0, squares0);
      squares1 = hn::MulAdd(d1, d1, squares1);
    }
    for (; i < length; i += n) {
      const auto mask = hn::FirstN(DH(), static_cast<size_t>(std::min(n, length - i)));
      const auto v = LoadMasked(mask, DH(), p + i);
      const auto d = hn::Sub(hn::PromoteTo(D64(), hn::IfThenElse(mask, v, hn::Set(DH(), pivot))), pivots);
      sum0 = hn::Add(sum0, hn::PromoteTo(D64(), v));
      squares0 = hn::MulAdd(d, d, squares0);
    }
  }
  const double sum = Total(sum0, sum1), total = static_cast<double>(count), shifted = sum - total * static_cast<double>(pivot);
  const double squares = Total(squares0, squares1) - shifted * shifted / total;
  *result = {total, sum, squares < 0 ? 0 : squares};
}

// A NaN stays.
HWY_INLINE hn::Vec<DF> Clamp(hn::Vec<DF> v, hn::Vec<DF> low, hn::Vec<DF> high) {
  const auto raised = hn::IfThenElse(hn::Lt(v, low), low, v);
  return hn::IfThenElse(hn::Gt(raised, high), high, raised);
}

// A vector of normalised values.
struct Normalization {
  hn::Vec<DF> center, scale, shift, low, high;

  HWY_INLINE hn::Vec<DF> operator()(hn::Vec<DF> x) const { return hn::MulAdd(hn::Sub(x, center), scale, shift); }
  HWY_INLINE hn::Vec<DF> clamp(hn::Vec<DF> v) const { return Clamp(v, low, high); }
};

template <bool kResidual>
HWY_INLINE void NormalizePart(const BatchNormShape& s, int64_t part, const BatchNormForward& io, int64_t channel,
                              const ChannelCoefficients& c, bool streamed) {
  const DF d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  const Normalization of{hn::Set(d, c.center), hn::Set(d, c.scale), hn::Set(d, c.shift), hn::Set(d, io.low), hn::Set(d, io.high)};
  for (Run run(s, part); run.next();) {
    const int64_t at = run.at + channel * s.length, length = run.length;
    const float *x = io.input + at, *r = kResidual ? io.residual + at : x;
    float* y = io.output + at;
    int64_t i = 0;
    for (; streamed && i < length; i += n) {
      __builtin_prefetch(x + i + s.length, 0, 3);
      if constexpr (kResidual) __builtin_prefetch(r + i + s.length, 0, 3);
      auto v = of(hn::LoadU(d, x + i));
      if constexpr (kResidual) v = hn::Add(v, hn::LoadU(d, r + i));
      hn::Stream(of.clamp(v), d, y + i);
    }
    for (; i + n <= length; i += n) {
      auto v = of(hn::LoadU(d, x + i));
      if constexpr (kResidual) v = hn::Add(v, hn::LoadU(d, r + i));
      hn::StoreU(of.clamp(v), d, y + i);
    }
    if (i < length) {
      const auto mask = hn::FirstN(d, static_cast<size_t>(length - i));
      auto v = of(LoadMasked(mask, d, x + i));
      if constexpr (kResidual) v = hn::Add(v, LoadMasked(mask, d, r + i));
      StoreMasked(of.clamp(v), mask, d, y + i);
    }
  }
  if (streamed) hwy::FlushStream();
}

void PartNormalize(const BatchNormShape& s, int64_t part, const BatchNormForward& io, int64_t channel,
                   const ChannelCoefficients& c) {
  const bool streamed = HWY_TARGET != HWY_SCALAR && streams(s, io.output);
  if (io.residual != nullptr) return NormalizePart<true>(s, part, io, channel, c, streamed);
  NormalizePart<false>(s, part, io, channel, c, streamed);
}

// Where the gradient passes: everywhere, where the input shows that the output was not clamped, or where the output shows it.
enum class Passes { kAlways, kByInput, kByOutput };

struct Gate {
  hn::Vec<DH> center, scale, shift, low, high;

  template <Passes kPasses>
  HWY_INLINE hn::Vec<DH> Through(hn::Vec<DH> grad, hn::Vec<DH> x, hn::Vec<DH> output) const {
    if constexpr (kPasses == Passes::kAlways) return grad;
    const auto y = kPasses == Passes::kByOutput ? output : hn::MulAdd(hn::Sub(x, center), scale, shift);
    return hn::IfThenZeroElse(hn::Or(hn::Le(y, low), hn::Ge(y, high)), grad);
  }
};

HWY_INLINE Gate MakeGate(const BatchNormBackward& io, const ChannelCoefficients& c) {
  const DH d;
  return {hn::Set(d, c.center), hn::Set(d, c.scale), hn::Set(d, c.shift), hn::Set(d, io.low), hn::Set(d, io.high)};
}

// All lanes, also of results that are streamed, or the first of a run's last vector: the others are 0, so that their gradient adds
// nothing.
struct Whole {
  HWY_INLINE hn::Vec<DH> Load(const float* p) const { return hn::LoadU(DH(), p); }
  HWY_INLINE void Store(hn::Vec<DH> v, float* p) const { hn::StoreU(v, DH(), p); }
};
struct Streamed : Whole {
  HWY_INLINE void Store(hn::Vec<DH> v, float* p) const {
    // Of two floats WebAssembly's Stream would write four: over the next channel's first.
    if constexpr (hn::MaxLanes(DH()) * sizeof(float) < 16) return hn::StoreU(v, DH(), p);
    hn::Stream(v, DH(), p);
  }
};
struct Rest {
  hn::Mask<DH> mask;
  HWY_INLINE hn::Vec<DH> Load(const float* p) const { return LoadMasked(mask, DH(), p); }
  HWY_INLINE void Store(hn::Vec<DH> v, float* p) const { StoreMasked(v, mask, DH(), p); }
};

// kKeeps: what passes is stored.
template <Passes kPasses, bool kKeeps, class Lanes>
HWY_INLINE void AddToSums(const Lanes& lanes, const Gate& gate, const float* g, const float* x, const float* y, float* passed,
                          hn::Vec<D64> mean, hn::Vec<D64>& grads, hn::Vec<D64>& products) {
  const auto value = lanes.Load(x);
  auto output = value;
  if constexpr (kPasses == Passes::kByOutput) output = lanes.Load(y);
  const auto narrow = gate.Through<kPasses>(lanes.Load(g), value, output);
  if constexpr (kKeeps) lanes.Store(narrow, passed);
  const auto grad = hn::PromoteTo(D64(), narrow);
  grads = hn::Add(grads, grad);
  products = hn::MulAdd(grad, hn::Sub(hn::PromoteTo(D64(), value), mean), products);
}

template <Passes kPasses, bool kKeeps>
HWY_INLINE void SumPart(const BatchNormShape& s, int64_t part, const BatchNormBackward& io, int64_t channel,
                        const ChannelCoefficients& c, GradSums* result) {
  const auto n = static_cast<int64_t>(hn::Lanes(DH()));
  const Gate gate = MakeGate(io, c);
  const auto mean = hn::Set(D64(), io.mean[channel]);
  auto grads0 = hn::Zero(D64()), grads1 = grads0, products0 = grads0, products1 = grads0;
  for (Run run(s, part); run.next();) {
    const int64_t at = run.at + channel * s.length, length = run.length;
    const float *g = io.grad_output + at, *x = io.input + at, *y = kPasses == Passes::kByOutput ? io.output + at : g;
    float* passed = kKeeps ? io.grad_residual + at : nullptr;
    int64_t i = 0;
    for (; i + 2 * n <= length; i += 2 * n) {
      __builtin_prefetch(g + i + kAhead);
      __builtin_prefetch(x + i + kAhead);
      if constexpr (kPasses == Passes::kByOutput) __builtin_prefetch(y + i + kAhead);
      AddToSums<kPasses, kKeeps>(Whole(), gate, g + i, x + i, y + i, passed + i, mean, grads0, products0);
      const int64_t j = i + n;
      AddToSums<kPasses, kKeeps>(Whole(), gate, g + j, x + j, y + j, passed + j, mean, grads1, products1);
    }
    for (; i < length; i += n) {
      const Rest rest{hn::FirstN(DH(), static_cast<size_t>(std::min(n, length - i)))};
      AddToSums<kPasses, kKeeps>(rest, gate, g + i, x + i, y + i, passed + i, mean, grads0, products0);
    }
  }
  *result = {Total(grads0, grads1), Total(products0, products1)};
}

// With an output what passes is stored now and read again, or found out again where results are streamed.
HWY_INLINE bool StreamsGradients(const BatchNormShape& s, const BatchNormBackward& io) {
  return HWY_TARGET != HWY_SCALAR && streams(s, io.grad_input) && (io.output == nullptr || streams(s, io.grad_residual));
}

void PartGradSums(const BatchNormShape& s, int64_t part, const BatchNormBackward& io, int64_t channel, const ChannelCoefficients& c,
                  bool clamped, GradSums* result) {
  if (io.output != nullptr && StreamsGradients(s, io)) return SumPart<Passes::kByOutput, false>(s, part, io, channel, c, result);
  if (io.output != nullptr) return SumPart<Passes::kByOutput, true>(s, part, io, channel, c, result);
  if (clamped) return SumPart<Passes::kByInput, false>(s, part, io, channel, c, result);
  SumPart<Passes::kAlways, false>(s, part, io, channel, c, result);
}

// grad_input = grad * slope + (input - mean) * tilt + offset in double: over a few values the terms cancel almost completely.
struct GradCoefficients {
  double slope, tilt, offset;
};

struct Spread {
  hn::Vec<D64> mean, slope, tilt, offset;

  template <Passes kPasses, class Lanes>
  HWY_INLINE void Step(const Lanes& lanes, const Gate& gate, const float* g, const float* x, const float* y, float* passed,
                       float* to) const {
    const auto value = lanes.Load(x);
    auto output = value;
    if constexpr (kPasses == Passes::kByOutput) output = lanes.Load(y);
    const auto narrow = gate.Through<kPasses>(lanes.Load(g), value, output);
    if constexpr (kPasses == Passes::kByOutput) lanes.Store(narrow, passed);
    const auto grad = hn::PromoteTo(D64(), narrow);
    const auto rest = hn::MulAdd(hn::Sub(hn::PromoteTo(D64(), value), mean), tilt, offset);
    lanes.Store(Narrow(DH(), hn::MulAdd(grad, slope, rest)), to);
  }
};

// kByOutput: only where results are streamed.
template <Passes kPasses>
HWY_INLINE void SpreadPart(const BatchNormShape& s, int64_t part, const BatchNormBackward& io, const float* grad_output,
                           int64_t channel, const ChannelCoefficients& c, const GradCoefficients& of) {
  const auto n = static_cast<int64_t>(hn::Lanes(DH()));
  const Gate gate = MakeGate(io, c);
  const Spread spread{hn::Set(D64(), io.mean[channel]), hn::Set(D64(), of.slope), hn::Set(D64(), of.tilt),
                      hn::Set(D64(), of.offset)};
  const bool streamed = StreamsGradients(s, io);
  for (Run run(s, part); run.next();) {
    const int64_t at = run.at + channel * s.length, length = run.length;
    const float *g = grad_output + at, *x = io.input + at, *y = kPasses == Passes::kByOutput ? io.output + at : g;
    float *to = io.grad_input + at, *passed = kPasses == Passes::kByOutput ? io.grad_residual + at : to;
    int64_t i = 0;
    for (; streamed && i < length; i += 2 * n) {
      const int64_t j = i + n;
      __builtin_prefetch(g + i + s.length, 0, 3);
      __builtin_prefetch(x + i + s.length, 0, 3);
      if constexpr (kPasses == Passes::kByOutput) __builtin_prefetch(y + i + s.length, 0, 3);
      spread.Step<kPasses>(Streamed(), gate, g + i, x + i, y + i, passed + i, to + i);
      spread.Step<kPasses>(Streamed(), gate, g + j, x + j, y + j, passed + j, to + j);
    }
    if constexpr (kPasses == Passes::kByOutput) continue;
    for (; i + n <= length; i += n) spread.Step<kPasses>(Whole(), gate, g + i, x + i, y + i, passed + i, to + i);
    if (i < length) {
      const Rest rest{hn::FirstN(DH(), static_cast<size_t>(length - i))};
      spread.Step<kPasses>(rest, gate, g + i, x + i, y + i, passed + i, to + i);
    }
  }
  if (streamed) hwy::FlushStream();
}

void PartGradInput(const BatchNormShape& s, int64_t part, const BatchNormBackward& io, int64_t channel,
                   const ChannelCoefficients& c, bool clamped, double slope, double tilt, double offset) {
  const GradCoefficients spread{slope, tilt, offset};
  if (io.output != nullptr && StreamsGradients(s, io)) {
    return SpreadPart<Passes::kByOutput>(s, part, io, io.grad_output, channel, c, spread);
  }
  if (io.output != nullptr) return SpreadPart<Passes::kAlways>(s, part, io, io.grad_residual, channel, c, spread);
  if (clamped) return SpreadPart<Passes::kByInput>(s, part, io, io.grad_output, channel, c, spread);
  SpreadPart<Passes::kAlways>(s, part, io, io.grad_output, channel, c, spread);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(PartMoments);
CONVOY_EXPORT(PartNormalize);
CONVOY_EXPORT(PartGradSums);
CONVOY_EXPORT(PartGradInput);

namespace {

// Calls gather(channel, part) for all parts of a channel, then finish(channel), then spread(channel, part) for all parts: one
// channel after the other where there are enough of them for all threads, else step by step.
template <class Gather, class Finish, class Spread>
void for_each_channel(const BatchNormShape& s, const Gather& gather, const Finish& finish, const Spread& spread) {
  const int64_t parts = Parts(s).count;
  if (parts == 1 || s.channels >= 4 * num_threads()) {
    parallel_ranges(s.channels, std::max<int64_t>(1, kGrain / (s.batch * s.length)), [&](int64_t begin, int64_t end) {
      for (int64_t channel = begin; channel < end; ++channel) {
        for (int64_t part = 0; part < parts; ++part) gather(channel, part);
        finish(channel);
        for (int64_t part = 0; part < parts; ++part) spread(channel, part);
      }
    });
    return;
  }
  parallel_for(s.channels * parts, [&](int64_t task) { gather(task / parts, task % parts); });
  for (int64_t channel = 0; channel < s.channels; ++channel) finish(channel);
  parallel_for(s.channels * parts, [&](int64_t task) { spread(task / parts, task % parts); });
}

double value_or(const float* values, int64_t i, double otherwise) {
  return values == nullptr ? otherwise : static_cast<double>(values[i]);
}

}  // namespace

int64_t batch_norm_parts(const BatchNormShape& s) noexcept { return Parts(s).count; }

void batch_norm(const BatchNormShape& s, const BatchNormForward& io) noexcept {
  const int64_t parts = Parts(s).count;
  const auto coefficients = [&](int64_t channel) {
    return ChannelCoefficients(io.mean[channel], io.inv_std[channel] * value_or(io.weight, channel, 1.0),
                               value_or(io.bias, channel, 0.0));
  };
  for_each_channel(
      s,
      [&](int64_t channel, int64_t part) {
        CONVOY_DISPATCH(PartMoments)(s, part, io.input + channel * s.length, &io.partial[channel * parts + part]);
      },
      [&](int64_t channel) {
        Moments all;
        for (int64_t part = 0; part < parts; ++part) all.add(io.partial[channel * parts + part]);
        io.mean[channel] = all.mean();
        io.squares[channel] = all.squares;
        io.inv_std[channel] = 1.0 / std::sqrt(all.squares / all.count + io.eps);
      },
      [&](int64_t channel, int64_t part) {
        CONVOY_DISPATCH(PartNormalize)
        (s, part, io, channel, coefficients(channel));
      });
}

void batch_norm_backward(const BatchNormShape& s, const BatchNormBackward& io) noexcept {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const int64_t parts = Parts(s).count;
  const double count = static_cast<double>(s.batch * s.length);
  const bool clamped = io.low > -kInfinity || io.high < kInfinity;
  const auto factor = [&](int64_t channel) { return io.inv_std[channel] * value_or(io.weight, channel, 1.0); };
  const auto coefficients = [&](int64_t channel) {
    return ChannelCoefficients(io.mean[channel], factor(channel), value_or(io.bias, channel, 0.0));
  };
  for_each_channel(
      s,
      [&](int64_t channel, int64_t part) {
        CONVOY_DISPATCH(PartGradSums)
        (s, part, io, channel, coefficients(channel), clamped, &io.partial[channel * parts + part]);
      },
      [&](int64_t channel) {
        GradSums all;
        for (int64_t part = 0; part < parts; ++part) {
          all.grad += io.partial[channel * parts + part].grad;
          all.product += io.partial[channel * parts + part].product;
        }
        io.grad_weight[channel] = all.product * io.inv_std[channel];
        io.grad_bias[channel] = all.grad;
      },
      [&](int64_t channel, int64_t part) {
        const double slope = factor(channel);
        CONVOY_DISPATCH(PartGradInput)
        (s, part, io, channel, coefficients(channel), clamped, slope,
         -slope * io.inv_std[channel] * io.grad_weight[channel] / count, -slope * io.grad_bias[channel] / count);
      });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
