#include "convoy/ops/loss.h"

#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/elementwise/pair_loss.h"
#include "convoy/kernels/reduce/nll.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/reduce.h"

namespace convoy::ops {

namespace {

// Classes are axis 1, or axis 0 of a single sample.
kernels::NllLayout layout_of(const Tensor& input, const ClassLossOptions& options, double smoothing) {
  kernels::NllLayout layout{1, 1, 1, options.ignore_index, smoothing};
  const Shape& shape = input.shape();
  if (shape.size() == 1) {
    layout.classes = shape[0];
    return layout;
  }
  layout.batch = shape[0];
  layout.classes = shape[1];
  for (size_t axis = 2; axis < shape.size(); ++axis) layout.inner *= shape[axis];
  return layout;
}

// nll_loss' checks of shapes and targets, in PyTorch's order.
void check_classes(const Tensor& input, const Tensor& target, int64_t ignore_index) {
  const int64_t rank = input.dim();
  const std::string fix = formatted("for an input of shape {} the target needs shape ", input.shape());
  if (rank < 1) raise<ValueError>("Expected 1 or more dimensions (got 0)\nthe input is (C), (N, C) or (N, C, *)");
  Shape wanted = input.shape();
  wanted.erase(wanted.begin() + (rank == 1 ? 0 : 1));
  const int64_t target_batch = target.dim() == 0 ? 0 : target.size(0);
  if (rank != 1 && (target.dim() == 0 || target_batch != input.size(0))) {
    raise<ValueError>(
        "Expected input batch_size ({}) to match target batch_size ({}).\n"
        "{}{}",
        input.size(0), target_batch, fix, wanted);
  }
  if (target.shape() != wanted) {
    const std::string input_size = to_string(input.shape()), target_size = to_string(target.shape());
    if (rank <= 2) {
      if (target.dim() > 1) raise<ShapeMismatch>("0D or 1D target tensor expected, multi-target not supported\n{}{}", fix, wanted);
      raise<ShapeMismatch>("size mismatch (got input: {}, target: {})\n{}{}", input_size, target_size, fix, wanted);
    }
    if (rank == 4 && target.dim() != 3) {
      raise<ShapeMismatch>(
          "only batches of spatial targets supported (3D tensors) but got targets of dimension: {}\n"
          "{}{}",
          target.dim(), fix, wanted);
    }
    if (rank == 4) raise<ShapeMismatch>("size mismatch (got input: {} , target: {}\n{}{}", input_size, target_size, fix, wanted);
    raise<ShapeMismatch>("Expected target size {}, got {}\none class number per position", wanted, target_size);
  }
  check_type(target, DType::kInt64);
  const int64_t classes = input.size(rank == 1 ? 0 : 1);
  const auto* t = target.data<int64_t>();
  for (int64_t i = 0; i < target.numel(); ++i) {
    if (t[i] != ignore_index && (t[i] < 0 || t[i] >= classes)) {
      raise<Error>(
          "Target {} is out of bounds.\n"
          "{}",
          t[i],
          classes == 0 ? std::string("the input has no classes")
                       : formatted("the input has {} classes, numbered 0 to {}", classes, classes - 1));
    }
  }
}

// How many samples the mean is taken over.
double counted(const Tensor& target, int64_t ignore_index) {
  const auto* t = target.data<int64_t>();
  int64_t count = 0;
  for (int64_t i = 0; i < target.numel(); ++i) count += t[i] != ignore_index;
  return static_cast<double>(count);
}

// losses are float64.
Tensor reduce(const Tensor& losses, Reduction reduction, double count, DType dtype) {
  if (reduction == Reduction::kNone) return losses.to(dtype);
  const double total = sum(losses).item();
  return Tensor::scalar(reduction == Reduction::kMean ? total / count : total, dtype);
}

// What the mean divides the gradient by; a mean over nothing has the gradient 0.
double gradient_scale(Reduction reduction, double count) {
  if (reduction != Reduction::kMean) return 1.0;
  return count == 0 ? 0.0 : 1.0 / count;
}

void check_loss_gradient(const Tensor& grad_output, Reduction reduction, const Shape& unreduced, DType dtype) {
  check_type(grad_output, dtype);
  const bool fits = reduction == Reduction::kNone ? grad_output.shape() == unreduced : grad_output.numel() == 1;
  if (!fits) {
    raise<ShapeMismatch>(
        "grad_output has shape {}, expected {}\n"
        "a gradient has the shape of the loss that it belongs to",
        grad_output.shape(), reduction == Reduction::kNone ? unreduced : Shape{});
  }
}

Tensor class_loss(const Tensor& log_p, const Tensor& target, const ClassLossOptions& options, double smoothing) {
  const kernels::NllLayout layout = layout_of(log_p, options, smoothing);
  Tensor losses = Tensor::empty(target.shape(), DType::kFloat64);
  with_floating(log_p.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::nll<T>(layout, log_p.data<T>(), target.data<int64_t>(), losses.data<double>());
  });
  const double count = options.reduction == Reduction::kMean ? counted(target, options.ignore_index) : 0;
  return reduce(losses, options.reduction, count, log_p.dtype());
}

Tensor class_loss_backward(const Tensor& grad_output, const Tensor& input, const Tensor& target, const ClassLossOptions& options) {
  check_loss_gradient(grad_output, options.reduction, target.shape(), input.dtype());
  const kernels::NllLayout layout = layout_of(input, options, 0.0);
  const double count = options.reduction == Reduction::kMean ? counted(target, options.ignore_index) : 0;
  Tensor grad_input = Tensor::empty(input.shape(), input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::nll_backward<T>(layout, target.data<int64_t>(), grad_output.data<T>(), options.reduction == Reduction::kNone,
                             gradient_scale(options.reduction, count), grad_input.data<T>());
  });
  return grad_input;
}

