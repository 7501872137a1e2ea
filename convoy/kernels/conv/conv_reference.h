// Plain loops over the taps: the definition that every other algorithm is tested against, judged by reading it. float and double
// run it where nothing faster applies; std::complex<double> gives gradients by complex step (F'(x) = Im F(x + ih) / h). Sums of
// float are kept in double: one chain of them may be as long as the problem has taps.
#pragma once

#include <type_traits>

#include "convoy/kernels/conv/conv_kernel.h"
#include "convoy/shape/taps.h"

namespace convoy::kernels {

namespace reference {

template <class T>
using Sum = std::conditional_t<std::is_same_v<T, float>, double, T>;

/// Calls f(tap, input_position) for every tap of one channel through which output (od, oh, ow) reads inside the input; both are
/// flat indices.
template <class F>
void for_each_tap(const ConvShape& s, int64_t od, int64_t oh, int64_t ow, F&& f) {
  const auto [kd_begin, kd_end] = shape::valid_taps(od, s.input[0], s.axes[0]);
  const auto [kh_begin, kh_end] = shape::valid_taps(oh, s.input[1], s.axes[1]);
  const auto [kw_begin, kw_end] = shape::valid_taps(ow, s.input[2], s.axes[2]);
  for (int64_t kd = kd_begin; kd < kd_end; ++kd) {
    for (int64_t kh = kh_begin; kh < kh_end; ++kh) {
      for (int64_t kw = kw_begin; kw < kw_end; ++kw) {
        const int64_t id = shape::input_index(od, kd, s.axes[0]);
        const int64_t ih = shape::input_index(oh, kh, s.axes[1]);
        const int64_t iw = shape::input_index(ow, kw, s.axes[2]);
        f((kd * s.axes[1].kernel_size + kh) * s.axes[2].kernel_size + kw, (id * s.input[1] + ih) * s.input[2] + iw);
      }
    }
  }
}

/// Calls f(tap, output_position) for every tap through which some output reads input position (id, ih, iw).
template <class F>
void for_each_use(const ConvShape& s, int64_t id, int64_t ih, int64_t iw, F&& f) {
  for (int64_t kd = 0; kd < s.axes[0].kernel_size; ++kd) {
    const int64_t od = shape::output_index(id, kd, s.output[0], s.axes[0]);
    if (od < 0) continue;
    for (int64_t kh = 0; kh < s.axes[1].kernel_size; ++kh) {
      const int64_t oh = shape::output_index(ih, kh, s.output[1], s.axes[1]);
      if (oh < 0) continue;
      for (int64_t kw = 0; kw < s.axes[2].kernel_size; ++kw) {
        const int64_t ow = shape::output_index(iw, kw, s.output[2], s.axes[2]);
        if (ow < 0) continue;
        f((kd * s.axes[1].kernel_size + kh) * s.axes[2].kernel_size + kw, (od * s.output[1] + oh) * s.output[2] + ow);
      }
    }
  }
}

}  // namespace reference

/// One output plane: output[n, oc, ...] = bias[oc] + sum over ic, tap of weight[oc, ic, tap] input[n, ic, position(o, tap)].
template <class T>
void conv_reference_forward(const ConvShape& s, const ConvForward<T>& io, int64_t n, int64_t oc) {
  const int64_t icg = s.in_channels_per_group();
  const int64_t group = oc / s.out_channels_per_group();
  const T* weight = io.weight + oc * icg * s.taps();
  const T* input = io.input + (n * s.in_channels + group * icg) * s.input_positions();
  T* output = io.output + (n * s.out_channels + oc) * s.output_positions();
  for (int64_t od = 0; od < s.output[0]; ++od) {
    for (int64_t oh = 0; oh < s.output[1]; ++oh) {
      for (int64_t ow = 0; ow < s.output[2]; ++ow) {
        reference::Sum<T> sum = io.bias != nullptr ? io.bias[oc] : T(0);
        for (int64_t ic = 0; ic < icg; ++ic) {
          reference::for_each_tap(s, od, oh, ow, [&](int64_t tap, int64_t at) {
            sum += reference::Sum<T>(weight[ic * s.taps() + tap]) * reference::Sum<T>(input[ic * s.input_positions() + at]);
          });
        }
        *output++ = static_cast<T>(sum);
      }
    }
  }
  const int64_t plane = (n * s.out_channels + oc) * s.output_positions();
  apply_epilogue(io.epilogue, io.output + plane, s.output_positions(), plane);
}

/// One plane of the input gradient: grad_input[n, ic, i] = bias[ic] + sum over oc, tap of weight[oc, ic, tap] grad_output[n, oc,
/// o].
template <class T>
void conv_reference_grad_input(const ConvShape& s, const ConvGradInput<T>& io, int64_t n, int64_t ic) {
  const int64_t icg = s.in_channels_per_group(), ocg = s.out_channels_per_group();
  const int64_t group = ic / icg;
  const T* weight = io.weight + (group * ocg * icg + ic % icg) * s.taps();
  const T* grad_output = io.grad_output + (n * s.out_channels + group * ocg) * s.output_positions();
  T* grad_input = io.grad_input + (n * s.in_channels + ic) * s.input_positions();
  for (int64_t id = 0; id < s.input[0]; ++id) {
    for (int64_t ih = 0; ih < s.input[1]; ++ih) {
      for (int64_t iw = 0; iw < s.input[2]; ++iw) {
        reference::Sum<T> sum = io.bias != nullptr ? io.bias[ic] : T(0);
        for (int64_t oc = 0; oc < ocg; ++oc) {
          reference::for_each_use(s, id, ih, iw, [&](int64_t tap, int64_t at) {
            sum += reference::Sum<T>(weight[oc * icg * s.taps() + tap]) *
                   reference::Sum<T>(grad_output[oc * s.output_positions() + at]);
          });
        }
        *grad_input++ = static_cast<T>(sum);
      }
    }
  }
  const int64_t plane = (n * s.in_channels + ic) * s.input_positions();
  apply_epilogue(io.epilogue, io.grad_input + plane, s.input_positions(), plane);
}

/// The weight gradient of one (oc, ic) pair: grad_weight[oc, ic, tap] = sum over n, o of grad_output[n, oc, o] input[n, ic,
/// position(o, tap)].
template <class T>
void conv_reference_grad_weight(const ConvShape& s, const ConvGradWeight<T>& io, int64_t oc, int64_t ic) {
  const int64_t icg = s.in_channels_per_group();
  const int64_t group = oc / s.out_channels_per_group();
  T* grad_weight = io.grad_weight + (oc * icg + ic) * s.taps();
  for (int64_t tap = 0; tap < s.taps(); ++tap) grad_weight[tap] = T(0);
  for (int64_t n = 0; n < s.batch; ++n) {
    const T* input = io.input + (n * s.in_channels + group * icg + ic) * s.input_positions();
    const T* grad_output = io.grad_output + (n * s.out_channels + oc) * s.output_positions();
    for (int64_t od = 0; od < s.output[0]; ++od) {
      for (int64_t oh = 0; oh < s.output[1]; ++oh) {
        for (int64_t ow = 0; ow < s.output[2]; ++ow) {
          const T g = *grad_output++;
          reference::for_each_tap(s, od, oh, ow, [&](int64_t tap, int64_t at) { grad_weight[tap] += g * input[at]; });
        }
      }
    }
  }
}

/// The whole computation, planes in parallel. Defined for float, double and std::complex<double>.
template <class T>
void conv_reference(const ConvShape& s, const ConvForward<T>& io);
template <class T>
void conv_reference(const ConvShape& s, const ConvGradInput<T>& io);
template <class T>
void conv_reference(const ConvShape& s, const ConvGradWeight<T>& io);

extern const ConvKernel kConvReferenceForward;
extern const ConvKernel kConvReferenceGradInput;
extern const ConvKernel kConvReferenceGradWeight;

}  // namespace convoy::kernels
