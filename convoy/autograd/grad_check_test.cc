#include "convoy/autograd/grad_check.h"

#include <gtest/gtest.h>

#include <cmath>

#include "convoy/core/error.h"
#include "convoy/core/random.h"

namespace convoy {
namespace {

using Inputs = std::vector<Variable>;

// y[i] = x[i]^3 + x[i + 1], whose correct rule sums two gradients for most inputs.
Variable chained_cubes(const Variable& x, const std::function<Tensor(const Tensor& grad_output, const Tensor& x)>& rule) {
  const Tensor in = x.data();
  Tensor y = Tensor::empty({in.numel() - 1}, in.dtype());
  for (int64_t i = 0; i < y.numel(); ++i) y.data<double>()[i] = in.at(i) * in.at(i) * in.at(i) + in.at(i + 1);
  return record(y, {x}, [=](const Tensor& g) -> std::vector<Tensor> { return {rule(g, in)}; });
}

Tensor correct_rule(const Tensor& g, const Tensor& x) {
  Tensor result = Tensor::zeros(x.shape(), x.dtype());
  for (int64_t i = 0; i < g.numel(); ++i) {
    result.data<double>()[i] += g.at(i) * 3 * x.at(i) * x.at(i);
    result.data<double>()[i + 1] += g.at(i);
  }
  return result;
}

GradCheckReport check(const std::function<Tensor(const Tensor&, const Tensor&)>& rule) {
  return grad_check([&](const Inputs& in) { return chained_cubes(in[0], rule); },
                    {{Tensor::from(std::vector<double>{1, 2, -1.5, 0.5}, {4}), true}});
}

TEST(GradCheck, AcceptsACorrectRule) {
  const GradCheckReport report = check(correct_rule);
  EXPECT_TRUE(report) << report.text;
  EXPECT_EQ(report.entries, 12);
  EXPECT_EQ(report.mismatches, 0);
  EXPECT_GT(report.max_error, 0);
  EXPECT_LT(report.max_error, 1e-8);
  EXPECT_NE(report.text.find("agrees with central differences in 12 entries"), std::string::npos);
}

TEST(GradCheck, NamesTheWrongEntries) {
  const GradCheckReport report = check([](const Tensor& g, const Tensor& x) {
    Tensor result = correct_rule(g, x);
    result.data<double>()[1] *= 1.01;
    return result;
  });
  EXPECT_FALSE(report);
  EXPECT_EQ(report.mismatches, 2);
  EXPECT_NEAR(report.max_error, 0.12, 1e-6);
  EXPECT_EQ(
      report.text.find("Jacobian mismatch for output 0 with respect to input 0,\n2 of 12 entries differ by more than 1e-05 + 0.001 "
                       "|numerical|; the largest:\n  d output[1] / d input[1]: numerical 12"),
      0u)
      << report.text;
}

TEST(GradCheck, SeesARuleThatOverwritesWhereItShouldAdd) {
  const GradCheckReport report = check([](const Tensor& g, const Tensor& x) {
    Tensor result = Tensor::zeros(x.shape(), x.dtype());
    for (int64_t i = 0; i < g.numel(); ++i) {  // right for any single row
      if (g.at(i) == 0) continue;
      result.data<double>()[i] = g.at(i) * 3 * x.at(i) * x.at(i);
      result.data<double>()[i + 1] = g.at(i);
    }
    return result;
  });
  EXPECT_FALSE(report);
  EXPECT_EQ(report.mismatches, 0);
  EXPECT_NE(report.text.find("backward of a dense gradient is not the sum of its rows"), std::string::npos) << report.text;
}

TEST(GradCheck, SeesARuleThatIgnoresTheGradient) {
  const GradCheckReport report = grad_check(
      [](const Inputs& in) {
        return record(Tensor::scalar(2 * in[0].item(), DType::kFloat64), {in[0]},
                      [](const Tensor&) -> std::vector<Tensor> { return {Tensor::scalar(2, DType::kFloat64)}; });
      },
      {{Tensor::scalar(1, DType::kFloat64), true}});
  EXPECT_FALSE(report);
  EXPECT_NE(report.text.find("backward not multiplied by grad_output"), std::string::npos) << report.text;
}

TEST(GradCheck, SeesARuleThatIsNotRepeatable) {
  int calls = 0;
  const GradCheckReport report = check([&](const Tensor& g, const Tensor& x) {
    Tensor result = correct_rule(g, x);
    result.data<double>()[0] += 1e-12 * ++calls * g.at(0);
    return result;
  });
  EXPECT_FALSE(report);
  EXPECT_NE(report.text.find("Backward is not reentrant"), std::string::npos) << report.text;
}

TEST(GradCheck, CountsNanAsWrong) {
  const GradCheckReport report =
      check([](const Tensor&, const Tensor& x) { return Tensor::full(x.shape(), std::nan(""), x.dtype()); });
  EXPECT_EQ(report.mismatches, 12);
}

TEST(GradCheck, LeavesItsInputsAlone) {
  Variable x(Tensor::from(std::vector<double>{1, 2, 3}, {3}), true);
  const Tensor before = x.data().clone();
  const GradCheckReport report = grad_check(
      [](const Inputs& in) {
        Variable y = chained_cubes(in[0], correct_rule);
        Variable(in[0]).data().fill_(0);
        return y;
      },
      {x});
  EXPECT_TRUE(identical(x.data(), before));
  EXPECT_FALSE(x.grad().defined());
}

TEST(GradCheck, RefusesWhatItCannotCheck) {
  const auto identity = [](const Inputs& in) { return in[0]; };
  EXPECT_THROW(grad_check(identity, {Variable(Tensor::ones({2}, DType::kFloat64))}), ValueError);
  EXPECT_THROW(grad_check(identity, {Variable(Tensor::ones({2}), true)}), ValueError);
  EXPECT_THROW(grad_check([](const Inputs& in) { return in[0].detach(); }, {Variable(Tensor::ones({2}, DType::kFloat64), true)}),
               ValueError);
  EXPECT_TRUE(grad_check(identity, {Variable(Tensor::ones({2}, DType::kFloat64), true)}));
}

}  // namespace
}  // namespace convoy
