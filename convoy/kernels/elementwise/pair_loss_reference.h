// What every loss between two values computes, for float, double and std::complex<double> (complex step).
#pragma once

#include <cmath>
#include <complex>

#include "convoy/core/elementwise.h"
#include "convoy/kernels/elementwise/activation_reference.h"

namespace convoy::kernels::reference {

template <class T>
T pair_loss(PairLoss kind, double beta, T x, T t) {
  const T d = x - t, magnitude = real_part(d) < 0 ? -d : d;
  switch (kind) {
    case PairLoss::kMse:
      return d * d;
    case PairLoss::kL1:
      return magnitude;
    case PairLoss::kSmoothL1:
      return real_part(magnitude) < beta ? d * d * T(0.5) / T(beta) : magnitude - T(0.5) * T(beta);
    case PairLoss::kBceWithLogits: {
      const T most = real_part(x) < 0 ? -x : T(0);
      return (T(1) - t) * x + most + std::log(std::exp(-most) + std::exp(-x - most));
    }
  }
  return d;
}

/// d loss / d x; 0 where an l1 difference is 0 or NaN, as in PyTorch.
template <class T>
T pair_loss_slope(PairLoss kind, double beta, T x, T t) {
  const T d = x - t;
  const double r = real_part(d);
  switch (kind) {
    case PairLoss::kMse:
      return T(2) * d;
    case PairLoss::kL1:
      return r > 0 ? T(1) : r < 0 ? T(-1) : T(0);
    case PairLoss::kSmoothL1:
      return r <= -beta ? T(-1) : r >= beta ? T(1) : d / T(beta);
    case PairLoss::kBceWithLogits:
      return sigmoid(x) - t;
  }
  return d;
}

}  // namespace convoy::kernels::reference
