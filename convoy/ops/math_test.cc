#include "convoy/ops/math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/kernels/elementwise/unary_reference.h"
#include "tests/refusal.h"

namespace convoy::ops {
namespace {

using testing::reason;

constexpr DType kNumbers[] = {DType::kFloat32, DType::kFloat64, DType::kInt64, DType::kFloat16, DType::kBFloat16, DType::kInt32,
                              DType::kInt16,   DType::kInt8,    DType::kUInt8, DType::kUInt16,  DType::kUInt32,   DType::kUInt64};

Tensor t(std::initializer_list<float> values, DType dtype = DType::kFloat32) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())}).to(dtype);
}

std::vector<double> list(const Tensor& x) { return x.to_vector<double>(); }

TEST(Arithmetic, WorksForEveryNumericType) {
  for (const DType d : kNumbers) {
    const Tensor a = t({7, 8, 9, 100}, d), b = t({2, 3, 9, 7}, d);
    EXPECT_EQ(list(add(a, b)), (std::vector<double>{9, 11, 18, 107})) << dtype_name(d);
    EXPECT_EQ(list(sub(a, b)), (std::vector<double>{5, 5, 0, 93}));
    EXPECT_EQ(list(arithmetic(Arithmetic::kDivTrunc, a, b)), (std::vector<double>{3, 2, 1, 14}));
    EXPECT_EQ(list(arithmetic(Arithmetic::kRemainder, a, b)), (std::vector<double>{1, 2, 0, 2}));
    EXPECT_EQ(list(arithmetic(Arithmetic::kMinimum, a, b)), (std::vector<double>{2, 3, 9, 7}));
    EXPECT_EQ(list(arithmetic(Arithmetic::kMaximum, a, b)), (std::vector<double>{7, 8, 9, 100}));
    EXPECT_EQ(list(arithmetic(Arithmetic::kPow, t({2, 3}, d), t({3, 2}, d))), (std::vector<double>{8, 9}));
    EXPECT_EQ(add(a, b).dtype(), d);
  }
  EXPECT_EQ(reason([] { add(t({1}, DType::kBool), t({1}, DType::kBool)); }), "\"add_cpu\" not implemented for 'Bool'");
}

TEST(Arithmetic, IntegersWrapAndRefuseZero) {
  EXPECT_EQ(list(add(t({250}, DType::kUInt8), t({10}, DType::kUInt8))), (std::vector<double>{4}));
  EXPECT_EQ(list(mul(t({100}, DType::kInt8), t({3}, DType::kInt8))), (std::vector<double>{44}));
  const Tensor least = Tensor::full({1}, -0x1p63, DType::kInt64), one = Tensor::full({1}, -1, DType::kInt64);
  EXPECT_EQ(arithmetic(Arithmetic::kDivTrunc, least, one).item(), -0x1p63);
  EXPECT_EQ(arithmetic(Arithmetic::kFmod, least, one).item(), 0);
  for (const auto kind : {Arithmetic::kDivTrunc, Arithmetic::kDivFloor, Arithmetic::kRemainder, Arithmetic::kFmod}) {
    EXPECT_EQ(reason([&] { arithmetic(kind, t({1}, DType::kInt32), t({0}, DType::kInt32)); }), "ZeroDivisionError");
    EXPECT_TRUE(!std::isfinite(arithmetic(kind, t({1}), t({0})).item()));
  }
}

TEST(Arithmetic, SignsAsInPyTorch) {
  for (const DType d : {DType::kFloat32, DType::kFloat64, DType::kInt32}) {
    const Tensor a = t({7, -7, 7, -7, 6}, d), b = t({3, 3, -3, -3, -3}, d);
    EXPECT_EQ(list(arithmetic(Arithmetic::kRemainder, a, b)), (std::vector<double>{1, 2, -2, -1, 0}));
    EXPECT_EQ(list(arithmetic(Arithmetic::kFmod, a, b)), (std::vector<double>{1, -1, 1, -1, 0}));
    EXPECT_EQ(list(arithmetic(Arithmetic::kDivFloor, a, b)), (std::vector<double>{2, -3, -3, 2, -2}));
    EXPECT_EQ(list(arithmetic(Arithmetic::kDivTrunc, a, b)), (std::vector<double>{2, -2, -2, 2, -2}));
  }
  EXPECT_EQ(list(arithmetic(Arithmetic::kPow, t({2, 1, -1, -1, 0}, DType::kInt64), t({-1, -5, -3, -2, 0}, DType::kInt64))),
            (std::vector<double>{0, 1, -1, 1, 1}));
  EXPECT_EQ(list(prelu(t({-2, 3, -4}), t({0.5f}))), (std::vector<double>{-1, 3, -2}));
}

