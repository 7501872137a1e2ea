#include "convoy/ops/pad.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <numeric>
#include <random>

#include "convoy/core/error.h"

namespace convoy {
namespace {

using Floats = std::vector<float>;
using Ints = std::vector<int64_t>;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

Tensor counting(Shape shape) {
  const int64_t n = numel(shape);
  return Tensor::arange(n).reshape(std::move(shape));
}

std::string refusal(const Shape& shape, const Ints& padding, PadMode mode, double value = 0) {
  try {
    ops::pad(Tensor::zeros(shape), padding, mode, value);
  } catch (const Error& e) {
    EXPECT_FALSE(e.fix().empty()) << e.reason();
    return e.reason();
  }
  return "accepted";
}

TEST(Pad, ModesOnARow) {
  const Tensor x = counting({1, 1, 4});
  EXPECT_EQ(ops::pad(x, {2, 3}, PadMode::kConstant, 9).to_vector<float>(), (Floats{9, 9, 0, 1, 2, 3, 9, 9, 9}));
  EXPECT_EQ(ops::pad(x, {2, 3}, PadMode::kReflect).to_vector<float>(), (Floats{2, 1, 0, 1, 2, 3, 2, 1, 0}));
  EXPECT_EQ(ops::pad(x, {2, 3}, PadMode::kReplicate).to_vector<float>(), (Floats{0, 0, 0, 1, 2, 3, 3, 3, 3}));
  EXPECT_EQ(ops::pad(x, {4, 3}, PadMode::kCircular).to_vector<float>(), (Floats{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2}));
}

TEST(Pad, NegativePaddingCropsFirst) {
  const Tensor x = counting({1, 1, 5});
  EXPECT_EQ(ops::pad(x, {-3, 4}, PadMode::kConstant, 9).to_vector<float>(), (Floats{3, 4, 9, 9, 9, 9}));
  EXPECT_EQ(ops::pad(x, {-1, 2}, PadMode::kCircular).to_vector<float>(), (Floats{1, 2, 3, 4, 1, 2}));
  EXPECT_EQ(ops::pad(x, {-1, 2}, PadMode::kReflect).to_vector<float>(), (Floats{1, 2, 3, 4, 3, 2}));
  EXPECT_EQ(ops::pad(x, {-6, 2}, PadMode::kReplicate).to_vector<float>(), (Floats{4}));
  EXPECT_EQ(ops::pad(x, {-3, -2}).shape(), (Shape{1, 1, 0}));
  EXPECT_EQ(ops::pad(counting({2, 2, 4, 4}), {-1, -1, -1, -1, 0, 0}, PadMode::kReflect).to_vector<float>().front(), 5.0f);
}

TEST(Pad, ConstantReachesEveryAxis) {
  const Tensor y = ops::pad(Tensor::ones({1, 2}), {0, 1, 1, 0}, PadMode::kConstant, -3);
  EXPECT_EQ(y.shape(), (Shape{2, 3}));
  EXPECT_EQ(y.to_vector<float>(), (Floats{-3, -3, -3, 1, 1, -3}));
  EXPECT_EQ(ops::pad(Tensor::arange(3, DType::kInt64), {1, 0}, PadMode::kConstant, 7).to_vector<int64_t>(), (Ints{7, 0, 1, 2}));
}

TEST(Pad, UnbatchedInputsOfEveryMode) {
  for (const PadMode mode : {PadMode::kConstant, PadMode::kReflect, PadMode::kReplicate, PadMode::kCircular}) {
    for (const Ints& padding : {Ints{1, 2}, Ints{1, 2, 2, 1}, Ints{1, 2, 2, 1, 0, 1}}) {
      Shape shape{2, 3, 4, 5};
      shape.resize(padding.size() / 2 + 1);
      const Tensor x = counting(shape);
      shape.insert(shape.begin(), 1);
      const Tensor batched = ops::pad(x.reshape(shape), padding, mode);
      const Tensor alone = ops::pad(x, padding, mode);
      EXPECT_TRUE(identical(alone, batched.select(0))) << pad_mode_name(mode);
    }
  }
}

TEST(Pad, EmptyBatches) {
  EXPECT_EQ(ops::pad(Tensor::zeros({0, 3, 5}), {1, 1}, PadMode::kReflect).shape(), (Shape{0, 3, 7}));
  EXPECT_EQ(ops::pad(Tensor::zeros({2, 3, 0}), {1, 1}, PadMode::kConstant, 4).to_vector<float>(), Floats(12, 4.0f));
  EXPECT_EQ(ops::pad_backward(Tensor::zeros({0, 3, 7}), {0, 3, 5}, {1, 1}, PadMode::kReflect).shape(), (Shape{0, 3, 5}));
  // The crop has no gradient to give, the rest of the input gets zeros.
  EXPECT_EQ(ops::pad_backward(Tensor::zeros({1, 1, 0}), {1, 1, 2}, {-1, -1}).to_vector<float>(), (Floats{0, 0}));
}

// <pad(x), g> = <x, pad_backward(g)> for every shape, mode and sign of padding, in exact integers.
TEST(Pad, BackwardIsTheAdjoint) {
  std::mt19937 rng(3);
  const auto pick = [&](int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(rng); };
  const auto integers = [&](const Shape& shape) {
    Tensor t = Tensor::empty(shape);
    for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(pick(-5, 5));
    return t;
  };
  const auto dot = [](const Tensor& a, const Tensor& b) {
    const auto u = a.to_vector<double>(), v = b.to_vector<double>();
    return std::inner_product(u.begin(), u.end(), v.begin(), 0.0);
  };
  int legal = 0;
  for (int round = 0; round < 2000; ++round) {
    const int rank = static_cast<int>(pick(1, 3));
    Shape shape{pick(1, 2), pick(1, 3)};
    if (pick(0, 3) == 0) shape.pop_back();
    for (int a = 0; a < rank; ++a) shape.push_back(pick(1, 6));
    const auto mode = static_cast<PadMode>(pick(0, 3));
    Ints padding;
    for (int i = 0; i < 2 * rank; ++i) padding.push_back(pick(-2, 4));
    Tensor y;
    const Tensor x = integers(shape);
    try {
      y = ops::pad(x, padding, mode);
    } catch (const Error&) {
      continue;
    }
    ++legal;
    const Tensor g = integers(y.shape());
    ASSERT_EQ(dot(y, g), dot(x, ops::pad_backward(g, shape, padding, mode)));
  }
  EXPECT_GT(legal, 800);
}

TEST(Pad, RefusesInPyTorchsWords) {
  const auto constant = PadMode::kConstant, reflect = PadMode::kReflect, replicate = PadMode::kReplicate,
             circular = PadMode::kCircular;
  const std::string too_large = "Padding size should be less than the corresponding input dimension, but got: padding ";
  EXPECT_EQ(refusal({2, 3, 5}, {1}, reflect), "Padding length must be divisible by 2");
  EXPECT_EQ(refusal({2, 3}, {1, 1, 1, 1, 1, 1}, constant), "Padding length too large");
  EXPECT_EQ(refusal({2, 3, 5}, {1, 1}, reflect, 1), "Padding mode \"reflect\" doesn't take in value argument");
  EXPECT_EQ(refusal({2, 3, 4, 5}, {1, 1}, circular), "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now");
  EXPECT_EQ(refusal({2, 3, 5}, {}, replicate), "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now");
  EXPECT_EQ(refusal({2, 3, 5}, {5, 5}, reflect), "Argument #4: " + too_large + "(5, 5) at dimension 2 of input [2, 3, 5]");
  EXPECT_EQ(refusal({1, 1, 8, 8}, {8, 8, 0, 0}, reflect), "Argument #4: " + too_large + "(8, 8) at dimension 3 of input 4");
  EXPECT_EQ(refusal({3, 4, 5}, {1, 1, 4, 1}, reflect), "Argument #6: " + too_large + "(4, 1) at dimension 1 of input 3");
  EXPECT_EQ(refusal({2, 3, 4, 5, 6}, {1, 1, 1, 1, 4, 1}, reflect),
            "Argument #8: " + too_large + "(4, 1) at dimension 2 of input [2, 3, 4, 5, 6]");
  EXPECT_EQ(refusal({2, 0, 5}, {1, 1}, reflect),
            "2D or 3D (batch mode) tensor expected for input, but got: [ torch.FloatTensor{2,0,5} ]");
  EXPECT_EQ(refusal({2, 3, 5}, {-3, -2}, reflect), "2input (W: 5)is too small. Calculated output W: 0");
  EXPECT_EQ(refusal({2, 3, 4, 5}, {-5, 0, -4, 0}, replicate), "input (H: 4, W: 5 ) is too small. Calculated output H: 0 W: 0");
  EXPECT_EQ(refusal({2, 3, 4, 5}, {-3, -3, 0, 0}, replicate), "Trying to create tensor with negative dimension -1: [2, 3, 4, -1]");
  EXPECT_EQ(refusal({2, 3, 4, 5}, {6, 0, 0, 0}, circular), "Padding value causes wrapping around more than once.");
  EXPECT_EQ(refusal({2, 3, 4, 5}, {-3, -3, 0, 0}, circular), "Negative padding value is resulting in an empty dimension");
  EXPECT_EQ(refusal({2, 3, 5}, {-6, 2}, constant), "Dimension out of range (expected to be in range of [-5, 4], but got 6)");
  EXPECT_EQ(refusal({2, 3, 4, 5}, {-3, -2, 1, 1}, constant),
            "The input size 5, plus negative padding -3 and -2 resulted in a negative output size, which is invalid. Check "
            "dimension 3 of "
            "your input.");
  EXPECT_THROW(parse_pad_mode("foo"), Error);
  EXPECT_THROW(ops::pad(Tensor::zeros({1, 1, 3}, DType::kInt64), {1, 1}, PadMode::kReflect), Error);
}

// Extreme values are refused at once: nothing wraps, nothing is allocated.
TEST(Pad, RefusesExtremeValues) {
  for (const PadMode mode : {PadMode::kConstant, PadMode::kReflect, PadMode::kReplicate, PadMode::kCircular}) {
    for (const Ints& padding : {Ints{kMax, kMax}, Ints{kMax, 0}, Ints{0, kMax}, Ints{kMin, kMax}, Ints{kMax, kMin},
                                Ints{kMin, kMin}, Ints{kMin, 0}, Ints{kMax / 2, kMax / 2}}) {
      EXPECT_NE(refusal({1, 1, 2}, padding, mode), "accepted") << pad_mode_name(mode) << padding[0] << ' ' << padding[1];
    }
  }
  EXPECT_EQ(refusal({1, 1, 1, 1, 1}, Ints(6, 498444555), PadMode::kReplicate), "numel: integer multiplication overflow");
  EXPECT_NE(refusal({1, 1, 2, 2}, Ints(4, -8353862602220610428), PadMode::kReflect), "accepted");
  // Reflection by as much as the size reads outside the input.
  EXPECT_NE(refusal({1, 1, 2, 2}, Ints(4, 2), PadMode::kReflect), "accepted");
  EXPECT_NE(refusal({1, 1, 2, 2}, Ints(4, 5), PadMode::kReflect), "accepted");
}

TEST(Pad, BackwardRefusesAnotherShape) {
  EXPECT_THROW(ops::pad_backward(Tensor::zeros({2, 0, 6, 8}), {2, 2, 4, 4}, {2, 2, 1, 1}, PadMode::kReplicate), ShapeMismatch);
  EXPECT_THROW(ops::pad_backward(Tensor::zeros({1, 1, 4}), {1, 1, 3}, {1, 1}, PadMode::kConstant), ShapeMismatch);
}

// The sides of numpy.pad: modes reflect, edge, wrap, each as often as it takes.
TEST(PadAnyAxes, RepeatsAsNumpyDoes) {
  const auto padded = [](int64_t n, int64_t begin, int64_t end, PadMode mode) {
    return ops::pad_axes(Tensor::arange(n, DType::kInt32), {{begin, end}}, mode).to_vector<int64_t>();
  };
  using L = std::vector<int64_t>;
  EXPECT_EQ(padded(3, 5, 6, PadMode::kReflect), (L{1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0}));
  EXPECT_EQ(padded(1, 2, 1, PadMode::kReflect), (L{0, 0, 0, 0}));
  EXPECT_EQ(padded(2, 2, 3, PadMode::kReplicate), (L{0, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(padded(3, 4, 5, PadMode::kCircular), (L{2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1}));
  EXPECT_EQ(padded(4, -1, 2, PadMode::kReflect), (L{1, 2, 3, 2, 1}));
  EXPECT_EQ(padded(4, -2, -1, PadMode::kConstant), (L{2}));
}

TEST(PadAnyAxes, PadsEveryAxisOfEveryType) {
  for (int type = 0; type <= static_cast<int>(DType::kBool); ++type) {
    const auto d = static_cast<DType>(type);
    const Tensor y = ops::pad_axes(Tensor::from({0, 1}, {2, 1}).to(d), {{1, 0}, {0, 1}}, PadMode::kConstant, Tensor::scalar(1, d));
    EXPECT_TRUE(identical(y, Tensor::from({1, 1, 0, 1, 1, 1}, {3, 2}).to(d))) << dtype_name(d);
  }
  EXPECT_EQ(ops::pad_axes(Tensor::zeros({0, 2}), {{1, 1}, {0, 0}}, PadMode::kConstant).shape(), (Shape{2, 2}));
  EXPECT_THROW(ops::pad_axes(Tensor::zeros({0}), {{1, 1}}, PadMode::kReplicate), ShapeMismatch);
  EXPECT_THROW(ops::pad_axes(Tensor::zeros({2}), {{-1, -2}}, PadMode::kConstant), ShapeMismatch);
  EXPECT_THROW(ops::pad_axes(Tensor::zeros({2}), {{INT64_MIN, 0}}, PadMode::kConstant), ShapeMismatch);
  EXPECT_THROW(ops::pad_axes(Tensor::zeros({2}), {{INT64_MAX, 1}}, PadMode::kConstant), Error);
}

}  // namespace
}  // namespace convoy
