#include "convoy/ops/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "tests/refusal.h"

namespace convoy::ops {
namespace {

using testing::reason;

using Dims = std::vector<int64_t>;

Tensor pattern(Shape shape, DType dtype = DType::kFloat32) {
  Tensor t = Tensor::empty(std::move(shape), DType::kFloat64);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<double>()[i] = static_cast<double>((i * 7919 + 13) % 31 - 15);
  return t.to(dtype);
}

// Sums by walking all elements, in the output's order.
std::vector<double> plain_sums(const Tensor& t, const std::vector<bool>& reduced) {
  int64_t outputs = 1;
  for (size_t axis = 0; axis < reduced.size(); ++axis) outputs *= reduced[axis] ? 1 : t.shape()[axis];
  std::vector<double> sums(static_cast<size_t>(outputs), 0.0);
  for (int64_t i = 0; i < t.numel(); ++i) {
    int64_t at = 0, step = 1, rest = i;
    for (size_t axis = reduced.size(); axis-- > 0; rest /= t.shape()[axis]) {
      if (reduced[axis]) continue;
      at += rest % t.shape()[axis] * step;
      step *= t.shape()[axis];
    }
    sums[static_cast<size_t>(at)] += t.at(i);
  }
  return sums;
}

TEST(ReduceTest, SumsOverAnyAxesAreExactForIntegers) {
  for (const Shape& shape : {Shape{2, 3, 4, 5}, Shape{3, 1, 33, 7}, Shape{2, 600, 2, 40}, Shape{1, 2, 1, 1}}) {
    for (DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt64}) {
      const Tensor t = pattern(shape, dtype);
      for (unsigned mask = 1; mask < 16; ++mask) {
        std::vector<bool> reduced(4);
        Dims dims;
        for (int64_t axis = 0; axis < 4; ++axis) {
          if (mask >> axis & 1) {
            reduced[static_cast<size_t>(axis)] = true;
            dims.push_back(axis % 2 == 0 ? axis : axis - 4);
          }
        }
        const Tensor got = sum(t, dims);
        ASSERT_EQ(got.to_vector<double>(), plain_sums(t, reduced)) << to_string(shape) << mask;
        ASSERT_EQ(got.dtype(), dtype);
        ASSERT_EQ(got.dim(), 4 - static_cast<int64_t>(dims.size()));
        ASSERT_EQ(sum(t, dims, true).dim(), 4);
        ASSERT_EQ(sum(t, dims, true).to_vector<double>(), got.to_vector<double>());
      }
    }
  }
}

TEST(ReduceTest, LongSumsAreAccurateAndIndependentOfThreads) {
  const Tensor t = Tensor::full({3000001}, 0.1);
  const double want = 3000001.0 * static_cast<double>(0.1f);
  EXPECT_EQ(sum(t).item(), static_cast<double>(static_cast<float>(want)));
  EXPECT_NEAR(sum(t.to(DType::kFloat64)).item(), want, 1e-8);
  EXPECT_EQ(mean(t).item(), static_cast<double>(0.1f));
  Tensor x = Tensor::empty({40, 70000});
  for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] = std::sin(static_cast<float>(i)) * 1e3f;
  set_num_threads(1);
  const Tensor all = sum(x), rows = sum(x, {1}), columns = sum(x, {0});
  set_num_threads(5);
  EXPECT_TRUE(identical(sum(x), all));
  EXPECT_TRUE(identical(sum(x, {1}), rows));
  EXPECT_TRUE(identical(sum(x, {0}), columns));
  EXPECT_TRUE(identical(sum(x.slice(7, 8), {1}), rows.slice(7, 8))) << "a row alone and among others";
  set_num_threads(0);
}