TEST(Arithmetic, KeepsNan) {
  const Tensor nan = t({NAN, 1, NAN}), x = t({1, NAN, NAN});
  for (const auto kind : {Arithmetic::kMinimum, Arithmetic::kMaximum}) {
    for (const double v : list(arithmetic(kind, nan, x))) EXPECT_TRUE(std::isnan(v));
    for (const double v : list(arithmetic(kind, nan.to(DType::kFloat64), x.to(DType::kFloat64)))) EXPECT_TRUE(std::isnan(v));
  }
}

// Every float function against the C library in double, at every tail length and with threads.
TEST(UnaryFunctions, AgreeWithDouble) {
  std::mt19937 rng(3);
  std::normal_distribution<float> normal(0, 2);
  for (int k = 0; k <= static_cast<int>(Unary::kAtanh); ++k) {
    const auto kind = static_cast<Unary>(k);
    Tensor x = Tensor::empty({40037});
    for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] = normal(rng);
    const float edges[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 0.5f, 1.5f, 2.5f, -0.5f, -2.5f, 1e-40f, 8388609.5f, 1e30f};
    std::copy(std::begin(edges), std::end(edges), x.data<float>());
    set_num_threads(1);
    const Tensor y = unary(kind, x), wide = unary(kind, x.to(DType::kFloat64));
    set_num_threads(3);
    EXPECT_TRUE(identical(unary(kind, x), y));
    set_num_threads(0);
    for (int64_t i = 0; i < x.numel(); ++i) {
      const double want = wide.at(i), got = y.at(i);
      if (std::isnan(want)) {
        EXPECT_TRUE(std::isnan(got)) << k << " of " << x.at(i);
      } else if (std::isinf(static_cast<float>(want))) {
        EXPECT_EQ(got, static_cast<float>(want)) << k << " of " << x.at(i);
      } else if (x.at(i) < 1e10f) {  // sin of 1e30 is nobody's business
        EXPECT_NEAR(got, want, std::abs(want) * 5e-7 + 1e-37) << k << " of " << x.at(i);
      }
    }
  }
}

TEST(UnaryFunctions, KeepOrConvertTypes) {
  EXPECT_EQ(unary(Unary::kExp, t({0}, DType::kInt32)).dtype(), DType::kFloat32);
  EXPECT_EQ(unary(Unary::kExp, t({0}, DType::kFloat16)).dtype(), DType::kFloat16);
  EXPECT_EQ(list(unary(Unary::kAbs, t({-3, 4}, DType::kInt8))), (std::vector<double>{3, 4}));
  EXPECT_EQ(list(unary(Unary::kNeg, t({-3, 4}, DType::kInt64))), (std::vector<double>{3, -4}));
  EXPECT_EQ(list(unary(Unary::kSign, t({-3, 0, 4}, DType::kInt16))), (std::vector<double>{-1, 0, 1}));
  EXPECT_EQ(list(unary(Unary::kRound, t({0.5f, 1.5f, 2.5f, -0.5f, -1.5f}))), (std::vector<double>{0, 2, 2, 0, -2}));
  EXPECT_EQ(reason([] { unary(Unary::kAbs, t({1}, DType::kBool)); }), "\"abs_cpu\" not implemented for 'Bool'");
}

