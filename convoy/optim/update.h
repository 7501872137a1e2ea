// What a step does with the values of one parameter, in its element type.
#pragma once

#include <cstdint>

namespace convoy::optim {

template <class T>
struct SgdUpdate {
  T negative_lr, momentum, one_minus_dampening, weight_decay;
  bool nesterov;

  void plain(T* p, const T* grad, int64_t begin, int64_t end) const;
  /// In the first step the buffer takes the gradient undamped.
  void with_momentum(T* p, const T* grad, T* buffer, bool first, int64_t begin, int64_t end) const;
};

template <class T>
struct AdamUpdate {
  T beta1, one_minus_beta1, beta2, one_minus_beta2, eps, weight_decay, shrink, negative_step_size, bias_correction2_sqrt;

  /// v_max: null unless amsgrad.
  void run(T* p, const T* grad, T* m, T* v, T* v_max, int64_t begin, int64_t end) const;
};

}  // namespace convoy::optim
