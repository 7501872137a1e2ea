#include "convoy/ops/resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "tests/refusal.h"

namespace convoy::ops {
namespace {

using testing::reason;

using L = std::vector<double>;

// One output as ONNX's reference implementation words it: the n nearest places of a line whose border is repeated.
double sampled(const L& line, double at, const ResizeRule& rule, double scale) {
  if (rule.mode == ResizeMode::kNearest) at = static_cast<double>(static_cast<float>(at));
  const auto n = static_cast<int64_t>(line.size());
  const bool whole = at == std::floor(at);
  const double ratio = whole ? 1 : at - std::floor(at);
  L weights;
  if (rule.mode == ResizeMode::kNearest) {
    const bool up = whole || (rule.nearest == ResizeNearest::kRoundPreferFloor  ? ratio > 0.5
                              : rule.nearest == ResizeNearest::kRoundPreferCeil ? ratio >= 0.5
                                                                                : rule.nearest == ResizeNearest::kCeil);
    weights = {up ? 0.0 : 1.0, up ? 1.0 : 0.0};
  } else {
    const double s = rule.antialias ? std::min(scale, 1.0) : 1.0, half = rule.mode == ResizeMode::kLinear ? 1 : 2;
    const auto start = static_cast<int64_t>(std::floor(-half / s) + 1);
    for (int64_t i = start; i < 2 - start; ++i) {
      const double x = std::abs(s * (static_cast<double>(i) - ratio)), a = rule.cubic_coeff_a;
      const double cubic = x <= 1  ? (a + 2) * x * x * x - (a + 3) * x * x + 1
                           : x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a
                                   : 0;
      weights.push_back(rule.mode == ResizeMode::kLinear ? std::max(0.0, 1 - x) : cubic);
    }
    if (rule.antialias) {
      const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
      for (double& w : weights) w /= sum;
    }
  }
  const auto taps = static_cast<int64_t>(weights.size()), border = taps;
  const bool excludes = rule.exclude_outside && rule.mode != ResizeMode::kNearest;
  std::vector<int64_t> places(static_cast<size_t>(n + 2 * border));
  std::iota(places.begin(), places.end(), -border);
  std::stable_sort(places.begin(), places.end(), [at](int64_t i, int64_t j) {
    return std::abs(at - static_cast<double>(i)) < std::abs(at - static_cast<double>(j));
  });
  places.resize(static_cast<size_t>(taps));
  std::sort(places.begin(), places.end());
  double sum = 0, total = 0;
  for (size_t k = 0; k < places.size(); ++k) {
    if (excludes && (places[k] < 0 || places[k] >= n)) weights[k] = 0;
    total += weights[k];
  }
  for (size_t k = 0; k < places.size(); ++k) {
    sum += weights[k] / (excludes ? total : 1) * line[static_cast<size_t>(std::clamp<int64_t>(places[k], 0, n - 1))];
  }
  return sum;
}

double place(ResizeCoordinates coordinates, double x, double n, double scale, double outputs) {
  const double length = n * scale;
  switch (coordinates) {
    case ResizeCoordinates::kAlignCorners:
      return length == 1 || outputs == 1 ? 0 : x * (n - 1) / (length - 1);
    case ResizeCoordinates::kAsymmetric:
      return x / scale;
    case ResizeCoordinates::kHalfPixelSymmetric:
      return n / 2 * (1 - outputs / length) + (x + 0.5) / scale - 0.5;
    case ResizeCoordinates::kPytorchHalfPixel:
      if (outputs == 1) return 0;
      break;
    default:
      break;
  }
  return (x + 0.5) / scale - 0.5;
}

TEST(Resize, AgreesWithTheWordedReference) {
  std::mt19937 rng(5);
  for (int round = 0; round < 3000; ++round) {
    const auto pick = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(rng); };
    ResizeOptions options;
    options.rule.mode = static_cast<ResizeMode>(pick(3));
    options.rule.coordinates = static_cast<ResizeCoordinates>(pick(5));
    options.rule.nearest = static_cast<ResizeNearest>(pick(4));
    options.rule.cubic_coeff_a = pick(2) == 0 ? -0.75 : -0.5;
    options.rule.exclude_outside = pick(3) == 0;
    options.rule.antialias = pick(3) == 0;
    L line(static_cast<size_t>(1 + pick(9)));
    for (double& v : line) v = std::uniform_real_distribution<double>(-1, 1)(rng);
    const auto n = static_cast<int64_t>(line.size());
    const double scale = std::uniform_real_distribution<double>(0.2, 3.5)(rng);
    if (pick(2) == 0) {
      options.scales = {scale};
    } else {
      options.sizes = {1 + pick(20)};
    }
    const Tensor y = resize(Tensor::from(line, {n}), options);
    const double used = options.sizes.empty() ? scale : static_cast<double>(options.sizes[0]) / static_cast<double>(n);
    ASSERT_EQ(y.numel(),
              options.sizes.empty() ? static_cast<int64_t>(std::floor(static_cast<double>(n) * scale)) : options.sizes[0]);
    for (int64_t o = 0; o < y.numel(); ++o) {
      const double at =
          place(options.rule.coordinates, static_cast<double>(o), static_cast<double>(n), used, static_cast<double>(y.numel()));
      ASSERT_NEAR(y.at(o), sampled(line, at, options.rule, used), 1e-9) << "round " << round << " output " << o;
    }
  }
}

// Where ONNX's formula gives a whole place, another order of its sums gives the one before.
TEST(Resize, WholePlacesAreThoseOfOnnx) {
  ResizeOptions options;
  options.rule = {.coordinates = ResizeCoordinates::kHalfPixelSymmetric, .nearest = ResizeNearest::kFloor};
  options.scales = {1.5};
  EXPECT_EQ(resize(Tensor::arange(5, DType::kFloat64), options).to_vector<double>(), (L{0, 0, 1, 2, 2, 3, 4}));
  // The middle of the output is that of the input, which a float's rounding would put before it.
  options.scales = {static_cast<double>(0.6F)};
  EXPECT_EQ(resize(Tensor::arange(5, DType::kFloat64), options).to_vector<double>(), (L{0, 2, 3}));
}

TEST(Resize, NearestPlacesAreThoseOfFloats) {
  ResizeOptions options{.scales = {static_cast<double>(0.6F)}};
  options.rule = {.coordinates = ResizeCoordinates::kAsymmetric, .nearest = ResizeNearest::kFloor};
  EXPECT_EQ(resize(Tensor::arange(9), options).to_vector<double>(), (L{0, 1, 3, 5, 6}));
  options.scales = {static_cast<double>(0.7F)};
  options.rule.nearest = ResizeNearest::kCeil;
  EXPECT_EQ(resize(Tensor::arange(12), options).to_vector<double>(), (L{0, 2, 3, 5, 6, 8, 9, 10}));
}

TEST(Resize, GoesAxisByAxis) {
  const Tensor x = Tensor::arange(2 * 3 * 4 * 5 * 2, DType::kFloat64).reshape({2, 3, 4, 5, 2});
  ResizeOptions options{.axes = {0, 2, -1, 3}, .sizes = {3, 6, 5, 4}};
  options.rule.mode = ResizeMode::kCubic;
  const Tensor y = resize(x, options);
  EXPECT_EQ(y.shape(), (Shape{3, 3, 6, 4, 5}));
  EXPECT_EQ(y.shape(), resized_shape(x.shape(), options));
  Tensor one = x;
  for (size_t i = 0; i < 4; ++i) {
    ResizeOptions single{.axes = {options.axes[i]}, .sizes = {options.sizes[i]}};
    single.rule = options.rule;
    one = resize(one, single);
  }
  for (int64_t i = 0; i < y.numel(); ++i) ASSERT_NEAR(y.at(i), one.at(i), 1e-10);
  set_num_threads(1);
  const Tensor alone = resize(x, options);
  set_num_threads(0);
  EXPECT_TRUE(identical(alone, y));
}

// Values of ONNX's own examples.
TEST(Resize, GivesOnnxsExamples) {
  const Tensor x = Tensor::arange(16).reshape({1, 1, 4, 4});
  ResizeOptions crop{.sizes = {1, 1, 3, 3}, .roi = {0, 0, 0.4, 0.6, 1, 1, 0.6, 0.8}};
  crop.rule = {.mode = ResizeMode::kLinear, .coordinates = ResizeCoordinates::kTfCropAndResize};
  const L want = {6.6, 6.9, 7.2, 7.8, 8.1, 8.4, 9.0, 9.3, 9.6};
  const Tensor y = resize(x, crop);
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(y.at(static_cast<int64_t>(i)), want[i], 1e-5);
  crop.roi = {0, 0, 0.4, 0.6, 1, 1, 1.2, 1.7};
  crop.extrapolation_value = 10;
  const L outside = {6.6, 10, 10, 11.4, 10, 10, 10, 10, 10};
  const Tensor z = resize(x, crop);
  for (size_t i = 0; i < outside.size(); ++i) EXPECT_NEAR(z.at(static_cast<int64_t>(i)), outside[i], 1e-5);
  ResizeOptions corners{.axes = {3}, .scales = {0.6}};
  corners.rule = {.mode = ResizeMode::kLinear, .coordinates = ResizeCoordinates::kAlignCorners};
  EXPECT_NEAR(resize(Tensor::from({1, 2, 3, 4}, {1, 1, 1, 4}), corners).at(1), 3.142857, 1e-5);
}

TEST(Resize, SizesOfScalesAreThoseOfFloats) {
  for (const double scale : {0.7, static_cast<double>(0.7F)}) {
    EXPECT_EQ(resized_shape({10}, {.scales = {scale}}), Shape{7});
    EXPECT_EQ(resized_shape({9}, {.scales = {scale}}), Shape{6});
  }
  EXPECT_EQ(resized_shape({10}, {.scales = {static_cast<double>(1.3F)}}), Shape{13});
  EXPECT_EQ(resized_shape({(1 << 24) + 1}, {.scales = {1}}), Shape{(1 << 24) + 1});
}

TEST(Resize, KeepsProportionsIfAsked) {
  ResizeOptions options{.axes = {2, 3}, .sizes = {7, 8}, .aspect = AspectPolicy::kNotLarger};
  EXPECT_EQ(resized_shape({1, 1, 2, 4}, options), (Shape{1, 1, 4, 8}));
  options.aspect = AspectPolicy::kNotSmaller;
  EXPECT_EQ(resized_shape({1, 1, 2, 4}, options), (Shape{1, 1, 7, 14}));
}

TEST(Resize, OfNothingMakesNothing) {
  for (const ResizeMode mode : {ResizeMode::kNearest, ResizeMode::kLinear, ResizeMode::kCubic}) {
    ResizeOptions options{.sizes = {1, int64_t{1} << 48, 0, 2}};
    options.rule.mode = mode;
    for (const DType dtype : {DType::kFloat32, DType::kUInt8})
      EXPECT_EQ(resize(Tensor::zeros({1, 2, 3, 4}, dtype), options).shape(), options.sizes);
    EXPECT_EQ(resize(Tensor::zeros({1, 2, 3, 4}), {.axes = {0}, .sizes = {0}, .rule = options.rule}).shape(), (Shape{0, 2, 3, 4}));
  }
}

TEST(Resize, TakesEveryType) {
  for (int type = 0; type <= static_cast<int>(DType::kBool); ++type) {
    const auto d = static_cast<DType>(type);
    const Tensor y = resize(Tensor::from({0, 1}, {1, 1, 1, 2}).to(d), {.scales = {1, 1, 2, 2}});
    EXPECT_TRUE(identical(y, Tensor::from({0, 0, 1, 1, 0, 0, 1, 1}, {1, 1, 2, 4}).to(d))) << dtype_name(d);
  }
  ResizeOptions linear{.scales = {2}};
  linear.rule.mode = ResizeMode::kLinear;
  EXPECT_EQ(resize(Tensor::from({0, 10}, {2}).to(DType::kUInt8), linear).to_vector<double>(), (L{0, 2, 7, 10}));
  EXPECT_EQ(resize(Tensor::from({0, 10}, {2}).to(DType::kFloat16), linear).to_vector<double>(), (L{0, 2.5, 7.5, 10}));
  // Beside an edge cubic weights go beyond it: to the end of the type, not round it.
  ResizeOptions cubic{.scales = {2}};
  cubic.rule.mode = ResizeMode::kCubic;
  for (const auto& [type, low, high] : {std::tuple(DType::kUInt8, 0.0, 255.0),
                                        {DType::kInt8, -128.0, 127.0},
                                        {DType::kUInt16, 0.0, 65535.0},
                                        {DType::kInt32, -2147483648.0, 2147483647.0}}) {
    const Tensor edge = Tensor::from(std::vector<double>{low, low, high, high}, {4}).to(type);
    const L y = resize(edge, cubic).to_vector<double>();
    EXPECT_EQ((L{y[2], y[5]}), (L{low, high})) << dtype_name(type);
  }
}

TEST(Resize, RefusesWhatHasNoSize) {
  const Tensor x = Tensor::zeros({1, 1, 2, 2});
  const auto with = [&](ResizeOptions o) { return reason([&] { resize(x, o); }); };
  EXPECT_EQ(with({}), "resize: only one of scales and sizes should be given, and one must be");
  EXPECT_EQ(with({.scales = {1, 1, 2}}), "resize: 3 scales for 4 axes");
  EXPECT_EQ(with({.scales = {1, 1, 0, 2}}), "resize: scales must be above 0, but one is 0.000000");
  EXPECT_EQ(with({.axes = {0, -4}, .sizes = {1, 1}}), "resize: axis 0 is named twice");
  EXPECT_EQ(with({.axes = {0}, .sizes = {-1}}), "resize: sizes must not be negative, but one is -1");
  EXPECT_NE(with({.scales = {1, 1, 1e18, 1e18}}), "accepted");
  EXPECT_EQ(resize(x, {.sizes = {1, 1, 0, 2}}).shape(), (Shape{1, 1, 0, 2}));
  EXPECT_NE(reason([&] { resize(Tensor::zeros({0}), {.sizes = {2}}); }), "accepted");
}

}  // namespace
}  // namespace convoy::ops
