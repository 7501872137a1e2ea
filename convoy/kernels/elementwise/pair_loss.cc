#include "convoy/kernels/elementwise/pair_loss.h"

#include "convoy/core/parallel.h"
#include "convoy/kernels/elementwise/pair_loss_reference.h"

namespace convoy::kernels {

namespace {

constexpr int64_t kGrain = 8192;

// Calls f with the kind as a constant, so that a loop's branch is taken outside it.
template <class F>
void with_kind(PairLoss kind, const F& f) {
  switch (kind) {
    case PairLoss::kMse:
      return f([] { return PairLoss::kMse; });
    case PairLoss::kL1:
      return f([] { return PairLoss::kL1; });
    case PairLoss::kSmoothL1:
      return f([] { return PairLoss::kSmoothL1; });
    case PairLoss::kBceWithLogits:
      return f([] { return PairLoss::kBceWithLogits; });
  }
}

}  // namespace

template <class T>
void pair_loss(PairLoss kind, double beta, const T* input, const T* target, T* losses, int64_t count) noexcept {
  with_kind(kind, [&](auto constant) {
    parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) losses[i] = reference::pair_loss(constant(), beta, input[i], target[i]);
    });
  });
}

template <class T>
void pair_loss_backward(PairLoss kind, double beta, const T* input, const T* target, const T* weight, bool per_value, double scale,
                        T* grad_input, int64_t count) noexcept {
  with_kind(kind, [&](auto constant) {
    parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
      if (per_value) {
        for (int64_t i = begin; i < end; ++i) {
          grad_input[i] = reference::pair_loss_slope(constant(), beta, input[i], target[i]) * (weight[i] * static_cast<T>(scale));
        }
      } else {
        const T factor = static_cast<T>(static_cast<double>(weight[0]) * scale);
        for (int64_t i = begin; i < end; ++i)
          grad_input[i] = reference::pair_loss_slope(constant(), beta, input[i], target[i]) * factor;
      }
    });
  });
}

#define CONVOY_FOR_TYPE(T)                                                             \
  template void pair_loss(PairLoss, double, const T*, const T*, T*, int64_t) noexcept; \
  template void pair_loss_backward(PairLoss, double, const T*, const T*, const T*, bool, double, T*, int64_t) noexcept;
CONVOY_FOR_TYPE(float)
CONVOY_FOR_TYPE(double)
#undef CONVOY_FOR_TYPE

}  // namespace convoy::kernels
