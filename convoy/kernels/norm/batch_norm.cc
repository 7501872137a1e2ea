// One sweep per channel: its statistics are taken and its values normalised while they lie in the second-level cache, so that
// memory is read once and written once, backward too (the gradient, the input and, with a residual, the output read once).
// 8 images of ResNet-50, 56 planes of 64 to 2048 channels, two cores, in separate passes normalisation, ReLU and additions
// took 172 of a training step's 940 ms.
//
// What bounds it is memory: while a channel's results are written the next one's values are asked for, and large results go past
// the caches, which saves reading their lines before (backward of 256 channels of 56x56 with a residual 4.2 -> 2.8 ms; results of
// a few MB are better off in the outer cache, where the next layer finds them).
//
// Sums of a channel are those of its parts, which depend on the shape alone, in order. Inside of a part chains of at most 16 values
// a lane are added in float32 and their sums in double; the mean is added in double from the start, and deviations are taken from
// the part's mean, not from a value that may lie far off.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/norm/batch_norm.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/norm/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/kernels/masked-inl.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_NORM_BATCH_NORM_PARTS
#define CONVOY_KERNELS_NORM_BATCH_NORM_PARTS
namespace convoy::kernels {
namespace {

constexpr int64_t kPart = 32768;        // values per part, about
constexpr int64_t kGrain = 16384;       // values per task, at least
constexpr int64_t kStreamed = 2 << 20;  // values of a result that goes past the caches, at least

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

// A sum of float32 vectors: short chains in float32, added up in double.
struct WideSum {
  hn::Vec<D64> sum;

  HWY_INLINE void Add(hn::Vec<DF> chain) {
#if HWY_TARGET == HWY_SCALAR
    sum = hn::Add(sum, hn::PromoteTo(D64(), chain));
#else
    sum = hn::Add(sum, hn::PromoteTo(D64(), hn::LowerHalf(DH(), chain)));
    sum = hn::Add(sum, hn::PromoteTo(D64(), hn::UpperHalf(DH(), chain)));
#endif
  }
  HWY_INLINE double Total() const { return hn::GetLane(hn::SumOfLanes(D64(), sum)); }
};

// Values of a chain, which is added in two halves.
HWY_INLINE int64_t ChainValues() { return 16 * static_cast<int64_t>(hn::Lanes(DF())); }

// All lanes, also of results that go past the caches, or the first of a run's last vector: zeros are read beyond.
struct Whole {
  HWY_INLINE hn::Vec<DF> Load(const float* p) const { return hn::LoadU(DF(), p); }
  HWY_INLINE void Store(hn::Vec<DF> v, float* p) const { hn::StoreU(v, DF(), p); }
};
struct Streamed : Whole {
  HWY_INLINE void Store(hn::Vec<DF> v, float* p) const { hn::Stream(v, DF(), p); }
};
struct Rest {
  hn::Mask<DF> mask;
  explicit HWY_INLINE Rest(int64_t count) : mask(hn::FirstN(DF(), static_cast<size_t>(count))) {}
  HWY_INLINE hn::Vec<DF> Load(const float* p) const { return LoadMasked(mask, DF(), p); }
  HWY_INLINE void Store(hn::Vec<DF> v, float* p) const { StoreMasked(v, mask, DF(), p); }
};

// Whether a run's results at p are streamed: the instruction needs whole vectors' addresses.
HWY_INLINE bool Streams(const BatchNormShape& s, const float* p) {
  return s.batch * s.channels * s.length >= kStreamed && reinterpret_cast<uintptr_t>(p) % (hn::Lanes(DF()) * sizeof(float)) == 0;
}

// Asks for what will be read soon, into the second-level cache.
HWY_INLINE void AskFor(const float* p) { __builtin_prefetch(p, 0, 2); }

// The residual is read next.
void PartMoments(const BatchNormShape& s, int64_t part, const float* x, const float* residual, Moments* result) {
  const auto n = static_cast<int64_t>(hn::Lanes(D64())), lanes = static_cast<int64_t>(hn::Lanes(DF()));
  int64_t count = 0;
  auto sum0 = hn::Zero(D64()), sum1 = sum0;
  for (Run run(s, part); run.next();) {
    const float* p = x + run.at;
    const int64_t length = run.length;
    count += length;
    int64_t i = 0;
    for (; i + 2 * n <= length; i += 2 * n) {
      sum0 = hn::Add(sum0, hn::PromoteTo(D64(), hn::LoadU(DH(), p + i)));
      sum1 = hn::Add(sum1, hn::PromoteTo(D64(), hn::LoadU(DH(), p + i + n)));
    }
    for (; i < length; i += n) {
      const auto mask = hn::FirstN(DH(), static_cast<size_t>(std::min(n, length - i)));
      sum0 = hn::Add(sum0, hn::PromoteTo(D64(), LoadMasked(mask, DH(), p + i)));
    }
  }
  const double total = static_cast<double>(count), sum = hn::GetLane(hn::SumOfLanes(D64(), hn::Add(sum0, sum1)));
  const float near = static_cast<float>(sum / total);
  const auto center = hn::Set(DF(), near);
  WideSum squares{hn::Zero(D64())};
  for (Run run(s, part); run.next();) {
    const float* p = x + run.at;
    for (int64_t i = 0; i < run.length;) {
      const int64_t end = std::min(i + ChainValues(), run.length);
      auto chain0 = hn::Zero(DF()), chain1 = chain0;
      for (; i + 2 * lanes <= end; i += 2 * lanes) {
        if (residual != nullptr) {
          AskFor(residual + run.at + i);
          AskFor(residual + run.at + i + lanes);
        }
        const auto d0 = hn::Sub(hn::LoadU(DF(), p + i), center), d1 = hn::Sub(hn::LoadU(DF(), p + i + lanes), center);
        chain0 = hn::MulAdd(d0, d0, chain0);
        chain1 = hn::MulAdd(d1, d1, chain1);
      }
      for (; i < end; i += lanes) {
        const Rest rest(std::min(lanes, end - i));
        const auto d = hn::IfThenElseZero(rest.mask, hn::Sub(rest.Load(p + i), center));
        chain0 = hn::MulAdd(d, d, chain0);
      }
      squares.Add(hn::Add(chain0, chain1));
      i = end;
    }
  }
  const double apart = sum / total - static_cast<double>(near);
  *result = {total, sum, std::max(0.0, squares.Total() - total * apart * apart)};
}

// A NaN stays.
HWY_INLINE hn::Vec<DF> Clamp(hn::Vec<DF> v, hn::Vec<DF> low, hn::Vec<DF> high) {
  const auto raised = hn::IfThenElse(hn::Lt(v, low), low, v);
  return hn::IfThenElse(hn::Gt(raised, high), high, raised);
}

struct Normalization {
  hn::Vec<DF> center, scale, shift, low, high;

