#include "convoy/ops/norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "convoy/ops/elementwise.h"
#include "tests/refusal.h"

namespace convoy::ops {
namespace {

using testing::reason;

using Complex = std::complex<double>;

Tensor normal(Shape shape, unsigned seed, double mean = 0, double deviation = 1) {
  Tensor t = Tensor::empty(std::move(shape));
  std::mt19937 engine(seed);
  std::normal_distribution<double> draw(mean, deviation);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(draw(engine));
  return t;
}

// The definition, for double and for complex step: element i belongs to set group(i) and has the weight number channel(i).
template <class T>
std::vector<T> plain_norm(const std::vector<T>& x, int64_t groups, const std::function<int64_t(int64_t)>& group,
                          const std::function<int64_t(int64_t)>& channel, const std::vector<T>& weight, const std::vector<T>& bias,
                          double eps) {
  std::vector<T> sum(static_cast<size_t>(groups)), squares(sum), y(x);
  std::vector<double> count(sum.size());
  const auto g = [&](size_t i) { return static_cast<size_t>(group(static_cast<int64_t>(i))); };
  const auto c = [&](size_t i) { return static_cast<size_t>(channel(static_cast<int64_t>(i))); };
  for (size_t i = 0; i < x.size(); ++i) {
    sum[g(i)] += x[i];
    count[g(i)] += 1;
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const T deviation = x[i] - sum[g(i)] / count[g(i)];
    squares[g(i)] += deviation * deviation;  // LLVM's std::pow of complex numbers goes through angles
  }
  for (size_t i = 0; i < x.size(); ++i) {
    y[i] = (x[i] - sum[g(i)] / count[g(i)]) / std::sqrt(squares[g(i)] / count[g(i)] + eps);
    if (!weight.empty()) y[i] *= weight[c(i)];
    if (!bias.empty()) y[i] += bias[c(i)];
  }
  return y;
}

struct Call {
  enum Kind { kBatch, kGroup, kInstance, kLayer } kind;
  Shape shape;
  int64_t groups = 1;      // kGroup
  int64_t layer_axes = 1;  // kLayer
  bool affine = true;
};

std::ostream& operator<<(std::ostream& out, const Call& call) {
  return out << call.kind << " " << to_string(call.shape) << " " << call.groups;
}

struct Both {
  NormResult result;
  NormGradients gradients;
};

Shape layer_shape(const Call& call) { return {call.shape.end() - call.layer_axes, call.shape.end()}; }

Shape weight_shape(const Call& call) { return call.kind == Call::kLayer ? layer_shape(call) : Shape{call.shape[1]}; }

Both run(const Call& call, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& grad, double eps) {
  Both both;
  switch (call.kind) {
    case Call::kBatch:
      both.result = batch_norm(x, {}, {}, weight, bias, {.training = true, .eps = eps});
      both.gradients = batch_norm_backward(grad, x, weight, both.result, true);
      break;
    case Call::kGroup:
      both.result = group_norm(x, call.groups, weight, bias, eps);
      both.gradients = group_norm_backward(grad, x, call.groups, weight, both.result);
      break;
    case Call::kInstance:
      both.result = instance_norm(x, weight, bias, eps);
      both.gradients = group_norm_backward(grad, x, call.shape[1], weight, both.result);
      break;
    case Call::kLayer:
      both.result = layer_norm(x, layer_shape(call), weight, bias, eps);
      both.gradients = layer_norm_backward(grad, x, layer_shape(call), weight, both.result);
      break;
  }
  return both;
}

template <class T>
std::vector<T> plain(const Call& call, const std::vector<T>& x, const std::vector<T>& weight, const std::vector<T>& bias,
                     double eps) {
  const int64_t total = static_cast<int64_t>(x.size());
  if (call.kind == Call::kLayer) {
    const int64_t length = numel(layer_shape(call));
    return plain_norm<T>(
        x, total / length, [=](int64_t i) { return i / length; }, [=](int64_t i) { return i % length; }, weight, bias, eps);
  }
  const int64_t batch = call.shape[0], channels = call.shape[1], length = total / (batch * channels);
  const int64_t groups = call.kind == Call::kGroup ? call.groups : channels;
  const auto channel = [=](int64_t i) { return i / length % channels; };
  if (call.kind == Call::kBatch) return plain_norm<T>(x, channels, channel, channel, weight, bias, eps);
  return plain_norm<T>(
      x, batch * groups, [=](int64_t i) { return i / length / channels * groups + channel(i) / (channels / groups); }, channel,
      weight, bias, eps);
}

const Call kCalls[] = {
    {Call::kBatch, {2, 3}},
    {Call::kBatch, {5, 4, 1}},
    {Call::kBatch, {3, 2, 7}},
    {Call::kBatch, {2, 5, 3, 4}},
    {Call::kBatch, {9, 300}},
    {Call::kBatch, {2, 2, 3, 3, 2}},
    {Call::kBatch, {1, 2, 5}},
    {Call::kBatch, {2, 3, 5}, 1, 1, false},
    {Call::kGroup, {2, 6, 5}, 2},
    {Call::kGroup, {2, 6, 5}, 6},
    {Call::kGroup, {3, 4, 3, 3}, 1},
    {Call::kGroup, {2, 6}, 3},
    {Call::kGroup, {2, 6, 5}, 3, 1, false},
    {Call::kInstance, {2, 3, 4, 5}},
    {Call::kInstance, {3, 2, 17}, 1, 1, false},
    {Call::kLayer, {2, 3, 17}, 1, 1},
    {Call::kLayer, {2, 3, 4}, 1, 2},
    {Call::kLayer, {2, 5}, 1, 2},
    {Call::kLayer, {4, 40}, 1, 1, false},
};

TEST(NormTest, AgreesWithTheDefinitionAndItsComplexStep) {
  constexpr double kStep = 1e-50, kEps = 1e-3;
  for (const Call& call : kCalls) {
    const Tensor x = normal(call.shape, 1, 0.5, 2.0), grad = normal(call.shape, 2);
    const Tensor weight = call.affine ? normal(weight_shape(call), 3) : Tensor(),
                 bias = call.affine ? normal(weight_shape(call), 4) : Tensor();
    const auto wide = [](const Tensor& t) { return t.defined() ? t.to(DType::kFloat64) : t; };
    const Both narrow = run(call, x, weight, bias, grad, kEps);
    const Both exact = run(call, wide(x), wide(weight), wide(bias), wide(grad), kEps);
    const std::vector<double> xs = x.to_vector<double>(), gs = grad.to_vector<double>();
    const std::vector<double> ws = call.affine ? weight.to_vector<double>() : std::vector<double>();
    const std::vector<double> bs = call.affine ? bias.to_vector<double>() : std::vector<double>();
    const std::vector<double> ys = plain<double>(call, xs, ws, bs, kEps);
    ASSERT_EQ(narrow.result.output.shape(), call.shape);
    for (size_t i = 0; i < ys.size(); ++i) {
      ASSERT_NEAR(exact.result.output.at(static_cast<int64_t>(i)), ys[i], 1e-12) << call;
      ASSERT_NEAR(narrow.result.output.at(static_cast<int64_t>(i)), ys[i], 2e-6) << call;
    }
    // The derivative of sum(grad * y) for each number of x, weight and bias in turn.
    const auto derivative = [&](int which, size_t at) {
      std::vector<Complex> cx(xs.begin(), xs.end()), cw(ws.begin(), ws.end()), cb(bs.begin(), bs.end());
      (which == 0 ? cx : which == 1 ? cw : cb)[at] += Complex(0, kStep);
      const std::vector<Complex> y = plain<Complex>(call, cx, cw, cb, kEps);
      double slope = 0;
      for (size_t i = 0; i < y.size(); ++i) slope += gs[i] * y[i].imag() / kStep;
      return slope;
    };
    const auto compare = [&](int which, const Tensor& got, const Tensor& got_wide, size_t step) {
      for (size_t i = 0; i < static_cast<size_t>(got.numel()); i += step) {
        const double want = derivative(which, i), size = std::max(1.0, std::abs(want));
        ASSERT_NEAR(got_wide.at(static_cast<int64_t>(i)), want, 1e-11 * size) << call << " of " << which << " at " << i;
        ASSERT_NEAR(got.at(static_cast<int64_t>(i)), want, 4e-6 * size) << call << " of " << which << " at " << i;
      }
    };
    const size_t step = xs.size() > 1000 ? 97 : 1;
    compare(0, narrow.gradients.input, exact.gradients.input, step);
    if (!call.affine) continue;
    compare(1, narrow.gradients.weight, exact.gradients.weight, step);
    compare(2, narrow.gradients.bias, exact.gradients.bias, step);
    ASSERT_EQ(narrow.gradients.weight.shape(), weight_shape(call));
  }
}

TEST(NormTest, RunningStatisticsStoreTheUnbiasedVariance) {
  for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
    Tensor mean = Tensor::zeros({1}, dtype), var = Tensor::ones({1}, dtype);
    const Tensor x = Tensor::from({1, 3}, {2, 1}).to(dtype);
    const NormResult result = batch_norm(x, mean, var, {}, {}, {.training = true, .momentum = 0.1});
    EXPECT_FLOAT_EQ(static_cast<float>(mean.item()), 0.2f);
    EXPECT_FLOAT_EQ(static_cast<float>(var.item()), 1.1f);
    EXPECT_NEAR(result.output.at(0), -1, 1e-5);
    // Evaluation uses them and leaves them alone.
    const Tensor y = batch_norm(x, mean, var, {}, {}, {}).output;
    EXPECT_NEAR(y.at(1), (3 - 0.2) / std::sqrt(1.1 + 1e-5), 1e-6);
    EXPECT_FLOAT_EQ(static_cast<float>(mean.item()), 0.2f);
  }
}

TEST(NormTest, EvalGradientScalesOnly) {
  const Tensor x = normal({2, 3, 4}, 1), grad = normal({2, 3, 4}, 2), weight = normal({3}, 3);
  const Tensor mean = normal({3}, 4), var = Tensor::from({0.5, 1, 2}, {3});
  const NormResult result = batch_norm(x, mean, var, weight, {}, {});
  const NormGradients g = batch_norm_backward(grad, x, weight, result, false);
  for (int64_t c = 0; c < 3; ++c) {
    const double inv_std = 1 / std::sqrt(var.at(c) + 1e-5);
    double bias = 0, product = 0;
    for (int64_t n = 0; n < 2; ++n) {
      for (int64_t i = 0; i < 4; ++i) {
        const int64_t at = (n * 3 + c) * 4 + i;
        EXPECT_NEAR(g.input.at(at), grad.at(at) * weight.at(c) * inv_std, 1e-6);
        bias += grad.at(at);
        product += grad.at(at) * (x.at(at) - mean.at(c)) * inv_std;
      }
    }
    EXPECT_NEAR(g.bias.at(c), bias, 2e-6);
    EXPECT_NEAR(g.weight.at(c), product, 2e-6);
  }
}

TEST(NormTest, LargeMeansLoseNothing) {
  // float32 sums of squares would have no correct digit of the variance left.
  const Tensor x = normal({4, 3, 50, 60}, 7, 1e4, 1.0), grad = normal({4, 3, 50, 60}, 8);
  const auto check = [&](const std::function<Both(const Tensor&, const Tensor&)>& call) {
    const Both got = call(x, grad), want = call(x.to(DType::kFloat64), grad.to(DType::kFloat64));
    double worst = 0, worst_gradient = 0;
    for (int64_t i = 0; i < x.numel(); ++i) {
      worst = std::max(worst, std::abs(got.result.output.at(i) - want.result.output.at(i)));
      worst_gradient = std::max(worst_gradient, std::abs(got.gradients.input.at(i) - want.gradients.input.at(i)));
    }
    EXPECT_LT(worst, 1e-6);
    EXPECT_LT(worst_gradient, 1e-6);
  };
  check([](const Tensor& a, const Tensor& g) { return run({Call::kBatch, a.shape()}, a, {}, {}, g, 1e-5); });
  check([](const Tensor& a, const Tensor& g) { return run({Call::kGroup, a.shape(), 1}, a, {}, {}, g, 1e-5); });
  check([](const Tensor& a, const Tensor& g) { return run({Call::kLayer, a.shape(), 1, 2}, a, {}, {}, g, 1e-5); });
}

TEST(NormTest, BitsDoNotDependOnThreadsOrTheBatch) {
  const Tensor x = normal({5, 6, 70, 90}, 1), grad = normal({5, 6, 70, 90}, 2), weight = normal({6}, 3), bias = normal({6}, 4);
  for (Call::Kind kind : {Call::kBatch, Call::kGroup, Call::kInstance, Call::kLayer}) {
    const Call call{kind, x.shape(), 2, 1};
    const Tensor w = kind == Call::kLayer ? normal({90}, 5) : weight, b = kind == Call::kLayer ? normal({90}, 6) : bias;
    set_num_threads(1);
    const Both one = run(call, x, w, b, grad, 1e-5);
    set_num_threads(5);
    const Both five = run(call, x, w, b, grad, 1e-5);
    EXPECT_TRUE(identical(one.result.output, five.result.output));
    EXPECT_TRUE(identical(one.gradients.input, five.gradients.input));
    EXPECT_TRUE(identical(one.gradients.weight, five.gradients.weight));
    EXPECT_TRUE(identical(one.gradients.bias, five.gradients.bias));
    if (kind == Call::kBatch) continue;
    const Both alone = run({kind, {1, 6, 70, 90}, 2, 1}, x.slice(3, 4), w, b, grad.slice(3, 4), 1e-5);
    EXPECT_TRUE(identical(alone.result.output, one.result.output.slice(3, 4)));
    EXPECT_TRUE(identical(alone.gradients.input, one.gradients.input.slice(3, 4)));
  }
  const Tensor mean = normal({6}, 8), var = Tensor::ones({6});
  EXPECT_TRUE(identical(batch_norm(x, mean, var, weight, bias, {}).output.slice(2, 3),
                        batch_norm(x.slice(2, 3), mean, var, weight, bias, {}).output));
  set_num_threads(0);
}

TEST(NormTest, EmptyInputs) {
  const Tensor mean = Tensor::zeros({3}), var = Tensor::ones({3});
  for (bool training : {false, true}) {
    for (const Shape& shape : {Shape{0, 3, 4, 4}, Shape{2, 3, 0, 4}}) {
      const Tensor x = Tensor::zeros(shape);
      const NormResult result = batch_norm(x, mean, var, {}, {}, {.training = training});
      EXPECT_EQ(result.output.shape(), shape);
      EXPECT_EQ(var.at(0), 1) << "an empty batch leaves the running statistics alone";
      const NormGradients g = batch_norm_backward(x, x, {}, result, training);
      EXPECT_EQ(g.input.shape(), shape);
      EXPECT_EQ(g.weight.to_vector<float>(), (std::vector<float>{0, 0, 0}));
    }
  }
  EXPECT_EQ(batch_norm(Tensor::zeros({0, 64, 112, 112}), Tensor::zeros({64}), Tensor::ones({64}), {}, {}, {}).output.numel(), 0);
  EXPECT_EQ(
      batch_norm(Tensor::zeros({2, 0, 4, 4}), Tensor::zeros({0}), Tensor::ones({0}), {}, {}, {.training = true}).output.numel(), 0);
  for (const Shape& shape : {Shape{0, 6, 5}, Shape{2, 6, 0}}) {
    const Tensor x = Tensor::zeros(shape);
    const NormResult result = group_norm(x, 2, {}, {});
    EXPECT_EQ(result.output.shape(), shape);
    EXPECT_EQ(group_norm_backward(x, x, 2, {}, result).weight.to_vector<float>(), std::vector<float>(6, 0.0f));
  }
  const Tensor x = Tensor::zeros({0, 4});
  EXPECT_EQ(layer_norm_backward(x, x, {4}, {}, layer_norm(x, {4}, {}, {})).weight.to_vector<float>(), std::vector<float>(4, 0.0f));
}

TEST(NormTest, NoVarianceAndNoEpsGivesNan) {
  EXPECT_TRUE(std::isnan(layer_norm(Tensor::ones({2, 4}), {4}, {}, {}, 0.0).output.at(0)));
  EXPECT_TRUE(
      std::isnan(batch_norm(Tensor::ones({2, 1}), Tensor::zeros({1}), Tensor::zeros({1}), {}, {}, {.eps = 0}).output.at(0)));
  EXPECT_EQ(batch_norm(Tensor::ones({4, 1}), {}, {}, {}, {}, {.training = true}).output.at(0), 0);
}

TEST(NormTest, SaysPyTorchsWords) {
  const auto z = [](Shape shape) { return Tensor::zeros(std::move(shape)); };
  const BatchNormOptions train{.training = true};
  const Tensor x = z({2, 4, 3, 3});
  EXPECT_EQ(reason([&] { batch_norm(x, z({3}), z({4}), {}, {}, train); }), "running_mean should contain 4 elements not 3");
  EXPECT_EQ(reason([&] { batch_norm(z({10, 8}), z({8}), z({0}), {}, {}, train); }), "running_var should contain 8 elements not 0");
  EXPECT_EQ(reason([&] { batch_norm(x, {}, {}, {}, {}, {}); }), "running_mean must be defined in evaluation mode");
  EXPECT_EQ(reason([&] { batch_norm(x, z({4}), {}, {}, {}, {}); }), "running_var must be defined in evaluation mode");
  EXPECT_EQ(reason([&] { batch_norm(z({2, 6, 3, 3}), z({6}), z({6}), z({0}), {}, {}); }), "weight should contain 6 elements not 0");
  EXPECT_EQ(reason([&] { batch_norm(x, z({4}), z({4}), {}, z({5}), {}); }), "bias should contain 4 elements not 5");
  EXPECT_EQ(reason([&] {
              batch_norm(z({1, 3, 1, 1}), {}, {}, {}, {}, train);
            }),
            "Expected more than 1 value per channel when training, got input size torch.Size([1, 3, 1, 1])");
  EXPECT_THROW(batch_norm(z({1, 3}), {}, {}, {}, {}, train), ValueError);
  EXPECT_EQ(reason([&] { batch_norm(z({3}), z({3}), z({3}), {}, {}, {}); }), "running_mean should contain 0 elements not 3");
  EXPECT_EQ(reason([&] {
              batch_norm(Tensor::zeros({2, 3}, DType::kInt64), z({3}), z({3}), {}, {}, {});
            }),
            "\"batch_norm\" not implemented for 'Long'");
  EXPECT_EQ(reason([&] {
              batch_norm(z({2, 3}), Tensor::zeros({3}, DType::kFloat64), z({3}), {}, {}, {});
            }),
            "mixed dtype (CPU): expect parameter to have scalar type of Float");
  const NormResult result = batch_norm(x, {}, {}, {}, {}, train);
  EXPECT_EQ(reason([&] { batch_norm_backward(x, x, {}, {x, z({4}), Tensor()}, true); }), "inv_std should contain 4 elements not 0");
  EXPECT_THROW(batch_norm_backward(z({0, 128}), x, {}, result, true), ShapeMismatch);

  const Tensor y = z({4, 6, 5});
  EXPECT_EQ(reason([&] { group_norm(y, 0, {}, {}); }), "Expected num groups to be greater than 0, got 0");
  EXPECT_EQ(reason([&] { group_norm(y, std::numeric_limits<int64_t>::min(), {}, {}); }),
            "Expected num groups to be greater than 0, got -9223372036854775808");
  EXPECT_EQ(
      reason([&] { group_norm(y, 4, {}, {}); }),
      "Expected number of channels in input to be divisible by num_groups, but got input of shape [4, 6, 5] and num_groups=4");
  EXPECT_EQ(reason([&] { group_norm(y, 2, z({5}), {}); }),
            "Expected weight to be a vector of size equal to the number of channels in input, but got weight of shape [5] and "
            "input of shape "
            "[4, 6, 5]");
  EXPECT_EQ(reason([&] { group_norm(z({6}), 2, {}, {}); }),
            "Dimension out of range (expected to be in range of [-1, 0], but got 1)");
  EXPECT_EQ(reason([&] {
              group_norm(z({1, 6}), 6, {}, {});
            }),
            "Expected more than 1 value per channel when training, got input size [1, 6]");
  EXPECT_EQ(reason([&] { group_norm(y, 2, Tensor::zeros({6}, DType::kFloat64), {}); }),
            "expected scalar type Float but found Double");

  EXPECT_EQ(reason([&] {
              instance_norm(z({2, 3, 1, 1}), {}, {});
            }),
            "Expected more than 1 spatial element when training, got input size torch.Size([2, 3, 1, 1])");
  EXPECT_EQ(reason([&] { instance_norm(z({2, 3, 4}), z({2}), {}); }), "weight should contain 6 elements not 4");

  EXPECT_EQ(reason([&] {
              layer_norm(z({2, 3, 4}), {3, 5}, {}, {});
            }),
            "Given normalized_shape=[3, 5], expected input with shape [*, 3, 5], but got input of size[2, 3, 4]");
  EXPECT_EQ(reason([&] {
              layer_norm(z({3}), {2, 3}, {}, {});
            }),
            "Given normalized_shape=[2, 3], expected input with shape [*, 2, 3], but got input of size[3]");
  EXPECT_EQ(reason([&] {
              layer_norm(z({2, 3, 4}), {}, {}, {});
            }),
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            "normalized_shape = []");
  EXPECT_EQ(reason([&] {
              layer_norm(z({2, 3, 4}), {4}, z({3}), {});
            }),
            "Expected weight to be of same shape as normalized_shape, but got weight of shape [3] and normalized_shape = [4]");
}

// relu and relu6 in batch_norm's own pass: the bits of the separate operations, forward and backward.
TEST(BatchNormActivation, HasTheBitsOfSeparateOperations) {
  for (const Shape& shape : {Shape{2, 3, 5, 7}, {4, 17, 9}, {6, 5}, {2, 2, 70, 130}, {1, 3, 64, 64}}) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
      for (const bool training : {true, false}) {
        for (const Activation kind : {Activation::kRelu, Activation::kRelu6}) {
          Generator generator(static_cast<uint64_t>(numel(shape)));
          const int64_t channels = shape[1];
          Tensor x = 3.0 * randn(shape, dtype, &generator);
          const Tensor g = randn(shape, dtype, &generator), w = 4.0 * randn({channels}, dtype, &generator),
                       b = randn({channels}, dtype, &generator);
          const auto statistics = [&] { return Tensor::full({channels}, 0.5, dtype); };
          BatchNormOptions plain{.training = training}, fused{.training = training, .activation = kind};
          const NormResult separate = batch_norm(x, statistics(), statistics(), w, b, plain),
                           together = batch_norm(x, statistics(), statistics(), w, b, fused);
          EXPECT_TRUE(identical(together.output, activation(kind, separate.output))) << to_string(shape);
          const NormGradients expected =
              batch_norm_backward(activation_backward(kind, g, separate.output), x, w, separate, training);
          const NormGradients got = batch_norm_backward(g, x, w, b, together, fused);
          EXPECT_TRUE(identical(got.input, expected.input)) << to_string(shape);
          EXPECT_TRUE(identical(got.weight, expected.weight)) << to_string(shape);
          EXPECT_TRUE(identical(got.bias, expected.bias)) << to_string(shape);
        }
      }
    }
  }
}

