// Every algorithm of the list, in every direction, on random shapes biased to edges: bit for bit on small integers, close on real
// values, the same bits for any thread count, and nothing touched outside the arrays.
#include "convoy/kernels/conv/conv_kernel.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <complex>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_reference.h"
#include "convoy/kernels/machine.h"

namespace convoy::kernels {
namespace {

// Floats between two pages that must not be touched; the values end at the upper one, or begin at the lower one.
class GuardedFloats {
 public:
  GuardedFloats(size_t count, bool at_end) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    bytes_ = (count * sizeof(float) + page - 1) / page * page + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_, page, PROT_NONE);
    mprotect(base_ + bytes_ - page, page, PROT_NONE);
    data_ = reinterpret_cast<float*>(at_end ? base_ + bytes_ - page - count * sizeof(float) : base_ + page);
  }
  ~GuardedFloats() { munmap(base_, bytes_); }
  GuardedFloats(const GuardedFloats&) = delete;
  GuardedFloats& operator=(const GuardedFloats&) = delete;
  float* data() { return data_; }

 private:
  char* base_;
  size_t bytes_;
  float* data_;
};

using Random = std::mt19937;

int64_t pick(Random& random, std::initializer_list<int64_t> choices) {
  return *(choices.begin() + static_cast<std::ptrdiff_t>(random() % choices.size()));
}

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
      s.axes[at].pad_begin = pick(random, {0, 0, 1, 2, 3, 8});
      s.axes[at].pad_end = random() % 3 == 0 ? pick(random, {0, 1, 4}) : s.axes[at].pad_begin;
    }
    const auto complete = shape::complete(s);
    if (complete && complete->output_count() * complete->in_channels_per_group() * complete->taps() < 3'000'000) return *complete;
  }
}

std::string describe(const ConvShape& s) {
  std::string text = "rank " + std::to_string(s.rank) + " n" + std::to_string(s.batch) + " ic" + std::to_string(s.in_channels) +
                     " oc" + std::to_string(s.out_channels) + " g" + std::to_string(s.groups);
  for (size_t a = 0; a < 3; ++a) {
    text += " [i" + std::to_string(s.input[a]) + " o" + std::to_string(s.output[a]) + " k" + std::to_string(s.axes[a].kernel_size) +
            " s" + std::to_string(s.axes[a].stride) + " d" + std::to_string(s.axes[a].dilation) + " p" +
            std::to_string(s.axes[a].pad_begin) + "," + std::to_string(s.axes[a].pad_end) + "]";
  }
  return text;
}

std::vector<float> values(Random& random, int64_t count, bool integers) {
  std::vector<float> v(static_cast<size_t>(count));
  std::normal_distribution<float> normal;
  for (float& x : v) x = integers ? static_cast<float>(static_cast<int>(random() % 9) - 4) : normal(random);
  return v;
}

// The arrays of a direction: two inputs, a bias, and the result.
struct Problem {
  int64_t first, second, bias, result;
};

Problem problem(const ConvShape& s, Direction direction) {
  switch (direction) {
    case Direction::kForward:
      return {s.input_count(), s.weight_count(), s.out_channels, s.output_count()};
    case Direction::kGradInput:
      return {s.output_count(), s.weight_count(), s.in_channels, s.input_count()};
    case Direction::kGradWeight:
      break;
  }
  return {s.input_count(), s.output_count(), 0, s.weight_count()};
}

template <class T>
void run_reference(const ConvShape& s, Direction direction, const T* first, const T* second, const T* bias, T* result) {
  switch (direction) {
    case Direction::kForward:
      return conv_reference(s, ConvForward<T>{first, second, bias, result});
    case Direction::kGradInput:
      return conv_reference(s, ConvGradInput<T>{first, second, bias, result});
    case Direction::kGradWeight:
      return conv_reference(s, ConvGradWeight<T>{first, second, result});
  }
}

void run_kernel(const ConvKernel& kernel, const ConvShape& s, const float* first, const float* second, const float* bias,
                float* result) {
  Workspace workspace(kernel.workspace_bytes(s, num_threads()));
  switch (kernel.direction) {
    case Direction::kForward:
      return kernel.forward(s, {first, second, bias, result}, workspace);
    case Direction::kGradInput:
      return kernel.grad_input(s, {first, second, bias, result}, workspace);
    case Direction::kGradWeight:
      return kernel.grad_weight(s, {first, second, result}, workspace);
  }
}

