// Every transform against what it replaces: the layers run one after the other, in float64.
#include "convoy/ops/reparam.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/linear.h"
#include "convoy/ops/norm.h"
#include "convoy/ops/pad.h"
#include "convoy/ops/pool.h"

#include "convoy/ops/reduce.h"
#include "convoy/shape/branch.h"

namespace convoy::ops {
namespace {

constexpr double kLimit = 1e-12;

Tensor normal(const Shape& shape) { return randn(shape, DType::kFloat64); }

struct Statistics {
  Tensor mean, var, weight, bias;
};

Statistics trained(int64_t channels) {
  Statistics s{normal({channels}), rand({channels}, DType::kFloat64), normal({channels}), normal({channels})};
  for (int64_t c = 0; c < channels; ++c) s.var.data<double>()[c] = 0.05 + 3 * s.var.at(c);
  return s;
}

Tensor normalised(const Tensor& x, const Statistics& s) {
  return batch_norm(x, s.mean, s.var, s.weight, s.bias, {.training = false, .eps = 1e-3}).output;
}

ChannelAffine affine_of(const Statistics& s) { return batch_norm_affine(s.mean, s.var, s.weight, s.bias, 1e-3); }

double largest(const Tensor& t) {
  double value = 0;
  for (int64_t i = 0; i < t.numel(); ++i) value = std::max(value, std::abs(t.at(i)));
  return value;
}

// The largest difference over the largest value.
double difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  return a.shape() == b.shape() ? largest(sub(a, b)) / std::max(largest(a), 1.0) : INFINITY;
}

int64_t pick(std::mt19937& engine, int64_t first, int64_t last) {
  return first + static_cast<int64_t>(engine() % static_cast<unsigned>(last - first + 1));
}

struct Problem {
  int rank = 2;
  int64_t groups = 1, in = 1, out = 1;
  std::vector<int64_t> kernel;
  ConvOptions options;
  Shape input;

  explicit Problem(std::mt19937& engine) {
    rank = static_cast<int>(pick(engine, 1, 3));
    groups = pick(engine, 1, 3);
    in = groups * pick(engine, 1, 3);
    out = groups * pick(engine, 1, 3);
    std::vector<int64_t> stride, padding, dilation;
    input = {2, in};
    for (int a = 0; a < rank; ++a) {
      kernel.push_back(pick(engine, 1, 4));
      stride.push_back(pick(engine, 1, 3));
      dilation.push_back(pick(engine, 1, 2));
      padding.push_back(pick(engine, 0, kernel.back()));
      input.push_back(dilation.back() * (kernel.back() - 1) + pick(engine, 1, 5));
    }
    options.stride = stride;
    options.padding = IntList(padding);
    options.dilation = dilation;
    options.groups = groups;
  }