// cross_entropy with a probability per class instead of a class number, as PyTorch decides it: by equal shapes.
bool has_probabilities(const Tensor& input, const Tensor& target) {
  if (input.shape() != target.shape()) return false;
  if (!is_float_or_double(target.dtype())) {
    raise<Error>(
        "Expected floating point type for target with class probabilities, got {}\n"
        "class numbers have one axis less than the input's shape {}",
        type_word(target.dtype()), input.shape());
  }
  return input.dim() > 0;
}

void check_cross_entropy(const Tensor& input, const Tensor& target, const ClassLossOptions& options, bool probabilities) {
  if (input.dim() < 1) raise<ValueError>("Expected 1 or more dimensions (got 0)\nthe input is (C), (N, C) or (N, C, *)");
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1)) {
    std::string value = std::to_string(options.label_smoothing);
    value.erase(value.find_last_not_of('0') + 1);
    if (value.back() == '.') value.pop_back();
    raise<Error>("label_smoothing must be between 0.0 and 1.0. Got: {}\n0.1 is usual", value);
  }
  check_floating(input, "log_softmax_lastdim_kernel_impl");
  if (probabilities) {
    check_type(target, input.dtype());
  } else {
    check_classes(input, target, options.ignore_index);
  }
}

Shape without_classes(const Shape& shape) {
  Shape rest = shape;
  rest.erase(rest.begin() + (shape.size() == 1 ? 0 : 1));
  return rest;
}

}  // namespace

Tensor nll_loss(const Tensor& input, const Tensor& target, const ClassLossOptions& options) {
  check_classes(input, target, options.ignore_index);
  check_floating(input, "nll_loss_out_frame");
  return class_loss(input, target, options, 0.0);
}

Tensor nll_loss_backward(const Tensor& grad_output, const Tensor& input, const Tensor& target, const ClassLossOptions& options) {
  check_classes(input, target, options.ignore_index);
  check_floating(input, "nll_loss_out_frame");
  return class_loss_backward(grad_output, input, target, options);
}

Tensor cross_entropy(const Tensor& input, const Tensor& target, const ClassLossOptions& options) {
  const bool probabilities = has_probabilities(input, target);
  check_cross_entropy(input, target, options, probabilities);
  const Tensor log_p = log_softmax(input, input.dim() == 1 ? 0 : 1);
  if (!probabilities) return class_loss(log_p, target, options, options.label_smoothing);
  const kernels::NllLayout layout = layout_of(input, options, options.label_smoothing);
  Tensor losses = Tensor::empty(without_classes(input.shape()), DType::kFloat64);
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::nll_probabilities<T>(layout, log_p.data<T>(), target.data<T>(), losses.data<double>());
  });
  return reduce(losses, options.reduction, static_cast<double>(losses.numel()), input.dtype());
}

