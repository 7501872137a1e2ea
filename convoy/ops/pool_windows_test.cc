#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/ops/pool.h"
#include "tests/refusal.h"

namespace convoy::ops {
namespace {

using testing::reason;

using L = std::vector<double>;
L list(const Tensor& x) { return x.to_vector<double>(); }

shape::PoolShape windows(const std::vector<shape::Axis>& axes, bool ceil_mode = false) {
  shape::PoolShape s;
  s.rank = static_cast<int>(axes.size());
  for (size_t i = 0; i < axes.size(); ++i) s.axes[3 - axes.size() + i] = axes[i];
  s.ceil_mode = ceil_mode;
  return s;
}

// One axis by walking: the taps of every output, counted where they fall.
struct Walked {
  L largest, average_in, average_all, norm;
};
Walked walk(const L& x, const shape::Axis& axis, int64_t outputs, double p) {
  Walked w;
  const auto n = static_cast<int64_t>(x.size());
  for (int64_t o = 0; o < outputs; ++o) {
    double most = -INFINITY, sum = 0, power = 0;
    int64_t inside = 0, padded = 0;
    for (int64_t k = 0; k < axis.kernel_size; ++k) {
      const int64_t i = o * axis.stride - axis.pad_begin + k * axis.dilation;
      if (i >= 0 && i < n) {
        const double v = x[static_cast<size_t>(i)];
        most = std::max(most, v);
        sum += v;
        power += std::pow(std::abs(v), p);
        ++inside;
      }
      padded += i < n + axis.pad_end;
    }
    w.largest.push_back(most);
    w.average_in.push_back(sum / static_cast<double>(std::max<int64_t>(inside, 1)));
    w.average_all.push_back(sum / static_cast<double>(std::max<int64_t>(padded, 1)));
    w.norm.push_back(std::pow(power, 1 / p));
  }
  return w;
}

void expect_near(const L& got, const L& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i])) {
      EXPECT_TRUE(std::isnan(got[i]));
    } else if (got[i] != want[i]) {
      EXPECT_NEAR(got[i], want[i], 1e-5);
    }
  }
}

TEST(PoolWindows, AgreeWithWalking) {
  std::mt19937 rng(9);
  const auto pick = [&](int a, int b) { return std::uniform_int_distribution<int64_t>(a, b)(rng); };
  for (int round = 0; round < 2000; ++round) {
    const shape::Axis axis{pick(1, 4), pick(1, 4), pick(1, 3), pick(0, 5), pick(0, 5)};
    L x(static_cast<size_t>(pick(1, 12)));
    for (double& v : x) v = std::uniform_real_distribution<double>(-2, 2)(rng);
    const auto s = windows({axis}, pick(0, 1) == 1);
    for (const DType d : {DType::kFloat32, DType::kFloat64}) {
      const Tensor input = Tensor::from(x, {1, 1, static_cast<int64_t>(x.size())}).to(d);
      shape::PoolShape completed;
      if (!reason([&] { completed = pooled_shape(input.shape(), s); }).empty()) continue;
      const Walked want = walk(list(input), axis, completed.output[2], 3);
      const MaxPoolResult most = max_pool(input, s);
      expect_near(list(most.output), want.largest);
      for (int64_t i = 0; i < most.output.numel(); ++i) {
        if (std::isinf(most.output.at(i))) continue;
        EXPECT_EQ(input.at(static_cast<int64_t>(most.indices.at(i))), most.output.at(i));
      }
      expect_near(list(avg_pool(input, s, false)), want.average_in);
      expect_near(list(avg_pool(input, s, true)), want.average_all);
      expect_near(list(lp_pool(input, s, 3)), want.norm);
    }
  }
}

TEST(PoolWindows, TakeSmallTypes) {
  const auto s = windows({{2, 1, 1, 0, 0}, {2, 1, 1, 0, 0}});
  const Tensor x = Tensor::from({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 1, 3, 3});
  for (const DType d : {DType::kUInt8, DType::kInt8, DType::kFloat16, DType::kBFloat16}) {
    const MaxPoolResult y = max_pool(x.to(d), s);
    EXPECT_EQ(y.output.dtype(), d);
    EXPECT_EQ(list(y.output), (L{5, 6, 8, 9}));
    EXPECT_EQ(list(y.indices), (L{4, 5, 7, 8}));
  }
  EXPECT_EQ(list(avg_pool(x.to(DType::kFloat16), s, true)), (L{3, 4, 6, 7}));
  EXPECT_EQ(reason([&] { max_pool(x.to(DType::kInt64), s); }), "\"max_pool2d\" not implemented for 'Long'");
  EXPECT_EQ(reason([&] { avg_pool(x.reshape({9}), s, true); }),
            "pooling over 2 axes expects an input of 4 axes, (N, C, *), but got [9]");
  EXPECT_NE(reason([&] { max_pool(x, windows({{9, 1, 1, 0, 0}, {1, 1, 1, 0, 0}})); }), "accepted");
  EXPECT_NE(reason([&] { max_pool(x, windows({{1, 0, 1, 0, 0}, {1, 1, 1, 0, 0}})); }), "accepted");
  EXPECT_NE(reason([&] { max_pool(x, windows({{1, 1, 1, -1, 0}, {1, 1, 1, 0, 0}})); }), "accepted");
}

TEST(PoolWindows, FlatIndices) {
  const auto s = windows({{2, 2, 1, 0, 0}, {2, 2, 1, 0, 0}});
  const Tensor x = Tensor::arange(2 * 4 * 6).reshape({1, 2, 4, 6});
  const MaxPoolResult y = max_pool(x, s);
  EXPECT_EQ(list(flat_indices(y.indices, x.shape())), (L{7, 9, 11, 19, 21, 23, 31, 33, 35, 43, 45, 47}));
  EXPECT_EQ(list(flat_indices(y.indices, x.shape(), true)), (L{5, 13, 21, 7, 15, 23, 29, 37, 45, 31, 39, 47}));
  const Tensor back = max_unpool_flat(y.output, flat_indices(y.indices, x.shape()), x.shape());
  for (int64_t i = 0; i < x.numel(); ++i) EXPECT_EQ(back.at(i), i / 6 % 2 == 1 && i % 2 == 1 ? x.at(i) : 0.0);
  EXPECT_EQ(reason([&] {
              max_unpool_flat(y.output, flat_indices(y.indices, x.shape()), {1, 2, 2, 2});
            }),
            "Found an invalid max index: 9 (output volumes are of size [1, 2, 2, 2])");
}

}  // namespace
}  // namespace convoy::ops
