#include "convoy/ops/checks.h"

#include "convoy/core/error.h"

namespace convoy::ops {

void check_defined(const Tensor& tensor, const char* function, const char* argument) {
  if (!tensor.defined())
    throw Error(std::string(function) + "(): argument '" + argument + "' must be Tensor, not None", "give it a tensor");
}

void refuse_type(DType dtype, const std::string& name, const char* fix) {
  throw Error("\"" + name + "\" not implemented for '" + type_word(dtype) + "'", fix);
}

void check_floating(const Tensor& input, const char* name) {
  if (!is_float_or_double(input.dtype())) refuse_type(input.dtype(), name);
}

void check_type(const Tensor& tensor, DType dtype) {
  if (tensor.defined() && tensor.dtype() != dtype) {
    throw Error(std::string("expected scalar type ") + type_word(dtype) + " but found " + type_word(tensor.dtype()),
                std::string("the operands are ") + dtype_name(dtype) + " and " + dtype_name(tensor.dtype()) +
                    ": convert one with to(DType)");
  }
}

void check_gradient(const Tensor& gradient, const Tensor& of) {
  check_type(gradient, of.dtype());
  if (gradient.shape() != of.shape()) {
    throw ShapeMismatch("grad_output has shape " + to_string(gradient.shape()) + ", expected " + to_string(of.shape()),
                        "a gradient has the shape of the output that it belongs to");
  }
}

}  // namespace convoy::ops
