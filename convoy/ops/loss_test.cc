#include "convoy/ops/loss.h"

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
#include "convoy/kernels/elementwise/pair_loss_reference.h"
#include "convoy/ops/elementwise.h"
#include "tests/refusal.h"

namespace convoy::ops {
namespace {

using testing::reason;

using Complex = std::complex<double>;
constexpr double kStep = 1e-50;

Tensor normal(Shape shape, unsigned seed) {
  Tensor t = Tensor::empty(std::move(shape));
  std::mt19937 engine(seed);
  std::normal_distribution<float> draw;
  for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = draw(engine);
  return t;
}

Tensor classes(Shape shape, int64_t count, unsigned seed) {
  Tensor t = Tensor::empty(std::move(shape), DType::kInt64);
  std::mt19937 engine(seed);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<int64_t>()[i] = static_cast<int64_t>(engine() % static_cast<unsigned>(count));
  return t;
}

// One sample's loss from its log-probabilities or logits.
template <class T>
T sample_loss(std::vector<T> x, int64_t target, const ClassLossOptions& options, bool logits) {
  if (target == options.ignore_index) return T(0);
  if (logits) {
    T sum = 0;
    for (const T& v : x) sum += std::exp(v);
    for (T& v : x) v -= std::log(sum);
  }
  const double smoothing = logits ? options.label_smoothing : 0;
  T loss = -(1 - smoothing) * x[static_cast<size_t>(target)];
  for (const T& v : x) loss -= smoothing / static_cast<double>(x.size()) * v;
  return loss;
}

TEST(LossTest, ClassLossesAgreeWithTheDefinitionAndItsComplexStep) {
  for (const Shape& shape : {Shape{6, 5}, Shape{7}, Shape{2, 3, 4}, Shape{2, 4, 3, 5}, Shape{1, 2, 2, 1, 2}, Shape{3, 1}}) {
    const int64_t count = shape.size() == 1 ? shape[0] : shape[1], batch = shape.size() == 1 ? 1 : shape[0];
    Shape target_shape = shape;
    target_shape.erase(target_shape.begin() + (shape.size() == 1 ? 0 : 1));
    const int64_t samples = numel(target_shape), inner = samples / batch;
    const Tensor x = normal(shape, 1), target = classes(target_shape, count, 2);
    for (bool logits : {false, true}) {
      for (const ClassLossOptions& plain :
           {ClassLossOptions{}, ClassLossOptions{.ignore_index = 0}, ClassLossOptions{.label_smoothing = 0.1}}) {
        for (Reduction reduction : {Reduction::kNone, Reduction::kMean, Reduction::kSum}) {
          ClassLossOptions options = plain;
          options.reduction = reduction;
          const Tensor grad = reduction == Reduction::kNone ? normal(target_shape, 3) : Tensor::scalar(1.5);
          const auto loss = [&](const Tensor& t) {
            return logits ? cross_entropy(t, target, options) : nll_loss(t, target, options);
          };
          const auto gradient = [&](const Tensor& t, const Tensor& g) {
            return logits ? cross_entropy_backward(g, t, target, options) : nll_loss_backward(g, t, target, options);
          };
          const Tensor got = loss(x), wide = loss(x.to(DType::kFloat64));
          const Tensor got_grad = gradient(x, grad), wide_grad = gradient(x.to(DType::kFloat64), grad.to(DType::kFloat64));
          double total = 0, counted = 0;
          for (int64_t s = 0; s < samples; ++s) counted += target.data<int64_t>()[s] != options.ignore_index;
          if (counted == 0) continue;
          for (int64_t s = 0; s < samples; ++s) {
            const int64_t at = s / inner * count * inner + s % inner, t = target.data<int64_t>()[s];
            std::vector<double> values;
            for (int64_t c = 0; c < count; ++c) values.push_back(x.at(at + c * inner));
            const double want = sample_loss(values, t, options, logits);
            total += want;
            if (reduction == Reduction::kNone) {
              ASSERT_NEAR(wide.at(s), want, 1e-13);
              ASSERT_NEAR(got.at(s), want, 1e-6);
            }
            const double weight = reduction == Reduction::kNone ? grad.at(s) : reduction == Reduction::kMean ? 1.5 / counted : 1.5;
            for (int64_t c = 0; c < count; ++c) {
              std::vector<Complex> stepped(values.begin(), values.end());
              stepped[static_cast<size_t>(c)] += Complex(0, kStep);
              const double slope = weight * sample_loss(stepped, t, options, logits).imag() / kStep;
              ASSERT_NEAR(wide_grad.at(at + c * inner), slope, 1e-13) << to_string(shape);
              ASSERT_NEAR(got_grad.at(at + c * inner), slope, 1e-6) << to_string(shape);
            }
          }
          ASSERT_EQ(got.shape(), reduction == Reduction::kNone ? target_shape : Shape{});
          if (reduction == Reduction::kNone) continue;
          const double want = reduction == Reduction::kMean ? total / counted : total;
          ASSERT_NEAR(wide.item(), want, 1e-12);
          ASSERT_NEAR(got.item(), want, 2e-6 * std::max(1.0, std::abs(want)));
        }
      }
    }
  }
}

// Numbers printed by PyTorch 1.13.
TEST(LossTest, CrossEntropyTakesProbabilities) {
  const Tensor x = Tensor::from(std::vector<double>{0.5, -1, 2, 1, 0, -0.25}, {2, 3});
  const Tensor p = Tensor::from(std::vector<double>{0.2, 0.3, 0.5, 0, 1, 0}, {2, 3});
  const double want[] = {1.4723700873208911, 1.477370087320891};
  const std::vector<double> slopes[] = {{-0.012354803929981659, -0.13044371336465627, 0.14279851729463794, 0.3022272507835872,
                                         -0.3888168078749526, 0.08658955709136537},
                                        {-0.025688137263314995, -0.1337770466979896, 0.1594651839613046, 0.26889391745025387,
                                         -0.32215014120828595, 0.05325622375803204}};
  for (int i = 0; i < 2; ++i) {
    const ClassLossOptions options{.label_smoothing = 0.2 * i};
    EXPECT_NEAR(cross_entropy(x, p, options).item(), want[i], 1e-14);
    const Tensor grad = cross_entropy_backward(Tensor::scalar(1, DType::kFloat64), x, p, options);
    for (int64_t k = 0; k < 6; ++k) EXPECT_NEAR(grad.at(k), slopes[i][static_cast<size_t>(k)], 1e-15);
  }
}

TEST(LossTest, MeanOfNothingIsNanWithGradientZero) {
  const Tensor x = normal({2, 4}, 1), ignored = Tensor::full({2}, -100, DType::kInt64);
  for (double smoothing : {0.0, 0.2}) {
    EXPECT_TRUE(std::isnan(cross_entropy(x, ignored, {.label_smoothing = smoothing}).item()));
    EXPECT_EQ(cross_entropy_backward(Tensor::scalar(1), x, ignored, {.label_smoothing = smoothing}).to_vector<float>(),
              std::vector<float>(8, 0.0f));
    EXPECT_EQ(cross_entropy(x, ignored, {.reduction = Reduction::kNone, .label_smoothing = smoothing}).to_vector<float>(),
              std::vector<float>(2, 0.0f));
  }
  EXPECT_TRUE(std::isnan(nll_loss(Tensor::zeros({0, 4}), Tensor::zeros({0}, DType::kInt64)).item()));
  EXPECT_EQ(nll_loss(Tensor::zeros({0, 4}), Tensor::zeros({0}, DType::kInt64), {.reduction = Reduction::kSum}).item(), 0);
  EXPECT_EQ(nll_loss(Tensor::zeros({2, 4, 0}), Tensor::zeros({2, 0}, DType::kInt64), {.reduction = Reduction::kNone}).shape(),
            (Shape{2, 0}));
  EXPECT_TRUE(std::isnan(mse_loss(Tensor::zeros({0}), Tensor::zeros({0})).item()));
  EXPECT_EQ(l1_loss(Tensor::zeros({0}), Tensor::zeros({0}), Reduction::kSum).item(), 0);
}

TEST(LossTest, PairLossesAndTheirComplexStep) {
  const std::pair<Shape, Shape> shapes[] = {{{4, 3}, {4, 3}}, {{4, 3}, {3}},    {{3}, {4, 3}},
                                            {{}, {}},         {{5, 1}, {1, 6}}, {{70, 41}, {70, 41}}};
  for (PairLoss kind : {PairLoss::kMse, PairLoss::kL1, PairLoss::kSmoothL1, PairLoss::kBceWithLogits}) {
    for (const auto& [p, q] : shapes) {
      if (kind == PairLoss::kBceWithLogits && p != q) continue;
      const Tensor x = normal(p, 1), t = normal(q, 2);
      for (Reduction reduction : {Reduction::kNone, Reduction::kMean, Reduction::kSum}) {
        for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
          const Tensor losses = pair_loss(kind, x.to(dtype), t.to(dtype), reduction, 0.7);
          const Tensor ones = sub(add(x, t), add(x, t));  // the common shape
          const double count = static_cast<double>(ones.numel()), tolerance = dtype == DType::kFloat32 ? 4e-6 : 1e-13;
          const Tensor grad = reduction == Reduction::kNone ? normal(ones.shape(), 3) : Tensor::scalar(1.5);
          const Tensor got = pair_loss_backward(kind, grad.to(dtype), x.to(dtype), t.to(dtype), reduction, 0.7);
          const Tensor xs = add(x, ones), ts = add(t, ones);
          double total = 0;
          Tensor slopes = Tensor::zeros(ones.shape(), DType::kFloat64);
          for (int64_t i = 0; i < ones.numel(); ++i) {
            const Complex stepped = kernels::reference::pair_loss(kind, 0.7, Complex(xs.at(i), kStep), Complex(ts.at(i), 0));
            total += stepped.real();
            const double weight = reduction == Reduction::kNone ? grad.at(i) : reduction == Reduction::kMean ? 1.5 / count : 1.5;
            slopes.data<double>()[i] = weight * stepped.imag() / kStep;
            if (reduction != Reduction::kNone) continue;
            ASSERT_NEAR(losses.at(i), stepped.real(), tolerance * std::max(1.0, stepped.real()));
          }
          if (reduction != Reduction::kNone) {
            const double want = reduction == Reduction::kMean ? total / count : total;
            ASSERT_EQ(losses.shape(), Shape{});
            ASSERT_NEAR(losses.item(), want, tolerance * std::max(1.0, std::abs(want)));
          }
          slopes = sum_to(slopes, p);
          ASSERT_EQ(got.shape(), p);
          for (int64_t i = 0; i < got.numel(); ++i)
            ASSERT_NEAR(got.at(i), slopes.at(i), tolerance * std::max(1.0, std::abs(slopes.at(i))));
        }
      }
    }
  }
}

TEST(LossTest, PairLossEdgesMatchPyTorch) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::from({0, 1, 2, -1.5f, inf}, {5}), t = Tensor::from({0, 0, 1, 1, 0}, {5});
  const auto slopes = [&](PairLoss kind) {
    return pair_loss_backward(kind, Tensor::scalar(1), x, t, Reduction::kSum).to_vector<float>();
  };
  EXPECT_EQ(slopes(PairLoss::kMse), (std::vector<float>{0, 2, 2, -5, inf}));
  EXPECT_EQ(slopes(PairLoss::kL1), (std::vector<float>{0, 1, 1, -1, 1}));
  EXPECT_EQ(slopes(PairLoss::kSmoothL1), (std::vector<float>{0, 1, 1, -1, 1}));
  EXPECT_EQ(
      pair_loss_backward(PairLoss::kL1, Tensor::scalar(1), Tensor::from({nan}, {1}), Tensor::zeros({1}), Reduction::kSum).item(),
      0);
  EXPECT_TRUE(std::isnan(
      pair_loss_backward(PairLoss::kSmoothL1, Tensor::scalar(1), Tensor::from({nan}, {1}), Tensor::zeros({1}), Reduction::kSum)
          .item()));
  const Tensor bce =
      binary_cross_entropy_with_logits(Tensor::from({100, -100, -100}, {3}), Tensor::from({0, 1, 0}, {3}), Reduction::kNone);
  EXPECT_EQ(bce.to_vector<float>(), (std::vector<float>{100, 100, 0}));
  EXPECT_EQ(smooth_l1_loss(Tensor::zeros({3}), Tensor::ones({3}), Reduction::kMean, 0.0).item(), 1);
}

