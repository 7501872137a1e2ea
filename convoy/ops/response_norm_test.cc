#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "convoy/ops/norm.h"

namespace convoy::ops {
namespace {

// torch.nn.functional.local_response_norm(torch.arange(1., 11.).reshape(1, 5, 2), 3, alpha=0.5), PyTorch 1.13.
TEST(LocalResponseNorm, GivesPytorchsValues) {
  const Tensor x = Tensor::from({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {1, 5, 2});
  const std::vector<double> want = {0.479207328, 0.665906758, 0.70981766,  0.694032267, 0.66151689,
                                    0.626606384, 0.593734207, 0.564031046, 0.866366729, 0.814285585};
  for (const DType d : {DType::kFloat32, DType::kFloat64}) {
    const Tensor y = local_response_norm(x.to(d), 3, 0.5);
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(y.at(static_cast<int64_t>(i)), want[i], 2e-6);
  }
}

TEST(LocalResponseNorm, AgreesWithDoubleForEverySizeAndPower) {
  Generator g(3);
  const Tensor x = randn({2, 7, 37, 19}, DType::kFloat64, &g);
  for (const int64_t size : {1, 2, 4, 5, 20}) {
    for (const double beta : {0.75, 0.5, 1.0, 0.6}) {
      const Tensor want = local_response_norm(x, size, 0.3, beta, 1.5);
      set_num_threads(1);
      const Tensor got = local_response_norm(x.to(DType::kFloat32), size, 0.3, beta, 1.5);
      set_num_threads(3);
      EXPECT_TRUE(identical(local_response_norm(x.to(DType::kFloat32), size, 0.3, beta, 1.5), got));
      set_num_threads(0);
      for (int64_t i = 0; i < want.numel(); ++i) {
        ASSERT_NEAR(got.at(i), want.at(i), 2e-6 * std::max(1.0, std::abs(want.at(i)))) << size << " " << beta;
      }
      // The window: one more channel behind than before if the size is even.
      const int64_t c = 3, plane = 37 * 19, i = c * plane + 5;
      double sum = 0;
      for (int64_t k = std::max<int64_t>(0, c - (size - 1) / 2); k < std::min<int64_t>(7, c - (size - 1) / 2 + size); ++k) {
        sum += x.at(k * plane + 5) * x.at(k * plane + 5);
      }
      EXPECT_NEAR(want.at(i), x.at(i) / std::pow(1.5 + 0.3 / static_cast<double>(size) * sum, beta), 1e-12);
    }
  }
  EXPECT_THROW(local_response_norm(Tensor::zeros({2, 2}), 3), ValueError);
  EXPECT_THROW(local_response_norm(x, 0), ValueError);
  EXPECT_EQ(local_response_norm(Tensor::zeros({0, 3, 4}), 3).shape(), (Shape{0, 3, 4}));
}

TEST(RmsNorm, DividesByTheRootOfTheMeanSquare) {
  const Tensor x = Tensor::from({3, 4, 0, 5}, {2, 2}), w = Tensor::from({1, 2}, {2});
  const Tensor y = rms_norm(x, {2}, w, 0);
  const double root = std::sqrt(12.5);
  const std::vector<double> want = {3 / root, 8 / root, 0, 2 * std::sqrt(2.0)};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(y.at(static_cast<int64_t>(i)), want[i], 1e-6);
  EXPECT_THROW(rms_norm(x, {3}, {}), ShapeMismatch);
}

}  // namespace
}  // namespace convoy::ops
