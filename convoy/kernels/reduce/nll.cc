#include "convoy/kernels/reduce/nll.h"

#include <algorithm>

#include "convoy/core/parallel.h"

namespace convoy::kernels {

namespace {

// Calls f(sample, offset of its class 0) for every sample.
template <class F>
void for_each_sample(const NllLayout& layout, const F& f) {
  constexpr int64_t kGrain = 16384;  // values per task
  parallel_ranges(layout.batch * layout.inner, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, layout.classes)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t s = begin; s < end; ++s) f(s, s / layout.inner * layout.classes * layout.inner + s % layout.inner);
                  });
}

}  // namespace

template <class T>
void nll(const NllLayout& layout, const T* log_p, const int64_t* target, double* losses) noexcept {
  for_each_sample(layout, [&](int64_t s, int64_t at) {
    losses[s] = 0;
    if (target[s] == layout.ignore_index) return;
    losses[s] = -static_cast<double>(log_p[at + target[s] * layout.inner]);
    if (layout.smoothing == 0) return;
    double sum = 0;
    for (int64_t c = 0; c < layout.classes; ++c) sum += static_cast<double>(log_p[at + c * layout.inner]);
    losses[s] = (1.0 - layout.smoothing) * losses[s] - layout.smoothing / static_cast<double>(layout.classes) * sum;
  });
}

template <class T>
void nll_backward(const NllLayout& layout, const int64_t* target, const T* weight, bool per_sample, double scale,
                  T* grad_input) noexcept {
  for_each_sample(layout, [&](int64_t s, int64_t at) {
    const bool ignored = target[s] == layout.ignore_index;
    const double slope = ignored ? 0.0 : -scale * static_cast<double>(weight[per_sample ? s : 0]);
    const T other = layout.smoothing == 0 ? T(0) : static_cast<T>(slope * layout.smoothing / static_cast<double>(layout.classes));
    for (int64_t c = 0; c < layout.classes; ++c) grad_input[at + c * layout.inner] = ignored ? T(0) : other;
    if (ignored) return;
    grad_input[at + target[s] * layout.inner] =
        static_cast<T>(slope * (1.0 - layout.smoothing + layout.smoothing / static_cast<double>(layout.classes)));
  });
}

template <class T>
void nll_probabilities(const NllLayout& layout, const T* log_p, const T* probabilities, double* losses) noexcept {
  const double uniform = layout.smoothing / static_cast<double>(layout.classes);
  for_each_sample(layout, [&](int64_t s, int64_t at) {
    double sum = 0;
    for (int64_t c = 0; c < layout.classes; ++c, at += layout.inner) {
      sum += ((1.0 - layout.smoothing) * static_cast<double>(probabilities[at]) + uniform) * static_cast<double>(log_p[at]);
    }
    losses[s] = -sum;
  });
}

template <class T>
void nll_probabilities_backward(const NllLayout& layout, const T* probabilities, const T* weight, bool per_sample, double scale,
                                T* grad_input) noexcept {
  const double uniform = layout.smoothing / static_cast<double>(layout.classes);
  for_each_sample(layout, [&](int64_t s, int64_t at) {
    const double slope = -scale * static_cast<double>(weight[per_sample ? s : 0]);
    for (int64_t c = 0; c < layout.classes; ++c, at += layout.inner) {
      grad_input[at] = static_cast<T>(slope * ((1.0 - layout.smoothing) * static_cast<double>(probabilities[at]) + uniform));
    }
  });
}

#define CONVOY_FOR_TYPE(T)                                                                           \
  template void nll(const NllLayout&, const T*, const int64_t*, double*) noexcept;                   \
  template void nll_backward(const NllLayout&, const int64_t*, const T*, bool, double, T*) noexcept; \
  template void nll_probabilities(const NllLayout&, const T*, const T*, double*) noexcept;           \
  template void nll_probabilities_backward(const NllLayout&, const T*, const T*, bool, double, T*) noexcept;
CONVOY_FOR_TYPE(float)
CONVOY_FOR_TYPE(double)
#undef CONVOY_FOR_TYPE

}  // namespace convoy::kernels
