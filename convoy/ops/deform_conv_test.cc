#include "convoy/ops/deform_conv.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/ops/conv.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/rearrange.h"

namespace convoy::ops {
namespace {

TEST(DeformConv, WithoutOffsetsIsConvolution) {
  Generator g(1);
  const Tensor x = randn({2, 4, 7, 9}, DType::kFloat32, &g), w = randn({6, 2, 3, 2}, DType::kFloat32, &g),
               b = randn({6}, DType::kFloat32, &g);
  const Tensor want = conv2d(x, w, b, {.stride = {2, 1}, .padding = {1, 1}, .dilation = {1, 2}, .groups = 2});
  const DeformConvOptions options{.stride = {2, 1}, .padding = {1, 1}, .dilation = {1, 2}, .groups = 2, .offset_groups = 2};
  const int64_t oh = want.size(2), ow = want.size(3);
  const Tensor none = Tensor::zeros({2, 2 * 2 * 6, oh, ow}), half = Tensor::full({2, 2 * 6, oh, ow}, 0.5);
  const Tensor y = deform_conv2d(x, none, w, b, {}, options), z = deform_conv2d(x, none, w, {}, half, options);
  for (int64_t i = 0; i < want.numel(); ++i) {
    EXPECT_NEAR(y.at(i), want.at(i), 1e-4);
    EXPECT_NEAR(2 * z.at(i) + b.at(i / (oh * ow) % 6), want.at(i), 1e-4);
  }
}

// A 1 x 1 kernel reads one place: whole offsets, halves, and what lies partly or wholly outside.
TEST(DeformConv, ReadsBetweenPixels) {
  const Tensor x = Tensor::from({1, 2, 3, 4}, {1, 1, 2, 2}), w = Tensor::ones({1, 1, 1, 1});
  const auto at = [&](float dy, float dx) {
    Tensor offset = Tensor::zeros({1, 2, 2, 2});
    offset.data<float>()[0] = dy;
    offset.data<float>()[4] = dx;
    return deform_conv2d(x, offset, w).at(0);
  };
  EXPECT_EQ(at(1, 1), 4);
  EXPECT_EQ(at(0.5f, 0.5f), 2.5);
  EXPECT_EQ(at(-0.5f, 0), 0.5);
  EXPECT_EQ(at(1.5f, 1), 2);
  EXPECT_EQ(at(-1, 0), 0);
  EXPECT_EQ(at(2, 0), 0);
  EXPECT_EQ(at(1e30f, 0), 0);
  EXPECT_EQ(at(NAN, 0), 0);
}

TEST(DeformConv, RefusesShapesThatDoNotFit) {
  const Tensor x = Tensor::zeros({1, 2, 3, 3}), w = Tensor::zeros({1, 2, 2, 2});
  EXPECT_THROW(deform_conv2d(x, Tensor::zeros({1, 8, 3, 3}), w), ShapeMismatch);
  EXPECT_THROW(deform_conv2d(x, Tensor::zeros({1, 8, 2, 2}), w, {}, {}, {.offset_groups = 3}), ShapeMismatch);
  EXPECT_THROW(deform_conv2d(x, Tensor::zeros({1, 8, 2, 2}), w, {}, Tensor::zeros({1, 3, 2, 2})), ShapeMismatch);
  EXPECT_THROW(deform_conv2d(x, Tensor::zeros({1, 8, 2, 2}), w, Tensor::zeros({2})), ShapeMismatch);
  EXPECT_EQ(deform_conv2d(x, Tensor::zeros({1, 8, 2, 2}), w).shape(), (Shape{1, 1, 2, 2}));
}

shape::PoolShape image(const std::vector<int64_t>& sizes, const std::vector<shape::Axis>& axes) {
  shape::PoolShape s;
  s.rank = static_cast<int>(sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    s.input[3 - sizes.size() + i] = sizes[i];
    s.axes[3 - sizes.size() + i] = axes[i];
  }
  return s;
}

TEST(Col2Im, SumsBlocksOfAnyRank) {
  Generator g(2);
  const Tensor columns = randn({2, 12, 20}, DType::kFloat64, &g);
  const shape::PoolShape plane = image({6, 4}, {{2, 1, 1, 0, 0}, {3, 1, 1, 1, 1}});
  EXPECT_TRUE(identical(col2im(columns, plane), fold(columns, {6, 4}, {.kernel_size = {2, 3}, .padding = {0, 1}})));
  // Three axes, by walking.
  const std::vector<shape::Axis> axes = {{2, 1, 2, 1, 0}, {1, 2, 1, 0, 1}, {2, 1, 1, 0, 1}};
  const Tensor volume_columns = randn({1, 8, 3 * 2 * 3}, DType::kFloat64, &g);
  const Tensor volume = col2im(volume_columns, image({4, 3, 3}, axes));
  std::vector<double> sums(2 * 4 * 3 * 3);
  for (int64_t row = 0; row < 8; ++row) {
    for (int64_t l = 0; l < 18; ++l) {
      const int64_t k[] = {row / 2 % 2, 0, row % 2}, o[] = {l / 6, l / 3 % 2, l % 3}, n[] = {4, 3, 3};
      int64_t at = row / 4;
      bool inside = true;
      for (size_t a = 0; a < 3; ++a) {
        const int64_t i = o[a] * axes[a].stride - axes[a].pad_begin + k[a] * axes[a].dilation;
        inside = inside && i >= 0 && i < n[a];
        at = at * n[a] + i;
      }
      if (inside) sums[static_cast<size_t>(at)] += volume_columns.at(row * 18 + l);
    }
  }
  ASSERT_EQ(volume.numel(), static_cast<int64_t>(sums.size()));
  for (size_t i = 0; i < sums.size(); ++i) EXPECT_NEAR(volume.at(static_cast<int64_t>(i)), sums[i], 1e-12);
  EXPECT_THROW(col2im(columns, image({5, 5}, {{5, 1, 1, 0, 0}, {1, 1, 1, 0, 0}})), ShapeMismatch);
  EXPECT_THROW(col2im(columns, image({5, 5}, {{2, 1, 1, 0, 0}, {3, 1, 1, 0, 0}})), ShapeMismatch);
}

}  // namespace
}  // namespace convoy::ops
