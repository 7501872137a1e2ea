// What holds for all recorded functions together.
#include "convoy/autograd/functions.h"

#include <gtest/gtest.h>

#include "convoy/autograd/rule_check_test.h"
#include "convoy/core/error.h"

namespace convoy {
namespace {

struct Call {
  const char* name;
  std::function<Variable(const Variable& input, const Variable& weight)> function;
};

// Every function, so called that an input (1, 4, 4, 4) and a weight (4) are right for it.
const std::vector<Call>& calls() {
  static const Tensor kernel = distinct_values({4, 4, 2, 2}, 8);
  static const Tensor target = distinct_values({1, 4, 4, 4}, 9);
  static const Tensor classes = Tensor::zeros({1, 4, 4}, DType::kInt64);
  static const Tensor indices = ops::max_pool(2, target, {.kernel_size = 2}).indices;
  static const Tensor ones = Tensor::ones({4}, DType::kFloat64);
  using V = const Variable&;
  static const std::vector<Call> list = {
      {"conv1d",
       [](V x, V w) {
         return conv1d(reshape(x, {4, 4, 4}), reshape(w, {1, 4, 1}));
       }},
      {"conv2d", [](V x, V w) { return conv2d(x, kernel, w); }},
      {"conv3d",
       [](V x, V w) {
         return conv3d(reshape(x, {1, 4, 4, 4}), reshape(w, {1, 1, 1, 2, 2}));
       }},
      {"conv_transpose1d",
       [](V x, V w) {
         return conv_transpose1d(reshape(x, {4, 4, 4}), reshape(w, {4, 1, 1}));
       }},
      {"conv_transpose2d", [](V x, V w) { return conv_transpose2d(x, kernel, w); }},
      {"conv_transpose3d",
       [](V x, V w) {
         return conv_transpose3d(reshape(x, {1, 4, 4, 4}), reshape(w, {1, 1, 1, 2, 2}));
       }},
      {"linear",
       [](V x, V w) {
         return linear(x, reshape(w, {1, 4}));
       }},
      {"matmul", [](V x, V w) { return matmul(x, w); }},
      {"max_pool", [](V x, V) { return max_pool(2, x, {.kernel_size = 2}); }},
      {"avg_pool", [](V x, V) { return avg_pool(2, x, {.kernel_size = 2}); }},
      {"adaptive_avg_pool", [](V x, V) { return adaptive_avg_pool(2, x, {3}); }},
      {"adaptive_max_pool", [](V x, V) { return adaptive_max_pool(2, x, {3}); }},
      {"max_unpool", [](V x, V) { return max_unpool(2, narrow(narrow(x, 2, 0, 2), 3, 0, 2), indices, {.kernel_size = 2}); }},
      {"lp_pool", [](V x, V) { return lp_pool(2, x, 2, 2); }},
      {"pad",
       [](V x, V) {
         return pad(x, {1, 1});
       }},
      {"batch_norm", [](V x, V w) { return batch_norm(x, {}, {}, w, w, {.training = true}); }},
      {"batch_norm evaluation", [](V x, V w) { return batch_norm(x, ones, ones, w, w, {}); }},
      {"group_norm", [](V x, V w) { return group_norm(x, 2, w, w); }},
      {"layer_norm", [](V x, V w) { return layer_norm(x, {4}, w, w); }},
      {"instance_norm", [](V x, V w) { return instance_norm(x, w, w); }},
      {"relu", [](V x, V) { return relu(x); }},
      {"relu6", [](V x, V) { return relu6(x); }},
      {"leaky_relu", [](V x, V) { return leaky_relu(x); }},
      {"elu", [](V x, V) { return elu(x); }},
      {"silu", [](V x, V) { return silu(x); }},
      {"gelu", [](V x, V) { return gelu(x); }},
      {"hardswish", [](V x, V) { return hardswish(x); }},
      {"hardsigmoid", [](V x, V) { return hardsigmoid(x); }},
      {"sigmoid", [](V x, V) { return sigmoid(x); }},
      {"tanh", [](V x, V) { return tanh(x); }},
      {"softplus", [](V x, V) { return softplus(x); }},
      {"mish", [](V x, V) { return mish(x); }},
      {"hardtanh", [](V x, V) { return hardtanh(x); }},
      {"add", [](V x, V w) { return x + w; }},
      {"sub", [](V x, V w) { return x - w; }},
      {"mul", [](V x, V w) { return x * w; }},
      {"div", [](V x, V w) { return x / w; }},
      {"square", [](V x, V) { return square(x); }},
      {"2 * x", [](V x, V) { return 2 * x; }},
      {"x + 1", [](V x, V) { return x + 1; }},
      {"x - 1", [](V x, V) { return x - 1; }},
      {"1 - x", [](V x, V) { return 1 - x; }},
      {"x / 2", [](V x, V) { return x / 2; }},
      {"-x", [](V x, V) { return -x; }},
      {"sum", [](V x, V) { return sum(x); }},
      {"mean", [](V x, V) { return mean(x); }},
      {"sum over an axis", [](V x, V) { return sum(x, {1}); }},
      {"mean over an axis", [](V x, V) { return mean(x, {1}); }},
      {"softmax", [](V x, V) { return softmax(x, 1); }},
      {"log_softmax", [](V x, V) { return log_softmax(x, 1); }},
      {"concat",
       [](V x, V w) {
         return concat({x, x}, 1);
       }},
      {"narrow", [](V x, V) { return narrow(x, 1, 1, 2); }},
      {"reshape",
       [](V x, V) {
         return reshape(x, {8, 8});
       }},
      {"flatten", [](V x, V) { return flatten(x, 1); }},
      {"permute",
       [](V x, V) {
         return permute(x, {3, 1, 2, 0});
       }},
      {"unfold", [](V x, V) { return unfold(x, {.kernel_size = 2}); }},
      {"fold",
       [](V x, V) {
         return fold(reshape(x, {1, 16, 4}), {3, 3}, {.kernel_size = 2});
       }},
      {"pixel_shuffle", [](V x, V) { return pixel_shuffle(x, 2); }},
      {"pixel_unshuffle", [](V x, V) { return pixel_unshuffle(x, 2); }},
      {"interpolate",
       [](V x, V) {
         return interpolate(x, {.size = {3, 5}});
       }},
      {"nll_loss", [](V x, V) { return nll_loss(x, classes); }},
      {"cross_entropy", [](V x, V) { return cross_entropy(x, classes); }},
      {"mse_loss", [](V x, V) { return mse_loss(x, target); }},
      {"l1_loss", [](V x, V) { return l1_loss(x, target); }},
      {"smooth_l1_loss", [](V x, V) { return smooth_l1_loss(x, target); }},
      {"binary_cross_entropy_with_logits", [](V x, V) { return binary_cross_entropy_with_logits(x, target); }},
  };
  return list;
}

TEST(Functions, RecordOnlyWhatNeedsAGradient) {
  for (const Call& call : calls()) {
    SCOPED_TRACE(call.name);
    const Tensor x = distinct_values({1, 4, 4, 4}), w = distinct_values({4}, 2);
    EXPECT_TRUE(call.function(Variable(x, true), w).requires_grad());
    const Variable constant = call.function(x, w);
    EXPECT_FALSE(constant.requires_grad());
    EXPECT_TRUE(constant.is_leaf());
    const NoGradGuard no_grad;
    EXPECT_FALSE(call.function(Variable(x, true), Variable(w, true)).requires_grad());
    EXPECT_TRUE(identical(call.function(Variable(x, true), w).data(), constant.data()));
  }
}

TEST(Functions, LeaveTheirInputsAlone) {
  for (const Call& call : calls()) {
    SCOPED_TRACE(call.name);
    const Variable x = checked({1, 4, 4, 4}), w = checked({4}, 2);
    const Tensor x_before = x.data().clone(), w_before = w.data().clone();
    Variable y = call.function(x, w);
    const Tensor grad_output = distinct_values(y.shape(), 3), grad_before = grad_output.clone();
    const Tensor y_before = y.data().clone();
    y.backward(grad_output);
    EXPECT_TRUE(identical(x.data(), x_before));
    EXPECT_TRUE(identical(w.data(), w_before));
    EXPECT_TRUE(identical(y.data(), y_before));
    EXPECT_TRUE(identical(grad_output, grad_before));
    EXPECT_EQ(x.grad().shape(), x.shape());
    EXPECT_FALSE(x.grad().shares_storage(grad_output));
    EXPECT_FALSE(x.grad().shares_storage(y.data()));
  }
}

TEST(Functions, GiveFloat32GradientsNearTheFloat64Ones) {
  for (const Call& call : calls()) {
    SCOPED_TRACE(call.name);
    const std::string name = call.name;
    // Calls with constants of their own, which are float64.
    if (name == "conv2d" || name == "conv_transpose2d" || name == "batch_norm evaluation" ||
        name.find("loss") != std::string::npos || name.find("binary") == 0) {
      continue;
    }
    const auto gradient = [&](DType dtype) {
      Variable x(distinct_values({1, 4, 4, 4}).to(dtype), true);
      Variable y = call.function(x, distinct_values({4}, 2).to(dtype));
      EXPECT_EQ(y.dtype(), dtype);
      y.backward(distinct_values(y.shape(), 3).to(dtype));
      EXPECT_EQ(x.grad().dtype(), dtype);
      return x.grad();
    };
    const Tensor exact = gradient(DType::kFloat64), single = gradient(DType::kFloat32);
    for (int64_t i = 0; i < exact.numel(); ++i) {
      EXPECT_NEAR(single.at(i), exact.at(i), 2e-5 * (1 + std::fabs(exact.at(i)))) << i;
    }
  }
}

TEST(Functions, RefuseAnUndefinedInput) {
  for (const Call& call : calls()) {
    SCOPED_TRACE(call.name);
    EXPECT_THROW(call.function(Variable(), distinct_values({4}, 2)), Error);
  }
}

TEST(Functions, RefuseOrComputeIntegersButNeverRecordThem) {
  for (const Call& call : calls()) {
    SCOPED_TRACE(call.name);
    try {
      EXPECT_FALSE(call.function(Tensor::ones({1, 4, 4, 4}, DType::kInt64), distinct_values({4}, 2)).requires_grad());
    } catch (const Error& error) {
      EXPECT_FALSE(error.reason().empty());
    }
  }
}

// A network like those people build: every kind of rule in one graph, with a shortcut and a weight used twice.
TEST(Functions, DifferentiateAWholeNetwork) {
  const Tensor target = Tensor::from(std::vector<int64_t>{1, 0}, {2});
  const auto network = [&](const Inputs& in) {
    const Variable stem = relu(batch_norm(conv2d(in[0], in[1], {}, {.padding = 1}), {}, {}, in[2], in[3], {.training = true}));
    const Variable branch = silu(conv2d(stem, in[4], {}, {.padding = "same"})) + tanh(conv2d(stem, in[4], {}, {.padding = "same"}));
    const Variable pooled = max_pool(2, stem + branch, {.kernel_size = 2});
    const Variable wide = concat({pooled, avg_pool(2, stem * branch, {.kernel_size = 2})}, 1);
    const Variable features = flatten(adaptive_avg_pool(2, conv_transpose2d(wide, in[5], {}, {.stride = 2}), {1}), 1);
    return cross_entropy(linear(features, in[6], in[7]), target, {.label_smoothing = 0.1}) + 0.01 * mean(square(in[6]));
  };
  expect_gradients("network", network,
                   {checked({2, 2, 4, 4}, 1), checked({3, 2, 3, 3}, 2), checked({3}, 3), checked({3}, 4), checked({3, 3, 1, 3}, 5),
                    checked({6, 2, 2, 2}, 6), checked({3, 2}, 7), checked({3}, 8)});
}

}  // namespace
}  // namespace convoy
