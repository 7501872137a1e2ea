#include "convoy/core/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "convoy/core/error.h"
#include "tests/refusal.h"

namespace convoy {
namespace {

using testing::reason;

TEST(Shape, PrintsAsInPyTorch) {
  EXPECT_EQ(to_string(Shape{1, 3, 8, 8}), "[1, 3, 8, 8]");
  EXPECT_EQ(to_string(Shape{}), "[]");
  EXPECT_EQ(to_string(Shape{-1}), "[-1]");
  EXPECT_EQ(to_string(Shape(64, 0)).size(), 3u * 64);
  EXPECT_EQ(to_string(Shape(100000, 7)).substr(186), " 7, 7, ... 100000 numbers]");
}

TEST(Shape, NumelIsChecked) {
  EXPECT_EQ(numel({2, 3, 4}), 24);
  EXPECT_EQ(numel({}), 1);
  EXPECT_EQ(numel({5, 0, 7}), 0);
  EXPECT_EQ(reason([] { (void)numel({2, -1}); }), "Trying to create tensor with negative dimension -1: [2, -1]");
  EXPECT_EQ(reason([] {
              (void)numel({int64_t{1} << 31, int64_t{1} << 31, int64_t{1} << 31});
            }),
            "numel: integer multiplication overflow");
  EXPECT_EQ(reason([] { (void)numel({int64_t{1} << 62}); }), "numel: integer multiplication overflow") << "the bytes do not fit";
  EXPECT_EQ(reason([] { (void)numel({0, int64_t{1} << 40, int64_t{1} << 40}); }), "numel: integer multiplication overflow");
  EXPECT_NE(reason([] { (void)Tensor::empty({int64_t{1} << 55}); }), "accepted") << "more than there is";
}

TEST(Tensor, Construction) {
  const Tensor z = Tensor::zeros({2, 3});
  EXPECT_EQ(z.shape(), (Shape{2, 3}));
  EXPECT_EQ(z.dim(), 2);
  EXPECT_EQ(z.numel(), 6);
  EXPECT_EQ(z.nbytes(), 24u);
  EXPECT_EQ(z.dtype(), DType::kFloat32);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(z.raw_data()) % 64, 0u);
  EXPECT_EQ(z.to_vector<float>(), std::vector<float>(6, 0));
  EXPECT_EQ(Tensor::ones({2}, DType::kInt64).to_vector<int64_t>(), (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(Tensor::full({2}, 0.5, DType::kFloat64).to_vector<double>(), (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(Tensor::arange(4).to_vector<float>(), (std::vector<float>{0, 1, 2, 3}));
  EXPECT_EQ(Tensor::arange(0).numel(), 0);
  EXPECT_EQ(Tensor::scalar(3).dim(), 0);
  EXPECT_EQ(Tensor::scalar(3).item(), 3);
  EXPECT_EQ(Tensor::from({1, 2, 3, 4}, {2, 2}).at(3), 4);
  EXPECT_EQ(Tensor::from(std::vector<int64_t>{7, 8}, {2}).dtype(), DType::kInt64);
  EXPECT_EQ(reason([] { (void)Tensor::from({1, 2, 3}, {2, 2}); }), "shape '[2, 2]' is invalid for input of size 3");
  EXPECT_EQ(reason([] { (void)Tensor::arange(-1); }), "Trying to create tensor with negative dimension -1: [-1]");
}

TEST(Tensor, UndefinedStandsForNone) {
  const Tensor none;
  EXPECT_FALSE(none.defined());
  EXPECT_EQ(none.numel(), 0);
  EXPECT_FALSE(none.clone().defined());
  EXPECT_FALSE(none.to(DType::kFloat64).defined());
  EXPECT_EQ(reason([&] { (void)none.data<float>(); }), "the tensor is undefined");
  EXPECT_TRUE(Tensor::zeros({0}).defined());
  EXPECT_TRUE(identical(none, Tensor()));
  EXPECT_FALSE(identical(none, Tensor::zeros({0})));
}

TEST(Tensor, CopiesShareAndClonesDoNot) {
  Tensor a = Tensor::zeros({2, 2});
  Tensor b = a;
  const Tensor c = a.clone();
  EXPECT_FALSE(a.sole_owner());
  EXPECT_TRUE(c.sole_owner());
  b.data<float>()[3] = 5;
  EXPECT_EQ(a.at(3), 5);
  EXPECT_EQ(c.at(3), 0);
  EXPECT_TRUE(a.shares_storage(b));
  EXPECT_FALSE(a.shares_storage(c));
}

TEST(Tensor, SizesCountFromEitherEnd) {
  const Tensor t = Tensor::zeros({2, 3});
  EXPECT_EQ(t.size(0), 2);
  EXPECT_EQ(t.size(-1), 3);
  EXPECT_EQ(t.size(-2), 2);
  EXPECT_EQ(reason([&] { (void)t.size(2); }), "Dimension out of range (expected to be in range of [-2, 1], but got 2)");
  EXPECT_EQ(reason([&] { (void)t.size(-3); }), "Dimension out of range (expected to be in range of [-2, 1], but got -3)");
  EXPECT_EQ(reason([&] { (void)Tensor::scalar(1).size(0); }), "Dimension specified as 0 but tensor has no dimensions");
}

TEST(Tensor, ValuesKeepTheirType) {
  Tensor t = Tensor::zeros({2});
  EXPECT_EQ(reason([&] { (void)t.data<double>(); }), "expected scalar type double but found float");
  EXPECT_EQ(reason([&] { (void)t.data<int64_t>(); }), "expected scalar type long int but found float");
  EXPECT_EQ(reason([&] { (void)t.item(); }), "only one element tensors can be converted to Python scalars");
  EXPECT_NE(reason([&] { (void)t.at(2); }), "accepted");
  EXPECT_NE(reason([&] { (void)t.at(-1); }), "accepted");
  const Tensor whole = Tensor::from(std::vector<double>{1.75, -2.75}, {2}).to(DType::kInt64);
  EXPECT_EQ(whole.to_vector<int64_t>(), (std::vector<int64_t>{1, -2}));
  EXPECT_TRUE(t.to(DType::kFloat32).shares_storage(t));
  EXPECT_FALSE(t.to(DType::kFloat64).shares_storage(t));
  EXPECT_EQ(Tensor::from({0.1f}, {1}).to(DType::kFloat64).at(0), static_cast<double>(0.1f));
}

TEST(Tensor, ReshapeSharesTheValues) {
  const Tensor t = Tensor::arange(6);
  const Tensor r = t.reshape({2, -1});
  EXPECT_EQ(r.shape(), (Shape{2, 3}));
  EXPECT_TRUE(r.shares_storage(t));
  EXPECT_EQ(r.at(5), 5);
  EXPECT_EQ(t.reshape({-1}).shape(), (Shape{6}));
  EXPECT_EQ(t.reshape({1, 6, 1}).shape(), (Shape{1, 6, 1}));
  EXPECT_EQ(Tensor::scalar(2).reshape({1, 1}).shape(), (Shape{1, 1}));
  EXPECT_EQ(Tensor::ones({1}).reshape({}).dim(), 0);
  EXPECT_EQ(Tensor::zeros({0, 3}).reshape({3, -1}).shape(), (Shape{3, 0}));
  EXPECT_EQ(reason([&] { (void)t.reshape({4, -1}); }), "shape '[4, -1]' is invalid for input of size 6");
  EXPECT_EQ(reason([&] { (void)t.reshape({7}); }), "shape '[7]' is invalid for input of size 6");
  EXPECT_EQ(reason([&] { (void)t.reshape({-1, -1}); }), "only one dimension can be inferred");
  EXPECT_EQ(reason([&] { (void)t.reshape({-2, 3}); }), "invalid shape dimension -2");
  EXPECT_EQ(
      reason([&] {
        (void)Tensor::zeros({0, 3}).reshape({-1, 0});
      }),
      "cannot reshape tensor of 0 elements into shape [-1, 0] because the unspecified dimension size -1 can be any value and is "
      "ambiguous");
  EXPECT_EQ(reason([&] {
              (void)t.reshape({int64_t{1} << 40, int64_t{1} << 40});
            }),
            "shape '[1099511627776, 1099511627776]' is invalid for input of size 6");
}

TEST(Tensor, SlicesAndSelectionsShareTheValues) {
  const Tensor t = Tensor::arange(12).reshape({4, 3});
  Tensor middle = t.slice(1, 3);
  EXPECT_EQ(middle.shape(), (Shape{2, 3}));
  EXPECT_EQ(middle.to_vector<float>(), (std::vector<float>{3, 4, 5, 6, 7, 8}));
  middle.data<float>()[0] = -1;
  EXPECT_EQ(t.at(3), -1);
  EXPECT_EQ(middle.slice(1, 2).at(2), 8);
  EXPECT_EQ(t.slice(2, 2).numel(), 0);
  EXPECT_EQ(t.slice(0, 4).numel(), 12);
  EXPECT_EQ(t.select(2).shape(), (Shape{3}));
  EXPECT_EQ(t.select(2).at(0), 6);
  EXPECT_EQ(t.select(2).clone().at(1), 7);
  EXPECT_EQ(Tensor::zeros({0, 3}).slice(0, 0).shape(), (Shape{0, 3}));
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{-1, 2}, {2, 1}, {0, 5}, {5, 5}}) {
    EXPECT_NE(reason([&, b = begin, e = end] { (void)t.slice(b, e); }), "accepted") << begin << " " << end;
  }
  EXPECT_EQ(reason([&] { (void)t.select(4); }), "select(): index 4 out of range for tensor of size [4, 3] at dimension 0");
  EXPECT_NE(reason([&] { (void)t.select(std::numeric_limits<int64_t>::max()); }), "accepted");
  EXPECT_NE(reason([&] { (void)t.select(-1); }), "accepted");
  EXPECT_EQ(reason([&] { (void)Tensor::scalar(1).select(0); }), "select() cannot be applied to a 0-dim tensor.");
  EXPECT_EQ(reason([&] { (void)Tensor::scalar(1).slice(0, 1); }), "slice() cannot be applied to a 0-dim tensor.");
}

TEST(Tensor, CopyAndFill) {
  Tensor t = Tensor::zeros({2, 2});
  t.copy_(Tensor::from({1, 2, 3, 4}, {2, 2}));
  EXPECT_EQ(t.to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_NE(reason([&] { t.copy_(Tensor::zeros({4})); }), "accepted");
  EXPECT_NE(reason([&] { t.copy_(Tensor::zeros({2, 2}, DType::kFloat64)); }), "accepted");
  EXPECT_EQ(t.at(0), 1) << "nothing is written on error";
  t.fill_(2.5);
  EXPECT_EQ(t.at(3), 2.5);
  t.zero_();
  EXPECT_EQ(t.at(3), 0);
  t.slice(0, 1).copy_(t.slice(1, 2));
  Tensor empty = Tensor::zeros({0});
  empty.fill_(1);
  empty.zero_();
  empty.copy_(Tensor::zeros({0}));
}

TEST(Tensor, IdenticalComparesBits) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(identical(Tensor::from({nan, 1}, {2}), Tensor::from({nan, 1}, {2})));
  EXPECT_FALSE(identical(Tensor::from({0.0f}, {1}), Tensor::from({-0.0f}, {1})));
  EXPECT_FALSE(identical(Tensor::zeros({2, 3}), Tensor::zeros({3, 2})));
  EXPECT_FALSE(identical(Tensor::zeros({2}), Tensor::zeros({2}, DType::kFloat64)));
  EXPECT_TRUE(identical(Tensor::zeros({0, 2}), Tensor::zeros({0, 2})));
}

}  // namespace
}  // namespace convoy
