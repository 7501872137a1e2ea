#include "convoy/ops/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "tests/refusal.h"

namespace convoy::ops {
namespace {

using testing::reason;

using L = std::vector<double>;
L list(const Tensor& x) { return x.to_vector<double>(); }
Tensor t(std::initializer_list<float> values, DType dtype = DType::kFloat32) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())}).to(dtype);
}
Tensor random_bytes(Shape shape, DType dtype, unsigned seed) {
  std::mt19937 rng(seed);
  Tensor x = Tensor::empty(std::move(shape), DType::kInt64);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<int64_t>()[i] = static_cast<int64_t>(rng() % 256);
  return x.to(dtype);
}

TEST(Quantize, RoundsHalvesToEvenAndSaturates) {
  const Quantization q{Tensor::scalar(2), Tensor::scalar(128, DType::kUInt8)};
  EXPECT_EQ(list(quantize(t({0, 2, 3, 5, -5, 1000, -1000, NAN}), q)), (L{128, 129, 130, 130, 126, 255, 0, 0}));
  const Quantization s{Tensor::scalar(2), Tensor::scalar(1, DType::kInt8)};
  EXPECT_EQ(list(quantize(t({0, 3, 1000, -1000}), s)), (L{1, 3, 127, -128}));
  EXPECT_EQ(list(dequantize(t({0, 3, 128, 255}, DType::kUInt8), q)), (L{-256, -250, 0, 254}));
}

TEST(Quantize, PerAxisAndPerBlock) {
  const Tensor x = Tensor::from({10, 20, 30, 40, 50, 60}, {2, 3});
  const Quantization columns{t({1, 2, 10}), t({0, 1, 2}, DType::kUInt8)};
  EXPECT_EQ(list(quantize(x, columns, 1)), (L{10, 11, 5, 40, 26, 8}));
  EXPECT_EQ(list(dequantize(quantize(x, columns, 1), columns, 1)), list(x));
  const Quantization blocks{Tensor::from({1, 2, 10, 5}, {2, 2})};
  EXPECT_EQ(list(quantize(x, blocks, 1, 2)), (L{10, 20, 15, 4, 5, 12}));
  EXPECT_NE(reason([&] { quantize(x, columns, 0); }), "accepted");
  EXPECT_NE(reason([&] { quantize(x, blocks, 1, 1); }), "accepted");
}

// ONNX's example: x = [0, 2, -3, -2.5, 1.34, 0.5].
TEST(Quantize, Dynamically) {
  const auto [y, scale, zero] = dynamic_quantize(t({0, 2, -3, -2.5f, 1.34f, 0.5f}));
  EXPECT_EQ(list(y), (L{153, 255, 0, 26, 221, 179}));
  EXPECT_FLOAT_EQ(static_cast<float>(scale.item()), 0.0196078438f);
  EXPECT_EQ(zero.item(), 153);
  EXPECT_EQ(list(std::get<0>(dynamic_quantize(t({0, 0})))), (L{0, 0}));
}

TEST(Quantize, MultipliesExactly) {
  const int64_t k = 1000;
  const Tensor a = random_bytes({2, 3, k}, DType::kUInt8, 1), b = random_bytes({k, 4}, DType::kInt8, 2);
  const Tensor y = matmul_integer(a, b, Tensor::scalar(7, DType::kUInt8), t({1, -2, 3, 4}, DType::kInt8));
  EXPECT_EQ(y.dtype(), DType::kInt32);
  const double zeros[] = {1, -2, 3, 4};
  for (int64_t i = 0; i < y.numel(); ++i) {
    double sum = 0;
    for (int64_t j = 0; j < k; ++j) sum += (a.at(i / 4 * k + j) - 7) * (b.at(j * 4 + i % 4) - zeros[i % 4]);
    EXPECT_EQ(y.at(i), sum);
  }
}

