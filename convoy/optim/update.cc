#include "convoy/optim/update.h"

#include <cmath>

namespace convoy::optim {

// All loops read their constants from a local copy, which no write through p can change.

template <class T>
void SgdUpdate<T>::plain(T* p, const T* grad, int64_t begin, int64_t end) const {
  const SgdUpdate u = *this;
  for (int64_t i = begin; i < end; ++i) p[i] += u.negative_lr * (u.weight_decay == 0 ? grad[i] : grad[i] + u.weight_decay * p[i]);
}

template <class T>
void SgdUpdate<T>::with_momentum(T* p, const T* grad, T* buffer, bool first, int64_t begin, int64_t end) const {
  const SgdUpdate u = *this;
  for (int64_t i = begin; i < end; ++i) {
    const T g = u.weight_decay == 0 ? grad[i] : grad[i] + u.weight_decay * p[i];
    const T b = first ? g : buffer[i] * u.momentum + u.one_minus_dampening * g;
    buffer[i] = b;
    p[i] += u.negative_lr * (u.nesterov ? g + u.momentum * b : b);
  }
}

namespace {

template <bool kAmsgrad, class T>
void run_adam(const AdamUpdate<T> u, T* p, const T* grad, T* m, T* v, T* v_max, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const T value = p[i] * u.shrink;
    const T g = u.weight_decay == 0 ? grad[i] : grad[i] + u.weight_decay * value;
    m[i] = m[i] * u.beta1 + u.one_minus_beta1 * g;
    v[i] = v[i] * u.beta2 + u.one_minus_beta2 * g * g;
    T second = v[i];
    if constexpr (kAmsgrad) second = v_max[i] = !(second < v_max[i]) ? second : v_max[i];  // NaN stays, as in torch.maximum
    const T denominator = std::sqrt(second) / u.bias_correction2_sqrt + u.eps;
    p[i] = value + u.negative_step_size * m[i] / denominator;
  }
}

}  // namespace

template <class T>
void AdamUpdate<T>::run(T* p, const T* grad, T* m, T* v, T* v_max, int64_t begin, int64_t end) const {
  v_max != nullptr ? run_adam<true>(*this, p, grad, m, v, v_max, begin, end)
                   : run_adam<false>(*this, p, grad, m, v, v_max, begin, end);
}

template struct SgdUpdate<float>;
template struct SgdUpdate<double>;
template struct AdamUpdate<float>;
template struct AdamUpdate<double>;

}  // namespace convoy::optim