// A residual, and an activation of the sum, in batch_norm's own pass: the bits of the separate operations, forward and backward.
TEST(BatchNormResidual, HasTheBitsOfSeparateOperations) {
  for (const Shape& shape : {Shape{2, 3, 5, 7}, {4, 17, 9}, {6, 5}, {2, 2, 70, 130}, {1, 3, 64, 64}, {3, 9, 2, 3, 2}}) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
      for (const bool training : {true, false}) {
        for (const std::optional<Activation> kind :
             {std::optional<Activation>(), std::optional(Activation::kRelu), std::optional(Activation::kRelu6)}) {
          for (const int threads : {1, 2, 5}) {
            set_num_threads(threads);
            Generator generator(static_cast<uint64_t>(numel(shape)));
            const int64_t channels = shape[1];
            const Tensor x = 3.0 * randn(shape, dtype, &generator), r = 2.0 * randn(shape, dtype, &generator),
                         g = randn(shape, dtype, &generator), w = 4.0 * randn({channels}, dtype, &generator),
                         b = randn({channels}, dtype, &generator);
            const auto statistics = [&] { return Tensor::full({channels}, 0.5, dtype); };
            const BatchNormOptions plain{.training = training}, fused{.training = training, .activation = kind};
            const NormResult separate = batch_norm(x, statistics(), statistics(), w, b, plain),
                             together = batch_norm(x, statistics(), statistics(), w, b, fused, r);
            const Tensor sum = separate.output + r;
            EXPECT_TRUE(identical(together.output, kind ? activation(*kind, sum) : sum)) << to_string(shape);
            const Tensor passed = kind ? activation_backward(*kind, g, sum) : g;
            const NormGradients expected = batch_norm_backward(passed, x, w, separate, training),
                                got = batch_norm_backward(g, x, w, b, together, fused);
            EXPECT_TRUE(identical(got.residual, passed)) << to_string(shape);
            EXPECT_TRUE(identical(got.input, expected.input)) << to_string(shape);
            EXPECT_TRUE(identical(got.weight, expected.weight)) << to_string(shape);
            EXPECT_TRUE(identical(got.bias, expected.bias)) << to_string(shape);
            EXPECT_FALSE(expected.residual.defined());
          }
        }
      }
    }
  }
  set_num_threads(0);
}

