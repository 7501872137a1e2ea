// What the tests of the rules share: inputs that keep away from kinks, and grad_check as an assertion.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "convoy/autograd/functions.h"
#include "convoy/autograd/grad_check.h"
#include "convoy/core/parallel.h"

namespace convoy {

using Inputs = std::vector<Variable>;

/// float64 values in +-[0.1, 1.6], no two equal and none nearer than 1e-3 to another, in an order that `seed` decides.
inline Tensor distinct_values(const Shape& shape, int64_t seed = 1) {
  Tensor values = Tensor::empty(shape, DType::kFloat64);
  const int64_t n = values.numel();
  // i -> (a i + b) mod m with m prime visits every residue once.
  constexpr int64_t kPrime = 1499;
  EXPECT_LE(n, kPrime - 1) << "a test this large is slow: make it smaller";
  for (int64_t i = 0; i < n; ++i) {
    const int64_t residue = ((i + 1) * (137 + 61 * seed)) % kPrime;  // 1 .. kPrime - 1
    const double magnitude = 0.1 + 1.5 * static_cast<double>(residue) / kPrime;
    values.data<double>()[i] = residue % 2 == 0 ? magnitude : -magnitude;
  }
  return values;
}

/// A leaf to check.
inline Variable checked(const Shape& shape, int64_t seed = 1) { return {distinct_values(shape, seed), true}; }

/// Thousands of calls of some hundred operations each are faster without waking threads; that the thread count changes nothing is
/// tested with the kernels.
struct OneThread {
  OneThread() { set_num_threads(1); }
  ~OneThread() { set_num_threads(0); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
};

/// EXPECTs that backward() is the derivative of `function`, for all inputs together, and that each input alone, the others being
/// constants, gets the same gradient: skipping what is not needed must not change what is. Inputs and gradients near 1 leave
/// differences some 1e-9 of error, so the tolerances are stricter than gradcheck's own.
inline void expect_gradients(const std::string& name, const std::function<Variable(const Inputs&)>& function, const Inputs& inputs,
                             const GradCheckOptions& options = {.eps = 1e-6, .atol = 1e-7, .rtol = 1e-6}) {
  SCOPED_TRACE(name);
  const OneThread one_thread;
  const GradCheckReport report = grad_check(function, inputs, options);
  EXPECT_TRUE(report) << report.text;

  const auto gradients = [&](size_t only) {
    Inputs leaves;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool needed = inputs[i].requires_grad() && (only == inputs.size() || only == i);
      leaves.push_back(inputs[i].defined() ? Variable(inputs[i].data().clone(), needed) : Variable());
    }
    Variable output = function(leaves);
    output.backward(distinct_values(output.shape(), 7));
    std::vector<Tensor> result;
    for (const Variable& leaf : leaves) result.push_back(leaf.grad());
    return result;
  };
  const std::vector<Tensor> all = gradients(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].requires_grad()) continue;
    const std::vector<Tensor> one = gradients(i);
    for (size_t k = 0; k < inputs.size(); ++k) {
      EXPECT_TRUE(identical(one[k], k == i ? all[k] : Tensor()))
          << "gradient of input " << k << " when only input " << i << " needs one";
    }
  }
}

}  // namespace convoy
