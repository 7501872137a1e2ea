// What every activation computes, for float, double and std::complex<double> (complex step). Branches look at the real part.
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>
#include <numbers>

#include "convoy/core/elementwise.h"

namespace convoy::kernels::reference {

template <class T>
double real_part(T x) {
  return static_cast<double>(std::real(x));
}

// The functions that the standard library lacks for complex arguments. They need to be right near the real axis only.
using std::erf;
using std::expm1;
using std::log1p;
inline std::complex<double> expm1(std::complex<double> z) { return std::exp(z) - 1.0; }
inline std::complex<double> log1p(std::complex<double> z) { return std::log(1.0 + z); }
/// erf(z) = 2 / sqrt(pi) * exp(-z^2) * sum 2^n z^(2n+1) / (2n+1)!!, whose terms do not cancel.
inline std::complex<double> erf(std::complex<double> z) {
  std::complex<double> term = z, sum = z;
  for (int n = 1; n < 400; ++n) {
    term *= 2.0 * z * z / (2.0 * n + 1.0);
    sum += term;
  }
  return 2.0 * std::numbers::inv_sqrtpi * std::exp(-z * z) * sum;
}

// gelu(x) is about x / 2 (1 + tanh(kGeluScale (x + kGeluCube x^3))).
inline constexpr double kGeluScale = std::numbers::sqrt2 * std::numbers::inv_sqrtpi, kGeluCube = 0.044715;

template <class T>
T sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

/// log(1 + exp(x)) without overflow.
template <class T>
T log1p_exp(T x) {
  return real_part(x) > 0 ? x + log1p(std::exp(-x)) : log1p(std::exp(x));
}

template <class T>
T activation(Activation kind, const ActivationOptions& options, T x) {
  const T a = static_cast<T>(options.a), b = static_cast<T>(options.b);
  const auto clamp = [x](T low, T high) {
    const T y = real_part(x) < real_part(low) ? low : x;
    return real_part(y) > real_part(high) ? high : y;
  };
  switch (kind) {
    case Activation::kRelu:
      return real_part(x) < 0 ? T(0) : x;
    case Activation::kRelu6:
      return clamp(T(0), T(6));
    case Activation::kLeakyRelu:
      return real_part(x) > 0 ? x : x * a;
    case Activation::kElu:
      return real_part(x) <= 0 ? a * expm1(x) : x;
    case Activation::kSilu:
      return x * sigmoid(x);
    case Activation::kGelu:
      return x * T(0.5) * (T(1) + erf(x * T(std::numbers::sqrt2 / 2)));
    case Activation::kHardswish:
      return x * (real_part(x) < -3 ? T(0) : real_part(x) > 3 ? T(6) : x + T(3)) / T(6);
    case Activation::kHardsigmoid:
      return (real_part(x) < -3 ? T(0) : real_part(x) > 3 ? T(6) : x + T(3)) / T(6);
    case Activation::kSigmoid:
      return sigmoid(x);
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kSoftplus:
      return real_part(x * a) > options.b ? x : log1p_exp(x * a) / a;
    case Activation::kMish:
      return x * std::tanh(log1p_exp(x));
    case Activation::kHardtanh:
      return clamp(a, b);
    case Activation::kSelu:
      return b * (real_part(x) <= 0 ? a * expm1(x) : x);
    case Activation::kCelu:
      return real_part(x) <= 0 ? a * expm1(x / a) : x;
    case Activation::kSoftsign:
      return x / (real_part(x) < 0 ? T(1) - x : T(1) + x);
    case Activation::kGeluTanh:
      return x * T(0.5) * (T(1) + std::tanh(T(kGeluScale) * (x + T(kGeluCube) * x * x * x)));
    case Activation::kThreshold:
      return real_part(x) <= options.a ? b : x;
    case Activation::kShrink:
      return real_part(x) >= -options.a && real_part(x) <= options.a ? T(0) : real_part(x) < 0 ? x + b : x - b;
    case Activation::kHardsigmoidOf: {
      const T y = a * x + b;
      return real_part(y) < 0 ? T(0) : real_part(y) > 1 ? T(1) : y;
    }
  }
  return x;
}

/// The gradient for the input, g being the gradient for the output.
template <class T>
T activation_backward(Activation kind, const ActivationOptions& options, T g, T x) {
  const T a = static_cast<T>(options.a);
  const double r = real_part(x);
  switch (kind) {
    case Activation::kRelu:
      return r <= 0 ? T(0) : g;
    case Activation::kRelu6:
      return r <= 0 || r >= 6 ? T(0) : g;
    case Activation::kLeakyRelu:
      return r > 0 ? g : g * a;
    case Activation::kElu:
      return r <= 0 ? g * a * std::exp(x) : g;
    case Activation::kSilu: {
      const T s = sigmoid(x);
      return g * s * (T(1) + x * (T(1) - s));
    }
    case Activation::kGelu: {
      const T cdf = T(0.5) * (T(1) + erf(x * T(std::numbers::sqrt2 / 2)));
      const T density = std::exp(x * x * T(-0.5)) * T(std::numbers::inv_sqrtpi * std::numbers::sqrt2 / 2);
      return g * (cdf + x * density);
    }
    case Activation::kHardswish:
      return r < -3 ? T(0) : r <= 3 ? g * (x / T(3) + T(0.5)) : g;
    case Activation::kHardsigmoid:
      return r > -3 && r < 3 ? g * T(1.0 / 6) : T(0);
    case Activation::kSigmoid: {
      const T s = sigmoid(x);
      return g * (T(1) - s) * s;
    }
    case Activation::kTanh: {
      const T t = std::tanh(x);
      return g * (T(1) - t * t);
    }
    case Activation::kSoftplus:
      return real_part(x * a) > options.b ? g : g * sigmoid(x * a);
    case Activation::kMish: {
      const T t = std::tanh(log1p_exp(x));
      return g * (t + x * sigmoid(x) * (T(1) - t * t));
    }
    case Activation::kHardtanh:
      return r <= options.a || r >= options.b ? T(0) : g;
    case Activation::kSelu:
      return g * static_cast<T>(options.b) * (r <= 0 ? a * std::exp(x) : T(1));
    case Activation::kCelu:
      return r <= 0 ? g * std::exp(x / a) : g;
    case Activation::kSoftsign: {
      const T y = r < 0 ? T(1) - x : T(1) + x;
      return g / (y * y);
    }
    case Activation::kGeluTanh: {
      const T t = std::tanh(T(kGeluScale) * (x + T(kGeluCube) * x * x * x));
      const T inner = T(kGeluScale) * (T(1) + T(3 * kGeluCube) * x * x);
      return g * T(0.5) * (T(1) + t + x * (T(1) - t * t) * inner);
    }
    case Activation::kThreshold:
      return r <= options.a ? T(0) : g;
    case Activation::kShrink:
      return r >= -options.a && r <= options.a ? T(0) : g;
    case Activation::kHardsigmoidOf: {
      const double y = real_part(a * x) + options.b;
      return y > 0 && y < 1 ? g * a : T(0);
    }
  }
  return g;
}

template <class T>
void activation(Activation kind, const ActivationOptions& options, const T* input, T* output, int64_t count) {
  for (int64_t i = 0; i < count; ++i) output[i] = activation(kind, options, input[i]);
}

template <class T>
void activation_backward(Activation kind, const ActivationOptions& options, const T* grad_output, const T* input, T* grad_input,
                         int64_t count) {
  for (int64_t i = 0; i < count; ++i) grad_input[i] = activation_backward(kind, options, grad_output[i], input[i]);
}

}  // namespace convoy::kernels::reference