TEST(BatchNormResidual, ClampsNoNanAndRefusesOtherShapes) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = Tensor::from({1, -1, 2, -2}, {1, 1, 4}), r = Tensor::from({nan, 9, -9, 0}, {1, 1, 4}), w = Tensor::ones({1});
  const BatchNormOptions options{.training = true, .activation = Activation::kRelu6};
  const NormResult result = batch_norm(x, {}, {}, w, {}, options, r);
  EXPECT_TRUE(std::isnan(result.output.at(0)));
  EXPECT_EQ(result.output.at(1), 6);
  EXPECT_EQ(result.output.at(2), 0);
  EXPECT_EQ(batch_norm_backward(Tensor::ones({1, 1, 4}), x, w, {}, result, options).residual.to_vector<int64_t>(),
            (std::vector<int64_t>{1, 0, 0, 0}));
  EXPECT_THROW(batch_norm(x, {}, {}, w, {}, options, Tensor::zeros({1, 1, 3})), ShapeMismatch);
  EXPECT_THROW(batch_norm(x, {}, {}, w, {}, options, Tensor::zeros({1, 1, 4}, DType::kFloat64)), ShapeMismatch);
  NormResult statistics = result;
  statistics.output = Tensor();
  EXPECT_THROW(batch_norm_backward(x, x, w, {}, statistics, options), ShapeMismatch);
}

}  // namespace
}  // namespace convoy::ops