  template <bool kResidual, class Lanes>
  HWY_INLINE void Step(const Lanes& lanes, const float* x, const float* residual, float* y) const {
    auto v = hn::MulAdd(hn::Sub(lanes.Load(x), center), scale, shift);
    if constexpr (kResidual) v = hn::Add(v, lanes.Load(residual));
    lanes.Store(Clamp(v, low, high), y);
  }
};

template <bool kResidual>
HWY_INLINE void NormalizePart(const BatchNormShape& s, int64_t part, const BatchNormForward& io, int64_t channel,
                              const ChannelCoefficients& c) {
  const DF d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  const Normalization of{hn::Set(d, c.center), hn::Set(d, c.scale), hn::Set(d, c.shift), hn::Set(d, io.low), hn::Set(d, io.high)};
  for (Run run(s, part); run.next();) {
    const int64_t at = run.at + channel * s.length, length = run.length, next = s.length;
    const float *x = io.input + at, *r = kResidual ? io.residual + at : x;
    float* y = io.output + at;
    int64_t i = 0;
    if (Streams(s, y)) {
      for (; i + n <= length; i += n) {
        AskFor(x + i + next);
        of.Step<kResidual>(Streamed(), x + i, r + i, y + i);
      }
    }
    for (; i + n <= length; i += n) {
      AskFor(x + i + next);
      of.Step<kResidual>(Whole(), x + i, r + i, y + i);
    }
    if (i < length) of.Step<kResidual>(Rest(length - i), x + i, r + i, y + i);
  }
  hwy::FlushStream();
}

void PartNormalize(const BatchNormShape& s, int64_t part, const BatchNormForward& io, int64_t channel,
                   const ChannelCoefficients& c) {
  if (io.residual != nullptr) return NormalizePart<true>(s, part, io, channel, c);
  NormalizePart<false>(s, part, io, channel, c);
}

// Where the gradient passes: everywhere, where the input shows that the output was not clamped, or where the output shows it.
enum class Passes { kAlways, kByInput, kByOutput };

struct Gate {
  hn::Vec<DF> center, scale, shift, low, high;