// ONNX's examples of ConvInteger and QLinearMatMul.
TEST(Quantize, ConvolvesAndMultipliesWithScales) {
  const Tensor x = t({2, 3, 4, 5, 6, 7, 8, 9, 10}, DType::kUInt8).reshape({1, 1, 3, 3});
  const Tensor w = Tensor::ones({1, 1, 2, 2}, DType::kUInt8);
  EXPECT_EQ(list(conv_integer(2, x, w, Tensor::scalar(1, DType::kUInt8))), (L{12, 16, 24, 28}));
  const Tensor a = t({208, 236, 0, 238, 3, 214, 255, 29}, DType::kUInt8).reshape({2, 4});
  const Tensor b = t({152, 51, 244, 60, 26, 255, 0, 127, 246, 127, 254, 247}, DType::kUInt8).reshape({4, 3});
  const Quantization ka{t({0.0066f}), t({113}, DType::kUInt8)}, kb{t({0.00705f}), t({114}, DType::kUInt8)},
      ky{t({0.0107f}), t({118}, DType::kUInt8)};
  EXPECT_EQ(list(quantized_matmul(a, ka, b, kb, ky)), (L{168, 115, 255, 1, 66, 151}));
  // QLinearConv: per-channel weights and a bias, against the formula.
  const Tensor wide = random_bytes({2, 1, 2, 2}, DType::kInt8, 3);
  const Quantization kx{Tensor::scalar(0.5), Tensor::scalar(3, DType::kUInt8)}, kw{t({0.25f, 2}), t({0, 1}, DType::kInt8)},
      ko{Tensor::scalar(64), Tensor::scalar(10, DType::kUInt8)};
  const Tensor y = quantized_conv(2, x, kx, wide, kw, ko, t({5, -6}, DType::kInt32));
  for (int64_t i = 0; i < y.numel(); ++i) {
    const int64_t c = i / 4, h = i / 2 % 2, v = i % 2;
    double sum = c == 0 ? 5 : -6;
    for (int64_t k = 0; k < 4; ++k) sum += (x.at((h + k / 2) * 3 + v + k % 2) - 3) * (wide.at(c * 4 + k) - static_cast<double>(c));
    const double scaled = std::nearbyint(sum * 0.5 * (c == 0 ? 0.25 : 2) / 64) + 10;
    EXPECT_EQ(y.at(i), std::min(255.0, std::max(0.0, scaled)));
  }
  const auto refusal = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& e) {
      return e.what();
    }
    return "nothing";
  };
  const Quantization of_floats{Tensor::scalar(1), Tensor::scalar(0)};
  EXPECT_EQ(refusal([&] { quantized_conv(2, x, of_floats, w, of_floats, of_floats); }),
            "\"quantized_conv\" not implemented for 'Float'\nquantised values are integers of up to 32 bits");
  EXPECT_EQ(refusal([&] { conv_integer(2, x.to(DType::kFloat32), w); }),
            "\"conv_integer\" not implemented for 'Float'\nquantised values are uint8 or int8 here");
}

// Values come in runs, and to the ends of every type.
TEST(Quantize, StopsAtTheEndsOfEveryType) {
  for (const auto& [dtype, least, most] : {std::tuple(DType::kUInt8, int64_t{0}, int64_t{255}),
                                           {DType::kInt8, -128, 127},
                                           {DType::kUInt16, 0, 65535},
                                           {DType::kInt16, -32768, 32767},
                                           {DType::kInt32, INT32_MIN, INT32_MAX}}) {
    std::vector<double> values;
    L expected;
    for (int64_t i = 0; i < 40000; ++i) {
      values.push_back(i % 3 == 0 ? -1e30 : i % 3 == 1 ? 1e30 : static_cast<double>(i % 100));
      expected.push_back(i % 3 == 0 ? least : i % 3 == 1 ? most : i % 100);
    }
    const Tensor x = Tensor::from(values, {40000});
    const Quantization q{Tensor::scalar(1.0, DType::kFloat64), Tensor::zeros({}, dtype)};
    const Tensor kept = quantize(x, q);
    EXPECT_EQ(kept.dtype(), dtype);
    EXPECT_EQ(list(kept), expected) << dtype_name(dtype);
    const std::vector<double> back = dequantize(kept, q).to_vector<double>();
    EXPECT_EQ(back, std::vector<double>(expected.begin(), expected.end())) << dtype_name(dtype);
  }
}

}  // namespace
}  // namespace convoy::ops
