// Convolution and transposed convolution, forward and backward.
#pragma once

#include <vector>

#include "convoy/core/tensor.h"
#include "convoy/ops/options.h"
#include "convoy/shape/conv.h"

namespace convoy {

/// Arguments of conv1d, conv2d and conv3d with PyTorch's defaults.
struct ConvOptions {
  IntList stride = 1;
  Padding padding = 0;
  IntList dilation = 1;
  int64_t groups = 1;
  PaddingMode padding_mode = PaddingMode::kZeros;
};

/// Arguments of conv_transpose1d, 2d and 3d. If output_size is given it replaces output_padding: the spatial sizes alone, or with
/// batch and channels in front (those are ignored, as in PyTorch).
struct ConvTransposeOptions {
  IntList stride = 1;
  IntList padding = 0;
  IntList output_padding = 0;
  int64_t groups = 1;
  IntList dilation = 1;
  std::vector<int64_t> output_size = {};
};

/// Gradients of sum(output * grad_output); those not asked for are undefined.
struct ConvGradients {
  Tensor input, weight, bias;
};

/// Which gradients to compute.
struct ConvNeeds {
  bool input = true, weight = true, bias = true;
};

namespace ops {

/// output[n, o] = bias[o] + sum over i in o's group of the cross-correlation of weight[o, i] with input[n, i].
///
/// Shapes: input (N, C, *) or (C, *), weight (O, C / groups, *kernel_size), bias (O) or undefined, output (N, O, *) or (O, *).
/// Errors: PyTorch 1.13's checks in its order, each followed by what would work.
/// Source: torch.nn.functional.conv2d; asymmetric padding (begin/end pairs) and padding_mode are Convoy's own arguments.
Tensor conv1d(const Tensor& input, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& options = {});
Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& options = {});
Tensor conv3d(const Tensor& input, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& options = {});
/// The same with the number of spatial axes (1, 2 or 3) as an argument. training: the weight is new in every call and samples come
/// in batches, for which another algorithm may be the fastest: results may differ by rounding, within the same bounds.
Tensor conv(int rank, const Tensor& input, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& options = {},
            bool training = false);
/// Shapes: grad_output as the output. Errors: as conv, and a grad_output of another shape.
ConvGradients conv_backward(int rank, const Tensor& grad_output, const Tensor& input, const Tensor& weight,
                            const ConvOptions& options = {}, const ConvNeeds& needs = {});

/// The adjoint of conv: output[i s - p + k d] += weight[k] input[i].
///
/// Shapes: input (N, C, *) or (C, *), weight (C, O / groups, *kernel_size), bias (O) or undefined, output (N, O, *) or (O, *).
/// Errors: as conv; output_padding not below max(stride, dilation); an output_size that cannot be reached (ValueError).
/// Source: torch.nn.functional.conv_transpose2d, torch.nn.ConvTranspose2d.forward for output_size.
Tensor conv_transpose1d(const Tensor& input, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});
Tensor conv_transpose2d(const Tensor& input, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});
Tensor conv_transpose3d(const Tensor& input, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});
Tensor conv_transpose(int rank, const Tensor& input, const Tensor& weight, const Tensor& bias = {},
                      const ConvTransposeOptions& options = {}, bool training = false);
ConvGradients conv_transpose_backward(int rank, const Tensor& grad_output, const Tensor& input, const Tensor& weight,
                                      const ConvTransposeOptions& options = {}, const ConvNeeds& needs = {});

/// The output_padding that makes a transposed convolution of `input_shape` (batched or not) give `output_size`.
/// Errors: ValueError in the words of torch.nn.modules.conv._ConvTransposeNd._output_padding.
std::vector<int64_t> output_padding_for(int rank, const Shape& input_shape, const Shape& kernel_size,
                                        const ConvTransposeOptions& options);

/// The shapes of a checked call: what conv and conv_transpose will compute, without computing it (for summaries and plans).
shape::ConvShape conv_shape(int rank, const Shape& input, const Shape& weight, const ConvOptions& options = {});
shape::ConvShape conv_transpose_shape(int rank, const Shape& input, const Shape& weight, const ConvTransposeOptions& options = {});

}  // namespace ops
}  // namespace convoy