  HWY_INLINE Gate(const BatchNormBackward& io, const ChannelCoefficients& c)
      : center(hn::Set(DF(), c.center)),
        scale(hn::Set(DF(), c.scale)),
        shift(hn::Set(DF(), c.shift)),
        low(hn::Set(DF(), io.low)),
        high(hn::Set(DF(), io.high)) {}

  // The gradient that passes, and how far the input is from the center.
  template <Passes kPasses, class Lanes>
  HWY_INLINE hn::Vec<DF> Through(const Lanes& lanes, const float* g, const float* x, const float* output,
                                 hn::Vec<DF>& distance) const {
    const auto grad = lanes.Load(g);
    distance = hn::Sub(lanes.Load(x), center);
    if constexpr (kPasses == Passes::kAlways) return grad;
    auto y = distance;
    if constexpr (kPasses == Passes::kByOutput) {
      y = lanes.Load(output);
    } else {
      y = hn::MulAdd(distance, scale, shift);
    }
    return hn::IfThenZeroElse(hn::Or(hn::Le(y, low), hn::Ge(y, high)), grad);
  }
};

template <Passes kPasses>
HWY_INLINE void SumPart(const BatchNormShape& s, int64_t part, const BatchNormBackward& io, int64_t channel,
                        const ChannelCoefficients& c, GradSums* result) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  const Gate gate(io, c);
  WideSum grads{hn::Zero(D64())}, products = grads;
  for (Run run(s, part); run.next();) {
    const int64_t at = run.at + channel * s.length;
    const float *g = io.grad_output + at, *x = io.input + at, *y = kPasses == Passes::kByOutput ? io.output + at : g;
    for (int64_t i = 0; i < run.length;) {
      const int64_t end = std::min(i + ChainValues(), run.length);
      auto grads0 = hn::Zero(DF()), grads1 = grads0, products0 = grads0, products1 = grads0, distance = grads0;
      for (; i + 2 * n <= end; i += 2 * n) {
        const auto first = gate.Through<kPasses>(Whole(), g + i, x + i, y + i, distance);
        grads0 = hn::Add(grads0, first);
        products0 = hn::MulAdd(first, distance, products0);
        const int64_t j = i + n;
        const auto second = gate.Through<kPasses>(Whole(), g + j, x + j, y + j, distance);
        grads1 = hn::Add(grads1, second);
        products1 = hn::MulAdd(second, distance, products1);
      }
      for (; i < end; i += n) {  // the gradient is 0 in the lanes beyond
        const auto grad = gate.Through<kPasses>(Rest(std::min(n, end - i)), g + i, x + i, y + i, distance);
        grads0 = hn::Add(grads0, grad);
        products0 = hn::MulAdd(grad, distance, products0);
      }
      grads.Add(hn::Add(grads0, grads1));
      products.Add(hn::Add(products0, products1));
      i = end;
    }
  }
  const double grad = grads.Total();
  *result = {grad, products.Total() + grad * (static_cast<double>(c.center) - io.mean[channel])};
}

void PartGradSums(const BatchNormShape& s, int64_t part, const BatchNormBackward& io, int64_t channel, const ChannelCoefficients& c,
                  bool clamped, GradSums* result) {
  if (io.output != nullptr) return SumPart<Passes::kByOutput>(s, part, io, channel, c, result);
  if (clamped) return SumPart<Passes::kByInput>(s, part, io, channel, c, result);
  SumPart<Passes::kAlways>(s, part, io, channel, c, result);
}

// grad_input = grad * slope + (input - center) * tilt + offset.
struct Spread {
  hn::Vec<DF> slope, tilt, offset;