  Shape weight_shape() const {
    Shape shape{out, in / groups};
    shape.insert(shape.end(), kernel.begin(), kernel.end());
    return shape;
  }
};

TEST(Reparam, BatchNormIsScaleAndShift) {
  const Statistics s = trained(3);
  const ChannelAffine affine = affine_of(s);
  const Tensor x = normal({2, 3, 4});
  const Tensor y = normalised(x, s);
  for (int64_t i = 0; i < x.numel(); ++i)
    EXPECT_NEAR(y.at(i), affine.scale.at(i / 4 % 3) * x.at(i) + affine.shift.at(i / 4 % 3), 1e-12);
  const Tensor outside = padding_before(affine);
  for (int64_t c = 0; c < 3; ++c) EXPECT_NEAR(affine.scale.at(c) * outside.at(c) + affine.shift.at(c), 0, 1e-12);

  const ChannelAffine plain = batch_norm_affine(s.mean, s.var, {}, {}, 1e-3);
  EXPECT_NEAR(plain.shift.at(1), -s.mean.at(1) / std::sqrt(s.var.at(1) + 1e-3), 1e-12);
}

TEST(Reparam, FoldsWhatFollowsAConvolution) {
  std::mt19937 engine(1);
  for (int n = 0; n < 60; ++n) {
    const Problem p(engine);
    const ConvParameters conv{normal(p.weight_shape()), n % 3 == 0 ? Tensor() : normal({p.out})};
    const Statistics s = trained(p.out);
    const Tensor x = normal(p.input);
    const ConvParameters one = fold_after(conv, affine_of(s));
    EXPECT_LT(difference(normalised(ops::conv(p.rank, x, conv.weight, conv.bias, p.options), s),
                         ops::conv(p.rank, x, one.weight, one.bias, p.options)),
              kLimit);
    const ConvParameters narrow{conv.weight.to(DType::kFloat32), conv.bias};
    const ConvParameters rounded = fold_after(narrow, affine_of(s), DType::kFloat32);
    EXPECT_EQ(rounded.weight.to_vector<float>(), fold_after(narrow, affine_of(s)).weight.to(DType::kFloat32).to_vector<float>());
    EXPECT_EQ(fold_after(conv, affine_of(s), DType::kFloat32).weight.dtype(), DType::kFloat32);
  }
}

TEST(Reparam, FoldsWhatSurroundsATransposedConvolution) {
  std::mt19937 engine(2);
  for (int n = 0; n < 60; ++n) {
    const Problem p(engine);
    Shape shape{p.in, p.out / p.groups};
    shape.insert(shape.end(), p.kernel.begin(), p.kernel.end());
    const ConvParameters conv{normal(shape), n % 3 == 0 ? Tensor() : normal({p.out})};
    const ConvTransposeOptions options{.stride = p.options.stride, .groups = p.groups, .dilation = p.options.dilation};
    const Statistics after = trained(p.out);
    const Tensor x = normal(p.input);
    const Tensor y = conv_transpose(p.rank, x, conv.weight, conv.bias, options);
    const ConvParameters one = fold_after_transposed(conv, affine_of(after), p.groups);
    EXPECT_LT(difference(normalised(y, after), conv_transpose(p.rank, x, one.weight, one.bias, options)), kLimit);

    Statistics before = trained(p.in);
    const bool exact = exact_before(affine_of(before), shape, options);
    if (!exact) {  // without shifts it is exact for every shape
      for (int64_t c = 0; c < p.in; ++c) before.bias.data<double>()[c] = before.mean.at(c) * affine_of(before).scale.at(c);
    }
    ChannelAffine affine = affine_of(before);
    if (!exact) affine.shift.zero_();
    EXPECT_TRUE(exact_before(affine, shape, options));
    const ConvParameters two = fold_before_transposed(affine, conv, p.groups);
    EXPECT_LT(difference(conv_transpose(p.rank, normalised(x, before), conv.weight, conv.bias, options),
                         conv_transpose(p.rank, x, two.weight, two.bias, options)),
              kLimit);
  }
  const ConvParameters pointwise{normal({2, 3, 1, 1}), normal({3})};
  const Statistics s = trained(2);
  const ConvParameters one = fold_before_transposed(affine_of(s), pointwise, 1);
  const Tensor x = normal({1, 2, 3, 3});
  EXPECT_TRUE(exact_before(affine_of(s), pointwise.weight.shape(), {}));
  EXPECT_FALSE(exact_before(affine_of(s), pointwise.weight.shape(), {.stride = 2}));
  EXPECT_LT(
      difference(conv_transpose2d(normalised(x, s), pointwise.weight, pointwise.bias), conv_transpose2d(x, one.weight, one.bias)),
      kLimit);
}

TEST(Reparam, FoldsWhatPrecedesAConvolutionWhereNoZerosAreRead) {
  std::mt19937 engine(3);
  int inexact = 0;
  for (int n = 0; n < 60; ++n) {
    Problem p(engine);
    if (n % 2 == 0) p.options.padding = 0;
    const ConvParameters conv{normal(p.weight_shape()), normal({p.out})};
    const Statistics s = trained(p.in);
    const ChannelAffine affine = affine_of(s);
    const Tensor x = normal(p.input);
    const ConvParameters one = fold_before(affine, conv, p.groups);
    const Tensor y = ops::conv(p.rank, normalised(x, s), conv.weight, conv.bias, p.options);
    const Tensor folded = ops::conv(p.rank, x, one.weight, one.bias, p.options);
    if (exact_before(affine, p.options)) {
      EXPECT_LT(difference(y, folded), kLimit);
      continue;
    }
    // Padding with the values that become zero makes up for it.
    ++inexact;
    EXPECT_GT(difference(y, folded), 1e-6);
    const std::vector<int64_t> sides = p.options.padding.values().expand(p.rank);
    std::vector<int64_t> padding;
    for (size_t a = sides.size(); a-- > 0;) padding.insert(padding.end(), {sides[a], sides[a]});
    const Tensor outside = padding_before(affine);
    std::vector<Tensor> channels;
    for (int64_t c = 0; c < p.in; ++c) channels.push_back(pad(narrow(x, 1, c, 1), padding, PadMode::kConstant, outside.at(c)));
    p.options.padding = 0;
    EXPECT_LT(difference(y, ops::conv(p.rank, concat(channels, 1), one.weight, one.bias, p.options)), kLimit);
  }
  EXPECT_GT(inexact, 10);
}

TEST(Reparam, APaddingThatCopiesValuesKeepsTheFoldExact) {
  const ConvParameters conv{normal({2, 3, 3, 3}), normal({2})};
  const Statistics s = trained(3);
  const Tensor x = normal({2, 3, 6, 5});
  const ConvParameters one = fold_before(affine_of(s), conv, 1);
  for (const PaddingMode mode : {PaddingMode::kReflect, PaddingMode::kReplicate, PaddingMode::kCircular}) {
    const ConvOptions options{.padding = 1, .padding_mode = mode};
    EXPECT_TRUE(exact_before(affine_of(s), options));
    EXPECT_LT(difference(conv2d(normalised(x, s), conv.weight, conv.bias, options), conv2d(x, one.weight, one.bias, options)),
              kLimit);
  }
  EXPECT_FALSE(exact_before(affine_of(s), {.padding = "same"}));
  EXPECT_TRUE(exact_before(affine_of(s), {.padding = "valid"}));
  EXPECT_FALSE(exact_before(affine_of(s), {.padding = {{0, 1}, {0, 0}}}));
}

TEST(Reparam, LinearLayersFoldOnBothSides) {
  const ConvParameters layer{normal({4, 3}), normal({4})};
  const Statistics before = trained(3), after = trained(4);
  const Tensor x = normal({5, 3});
  const ConvParameters one = fold_after(fold_before(affine_of(before), layer, 1), affine_of(after));
  EXPECT_LT(difference(normalised(linear(normalised(x, before), layer.weight, layer.bias), after), linear(x, one.weight, one.bias)),
            kLimit);
}

TEST(Reparam, BranchesAddAndConcatenate) {
  const ConvParameters a{normal({2, 3, 3, 3}), normal({2})}, b{normal({2, 3, 3, 3}), {}}, c{normal({4, 3, 3, 3}), normal({4})};
  const Tensor x = normal({2, 3, 5, 6});
  const ConvParameters sum = add_branches({a, b});
  EXPECT_LT(difference(add(conv2d(x, a.weight, a.bias), conv2d(x, b.weight)), conv2d(x, sum.weight, sum.bias)), kLimit);
  const ConvParameters both = concat_branches({a, c});
  EXPECT_LT(difference(concat({conv2d(x, a.weight, a.bias), conv2d(x, c.weight, c.bias)}, 1), conv2d(x, both.weight, both.bias)),
            kLimit);
  EXPECT_THROW(add_branches({a, c}), ShapeMismatch);
  EXPECT_THROW(add_branches({}), ValueError);
}

TEST(Reparam, TwoConvolutionsOfWhichOneIsPointwiseAreOne) {
  std::mt19937 engine(4);
  for (int n = 0; n < 60; ++n) {
    Problem p(engine);
    const int64_t middle = p.groups * pick(engine, 1, 4);
    Shape pointwise{middle, p.in / p.groups}, kernel{p.out, middle / p.groups}, back{p.out, middle / p.groups},
        wide{middle, p.in / p.groups};
    for (const int64_t k : p.kernel) {
      pointwise.push_back(1);
      back.push_back(1);
      kernel.push_back(k);
      wide.push_back(k);
    }
    const Tensor x = normal(p.input);
    const ConvOptions one_to_one{.groups = p.groups};
    // K x K last: without a bias between them any padding will do.
    const ConvParameters first{normal(pointwise), {}}, second{normal(kernel), normal({p.out})};
    const ConvParameters merged = merge_pointwise(first, second, p.groups);
    EXPECT_LT(
        difference(ops::conv(p.rank, ops::conv(p.rank, x, first.weight, {}, one_to_one), second.weight, second.bias, p.options),
                   ops::conv(p.rank, x, merged.weight, merged.bias, p.options)),
        kLimit);
    // K x K first: always.
    const ConvParameters third{normal(wide), normal({middle})}, fourth{normal(back), normal({p.out})};
    const ConvParameters other = merge_before_pointwise(third, fourth, p.groups);
    EXPECT_LT(difference(ops::conv(p.rank, ops::conv(p.rank, x, third.weight, third.bias, p.options), fourth.weight, fourth.bias,
                                   one_to_one),
                         ops::conv(p.rank, x, other.weight, other.bias, p.options)),
              kLimit);
    // With a bias between them, without padding.
    const ConvParameters biased{first.weight, normal({middle})};
    const ConvParameters whole = merge_pointwise(biased, second, p.groups);
    p.options.padding = 0;
    EXPECT_LT(difference(ops::conv(p.rank, ops::conv(p.rank, x, biased.weight, biased.bias, one_to_one), second.weight, second.bias,
                                   p.options),
                         ops::conv(p.rank, x, whole.weight, whole.bias, p.options)),
              kLimit);
  }
}

TEST(Reparam, AKernelInsideALargerOneSeesTheSamePlaces) {
  std::mt19937 engine(5);
  for (int n = 0; n < 80; ++n) {
    const Problem p(engine);
    Shape narrow{p.out, p.in / p.groups};
    std::vector<int64_t> first_tap, sides;
    const std::vector<int64_t> padding = p.options.padding.values().expand(p.rank), dilation = p.options.dilation.expand(p.rank);
    for (size_t a = 0; a < p.kernel.size(); ++a) {
      const int64_t k = pick(engine, 1, p.kernel[a]);
      narrow.push_back(k);
      first_tap.push_back(n % 2 == 0 ? p.kernel[a] / 2 - k / 2 : pick(engine, 0, p.kernel[a] - k));
      const auto own = shape::branch_padding(
          {.kernel_size = p.kernel[a], .dilation = dilation[a], .pad_begin = padding[a], .pad_end = padding[a]}, k, first_tap[a]);
      ASSERT_TRUE(own);
      sides.insert(sides.begin(), {own->begin, own->end});
    }
    const Tensor weight = normal(narrow), x = normal(p.input);
    const Tensor wide = place_kernel(weight, p.kernel, n % 2 == 0 ? std::vector<int64_t>() : first_tap);
    EXPECT_EQ(wide.shape(), p.weight_shape());
    ConvOptions none = p.options;
    none.padding = 0;
    EXPECT_LT(difference(ops::conv(p.rank, pad(x, sides), weight, {}, none), ops::conv(p.rank, x, wide, {}, p.options)), kLimit);
  }
  EXPECT_THROW(place_kernel(normal({1, 1, 3, 3}), {2, 3}), ShapeMismatch);
  EXPECT_THROW(place_kernel(normal({1, 1, 3, 3}), {3}), ShapeMismatch);
  EXPECT_THROW(place_kernel(normal({1, 1, 3}), {4}, {2}), ShapeMismatch);
}

TEST(Reparam, AveragingAndTheIdentityAreConvolutions) {
  const Tensor x = normal({2, 6, 7, 5});
  for (const int64_t groups : {1, 2, 3, 6}) {
    const Tensor average = average_pool_weight(6, {3, 2}, groups);
    EXPECT_LT(difference(avg_pool(2, x, {.kernel_size = {3, 2}, .stride = 2, .padding = 1}),
                         conv2d(x, average, {}, {.stride = 2, .padding = 1, .groups = groups})),
              kLimit);
    EXPECT_TRUE(identical(conv2d(x, identity_weight(6, {3, 5}, groups), {}, {.padding = {1, 2}, .groups = groups}), x));
    EXPECT_TRUE(
        identical(conv2d(x, identity_weight(6, {2, 2}, groups, {0, 1}), {}, {.padding = {{0, 1}, {1, 0}}, .groups = groups}), x));
  }
  EXPECT_THROW(average_pool_weight(6, {3}, 4), ValueError);
  EXPECT_THROW(identity_weight(6, {3}, 1, {3}), ShapeMismatch);
}

TEST(Reparam, RefusesWhatCannotBeFolded) {
  const ConvParameters conv{normal({2, 3, 3, 3}), normal({2})};
  EXPECT_THROW(fold_after(conv, affine_of(trained(3))), ShapeMismatch);
  EXPECT_THROW(fold_before(affine_of(trained(2)), conv, 1), ShapeMismatch);
  EXPECT_THROW(fold_after({normal({2, 3, 3, 3}), normal({3})}, affine_of(trained(2))), ShapeMismatch);
  EXPECT_THROW(fold_after({}, affine_of(trained(2))), ShapeMismatch);
  EXPECT_THROW(merge_pointwise(conv, {normal({2, 2, 3, 3}), {}}, 1), ShapeMismatch);
  EXPECT_THROW(batch_norm_affine({}, {}, {}, {}, 1e-5), Error);
  EXPECT_THROW(batch_norm_affine(normal({2}), Tensor::zeros({2}), {}, {}, 0), ValueError);
  EXPECT_THROW(batch_norm_affine(normal({2}), Tensor::ones({3}), {}, {}, 0), ShapeMismatch);
  Tensor not_a_number = Tensor::ones({2});
  not_a_number.data<float>()[1] = NAN;
  EXPECT_THROW(batch_norm_affine(normal({2}), not_a_number, {}, {}, 0), ValueError);
}

}  // namespace
}  // namespace convoy::ops
