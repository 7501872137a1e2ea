// Checks that several functions share, in PyTorch's words.
#pragma once

#include <string>

#include "convoy/core/tensor.h"

namespace convoy::ops {

/// "Float", "Double", "Long": PyTorch's names of types in messages.
inline const char* type_word(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "Float";
    case DType::kFloat64:
      return "Double";
    case DType::kInt64:
      return "Long";
  }
  return "?";
}

/// Throws Error for an undefined tensor: "expand(): argument 'input' must be Tensor, not None".
void check_defined(const Tensor& tensor, const char* function, const char* argument);

/// Throws Error: "\"NAME\" not implemented for 'Long'".
void check_floating(const Tensor& input, const char* name);

/// Throws Error if a defined tensor has another type: "expected scalar type Float but found Double".
void check_type(const Tensor& tensor, DType dtype);

/// Throws ShapeMismatch unless the gradient has the shape (and type) of what it is the gradient of.
void check_gradient(const Tensor& gradient, const Tensor& of);

}  // namespace convoy::ops