TEST(ReduceTest, EmptySumsAndMeans) {
  EXPECT_EQ(sum(Tensor::zeros({0})).item(), 0);
  EXPECT_TRUE(std::isnan(mean(Tensor::zeros({0})).item()));
  EXPECT_EQ(sum(Tensor::zeros({2, 0}), Dims{1}).to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(sum(Tensor::zeros({2, 0}), Dims{0}).shape(), Shape{0});
  EXPECT_EQ(sum(Tensor::scalar(3), Dims{-1}).item(), 3);
  EXPECT_EQ(sum(Tensor::from({1, 2}, {2}), Dims{}).item(), 3);
}

TEST(ReduceTest, ArgmaxTakesTheFirstAndNanBeatsAll) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(argmax(Tensor::from({3, 4, 4, 1}, {4}), 0).item(), 1);
  EXPECT_EQ(argmax(Tensor::from({1, nan, 5, nan}, {4}), 0).item(), 1);
  EXPECT_EQ(argmax(Tensor::from({1, 5, 2, 3, 4, 9}, {2, 3}), 0).to_vector<int64_t>(), (std::vector<int64_t>{1, 0, 1}));
  EXPECT_EQ(argmax(Tensor::from({1, 5, 2, 3, 4, 9}, {2, 3}), -1).to_vector<int64_t>(), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(argmax(Tensor::scalar(3), 0).item(), 0);
  EXPECT_EQ(argmax(Tensor::zeros({0, 3}), 1).shape(), Shape{0});
  EXPECT_EQ(reason([] { argmax(Tensor::zeros({3, 0}), 1); }), "argmax(): Expected reduction dim 1 to have non-zero size.");
}

void expect_near(const Tensor& got, const Tensor& want, double tolerance) {
  ASSERT_EQ(got.shape(), want.shape());
  for (int64_t i = 0; i < got.numel(); ++i) ASSERT_NEAR(got.at(i), want.at(i), tolerance) << i;
}

TEST(ReduceTest, SoftmaxAlongAnyAxis) {
  for (const Shape& shape : {Shape{2, 5, 37}, Shape{3, 1000, 1}, Shape{1, 3, 16}, Shape{4, 1, 3}, Shape{2, 70, 2}}) {
    const Tensor x = pattern(shape), g = pattern(shape);
    for (int64_t dim = -1; dim < 3; ++dim) {
      const Tensor wide = x.to(DType::kFloat64), wide_g = g.to(DType::kFloat64);
      const Tensor y = softmax(x, dim), log_y = log_softmax(x, dim);
      expect_near(sum(y.to(DType::kFloat64), {dim}, true), Tensor::ones(sum(y, {dim}, true).shape()), 1e-6);
      expect_near(y, softmax(wide, dim), 3e-7);
      expect_near(log_y, log_softmax(wide, dim), 4e-6);
      expect_near(softmax_backward(g, y, dim), softmax_backward(wide_g, softmax(wide, dim), dim), 1e-5);
      expect_near(log_softmax_backward(g, log_y, dim), log_softmax_backward(wide_g, log_softmax(wide, dim), dim), 4e-4);
    }
  }
}

TEST(ReduceTest, SoftmaxBitsDoNotDependOnTheBatchOrThreads) {
  Tensor x = Tensor::empty({9, 10, 333});
  for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] = std::sin(static_cast<float>(i)) * 4.0f;
  for (int64_t dim : {1, 2}) {
    set_num_threads(1);
    const Tensor y = softmax(x, dim), z = log_softmax(x, dim);
    set_num_threads(4);
    EXPECT_TRUE(identical(softmax(x, dim), y));
    EXPECT_TRUE(identical(softmax(x.slice(5, 6), dim), y.slice(5, 6)));
    EXPECT_TRUE(identical(log_softmax(x.slice(5, 6), dim), z.slice(5, 6)));
  }
  set_num_threads(0);
}

