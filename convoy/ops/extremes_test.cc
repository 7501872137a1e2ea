#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/ops/reduce.h"
#include "tests/refusal.h"

namespace convoy::ops {
namespace {

using testing::reason;

using L = std::vector<double>;
L list(const Tensor& x) { return x.to_vector<double>(); }

constexpr ReduceKind kKinds[] = {ReduceKind::kSum,       ReduceKind::kMean,     ReduceKind::kMax, ReduceKind::kMin,
                                 ReduceKind::kProd,      ReduceKind::kL1,       ReduceKind::kL2,  ReduceKind::kLogSum,
                                 ReduceKind::kLogSumExp, ReduceKind::kSumSquare};

double plain(ReduceKind kind, const L& x) {
  double sum = 0, most = -INFINITY, least = INFINITY, product = 1, one = 0, two = 0, exponentials = 0;
  for (const double v : x) {
    sum += v;
    most = std::max(most, v);
    least = std::min(least, v);
    product *= v;
    one += std::abs(v);
    two += v * v;
    exponentials += std::exp(v);
  }
  const double all[] = {
      sum, sum / static_cast<double>(x.size()), most, least, product, one, std::sqrt(two), std::log(sum), std::log(exponentials),
      two};
  return all[static_cast<size_t>(kind)];
}

TEST(Reduce, AgreesWithPlainLoopsOverAnyAxes) {
  std::mt19937 rng(4);
  std::uniform_real_distribution<float> draw(0.5f, 1.5f);
  const Shape shape = {3, 4, 2, 35};
  Tensor x = Tensor::empty(shape);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] = draw(rng);
  for (int mask = 1; mask < 16; ++mask) {
    std::vector<int64_t> dims;
    Shape kept;
    for (int a = 0; a < 4; ++a) {
      if (mask >> a & 1) dims.push_back(a % 2 == 0 ? a : a - 4);
      kept.push_back(mask >> a & 1 ? 1 : shape[static_cast<size_t>(a)]);
    }
    std::vector<L> groups(static_cast<size_t>(numel(kept)));
    for (int64_t i = 0; i < x.numel(); ++i) {
      int64_t rest = i, at = 0, step = 1;
      for (size_t a = 4; a-- > 0; rest /= shape[a]) {
        at += (kept[a] == 1 ? 0 : rest % shape[a]) * step;
        step *= kept[a];
      }
      groups[static_cast<size_t>(at)].push_back(x.at(i));
    }
    for (const ReduceKind kind : kKinds) {
      for (const DType d : {DType::kFloat32, DType::kFloat64}) {
        const Tensor y = reduce(kind, x.to(d), dims, true);
        ASSERT_EQ(y.shape(), kept);
        EXPECT_EQ(y.dtype(), d);
        for (int64_t i = 0; i < y.numel(); ++i) {
          const double want = plain(kind, groups[static_cast<size_t>(i)]);
          ASSERT_NEAR(y.at(i), want, 1e-5 * std::max(1.0, std::abs(want))) << mask << " " << static_cast<int>(kind);
        }
      }
      set_num_threads(1);
      const Tensor one = reduce(kind, x, dims);
      set_num_threads(3);
      EXPECT_TRUE(identical(reduce(kind, x, dims), one));
      set_num_threads(0);
    }
  }
  EXPECT_EQ(reduce(ReduceKind::kMax, x, {}).dim(), 0);
  EXPECT_EQ(reduce(ReduceKind::kMax, Tensor::scalar(3), {}).item(), 3);
}

TEST(Reduce, KeepsTypes) {
  for (const DType d :
       {DType::kInt64, DType::kInt32, DType::kInt8, DType::kUInt8, DType::kUInt16, DType::kUInt64, DType::kFloat16}) {
    const Tensor x = Tensor::from({3, 1, 2, 5}, {2, 2}).to(d);
    EXPECT_EQ(list(reduce(ReduceKind::kSum, x, {1})), (L{4, 7})) << dtype_name(d);
    EXPECT_EQ(list(reduce(ReduceKind::kMax, x, {0})), (L{3, 5}));
    EXPECT_EQ(list(reduce(ReduceKind::kMin, x, {0})), (L{2, 1}));
    EXPECT_EQ(list(reduce(ReduceKind::kProd, x, {1})), (L{3, 10}));
    EXPECT_EQ(list(reduce(ReduceKind::kMean, x, {0})), (is_floating(d) ? L{2.5, 3} : L{2, 3}));
    EXPECT_EQ(list(reduce(ReduceKind::kSumSquare, x, {1})), (L{10, 29}));
    EXPECT_EQ(reduce(ReduceKind::kL2, x, {1}).dtype(), d);
  }
  const Tensor b = Tensor::from({1, 0, 0, 0}, {2, 2}).to(DType::kBool);
  EXPECT_EQ(list(reduce(ReduceKind::kMax, b, {1})), (L{1, 0}));
  EXPECT_EQ(list(reduce(ReduceKind::kMin, b, {1})), (L{0, 0}));
  EXPECT_EQ(reason([&] { reduce(ReduceKind::kProd, b, {1}); }), "\"prod_cpu\" not implemented for 'Bool'");
}

TEST(Reduce, OfNothingAndOfNan) {
  const Tensor none = Tensor::empty({2, 0});
  EXPECT_EQ(list(reduce(ReduceKind::kSum, none, {1})), (L{0, 0}));
  EXPECT_EQ(list(reduce(ReduceKind::kProd, none, {1})), (L{1, 1}));
  EXPECT_EQ(list(reduce(ReduceKind::kMax, none, {1})), (L{-INFINITY, -INFINITY}));
  EXPECT_EQ(list(reduce(ReduceKind::kMin, none.to(DType::kInt8), {1})), (L{127, 127}));
  EXPECT_EQ(list(reduce(ReduceKind::kLogSumExp, none, {1})), (L{-INFINITY, -INFINITY}));
  Tensor x = Tensor::zeros({2, 40});
  x.data<float>()[47] = NAN;
  for (const auto kind : {ReduceKind::kMax, ReduceKind::kMin}) {
    EXPECT_EQ(reduce(kind, x, {1}).at(0), 0);
    EXPECT_TRUE(std::isnan(reduce(kind, x, {1}).at(1)));
    EXPECT_TRUE(std::isnan(reduce(kind, x, {0}).at(7)));
  }
  EXPECT_NEAR(reduce(ReduceKind::kLogSumExp, Tensor::from({1000, 1000}, {2}), {0}).item(), 1000 + std::log(2.0), 1e-4);
  EXPECT_EQ(reduce(ReduceKind::kL2, Tensor::from({3e30f, 4e30f}, {2}), {0}).item(), static_cast<double>(5e30f));
  EXPECT_EQ(reason([&] { reduce(ReduceKind::kMax, x, {0, -2}); }), "dim 0 appears multiple times in the list of dims");
}

TEST(Arg, OfLargestAndSmallest) {
  for (int type = 0; type < static_cast<int>(DType::kBool); ++type) {
    const auto d = static_cast<DType>(type);
    const Tensor x = Tensor::from({1, 7, 7, 0, 0, 3}, {2, 3}).to(d);
    EXPECT_EQ(list(argmax(x, 1)), (L{1, 2})) << dtype_name(d);
    EXPECT_EQ(list(argmax(x, 1, false, true)), (L{2, 2}));
    EXPECT_EQ(list(argmin(x, 1)), (L{0, 0}));
    EXPECT_EQ(list(argmin(x, 1, false, true)), (L{0, 1}));
    EXPECT_EQ(list(argmin(x, 0)), (L{1, 1, 1}));
    EXPECT_EQ(argmin(x, 0, true).shape(), (Shape{1, 3}));
  }
  const Tensor least = Tensor::from(std::vector<int8_t>{-128, 127, 0}, {3});
  EXPECT_EQ(argmin(least, 0).item(), 0);
  EXPECT_EQ(argmax(Tensor::from({1, NAN, 2}, {3}), 0).item(), 1);
  EXPECT_EQ(argmin(Tensor::from({1, NAN, 2}, {3}), 0).item(), 1);
  EXPECT_EQ(argmax(Tensor::from({0, 1, 1}, {3}).to(DType::kBool), 0).item(), 1);
}

}  // namespace
}  // namespace convoy::ops
