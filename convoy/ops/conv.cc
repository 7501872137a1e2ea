#include "convoy/ops/conv.h"

#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/conv_checks.h"
#include "convoy/ops/pad.h"
#include "convoy/ops/reduce.h"
#include "convoy/plan/conv_plan.h"

namespace convoy::ops {

namespace {

using kernels::ConvForward;
using kernels::ConvGradInput;
using kernels::ConvGradWeight;
using shape::ConvShape;

void check_equal_types(const Tensor& input, const Tensor& weight) {
  if (!is_float_or_double(input.dtype())) refuse_type(input.dtype(), "slow_conv2d_cpu");
  if (weight.dtype() != input.dtype()) {
    raise<Error>(
        "expected scalar type {} but found {}\n"
        "input and weight must have one type: the input is {}, the weight {}",
        type_word(input.dtype()), type_word(weight.dtype()), input.dtype(), weight.dtype());
  }
}

Shape output_shape(const ConvShape& s, bool batched) {
  Shape shape;
  if (batched) shape.push_back(s.batch);
  shape.push_back(s.out_channels);
  for (int a = s.first_axis(); a < 3; ++a) shape.push_back(s.output[static_cast<size_t>(a)]);
  return shape;
}

// F.pad's list of begin/end pairs, outermost axis first: the last axis first.
std::vector<int64_t> pad_list(const std::vector<shape::PadPair>& pairs) {
  std::vector<int64_t> list;
  for (auto pair = pairs.rbegin(); pair != pairs.rend(); ++pair) {
    list.push_back(pair->begin);
    list.push_back(pair->end);
  }
  return list;
}

// The padding of a mode other than zeros, and the options of the convolution of the padded input.
struct ModePadding {
  std::vector<int64_t> padding;
  ConvOptions inner;
};

// PyTorch's layers pad before the convolution sees its input, so what pad() refuses precedes what the convolution would. Names and
// lists of a wrong length or sign are the convolution's to judge.
ModePadding split_padding(int rank, const Tensor& input, const Tensor& weight, const ConvOptions& options) {
  ConvOptions inner = options;
  inner.padding_mode = PaddingMode::kZeros;
  std::vector<shape::PadPair> pairs = options.padding.pairs();
  if (!options.padding.named() && !options.padding.paired()) {
    for (const int64_t p : options.padding.values().expand(rank)) pairs.push_back({p, p});
  }
  const bool plain = std::all_of(pairs.begin(), pairs.end(), [](const shape::PadPair& p) { return p.begin >= 0 && p.end >= 0; });
  const bool fits = input.dim() == rank + 1 || input.dim() == rank + 2;
  if (options.padding.named() || !plain || !fits || pairs.size() != static_cast<size_t>(rank)) {
    const ConvShape s = check_conv(rank, input.shape(), weight.shape(), nullptr, inner).shape;
    pairs.clear();
    for (int a = s.first_axis(); a < 3; ++a) {
      const shape::Axis& axis = s.axes[static_cast<size_t>(a)];
      pairs.push_back({axis.pad_begin, axis.pad_end});
    }
  }
  inner.padding = 0;
  return {pad_list(pairs), inner};
}

void check_grad_output(const Tensor& grad_output, const Shape& expected, const Tensor& input) {
  if (grad_output.shape() != expected) {
    raise<ShapeMismatch>(
        "grad_output has shape {}, but the output has shape {}\n"
        "grad_output has one value per output",
        grad_output.shape(), expected);
  }
  if (grad_output.dtype() != input.dtype()) {
    raise<Error>(
        "expected scalar type {} but found {}\n"
        "convert one of them with to(dtype)",
        scalar_type_name(input.dtype()), scalar_type_name(grad_output.dtype()));
  }
}

// Sums a gradient over everything but the channels.
Tensor grad_bias(const Tensor& grad_output, const ConvShape& s) {
  return sum(grad_output.reshape({s.batch, s.out_channels, s.output_positions()}), {0, 2});
}

template <class T>
const T* data_or_null(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}

}  // namespace

Tensor conv(int rank, const Tensor& input, const Tensor& weight, const Tensor& bias, const ConvOptions& options, bool training) {
  check_defined(input, "conv", "input");
  check_defined(weight, "conv", "weight");
  check_conv_types(rank, input, weight, bias);
  if (options.padding_mode != PaddingMode::kZeros) {
    const ModePadding mode = split_padding(rank, input, weight, options);
    return conv(rank, pad(input, mode.padding, pad_mode(options.padding_mode)), weight, bias, mode.inner, training);
  }
  const Shape bias_shape = bias.defined() ? bias.shape() : Shape{};
  const CheckedConv checked = check_conv(rank, input.shape(), weight.shape(), bias.defined() ? &bias_shape : nullptr, options);
  check_equal_types(input, weight);
  Tensor output = Tensor::empty(output_shape(checked.shape, checked.batched), input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    plan::run_conv(checked.shape, ConvForward<T>{input.data<T>(), weight.data<T>(), data_or_null<T>(bias), output.data<T>()},
                   training);
  });
  return output;
}