TEST(ReduceTest, SoftmaxOfInfinitiesAndNan) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const auto along = [&](std::initializer_list<float> values, bool last) {
      const auto n = static_cast<int64_t>(values.size());
      const Tensor t = Tensor::from(values, {n, 1}).to(dtype);
      return last ? t.reshape({1, n}) : expand(t, {n, 2});  // both the contiguous and the strided path
    };
    for (bool last : {true, false}) {
      const int64_t dim = last ? 1 : 0;
      const Tensor one = softmax(along({-inf, 1}, last), dim), log_one = log_softmax(along({-inf, 1}, last), dim);
      const int64_t second = last ? 1 : 2;
      EXPECT_EQ(one.at(0), 0);
      EXPECT_EQ(one.at(second), 1);
      EXPECT_EQ(log_one.at(0), -std::numeric_limits<double>::infinity());
      EXPECT_EQ(log_one.at(second), 0);
      for (const Tensor& t : {along({-inf, -inf}, last), along({inf, 1}, last), along({nan, 1}, last), along({1, nan, 2}, last)}) {
        const Tensor y = softmax(t, dim);
        for (int64_t i = 0; i < y.numel(); ++i) {
          if (t.at(0) == std::numeric_limits<double>::infinity() && i % 2 == 1)
            continue;  // exp(1 - inf) is 0 or NaN by the sum's order
          EXPECT_TRUE(std::isnan(y.at(i)) || y.at(i) == 0) << i;
        }
        EXPECT_TRUE(std::isnan(y.at(0)));
      }
    }
  }
  EXPECT_EQ(softmax(Tensor::zeros({3, 0}), 1).shape(), (Shape{3, 0}));
  EXPECT_EQ(softmax(Tensor::zeros({0, 3}), 1).shape(), (Shape{0, 3}));
  EXPECT_EQ(softmax(Tensor::scalar(3), 0).item(), 1);
}

TEST(ReduceTest, ConcatAndNarrowUndoEachOther) {
  for (DType dtype : {DType::kFloat32, DType::kInt64}) {
    const Tensor t = pattern({3, 7, 5}, dtype);
    for (int64_t dim = 0; dim < 3; ++dim) {
      const int64_t n = t.size(dim);
      for (int64_t cut = 0; cut <= n; ++cut) {
        const Tensor head = narrow(t, dim, 0, cut), tail = narrow(t, dim, cut == n ? n : cut - n, n - cut);
        EXPECT_TRUE(identical(concat({head, tail}, dim), t));
        EXPECT_TRUE(identical(concat({head, Tensor::zeros({0}, dtype), tail}, dim - 3), t));
      }
    }
  }
}

TEST(ReduceTest, PermuteMovesEveryElement) {
  const Tensor t = pattern({3, 4, 21, 18});
  for (const Dims& order :
       {Dims{0, 1, 2, 3}, Dims{3, 2, 1, 0}, Dims{0, 2, 3, 1}, Dims{0, 3, 1, 2}, Dims{1, 0, 3, 2}, Dims{2, -1, 0, 1}}) {
    const Tensor p = permute(t, order);
    for (int64_t i = 0; i < p.numel(); ++i) {
      int64_t rest = i, at = 0;
      for (size_t axis = 4; axis-- > 0; rest /= p.shape()[axis]) {
        int64_t step = 1;
        for (int64_t a = (order[axis] + 4) % 4 + 1; a < 4; ++a) step *= t.size(a);
        at += rest % p.shape()[axis] * step;
      }
      ASSERT_EQ(p.at(i), t.at(at));
    }
  }
  EXPECT_EQ(permute(Tensor::zeros({2, 0, 3}), {2, 1, 0}).shape(), (Shape{3, 0, 2}));
  EXPECT_TRUE(identical(permute(permute(t.to(DType::kFloat64), {3, 1, 0, 2}), {2, 1, 3, 0}), t.to(DType::kFloat64)));
}

TEST(ReduceTest, FlattenAndExpand) {
  const Tensor t = pattern({2, 3, 4});
  EXPECT_EQ(flatten(t).shape(), Shape{24});
  EXPECT_EQ(flatten(t, 1).shape(), (Shape{2, 12}));
  EXPECT_EQ(flatten(t, 0, -2).shape(), (Shape{6, 4}));
  EXPECT_EQ(flatten(Tensor::scalar(1)).shape(), Shape{1});
  EXPECT_EQ(flatten(Tensor::zeros({0, 3, 4}), 1).shape(), (Shape{0, 12}));
  EXPECT_EQ(expand(Tensor::from({1, 2}, {2, 1}), {2, 2, 3}).to_vector<float>(),
            (std::vector<float>{1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2}));
  EXPECT_EQ(expand(Tensor::zeros({1, 3}), {4, -1}).shape(), (Shape{4, 3}));
  EXPECT_EQ(expand(Tensor::zeros({2, 1}), {2, 0}).shape(), (Shape{2, 0}));
}