TEST(Clamp, WorksForEveryNumericType) {
  for (const DType d : kNumbers) {
    const Tensor x = t({1, 5, 9}, d), low = Tensor::scalar(3, d), high = Tensor::scalar(7, d);
    EXPECT_EQ(list(clamp(x, low, high)), (std::vector<double>{3, 5, 7})) << dtype_name(d);
    EXPECT_EQ(list(clamp(x, {}, high)), (std::vector<double>{1, 5, 7}));
    EXPECT_EQ(list(clamp(x, low, {})), (std::vector<double>{3, 5, 9}));
    EXPECT_EQ(list(clamp(x, high, low)), (std::vector<double>{3, 3, 3}));
    EXPECT_EQ(list(clamp(x, {}, {})), (std::vector<double>{1, 5, 9}));
  }
  EXPECT_TRUE(std::isnan(clamp(t({NAN}), Tensor::scalar(0), {}).item()));
  EXPECT_EQ(reason([] { clamp(t({1}), t({1, 2}), {}); }), "clamp(): min must hold one value, but has shape [2]");
  EXPECT_EQ(reason([] { clamp(t({1}), Tensor::scalar(1, DType::kInt64), {}); }), "expected scalar type Float but found Long");
}

TEST(Compare, WorksForEveryType) {
  for (int type = 0; type <= static_cast<int>(DType::kBool); ++type) {
    const auto d = static_cast<DType>(type);
    const Tensor a = t({0, 1, 1}, d), b = t({1, 1, 0}, d);
    EXPECT_EQ(list(compare(Comparison::kEqual, a, b)), (std::vector<double>{0, 1, 0})) << dtype_name(d);
    EXPECT_EQ(list(compare(Comparison::kNotEqual, a, b)), (std::vector<double>{1, 0, 1}));
    EXPECT_EQ(list(compare(Comparison::kLess, a, b)), (std::vector<double>{1, 0, 0}));
    EXPECT_EQ(list(compare(Comparison::kLessEqual, a, b)), (std::vector<double>{1, 1, 0}));
    EXPECT_EQ(list(compare(Comparison::kGreater, a, b)), (std::vector<double>{0, 0, 1}));
    EXPECT_EQ(list(compare(Comparison::kGreaterEqual, a, b)), (std::vector<double>{0, 1, 1}));
    EXPECT_EQ(list(logical_not(a)), (std::vector<double>{1, 0, 0}));
    EXPECT_EQ(list(logical(Logical::kAnd, a, b)), (std::vector<double>{0, 1, 0}));
    EXPECT_EQ(list(logical(Logical::kOr, a, b)), (std::vector<double>{1, 1, 1}));
    EXPECT_EQ(list(logical(Logical::kXor, a, b)), (std::vector<double>{1, 0, 1}));
    EXPECT_EQ(list(where(t({1, 0, 1}, DType::kBool), a, b)), (std::vector<double>{0, 1, 1}));
  }
}

TEST(Compare, BroadcastsThreeOperands) {
  const Tensor c = t({1, 0}, DType::kBool).reshape({2, 1, 1}), a = t({1, 2, 3}).reshape({3, 1}), b = t({10, 20, 30, 40});
  const Tensor y = where(c, a, b);
  EXPECT_EQ(y.shape(), (Shape{2, 3, 4}));
  for (int64_t i = 0; i < 24; ++i) EXPECT_EQ(y.at(i), i < 12 ? 1 + i / 4 % 3 : 10.0 * (1 + i % 4));
  EXPECT_EQ(where(Tensor::scalar(1, DType::kBool), Tensor::scalar(2), Tensor::scalar(3)).item(), 2);
  EXPECT_EQ(compare(Comparison::kLess, Tensor::empty({0, 3}), b.reshape({4, 1, 1})).shape(), (Shape{4, 0, 3}));
  EXPECT_EQ(reason([&] { where(a, a, a); }), "where expected condition to be a boolean tensor, but got a tensor with dtype Float");
}

TEST(Tests, OfNanAndInfinity) {
  const Tensor x = t({NAN, INFINITY, -INFINITY, 1});
  for (const DType d : {DType::kFloat32, DType::kFloat64, DType::kFloat16}) {
    EXPECT_EQ(list(isnan(x.to(d))), (std::vector<double>{1, 0, 0, 0}));
    EXPECT_EQ(list(isinf(x.to(d))), (std::vector<double>{0, 1, 1, 0}));
    EXPECT_EQ(list(isinf(x.to(d), true, false)), (std::vector<double>{0, 1, 0, 0}));
    EXPECT_EQ(list(isinf(x.to(d), false, true)), (std::vector<double>{0, 0, 1, 0}));
  }
  EXPECT_EQ(list(isinf(t({3}, DType::kInt32))), (std::vector<double>{0}));
}

}  // namespace
}  // namespace convoy::ops
