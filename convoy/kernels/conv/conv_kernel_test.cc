// Every algorithm of the list, in every direction, on random shapes biased to edges: bit for bit on small integers, close on real
// values, the same bits for any thread count, and nothing touched outside the arrays.
#include "convoy/kernels/conv/conv_kernel.h"

#include <gtest/gtest.h>

#include <complex>
#include <cstdlib>

#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/kernels/machine.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

ConvShape random_shape(Random& random) {
  for (;;) {
    ConvShape s;
    s.rank = static_cast<int>(1 + random() % 3);
    s.batch = pick(random, {1, 1, 2, 3});
    const int64_t kind = pick(random, {0, 0, 1, 2});
    if (kind == 2) {  // depthwise
      s.groups = s.in_channels = pick(random, {2, 3, 8, 17});
      s.out_channels = s.in_channels * pick(random, {1, 1, 2, 3});
    } else {
      s.groups = kind == 0 ? 1 : pick(random, {2, 3, 4});
      s.in_channels = s.groups * pick(random, {1, 2, 3, 5, 16, 33});
      s.out_channels = s.groups * pick(random, {1, 2, 4, 7, 8, 9, 17, 40});
    }
    for (int a = s.first_axis(); a < 3; ++a) {
      const auto at = static_cast<size_t>(a);
      s.input[at] = s.rank == 3   ? 1 + static_cast<int64_t>(random() % 8)
                    : s.rank == 2 ? 1 + static_cast<int64_t>(random() % 21)
                                  : 1 + static_cast<int64_t>(random() % 300);
      s.axes[at].kernel_size = pick(random, {1, 1, 2, 3, 3, 4, 5, 7});
      s.axes[at].stride = pick(random, {1, 1, 2, 2, 3, 5});
      s.axes[at].dilation = pick(random, {1, 1, 2, 3, 4});
      s.axes[at].pad_begin = pick(random, {0, 0, 1, 2, 3, 8, -1});  // below zero: a crop
      s.axes[at].pad_end = random() % 3 == 0 ? pick(random, {0, 1, 4, -2}) : s.axes[at].pad_begin;
    }
    const auto complete = shape::complete(s);
    if (complete && complete->output_count() * complete->in_channels_per_group() * complete->taps() < 3'000'000) return *complete;
  }
}

class ConvKernels : public testing::TestWithParam<Direction> {
 protected:
  void TearDown() override { set_num_threads(0); }
};

TEST_P(ConvKernels, MatchTheReference) {
  Random random(20261121);
  for (int round = 0; round < 250; ++round) {
    const ConvShape s = random_shape(random);
    check_kernels(conv_kernels(GetParam()), GetParam(), s, round % 3 != 0, random);
    if (HasFatalFailure()) return;
  }
}

// F'(x) = Im F(x + ih) / h: the forward reference differentiates itself, so the gradient references have an oracle that shares none
// of their indexing.
TEST(ConvReference, GradientsAgreeWithTheComplexStep) {
  using C = std::complex<double>;
  constexpr double kStep = 1e-50;
  Random random(3);
  for (int round = 0; round < 40; ++round) {
    const ConvShape s = random_shape(random);
    if (s.output_count() * s.in_channels_per_group() * s.taps() > 20000 || s.input_count() > 400 || s.weight_count() > 400)
      continue;
    const auto doubles = [&](int64_t count) {
      const std::vector<float> v = values(random, count, false);
      return std::vector<double>(v.begin(), v.end());
    };
    const std::vector<double> x = doubles(s.input_count()), w = doubles(s.weight_count()), g = doubles(s.output_count());
    std::vector<double> grad_x(x.size()), grad_w(w.size());
    conv_reference(s, ConvGradInput<double>{g.data(), w.data(), nullptr, grad_x.data()});
    conv_reference(s, ConvGradWeight<double>{x.data(), g.data(), grad_w.data()});
    std::vector<C> xc(x.begin(), x.end()), wc(w.begin(), w.end()), y(g.size());
    const auto derivative = [&](C& at) {
      const C before = at;
      at += C(0, kStep);
      conv_reference(s, ConvForward<C>{xc.data(), wc.data(), nullptr, y.data()});
      at = before;
      double sum = 0;
      for (size_t i = 0; i < y.size(); ++i) sum += y[i].imag() / kStep * g[i];
      return sum;
    };
    for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(grad_x[i], derivative(xc[i]), 1e-10) << describe(s);
    for (size_t i = 0; i < w.size(); ++i) ASSERT_NEAR(grad_w[i], derivative(wc[i]), 1e-10) << describe(s);
  }
}

// The whole program runs again with CONVOY_SIMD=avx2 and scalar (see CMakeLists.txt): every kernel on every instruction set.
TEST(Simd, IsTheOneAskedFor) {
  const char* wish = std::getenv("CONVOY_SIMD");
  if (wish == nullptr) return;
  EXPECT_TRUE(std::string(wish) != "scalar" || std::string(simd_name()) == "scalar") << simd_name();
  EXPECT_TRUE(std::string(wish) != "avx2" || std::string(simd_name()) != "AVX-512") << simd_name();
}

TEST_P(ConvKernels, EndWithAReferenceThatRefusesNothing) {
  const auto list = conv_kernels(GetParam());
  EXPECT_STREQ(list.back()->name, "conv_reference");
  for (const ConvKernel* kernel : list) EXPECT_EQ(kernel->direction, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Directions, ConvKernels,
                         testing::Values(Direction::kForward, Direction::kGradInput, Direction::kGradWeight),
                         [](const auto& param) { return direction_name(param.param); });

}  // namespace
}  // namespace convoy::kernels
