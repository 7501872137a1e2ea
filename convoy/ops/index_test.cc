#include "convoy/ops/index.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "tests/refusal.h"

namespace convoy::ops {
namespace {

using testing::reason;

Tensor index(std::initializer_list<int64_t> values, Shape shape, DType dtype = DType::kInt64) {
  return Tensor::from(std::vector<int64_t>(values), std::move(shape)).to(dtype);
}

std::vector<double> list(const Tensor& x) { return x.to_vector<double>(); }
using L = std::vector<double>;

TEST(Take, ReplacesAnAxisByTheIndices) {
  const Tensor x = Tensor::arange(12).reshape({3, 4});
  EXPECT_EQ(list(take(x, index({2, -3}, {2}), 0)), (L{8, 9, 10, 11, 0, 1, 2, 3}));
  const Tensor y = take(x.to(DType::kUInt8), index({0, -1, 1, 1}, {2, 2}, DType::kInt32), 1);
  EXPECT_EQ(y.shape(), (Shape{3, 2, 2}));
  EXPECT_EQ(list(y), (L{0, 3, 1, 1, 4, 7, 5, 5, 8, 11, 9, 9}));
  EXPECT_EQ(take(x, index({1}, {}), 0).shape(), (Shape{4}));
  EXPECT_EQ(take(x, index({}, {0}), 0).shape(), (Shape{0, 4}));
  EXPECT_EQ(reason([&] { take(x, index({3}, {1}), 0); }), "index 3 is out of bounds for dimension 0 with size 3");
  EXPECT_EQ(reason([&] { take(x, index({-5}, {1}), 1); }), "index -5 is out of bounds for dimension 1 with size 4");
  EXPECT_EQ(reason([&] { take(x, x, 1); }), "take(): Expected dtype int64 for index");
}

TEST(Gather, AndScatterAreTorchs) {
  const Tensor x = Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ(list(gather(x, 1, index({0, 2, -1, 0}, {2, 2}))), (L{1, 3, 6, 4}));
  EXPECT_EQ(list(gather(x, 0, index({1, 0, 1}, {1, 3}))), (L{4, 2, 6}));
  EXPECT_EQ(list(scatter(x, 1, index({2, 0}, {1, 2}), Tensor::from({10, 20}, {1, 2}))), (L{20, 2, 10, 4, 5, 6}));
  const Tensor twice = index({1, 1}, {1, 2}), more = Tensor::from({10, 20}, {1, 2});
  EXPECT_EQ(list(scatter(x, 1, twice, more)), (L{1, 20, 3, 4, 5, 6}));
  EXPECT_EQ(list(scatter(x, 1, twice, more, ScatterReduction::kAdd)), (L{1, 32, 3, 4, 5, 6}));
  EXPECT_EQ(list(scatter(x, 1, twice, more, ScatterReduction::kMul)), (L{1, 400, 3, 4, 5, 6}));
  EXPECT_EQ(list(scatter(x, 1, twice, more, ScatterReduction::kMin)), (L{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(list(scatter(x, 1, twice, more, ScatterReduction::kMax)), (L{1, 20, 3, 4, 5, 6}));
  EXPECT_EQ(reason([&] { gather(x, 1, index({3}, {1, 1})); }), "index 3 is out of bounds for dimension 1 with size 3");
  EXPECT_EQ(reason([&] { gather(x, 1, index({0}, {1})); }), "Index tensor must have the same number of dimensions as input tensor");
  EXPECT_EQ(reason([&] {
              gather(x, 1, index({0, 0, 0}, {3, 1}));
            }),
            "Size does not match at dimension 0 expected index [3, 1] to be smaller than self [2, 3] apart from dimension 1");
}

// The examples of ONNX's specification.
TEST(GatherNd, AndScatterNd) {
  const Tensor x = Tensor::arange(8).reshape({2, 2, 2});
  EXPECT_EQ(list(gather_nd(x, index({0, 1, 1, 0}, {2, 2}))), (L{2, 3, 4, 5}));
  EXPECT_EQ(list(gather_nd(x, index({1, 0}, {2, 1}), 1)), (L{2, 3, 4, 5}));
  EXPECT_EQ(list(gather_nd(x, index({0, 0, 1, -1, 1, -2}, {2, 3}))), (L{1, 6}));
  const Tensor y = Tensor::arange(8);
  EXPECT_EQ(list(scatter_nd(y, index({4, 3, 1, 7}, {4, 1}), Tensor::from({9, 10, 11, 12}, {4}))), (L{0, 11, 2, 10, 9, 5, 6, 12}));
  EXPECT_EQ(list(scatter_nd(x, index({1}, {1, 1}), Tensor::full({1, 2, 2}, 10), ScatterReduction::kAdd)),
            (L{0, 1, 2, 3, 14, 15, 16, 17}));
  EXPECT_EQ(reason([&] { gather_nd(x, index({0, 2}, {1, 2})); }), "index 2 is out of bounds for dimension 1 with size 2");
  EXPECT_NE(reason([&] { gather_nd(x, index({0, 0, 0, 0}, {1, 4})); }), "accepted");
  EXPECT_EQ(reason([&] {
              scatter_nd(y, index({0}, {1, 1}), Tensor::zeros({2}));
            }),
            "scatter_nd: updates have shape [2], expected [1]");
}

TEST(OneHot, PutsTheAxisAnywhere) {
  const Tensor values = Tensor::from({5, 7}, {2}), i = index({0, -1, 9}, {3});
  EXPECT_EQ(list(one_hot(i, 3, values)), (L{7, 5, 5, 5, 5, 7, 5, 5, 5}));
  EXPECT_EQ(list(one_hot(i, 2, values.to(DType::kInt8), 0)), (L{7, 5, 5, 5, 7, 5}));
  EXPECT_EQ(one_hot(i, 0, values).shape(), (Shape{3, 0}));
}

TEST(Nonzero, ListsIndices) {
  const Tensor x = Tensor::from({0, 1, NAN, 0, 0, 3}, {2, 3}), y = nonzero(x);
  EXPECT_EQ(y.shape(), (Shape{3, 2}));
  EXPECT_EQ(list(y), (L{0, 1, 0, 2, 1, 2}));
  EXPECT_EQ(nonzero(Tensor::zeros({4})).shape(), (Shape{0, 1}));
}

TEST(Range, CountsInItsType) {
  const auto of = [](double a, double b, double s, DType d) {
    return range(Tensor::scalar(a, d), Tensor::scalar(b, d), Tensor::scalar(s, d));
  };
  EXPECT_EQ(list(of(1, 6, 2, DType::kFloat32)), (L{1, 3, 5}));
  EXPECT_EQ(list(of(10, 4, -3, DType::kInt32)), (L{10, 7}));
  EXPECT_EQ(list(of(1, 1, 1, DType::kInt64)), (L{}));
  EXPECT_EQ(list(of(5, 1, 1, DType::kFloat64)), (L{}));
  EXPECT_EQ(list(of(0, 1, 0.25, DType::kFloat64)), (L{0, 0.25, 0.5, 0.75}));
  EXPECT_EQ(list(of(-128, 127, 100, DType::kInt8)), (L{-128, -28, 72}));
  EXPECT_EQ(reason([&] { of(0, 1, 0, DType::kInt64); }), "step must be nonzero");
  EXPECT_NE(reason([&] { of(-0x1p63, 0x1.8p62, 1, DType::kInt64); }), "accepted");
}

TEST(Eye, HasADiagonal) {
  EXPECT_EQ(list(eye(2, 3, 1)), (L{0, 1, 0, 0, 0, 1}));
  EXPECT_EQ(list(eye(3, 2, -1, DType::kBool)), (L{0, 0, 1, 0, 0, 1}));
  EXPECT_EQ(list(eye(2, 2, INT64_MIN + 5)), (L{0, 0, 0, 0}));
}

TEST(Cumsum, InEitherDirection) {
  const Tensor x = Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ(list(cumsum(x, 1)), (L{1, 3, 6, 4, 9, 15}));
  EXPECT_EQ(list(cumsum(x, 0)), (L{1, 2, 3, 5, 7, 9}));
  EXPECT_EQ(list(cumsum(x, 1, true)), (L{0, 1, 3, 0, 4, 9}));
  EXPECT_EQ(list(cumsum(x.to(DType::kInt32), 1, false, true)), (L{6, 5, 3, 15, 11, 6}));
  EXPECT_EQ(list(cumsum(x, 1, true, true)), (L{5, 3, 0, 11, 6, 0}));
}

TEST(Topk, OrdersValuesAndIndices) {
  const Tensor x = Tensor::from({3, 1, 3, 2, NAN, 0}, {2, 3});
  const auto [values, indices] = topk(x.reshape({6}), 4);
  EXPECT_TRUE(std::isnan(values.at(0)));
  EXPECT_EQ(list(indices), (L{4, 0, 2, 3}));
  EXPECT_EQ(list(topk(x.reshape({6}), 3, 0, false).second), (L{5, 1, 3}));
  const auto columns = topk(Tensor::from({1, 5, 4, 2, 3, 6}, {3, 2}).to(DType::kInt16), 2, 0);
  EXPECT_EQ(list(columns.first), (L{4, 6, 3, 5}));
  EXPECT_EQ(list(columns.second), (L{1, 2, 2, 0}));
  EXPECT_EQ(reason([&] { topk(x, 4); }), "selected index k out of range");
}

}  // namespace
}  // namespace convoy::ops
