#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/elementwise/activation.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/elementwise/activation.h"

#include <algorithm>

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/activation_reference.h"
#include "convoy/kernels/elementwise/loops-inl.h"
#include "convoy/kernels/elementwise/math-inl.h"
#include "convoy/kernels/in_double.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_ACTIVATION_IN_DOUBLE_
#define CONVOY_KERNELS_ACTIVATION_IN_DOUBLE_
namespace convoy::kernels {
namespace {

void forward_in_double(Activation kind, const ActivationOptions& options, const double* input, double* output, int64_t count) {
  reference::activation(kind, options, input, output, count);
}

void backward_in_double(Activation kind, const ActivationOptions& options, const double* grad_output, const double* input,
                        double* grad_input, int64_t count) {
  reference::activation_backward(kind, options, grad_output, input, grad_input, count);
}

void backward_from_output(Activation kind, const double* grad_output, const double* output, double* grad_input, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const double y = output[i], slope = kind == Activation::kSigmoid ? (1 - y) * y : 1 - y * y;
    grad_input[i] = grad_output[i] * slope;
  }
}

}  // namespace
}  // namespace convoy::kernels
#endif  // CONVOY_KERNELS_ACTIVATION_IN_DOUBLE_

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR
// A NaN fails every comparison, so each select below names what a NaN must not take first.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Clamp(D d, V x, float low, float high) {
  return NotAbove(d, high, NotBelow(d, low, x));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V GradSilu(D d, V g, V x) {
  const V one = hn::Set(d, 1.0f), s = Sigmoid(d, x);
  return hn::Mul(hn::Mul(g, s), hn::MulAdd(x, hn::Sub(one, s), one));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V GradGelu(D d, V g, V x) {
  V density;
  const V cdf = NormalCdf(d, x, density);
  return hn::Mul(g, hn::MulAdd(hn::Mul(x, density), hn::Set(d, 0.39894228f), cdf));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V GradHardswish(D d, V g, V x) {
  const V middle = hn::Mul(g, hn::MulAdd(x, hn::Set(d, 1.0f / 3), hn::Set(d, 0.5f)));
  const V y = hn::IfThenElse(hn::Le(x, hn::Set(d, 3.0f)), middle, g);
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -3.0f)), y);
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V GeluTanhArgument(D d, V x) {
  const V cube = hn::Mul(hn::Mul(x, x), x);
  return hn::Mul(hn::Set(d, static_cast<float>(reference::kGeluScale)),
                 hn::MulAdd(hn::Set(d, static_cast<float>(reference::kGeluCube)), cube, x));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V GradGeluTanh(D d, V g, V argument) {
  const V x = Clamp(d, argument, -20.0f, 20.0f);  // where the slope has long been 0 or 1
  const V u = GeluTanhArgument(d, x), u2 = hn::Add(u, u), s = Sigmoid(d, u2), rest = Sigmoid(d, hn::Neg(u2));
  const V inner = hn::Mul(hn::Set(d, static_cast<float>(2 * reference::kGeluScale)),
                          hn::MulAdd(hn::Set(d, static_cast<float>(3 * reference::kGeluCube)), hn::Mul(x, x), hn::Set(d, 1.0f)));
  return hn::Mul(g, hn::MulAdd(hn::Mul(x, hn::Mul(s, rest)), inner, s));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V GradMish(D d, V g, V x) {
  V e;
  const V one = hn::Set(d, 1.0f), t = TanhLog1pExp(d, x, e), sigmoid = hn::Div(e, hn::Add(e, one));
  return hn::Mul(g, hn::MulAdd(hn::Mul(x, sigmoid), hn::NegMulAdd(t, t, one), t));
}

// Rows lie `stride` values apart, in x and in y.
void Forward(Activation kind, float a, float b, const float* x, float* y, int64_t stride, int64_t rows, int64_t count) {
  const auto map = [&](const auto& f) HWY_ATTR {
    for (int64_t r = 0; r < rows; ++r) Map(f, x + r * stride, y + r * stride, count);
  };
  switch (kind) {
    case Activation::kRelu:
      return map([](auto d, auto v) HWY_ATTR { return NotBelow(d, 0.0f, v); });
    case Activation::kRelu6:
      return map([](auto d, auto v) HWY_ATTR { return Clamp(d, v, 0.0f, 6.0f); });
    case Activation::kLeakyRelu:
      return map([a](auto d, auto v) HWY_ATTR { return hn::IfThenElse(hn::Gt(v, hn::Zero(d)), v, hn::Mul(v, hn::Set(d, a))); });
    case Activation::kElu:
      return map([a](auto d, auto v)
                     HWY_ATTR { return hn::IfThenElse(hn::Le(v, hn::Zero(d)), hn::Mul(hn::Set(d, a), AnyExpm1(d, v)), v); });
    case Activation::kSilu:
      return map([](auto d, auto v) HWY_ATTR { return Silu(d, v); });
    case Activation::kGelu:
      return map([](auto d, auto v) HWY_ATTR {
        auto density = v;
        return hn::Mul(v, NormalCdf(d, v, density));
      });
    case Activation::kHardswish:
      return map([](auto d, auto v) HWY_ATTR { return Sixth(d, hn::Mul(v, Clamp(d, hn::Add(v, hn::Set(d, 3.0f)), 0.0f, 6.0f))); });
    case Activation::kHardsigmoid:
      return map([](auto d, auto v) HWY_ATTR { return Sixth(d, Clamp(d, hn::Add(v, hn::Set(d, 3.0f)), 0.0f, 6.0f)); });
    case Activation::kSigmoid:
      return map([](auto d, auto v) HWY_ATTR { return Sigmoid(d, v); });
    case Activation::kTanh:
      return map([](auto d, auto v) HWY_ATTR { return AnyTanh(d, v); });
    case Activation::kSoftplus:
      return map([a, b](auto d, auto v) HWY_ATTR {
        const auto scaled = hn::Mul(v, hn::Set(d, a));
        return hn::IfThenElse(hn::Gt(scaled, hn::Set(d, b)), v, hn::Div(Log1pExp(d, scaled), hn::Set(d, a)));
      });
    case Activation::kMish:
      return map([](auto d, auto v) HWY_ATTR {
        auto e = v;
        return hn::Mul(v, TanhLog1pExp(d, v, e));
      });
    case Activation::kHardtanh:
      return map([a, b](auto d, auto v) HWY_ATTR { return Clamp(d, v, a, b); });
    case Activation::kSelu:
      return map([a, b](auto d, auto v) HWY_ATTR {
        return hn::Mul(hn::Set(d, b), hn::IfThenElse(hn::Le(v, hn::Zero(d)), hn::Mul(hn::Set(d, a), AnyExpm1(d, v)), v));
      });
    case Activation::kCelu:
      return map([a](auto d, auto v) HWY_ATTR {
        return hn::IfThenElse(hn::Le(v, hn::Zero(d)), hn::Mul(hn::Set(d, a), AnyExpm1(d, hn::Div(v, hn::Set(d, a)))), v);
      });
    case Activation::kSoftsign:
      return map([](auto d, auto v) HWY_ATTR { return hn::Div(v, hn::Add(hn::Set(d, 1.0f), hn::Abs(v))); });
    case Activation::kGeluTanh:  // (1 + tanh(u)) / 2 is sigmoid(2 u), which loses nothing where it is small
      return map([](auto d, auto v) HWY_ATTR {
        const auto u = GeluTanhArgument(d, v);
        return hn::Mul(v, Sigmoid(d, hn::Add(u, u)));
      });
    case Activation::kThreshold:
      return map([a, b](auto d, auto v) HWY_ATTR { return hn::IfThenElse(hn::Le(v, hn::Set(d, a)), hn::Set(d, b), v); });
    case Activation::kShrink:
      return map([a, b](auto d, auto v) HWY_ATTR {
        const auto bias = hn::Set(d, b);
        const auto moved = hn::IfThenElse(hn::Lt(v, hn::Zero(d)), hn::Add(v, bias), hn::Sub(v, bias));
        return hn::IfThenZeroElse(hn::Le(hn::Abs(v), hn::Set(d, a)), moved);
      });
    case Activation::kHardsigmoidOf:
      return map([a, b](auto d, auto v)
                     HWY_ATTR { return Clamp(d, hn::Add(hn::Mul(v, hn::Set(d, a)), hn::Set(d, b)), 0.0f, 1.0f); });
  }
}

// The slopes of the sigmoid and the hyperbolic tangent with the value y.
constexpr auto kSigmoidSlope = [](auto d, auto dy, auto y)
                                   HWY_ATTR { return hn::Mul(dy, hn::Mul(hn::Sub(hn::Set(d, 1.0f), y), y)); };
constexpr auto kTanhSlope = [](auto d, auto dy, auto y) HWY_ATTR { return hn::Mul(dy, hn::NegMulAdd(y, y, hn::Set(d, 1.0f))); };

void BackwardFromOutput(Activation kind, const float* g, const float* y, float* grad, int64_t count) {
  if (kind == Activation::kSigmoid) return Map(kSigmoidSlope, g, y, grad, count);
  Map(kTanhSlope, g, y, grad, count);
}

void Backward(Activation kind, float a, float b, const float* g, const float* x, float* grad, int64_t count) {
  const auto map = [&](const auto& f) { Map(f, g, x, grad, count); };
  switch (kind) {
    case Activation::kElu:
      return map([a](auto d, auto dy, auto v) HWY_ATTR {
        return hn::IfThenElse(hn::Le(v, hn::Zero(d)), hn::Mul(hn::Mul(dy, hn::Set(d, a)), AnyExp(d, v)), dy);
      });
    case Activation::kSilu:
      return map([](auto d, auto dy, auto v) HWY_ATTR { return GradSilu(d, dy, v); });
    case Activation::kGelu:
      return map([](auto d, auto dy, auto v) HWY_ATTR { return GradGelu(d, dy, v); });
    case Activation::kSigmoid:
      return map([](auto d, auto dy, auto v) HWY_ATTR { return kSigmoidSlope(d, dy, Sigmoid(d, v)); });
    case Activation::kTanh:
      return map([](auto d, auto dy, auto v) HWY_ATTR { return kTanhSlope(d, dy, AnyTanh(d, v)); });
    case Activation::kSoftplus:
      return map([a, b](auto d, auto dy, auto v) HWY_ATTR {
        const auto scaled = hn::Mul(v, hn::Set(d, a));
        return hn::IfThenElse(hn::Gt(scaled, hn::Set(d, b)), dy, hn::Mul(dy, Sigmoid(d, scaled)));
      });
    case Activation::kMish:
      return map([](auto d, auto dy, auto v) HWY_ATTR { return GradMish(d, dy, v); });
    case Activation::kSelu:
      return map([a, b](auto d, auto dy, auto v) HWY_ATTR {
        const auto low = hn::Mul(hn::Set(d, a), AnyExp(d, v));
        return hn::Mul(hn::Mul(dy, hn::Set(d, b)), hn::IfThenElse(hn::Le(v, hn::Zero(d)), low, hn::Set(d, 1.0f)));
      });
    case Activation::kCelu:
      return map([a](auto d, auto dy, auto v) HWY_ATTR {
        return hn::IfThenElse(hn::Le(v, hn::Zero(d)), hn::Mul(dy, AnyExp(d, hn::Div(v, hn::Set(d, a)))), dy);
      });
    case Activation::kGeluTanh:
      return map([](auto d, auto dy, auto v) HWY_ATTR { return GradGeluTanh(d, dy, v); });
#if HWY_TARGET == HWY_AVX3 && (HWY_TARGETS & HWY_AVX2)
    default:  // a few operations a value
      return N_AVX2::Backward(kind, a, b, g, x, grad, count);
#else
    case Activation::kRelu:
      return map([](auto d, auto dy, auto v) HWY_ATTR { return hn::IfThenZeroElse(hn::Le(v, hn::Zero(d)), dy); });
    case Activation::kRelu6:
      a = 0.0f;
      b = 6.0f;
      [[fallthrough]];
    case Activation::kHardtanh:
      return map([a, b](auto d, auto dy, auto v)
                     HWY_ATTR { return hn::IfThenZeroElse(hn::Or(hn::Le(v, hn::Set(d, a)), hn::Ge(v, hn::Set(d, b))), dy); });
    case Activation::kLeakyRelu:
      return map([a](auto d, auto dy, auto v)
                     HWY_ATTR { return hn::IfThenElse(hn::Gt(v, hn::Zero(d)), dy, hn::Mul(dy, hn::Set(d, a))); });
    case Activation::kHardswish:
      return map([](auto d, auto dy, auto v) HWY_ATTR { return GradHardswish(d, dy, v); });
    case Activation::kHardsigmoid:
      return map([](auto d, auto dy, auto v) HWY_ATTR {
        const auto inside = hn::And(hn::Gt(v, hn::Set(d, -3.0f)), hn::Lt(v, hn::Set(d, 3.0f)));
        return hn::IfThenElseZero(inside, hn::Mul(dy, hn::Set(d, 1.0f / 6)));
      });
    case Activation::kSoftsign:
      return map([](auto d, auto dy, auto v) HWY_ATTR {
        const auto y = hn::Add(hn::Set(d, 1.0f), hn::Abs(v));
        return hn::Div(dy, hn::Mul(y, y));
      });
    case Activation::kThreshold:
      return map([a](auto d, auto dy, auto v) HWY_ATTR { return hn::IfThenZeroElse(hn::Le(v, hn::Set(d, a)), dy); });
    case Activation::kShrink:
      return map([a](auto d, auto dy, auto v) HWY_ATTR { return hn::IfThenZeroElse(hn::Le(hn::Abs(v), hn::Set(d, a)), dy); });
    case Activation::kHardsigmoidOf:
      return map([a, b](auto d, auto dy, auto v) HWY_ATTR {
        const auto y = hn::Add(hn::Mul(v, hn::Set(d, a)), hn::Set(d, b));
        const auto inside = hn::And(hn::Gt(y, hn::Zero(d)), hn::Lt(y, hn::Set(d, 1.0f)));
        return hn::IfThenElseZero(inside, hn::Mul(dy, hn::Set(d, a)));
      });
#endif
  }
}

#else
void Forward(Activation kind, float a, float b, const float* x, float* y, int64_t stride, int64_t rows, int64_t count) {
  const auto map = [&](const double* from, double* to, int64_t n) { forward_in_double(kind, {.a = a, .b = b}, from, to, n); };
  for (int64_t r = 0; r < rows; ++r, x += stride, y += stride) {
    if (kind == Activation::kRelu) {  // behind every layer: without a look at the kind for each value
      for (int64_t i = 0; i < count; ++i) y[i] = x[i] < 0 ? 0 : x[i];
    } else {
      in_double(map, x, y, count);
    }
  }
}

void BackwardFromOutput(Activation kind, const float* g, const float* y, float* grad, int64_t count) {
  const auto map = [&](const double* dy, const double* v, double* to, int64_t n) { backward_from_output(kind, dy, v, to, n); };
  in_double(map, g, y, grad, count);
}

void Backward(Activation kind, float a, float b, const float* g, const float* x, float* grad, int64_t count) {
  if (kind == Activation::kSigmoid || kind == Activation::kTanh) {  // with the bits of BackwardFromOutput
    constexpr int64_t kBlock = 256;
    float y[kBlock];
    for (int64_t i = 0; i < count; i += kBlock) {
      const int64_t n = std::min(kBlock, count - i);
      Forward(kind, a, b, x + i, y, 0, 1, n);
      BackwardFromOutput(kind, g + i, y, grad + i, n);
    }
    return;
  }
  const auto map = [&](const double* dy, const double* v, double* to, int64_t n) {
    backward_in_double(kind, {.a = a, .b = b}, dy, v, to, n);
  };
  in_double(map, g, x, grad, count);
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(Forward);
CONVOY_EXPORT(Backward);
CONVOY_EXPORT(BackwardFromOutput);

namespace {
// 128 KiB per array: long enough to hide the cost of a task, short enough to share out a layer.
constexpr int64_t kGrain = 16384;
}  // namespace

void activation(Activation kind, const ActivationOptions& options, const float* input, float* output, int64_t count) noexcept {
  const auto f = CONVOY_DISPATCH(Forward);
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    f(kind, static_cast<float>(options.a), static_cast<float>(options.b), input + begin, output + begin, 0, 1, end - begin);
  });
}

ActivationOnRows activation_on_rows() noexcept { return CONVOY_DISPATCH(Forward); }

void activation(Activation kind, const ActivationOptions& options, const double* input, double* output, int64_t count) noexcept {
  parallel_ranges(count, kGrain / 8, [&](int64_t begin, int64_t end) {
    forward_in_double(kind, options, input + begin, output + begin, end - begin);
  });
}

void activation_backward(Activation kind, const ActivationOptions& options, const float* grad_output, const float* input,
                         float* grad_input, int64_t count) noexcept {
  const auto f = CONVOY_DISPATCH(Backward);
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    f(kind, static_cast<float>(options.a), static_cast<float>(options.b), grad_output + begin, input + begin, grad_input + begin,
      end - begin);
  });
}

void activation_backward(Activation kind, const ActivationOptions& options, const double* grad_output, const double* input,
                         double* grad_input, int64_t count) noexcept {
  parallel_ranges(count, kGrain / 8, [&](int64_t begin, int64_t end) {
    backward_in_double(kind, options, grad_output + begin, input + begin, grad_input + begin, end - begin);
  });
}

void activation_backward_from_output(Activation kind, const float* grad_output, const float* output, float* grad_input,
                                     int64_t count) noexcept {
  const auto f = CONVOY_DISPATCH(BackwardFromOutput);
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    f(kind, grad_output + begin, output + begin, grad_input + begin, end - begin);
  });
}

void activation_backward_from_output(Activation kind, const double* grad_output, const double* output, double* grad_input,
                                     int64_t count) noexcept {
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    backward_from_output(kind, grad_output + begin, output + begin, grad_input + begin, end - begin);
  });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
