// Checks that several functions share, in PyTorch's words.
#pragma once

#include <string>

#include "convoy/core/tensor.h"

namespace convoy::ops {

/// Throws Error for an undefined tensor: "expand(): argument 'input' must be Tensor, not None".
void check_defined(const Tensor& tensor, const char* function, const char* argument);

/// Throws Error: "\"NAME\" not implemented for 'Long'".
[[noreturn]] void refuse_type(DType dtype, const std::string& name,
                              const char* fix = "convert it first: input.to(DType::kFloat32)");

/// Throws the same unless the input is float32 or float64.
void check_floating(const Tensor& input, const char* name);

/// Throws Error if a defined tensor has another type: "expected scalar type Float but found Double".
void check_type(const Tensor& tensor, DType dtype);

/// Throws ShapeMismatch unless the gradient has the shape (and type) of what it is the gradient of.
void check_gradient(const Tensor& gradient, const Tensor& of);

}  // namespace convoy::ops
