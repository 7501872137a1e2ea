// float32 batch normalisation with the batch's own statistics, together with what usually follows it: a residual and a clamp.
#pragma once

#include <cstdint>
#include <limits>

#include "convoy/kernels/norm/norm.h"

namespace convoy::kernels {

/// Channel c's values lie in `batch` planes of `length` > 1 values, c * length + n * channels * length from the start.
struct BatchNormShape {
  int64_t batch, channels, length;
};

/// Partial sums per channel: forward and backward need room for batch_norm_parts(shape) * channels of them.
int64_t batch_norm_parts(const BatchNormShape& shape) noexcept;

/// output = clamp((input - mean) * inv_std * weight + bias + residual). A NaN passes through the clamp.
struct BatchNormForward {
  const float* input;
  const float *weight, *bias;  // per channel; null: 1 and 0
  const float* residual;       // null: none
  double eps;
  float low, high;
  float* output;
  double *mean, *inv_std, *squares;  // results per channel; squares: the sum of squared deviations from the mean
  Moments* partial;
};
void batch_norm(const BatchNormShape& shape, const BatchNormForward& io) noexcept;

/// The gradients behind that, the mean being the input's own. An output that was not strictly between low and high passes nothing
/// on; a NaN's gradient is kept.
struct BatchNormBackward {
  const float *grad_output, *input;
  const float* output;  // with a residual the output shows what was clamped; null: the input shows it
  const float *weight, *bias;
  const double *mean, *inv_std;
  float low, high;
  float *grad_input, *grad_residual;  // grad_residual may be null without an output
  double *grad_weight, *grad_bias;
  GradSums* partial;
};
void batch_norm_backward(const BatchNormShape& shape, const BatchNormBackward& io) noexcept;

/// (value - center) * scale + shift with float32 numbers: a center rounded to float32 makes the subtraction exact where it matters,
/// and the shift makes up for the rounding.
struct ChannelCoefficients {
  float center, scale, shift;
  ChannelCoefficients(double mean, double factor, double offset)
      : center(static_cast<float>(mean)),
        scale(static_cast<float>(factor)),
        shift(static_cast<float>(offset + (static_cast<double>(center) - mean) * factor)) {}
};

}  // namespace convoy::kernels