TEST(ReduceTest, SaysPyTorchsWords) {
  const auto z = [](Shape shape) { return Tensor::zeros(std::move(shape)); };
  const std::string range = "Dimension out of range (expected to be in range of ";
  EXPECT_EQ(reason([&] { sum(z({3}), {3}); }), range + "[-1, 0], but got 3)");
  EXPECT_EQ(reason([&] { sum(z({2, 3}), {0, -2}); }), "dim 0 appears multiple times in the list of dims");
  EXPECT_EQ(reason([&] { sum(Tensor::scalar(1), {1}); }), range + "[-1, 0], but got 1)");
  EXPECT_EQ(reason([&] { mean(Tensor::arange(3, DType::kInt64)); }),
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: Long");
  EXPECT_EQ(reason([&] { softmax(z({3, 4}), 2); }), range + "[-2, 1], but got 2)");
  EXPECT_EQ(reason([&] { log_softmax(Tensor::arange(3, DType::kInt64), 0); }),
            "\"log_softmax_lastdim_kernel_impl\" not implemented for 'Long'");
  EXPECT_EQ(reason([&] {
              concat({z({2, 3}), z({2, 4})}, 0);
            }),
            "Sizes of tensors must match except in dimension 0. Expected size 3 but got size 4 for tensor number 1 in the list.");
  EXPECT_EQ(reason([&] { concat({z({2, 3}), z({2})}, 0); }), "Tensors must have same number of dimensions: got 2 and 1");
  EXPECT_EQ(reason([&] { concat({}, 0); }), "torch.cat(): expected a non-empty list of Tensors");
  EXPECT_EQ(reason([&] { concat({z({2, 3}), z({2, 3})}, 2); }), range + "[-2, 1], but got 2)");
  EXPECT_EQ(reason([&] {
              concat({Tensor::scalar(1), Tensor::scalar(1)});
            }),
            "zero-dimensional tensor (at position 0) cannot be concatenated");
  EXPECT_EQ(reason([&] { narrow(z({3, 4}), 0, 2, 2); }), "start (2) + length (2) exceeds dimension size (3).");
  EXPECT_EQ(reason([&] { narrow(z({3, 4}), 0, 0, -1); }), "start (0) + length (-1) exceeds dimension size (3).");
  EXPECT_EQ(reason([&] { narrow(z({3, 4}), 0, -4, 1); }), range + "[-3, 2], but got -4)");
  EXPECT_EQ(reason([&] { narrow(z({3}), 0, 4, 0); }), range + "[-3, 2], but got 4)");
  EXPECT_EQ(reason([&] { narrow(z({3}), 0, 1, std::numeric_limits<int64_t>::max()); }),
            "start (1) + length (9223372036854775807) exceeds dimension size (3).");
  EXPECT_EQ(reason([&] { narrow(Tensor::scalar(1), 0, 0, 1); }), "narrow() cannot be applied to a 0-dim tensor.");
  EXPECT_EQ(reason([&] { flatten(z({2, 3, 4}), 2, 1); }), "flatten() has invalid args: start_dim cannot come after end_dim");
  EXPECT_EQ(reason([&] { flatten(z({2, 3}), -3); }), range + "[-2, 1], but got -3)");
  EXPECT_EQ(reason([&] { permute(z({2, 3}), {0, 0}); }), "permute(): duplicate dims are not allowed.");
  EXPECT_EQ(reason([&] {
              permute(z({2, 3}), {0});
            }),
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of "
            "dimensions "
            "i.e. input.dim() = 2 is not equal to len(dims) = 1");
  EXPECT_EQ(
      reason([&] {
        expand(z({2, 3}), {2, 4});
      }),
      "The expanded size of the tensor (4) must match the existing size (3) at non-singleton dimension 1.  Target sizes: [2, 4].  "
      "Tensor sizes: [2, 3]");
  EXPECT_EQ(reason([&] {
              expand(z({2, 3}), {3});
            }),
            "expand(torch.FloatTensor{[2, 3]}, size=[3]): the number of sizes provided (1) must be greater or equal to the number "
            "of dimensions "
            "in the tensor (2)");
  EXPECT_EQ(reason([&] {
              expand(z({3}), {-1, 3});
            }),
            "The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension 0");
}

}  // namespace
}  // namespace convoy::ops