  template <Passes kPasses, class Lanes>
  HWY_INLINE void Step(const Lanes& lanes, const Gate& gate, const float* g, const float* x, const float* y, float* passed,
                       float* to) const {
    hn::Vec<DF> distance;
    const auto grad = gate.Through<kPasses>(lanes, g, x, y, distance);
    if constexpr (kPasses == Passes::kByOutput) lanes.Store(grad, passed);
    lanes.Store(hn::MulAdd(grad, slope, hn::MulAdd(distance, tilt, offset)), to);
  }
};

template <Passes kPasses>
HWY_INLINE void SpreadPart(const BatchNormShape& s, int64_t part, const BatchNormBackward& io, int64_t channel,
                           const ChannelCoefficients& c, const Spread& spread) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  const Gate gate(io, c);
  for (Run run(s, part); run.next();) {
    const int64_t at = run.at + channel * s.length, length = run.length, next = s.length;
    const float *g = io.grad_output + at, *x = io.input + at, *y = kPasses == Passes::kByOutput ? io.output + at : g;
    float *to = io.grad_input + at, *passed = kPasses == Passes::kByOutput ? io.grad_residual + at : to;
    const auto ask = [&](int64_t i) HWY_ATTR {
      AskFor(g + i + next);
      AskFor(x + i + next);
      if constexpr (kPasses == Passes::kByOutput) AskFor(y + i + next);
    };
    int64_t i = 0;
    if (Streams(s, to) && Streams(s, passed)) {
      for (; i + n <= length; i += n) {
        ask(i);
        spread.Step<kPasses>(Streamed(), gate, g + i, x + i, y + i, passed + i, to + i);
      }
    }
    for (; i + n <= length; i += n) {
      ask(i);
      spread.Step<kPasses>(Whole(), gate, g + i, x + i, y + i, passed + i, to + i);
    }
    if (i < length) spread.Step<kPasses>(Rest(length - i), gate, g + i, x + i, y + i, passed + i, to + i);
  }
  hwy::FlushStream();
}

void PartGradInput(const BatchNormShape& s, int64_t part, const BatchNormBackward& io, int64_t channel,
                   const ChannelCoefficients& c, bool clamped, double slope, double tilt, double offset) {
  const double apart = static_cast<double>(c.center) - io.mean[channel];
  const Spread spread{hn::Set(DF(), static_cast<float>(slope)), hn::Set(DF(), static_cast<float>(tilt)),
                      hn::Set(DF(), static_cast<float>(offset + apart * tilt))};
  if (io.output != nullptr) return SpreadPart<Passes::kByOutput>(s, part, io, channel, c, spread);
  if (clamped) return SpreadPart<Passes::kByInput>(s, part, io, channel, c, spread);
  SpreadPart<Passes::kAlways>(s, part, io, channel, c, spread);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(PartMoments);
HWY_EXPORT(PartNormalize);
HWY_EXPORT(PartGradSums);
HWY_EXPORT(PartGradInput);

namespace {

// Calls gather(channel, part) for all parts of a channel, then finish(channel), then spread(channel, part) for all parts: one
// channel after the other where there are enough of them for all threads, else step by step.
template <class Gather, class Finish, class Spread>
void for_each_channel(const BatchNormShape& s, const Gather& gather, const Finish& finish, const Spread& spread) {
  const int64_t parts = Parts(s).count;
  if (parts == 1 || s.channels >= 4 * num_threads()) {
    // A thread's channels follow each other, since it asks for the next one's values.
    const int64_t grain = std::max(s.channels / (4 * num_threads()), kGrain / (s.batch * s.length));
    parallel_ranges(s.channels, grain, [&](int64_t begin, int64_t end) {
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
        HWY_DYNAMIC_DISPATCH(PartMoments)
        (s, part, io.input + channel * s.length, io.residual != nullptr ? io.residual + channel * s.length : nullptr,
         &io.partial[channel * parts + part]);
      },
      [&](int64_t channel) {
        Moments all;
        for (int64_t part = 0; part < parts; ++part) all.add(io.partial[channel * parts + part]);
        io.mean[channel] = all.mean();
        io.squares[channel] = all.squares;
        io.inv_std[channel] = 1.0 / std::sqrt(all.squares / all.count + io.eps);
      },
      [&](int64_t channel, int64_t part) {
        HWY_DYNAMIC_DISPATCH(PartNormalize)
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
        HWY_DYNAMIC_DISPATCH(PartGradSums)
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
        HWY_DYNAMIC_DISPATCH(PartGradInput)
        (s, part, io, channel, coefficients(channel), clamped, slope,
         -slope * io.inv_std[channel] * io.grad_weight[channel] / count, -slope * io.grad_bias[channel] / count);
      });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
