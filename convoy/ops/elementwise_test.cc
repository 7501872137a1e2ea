#include "convoy/ops/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "tests/refusal.h"

namespace convoy {
namespace {

using testing::reason;

Tensor integers(Shape shape, uint64_t seed) {
  Tensor t = Tensor::empty(std::move(shape));
  uint64_t state = seed * 2654435761u + 1;
  for (int64_t i = 0; i < t.numel(); ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    t.data<float>()[i] = static_cast<float>(static_cast<int64_t>(state >> 33) % 17 - 8);
  }
  return t;
}

// The value of a broadcast operand at an index of the output.
double broadcast_at(const Tensor& t, const Shape& shape, int64_t flat) {
  int64_t at = 0, step = 1;
  for (size_t back = 1; back <= shape.size(); ++back) {
    const int64_t index = flat % shape[shape.size() - back];
    flat /= shape[shape.size() - back];
    if (back > t.shape().size()) continue;
    const int64_t n = t.shape()[t.shape().size() - back];
    if (n != 1) at += index * step;
    step *= n;
  }
  return t.at(at);
}

TEST(ElementwiseTest, ArithmeticBroadcastsAsPyTorch) {
  const std::pair<Shape, Shape> pairs[] = {{{2, 3}, {2, 3}},
                                           {{2, 3}, {3}},
                                           {{2, 3}, {2, 1}},
                                           {{2, 1}, {1, 3}},
                                           {{}, {4, 5}},
                                           {{4, 5}, {}},
                                           {{}, {}},
                                           {{2, 3, 17, 5}, {3, 1, 1}},
                                           {{2, 3, 4, 5}, {4, 1}},
                                           {{3, 1, 5}, {2, 1, 4, 1}},
                                           {{0, 3}, {3}},
                                           {{1}, {0}},
                                           {{1, 70000}, {3, 1}},
                                           {{2, 40000}, {40000}},
                                           {{1, 1, 6, 1}, {5, 6, 7}},
                                           {{33, 1, 3}, {1, 35, 3}}};
  for (const auto& [p, q] : pairs) {
    const Tensor a = integers(p, 1), b = integers(q, 2);
    const Shape shape = ops::broadcast_shape(p, q);
    const Tensor sum = a + b, difference = a - b, product = a * b, quotient = a / (b * b + 1.0);
    for (DType dtype : {DType::kFloat64, DType::kInt64}) {
      EXPECT_TRUE(identical((a.to(dtype) + b.to(dtype)).to(DType::kFloat32), sum));
      EXPECT_TRUE(identical((a.to(dtype) - b.to(dtype)).to(DType::kFloat32), difference));
    }
    ASSERT_EQ(sum.shape(), shape);
    for (int64_t i = 0; i < sum.numel(); ++i) {
      const double u = broadcast_at(a, shape, i), v = broadcast_at(b, shape, i);
      ASSERT_EQ(sum.at(i), u + v) << to_string(p) << to_string(q) << i;
      ASSERT_EQ(difference.at(i), u - v);
      ASSERT_EQ(product.at(i), u * v);
      ASSERT_EQ(quotient.at(i), static_cast<float>(u) / static_cast<float>(v * v + 1));
    }
  }
}

TEST(ElementwiseTest, SumToIsTheTransposeOfBroadcasting) {
  const Tensor g = integers({2, 3, 4, 5}, 3);
  for (const Shape& shape :
       {Shape{}, Shape{5}, Shape{1}, Shape{4, 1}, Shape{3, 1, 1}, Shape{2, 1, 4, 1}, Shape{1, 3, 1, 5}, Shape{2, 3, 4, 5}}) {
    const Tensor sum = ops::sum_to(g, shape);
    ASSERT_EQ(sum.shape(), shape);
    const Tensor w = integers(shape, 4);
    double left = 0, right = 0;  // <g, broadcast(w)> = <sum_to(g), w>
    for (int64_t i = 0; i < g.numel(); ++i) left += g.at(i) * broadcast_at(w, g.shape(), i);
    for (int64_t i = 0; i < w.numel(); ++i) right += sum.at(i) * w.at(i);
    EXPECT_EQ(left, right) << to_string(shape);
  }
  EXPECT_THROW(ops::sum_to(g, {4}), ShapeMismatch);
  EXPECT_THROW(ops::sum_to(Tensor::zeros({3}), {1, 3}), ShapeMismatch);
}

TEST(ElementwiseTest, SaysPyTorchsWords) {
  const auto z = [](Shape shape) { return Tensor::zeros(std::move(shape)); };
  EXPECT_EQ(reason([&] {
              z({2, 3}) + z({2, 4});
            }),
            "The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1");
  EXPECT_EQ(reason([&] { z({3}) * z({4}); }),
            "The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 0");
  EXPECT_EQ(reason([&] {
              z({5, 1, 3}) + z({4, 4, 3, 1});
            }),
            "The size of tensor a (5) must match the size of tensor b (4) at non-singleton dimension 1");
  EXPECT_EQ(reason([&] { z({3}) + Tensor::zeros({3}, DType::kFloat64); }), "expected scalar type Float but found Double");
  Tensor t = z({3});
  EXPECT_EQ(reason([&] { t += z({2, 3}); }), "output with shape [3] doesn't match the broadcast shape [2, 3]");
  EXPECT_EQ(reason([&] { ops::gelu(Tensor::arange(3, DType::kInt64)); }), "\"GeluKernelImpl\" not implemented for 'Long'");
  EXPECT_THROW(ops::activation_backward(Activation::kRelu, z({3}), z({4})), ShapeMismatch);
}

TEST(ElementwiseTest, OperatorsWithNumbers) {
  const Tensor a = Tensor::from({1, -2, 3}, {3});
  EXPECT_EQ((2.0 * a).to_vector<float>(), (std::vector<float>{2, -4, 6}));
  EXPECT_EQ((a * 3.0 - 1.0).to_vector<float>(), (std::vector<float>{2, -7, 8}));
  EXPECT_EQ((-a + 0.5).to_vector<float>(), (std::vector<float>{-0.5, 2.5, -2.5}));
  EXPECT_TRUE(std::signbit((-Tensor::zeros({1})).at(0)));
  EXPECT_EQ(ops::square(a).to_vector<float>(), (std::vector<float>{1, 4, 9}));
  EXPECT_EQ(ops::sqrt(ops::square(a)).to_vector<float>(), (std::vector<float>{1, 2, 3}));
  Tensor t = a.clone();
  const Tensor shared = t;
  t += a;
  t -= Tensor::from({1}, {1});
  t *= 2.0;
  EXPECT_EQ(shared.to_vector<float>(), (std::vector<float>{2, -10, 10})) << "the operators work in place";
  ops::add_(t, a, -2.0);
  EXPECT_EQ(t.to_vector<float>(), (std::vector<float>{0, -6, 4}));
  const Tensor quotient = Tensor::arange(3, DType::kInt64) / Tensor::full({1}, 2, DType::kInt64);
  EXPECT_EQ(quotient.dtype(), DType::kFloat32);
  EXPECT_EQ(quotient.to_vector<float>(), (std::vector<float>{0, 0.5, 1}));
}

TEST(ElementwiseTest, ActivationsKeepShapeAndType) {
  for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const Tensor x = Tensor::from({-1, 0, 2, 7}, {2, 1, 2}).to(dtype);
    const Tensor y = ops::relu6(x);
    EXPECT_EQ(y.shape(), x.shape());
    EXPECT_EQ(y.dtype(), dtype);
    EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{0, 0, 2, 6}));
    EXPECT_EQ(ops::leaky_relu(x, 0.5).to_vector<double>(), (std::vector<double>{-0.5, 0, 2, 7}));
    EXPECT_NEAR(ops::gelu(x).at(0), -0.15865525393145707, 1e-7);
    EXPECT_NEAR(ops::mish(x).at(2), 1.9439589595339946, 2e-7);
  }
  EXPECT_EQ(ops::relu(Tensor::zeros({0, 3})).numel(), 0);
}

}  // namespace
}  // namespace convoy