ConvGradients conv_backward(int rank, const Tensor& grad_output, const Tensor& input, const Tensor& weight,
                            const ConvOptions& options, const ConvNeeds& needs) {
  check_defined(input, "conv_backward", "input");
  check_defined(weight, "conv_backward", "weight");
  if (options.padding_mode != PaddingMode::kZeros) {
    const ModePadding mode = split_padding(rank, input, weight, options);
    const Tensor padded = pad(input, mode.padding, pad_mode(options.padding_mode));
    ConvGradients gradients = conv_backward(rank, grad_output, padded, weight, mode.inner, needs);
    if (needs.input) gradients.input = pad_backward(gradients.input, input.shape(), mode.padding, pad_mode(options.padding_mode));
    return gradients;
  }
  const CheckedConv checked = check_conv(rank, input.shape(), weight.shape(), nullptr, options);
  check_equal_types(input, weight);
  check_grad_output(grad_output, output_shape(checked.shape, checked.batched), input);
  const ConvShape& s = checked.shape;
  ConvGradients gradients;
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (needs.input) {
      gradients.input = Tensor::empty(input.shape(), input.dtype());
      plan::run_conv(s, ConvGradInput<T>{grad_output.data<T>(), weight.data<T>(), nullptr, gradients.input.data<T>()}, true);
    }
    if (needs.weight) {
      gradients.weight = Tensor::empty(weight.shape(), weight.dtype());
      plan::run_conv(s, ConvGradWeight<T>{input.data<T>(), grad_output.data<T>(), gradients.weight.data<T>()});
    }
  });
  if (needs.bias) gradients.bias = grad_bias(grad_output, s);
  return gradients;
}

Tensor conv_transpose(int rank, const Tensor& input, const Tensor& weight, const Tensor& bias, const ConvTransposeOptions& options,
                      bool training) {
  check_defined(input, "conv_transpose", "input");
  check_defined(weight, "conv_transpose", "weight");
  const Shape bias_shape = bias.defined() ? bias.shape() : Shape{};
  const CheckedConv checked =
      check_conv_transpose(rank, input.shape(), weight.shape(), bias.defined() ? &bias_shape : nullptr, options);
  check_equal_types(input, weight);
  if (bias.defined()) check_equal_types(input, bias);
  Tensor output = Tensor::empty(output_shape(checked.shape, checked.batched), input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    plan::run_conv(shape::adjoint(checked.shape),
                   ConvGradInput<T>{input.data<T>(), weight.data<T>(), data_or_null<T>(bias), output.data<T>()}, training);
  });
  return output;
}

ConvGradients conv_transpose_backward(int rank, const Tensor& grad_output, const Tensor& input, const Tensor& weight,
                                      const ConvTransposeOptions& options, const ConvNeeds& needs) {
  check_defined(input, "conv_transpose_backward", "input");
  check_defined(weight, "conv_transpose_backward", "weight");
  const CheckedConv checked = check_conv_transpose(rank, input.shape(), weight.shape(), nullptr, options);
  check_equal_types(input, weight);
  check_grad_output(grad_output, output_shape(checked.shape, checked.batched), input);
  const ConvShape plain = shape::adjoint(checked.shape);
  ConvGradients gradients;
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (needs.input) {
      gradients.input = Tensor::empty(input.shape(), input.dtype());
      plan::run_conv(plain, ConvForward<T>{grad_output.data<T>(), weight.data<T>(), nullptr, gradients.input.data<T>()}, true);
    }
    if (needs.weight) {
      gradients.weight = Tensor::empty(weight.shape(), weight.dtype());
      plan::run_conv(plain, ConvGradWeight<T>{grad_output.data<T>(), input.data<T>(), gradients.weight.data<T>()});
    }
  });
  if (needs.bias) gradients.bias = grad_bias(grad_output, checked.shape);
  return gradients;
}

Tensor conv1d(const Tensor& input, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return conv(1, input, weight, bias, options);
}
Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return conv(2, input, weight, bias, options);
}
Tensor conv3d(const Tensor& input, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return conv(3, input, weight, bias, options);
}

Tensor conv_transpose1d(const Tensor& input, const Tensor& weight, const Tensor& bias, const ConvTransposeOptions& options) {
  return conv_transpose(1, input, weight, bias, options);
}
Tensor conv_transpose2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const ConvTransposeOptions& options) {
  return conv_transpose(2, input, weight, bias, options);
}
Tensor conv_transpose3d(const Tensor& input, const Tensor& weight, const Tensor& bias, const ConvTransposeOptions& options) {
  return conv_transpose(3, input, weight, bias, options);
}

shape::ConvShape conv_shape(int rank, const Shape& input, const Shape& weight, const ConvOptions& options) {
  return check_conv(rank, input, weight, nullptr, options).shape;
}

shape::ConvShape conv_transpose_shape(int rank, const Shape& input, const Shape& weight, const ConvTransposeOptions& options) {
  return check_conv_transpose(rank, input, weight, nullptr, options).shape;
}

}  // namespace convoy::ops
