#include "convoy/kernels/reduce/nll.h"

#include <algorithm>

#include "convoy/core/parallel.h"

namespace convoy::kernels {

namespace {

constexpr int64_t kGrain = 16384;  // values per task

// Calls f(sample, offset of its class 0) for every sample.
template <class F>
void for_each_sample(const NllLayout& layout, const F& f) {
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
    for (int64_t c = 0; c < layout.classes; ++c) grad_input[at + c * layout.inner] = T(0);
    if (target[s] == layout.ignore_index) return;
    grad_input[at + target[s] * layout.inner] = static_cast<T>(-scale * static_cast<double>(weight[per_sample ? s : 0]));
  });
}

template <class T>
void cross_entropy_backward(const NllLayout& layout, const int64_t* target, const T* weight, bool per_sample, double scale,
                            T* gradient) noexcept {
  constexpr int64_t kTile = 128;  // samples that lie side by side
  const int64_t tiles = (layout.inner + kTile - 1) / kTile, width = std::min(layout.inner, kTile);
  const double uniform = layout.smoothing / static_cast<double>(layout.classes);
  parallel_ranges(layout.batch * tiles, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, layout.classes * width)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t unit = begin; unit < end; ++unit) {
                      const int64_t n = unit / tiles, from = unit % tiles * kTile, count = std::min(kTile, layout.inner - from);
                      const int64_t* t = target + n * layout.inner + from;
                      T* g = gradient + n * layout.classes * layout.inner + from;
                      T factor[kTile], shift[kTile];
                      for (int64_t i = 0; i < count; ++i) {
                        const double w = static_cast<double>(weight[per_sample ? n * layout.inner + from + i : 0]) * scale;
                        factor[i] = static_cast<T>(t[i] == layout.ignore_index ? 0.0 : w);
                        shift[i] = static_cast<T>(t[i] == layout.ignore_index ? 0.0 : w * uniform);
                      }
                      if (layout.inner == 1) {
                        const T f = factor[0], s = shift[0];
                        for (int64_t c = 0; c < layout.classes; ++c) g[c] = g[c] * f - s;
                      } else {
                        for (int64_t c = 0; c < layout.classes; ++c) {
                          for (int64_t i = 0; i < count; ++i)
                            g[c * layout.inner + i] = g[c * layout.inner + i] * factor[i] - shift[i];
                        }
                      }
                      for (int64_t i = 0; i < count; ++i) {
                        if (t[i] != layout.ignore_index)
                          g[t[i] * layout.inner + i] -= static_cast<T>(1.0 - layout.smoothing) * factor[i];
                      }
                    }
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

#define CONVOY_FOR_TYPE(T)                                                                                     \
  template void nll(const NllLayout&, const T*, const int64_t*, double*) noexcept;                             \
  template void nll_backward(const NllLayout&, const int64_t*, const T*, bool, double, T*) noexcept;           \
  template void cross_entropy_backward(const NllLayout&, const int64_t*, const T*, bool, double, T*) noexcept; \
  template void nll_probabilities(const NllLayout&, const T*, const T*, double*) noexcept;                     \
  template void nll_probabilities_backward(const NllLayout&, const T*, const T*, bool, double, T*) noexcept;
CONVOY_FOR_TYPE(float)
CONVOY_FOR_TYPE(double)
#undef CONVOY_FOR_TYPE

}  // namespace convoy::kernels
