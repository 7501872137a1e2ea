#include "convoy/ops/slice.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/ops/rearrange.h"
#include "tests/refusal.h"

namespace convoy::ops {
namespace {

using testing::reason;

std::vector<double> list(const Tensor& x) { return x.to_vector<double>(); }

// What Python's range(*slice(start, end, step).indices(n)) gives, found by walking.
std::vector<double> walked(int64_t n, int64_t start, int64_t end, int64_t step) {
  std::vector<double> result;
  const int64_t least = step > 0 ? 0 : -1, most = step > 0 ? n : n - 1;
  const auto place = [&](int64_t at) { return at < 0 ? std::max(at + n, least) : std::min(at, most); };
  for (int64_t i = place(start), last = place(end); step > 0 ? i < last : i > last; i += step)
    result.push_back(static_cast<double>(i));
  return result;
}

TEST(Slice, IsPythons) {
  for (int64_t n = 0; n < 5; ++n) {
    const Tensor x = Tensor::arange(n);
    for (int64_t start = -7; start < 8; ++start) {
      for (int64_t end = -7; end < 8; ++end) {
        for (const int64_t step : {-5, -3, -2, -1, 1, 2, 3, 5}) {
          EXPECT_EQ(list(slice(x, {{0, start, end, step}})), walked(n, start, end, step))
              << n << " " << start << " " << end << " " << step;
        }
      }
    }
  }
}

TEST(Slice, TakesTheExtremes) {
  const Tensor x = Tensor::arange(4);
  EXPECT_EQ(list(slice(x, {{0, INT64_MIN, INT64_MAX, 1}})), (std::vector<double>{0, 1, 2, 3}));
  EXPECT_EQ(list(slice(x, {{0, INT64_MAX, INT64_MIN, -1}})), (std::vector<double>{3, 2, 1, 0}));
  EXPECT_EQ(list(slice(x, {{0, 1, INT64_MAX, INT64_MAX}})), (std::vector<double>{1}));
  EXPECT_EQ(list(slice(x, {{0, 2, INT64_MIN, INT64_MIN}})), (std::vector<double>{2}));
  EXPECT_EQ(reason([&] { slice(x, {{0, 0, 1, 0}}); }), "slice step cannot be zero");
  EXPECT_EQ(reason([&] { slice(x, {{1, 0, 1, 1}}); }), "Dimension out of range (expected to be in range of [-1, 0], but got 1)");
  EXPECT_EQ(reason([&] { slice(x, {{0, 0, 1, 1}, {-1, 0, 1, 1}}); }), "slice(): axis 0 is named twice");
}

TEST(Slice, CutsSeveralAxesOfAnyType) {
  for (const DType d : {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kUInt8, DType::kBool}) {
    const Tensor x = Tensor::arange(2 * 3 * 4).reshape({2, 3, 4}).to(d);
    const Tensor y = slice(x, {{0, 1, 2, 1}, {-1, 3, INT64_MIN, -2}, {1, -2, 3, 1}});
    EXPECT_EQ(y.shape(), (Shape{1, 2, 2}));
    EXPECT_TRUE(identical(y, Tensor::from({19, 17, 23, 21}, {1, 2, 2}).to(d)));
  }
  // Runs long enough to be cut into pieces.
  const Tensor x = Tensor::arange(100001);
  EXPECT_TRUE(identical(slice(x, {{0, 0, 100000, 1}}), Tensor::arange(100000)));
  const Tensor odd = slice(x, {{0, 1, INT64_MAX, 2}});
  for (int64_t i = 0; i < 50000; i += 7777) EXPECT_EQ(odd.at(i), static_cast<double>(2 * i + 1));
}

TEST(Split, SharesOrCopies) {
  const Tensor x = Tensor::arange(12).reshape({2, 6});
  const std::vector<Tensor> parts = split(x, {1, 2, 3}, 1);
  EXPECT_EQ(list(parts[1]), (std::vector<double>{1, 2, 7, 8}));
  EXPECT_EQ(parts[2].shape(), (Shape{2, 3}));
  const std::vector<Tensor> rows = split(x.reshape({1, 2, 6}), {1, 1, 0}, 1);
  EXPECT_TRUE(rows[1].shares_storage(x));
  EXPECT_EQ(list(rows[1]), (std::vector<double>{6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(rows[2].shape(), (Shape{1, 0, 6}));
  EXPECT_EQ(split(Tensor::empty({0, 0}), {0, 0}, 1).size(), 2u);
  EXPECT_EQ(
      reason([&] {
        split(x, {1, 2}, 1);
      }),
      "split_with_sizes expects split_sizes to sum exactly to 6 (input tensor's size at dimension 1), but got split_sizes=[1, 2]");
  EXPECT_EQ(reason([&] {
              split(x, {7, -1}, 1);
            }),
            "split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes=[7, -1]");
}

TEST(Tile, RepeatsAxes) {
  const Tensor x = Tensor::from({1, 2, 3, 4}, {2, 2});
  EXPECT_EQ(list(tile(x, {2, 2})), (std::vector<double>{1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4}));
  EXPECT_EQ(tile(x, {3, 1, 2}).shape(), (Shape{3, 2, 4}));
  EXPECT_EQ(list(tile(x, {2})), (std::vector<double>{1, 2, 1, 2, 3, 4, 3, 4}));
  EXPECT_EQ(tile(x, {0, 1}).shape(), (Shape{0, 2}));
  EXPECT_EQ(list(tile(Tensor::scalar(3), {2})), (std::vector<double>{3, 3}));
  EXPECT_EQ(reason([&] { tile(x, {INT64_MAX, 2}); }), "numel: integer multiplication overflow");
}

TEST(Triangles, OfMatrices) {
  const Tensor x = Tensor::arange(12).reshape({2, 2, 3});
  EXPECT_EQ(list(triu(x)), (std::vector<double>{0, 1, 2, 0, 4, 5, 6, 7, 8, 0, 10, 11}));
  EXPECT_EQ(list(tril(x, 1)), (std::vector<double>{0, 1, 0, 3, 4, 5, 6, 7, 0, 9, 10, 11}));
  EXPECT_EQ(list(triu(x.to(DType::kInt8), INT64_MAX)), std::vector<double>(12));
}

// numpy: x.reshape(n, b, b, c, h, w).transpose(0, 3, 4, 1, 5, 2), and the inverse of it.
TEST(DepthToSpace, OrdersAndInverse) {
  const Tensor x = Tensor::arange(8 * 1 * 2).reshape({1, 8, 1, 2});
  EXPECT_EQ(list(depth_to_space(x, 2)), (std::vector<double>{0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15}));
  EXPECT_EQ(list(depth_to_space(x, 2, DepthOrder::kColumnRowDepth)),
            (std::vector<double>{0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15}));
  EXPECT_TRUE(identical(space_to_depth(depth_to_space(x, 2), 2), x));
  const Tensor bytes = x.to(DType::kUInt8);
  EXPECT_TRUE(identical(depth_to_space(bytes, 2), depth_to_space(x, 2).to(DType::kUInt8)));
  EXPECT_TRUE(identical(pixel_shuffle(bytes, 2), pixel_shuffle(x, 2).to(DType::kUInt8)));
  EXPECT_NE(reason([&] { depth_to_space(x, 3); }), "accepted");
  EXPECT_NE(reason([&] { space_to_depth(x, 2); }), "accepted");
}

}  // namespace
}  // namespace convoy::ops