Tensor cross_entropy_backward(const Tensor& grad_output, const Tensor& input, const Tensor& target,
                              const ClassLossOptions& options) {
  const bool probabilities = has_probabilities(input, target);
  check_cross_entropy(input, target, options, probabilities);
  check_loss_gradient(grad_output, options.reduction, without_classes(input.shape()), input.dtype());
  const int64_t dim = input.dim() == 1 ? 0 : 1;
  const kernels::NllLayout layout = layout_of(input, options, options.label_smoothing);
  if (!probabilities) {
    const double count = options.reduction == Reduction::kMean ? counted(target, options.ignore_index) : 0;
    Tensor gradient = softmax(input, dim);
    with_floating(input.dtype(), [&](auto zero) {
      using T = decltype(zero);
      kernels::cross_entropy_backward<T>(layout, target.data<int64_t>(), grad_output.data<T>(),
                                         options.reduction == Reduction::kNone, gradient_scale(options.reduction, count),
                                         gradient.data<T>());
    });
    return gradient;
  }
  const Tensor log_p = log_softmax(input, dim);
  Tensor grad_log_p = Tensor::empty(input.shape(), input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::nll_probabilities_backward<T>(layout, target.data<T>(), grad_output.data<T>(), options.reduction == Reduction::kNone,
                                           gradient_scale(options.reduction, static_cast<double>(layout.batch * layout.inner)),
                                           grad_log_p.data<T>());
  });
  return log_softmax_backward(grad_log_p, log_p, dim);
}

namespace {

// The two operands in their common shape, checked.
struct Pair {
  Tensor input, target;
  PairLoss kind;

  Pair(PairLoss wanted, const Tensor& x, const Tensor& t, double beta) : kind(wanted) {
    check_defined(x, "loss", "input");
    check_defined(t, "loss", "target");
    if (kind == PairLoss::kBceWithLogits && x.shape() != t.shape()) {
      raise<ValueError>(
          "Target size (torch.Size({})) must be the same as input size (torch.Size({}))\n"
          "one target between 0 and 1 per logit",
          t.shape(), x.shape());
    }
    const Shape shape = broadcast_shape(x.shape(), t.shape());
    if (kind == PairLoss::kSmoothL1 && beta < 0) {
      raise<Error>("smooth_l1_loss does not support negative values for beta.\nbeta 1 is usual; 0 makes it l1_loss");
    }
    if (kind == PairLoss::kSmoothL1 && beta == 0) kind = PairLoss::kL1;
    check_floating(x, kind == PairLoss::kMse ? "mse_cpu" : kind == PairLoss::kSmoothL1 ? "smooth_l1_cpu" : "l1_loss");
    check_type(t, x.dtype());
    input = x.shape() == shape ? x : expand(x, shape);
    target = t.shape() == shape ? t : expand(t, shape);
  }
};

}  // namespace

Tensor pair_loss(PairLoss kind, const Tensor& input, const Tensor& target, Reduction reduction, double beta) {
  const Pair pair(kind, input, target, beta);
  Tensor losses = Tensor::empty(pair.input.shape(), input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::pair_loss(pair.kind, beta, pair.input.data<T>(), pair.target.data<T>(), losses.data<T>(), losses.numel());
  });
  switch (reduction) {
    case Reduction::kNone:
      return losses;
    case Reduction::kMean:
      return mean(losses);
    case Reduction::kSum:
      break;
  }
  return sum(losses);
}

Tensor pair_loss_backward(PairLoss kind, const Tensor& grad_output, const Tensor& input, const Tensor& target, Reduction reduction,
                          double beta) {
  const Pair pair(kind, input, target, beta);
  check_loss_gradient(grad_output, reduction, pair.input.shape(), input.dtype());
  Tensor grad_input = Tensor::empty(pair.input.shape(), input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::pair_loss_backward(pair.kind, beta, pair.input.data<T>(), pair.target.data<T>(), grad_output.data<T>(),
                                reduction == Reduction::kNone, gradient_scale(reduction, static_cast<double>(grad_input.numel())),
                                grad_input.data<T>(), grad_input.numel());
  });
  return sum_to(grad_input, input.shape());
}

Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  return pair_loss(PairLoss::kMse, input, target, reduction);
}
Tensor l1_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  return pair_loss(PairLoss::kL1, input, target, reduction);
}
Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, Reduction reduction, double beta) {
  return pair_loss(PairLoss::kSmoothL1, input, target, reduction, beta);
}
Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target, Reduction reduction) {
  return pair_loss(PairLoss::kBceWithLogits, input, target, reduction);
}

}  // namespace convoy::ops
