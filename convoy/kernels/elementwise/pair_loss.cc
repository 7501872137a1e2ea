#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/elementwise/pair_loss.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/elementwise/pair_loss.h"

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/loops-inl.h"
#include "convoy/kernels/elementwise/math-inl.h"
#include "convoy/kernels/elementwise/pair_loss_reference.h"
#include "convoy/kernels/in_double.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_PAIR_LOSS_IN_DOUBLE_
#define CONVOY_KERNELS_PAIR_LOSS_IN_DOUBLE_
namespace convoy::kernels {
namespace {

void losses_in_double(PairLoss kind, double beta, const double* input, const double* target, double* losses, int64_t count) {
  for (int64_t i = 0; i < count; ++i) losses[i] = reference::pair_loss(kind, beta, input[i], target[i]);
}

double slope_in_double(PairLoss kind, double beta, double x, double t) { return reference::pair_loss_slope(kind, beta, x, t); }

}  // namespace
}  // namespace convoy::kernels
#endif  // CONVOY_KERNELS_PAIR_LOSS_IN_DOUBLE_

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
void Losses(PairLoss kind, float beta, const float* input, const float* target, float* losses, int64_t count) {
  const auto map = [&](const double* x, const double* t, double* to, int64_t n) { losses_in_double(kind, beta, x, t, to, n); };
  in_double(map, input, target, losses, count);
}

void Slopes(PairLoss kind, float beta, const float* input, const float* target, float factor, float* slopes, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    slopes[i] = static_cast<float>(slope_in_double(kind, beta, static_cast<double>(input[i]), static_cast<double>(target[i])) *
                                   static_cast<double>(factor));
}
#else
void Losses(PairLoss kind, float beta, const float* input, const float* target, float* losses, int64_t count) {
  const auto map = [&](const auto& f) { Map(f, input, target, losses, count); };
  switch (kind) {
    case PairLoss::kMse:
      return map([](auto, auto x, auto t) HWY_ATTR {
        const auto difference = hn::Sub(x, t);
        return hn::Mul(difference, difference);
      });
    case PairLoss::kL1:
      return map([](auto, auto x, auto t) HWY_ATTR { return hn::Abs(hn::Sub(x, t)); });
    case PairLoss::kSmoothL1:
      return map([beta](auto d, auto x, auto t) HWY_ATTR {
        const auto magnitude = hn::Abs(hn::Sub(x, t));
        const auto near = hn::Div(hn::Mul(hn::Mul(magnitude, magnitude), hn::Set(d, 0.5f)), hn::Set(d, beta));
        return hn::IfThenElse(hn::Lt(magnitude, hn::Set(d, beta)), near, hn::Sub(magnitude, hn::Set(d, 0.5f * beta)));
      });
    case PairLoss::kBceWithLogits:
      return map([](auto d, auto x, auto t)
                     HWY_ATTR { return hn::MulAdd(hn::Sub(hn::Set(d, 1.0f), t), x, Log1pExp(d, hn::Neg(x))); });
  }
}

// The slopes times `factor`.
void Slopes(PairLoss kind, float beta, const float* input, const float* target, float factor, float* slopes, int64_t count) {
  const auto map = [&](const auto& f) {
    Map([&](auto d, auto x, auto t) HWY_ATTR { return hn::Mul(f(d, x, t), hn::Set(d, factor)); }, input, target, slopes, count);
  };
  switch (kind) {
    case PairLoss::kMse:
      return map([](auto, auto x, auto t) HWY_ATTR {
        const auto difference = hn::Sub(x, t);
        return hn::Add(difference, difference);
      });
    case PairLoss::kL1:
      return map([](auto d, auto x, auto t) HWY_ATTR {
        const auto difference = hn::Sub(x, t), one = hn::Set(d, 1.0f);
        const auto below = hn::IfThenElseZero(hn::Lt(difference, hn::Zero(d)), hn::Neg(one));
        return hn::IfThenElse(hn::Gt(difference, hn::Zero(d)), one, below);
      });
    case PairLoss::kSmoothL1:
      return map([beta](auto d, auto x, auto t) HWY_ATTR {
        const auto difference = hn::Sub(x, t), one = hn::Set(d, 1.0f), limit = hn::Set(d, beta);
        const auto near = hn::IfThenElse(hn::Ge(difference, limit), one, hn::Div(difference, limit));
        return hn::IfThenElse(hn::Le(difference, hn::Neg(limit)), hn::Neg(one), near);
      });
    case PairLoss::kBceWithLogits:
      return map([](auto d, auto x, auto t) HWY_ATTR { return hn::Sub(Sigmoid(d, x), t); });
  }
}
#endif

void Multiply(float* values, const float* by, int64_t count) {
  Map([](auto, auto v, auto w) HWY_ATTR { return hn::Mul(v, w); }, values, by, values, count);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(Losses);
CONVOY_EXPORT(Slopes);
CONVOY_EXPORT(Multiply);

namespace {
constexpr int64_t kGrain = 16384;
}  // namespace

void pair_loss(PairLoss kind, double beta, const float* input, const float* target, float* losses, int64_t count) noexcept {
  const auto f = CONVOY_DISPATCH(Losses);
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    f(kind, static_cast<float>(beta), input + begin, target + begin, losses + begin, end - begin);
  });
}

void pair_loss(PairLoss kind, double beta, const double* input, const double* target, double* losses, int64_t count) noexcept {
  parallel_ranges(count, kGrain / 8, [&](int64_t begin, int64_t end) {
    losses_in_double(kind, beta, input + begin, target + begin, losses + begin, end - begin);
  });
}

void pair_loss_backward(PairLoss kind, double beta, const float* input, const float* target, const float* weight, bool per_value,
                        double scale, float* grad_input, int64_t count) noexcept {
  const auto slopes = CONVOY_DISPATCH(Slopes);
  const auto multiply = CONVOY_DISPATCH(Multiply);
  const float factor = static_cast<float>(per_value ? scale : scale * static_cast<double>(weight[0]));
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    slopes(kind, static_cast<float>(beta), input + begin, target + begin, factor, grad_input + begin, end - begin);
    if (per_value) multiply(grad_input + begin, weight + begin, end - begin);
  });
}

void pair_loss_backward(PairLoss kind, double beta, const double* input, const double* target, const double* weight, bool per_value,
                        double scale, double* grad_input, int64_t count) noexcept {
  parallel_ranges(count, kGrain / 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      grad_input[i] = slope_in_double(kind, beta, input[i], target[i]) * (weight[per_value ? i : 0] * scale);
    }
  });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
