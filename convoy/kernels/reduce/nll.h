// Negative log likelihood per sample, with smoothed labels, over (N, C, inner) log-probabilities. In parallel.
#pragma once

#include <cstdint>

namespace convoy::kernels {

struct NllLayout {
  int64_t batch, classes, inner;
  int64_t ignore_index;  // samples with this target count nothing
  double smoothing;      // 0: plain nll
};

/// losses (batch, inner) = -(1 - smoothing) * log_p[target] - smoothing / classes * sum of log_p, 0 where ignored; targets are in
/// range or ignored.
template <class T>
void nll(const NllLayout& layout, const T* log_p, const int64_t* target, double* losses) noexcept;

/// grad_input: the gradient for log_p without smoothing: -scale * weight[sample] (per_sample) or -scale * weight[0] at the target.
template <class T>
void nll_backward(const NllLayout& layout, const int64_t* target, const T* weight, bool per_sample, double scale,
                  T* grad_input) noexcept;

/// The gradient for the logits of nll on log_softmax, in place of `gradient`, which holds their softmax.
template <class T>
void cross_entropy_backward(const NllLayout& layout, const int64_t* target, const T* weight, bool per_sample, double scale,
                            T* gradient) noexcept;

/// The same with probabilities for labels: losses = -sum over classes of ((1 - smoothing) p + smoothing / classes) log_p.
template <class T>
void nll_probabilities(const NllLayout& layout, const T* log_p, const T* probabilities, double* losses) noexcept;
template <class T>
void nll_probabilities_backward(const NllLayout& layout, const T* probabilities, const T* weight, bool per_sample, double scale,
                                T* grad_input) noexcept;

}  // namespace convoy::kernels
