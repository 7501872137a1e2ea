#include "convoy/autograd/rule_check_test.h"

namespace convoy {
namespace {

Shape input_shape(int rank) {
  if (rank == 1) return {2, 2, 7};
  return rank == 2 ? Shape{2, 2, 5, 6} : Shape{1, 2, 4, 3, 5};
}

// The same without the batch.
Shape unbatched(Shape shape) {
  shape.erase(shape.begin());
  return shape;
}

TEST(PoolRules, MaxPool) {
  for (const int rank : {1, 2, 3}) {
    for (const int64_t stride : {0, 1, 2, 3}) {  // 0: not given
      for (const int64_t padding : {0, 1}) {
        for (const int64_t dilation : {1, 2}) {
          for (const bool ceil_mode : {false, true}) {
            MaxPoolOptions options{.kernel_size = 2, .padding = padding, .dilation = dilation, .ceil_mode = ceil_mode};
            if (stride > 0) options.stride = stride;
            const std::string name = "max_pool" + std::to_string(rank) + "d stride " + std::to_string(stride) + " padding " +
                                     std::to_string(padding) + " dilation " + std::to_string(dilation) + " ceil " +
                                     std::to_string(ceil_mode);
            expect_gradients(name, [&](const Inputs& in) { return max_pool(rank, in[0], options); }, {checked(input_shape(rank))});
          }
        }
      }
    }
    expect_gradients("unbatched", [&](const Inputs& in) { return max_pool(rank, in[0], {.kernel_size = 2}); },
                     {checked(unbatched(input_shape(rank)))});
  }
}

TEST(PoolRules, AvgPool) {
  for (const int rank : {1, 2, 3}) {
    for (const int64_t stride : {0, 1, 2}) {
      for (const int64_t padding : {0, 1}) {
        for (const bool ceil_mode : {false, true}) {
          for (const bool count_include_pad : {false, true}) {
            AvgPoolOptions options{
                .kernel_size = 3, .padding = padding, .ceil_mode = ceil_mode, .count_include_pad = count_include_pad};
            if (stride > 0) options.stride = stride;
            const std::string name = "avg_pool" + std::to_string(rank) + "d stride " + std::to_string(stride) + " padding " +
                                     std::to_string(padding) + " ceil " + std::to_string(ceil_mode) + " count_include_pad " +
                                     std::to_string(count_include_pad);
            expect_gradients(name, [&](const Inputs& in) { return avg_pool(rank, in[0], options); }, {checked(input_shape(rank))});
          }
        }
      }
    }
    expect_gradients("unbatched", [&](const Inputs& in) { return avg_pool(rank, in[0], {.kernel_size = 2}); },
                     {checked(unbatched(input_shape(rank)))});
    if (rank == 1) continue;
    for (const int64_t divisor : {5, -2}) {
      expect_gradients(
          "divisor_override",
          [&](const Inputs& in) { return avg_pool(rank, in[0], {.kernel_size = 2, .padding = 1, .divisor_override = divisor}); },
          {checked(input_shape(rank))});
    }
  }
}

TEST(PoolRules, AdaptivePools) {
  const std::vector<AdaptiveSize> sizes[] = {{{3}, {7}, {9}, {1}, {std::nullopt}},
                                             {{3, 4}, {1, 1}, {std::nullopt, 2}, {7, 3}, {2}},
                                             {{3, 2, 4}, {1, 1, 1}, {5, std::nullopt, 2}}};
  for (const int rank : {1, 2, 3}) {
    for (const AdaptiveSize& size : sizes[rank - 1]) {
      const std::string name = std::to_string(rank) + "d to " + (size[0] ? std::to_string(*size[0]) : "None") + ", ...";
      expect_gradients("adaptive_avg_pool" + name, [&](const Inputs& in) { return adaptive_avg_pool(rank, in[0], size); },
                       {checked(input_shape(rank))});
      expect_gradients("adaptive_max_pool" + name, [&](const Inputs& in) { return adaptive_max_pool(rank, in[0], size); },
                       {checked(input_shape(rank))});
    }
    expect_gradients("unbatched", [&](const Inputs& in) { return adaptive_avg_pool(rank, in[0], sizes[rank - 1][0]); },
                     {checked(unbatched(input_shape(rank)))});
  }
}

TEST(PoolRules, AnEmptyAdaptiveOutputGivesAZeroGradient) {
  Variable x(Tensor::ones({1, 64, 10, 9, 8}), true);
  Variable y = adaptive_avg_pool(3, x, {0, 0, 0});
  EXPECT_EQ(y.shape(), (Shape{1, 64, 0, 0, 0}));
  y.backward(Tensor::zeros(y.shape()));
  EXPECT_TRUE(identical(x.grad(), Tensor::zeros(x.shape())));
}

TEST(PoolRules, MaxUnpool) {
  for (const int rank : {1, 2, 3}) {
    const MaxPoolOptions options{.kernel_size = 2};
    const Tensor source = distinct_values(input_shape(rank));
    const MaxPoolResult pooled = ops::max_pool(rank, source, options);
    const std::vector<int64_t> spatial(source.shape().begin() + 2, source.shape().end());
    expect_gradients("max_unpool" + std::to_string(rank) + "d",
                     [&](const Inputs& in) { return max_unpool(rank, in[0], pooled.indices, options, spatial); },
                     {checked(pooled.output.shape())});
  }
  expect_gradients("default size",
                   [](const Inputs& in) {
                     const auto [pooled, indices] = max_pool_with_indices(2, in[0], {.kernel_size = 2});
                     return max_unpool(2, square(pooled), indices, {.kernel_size = 2});
                   },
                   {checked({2, 2, 4, 6})});
}

TEST(PoolRules, IndicesAreConstants) {
  const Variable x = checked({1, 1, 4, 4});
  const auto [pooled, indices] = max_pool_with_indices(2, x, {.kernel_size = 2});
  EXPECT_TRUE(pooled.requires_grad());
  EXPECT_EQ(indices.dtype(), DType::kInt64);
  EXPECT_EQ(indices.shape(), pooled.shape());
}

TEST(PoolRules, LpPool) {
  for (const double norm_type : {1.0, 2.0, 3.0, 1.5}) {
    for (const bool ceil_mode : {false, true}) {
      // Odd and broken norms of negative sums are NaN, as in PyTorch: keep the inputs positive.
      const auto positive = [](const Variable& x) { return square(x) + 0.1; };
      const std::string name = " norm " + std::to_string(norm_type) + " ceil " + std::to_string(ceil_mode);
      expect_gradients("lp_pool1d" + name,
                       [&](const Inputs& in) { return lp_pool(1, positive(in[0]), norm_type, 2, 3, ceil_mode); },
                       {checked({2, 2, 7})});
      expect_gradients("lp_pool2d" + name,
                       [&](const Inputs& in) {
                         return lp_pool(2, positive(in[0]), norm_type, {2, 3}, {}, ceil_mode);
                       },
                       {checked({1, 2, 5, 4})});
    }
  }
  expect_gradients("negative values", [&](const Inputs& in) { return lp_pool(2, in[0], 2, 2); }, {checked({1, 2, 4, 4})});
}

TEST(PoolRules, EmptyBatch) {
  Variable x(Tensor::zeros({0, 2, 4, 4}), true);
  sum(max_pool(2, x, {.kernel_size = 2})).backward();
  sum(avg_pool(2, x, {.kernel_size = 2})).backward();
  EXPECT_EQ(x.grad().shape(), x.shape());
}

}  // namespace
}  // namespace convoy