class ConvKernels : public testing::TestWithParam<Direction> {
 protected:
  void TearDown() override { set_num_threads(0); }
};

TEST_P(ConvKernels, MatchTheReference) {
  const Direction direction = GetParam();
  Random random(20261121);
  for (int round = 0; round < 250; ++round) {
    const ConvShape s = random_shape(random);
    const bool integers = round % 3 != 0;
    const Problem p = problem(s, direction);
    const std::vector<float> first = values(random, p.first, integers), second = values(random, p.second, integers),
                             bias = values(random, p.bias, integers);
    const bool with_bias = direction != Direction::kGradWeight && round % 2 == 0;
    const std::vector<double> first_d(first.begin(), first.end()), second_d(second.begin(), second.end()),
        bias_d(bias.begin(), bias.end());
    std::vector<double> expected(static_cast<size_t>(p.result)), magnitude(static_cast<size_t>(p.result));
    run_reference(s, direction, first_d.data(), second_d.data(), with_bias ? bias_d.data() : nullptr, expected.data());
    const auto absolute = [](std::vector<double> v) {
      for (double& x : v) x = std::abs(x);
      return v;
    };
    const std::vector<double> first_a = absolute(first_d), second_a = absolute(second_d), bias_a = absolute(bias_d);
    run_reference(s, direction, first_a.data(), second_a.data(), with_bias ? bias_a.data() : nullptr, magnitude.data());
    for (const ConvKernel* kernel : conv_kernels(direction)) {
      if (kernel->refuse(s) != nullptr) continue;
      SCOPED_TRACE(std::string(kernel->name) + " " + direction_name(direction) + " " + describe(s));
      std::vector<float> once;
      for (const int threads : {1, 2, 5}) {
        set_num_threads(threads);
        GuardedFloats a(first.size(), threads != 2), b(second.size(), threads != 2), c(bias.size(), threads != 2),
            y(expected.size(), threads != 2);
        std::copy(first.begin(), first.end(), a.data());
        std::copy(second.begin(), second.end(), b.data());
        std::copy(bias.begin(), bias.end(), c.data());
        std::fill(y.data(), y.data() + expected.size(), std::nanf(""));
        run_kernel(*kernel, s, a.data(), b.data(), with_bias ? c.data() : nullptr, y.data());
        const std::vector<float> got(y.data(), y.data() + expected.size());
        if (threads == 1) {
          once = got;
        } else {
          ASSERT_EQ(std::memcmp(once.data(), got.data(), got.size() * sizeof(float)), 0) << threads << " threads";
        }
        for (size_t i = 0; i < got.size(); ++i) {
          if (integers) {
            ASSERT_EQ(got[i], static_cast<float>(expected[i])) << "at " << i;
          } else {
            ASSERT_LE(std::abs(got[i] - expected[i]), 8 * 0x1p-24 * magnitude[i] + 1e-30) << "at " << i;
          }
        }
      }
    }
  }
}

TEST_P(ConvKernels, GiveASampleTheSameBitsAloneAndInABatch) {
  const Direction direction = GetParam();
  if (direction == Direction::kGradWeight) return;  // the batch is summed over
  Random random(7);
  for (int round = 0; round < 60; ++round) {
    ConvShape s = random_shape(random);
    s.batch = 3;
    const Problem p = problem(s, direction);
    const std::vector<float> first = values(random, p.first, false), second = values(random, p.second, false);
    for (const ConvKernel* kernel : conv_kernels(direction)) {
      if (kernel->refuse(s) != nullptr) continue;
      std::vector<float> all(static_cast<size_t>(p.result)), one(static_cast<size_t>(p.result / 3));
      run_kernel(*kernel, s, first.data(), second.data(), nullptr, all.data());
      ConvShape single = s;
      single.batch = 1;
      run_kernel(*kernel, single, first.data() + p.first / 3 * 2, second.data(), nullptr, one.data());
      ASSERT_EQ(std::memcmp(one.data(), all.data() + p.result / 3 * 2, one.size() * sizeof(float)), 0)
          << kernel->name << " " << describe(s);
    }
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
