#include "convoy/ops/linear.h"

#include <gtest/gtest.h>

#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/random.h"

namespace convoy::ops {
namespace {

TEST(Gemm, TransposesScalesAndAdds) {
  Generator g(4);
  const int64_t m = 9, k = 300, n = 21;
  for (const DType d : {DType::kFloat64, DType::kFloat32, DType::kFloat16}) {
    for (int bits = 0; bits < 4; ++bits) {
      const bool ta = bits & 1, tb = bits & 2;
      const Tensor a = randn(ta ? Shape{k, m} : Shape{m, k}, DType::kFloat64, &g),
                   b = randn(tb ? Shape{n, k} : Shape{k, n}, DType::kFloat64, &g);
      for (const Shape& shape : {Shape{n}, Shape{1, n}, Shape{m, 1}, Shape{m, n}, Shape{}, Shape{1}}) {
        const Tensor c = randn(shape, DType::kFloat64, &g);
        for (const double alpha : {1.0, 0.25}) {
          const Tensor y = gemm(a.to(d), b.to(d), c.to(d), {ta, tb, alpha, 2 * alpha - 1});
          for (int64_t i = 0; i < y.numel(); i += 7) {
            double sum = 0;
            const int64_t r = i / n, col = i % n;
            for (int64_t j = 0; j < k; ++j) sum += a.at(ta ? j * m + r : r * k + j) * b.at(tb ? col * k + j : j * n + col);
            const bool rows = shape.size() == 2 && shape[0] == m, columns = !shape.empty() && shape.back() == n;
            const double add = c.at((rows ? r * (columns ? n : 1) : 0) + (columns ? col : 0));
            const double want = alpha * sum + (2 * alpha - 1) * add;
            ASSERT_NEAR(y.at(i), want, d == DType::kFloat16 ? 0.3 : 1e-4);
          }
        }
      }
    }
  }
  EXPECT_THROW(gemm(Tensor::zeros({2, 3}), Tensor::zeros({2, 3})), ShapeMismatch);
  EXPECT_THROW(gemm(Tensor::zeros({2, 3}), Tensor::zeros({3, 2}), Tensor::zeros({3, 2, 2})), ShapeMismatch);
}

TEST(Matmul, OfIntegersAndHalves) {
  const Tensor a = Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3}), b = Tensor::from({1, 0, 2, 1, 0, 3}, {3, 2});
  for (const DType d : {DType::kInt64, DType::kInt32, DType::kUInt8, DType::kFloat16, DType::kFloat64}) {
    EXPECT_EQ(matmul(a.to(d), b.to(d)).to_vector<double>(), (std::vector<double>{5, 11, 14, 23})) << dtype_name(d);
    EXPECT_EQ(matmul(a.to(d), b.to(d)).dtype(), d);
    EXPECT_EQ(gemm(a.to(d), b.to(d), {}, {false, false, 2, 1}).to_vector<double>(), (std::vector<double>{10, 22, 28, 46}));
  }
  // Many matrices by one are one tall product.
  Generator g(5);
  const Tensor x = randn({3, 4, 5, 70}, DType::kFloat32, &g), w = randn({70, 33}, DType::kFloat32, &g);
  const Tensor y = matmul(x, w);
  EXPECT_EQ(y.shape(), (Shape{3, 4, 5, 33}));
  EXPECT_TRUE(identical(y.select(2).select(1), matmul(x.select(2).select(1), w)));
}

}  // namespace
}  // namespace convoy::ops
