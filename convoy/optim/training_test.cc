// Layers' functions, the tape and the optimisers together: six steps of training equal PyTorch's.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <vector>

#include "convoy/autograd/functions.h"
#include "convoy/optim/optimizer.h"

namespace convoy::optim {
namespace {

// scale times values in +-[0.1, 1.6]; the same formula made PyTorch's.
Tensor values(const Shape& shape, int64_t seed, double scale, DType dtype) {
  Tensor result = Tensor::empty(shape, DType::kFloat64);
  for (int64_t i = 0; i < result.numel(); ++i) {
    const int64_t residue = (i + 1) * (137 + 61 * seed) % 1499;
    const double magnitude = 0.1 + 1.5 * static_cast<double>(residue) / 1499;
    result.data<double>()[i] = scale * (residue % 2 == 0 ? magnitude : -magnitude);
  }
  return result.to(dtype);
}

struct Expected {
  std::vector<double> losses, running_mean, running_var, parameter_sums;  // PyTorch 1.13, float64
};

void expect_near(const std::vector<double>& actual, const std::vector<double>& expected, double tolerance, const char* what) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], tolerance) << what << " " << i;
}

void train(const std::function<std::unique_ptr<Optimizer>(std::vector<Variable>)>& make, const Expected& expected, DType dtype) {
  SCOPED_TRACE(dtype_name(dtype));
  const Tensor x = values({4, 2, 4, 4}, 1, 1, dtype);
  const Tensor target = Tensor::from(std::vector<int64_t>{0, 2, 1, 2}, {4});
  std::vector<Variable> p;
  for (const Shape& shape : {Shape{3, 2, 3, 3}, Shape{3}, Shape{3}, Shape{3, 12}, Shape{3}}) {
    p.emplace_back(values(shape, static_cast<int64_t>(p.size()) + 2, 0.3, dtype), true);
  }
  const Tensor running_mean = Tensor::zeros({3}, dtype), running_var = Tensor::ones({3}, dtype);
  const std::unique_ptr<Optimizer> optimizer = make(p);
  std::vector<double> losses;
  for (int step = 0; step < 6; ++step) {
    const Variable stem =
        batch_norm(conv2d(x, p[0], {}, {.padding = 1}), running_mean, running_var, p[1], p[2], {.training = true});
    const Variable features = flatten(max_pool(2, gelu(stem), {.kernel_size = 2}), 1);
    Variable loss = cross_entropy(linear(features, p[3], p[4]), target, {.label_smoothing = 0.1});
    optimizer->zero_grad();
    loss.backward();
    optimizer->step();
    losses.push_back(loss.item());
  }
  std::vector<double> sums;
  for (const Variable& parameter : p) sums.push_back(ops::sum(parameter.data()).item());
  const double tolerance = dtype == DType::kFloat64 ? 1e-11 : 2e-5;
  expect_near(losses, expected.losses, tolerance, "loss");
  expect_near(running_mean.to_vector<double>(), expected.running_mean, tolerance, "running_mean");
  expect_near(running_var.to_vector<double>(), expected.running_var, tolerance, "running_var");
  expect_near(sums, expected.parameter_sums, tolerance, "sum of parameter");
}

TEST(Training, WithSgdFollowsPyTorch) {
  const Expected expected{
      {1.0341424794756402, 1.0111788825125256, 0.9718070488512074, 0.9153547722457372, 0.84296948310182, 0.7662167008729054},
      {-0.019697312555692542, 0.04315334892982125, -0.04554417166115414},
      {0.711854349502459, 0.7416207895847169, 0.823633004011207},
      {-0.06164019401596477, 1.353324916959607, -0.017815295634377115, 0.4627472784887433, 0.18359722428798617}};
  for (const DType dtype : {DType::kFloat64, DType::kFloat32}) {
    train(
        [](std::vector<Variable> p) {
          return std::make_unique<SGD>(std::move(p),
                                       SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 1e-3, .nesterov = true});
        },
        expected, dtype);
  }
}

TEST(Training, WithAdamWFollowsPyTorch) {
  const Expected expected{
      {1.0341424794756402, 0.9896775561303416, 0.9473108488388469, 0.9019900022604381, 0.8574324812785079, 0.8158491184949592},
      {-0.020700649778147395, 0.04916079662447526, -0.051308098774916565},
      {0.7690812496281135, 0.7508354637966415, 0.8809487536270246},
      {0.9569621367063927, 0.939113819315246, -0.05576180047033122, 0.17336927330935886, 0.2732147097542143}};
  for (const DType dtype : {DType::kFloat64, DType::kFloat32}) {
    train(
        [](std::vector<Variable> p) {
          return std::make_unique<AdamW>(std::move(p), AdamOptions{.lr = 0.02, .weight_decay = 0.01});
        },
        expected, dtype);
  }
}

}  // namespace
}  // namespace convoy::optim
