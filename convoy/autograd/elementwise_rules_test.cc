#include "convoy/autograd/rule_check_test.h"

namespace convoy {
namespace {

TEST(ElementwiseRules, Activations) {
  const std::pair<const char*, std::function<Variable(const Variable&)>> activations[] = {
      {"relu", [](const Variable& x) { return relu(x); }},
      {"relu6", [](const Variable& x) { return relu6(x); }},
      {"leaky_relu", [](const Variable& x) { return leaky_relu(x); }},
      {"leaky_relu 0.3", [](const Variable& x) { return leaky_relu(x, 0.3); }},
      {"elu", [](const Variable& x) { return elu(x); }},
      {"elu 1.7", [](const Variable& x) { return elu(x, 1.7); }},
      {"silu", [](const Variable& x) { return silu(x); }},
      {"gelu", [](const Variable& x) { return gelu(x); }},
      {"hardswish", [](const Variable& x) { return hardswish(x); }},
      {"hardsigmoid", [](const Variable& x) { return hardsigmoid(x); }},
      {"sigmoid", [](const Variable& x) { return sigmoid(x); }},
      {"tanh", [](const Variable& x) { return tanh(x); }},
      {"softplus", [](const Variable& x) { return softplus(x); }},
      {"softplus beta 3, threshold 10", [](const Variable& x) { return softplus(x, 3, 10); }},
      {"mish", [](const Variable& x) { return mish(x); }},
      {"hardtanh", [](const Variable& x) { return hardtanh(x); }},
      {"hardtanh -2 to 0.5", [](const Variable& x) { return hardtanh(x, -2, 0.5); }},
  };
  for (const auto& [name, function] : activations) {
    // Times 5, so that both sides of every kink are reached: the inputs lie in +-[0.5, 8].
    expect_gradients(name, [&f = function](const Inputs& in) { return f(5 * in[0]); }, {checked({4, 9})});
    expect_gradients(name, [&f = function](const Inputs& in) { return f(in[0]); }, {checked({})});
  }
}

TEST(ElementwiseRules, ArithmeticWithBroadcasting) {
  const std::pair<const char*, std::function<Variable(const Variable&, const Variable&)>> functions[] = {
      {"add", [](const Variable& a, const Variable& b) { return a + b; }},
      {"sub", [](const Variable& a, const Variable& b) { return a - b; }},
      {"mul", [](const Variable& a, const Variable& b) { return a * b; }},
      {"div", [](const Variable& a, const Variable& b) { return a / b; }},
  };
  const std::pair<Shape, Shape> shapes[] = {{{2, 3}, {2, 3}}, {{2, 3}, {3}},       {{3}, {2, 3}},
                                            {{2, 3}, {}},     {{}, {2, 3}},        {{}, {}},
                                            {{2, 1}, {1, 3}}, {{2, 1, 4}, {3, 1}}, {{2, 3, 1, 2}, {3, 2, 1}},
                                            {{1, 1}, {2}},    {{0, 3}, {1, 3}}};
  for (const auto& [name, function] : functions) {
    for (const auto& [a, b] : shapes) {
      expect_gradients(std::string(name) + " " + to_string(a) + " " + to_string(b),
                       [&f = function](const Inputs& in) { return f(in[0], in[1]); }, {checked(a, 1), checked(b, 2)});
    }
    expect_gradients(std::string(name) + " of a value with itself", [&f = function](const Inputs& in) { return f(in[0], in[0]); },
                     {checked({2, 3})});
  }
}

TEST(ElementwiseRules, ArithmeticWithNumbers) {
  const auto check = [](const char* name, const std::function<Variable(const Variable&)>& function) {
    expect_gradients(name, [&](const Inputs& in) { return function(in[0]); }, {checked({2, 3})});
  };
  check("3 * x", [](const Variable& x) { return 3 * x; });
  check("x * 3", [](const Variable& x) { return x * 3; });
  check("x + 3", [](const Variable& x) { return x + 3; });
  check("3 + x", [](const Variable& x) { return 3 + x; });
  check("x - 3", [](const Variable& x) { return x - 3; });
  check("3 - x", [](const Variable& x) { return 3 - x; });
  check("x / 3", [](const Variable& x) { return x / 3; });
  check("-x", [](const Variable& x) { return -x; });
  check("square", [](const Variable& x) { return square(x); });
}

TEST(ElementwiseRules, GiveLeavesGradientsOfTheirOwn) {
  Variable a(Tensor::ones({3}), true), b(Tensor::ones({3}), true);
  sum((a + b) + 1).backward();
  EXPECT_FALSE(a.grad().shares_storage(b.grad()));
}

TEST(ElementwiseRules, SaveOnlyTheFactorsThatAreNeeded) {
  Variable weight(Tensor::ones({3}), true);
  const Variable constant(Tensor::ones({3}));
  const Tensor value = weight.data();
  {
    const Variable product = weight * constant;
    weight = Variable();
    EXPECT_FALSE(value.sole_owner()) << "the leaf itself waits for its gradient";
  }
  EXPECT_TRUE(value.sole_owner());
}

TEST(ReduceRules, SumsAndMeans) {
  const std::vector<int64_t> dims[] = {{0}, {1}, {2}, {-1}, {0, 2}, {1, -1}, {0, 1, 2}};
  for (const Shape& shape : {Shape{2, 3, 4}, Shape{}, Shape{5}, Shape{1, 1}}) {
    expect_gradients("sum " + to_string(shape), [](const Inputs& in) { return sum(in[0]); }, {checked(shape)});
    expect_gradients("mean " + to_string(shape), [](const Inputs& in) { return mean(in[0]); }, {checked(shape)});
  }
  for (const auto& dim : dims) {
    for (const bool keepdim : {false, true}) {
      const std::string name = to_string(dim) + (keepdim ? " kept" : "");
      expect_gradients("sum " + name, [&](const Inputs& in) { return sum(in[0], dim, keepdim); }, {checked({2, 3, 4})});
      expect_gradients("mean " + name, [&](const Inputs& in) { return mean(in[0], dim, keepdim); }, {checked({2, 3, 4})});
    }
  }
  Variable empty(Tensor::zeros({0, 3}), true);
  sum(empty).backward();
  EXPECT_EQ(empty.grad().shape(), (Shape{0, 3}));
  empty.zero_grad();
  mean(empty, {0}).backward(Tensor::ones({3}));
  EXPECT_EQ(empty.grad().shape(), (Shape{0, 3}));
}

TEST(ReduceRules, Softmax) {
  for (const int64_t dim : {0, 1, 2, -1}) {
    expect_gradients("softmax " + std::to_string(dim), [&](const Inputs& in) { return softmax(in[0], dim); }, {checked({2, 3, 4})});
    expect_gradients("log_softmax " + std::to_string(dim), [&](const Inputs& in) { return log_softmax(in[0], dim); },
                     {checked({2, 3, 4})});
  }
  expect_gradients("softmax of a scalar", [&](const Inputs& in) { return softmax(in[0], 0); }, {checked({})});
}

}  // namespace
}  // namespace convoy
