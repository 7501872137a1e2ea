#include "convoy/autograd/variable.h"

#include <gtest/gtest.h>

#include <thread>

#include "convoy/core/error.h"
#include "tests/refusal.h"

namespace convoy {
namespace {

using testing::reason;

const char* const kSecondTime =
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). "
    "Saved "
    "intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you "
    "need to "
    "backward through the graph a second time or if you need to access saved tensors after calling backward.";

Variable leaf(std::initializer_list<float> values) { return {Tensor::from(values, {static_cast<int64_t>(values.size())}), true}; }

// y = scale * x, whose rule saves nothing.
Variable scaled(const Variable& x, float scale) {
  Tensor y = x.data().clone();
  for (int64_t i = 0; i < y.numel(); ++i) y.data<float>()[i] *= scale;
  return record(y, {x}, [scale](const Tensor& grad_output) -> std::vector<Tensor> {
    Tensor g = grad_output.clone();
    for (int64_t i = 0; i < g.numel(); ++i) g.data<float>()[i] *= scale;
    return {g};
  });
}

// y = a + b, whose rule hands one and the same gradient to both.
Variable sum_of(const Variable& a, const Variable& b) {
  Tensor y = a.data().clone();
  for (int64_t i = 0; i < y.numel(); ++i) y.data<float>()[i] += b.data().data<float>()[i];
  return record(y, {a, b}, [](const Tensor& g) -> std::vector<Tensor> { return {g, g}; });
}

Variable identity(const Variable& x) {
  return record(x.data(), {x}, [](const Tensor& g) -> std::vector<Tensor> { return {g}; });
}

std::vector<float> values(const Tensor& t) { return t.to_vector<float>(); }
using Floats = std::vector<float>;

TEST(Variable, StartsUndefined) {
  Variable v;
  EXPECT_FALSE(v.defined());
  EXPECT_FALSE(v.requires_grad());
  EXPECT_TRUE(v.is_leaf());
  EXPECT_FALSE(v.data().defined());
  EXPECT_FALSE(std::as_const(v).grad().defined());
  EXPECT_FALSE(Variable(Tensor()).defined());
  v.zero_grad();
  v.data() = Tensor::ones({2});
  EXPECT_TRUE(v.defined());
}

TEST(Variable, CopiesShareValueAndGradient) {
  Variable a = leaf({1, 2});
  Variable b = a;
  b.backward(Tensor::ones({2}));
  EXPECT_EQ(values(a.grad()), (Floats{1, 1}));
  EXPECT_EQ(a.node(), b.node());
  const Variable c = a.detach();
  EXPECT_FALSE(c.requires_grad());
  EXPECT_TRUE(c.data().shares_storage(a.data()));
  EXPECT_FALSE(c.grad().defined());
}

TEST(Variable, FollowsPyTorchsRulesForLeaves) {
  Variable x = leaf({1, 2});
  Variable y = scaled(x, 2);
  EXPECT_TRUE(x.is_leaf());
  EXPECT_TRUE(y.requires_grad());
  EXPECT_FALSE(y.is_leaf());
  EXPECT_TRUE(scaled(x.detach(), 2).is_leaf());
  EXPECT_EQ(reason([&] { y.set_requires_grad(true); }), "you can only change requires_grad flags of leaf variables.");
  EXPECT_EQ(reason([&] { y.set_requires_grad(false); }),
            "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that "
            "doesn't "
            "require differentiation use var_no_grad = var.detach().");
  Variable integers(Tensor::zeros({2}, DType::kInt64));
  EXPECT_EQ(reason([&] { integers.set_requires_grad(true); }), "only Tensors of floating point dtype can require gradients");
  EXPECT_EQ(reason([&] { Variable(integers.data(), true); }),
            "Only Tensors of floating point and complex dtype can require gradients");
  EXPECT_EQ(reason([&] { Variable().set_requires_grad(true); }), "the Variable is undefined");
  EXPECT_EQ(reason([&] { Variable(Tensor(), true); }), "a Variable that requires a gradient is undefined");

  x.set_requires_grad(false);  // as in PyTorch, the graph that was recorded no longer writes to x
  y.backward(Tensor::ones({2}));
  EXPECT_FALSE(x.grad().defined());
}

TEST(Backward, AddsToTheGradientInPlace) {
  Variable x = leaf({1, 2});
  scaled(x, 2).backward(Tensor::ones({2}));
  const Tensor handle = x.grad();
  scaled(x, 3).backward(Tensor::from({1, 10}, {2}));
  EXPECT_EQ(values(handle), (Floats{5, 32}));
  EXPECT_TRUE(handle.shares_storage(x.grad()));
  x.zero_grad();
  EXPECT_FALSE(x.grad().defined());
  EXPECT_EQ(values(handle), (Floats{5, 32}));
}

TEST(Backward, SumsOverEveryUse) {
  Variable x = leaf({1, 2});
  sum_of(x, x).backward(Tensor::from({1, 3}, {2}));
  EXPECT_EQ(values(x.grad()), (Floats{2, 6}));
  x.zero_grad();
  const Variable y = scaled(x, 2);
  sum_of(sum_of(y, x), sum_of(scaled(y, 5), y)).backward(Tensor::ones({2}));
  EXPECT_EQ(values(x.grad()), (Floats{1 + 2 + 10 + 2, 1 + 2 + 10 + 2}));
}

TEST(Backward, RunsEachOperationOnce) {
  Variable x = leaf({1});
  Variable y = x;
  for (int i = 0; i < 60; ++i) y = sum_of(y, y);  // 2^60 paths
  y.backward();
  EXPECT_EQ(x.grad().item(), static_cast<double>(int64_t{1} << 60));
}

TEST(Backward, SumsInAnOrderFixedByRecording) {
  // Three uses of x whose gradients give another float32 sum in every order; the latest use comes first, as in PyTorch.
  const float a = 1e8F, b = -1e8F, c = 0.5F;
  Variable x = leaf({1});
  const Variable first = scaled(x, c), second = scaled(x, b), third = scaled(x, a);
  sum_of(first, sum_of(second, third)).backward();
  EXPECT_EQ(x.grad().item(), (a + b) + c);
  x.zero_grad();
  const Variable one = scaled(x, a), two = scaled(x, c), three = scaled(x, b);
  sum_of(sum_of(three, two), one).backward();
  EXPECT_EQ(x.grad().item(), (b + c) + a);
  ASSERT_NE((b + c) + a, (a + b) + c);
}

TEST(Backward, GivesLeavesGradientsOfTheirOwn) {
  Variable a = leaf({1, 2}), b = leaf({3, 4}), c = leaf({5, 6});
  const Tensor grad_output = Tensor::ones({2});
  const Tensor captured = Tensor::from({7, 8}, {2});
  const Variable y = record(Tensor::zeros({2}), {a, b, c}, [captured](const Tensor& g) -> std::vector<Tensor> {
    return {g, g, captured};
  });
  Variable(y).backward(grad_output);
  EXPECT_FALSE(a.grad().shares_storage(b.grad()));
  EXPECT_FALSE(a.grad().shares_storage(grad_output));
  EXPECT_FALSE(b.grad().shares_storage(grad_output));
  EXPECT_FALSE(c.grad().shares_storage(captured));
  Variable x = leaf({1, 2});
  x.backward(grad_output);
  EXPECT_FALSE(x.grad().shares_storage(grad_output));
  x.grad().fill_(9);
  EXPECT_EQ(values(grad_output), (Floats{1, 1}));
}

TEST(Backward, NeverChangesWhatARuleReturned) {
  const Tensor captured = Tensor::from({7, 8}, {2});
  Variable x = leaf({1, 2});
  const Variable y = scaled(x, 1);
  const auto constant_gradient = [&] {
    return record(Tensor::zeros({2}), {y}, [captured](const Tensor&) -> std::vector<Tensor> { return {captured}; });
  };
  sum_of(sum_of(constant_gradient(), constant_gradient()), constant_gradient()).backward(Tensor::ones({2}));
  EXPECT_EQ(values(captured), (Floats{7, 8}));
  EXPECT_EQ(values(x.grad()), (Floats{21, 24}));
}

TEST(Backward, WorksOnceUnlessTheGraphIsRetained) {
  Variable x = leaf({1, 2});
  const Variable inner = scaled(x, 2);
  Variable y = scaled(inner, 3), z = scaled(inner, 5);
  y.backward(Tensor::ones({2}), true);
  y.backward(Tensor::ones({2}));
  EXPECT_EQ(values(x.grad()), (Floats{12, 12}));
  EXPECT_EQ(reason([&] { y.backward(Tensor::ones({2})); }), kSecondTime);
  EXPECT_EQ(reason([&] { z.backward(Tensor::ones({2})); }), kSecondTime);  // shares `inner`
  EXPECT_EQ(values(x.grad()), (Floats{12, 12}));
}

TEST(Backward, RefusesWhatPyTorchRefusesInItsWords) {
  Variable x = leaf({1, 2, 3});
  Variable y = scaled(x, 2);
  EXPECT_EQ(reason([&] { y.backward(); }), "grad can be implicitly created only for scalar outputs");
  EXPECT_EQ(reason([&] { y.backward(Tensor::ones({4})); }),
            "Mismatch in shape: grad_output[0] has a shape of torch.Size([4]) and output[0] has a shape of torch.Size([3]).");
  EXPECT_EQ(reason([&] {
              y.backward(Tensor::ones({1, 3}));
            }),
            "Mismatch in shape: grad_output[0] has a shape of torch.Size([1, 3]) and output[0] has a shape of torch.Size([3]).");
  EXPECT_EQ(reason([&] { Variable(Tensor::ones({1})).backward(); }),
            "element 0 of tensors does not require grad and does not have a grad_fn");
  EXPECT_EQ(reason([&] { Variable(Tensor::ones({2})).backward(); }),
            "element 0 of tensors does not require grad and does not have a grad_fn");
  EXPECT_EQ(reason([&] { Variable().backward(); }), "the Variable that backward() was called on is undefined");
  EXPECT_EQ(reason([&] { Variable(Tensor::zeros({0}), true).backward(); }),
            "grad can be implicitly created only for scalar outputs");
  EXPECT_FALSE(x.grad().defined());
  y.backward(Tensor::ones({3}, DType::kInt64));  // converted, as in PyTorch; and the refusals above did not use the graph up
  EXPECT_EQ(values(x.grad()), (Floats{2, 2, 2}));
  EXPECT_EQ(x.grad().dtype(), DType::kFloat32);
}

TEST(Backward, TakesSingleElementsOfAnyShapeAndEmptyTensors) {
  Variable x(Tensor::ones({1, 1}), true);
  scaled(x, 4).backward();
  EXPECT_EQ(x.grad().shape(), (Shape{1, 1}));
  EXPECT_EQ(x.grad().item(), 4);
  Variable scalar(Tensor::scalar(3), true);
  scalar.backward();
  EXPECT_EQ(scalar.grad().item(), 1);
  Variable empty(Tensor::zeros({0, 3}), true);
  scaled(empty, 2).backward(Tensor::zeros({0, 3}));
  EXPECT_EQ(empty.grad().shape(), (Shape{0, 3}));
}

TEST(Backward, ChangesNoLeafWhenARuleFails) {
  Variable a = leaf({1}), b = leaf({1});
  const Variable bad =
      record(Tensor::ones({1}), {a}, [](const Tensor&) -> std::vector<Tensor> { throw Error("the rule failed", "mend it"); });
  EXPECT_EQ(reason([&] { sum_of(bad, scaled(b, 2)).backward(); }), "the rule failed");
  EXPECT_FALSE(b.grad().defined());
  EXPECT_TRUE(grad_enabled());

  Variable too_few = record(Tensor::ones({1}), {a, b}, [](const Tensor& g) -> std::vector<Tensor> { return {g}; });
  EXPECT_EQ(reason([&] { too_few.backward(); }), "function returned an incorrect number of gradients (expected 2, got 1)");
  Variable wrong_shape = record(Tensor::ones({1}), {a}, [](const Tensor&) -> std::vector<Tensor> { return {Tensor::ones({4})}; });
  EXPECT_EQ(reason([&] { wrong_shape.backward(); }),
            "Function returned an invalid gradient at index 0 - got [4] but expected shape compatible with [1]");
  a.grad() = Tensor::ones({2});
  EXPECT_EQ(reason([&] { sum_of(a, b).backward(); }), "assigned grad has data of a different size");
  EXPECT_FALSE(b.grad().defined());
}

TEST(Backward, SkipsInputsThatNeedNothing) {
  Variable a = leaf({1}), b = leaf({1});
  const Variable constant(Tensor::ones({5}));
  Variable y = record(Tensor::ones({1}), {a, constant, b, Variable()}, [](const Tensor& g) -> std::vector<Tensor> {
    return {g, Tensor::ones({3}), Tensor(), Tensor()};  // a gradient for a constant is ignored, none for b leaves it alone
  });
  y.backward();
  EXPECT_EQ(a.grad().item(), 1);
  EXPECT_FALSE(b.grad().defined());
  EXPECT_FALSE(constant.grad().defined());
  EXPECT_FALSE(y.grad().defined()) << "only leaves get gradients";
}

TEST(Backward, ConvertsGradientsToTheTypeOfTheirInput) {
  Variable x = leaf({1});
  Variable y = record(Tensor::ones({1}, DType::kFloat64), {x}, [](const Tensor& g) -> std::vector<Tensor> { return {g}; });
  y.backward();
  EXPECT_EQ(x.grad().dtype(), DType::kFloat32);
}

TEST(Tape, ForgetsWhatItSavedAfterBackward) {
  Variable x = leaf({1});
  Tensor saved = Tensor::ones({1});
  Variable y = record(Tensor::ones({1}), {x}, [saved](const Tensor&) -> std::vector<Tensor> { return {saved.clone()}; });
  EXPECT_FALSE(saved.sole_owner());
  y.backward();
  EXPECT_TRUE(saved.sole_owner());
}

TEST(Tape, KeepsNoValuesThatNoRuleSaved) {
  Variable x = leaf({1});
  Variable y = scaled(x, 2);
  const Tensor value = y.data();
  const Variable z = scaled(y, 3);
  y = Variable();
  EXPECT_TRUE(value.sole_owner());
}

TEST(Tape, IsAsDeepAsMemoryAllows) {
  constexpr int kDepth = 100000;
  Variable x = leaf({1});
  {
    Variable y = x;
    for (int i = 0; i < kDepth; ++i) y = identity(y);
    y.backward();
    EXPECT_EQ(x.grad().item(), 1);
  }
  {
    Variable y = x;
    for (int i = 0; i < kDepth; ++i) y = identity(y);
  }  // dropped without backward
  {
    Variable y = x;  // rules that capture Variables, though they need not
    for (int i = 0; i < kDepth; ++i) y = record(y.data(), {y}, [y](const Tensor& g) -> std::vector<Tensor> { return {g}; });
  }
  {
    Variable y = x;
    for (int i = 0; i < kDepth; ++i) y = identity(y);
    y.backward({}, true);
    y.backward();
  }
  EXPECT_EQ(x.grad().item(), 3);
}

TEST(NoGradGuard, StopsRecordingOnThisThread) {
  Variable x = leaf({1});
  {
    const NoGradGuard outer;
    {
      const NoGradGuard inner;
      EXPECT_FALSE(grad_enabled());
    }
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE(scaled(x, 2).requires_grad());
    EXPECT_TRUE(scaled(x, 2).is_leaf());
    bool there = false;
    std::thread([&] { there = grad_enabled(); }).join();
    EXPECT_TRUE(there);
  }
  EXPECT_TRUE(grad_enabled());
  EXPECT_TRUE(scaled(x, 2).requires_grad());
  bool inside = true;
  record(Tensor::ones({1}), {x}, [&](const Tensor& g) -> std::vector<Tensor> {
    inside = grad_enabled();
    return {g};
  }).backward();
  EXPECT_FALSE(inside) << "rules are not recorded";
}

TEST(Record, GivesConstantsWhereNothingIsDifferentiable) {
  Variable x = leaf({1});
  const auto rule = [](const Tensor& g) -> std::vector<Tensor> { return {g}; };
  EXPECT_FALSE(record(Tensor::zeros({1}, DType::kInt64), {x}, rule).requires_grad());
  EXPECT_FALSE(record(Tensor::zeros({1}), {}, rule).requires_grad());
  EXPECT_EQ(reason([&] { record(Tensor(), {x}, rule); }), "the value given to record() is undefined");
}

}  // namespace
}  // namespace convoy
