#include "convoy/ops/checks.h"

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::ops {

void check_defined(const Tensor& tensor, const char* function, const char* argument) {
  if (!tensor.defined()) raise<Error>("{}(): argument '{}' must be Tensor, not None\ngive it a tensor", function, argument);
}

void refuse_type(DType dtype, const std::string& name, const char* fix) {
  raise<Error>("\"{}\" not implemented for '{}'\n{}", name, type_word(dtype), fix);
}

void check_floating(const Tensor& input, const char* name) {
  if (!is_float_or_double(input.dtype())) refuse_type(input.dtype(), name);
}

void check_type(const Tensor& tensor, DType dtype) {
  if (tensor.defined() && tensor.dtype() != dtype) {
    raise<Error>(
        "expected scalar type {} but found {}\n"
        "the operands are {} and {}: convert one with to(DType)",
        type_word(dtype), type_word(tensor.dtype()), dtype, tensor.dtype());
  }
}

void check_gradient(const Tensor& gradient, const Tensor& of) {
  check_type(gradient, of.dtype());
  if (gradient.shape() != of.shape()) {
    raise<ShapeMismatch>(
        "grad_output has shape {}, expected {}\n"
        "a gradient has the shape of the output that it belongs to",
        gradient.shape(), of.shape());
  }
}

}  // namespace convoy::ops
