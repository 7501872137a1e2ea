#include "convoy/autograd/rule_check_test.h"
#include "convoy/core/error.h"

namespace convoy {
namespace {

// Calls function(input, weight, bias) with and without weight and bias.
void check_affine(const std::string& name, const Shape& shape, const Shape& parameter_shape,
                  const std::function<Variable(const Variable&, const Variable&, const Variable&)>& function) {
  const std::string text = name + " " + to_string(shape);
  expect_gradients(text, [&](const Inputs& in) { return function(in[0], {}, {}); }, {checked(shape, 1)});
  expect_gradients(text + " weight", [&](const Inputs& in) { return function(in[0], in[1], {}); },
                   {checked(shape, 1), checked(parameter_shape, 2)});
  expect_gradients(text + " weight bias", [&](const Inputs& in) { return function(in[0], in[1], in[2]); },
                   {checked(shape, 1), checked(parameter_shape, 2), checked(parameter_shape, 3)});
}

TEST(NormRules, BatchNorm) {
  for (const Shape& shape : {Shape{4, 3}, Shape{2, 3, 4}, Shape{2, 3, 2, 3}, Shape{2, 2, 2, 1, 3}}) {
    const Shape channels{shape[1]};
    check_affine("batch_norm training", shape, channels, [&](const Variable& x, const Variable& weight, const Variable& bias) {
      return batch_norm(x, {}, {}, weight, bias, {.training = true});
    });
    check_affine("batch_norm training with running statistics", shape, channels,
                 [&](const Variable& x, const Variable& weight, const Variable& bias) {
                   return batch_norm(x, Tensor::zeros(channels, DType::kFloat64), Tensor::ones(channels, DType::kFloat64), weight,
                                     bias, {.training = true, .eps = 1e-3});
                 });
    check_affine("batch_norm evaluation", shape, channels, [&](const Variable& x, const Variable& weight, const Variable& bias) {
      return batch_norm(x, distinct_values(channels, 5), ops::square(distinct_values(channels, 6)), weight, bias, {});
    });
  }
}

TEST(NormRules, BatchNormRemembersTheStatisticsItUsed) {
  const auto gradient = [](bool change) {
    Variable x = checked({2, 3, 2, 2});
    Tensor mean = distinct_values({3}, 5), var = Tensor::full({3}, 0.5, DType::kFloat64);
    Variable y = sum(square(batch_norm(x, mean, var, {}, {}, {})));
    if (change) {  // as the next training step would
      mean.fill_(100);
      var.fill_(100);
    }
    y.backward();
    return x.grad();
  };
  EXPECT_TRUE(identical(gradient(false), gradient(true)));
}

TEST(NormRules, GroupNorm) {
  for (const int64_t groups : {1, 2, 4}) {
    for (const Shape& shape : {Shape{2, 4, 3}, Shape{2, 4, 2, 3}}) {
      check_affine(
          "group_norm " + std::to_string(groups), shape, {4},
          [&](const Variable& x, const Variable& weight, const Variable& bias) { return group_norm(x, groups, weight, bias); });
    }
  }
}

TEST(NormRules, LayerNorm) {
  for (const Shape& normalized : {Shape{4}, Shape{3, 4}, Shape{2, 3, 4}}) {
    check_affine(
        "layer_norm " + to_string(normalized), {2, 3, 4}, normalized,
        [&](const Variable& x, const Variable& weight, const Variable& bias) { return layer_norm(x, normalized, weight, bias); });
  }
}

TEST(NormRules, InstanceNorm) {
  for (const Shape& shape : {Shape{2, 3, 5}, Shape{2, 3, 2, 3}, Shape{1, 2, 2, 2, 2}}) {
    check_affine("instance_norm", shape, {shape[1]},
                 [&](const Variable& x, const Variable& weight, const Variable& bias) { return instance_norm(x, weight, bias); });
  }
  try {
    instance_norm(Variable(Tensor::zeros({1, 3, 1, 1})));
    ADD_FAILURE() << "one value per channel has no variance";
  } catch (const ValueError& error) {
    EXPECT_EQ(error.reason(), "Expected more than 1 spatial element when training, got input size torch.Size([1, 3, 1, 1])");
  }
}

}  // namespace
}  // namespace convoy
