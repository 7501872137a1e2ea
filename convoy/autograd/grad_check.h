// Does backward() agree with the function it is the derivative of?
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "convoy/autograd/variable.h"

namespace convoy {

/// An entry passes if |backward - difference| <= atol + rtol |difference|.
struct GradCheckOptions {
  double eps = 1e-6;
  double atol = 1e-5;
  double rtol = 1e-3;
};

/// What grad_check found.
struct GradCheckReport {
  bool ok = false;
  int64_t entries = 0;     // of all Jacobians together
  int64_t mismatches = 0;  // entries that did not pass
  double max_error = 0;    // the largest |backward - difference|
  /// For people: one line if all is well, else what is wrong, in the words of torch.autograd.gradcheck, and the worst entries.
  std::string text;

  explicit operator bool() const { return ok; }
};

/// Compares the Jacobian of `function` that backward() gives, row by row, with central differences
///   (function(x + eps e_i) - function(x - eps e_i)) / (2 eps)
/// for every input that requires a gradient. Also: backward() of zeros gives zeros, backward() of a dense gradient is the same
/// combination of rows (a rule that overwrites where it should add passes row by row), and twice the same gives the same bits.
///
///   const GradCheckReport report = grad_check(
///       [](const std::vector<Variable>& in) { return conv2d(in[0], in[1], {}, {.stride = 2}); },
///       {{randn({1, 2, 5, 5}, DType::kFloat64), true}, {randn({3, 2, 3, 3}, DType::kFloat64), true}});
///   if (!report) std::cerr << report.text;
///
/// The function must be differentiable near the inputs (no ties in a max, no zeros in a relu) and give the same value for the same
/// inputs; it is called once per input element and sign, so keep the sizes small. The inputs and their gradients are not touched.
/// Errors: ValueError if no input requires a gradient or one that does is not float64; what `function` throws.
/// Source: torch.autograd.gradcheck.
GradCheckReport grad_check(const std::function<Variable(const std::vector<Variable>&)>& function,
                           const std::vector<Variable>& inputs, const GradCheckOptions& options = {});

}  // namespace convoy
