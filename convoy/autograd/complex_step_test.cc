// The complex step, F'(x) = Im F(x + ih) / h, for what the kernels' own tests leave out: arithmetic, and everything linear. A
// linear function maps x + ih e to F(x) + ih F(e), so its complex step is exactly F(e) - F(0), which the function itself computes.
#include <gtest/gtest.h>

#include <complex>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "convoy/autograd/functions.h"
#include "convoy/core/random.h"

namespace convoy {
namespace {

Tensor values(const Shape& shape) { return randn(shape, DType::kFloat64); }

TEST(ComplexStep, Arithmetic) {
  using C = std::complex<double>;
  constexpr double kStep = 1e-50;
  struct Row {
    std::string name;
    std::function<C(C, C)> definition;
    std::function<Variable(const Variable&, const Variable&)> function;
  };
  const std::vector<Row> rows{
      {"add", [](C a, C b) { return a + b; }, [](const Variable& a, const Variable& b) { return add(a, b); }},
      {"sub", [](C a, C b) { return a - b; }, [](const Variable& a, const Variable& b) { return sub(a, b); }},
      {"mul", [](C a, C b) { return a * b; }, [](const Variable& a, const Variable& b) { return mul(a, b); }},
      {"div", [](C a, C b) { return a / b; }, [](const Variable& a, const Variable& b) { return div(a, b); }},
      {"square", [](C a, C) { return a * a; }, [](const Variable& a, const Variable&) { return square(a); }}};
  manual_seed(3);
  for (const Row& row : rows) {
    Variable a(values({50}), true), b(values({50}), true);
    const Tensor g = values({50});
    row.function(a, b).backward(g);
    for (int64_t i = 0; i < 50; ++i) {
      const double x = a.data().at(i), y = b.data().at(i);
      const double by_a = g.at(i) * row.definition(C(x, kStep), y).imag() / kStep;
      const double by_b = g.at(i) * row.definition(x, C(y, kStep)).imag() / kStep;
      EXPECT_NEAR(a.grad().at(i), by_a, 1e-12 * (1 + std::abs(by_a))) << row.name;
      if (b.grad().defined()) {
        EXPECT_NEAR(b.grad().at(i), by_b, 1e-12 * (1 + std::abs(by_b))) << row.name;
      }
    }
  }
}

struct Linear {
  std::string name;
  Shape shape;
  std::function<Variable(const Variable&)> function;
};

class ComplexStepOfLinear : public testing::TestWithParam<Linear> {};

TEST_P(ComplexStepOfLinear, IsTheGradient) {
  const Linear& row = GetParam();
  manual_seed(4);
  Variable x(values(row.shape), true);
  Variable y = row.function(x);
  const Tensor g = values(y.shape());
  y.backward(g);
  const Tensor origin = row.function(Tensor::zeros(row.shape, DType::kFloat64)).data();
  Tensor step = Tensor::zeros(row.shape, DType::kFloat64);
  for (int64_t i = 0; i < step.numel(); ++i) {
    step.data<double>()[i] = 1;
    const Tensor image = row.function(step).data().clone();  // reshape and flatten share the values of step
    step.data<double>()[i] = 0;
    double slope = 0;
    for (int64_t o = 0; o < g.numel(); ++o) slope += g.at(o) * (image.at(o) - origin.at(o));
    ASSERT_NEAR(x.grad().at(i), slope, 1e-12 * (1 + std::abs(slope))) << row.name << " at " << i;
  }
}

std::vector<Linear> linear_functions() {
  const auto constant = [](Shape shape) { return Tensor::arange(numel(shape), DType::kFloat64).reshape(shape); };
  std::vector<Linear> rows{
      {"linear",
       {3, 4},
       [=](const Variable& x) {
         return linear(x, constant({5, 4}), constant({5}));
       }},
      {"linear_weight",
       {5, 4},
       [=](const Variable& w) {
         return linear(constant({3, 4}), w);
       }},
      {"linear_bias",
       {5},
       [=](const Variable& b) {
         return linear(constant({3, 4}), constant({5, 4}), b);
       }},
      {"matmul_first",
       {2, 3, 4},
       [=](const Variable& a) {
         return matmul(a, constant({4, 5}));
       }},
      {"matmul_second",
       {4, 5},
       [=](const Variable& b) {
         return matmul(constant({2, 3, 4}), b);
       }},
      {"sum", {2, 3}, [](const Variable& x) { return sum(x); }},
      {"mean", {2, 3}, [](const Variable& x) { return mean(x); }},
      {"sum_dims",
       {2, 3, 4},
       [](const Variable& x) {
         return sum(x, {0, 2});
       }},
      {"mean_dims", {2, 3, 4}, [](const Variable& x) { return mean(x, {1}, true); }},
      {"broadcast",
       {3, 1},
       [=](const Variable& x) {
         return x * constant({2, 3, 4});
       }},
      {"scale", {4}, [](const Variable& x) { return 2.5 * x; }},
      {"reshape",
       {2, 6},
       [](const Variable& x) {
         return reshape(x, {3, 4});
       }},
      {"flatten", {2, 3, 2}, [](const Variable& x) { return flatten(x, 1); }},
      {"permute",
       {2, 3, 4},
       [](const Variable& x) {
         return permute(x, {2, 0, 1});
       }},
      {"narrow", {5, 3}, [](const Variable& x) { return narrow(x, 0, 1, 3); }},
      {"concat",
       {2, 3},
       [=](const Variable& x) {
         return concat({x, constant({2, 1}), x}, 1);
       }},
      {"conv2d",
       {1, 2, 5, 4},
       [=](const Variable& x) {
         return conv2d(x, constant({3, 2, 3, 2}), constant({3}), {.stride = 2, .padding = 1});
       }},
      {"conv2d_weight",
       {4, 1, 2, 2},
       [=](const Variable& w) {
         return conv2d(constant({2, 2, 4, 4}), w, {}, {.dilation = 2, .groups = 2});
       }},
      {"conv2d_bias",
       {3},
       [=](const Variable& b) {
         return conv2d(constant({1, 1, 3, 3}), constant({3, 1, 2, 2}), b);
       }},
      {"conv_transpose2d",
       {1, 2, 3, 3},
       [=](const Variable& x) {
         return conv_transpose2d(x, constant({2, 3, 3, 2}), {}, {.stride = 2, .padding = 1, .output_padding = 1});
       }},
      {"conv_transpose2d_weight",
       {2, 3, 2, 2},
       [=](const Variable& w) {
         return conv_transpose2d(constant({1, 2, 3, 3}), w, {}, {.stride = 3});
       }},
      {"avg_pool",
       {1, 2, 5, 5},
       [](const Variable& x) { return avg_pool(2, x, {.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true}); }},
      {"adaptive_avg_pool",
       {1, 2, 5, 7},
       [](const Variable& x) {
         return adaptive_avg_pool(2, x, {3, 2});
       }},
      {"pixel_shuffle", {1, 4, 2, 3}, [](const Variable& x) { return pixel_shuffle(x, 2); }},
      {"pixel_unshuffle", {1, 1, 4, 6}, [](const Variable& x) { return pixel_unshuffle(x, 2); }},
      {"unfold", {1, 2, 4, 5}, [](const Variable& x) { return unfold(x, {.kernel_size = 2, .padding = 1, .stride = 2}); }},
      {"fold", {1, 8, 9}, [](const Variable& x) {
         return fold(x, {4, 4}, {.kernel_size = 2});
       }}};
  for (const PadMode mode : {PadMode::kConstant, PadMode::kReflect, PadMode::kReplicate, PadMode::kCircular}) {
    rows.push_back({std::string("pad_") + pad_mode_name(mode), {1, 1, 4, 5}, [mode](const Variable& x) {
                      return pad(x, {1, 2, 2, 1}, mode);
                    }});
  }
  for (const PaddingMode mode : {PaddingMode::kReflect, PaddingMode::kReplicate, PaddingMode::kCircular}) {
    rows.push_back({std::string("conv2d_") + padding_mode_name(mode), {1, 1, 4, 5}, [=](const Variable& x) {
                      return conv2d(x, constant({1, 1, 3, 3}), {}, {.padding = {2, 1}, .padding_mode = mode});
                    }});
  }
  for (const auto& [mode, name] : {std::pair{InterpolateMode::kNearest, "nearest"},
                                   {InterpolateMode::kBilinear, "bilinear"},
                                   {InterpolateMode::kBicubic, "bicubic"}}) {
    InterpolateOptions options;
    options.size = {5, 3};
    options.mode = mode;
    rows.push_back(
        {std::string("interpolate_") + name, {1, 1, 3, 4}, [options](const Variable& x) { return interpolate(x, options); }});
  }
  return rows;
}

INSTANTIATE_TEST_SUITE_P(Functions, ComplexStepOfLinear, testing::ValuesIn(linear_functions()),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace convoy