TEST(LossTest, BitsDoNotDependOnThreads) {
  const Tensor x = normal({300, 90}, 1), y = normal({300, 90}, 2), target = classes({300}, 90, 3);
  set_num_threads(1);
  const Tensor a = cross_entropy(x, target, {.label_smoothing = 0.1}), b = mse_loss(x, y);
  const Tensor g = cross_entropy_backward(Tensor::scalar(1), x, target, {.label_smoothing = 0.1});
  set_num_threads(4);
  EXPECT_TRUE(identical(cross_entropy(x, target, {.label_smoothing = 0.1}), a));
  EXPECT_TRUE(identical(mse_loss(x, y), b));
  EXPECT_TRUE(identical(cross_entropy_backward(Tensor::scalar(1), x, target, {.label_smoothing = 0.1}), g));
  set_num_threads(0);
}

TEST(LossTest, SaysPyTorchsWords) {
  const auto z = [](Shape shape) { return Tensor::zeros(std::move(shape)); };
  const auto i = [](Shape shape, double value = 0) { return Tensor::full(std::move(shape), value, DType::kInt64); };
  using Loss = std::function<Tensor(const Tensor&, const Tensor&, const ClassLossOptions&)>;
  for (const Loss& loss : {Loss(nll_loss), Loss(cross_entropy)}) {
    const auto says = [&](const Tensor& x, const Tensor& t, const ClassLossOptions& o = {}) {
      return reason([&] { loss(x, t, o); });
    };
    EXPECT_EQ(says(z({6, 4}), i({6}, 9)), "Target 9 is out of bounds.");
    EXPECT_EQ(says(z({6, 4}), i({6}, -1)), "Target -1 is out of bounds.");
    EXPECT_EQ(says(z({4}), i({}, 7)), "Target 7 is out of bounds.");
    EXPECT_EQ(says(z({2, 4, 3}), i({2, 3}, 4)), "Target 4 is out of bounds.");
    EXPECT_EQ(says(z({2, 0}), i({2})), "Target 0 is out of bounds.");
    EXPECT_EQ(says(z({2, 4}), i({2}, -1), {.ignore_index = -1}), "accepted");
    EXPECT_EQ(says(z({6, 4}), i({5})), "Expected input batch_size (6) to match target batch_size (5).");
    EXPECT_EQ(says(z({4}), i({1})), "size mismatch (got input: [4], target: [1])");
    EXPECT_EQ(says(z({2, 4, 3}), i({2, 4})), "Expected target size [2, 3], got [2, 4]");
    EXPECT_EQ(says(z({2, 4, 3, 5}), i({2, 3, 6})), "size mismatch (got input: [2, 4, 3, 5] , target: [2, 3, 6]");
    EXPECT_EQ(says(z({2, 4, 3, 5}), i({2, 3})),
              "only batches of spatial targets supported (3D tensors) but got targets of dimension: 2");
    EXPECT_EQ(says(z({2, 4}), i({2, 3})), "0D or 1D target tensor expected, multi-target not supported");
    EXPECT_EQ(says(z({2, 4}), i({})), "Expected input batch_size (2) to match target batch_size (0).");
    EXPECT_EQ(says(z({2, 4}), z({2})), "expected scalar type Long but found Float");
    EXPECT_THROW(loss(z({6, 4}), i({5}), {}), ValueError);
  }
  EXPECT_EQ(reason([&] { nll_loss(Tensor::scalar(1), i({})); }), "Expected 1 or more dimensions (got 0)");
  EXPECT_EQ(reason([&] { nll_loss(z({2, 4}), z({2, 4})); }), "0D or 1D target tensor expected, multi-target not supported");
  EXPECT_EQ(reason([&] { cross_entropy(z({4}), i({4})); }),
            "Expected floating point type for target with class probabilities, got Long");
  EXPECT_EQ(reason([&] {
              cross_entropy(z({2, 4}), i({2}), {.label_smoothing = 1.5});
            }),
            "label_smoothing must be between 0.0 and 1.0. Got: 1.5");
  EXPECT_EQ(reason([&] {
              mse_loss(z({3, 4}), z({5}));
            }),
            "The size of tensor a (4) must match the size of tensor b (5) at non-singleton dimension 1");
  EXPECT_EQ(reason([&] {
              binary_cross_entropy_with_logits(z({3, 4}), z({4}));
            }),
            "Target size (torch.Size([4])) must be the same as input size (torch.Size([3, 4]))");
  EXPECT_EQ(reason([&] { smooth_l1_loss(z({3}), z({3}), Reduction::kMean, -1.0); }),
            "smooth_l1_loss does not support negative values for beta.");
  EXPECT_EQ(reason([&] { mse_loss(i({3}), i({3})); }), "\"mse_cpu\" not implemented for 'Long'");
  EXPECT_THROW(nll_loss_backward(z({3}), z({2, 4}), i({2})), ShapeMismatch);
}

}  // namespace
}  // namespace convoy::ops
